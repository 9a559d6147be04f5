"""Scenes of ten thousand clients at once. Others are served meanwhile, and everything comes back afterwards."""

import asyncio
import json
import statistics
import sys
import time
from dataclasses import asdict
from pathlib import Path

from .client import Connection, Visitor
from .crowd import Kind, Result
from .programs import settled, until
from .scenes import Row, Stage

EACH = 10_000
CLOSED = {"heads": 25, "bodies": 45}
"""Seconds: the deadline (15 and 30) and room for a machine that is busy with ten thousand clients."""

LEFT = 16
"""Descriptors more than before the first crowd, once connections to the site that nobody needs are old enough to go."""

KEPT = 16
"""MiB resident more than before the first crowd, once the allocator has given back what nobody needs, in half a minute at most."""


class Crowd:
    """A crowd in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @staticmethod
    async def gather(stage: Stage, kinds: list[Kind], patience: float) -> "Crowd":
        """Waits until all are there."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "reliability.crowd", "127.0.0.1", str(stage.gateway.port), str(patience),
            cwd=Path(__file__).resolve().parents[1], stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )
        crowd = Crowd(process)
        try:
            process.stdin.write(json.dumps([asdict(kind) for kind in kinds]).encode() + b"\n")
            async with asyncio.timeout(60):
                said = await process.stdout.readline()
            assert said == b"open\n", said
        except BaseException:
            process.kill()
            raise
        return crowd

    async def result(self) -> Result:
        """Ends a crowd that holds; waits for the deadlines of one that does not."""
        self.process.stdin.close()
        try:
            async with asyncio.timeout(90):
                said = await self.process.stdout.read()
                await self.process.wait()
        except BaseException:
            self.process.kill()
            raise
        return Result(**json.loads(said))


class Probe:
    """Somebody who asks as everybody does, twenty times a second, and notes how long that takes."""

    def __init__(self, stage: Stage, visitor: Visitor) -> None:
        self.waits: list[float] = []
        self.lags: list[float] = []
        self.failed = 0
        self.running = asyncio.create_task(self._run(stage, visitor))

    async def _run(self, stage: Stage, visitor: Visitor) -> None:
        kept = Connection("127.0.0.1", stage.gateway.port)
        try:
            await self._ask(stage, visitor, kept)
        finally:
            kept.close()

    async def _ask(self, stage: Stage, visitor: Visitor, kept: Connection) -> None:
        while True:
            # In turns on a connection that is there and on a new one: both must be served.
            connection = kept if len(self.waits) % 2 else Connection("127.0.0.1", stage.gateway.port)
            asked = time.monotonic()
            answer = await connection.ask("/", {"Cookie": visitor.cookie})
            self.waits.append(time.monotonic() - asked)
            self.failed += answer.status != 200
            if connection is not kept:
                connection.close()
            slept = time.monotonic()
            await asyncio.sleep(0.05)
            self.lags.append(time.monotonic() - slept - 0.05)

    async def row(self, whom: str) -> Row:
        """Ends it. An exception of the probe is a failure of the scene.

        A machine that is busy with other things wakes this process late, and an answer needs two wakings, at the site and
        here. That is not the gateway's time: it is measured beside, and the goal is that much higher.
        """
        # Often enough that one slow answer is not yet a hundredth of all.
        await until("the probe has asked", lambda: len(self.waits) > 110 or self.running.done(), 60)
        if self.running.done():
            await self.running
        self.running.cancel()
        late, lag = (statistics.quantiles(times, n=100)[98] * 1000 for times in (self.waits, self.lags))
        value = f"{late:.0f} ms, {self.failed} of {len(self.waits)} failed"
        goal = f"under 100 ms and the machine's own {2 * lag:.0f} ms, none"
        return Row(f"others beside {EACH:,} {whom}, 99th percentile", value, goal, late < 100 + 2 * lag and not self.failed)


async def crowds(stage: Stage) -> list[Row]:
    """Idle connections, slow heads, slow bodies, and idle connections again, of one program."""
    stage.gateway.program.end()
    stage.gateway.more["server"] = "max_connections = 12000"
    await stage.gateway.start()
    [visitor] = await stage.log_in(1)
    program = stage.gateway.program
    descriptors, resident = program.descriptors(), program.resident_kib()
    each, rows = await idle(stage, visitor, resident)
    left = [await settled(program.descriptors, descriptors + LEFT // 2) - descriptors]
    host = f"Host: 127.0.0.1:{stage.gateway.port}\r\nCookie: {visitor.cookie}\r\n"
    for name, kinds, wanted in [slow_heads(), slow_bodies(stage, host)]:
        rows += await slow(stage, visitor, name, kinds, wanted)
        left.append(await settled(program.descriptors, descriptors + LEFT // 2) - descriptors)
    peak = program.peak_kib()
    await idle(stage, visitor, resident)
    left.append(await settled(program.descriptors, descriptors + LEFT // 2) - descriptors)
    more = (program.peak_kib() - peak) / 1024
    kept = await settled(program.resident_kib, resident + KEPT * 512)
    return [
        Row(f"memory for each of {EACH:,} idle connections, after one request", f"{each:.1f} KiB", "under 26 KiB", each < 26),
        *rows,
        Row("descriptors left behind by each of the four crowds", ", ".join(map(str, left)), f"at most {LEFT}", max(left) <= LEFT),
        Row("memory before the first crowd, and soon after the last", f"{resident / 1024:.0f} MiB, {kept / 1024:.0f} MiB",
            f"at most {KEPT} MiB more", kept <= resident + KEPT * 1024),
        Row("memory that the last crowd needs beyond those before it", f"{more:.1f} MiB", "under 16 MiB", more < 16),
    ]


def slow_heads() -> tuple[str, list[Kind], dict[str, int]]:
    """A byte of a head now and then: closed when the head should have been there."""
    head = "GET / HTTP/1.1\r\nHost: x\r\n"
    return "heads", [Kind(EACH, head, drip="a" * 40)], {"none": EACH}


def slow_bodies(stage: Stage, host: str) -> tuple[str, list[Kind], dict[str, int]]:
    """Bodies that stop are 408, on the way to the site and at an endpoint of ours; one that comes slowly, but comes, is served."""
    to_site = f"POST / HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: 5\r\n\r\n"
    form = "Content-Type: application/x-www-form-urlencoded\r\n"
    to_us = f"POST /_wxgate/logout HTTP/1.1\r\n{host}Origin: {stage.gateway.url}\r\n{form}Content-Length: 99\r\n\r\n"
    stopped, dripping = EACH // 4, EACH // 4
    kinds = [Kind(stopped, to_site + "x"), Kind(dripping, to_site, drip="x" * 5), Kind(EACH // 2, to_us + "x")]
    return "bodies", kinds, {"408": EACH - dripping, "200": dripping}


async def slow(stage: Stage, visitor: Visitor, name: str, kinds: list[Kind], wanted: dict[str, int]) -> list[Row]:
    """The crowd is closed by its deadline, each client with the answer it should get."""
    descriptors = stage.gateway.program.descriptors()
    probe = Probe(stage, visitor)
    crowd = await Crowd.gather(stage, kinds, patience=60)
    await until("all are inside", lambda: stage.gateway.program.descriptors() > descriptors + EACH - 100)
    result = await crowd.result()
    row = await probe.row(f"slow {name}")
    met = result.longest < CLOSED[name] and not result.left and result.answers == wanted
    value = f"{result.longest:.0f} s at most" if met else f"{result.longest:.0f} s, {result.answers}, {result.left} left"
    return [Row(f"{EACH:,} slow {name} are closed", value, f"by {CLOSED[name]} s", met), row]


async def idle(stage: Stage, visitor: Visitor, resident: int) -> tuple[float, list[Row]]:
    """What an idle keep-alive connection costs, in KiB, and that it costs nobody else anything."""
    program = stage.gateway.program
    descriptors = program.descriptors()
    ask = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{stage.gateway.port}\r\nCookie: {visitor.cookie}\r\n\r\n"
    crowd = await Crowd.gather(stage, [Kind(EACH, ask, holds=True)], patience=60)
    each = (program.resident_kib() - resident) / EACH
    probe = Probe(stage, visitor)
    row = await probe.row("idle connections")
    inside = program.descriptors() - descriptors
    result = await crowd.result()
    assert inside > EACH - 100 and result.answers == {"200": EACH} and result.left == EACH, (inside, result)
    return each, [row]
