"""Unix sockets: who may connect to those of the gateway, and upstreams on Unix sockets."""

import os
import socket
import socketserver
import stat
import threading

import pytest

from clients import connect, handshake, read_head
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
    wait_until(lambda: any("only processes of this user can connect" in line for line in gateway.log))
    line = next(line for line in gateway.log if "only processes of this user" in line)
    assert "mode=0755" in line and 'mode: \\"0660\\"' in line
