"""The application behind the gateway: tells whose request it got, counts, and misbehaves when its path says so."""

import asyncio
import random
from collections import Counter


class Origin:
    """Answers `who=<openid>` and a body of known length. `/broken` resets, cuts or hangs up at random."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.seen: Counter[str] = Counter()
        self.server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> "Origin":
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        length = int(headers.get("content-length", 0))
        if length:
            await reader.readexactly(length)
        mark = headers.get("x-mark")
        if mark:
            self.seen[mark] += 1
        body = f"who={headers.get('x-wechat-openid', '')}".encode() + b"." * 900
        answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        if "/broken" in line:
            fault = self.random.randrange(6)
            if fault == 0:
                writer.transport.abort()
                return False
            if fault == 1:
                writer.write(answer[: len(answer) // 2])
                await writer.drain()
                return False
            if fault == 2:
                writer.write(answer)
                await writer.drain()
                return False
        writer.write(answer)
        await writer.drain()
        return True

    def stop(self) -> None:
        if self.server:
            self.server.close()
