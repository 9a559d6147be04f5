"""Many clients in a process of their own: both ends of a connection count against a limit of descriptors.

    python -m reliability.crowd HOST PORT PATIENCE    with a list of `Kind`s as JSON on standard input

Says `open` on a line of its own when every client has connected and sent its first bytes (and, where it asks for an answer
at once, got it). Then it waits until the other side has closed all of them, or, where they hold, for the end of standard
input. Ends with one line of JSON: `Result`.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field


@dataclass
class Kind:
    """So many clients that behave alike."""

    count: int
    first: str
    """Sent at once."""
    drip: str = ""
    """Then sent a byte at a time, one each 2.5 s."""
    holds: bool = False
    """Wait for one answer before saying `open`, and keep the connection."""


@dataclass
class Result:
    answers: dict[str, int] = field(default_factory=dict)
    """Statuses of the first answers, `none` for connections that ended without."""
    longest: float = 0.0
    """The longest time from connecting to being closed, in seconds."""
    left: int = 0
    """Connections that were still open at the end."""


class Client(asyncio.Protocol):
    def __init__(self, kind: Kind) -> None:
        self.kind, self.dripped = kind, 0
        self.began, self.took = time.monotonic(), 0.0
        self.status = "none"
        self.answered = asyncio.get_running_loop().create_future() if kind.holds else None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        transport.write(self.kind.first.encode())

    def data_received(self, received: bytes) -> None:
        if self.status == "none":
            self.status = received[9:12].decode()
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self.took = time.monotonic() - self.began
        self.transport = None
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(None)

    def drip(self) -> None:
        if self.transport is not None and self.dripped < len(self.kind.drip):
            self.transport.write(self.kind.drip[self.dripped].encode())
            self.dripped += 1


async def connect(host: str, port: int, kinds: list[Kind]) -> list[Client]:
    """Not all at once: a listener's queue is short."""
    loop = asyncio.get_running_loop()
    every = [kind for kind in kinds for _ in range(kind.count)]
    clients = []
    for start in range(0, len(every), 100):
        made = [loop.create_connection(lambda kind=kind: Client(kind), host, port) for kind in every[start : start + 100]]
        batch = [client for _, client in await asyncio.gather(*made)]
        await asyncio.gather(*(client.answered for client in batch if client.answered is not None))
        clients += batch
    return clients


async def main(host: str, port: int, patience: float) -> None:
    kinds = [Kind(**kind) for kind in json.loads(sys.stdin.readline())]
    clients = await connect(host, port, kinds)
    print("open", flush=True)
    if any(kind.holds for kind in kinds):
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    else:
        ends = time.monotonic() + patience
        while time.monotonic() < ends and any(client.transport for client in clients):
            pause = asyncio.create_task(asyncio.sleep(2.5))
            for client in clients:
                client.drip()
            await pause
    result = Result(dict(Counter(client.status for client in clients)))
    result.longest = max(client.took for client in clients)
    result.left = sum(client.transport is not None for client in clients)
    print(json.dumps(asdict(result)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
