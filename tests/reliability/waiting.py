"""A scene of many people who look at a QR code."""

import asyncio
import re
import time

from .client import Connection
from .programs import settled, until
from .scenes import Row, Stage

DESKTOP = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
PAGES, PLACES = 5_000, 4_096
# Codes live two minutes, so all waves leave theirs behind for as long as we look: some hundred bytes each.
WAVES, KEPT = 7, 48


async def scan_pages(stage: Stage) -> list[Row]:
    """5,000 pages wait for somebody to scan their code: 4,096 are held open, the others come back; nothing is left behind."""
    answered, each = await wave(stage)
    return [
        Row(f"of {PAGES} pages that wait for a scan, asked to come back", f"{answered}", f"{PAGES - PLACES}",
            answered == PAGES - PLACES),
        Row(f"memory for each of {PAGES} pages that wait for a scan", f"{each:.1f} KiB", "under 40 KiB", each < 40),
    ]


async def scan_waves(stage: Stage) -> list[Row]:
    """Wave after wave of such pages, each gone before the next one: what they took goes back to the system."""
    program = stage.gateway.program
    before, descriptors = program.resident_kib(), []
    for _ in range(WAVES):
        await wave(stage)
        descriptors.append(program.descriptors())
    kept = await settled(program.resident_kib, before + KEPT * 512)
    return [
        Row(f"memory before the first of {WAVES} waves of {PAGES} such pages, and soon after the last",
            f"{before / 1024:.0f} MiB, {kept / 1024:.0f} MiB", f"at most {KEPT} MiB more", kept <= before + KEPT * 1024),
        Row("descriptors after the last wave", f"{descriptors[-1]}, {descriptors[0]} after the first", "no more",
            descriptors[-1] <= descriptors[0] + 10),
    ]


async def wave(stage: Stage) -> tuple[int, float]:
    """All pages wait at once and go away again: how many were asked to come back, and what each one takes, in KiB."""
    pages = [await page for start in range(0, PAGES, 50) for page in asyncio.as_completed(draw(stage, 50, start))]
    program = stage.gateway.program
    descriptors, before = program.descriptors(), program.resident_kib()
    connections = [Connection("127.0.0.1", stage.gateway.port, agent=DESKTOP) for _ in pages]
    waiting = []
    for start in range(0, PAGES, 100):
        pairs = list(zip(connections, pages, strict=True))[start : start + 100]
        waiting += [asyncio.ensure_future(wait(*pair)) for pair in pairs]
        await asyncio.sleep(0)
    began = time.monotonic()
    while sum(one.done() for one in waiting) < PAGES - PLACES and time.monotonic() - began < 15:
        await asyncio.sleep(0.05)
    # Whoever found no place was answered; the others are held, and stay held.
    await asyncio.sleep(1)
    each = (program.resident_kib() - before) / PAGES
    answered = sum(one.done() for one in waiting)
    wrong = [one.result() for one in waiting if one.done() and one.result() != 5]
    assert not wrong, wrong[:3]
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    for connection in connections:
        connection.close()
    await until("descriptors are given back", lambda: program.descriptors() <= descriptors + 60)
    return answered, each


def draw(stage: Stage, count: int, start: int):
    return [code(stage, start + number) for number in range(count)]


async def code(stage: Stage, number: int) -> tuple[str, str]:
    """A browser of its own draws a code: its cookie, and the code's public id."""
    connection = Connection("127.0.0.1", stage.gateway.port, agent=DESKTOP)
    answer = await connection.ask(f"/_wxgate/scan?to=%2F{number}", {"Accept": "text/html"})
    connection.close()
    assert answer.status == 200, answer.status
    [cookie] = [cookie for cookie in answer.all("set-cookie") if cookie.startswith("wxgate-scan=")]
    return cookie.partition(";")[0], re.search(rb"status\?id=(\w{22})", answer.body)[1].decode()


async def wait(connection: Connection, page: tuple[str, str]) -> int:
    """Asks for news as the page's script does; when to come back, in seconds."""
    cookie, name = page
    target = f"/_wxgate/scan/status?id={name}&seen=waiting"
    answer = await connection.ask(target, {"Cookie": cookie, "Accept": "*/*"}, patience=60)
    assert answer.status == 200, answer.status
    return int((answer.all("retry-after") or ["0"])[0])
