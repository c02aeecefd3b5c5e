"""Starts the release binary for each test that asks for it, on a port of the system's choice."""

import atexit
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import pytest

pytest_plugins = ["browser", "redis_stack", "views"]

ROOT = pathlib.Path(__file__).resolve().parents[2]
SLUICE = os.environ.get("SLUICE", str(ROOT / ".build/release/sluice"))
ARTEFACTS = pathlib.Path(os.environ.get("ARTEFACTS", ROOT / ".build/interop"))

# Gateways and commands find each other there, and leave nothing behind on the machine.
os.environ["RUNTIME_DIRECTORY"] = tempfile.mkdtemp(prefix="sluice-")
atexit.register(shutil.rmtree, os.environ["RUNTIME_DIRECTORY"], True)

DEFAULT = """
installed_apps: [echo, chat, broadcast]
channel_layers: {default: {backend: memory}}
LIMITS
applications:
  main:
    http:
      - {path: health/live, health: live}
      - {path: health/ready, health: ready}
      - {path: hello/, respond: hello}
      - {path: "old/<slug:x>/", redirect: "/new/{x}/"}
    websocket:
      - {path: ws/echo/, consumer: echo, subprotocols: [v2, v1]}
      - {path: "ws/chat/<slug:room>/", consumer: chat, group: "chat_{room}"}
      - {path: ws/news/, consumer: broadcast, group: news}
      - {path: ws/deflated/, consumer: echo, compression: true}
      - {path: ws/news/deflated/, consumer: broadcast, group: news, compression: true}
"""


class Gateway:
    """A running `sluice serve`; its log is collected line by line."""

    def __init__(
        self,
        file: pathlib.Path,
        bind: str | None = "127.0.0.1:0",
        env: dict | None = None,
        arguments: tuple = (),
        cwd: pathlib.Path = ROOT,
    ):
        """With `bind=None` the addresses come from the file. The arguments stand behind it."""
        self.log: list[str] = []
        self._listening = threading.Event()
        self.process = subprocess.Popen(
            [SLUICE, "serve", str(file), *(["--bind", bind] if bind else []), *map(str, arguments)],
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env={**os.environ, **(env or {})},
        )
        self.port = 0
        self.secure_port = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._listening.wait(20), "\n".join(self.log)
        assert self.port or (bind or "unix:").startswith("unix:"), "\n".join(self.log)

    def _read(self) -> None:
        for line in self.process.stderr:
            self.log.append(line.rstrip())
            if found := re.search(r"listening on (?:https://[^\s]*:(\d+))", line):
                self.secure_port = int(found[1])
                self.port = self.port or self.secure_port
                self._listening.set()
            elif found := re.search(r"listening on (?:http://[^\s]*:(\d+)|unix:)", line):
                self.port = int(found[1] or 0)
                self._listening.set()
        self._listening.set()

    def ws(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    def http(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def resident_kib(self) -> int:
        return self.status_kib("VmRSS")

    @property
    def most_resident_kib(self) -> int:
        return self.status_kib("VmHWM")

    def status_kib(self, name: str) -> int:
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{name}:\s+(\d+)", status)[1])

    @property
    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def line(self, *texts: str) -> str:
        """Waits for the first line with all these texts, because lines are written after the events that they report; without one, ""."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if found := next((line for line in list(self.log) if all(text in line for text in texts)), ""):
                return found
            time.sleep(0.01)
        return ""

    def says(self, *texts: str) -> bool:
        return self.line(*texts) != ""

    def stop(self, number: int = signal.SIGTERM, timeout: float = 20) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait(timeout)

    def wait(self, timeout: float = 20) -> int:
        """Waits for the end of the process, and for the last line of its log."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self._reader.join(5)
        return code


def pytest_configure(config):
    config.addinivalue_line("markers", "report(name): shows that what reports.py tells of other servers does not happen here")
    config.addinivalue_line("markers", "alone: measures, so that no other test may run beside it")


# The files that take longest, the longest first: one that begins last would be waited for while nothing else is left to do.
LONGEST = [
    "test_view_kills", "test_redis_crowd", "test_autobahn", "test_validate_connect", "test_reload_pairs", "test_upgrade", "test_view_ends",
    "test_redis_failures", "test_presence", "test_view_secrets",
]


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


def pytest_make_parametrize_id(val, argname):
    """Bytes may differ between processes, because they are masked or contain the time. Processes that share the tests must agree on test names."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture
def start(tmp_path):
    """Starts gateways: `start()` with the default file, `start(limits="limits: {...}")`, or `start(text=...)`."""
    running: list[Gateway] = []

    def begin(text: str = DEFAULT, limits: str = "", file: pathlib.Path | None = None, kind=Gateway, **options):
        if file is None:
            file = tmp_path / f"routes{len(running)}.yaml"
            file.write_text(text.replace("LIMITS", limits))
        gateway = kind(file, **options)
        running.append(gateway)
        return gateway

    yield begin
    # All of them at once, because each may wait for clients that a test left behind.
    for gateway in running:
        if gateway.process.poll() is None:
            gateway.process.send_signal(signal.SIGTERM)
    ends = [gateway.wait() for gateway in running]
    # One that a test has killed did not end by itself; nor did one that crashed, which nobody may have noticed.
    crashed = {-signal.SIGILL, -signal.SIGTRAP, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGFPE, -signal.SIGSEGV, -signal.SIGHUP}
    assert crashed.isdisjoint(ends), (ends, [gateway.log[-20:] for gateway in running])


@pytest.fixture
def gateway(start) -> Gateway:
    return start()
