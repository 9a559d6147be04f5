"""HTTP/1.1 clients that never try again, so that a lost request is seen."""

import asyncio
from dataclasses import dataclass, field
from urllib.parse import urlsplit

AGENT = (
    "Mozilla/5.0 (Linux; Android 14; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
    "Chrome/126.0.6478.188 Mobile Safari/537.36 MicroMessenger/8.0.50.2701 Language/zh_CN"
)


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for found, value in self.headers if found == name]

    @property
    def closes(self) -> bool:
        return "close" in self.all("connection")


class Lost(Exception):
    """The connection ended without an answer, or within one."""


@dataclass
class Connection:
    """One keep-alive connection; opened when first used."""

    host: str
    port: int
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None
    agent: str = AGENT

    async def ask(
        self, target: str, headers: dict[str, str] | None = None, body: bytes | None = None, patience: float = 15
    ) -> Answer:
        method = "GET" if body is None else "POST"
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}:{self.port}", f"User-Agent: {self.agent}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        request = ("\r\n".join(lines) + "\r\n\r\n").encode() + (body or b"")
        try:
            async with asyncio.timeout(patience):
                if self.writer is None:
                    self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
                self.writer.write(request)
                answer = await self._answer()
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.close()
            raise Lost(f"{method} {target}: {error or type(error).__name__}") from error
        if answer.closes:
            self.close()
        return answer

    async def _answer(self) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.rstrip("\r\n").split("\r\n")
        headers = [(name.lower(), value) for name, _, value in (text.partition(": ") for text in fields)]
        answer = Answer(int(line.split(" ")[1]), headers, b"")
        if answer.all("transfer-encoding"):
            answer.body = await self._chunks()
        elif answer.all("content-length"):
            answer.body = await self.reader.readexactly(int(answer.all("content-length")[0]))
        return answer

    async def _chunks(self) -> bytes:
        body = b""
        while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readuntil(b"\r\n")
        return body

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


@dataclass
class Visitor:
    """A browser in WeChat with its cookies; follows redirects between gateway and simulator."""

    url: str
    cookies: dict[str, str] = field(default_factory=dict)

    async def get(self, target: str = "/", most: int = 8) -> Answer:
        """Follows redirects; raises `Lost` when a connection breaks."""
        answer = await self.follow(self.url + target, most)
        if isinstance(answer, str):
            raise Lost("more redirects than a login has")
        return answer

    async def until_callback(self, target: str = "/") -> str:
        """Begins a login and stops where WeChat sends the browser back: that address, not asked yet."""
        address = self.url + target
        while "/callback/" not in address:
            address = await self.follow(address, 1)
        return address

    async def follow(self, address: str, most: int) -> Answer | str:
        """The answer, or where to go on after so many redirects."""
        for _ in range(most):
            parts = urlsplit(address)
            connection = Connection(parts.hostname, parts.port)
            headers = {"Accept": "text/html"}
            if address.startswith(self.url):
                headers["Cookie"] = self.cookie
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            answer = await connection.ask(path or "/", headers)
            connection.close()
            for cookie in answer.all("set-cookie"):
                name, _, value = cookie.partition(";")[0].partition("=")
                self.cookies[name] = value
            if answer.status not in (302, 303):
                return answer
            location = answer.all("location")[0]
            address = location if "://" in location else self.url + location
        return address

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items() if value)
