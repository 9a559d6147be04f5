"""Scenes in which the machine itself gives out: descriptors, disk, clock, processor."""

import asyncio
import os
import re
import resource
import statistics
import time

from .client import Connection, Visitor
from .programs import FastSite, until
from .scenes import Row, Stage


async def descriptors_used_up(stage: Stage) -> list[Row]:
    """More clients than descriptors: the processor stays calm, those inside are served, and it recovers by itself."""
    [visitor] = await stage.log_in(1)
    stage.gateway.program.end()
    await stage.gateway.start(before="ulimit -n 96;")
    inside = Connection("127.0.0.1", stage.gateway.port)
    await inside.ask("/", {"Cookie": visitor.cookie})
    descriptors = stage.gateway.program.descriptors()
    crowd = [await asyncio.open_connection("127.0.0.1", stage.gateway.port) for _ in range(200)]
    began, cpu = time.monotonic(), stage.gateway.program.cpu_seconds()
    served = 0
    while time.monotonic() - began < 3:
        served += (await inside.ask("/", {"Cookie": visitor.cookie})).status == 200
        await asyncio.sleep(0.1)
    share = (stage.gateway.program.cpu_seconds() - cpu) / (time.monotonic() - began)
    for _, writer in crowd:
        writer.transport.abort()
    freed = time.monotonic()
    answer = await Connection("127.0.0.1", stage.gateway.port).ask("/", {"Cookie": visitor.cookie})
    back = time.monotonic() - freed
    await until("descriptors are given back", lambda: stage.gateway.program.descriptors() <= descriptors + 4)
    return [
        Row("processor while descriptors are used up", f"{share:.0%}", "under 10 %", share < 0.1 and served > 20),
        Row("served again after they are freed", f"{back:.2f} s", "under 1.5 s", back < 1.5 and answer.status == 200),
    ]


async def disk_full(stage: Stage) -> list[Row]:
    """The disk of log and state is full: requests go on, and a logout says that it failed instead of pretending. Then there is room again."""
    [visitor] = await stage.log_in(1)
    stage.gateway.program.end()
    stage.gateway.more["log"] = "/dev/full"
    # The program sees an error, not a signal.
    await stage.gateway.start(before="trap '' XFSZ;")
    process = stage.gateway.program.process.pid
    _, most = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (1, most))
    good = 0
    for _ in range(50):
        good += (await Connection("127.0.0.1", stage.gateway.port).ask("/", {"Cookie": visitor.cookie})).status == 200
    said = [await log_out(stage, visitor)]
    resource.prlimit(process, resource.RLIMIT_FSIZE, (most, most))
    said += [await log_out(stage, visitor)]
    answer = await Connection("127.0.0.1", stage.gateway.port).ask("/", {"Cookie": visitor.cookie})
    said += [answer.status]
    return [
        Row("requests served with a full disk for log and state", f"{good} of 50", "all", good == 50),
        Row("a logout without room, with room, and a visit after it", ", ".join(map(str, said)), "503, 200, 401",
            said == [503, 200, 401]),
    ]


async def log_out(stage: Stage, visitor: Visitor) -> int:
    """The status of the answer."""
    headers = {"Cookie": visitor.cookie, "Origin": stage.gateway.url}
    return (await Connection("127.0.0.1", stage.gateway.port).ask("/_wxgate/logout", headers, body=b"")).status


async def clock_jumps(stage: Stage) -> list[Row]:
    """The wall clock jumps an hour forth and back: nobody is logged out, no timer fires early."""
    [visitor] = await stage.log_in(1)
    library = next((path for path in FAKE_TIME if os.path.exists(path)), None)
    if library is None:
        raise RuntimeError("libfaketime is missing: apt-get install libfaketime")
    stage.gateway.program.end()
    stamp = stage.folder / "faketime"
    stamp.write_text("+0s\n")
    # Monotonic time goes on as it does when an operator sets the clock.
    before = (
        f"export LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={stamp} FAKETIME_NO_CACHE=1 "
        "FAKETIME_DONT_FAKE_MONOTONIC=1;"
    )
    await stage.gateway.start(before=before)
    good, asked = 0, 0
    open_connection = Connection("127.0.0.1", stage.gateway.port)
    for offset in ["+0s", "+3600s", "+0s", "-3600s", "+0s"]:
        stamp.write_text(offset + "\n")
        for connection in [open_connection, Connection("127.0.0.1", stage.gateway.port)]:
            asked += 1
            good += (await connection.ask("/", {"Cookie": visitor.cookie})).status == 200
    return [Row("sessions over clock jumps of an hour", f"{good} of {asked} served", "all", good == asked)]


FAKE_TIME = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
]


async def overload(stage: Stage) -> list[Row]:
    """Many more clients than it can take: what it answers does not collapse, and nothing is an error."""
    [visitor] = await stage.log_in(1)
    site = FastSite(stage.folder)
    try:
        await until("the site listens", site.listens)
        await stage.gateway.reload(f'[[routes]]\npath = "/fast"\nupstream = "http://127.0.0.1:{site.port}"')
        # Both below `max_idle` of the upstream, so that neither has to connect anew for each request. In turns, because what
        # else the machine does must hit both.
        pairs = [[await rate(stage, visitor.cookie, clients) for clients in (16, 240)] for _ in range(5)]
    finally:
        site.end()
    kept = statistics.median(many / few for few, many in pairs)
    # Every connection has memory of its own, of which a small machine's caches hold less when there are many: 78 to 98 % were
    # seen, for that alone. What must not be is a collapse.
    return [Row("answers at 15 times the clients, as a share", f"{kept:.0%}", "at least 60 %", kept >= 0.6)]


async def rate(stage: Stage, cookie: str, clients: int) -> float:
    """Answers a second; anything but answers of 200 is an error."""
    command = ["wrk", "-t1", "-c", str(clients), "-d", f"{max(2, round(stage.seconds / 2))}s"]
    command += ["--timeout", "10s", "-H", f"Cookie: {cookie}", f"{stage.gateway.url}/fast"]
    running = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said = (await running.communicate())[0].decode()
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"{clients} clients: {said}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])
