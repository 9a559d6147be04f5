"""Everything goes wrong at once, for as long as one likes."""

import asyncio
import statistics
import time

from .client import Connection, Lost
from .programs import settled
from .scenes import Row, Stage, who


async def everything_at_once(stage: Stage) -> list[Row]:
    """Many people at half load, with reloads, a broken site, vanishing clients and WeChat going away."""
    visitors = await stage.log_in(20)
    names = []
    for visitor in visitors:
        answer = await Connection("127.0.0.1", stage.gateway.port).ask("/", {"Cookie": visitor.cookie})
        names.append(who(answer.body))
    ends = time.monotonic() + 3 * stage.seconds
    counts = {"asked": 0, "wrong": 0}

    async def person(index: int) -> None:
        connection = Connection("127.0.0.1", stage.gateway.port)
        number = 0
        while time.monotonic() < ends:
            number += 1
            target = "/broken" if number % 7 == 0 else f"/page/{number}"
            try:
                answer = await connection.ask(target, {"Cookie": visitors[index].cookie})
            except Lost:
                continue
            counts["asked"] += 1
            counts["wrong"] += answer.status == 200 and who(answer.body) != names[index]
            if number % 50 == 0:
                connection.close()
            await asyncio.sleep(0.005)
        connection.close()

    async def vanishing() -> None:
        while time.monotonic() < ends:
            _, writer = await asyncio.open_connection("127.0.0.1", stage.gateway.port)
            writer.write(f"GET / HTTP/1.1\r\nHost: x\r\nCookie: {visitors[0].cookie}\r\n\r\n".encode()[:300])
            writer.transport.abort()
            await asyncio.sleep(0.02)

    async def trouble() -> None:
        while time.monotonic() < ends:
            await stage.gateway.reload("")
            stage.simulator.stop()
            await asyncio.sleep(0.5)
            await stage.simulator.start()

    memory: list[int] = []

    async def watch() -> None:
        while time.monotonic() < ends:
            memory.append(stage.gateway.program.resident_kib())
            await asyncio.sleep(0.25)

    descriptors = stage.gateway.program.descriptors()
    people = [person(index) for index in range(len(visitors))]
    await asyncio.gather(*people, vanishing(), trouble(), watch())
    third = max(1, len(memory) // 3)
    growth = statistics.median(memory[-third:]) - statistics.median(memory[third : 2 * third] or memory)
    left = await settled(stage.gateway.program.descriptors, descriptors + 8) - descriptors
    return [
        Row("answers with somebody else's identity", f"{counts['wrong']} of {counts['asked']}", "0",
            counts["wrong"] == 0 and counts["asked"] > 100),
        Row("memory, last third against the one before", f"{growth:+.0f} KiB", "under 4,096 KiB", growth < 4096),
        Row("descriptors more than at the start", f"{left}", "at most 16", left <= 16),
    ]
