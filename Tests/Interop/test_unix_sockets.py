"""Unix sockets: who may connect to those of the gateway, and upstreams on Unix sockets."""

import os
import socket
import socketserver
import stat
import subprocess
import threading

import pytest

from clients import connect, handshake, read_head
from conftest import SLUICE
from redis_stack import wait_until
from test_trusted_proxies import Answers, answer, get, told

CONFIG = """
installed_apps: [echo, proxy]
server:
  trusted_proxies: unix
  bind: BIND
auth:
  django: {callback: {url: "unix:SOCKET:/auth/me/"}}
applications:
  main:
    http:
      - {path: nobody/, proxy: "unix:/nowhere/app.sock"}
      - {path: "api/<slug:x>/", proxy: {to: "unix:SOCKET:/v1/{x}/", host: upstream}}
      - {path: "", proxy: "unix:SOCKET"}
    websocket:
      - {path: ws/echo/, consumer: echo}
      - {path: ws/auth/, consumer: echo, auth: django}
      - {path: ws/nobody/, consumer: proxy, to: "unix:/nowhere/app.sock"}
      - {path: "<path:rest>", consumer: proxy, to: "unix:SOCKET"}
"""


class Mirror(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@pytest.fixture
def sockets(start, tmp_path):
    """Starts gateways in front of a server on a Unix socket, like gunicorn's."""
    place = str(tmp_path / "app.sock")
    with Mirror(place, Answers) as mirror:
        threading.Thread(target=mirror.serve_forever, daemon=True).start()

        def begin(bind="127.0.0.1:0"):
            return start(text=CONFIG.replace("SOCKET", place).replace("BIND", bind), bind=None)

        yield begin
        mirror.shutdown()


@pytest.mark.report("unix-upstream")
def test_a_server_behind_is_reached_by_its_socket(sockets):
    gateway = sockets()
    for request, status, line in (
        (get("/page/?x=1"), 200, "GET /page/?x=1 HTTP/1.1"),
        (get("/api/users/"), 200, "GET /v1/users/ HTTP/1.1"),
        (handshake("/page/", host="inside:8000"), 403, "GET /page/ HTTP/1.1"),
        (handshake("/ws/auth/", host="inside:8000"), 401, "GET /auth/me/ HTTP/1.1"),
    ):
        with connect(gateway.port) as sock:
            sock.sendall(request)
            got, head = answer(sock)
            assert (got, head.splitlines()[0]) == (status, line)
            assert f"host: {'localhost' if '/v1/' in line else 'inside:8000'}\n" in head.lower().replace("\r", "")
            assert told(head)["x-forwarded-for"] == "127.0.0.1"


def test_a_socket_that_is_not_there_is_named(sockets):
    gateway = sockets()
    for request in (get("/nobody/"), handshake("/ws/nobody/")):
        with connect(gateway.port) as sock:
            sock.sendall(request)
            assert answer(sock)[0] == 502
    wait_until(lambda: sum("upstream=unix:/nowhere/app.sock" in line for line in gateway.log) == 2)


@pytest.mark.report("unix-socket-mode")
def test_the_socket_of_the_gateway_lets_in_whom_the_file_says(sockets, tmp_path):
    place = str(tmp_path / "gateway.sock")
    gateway = sockets(f'{{address: "unix:{place}", mode: "0660", group: "{os.getgid()}"}}')
    assert stat.S_IMODE(os.stat(place).st_mode) == 0o660 and os.stat(place).st_gid == os.getgid()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(place)
        sock.sendall(get("/page/", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https"))
        assert told(answer(sock)[1])["x-forwarded-for"] == "203.0.113.7"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(place)
        sock.sendall(handshake("/ws/echo/"))
        assert "101" in read_head(sock)
    assert not any("only processes of this user" in line for line in gateway.log)


def test_a_socket_that_lets_nobody_else_in_is_said_at_the_start(sockets, tmp_path):
    gateway = sockets(f"unix:{tmp_path}/gateway.sock")
    line = gateway.line("only processes of this user can connect")
    assert "mode=0755" in line and 'mode: \\"0660\\"' in line


def test_a_socket_whose_file_was_removed_is_made_again(start, tmp_path, tmp_path_factory):
    env = {"RUNTIME_DIRECTORY": str(tmp_path_factory.mktemp("r"))}
    place, file = tmp_path / "web.sock", tmp_path / "routes.yaml"
    file.write_text(
        f'installed_apps: [echo]\nserver: {{bind: ["127.0.0.1:0", "unix:{place}"]}}\napplications: {{main: {{websocket: [{{path: ws/, consumer: echo}}]}}}}\n'
    )
    gateway = start(file=file, bind=None, env=env)
    for command in ("reload", "upgrade", "reload"):
        place.unlink()
        done = subprocess.run([SLUICE, command, file], capture_output=True, text=True, timeout=60, env={**os.environ, **env})
        assert done.returncode == 0, done
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(place))
            sock.sendall(get("/none/"))
            assert answer(sock)[0] == 404
    wait_until(lambda: sum(f"listening on unix:{place}" in line for line in gateway.log) == 4)
    assert not any("not listening on" in line for line in gateway.log)
    gateway.stop()
    assert not place.exists()


def test_an_upgrade_brings_socket_files_to_the_file(start, tmp_path, tmp_path_factory):
    """Also where no reload comes before it, as the history needs the new program. Another server's file stays."""
    env = {"RUNTIME_DIRECTORY": str(tmp_path_factory.mktemp("r"))}
    place, foreign, file = tmp_path / "web.sock", tmp_path / "foreign.sock", tmp_path / "routes.yaml"

    def write(options: str, messages: int) -> None:
        file.write_text(
            f'installed_apps: [chat]\nchannel_layers: {{default: {{backend: memory}}}}\n'
            f'server: {{bind: ["127.0.0.1:0", "unix:{foreign}", {{address: "unix:{place}"{options}}}]}}\n'
            f"applications: {{main: {{websocket: [{{path: ws/, consumer: chat, group: g, history: {{messages: {messages}}}}}]}}}}\n"
        )

    def sluice(command: str) -> None:
        done = subprocess.run([SLUICE, command, file], capture_output=True, text=True, timeout=60, env={**os.environ, **env})
        assert done.returncode == 0, done

    # Only root can give a file to any group.
    group = 1 if os.geteuid() == 0 else os.getegid()
    write(f', mode: "0666", group: "{group}"', 10)
    gateway = start(file=file, bind=None, env=env)
    assert (place.stat().st_mode & 0o777, place.stat().st_gid) == (0o666, group)
    # Moved and not removed, so that the other one is not given its number.
    foreign.rename(tmp_path / "moved.sock")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(foreign))
        other.listen()
        write(', mode: "0600"', 20)
        sluice("upgrade")
        assert (place.stat().st_mode & 0o777, place.stat().st_gid) == (0o600, os.getegid())
        write(f', mode: "0660", group: "{group}"', 20)
        sluice("reload")
        assert (place.stat().st_mode & 0o777, place.stat().st_gid) == (0o660, group)
        write(', mode: "0660"', 20)
        sluice("reload")
        assert (place.stat().st_mode & 0o777, place.stat().st_gid) == (0o660, os.getegid())
        gateway.stop()
        assert foreign.exists() and not place.exists()
