"""What a service manager hears of a gateway, and gives it: sd_notify(3), sd_listen_fds(3)."""

import os
import signal
import socket
import subprocess

import pytest
import requests

from clients import open_session
from conftest import SLUICE

ECHO = "installed_apps: [echo]\nserver: {bind: BIND}\napplications: {main: {websocket: [{path: ws/echo/, consumer: echo}]}}\n"


class Manager:
    """A service manager: a socket to which the gateway sends what it does."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(10)
        self.environment = {"NOTIFY_SOCKET": str(path)}

    def hears(self, *wanted: str) -> dict[str, str]:
        """Waits for a message with all of these assignments; statuses in between are passed over."""
        while True:
            said = self.socket.recv(4096).decode().splitlines()
            if set(wanted) <= set(said):
                return dict(line.split("=", 1) for line in said)
            assert all(line.startswith(("STATUS=", "WATCHDOG=")) for line in said), said


@pytest.fixture
def manager(tmp_path):
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.socket.close()


def test_the_manager_hears_of_the_start_a_reload_and_the_stop(start, manager, tmp_path):
    gateway = start(env=manager.environment)
    assert "listening" in manager.hears("READY=1")["STATUS"]
    with open_session(gateway.port, "/ws/echo/"):
        gateway.process.send_signal(signal.SIGHUP)
        began = manager.hears("RELOADING=1")
        assert int(began["MONOTONIC_USEC"]) > 0
        assert "listening" in manager.hears("READY=1")["STATUS"]
        # A file with a mistake is a reload that is over, too; the status says what came of it.
        (tmp_path / "routes0.yaml").write_text("nonsense: true\n")
        gateway.process.send_signal(signal.SIGHUP)
        manager.hears("RELOADING=1")
        assert "refused" in manager.hears("READY=1")["STATUS"]
        gateway.process.send_signal(signal.SIGTERM)
        assert "1 session" in manager.hears("STOPPING=1")["STATUS"]


def test_the_watchdog_is_fed_until_the_end(start, manager):
    gateway = start(env=manager.environment | {"WATCHDOG_USEC": "200000"})
    manager.hears("READY=1")
    for _ in range(5):
        manager.hears("WATCHDOG=1")
    assert gateway.stop() == 0


def serve_on(tmp_path, bind, *sockets: socket.socket) -> subprocess.Popen:
    """Starts a gateway as systemd does for a socket unit: with the sockets as its descriptors from 3 on."""
    file = tmp_path / "routes.yaml"
    file.write_text(ECHO.replace("BIND", bind))

    def place():
        # Out of the way first, so that none of them is replaced before it was moved.
        kept = [os.dup(each.fileno()) for each in sockets]
        high = [os.dup2(each, 100 + place) for place, each in enumerate(kept)]
        for number, each in enumerate(high):
            os.dup2(each, 3 + number)

    # The shell says its own number, and becomes the gateway.
    return subprocess.Popen(
        ["bash", "-c", f'export LISTEN_PID=$$ LISTEN_FDS={len(sockets)}; exec "$0" serve "$1"', SLUICE, file],
        stderr=subprocess.PIPE, text=True, preexec_fn=place, close_fds=False,
    )


def test_sockets_that_were_opened_before_are_used(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        path, port = tmp_path / "web.sock", tcp.getsockname()[1]
        unix.bind(str(path))
        unix.listen()
        # A client that came before the gateway did.
        early = socket.create_connection(("127.0.0.1", port), timeout=10)
        early.sendall(b"GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        process = serve_on(tmp_path, f'["127.0.0.1:{port}", "unix:{path}"]', tcp, unix)
        try:
            assert early.recv(4096).startswith(b"HTTP/1.1 404")
            with open_session(port, "/ws/echo/"):
                pass
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                client.sendall(b"GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                assert client.recv(4096).startswith(b"HTTP/1.1 404")
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        # It belongs to whoever has opened it: the next gateway finds it, and a client waits meanwhile.
        assert path.exists()
        late = socket.create_connection(("127.0.0.1", port), timeout=10)
        late.sendall(b"GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        process = serve_on(tmp_path, f'["127.0.0.1:{port}", "unix:{path}"]', tcp, unix)
        try:
            assert late.recv(4096).startswith(b"HTTP/1.1 404")
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0


def test_a_socket_that_no_address_has_is_an_error(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        port = tcp.getsockname()[1]
        process = serve_on(tmp_path, '"127.0.0.1:0"', tcp)
        assert process.wait(20) == 1
        said = process.stderr.read()
        assert f"127.0.0.1:{port}" in said and "server.bind" in said, said


def test_an_address_that_the_manager_holds_is_not_given_up(tmp_path, tmp_path_factory, monkeypatch):
    """The manager would keep its socket open: clients would connect, and nobody would answer them; and the next start would fail."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path_factory.mktemp("r")))
    monkeypatch.setenv("LISTEN_FDNAMES", "sluice.socket")
    file = tmp_path / "routes.yaml"

    def sluice(command: str) -> subprocess.CompletedProcess:
        return subprocess.run([SLUICE, command, file], capture_output=True, text=True, timeout=60)

    with socket.create_server(("127.0.0.1", 0)) as tcp:
        port = tcp.getsockname()[1]
        process = serve_on(tmp_path, f'"127.0.0.1:{port}"', tcp)
        try:
            early = socket.create_connection(("127.0.0.1", port), timeout=10)
            early.sendall(b"GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert early.recv(4096).startswith(b"HTTP/1.1 404")
            # Also where something else in the file needs an upgrade.
            for more in ("", ", threads: 1"):
                file.write_text(ECHO.replace("{bind: BIND}", '{bind: "127.0.0.1:0"' + more + "}"))
                for command in ("plan", "reload", "upgrade"):
                    done = sluice(command)
                    assert done.returncode == 1, (command, done)
                    said = f"server.bind has 127.0.0.1:{port} no more, and sluice.socket holds a socket for it"
                    assert said in done.stdout + done.stderr, (command, done)
            # One more address is no harm.
            file.write_text(ECHO.replace("BIND", f'["127.0.0.1:{port}", "127.0.0.1:0"]'))
            assert sluice("reload").returncode == 0
            assert sluice("upgrade").returncode == 0
            file.write_text(ECHO.replace("BIND", '"127.0.0.1:0"'))
            assert "sluice.socket holds a socket for it" in sluice("reload").stderr
            with open_session(port, "/ws/echo/"):
                pass
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
