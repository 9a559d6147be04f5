"""The real programs: `wxgate run` and `wxgate sim`, each in a folder of its own and ended with it."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

APP, SECRET = "wx0123456789abcdef", "0123456789abcdef0123456789abcdef"
FOLDER = Path(__file__).resolve().parents[2]
WXGATE = FOLDER / "target" / "release" / "wxgate"


async def until(what: str, done, patience: float = 20) -> float:
    """Asks again until it is so; how long that took, in seconds."""
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > patience:
            raise TimeoutError(f"{what}: not within {patience} s")
        await asyncio.sleep(0.005)
    return time.monotonic() - began


async def settled(measure, least: int, patience: float = 30) -> int:
    """What is measured once it is at most so much, or, where it does not get there, at the end of our patience."""
    try:
        await until("it is little enough", lambda: measure() <= least, patience)
    except TimeoutError:
        pass
    return measure()


class Program:
    """A process whose output goes to a file."""

    def __init__(self, arguments: list[str], folder: Path, name: str, before: str = "") -> None:
        self.output = folder / f"{name}.log"
        self.handle = self.output.open("ab")
        command = ["sh", "-c", f'{before} exec "$0" "$@"', str(WXGATE), *arguments]
        environment = {**os.environ, "SOAK_SECRET": SECRET}
        self.process = subprocess.Popen(command, stdout=self.handle, stderr=self.handle, env=environment)

    @property
    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM, patience: float = 40) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(patience)
        self.handle.close()
        return code

    def resident_kib(self) -> int:
        return self._memory("VmRSS")

    def peak_kib(self) -> int:
        """The most it was resident with so far."""
        return self._memory("VmHWM")

    def _memory(self, line: str) -> int:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{line}:\s+(\d+)", text)[1])

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Simulator:
    """A simulated WeChat that can go away and come back at the same address."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.address, self.program = folder, "127.0.0.1:0", None

    async def start(self) -> "Simulator":
        count = 0 if self.program is None else self.program.said.count("http://")
        self.program = Program(["sim", "--listen", self.address, "--app", f"{APP}:{SECRET}"], self.folder, "sim")
        await until("the simulator listens", lambda: self.program.said.count("http://") > count)
        self.address = re.findall(r"http://(127\.0\.0\.1:\d+)", self.program.said)[-1]
        return self

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def stop(self) -> None:
        if self.program is not None:
            self.program.end(signal.SIGKILL)


class Gateway:
    """`wxgate run` in front of an origin."""

    def __init__(self, folder: Path, origin: int, simulator: Simulator, **more: str) -> None:
        self.folder, self.origin, self.simulator, self.more = folder, origin, simulator, more
        self.port, self.program = 0, None
        self.config = folder / "config.toml"

    def write(self, extra: str = "") -> None:
        """`more` and `extra` are whole lines: `server`, `upstream`, and sections."""
        address = f"127.0.0.1:{self.port}"
        self.config.write_text(
            f'version = 1\nstate_dir = "{self.folder}/state"\n'
            f'[server]\npublic_url = "http://{address}"\nlisten = "{address}"\n{self.more.get("server", "")}\n'
            f'[wechat.main]\nkind = "service-account"\napp_id = "{APP}"\nsecret = "env:SOAK_SECRET"\n'
            f'[wechat_api]\nbase_url = "{self.simulator.url}"\nopen_url = "{self.simulator.url}"\ntimeout = "2s"\n'
            f'[rate_limit]\nlogin_start = "none"\ncallback = "none"\n'
            f'[access_log]\noutput = "{self.more.get("log", str(self.folder / "access.log"))}"\n'
            f'[admin]\nlisten = "127.0.0.1:0"\n'
            f'[upstreams.site]\nservers = ["http://127.0.0.1:{self.origin}"]\nkeep_alive = "5s"\n'
            f'[[routes]]\npath = "/"\nauth = "base"\nupstream = "site"\n{extra}\n'
        )
        self.config.chmod(0o600)

    async def start(self, before: str = "") -> "Gateway":
        if not self.port:
            self.port = free_port()
        self.write()
        times = 0 if self.program is None else self.program.said.count("ready in ")
        self.program = Program(["run", "--allow-simulator", "--config", str(self.config)], self.folder, "wxgate", before)
        await until("the gateway is ready", lambda: self.program.said.count("ready in ") > times)
        return self

    def stop(self) -> None:
        if self.program is not None:
            self.program.end(signal.SIGKILL)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def reload(self, extra: str, word: str = "configuration reloaded") -> None:
        times = self.program.said.count(word)
        self.write(extra)
        self.program.send(signal.SIGHUP)
        await until("the reload is done", lambda: self.program.said.count(word) > times)


class FastSite:
    """Debian's nginx with a page of 1 KiB: an application that is never the bottleneck."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        config = folder / "nginx.conf"
        config.write_text(
            f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\n"
            "events { worker_connections 4096; }\n"
            "http { access_log off; keepalive_requests 1000000000;\n"
            f'server {{ listen 127.0.0.1:{self.port} backlog=4096; location / {{ return 200 "{"x" * 1024}"; }} }} }}\n'
        )
        command = ["nginx", "-p", str(folder), "-c", str(config)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except ConnectionRefusedError:
            return False
        return True

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def free_port() -> int:
    """A port that nobody has now; the program that gets it binds it at once."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


def folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="wxgate-soak-")
