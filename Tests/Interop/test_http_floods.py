"""HTTP clients that send much and receive little: neither memory nor the waiting time of other clients grows with them."""

import contextlib
import json
import resource
import selectors
import socket
import statistics
import threading
import time

import pytest
import requests

from clients import connect, open_session, read_frame, read_head, status_of
from redis_stack import wait_until

# It measures.
pytestmark = pytest.mark.alone

TOKEN = "interop-token-0123456789"
ENV = {"PUBLISH_TOKEN": TOKEN}

ROUTES = """
installed_apps: [echo, chat, broadcast]
channel_layers: {default: {backend: memory}}
server: {threads: 2}
applications:
  main:
    http:
      - {path: health/live, health: live}
      - {path: health/ready, health: ready}
      - {path: hello/, respond: hello}
      - {path: api/publish/, publish: {groups: "*", token: {env: PUBLISH_TOKEN}, allow: [publish, groups]}}
      - {path: open/, publish: {groups: "news", anonymous: true}}
PROXY
    websocket:
      - {path: ws/echo/, consumer: echo}
      - {path: "ws/chat/<slug:room>/", consumer: chat, group: "chat_{room}"}
      - {path: ws/news/, consumer: broadcast, group: news}
"""


@pytest.fixture(scope="module", autouse=True)
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def routes(proxy: str = "") -> str:
    return ROUTES.replace("PROXY", proxy)


@pytest.fixture
def gateway(start):
    return start(text=routes(), env=ENV)


class Flood:
    """Connections that send the same bytes over and over, as far as the system accepts them, and read nothing."""

    def __init__(self, port: int, count: int, data: bytes, first: bytes = b""):
        self.sent, self._ends = 0, threading.Event()
        self._selector, self._data = selectors.DefaultSelector(), memoryview(data)
        self.sockets = [connect(port) for _ in range(count)]
        for sock in self.sockets:
            if first:
                sock.sendall(first)
            sock.setblocking(False)
            self._selector.register(sock, selectors.EVENT_WRITE, [0])
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def _send(self) -> None:
        while not self._ends.is_set():
            for key, _ in self._selector.select(0.05):
                try:
                    count = key.fileobj.send(self._data[key.data[0] :])
                except BlockingIOError:
                    continue
                except OSError:
                    self._selector.unregister(key.fileobj)
                    continue
                key.data[0] = (key.data[0] + count) % len(self._data)
                self.sent += count

    def end(self) -> None:
        self._ends.set()
        self._thread.join(5)
        for sock in self.sockets:
            sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def health_waits(gateway, seconds: float) -> list[float]:
    """How long health checks take, one after the other, each on a new connection. Seconds."""
    waits, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        assert status_of(gateway.port, b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") == 200
        waits.append(time.monotonic() - start)
        time.sleep(0.01)
    return waits


def shown(waits: list[float]) -> str:
    return f"median {statistics.median(waits) * 1000:.1f} ms, longest {max(waits) * 1000:.0f} ms of {len(waits)}"


def test_pipeliners_that_do_not_read_cost_little(gateway):
    quiet = health_waits(gateway, 1)
    before = gateway.resident_kib
    count = 300
    request = b"GET /hello/ HTTP/1.1\r\nHost: a\r\n\r\n"
    with Flood(gateway.port, count, request * 2000) as flood:
        under = health_waits(gateway, 4)
        sent = flood.sent
    peak = gateway.most_resident_kib
    wait_until(lambda: requests.get(gateway.http("/health/live"), timeout=20).ok)
    after = gateway.resident_kib
    print(f"\n{count} pipeliners sent {sent >> 20} MiB; memory {before >> 10} -> {peak >> 10} -> {after >> 10} MiB")
    print(f"health check in quiet: {shown(quiet)}; beside them: {shown(under)}")
    # The bytes that each may hold: what the reactor had read with the first request, one more read, one request, its answer.
    assert peak - before < count * 512


def publish_waits(gateway, seconds: float, path: str = "/api/publish/") -> list[float]:
    """How long the back end's own requests take, one after the other, each on a new connection. Seconds."""
    waits, end = [], time.monotonic() + seconds
    body = {"group": "news", "event": {"type": "broadcast.message", "text": "x"}}
    while time.monotonic() < end:
        start = time.monotonic()
        answer = requests.post(
            gateway.http(path), json=body, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20
        )
        waits.append(time.monotonic() - start)
        assert answer.status_code == 200, (answer.status_code, answer.text)
    return waits


def head_of_post(path: str, length: int | str, *fields: str) -> bytes:
    size = f"Content-Length: {length}" if isinstance(length, int) else f"Transfer-Encoding: {length}"
    lines = [f"POST {path} HTTP/1.1", "Host: a", "Content-Type: application/json", size, *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_bodies_that_do_not_come_keep_nobody_out(gateway):
    quiet = publish_waits(gateway, 0.5)
    before = gateway.resident_kib
    with contextlib.ExitStack() as stack:
        for number in range(600):
            sock = stack.enter_context(connect(gateway.port))
            sock.sendall(head_of_post("/open/", (1 << 20) if number % 2 else "chunked"))
        under = publish_waits(gateway, 1)
        # Not even other anonymous clients.
        open_waits = publish_waits(gateway, 0.5, "/open/")
        during = gateway.resident_kib
    print(f"\nthe back end publishes in quiet: {shown(quiet)}; beside 600 bodies that do not come: {shown(under)}")
    print(f"others on the open route: {shown(open_waits)}; memory {before >> 10} -> {during >> 10} MiB")
    assert during - before < 600 * 100


def test_bodies_that_trickle_take_their_own_memory_only(start):
    gateway = start(text=routes() + "limits: {body_memory: 16MiB}\n", env=ENV)
    publish_waits(gateway, 0.2)
    before = gateway.resident_kib
    refused = 0
    with contextlib.ExitStack() as stack:
        # All but the last byte: 64 of them would be 64 MiB.
        socks = []
        for _ in range(64):
            sock = stack.enter_context(connect(gateway.port))
            socks.append(sock)
            with contextlib.suppress(ConnectionError):
                sock.sendall(head_of_post("/open/", 1 << 20) + b" " * ((1 << 20) - 1))
        under = publish_waits(gateway, 0.5)
        during = gateway.most_resident_kib
        for sock in socks:
            sock.settimeout(0.01)
            with contextlib.suppress(TimeoutError, ConnectionError):
                head = read_head(sock)
                refused += head.startswith("HTTP/1.1 503 ") and "retry-after: 1" in head.lower()
    print(f"\nof 64 MiB of bodies without an end, {refused} were refused; memory {before >> 10} -> {during >> 10} MiB")
    print(f"the back end publishes beside them: {shown(under)}")
    # The part for anonymous clients is a quarter of the whole.
    assert refused >= 64 - 8
    assert during - before < 64 << 10
    # Once these clients are gone, there is room again.
    wait_until(lambda: requests.post(gateway.http("/open/"), json={
        "group": "news", "event": {"type": "broadcast.message", "text": "x" * 500_000}}, timeout=20).status_code == 200)


def test_a_list_of_many_groups_lets_sessions_have_their_turns(gateway):
    count = 2000
    with contextlib.ExitStack() as stack:
        echo = stack.enter_context(open_session(gateway.port, "/ws/echo/"))
        for number in range(count):
            stack.enter_context(open_session(gateway.port, f"/ws/chat/{number:05}/"))
        names, after = [], ""
        start = time.monotonic()
        while after is not None:
            page = requests.get(
                gateway.http(f"/api/publish/groups?prefix=chat_&limit=700&after={after}"),
                headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20,
            ).json()
            names += [entry["group"] for entry in page["groups"]]
            after = page["next"]
        print(f"\n{len(names)} groups in pages of 700: {(time.monotonic() - start) * 1000:.0f} ms")
        assert names == [f"chat_{number:05}" for number in range(count)]


def test_a_publish_flood_lets_health_checks_through(gateway):
    quiet = health_waits(gateway, 1)
    body = json.dumps({"group": "news", "event": {"type": "broadcast.message", "text": "x" * 200}}).encode()
    request = head_of_post("/open/", len(body)) + body
    with Flood(gateway.port, 50, request * 500) as flood:
        under = health_waits(gateway, 3)
    print(f"\nhealth check in quiet: {shown(quiet)}; beside 50 connections that publish: {shown(under)}")
    assert max(under) < 10


class Upstream:
    """Accepts connections, answers requests for `/bodies/down/` without end, and reads nothing of the others."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.connections: list[socket.socket] = []
        self._flooding: list[socket.socket] = []
        self._ends = threading.Event()
        self.sent = 0
        for work in (self._accept, self._send):
            threading.Thread(target=work, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(sock)
            sock.settimeout(20)
            first = sock.recv(18, socket.MSG_PEEK)
            if first.startswith(b"GET /bodies/small/"):
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nsmall")
                sock.shutdown(socket.SHUT_WR)
            elif first.startswith(b"GET /bodies/down/"):
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
                sock.setblocking(False)
                self._flooding.append(sock)

    def _send(self) -> None:
        data = bytes(1 << 16)
        while not self._ends.wait(0.01):
            for sock in list(self._flooding):
                with contextlib.suppress(OSError):
                    self.sent += sock.send(data)

    def close(self) -> None:
        self._ends.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for sock in self.connections:
            sock.close()


@pytest.mark.parametrize("kind", ["uploads", "downloads"])
def test_proxied_bodies_that_nobody_takes_hold_little(start, kind):
    upstream = Upstream()
    proxy = f"      - {{path: bodies/, proxy: {{to: \"http://127.0.0.1:{upstream.port}\", body: 1GiB}}}}"
    gateway = start(text=routes(proxy), env=ENV)
    health_waits(gateway, 0.2)
    count, before = 200, gateway.resident_kib
    if kind == "uploads":
        flood = Flood(gateway.port, count, bytes(1 << 16), first=head_of_post("/bodies/up/", 1 << 30))
    else:
        flood = Flood(gateway.port, 0, b"-")
        flood.sockets = [connect(gateway.port) for _ in range(count)]
        for sock in flood.sockets:
            sock.sendall(b"GET /bodies/down/ HTTP/1.1\r\nHost: a\r\n\r\n")
    with flood:
        wait_until(lambda: len(upstream.connections) == count)
        # Until nothing has moved for a while.
        last, still, end = -1, 0, time.monotonic() + 8
        while still < 10 and time.monotonic() < end:
            moved = flood.sent + upstream.sent
            still, last = (still + 1 if moved == last else 0), moved
            time.sleep(0.05)
        waits = health_waits(gateway, 0.5)
        during = gateway.resident_kib
        if kind == "downloads":
            # The rest of the connections that the gateway may have to this upstream, and one client that reads its answer.
            more = [connect(gateway.port) for _ in range(256 - count)]
            for sock in more:
                sock.sendall(b"GET /bodies/down/ HTTP/1.1\r\nHost: a\r\n\r\n")
            flood.sockets += more
            wait_until(lambda: len(upstream.connections) == 256)
            answers = [requests.get(gateway.http("/bodies/small/"), timeout=10) for _ in range(3)]
            assert [(answer.status_code, answer.text) for answer in answers] == [(200, "small")] * 3
            line = gateway.line("all connections to an upstream were in use")
            # How many had waited for two seconds by then depends on the machine.
            facts = dict(fact.split("=") for fact in line.split() if "=" in fact)
            assert facts["connections"] == "256" and facts["refused"] == "0"
            assert int(facts["clients_not_reading"]) > 0 and int(facts["let_go"]) > 0
    upstream.close()
    print(f"\n{count} {kind}, {last >> 20} MiB under way; memory {before >> 10} -> {during >> 10} MiB; health check {shown(waits)}")
    assert during - before < count * 512


def test_what_waits_for_clients_of_a_proxy_is_counted(start):
    """With memory for one unread answer, the next one is refused, or takes the place of one that has waited too long."""
    upstream = Upstream()
    proxy = f"      - {{path: bodies/, proxy: \"http://127.0.0.1:{upstream.port}\"}}"
    gateway = start(text="limits: {send_memory: 1MiB}\n" + routes(proxy), env=ENV)

    def ask(path: str) -> tuple[socket.socket, str]:
        sock = connect(gateway.port)
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return sock, read_head(sock)

    silent, head = ask("/bodies/down/")
    assert head.startswith("HTTP/1.1 200 ")
    head = ask("/bodies/down/")[1].lower()
    assert head.startswith("http/1.1 503 ") and "\r\nretry-after: 5\r\n" in head
    assert ask("/bodies/small/")[1].startswith("HTTP/1.1 200 ")
    wait_until(lambda: ask("/bodies/down/")[1].startswith("HTTP/1.1 200 "), 10)
    wait_until(lambda: any("a client that did not read was disconnected" in line for line in gateway.log))
    upstream.close()
