"""Scenes of trouble. Each returns rows: what was measured, its value, the goal, and whether it was met."""

import asyncio
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from .client import Answer, Connection, Lost, Visitor
from .origin import Origin
from .programs import Gateway, Simulator


@dataclass
class Row:
    what: str
    value: str
    goal: str
    met: bool


@dataclass
class Stage:
    """What every scene stands on."""

    folder: Path
    origin: Origin
    simulator: Simulator
    gateway: Gateway
    seconds: float

    async def log_in(self, count: int) -> list[Visitor]:
        visitors = [Visitor(self.gateway.url) for _ in range(count)]
        for visitor in visitors:
            answer = await visitor.get()
            if answer.status != 200 or not who(answer.body):
                raise AssertionError(f"login: {answer.status}")
        return visitors


def who(body: bytes) -> str:
    return body.split(b".", 1)[0].removeprefix(b"who=").decode()


@dataclass
class Load:
    """Keep-alive clients that ask as fast as they are answered and never try again."""

    stage: Stage
    visitor: Visitor
    answered: int = 0
    lost: int = 0
    refused: int = 0
    wrong: int = 0
    slowest: float = 0.0
    stopping: bool = False

    async def run(self, clients: int, target: str = "/") -> None:
        await asyncio.gather(*(self._client(target) for _ in range(clients)))

    async def _client(self, target: str) -> None:
        expected = None
        connection = Connection("127.0.0.1", self.stage.gateway.port)
        while not self.stopping:
            began = time.monotonic()
            try:
                answer = await connection.ask(target, {"Cookie": self.visitor.cookie})
            except Lost:
                self.lost += 1
                await asyncio.sleep(0.01)
                continue
            self.slowest = max(self.slowest, time.monotonic() - began)
            if answer.status != 200:
                self.refused += 1
                continue
            expected = expected or who(answer.body)
            self.answered += 1
            self.wrong += who(answer.body) != expected or not expected
        connection.close()


async def reloads(stage: Stage) -> list[Row]:
    """Every third file is broken; nobody notices any of them."""
    [visitor] = await stage.log_in(1)
    load = Load(stage, visitor)
    running = asyncio.create_task(load.run(30))
    done, ends = 0, time.monotonic() + stage.seconds
    while time.monotonic() < ends:
        if done % 3 == 2:
            await stage.gateway.reload("[[routes]]\nnonsense = 1", "configuration not reloaded")
        else:
            await stage.gateway.reload(f'[[routes]]\npath = "/new-{done}"\nauth = "public"\nupstream = "site"')
        done += 1
    load.stopping = True
    await running
    value = f"{load.lost + load.refused} of {load.answered} lost over {done} reloads"
    return [Row("requests lost while the configuration is reloaded", value, "0", load.lost + load.refused == 0)]


async def crash(stage: Stage) -> list[Row]:
    """`kill -9` under load; the same cookies are good afterwards."""
    visitors = await stage.log_in(20)
    load = Load(stage, visitors[0])
    running = asyncio.create_task(load.run(10))
    took = []
    for _ in range(5):
        stage.gateway.program.end(signal.SIGKILL)
        began = time.monotonic()
        await stage.gateway.start()
        took.append(time.monotonic() - began)
    load.stopping = True
    await running
    kept = 0
    for visitor in visitors:
        answer = await Connection("127.0.0.1", stage.gateway.port).ask("/", {"Cookie": visitor.cookie})
        kept += answer.status == 200
    return [
        Row("kill -9 until it serves again", f"{max(took):.2f} s at most", "under 1 s", max(took) < 1),
        Row("sessions kept over kill -9", f"{kept} of {len(visitors)}", "all", kept == len(visitors)),
    ]


async def wechat_away(stage: Stage) -> list[Row]:
    """WeChat hangs: who is logged in stays so, who is not gets an answer soon, and it recovers by itself."""
    [known] = await stage.log_in(1)
    waiting = [Visitor(stage.gateway.url) for _ in range(5)]
    callbacks = [await visitor.until_callback() for visitor in waiting]
    stage.simulator.program.send(signal.SIGSTOP)
    load = Load(stage, known)
    running = asyncio.create_task(load.run(5))

    async def come_back(visitor: Visitor, address: str) -> float:
        began = time.monotonic()
        answer = await visitor.follow(address, 1)
        assert isinstance(answer, Answer) and answer.status != 200, "a login without WeChat"
        return time.monotonic() - began

    took = await asyncio.gather(*map(come_back, waiting, callbacks))
    load.stopping = True
    await running
    stage.simulator.program.send(signal.SIGCONT)
    began = time.monotonic()
    await stage.log_in(1)
    back = time.monotonic() - began
    lost = load.lost + load.refused
    return [
        Row("sessions served while WeChat hangs", f"{lost} of {load.answered} lost", "0", lost == 0),
        Row("a login's answer while WeChat hangs", f"{max(took):.2f} s at most", "under 6 s", max(took) < 6),
        Row("first login after WeChat is back", f"{back:.2f} s", "under 5 s", back < 5),
    ]


async def broken_site(stage: Stage) -> list[Row]:
    """The application resets, cuts and hangs up: nothing is sent twice that must not be, nothing short looks whole."""
    [visitor] = await stage.log_in(1)
    short, answered, failed, sent = 0, 0, 0, 0
    ends = time.monotonic() + stage.seconds
    before = Connection("127.0.0.1", stage.gateway.port)
    expected = len((await before.ask("/", {"Cookie": visitor.cookie})).body)

    async def one(client: int) -> None:
        nonlocal short, answered, failed, sent
        connection = Connection("127.0.0.1", stage.gateway.port)
        number = 0
        while time.monotonic() < ends:
            number += 1
            sent += 1
            headers = {"Cookie": visitor.cookie, "X-Mark": f"{client}-{number}"}
            try:
                answer = await connection.ask("/broken", headers, body=b"once")
            except Lost:
                failed += 1
                continue
            answered += 1
            short += answer.status == 200 and len(answer.body) != expected

    await asyncio.gather(*(one(client) for client in range(10)))
    twice = sum(count - 1 for mark, count in stage.origin.seen.items() if count > 1)
    return [
        Row("POST sent twice by a broken upstream", f"{twice} of {sent}", "0", twice == 0),
        Row("short bodies that look whole", f"{short} of {answered}", "0", short == 0 and answered > 0),
    ]
