"""What every server has: a process on a port of its own, pinned to the server's processor, in a folder of its own."""

import pathlib
import socket
import subprocess
import sys
import tempfile
import time
from importlib import metadata

import machine

SERVERS = pathlib.Path(__file__).resolve().parents[1] / "servers"
STARTING = 30


class CannotRun(Exception):
    """Why a server, or a load on it, could not run: one sentence for the table."""


class Server:
    name: str
    is_secure = False
    """Whether it speaks TLS."""
    is_alone = True
    """Whether the time of `pid` is all that its work takes."""
    echo = "/echo"
    news = "/news"

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="bench-")
        self.home = pathlib.Path(self.folder.name)
        self.port = machine.free_port()
        self.process: subprocess.Popen | None = None
        try:
            self.launch()
        except BaseException:
            self.stop()
            raise

    def launch(self) -> None:
        self.process = self.begin(self.command())
        self.wait_until_listening(self.process, self.port)

    def command(self) -> list:
        raise NotImplementedError

    def environment(self) -> dict[str, str] | None:
        return None

    @classmethod
    def version(cls) -> str:
        raise NotImplementedError

    @property
    def pid(self) -> int:
        """The process that has the connections."""
        return self.process.pid

    def url(self, path: str, scheme: str = "ws") -> str:
        """`scheme` is that without TLS: ws or http."""
        return f"{scheme}{'s' if self.is_secure else ''}://127.0.0.1:{self.port}{path}"

    def certify(self) -> tuple[pathlib.Path, pathlib.Path]:
        """The files of a certificate and of its key, new ones for this server."""
        certificate, key = self.home / "certificate.pem", self.home / "key.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        try:
            subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60)
        except FileNotFoundError as missing:
            raise CannotRun("openssl is not installed") from missing
        key.chmod(0o600)
        return certificate, key

    def begin(self, command: list, environment: dict[str, str] | None = None) -> subprocess.Popen:
        with open(self.home / "log", "ab") as log:
            try:
                return subprocess.Popen(
                    machine.pinned(machine.SERVER, command),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment or self.environment(),
                )
            except FileNotFoundError as missing:
                raise CannotRun(f"{missing.filename} is not installed") from missing

    def wait_until_listening(self, process: subprocess.Popen, port: int) -> None:
        deadline = time.monotonic() + STARTING
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise CannotRun(f"{self.name} ended with {process.returncode}: {self.last_words()}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise CannotRun(f"{self.name} did not listen within {STARTING} s: {self.last_words()}")

    def last_words(self) -> str:
        lines = (self.home / "log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def stop(self) -> None:
        end(self.process)
        self.folder.cleanup()


def end(process: subprocess.Popen | None) -> None:
    """Stops one process; what it does not do in time is done to it."""
    if process is None:
        return
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def python(*arguments) -> list:
    return [sys.executable, *arguments]


def distribution(name: str) -> str:
    return f"{name} {metadata.version(name)}"
