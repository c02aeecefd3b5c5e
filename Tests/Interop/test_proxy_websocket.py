"""A route that another WebSocket server answers: frames, codes, subprotocols and headers, both ways."""

import base64
import fcntl
import hashlib
import socket
import socketserver
import struct
import termios
import threading
import time

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as ws_connect
from websockets.sync.server import serve

from clients import Server, connect, frame, handshake, open_session, read_close, read_frame, read_head, status_of
from redis_stack import closed_port, wait_until

CONFIG = """
installed_apps: [proxy, echo]
limits: LIMITS
applications:
  main:
    http:
      - {{path: health/live, health: live}}
    websocket:
      allowed_hosts: ["*"]
      routes:
        - {{path: ws/echo/, consumer: echo}}
        - {{path: "new/<slug:room>/", consumer: proxy, to: "ws://127.0.0.1:{port}/rooms/{{room}}/", host: upstream}}
        - {{path: nobody/, consumer: proxy, to: "ws://127.0.0.1:{closed}"}}
        - {{path: "<path:rest>", consumer: proxy, to: "ws://127.0.0.1:{port}"}}
"""


class Upstream:
    """Another WebSocket server, which does what a path says."""

    def __init__(self):
        self.requests, self.closed, self.heard = [], [], []
        self.arrived = threading.Condition()
        self.answers_slowly = threading.Event()

        def choose(_, offered):
            return "v2" if "v2" in offered else None

        self.server = serve(
            self.handle, "127.0.0.1", 0, process_request=self.refuse, process_response=self.dress, select_subprotocol=choose,
            compression=None, max_size=None, ping_interval=None,
        )
        self.port = self.server.socket.getsockname()[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def refuse(self, connection, request):
        self.requests.append(request)
        if request.path.startswith("/forbidden"):
            answer = connection.respond(403, "members only\n")
            answer.headers["X-Why"] = "no-ticket"
            return answer
        if request.path.startswith("/slow"):
            self.answers_slowly.wait(20)

    def dress(self, connection, request, response):
        response.headers["Set-Cookie"] = "seen=yes"
        response.headers["Sec-WebSocket-Odd"] = "hop"

    def handle(self, connection):
        path = connection.request.path
        if path.startswith("/greets"):
            connection.send("hello")
        if path.startswith("/closes"):
            connection.close(4123, "as it pleased")
        if path.startswith("/dies"):
            connection.socket.shutdown(socket.SHUT_RDWR)
        if path.startswith("/breaks"):
            connection.socket.sendall(b"\x81\x81mask")
        if path.startswith("/floods"):
            for _ in range(200):
                connection.send(b"f" * 500_000)
        if path.startswith("/deaf"):
            time.sleep(2)
        try:
            for message in connection:
                if path.startswith("/counts"):
                    self.heard.append(len(message))
                else:
                    connection.send(message)
        except ConnectionClosed:
            pass
        with self.arrived:
            self.closed.append((path, connection.close_code, connection.close_reason))
            self.arrived.notify_all()

    def header(self, name: str) -> list[str]:
        return self.requests[-1].headers.get_all(name)

    def wait_closed(self, path: str):
        with self.arrived:
            assert self.arrived.wait_for(lambda: any(entry[0] == path for entry in self.closed), 20), self.closed
            return next(entry[1:] for entry in self.closed if entry[0] == path)


@pytest.fixture
def upstream():
    upstream = Upstream()
    yield upstream
    upstream.server.shutdown()


@pytest.fixture
def gateway(upstream, start):
    return start(text=CONFIG.format(port=upstream.port, closed=closed_port()), limits="{handshake: 1500ms, ping: none}")


def dial(gateway, path: str, **options):
    return ws_connect(gateway.ws(path), compression=None, proxy=None, max_size=None, open_timeout=20, **options)


def test_messages_go_both_ways_as_they_are(gateway):
    with dial(gateway, "/any/path") as client:
        for message in ["", "é😀", b"", b"\x00\xff", "x" * 70_000, b"y" * 1_000_000]:
            client.send(message)
            assert client.recv(timeout=20) == message
        client.send(["frag", "ment", "ed"])
        assert client.recv(timeout=20) == "fragmented"
        for number in range(500):
            client.send(str(number))
        assert [client.recv(timeout=20) for _ in range(500)] == [str(number) for number in range(500)]


def test_the_first_messages_of_either_side_are_not_lost(gateway):
    with dial(gateway, "/greets") as client:
        assert client.recv(timeout=20) == "hello"
    with connect(gateway.port) as sock:
        sock.sendall(handshake("/early") + frame(1, b"before the answer"))
        assert read_head(sock).startswith("HTTP/1.1 101")
        assert read_frame(sock) == (1, b"before the answer")


def test_what_the_upstream_is_told(gateway, upstream):
    headers = {"Cookie": "a=b", "Authorization": "Token t", "X_Bad": "1", "X-Forwarded-For": "6.6.6.6", "X-Own": "1"}
    with dial(gateway, "/p%20q/?x=%41&y", additional_headers=headers, origin="https://page.example", subprotocols=["v1", "v2"]) as client:
        assert client.subprotocol == "v2"
        assert client.response.headers["Set-Cookie"] == "seen=yes"
        assert "Sec-WebSocket-Odd" not in client.response.headers
        assert upstream.requests[-1].path == "/p%20q/?x=%41&y"
        assert upstream.header("Cookie") == ["a=b"] and upstream.header("Authorization") == ["Token t"]
        assert upstream.header("Origin") == ["https://page.example"]
        assert upstream.header("X-Forwarded-For") == ["127.0.0.1"] and upstream.header("X-Own") == ["1"]
        assert upstream.header("X-Forwarded-Host") == upstream.header("Host") == [f"127.0.0.1:{gateway.port}"]
        assert upstream.header("X_Bad") == [] and upstream.header("Sec-WebSocket-Extensions") == []
        assert len(upstream.header("Sec-WebSocket-Key")) == 1
    with dial(gateway, "/new/lobby/?q=1", subprotocols=["v1"]) as client:
        assert client.subprotocol is None
        assert upstream.requests[-1].path == "/rooms/lobby/?q=1"
        assert upstream.header("Host") == [f"127.0.0.1:{upstream.port}"]


def test_a_close_of_the_client_reaches_the_upstream(gateway, upstream):
    with dial(gateway, "/bye") as client:
        client.close(4001, "I am off")
    assert upstream.wait_closed("/bye") == (4001, "I am off")
    with connect(gateway.port) as sock:
        sock.sendall(handshake("/empty-close"))
        read_head(sock)
        sock.sendall(frame(8, b""))
        assert read_frame(sock) == (8, b"")
    assert upstream.wait_closed("/empty-close")[0] == 1005


def test_a_close_of_the_upstream_reaches_the_client(gateway, upstream):
    with dial(gateway, "/closes") as client, pytest.raises(ConnectionClosed):
        client.recv(timeout=20)
    assert (client.close_code, client.close_reason) == (4123, "as it pleased")
    assert upstream.wait_closed("/closes") == (4123, "as it pleased")


def test_a_client_that_vanishes_or_breaks_the_protocol(gateway, upstream):
    sock = open_session(gateway.port, "/vanishes")
    sock.close()
    assert upstream.wait_closed("/vanishes")[0] == 1006
    sock = open_session(gateway.port, "/unmasked")
    sock.sendall(b"\x81\x05hello")
    assert read_close(sock)[0] == 1002
    assert upstream.wait_closed("/unmasked")[0] == 1002


def test_what_a_client_sent_before_it_left_reaches_the_upstream(start):
    """A slow upstream has room for a few of the messages, and reads only after the clients have gone without a close frame."""
    received, gone, done = {}, threading.Event(), threading.Semaphore(0)

    class SlowUpstream(socketserver.BaseRequestHandler):
        def handle(self):
            head = read_head(self.request)
            key = next(line.split(": ")[1] for line in head.splitlines() if line.lower().startswith("sec-websocket-key"))
            accept = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
            self.request.sendall(
                f"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode())
            gone.wait(20)
            data = b""
            try:
                while part := self.request.recv(65536):
                    data += part
            except ConnectionError:
                pass
            received[head.split(" ")[1]] = data
            done.release()

    with Server(SlowUpstream) as server:
        server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        gateway = start(text=CONFIG.format(port=server.port, closed=closed_port()), limits="{}")
        finishing, resetting = open_session(gateway.port, "/finishes"), open_session(gateway.port, "/resets")
        resetting.sendall(frame(2, b"y" * 1000) * 60)
        # The gateway's side has all of it, or the reset would discard some here.
        wait_until(lambda: struct.unpack("i", fcntl.ioctl(resetting, termios.TIOCOUTQ, bytes(4)))[0] == 0)
        resetting.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        resetting.close()
        finishing.sendall(frame(2, b"x" * 1000) * 200)
        finishing.shutdown(socket.SHUT_WR)
        assert finishing.recv(100) == b""
        finishing.close()
        gone.set()
        for _ in range(2):
            assert done.acquire(timeout=20)
        # Each frame has a header of 4 bytes and a mask of 4 bytes.
        assert {path: len(data) for path, data in received.items()} == {"/finishes": 200 * 1008, "/resets": 60 * 1008}


@pytest.mark.parametrize("path", ["/dies", "/breaks"])
def test_an_upstream_that_dies_or_breaks_the_protocol(gateway, path):
    with dial(gateway, path) as client, pytest.raises(ConnectionClosed):
        client.recv(timeout=20)
    assert (client.close_code, client.close_reason) == (1014, "the connection to the upstream was lost")
    wait_until(
        lambda: any("an upstream did not answer as expected" in line and f"path={path} " in line and "1014" in line for line in gateway.log))


def test_refusals(gateway, upstream):
    with pytest.raises(InvalidStatus) as refused:
        dial(gateway, "/forbidden/room/")
    answer = refused.value.response
    assert answer.status_code == 403 and answer.headers["X-Why"] == "no-ticket" and answer.body == b"members only\n"
    assert status_of(gateway.port, handshake("/nobody/")) == 502
    wait_until(lambda: any('reason="Connection refused"' in line for line in gateway.log))
    # Before the upstream answers, which it does only afterwards.
    assert status_of(gateway.port, handshake("/slow")) == 504
    wait_until(lambda: any("an upstream did not answer as expected" in line and "status=504" in line for line in gateway.log))
    upstream.answers_slowly.set()
    # A gateway that waits for one upstream answers all other clients.
    assert requests.get(gateway.http("/health/live"), timeout=5).status_code == 200


GUARDED = """
installed_apps: [proxy]
auth:
  users: {{jwt: {{secret: {{env: SIGNING_KEY}}}}}}
applications:
  main:
    websocket:
      - {{path: "ws/pub/<path:rest>", consumer: proxy, to: "ws://127.0.0.1:{port}"}}
      - {{path: "ws/staff/<path:rest>", consumer: proxy, to: "ws://127.0.0.1:{port}", auth: users}}
"""


@pytest.mark.parametrize("path", [
    "/ws/pub/../staff/x", "/ws/pub/%2e%2e/staff/x", "/ws/pub/.%2e/staff/x", "/ws/pub/%2E./staff/x", "/ws/pub/..%2fstaff/x",
    "/ws/pub/..;a/staff/x", "/ws/pub/..%5Cstaff/x", "/ws/pub/..\\staff/x", "/ws/pub/./../staff/x", "/ws/pub/x/../../staff/x",
])
def test_dot_segments_do_not_go_round_auth(start, upstream, path):
    """Two routes to one server, one of them protected. A server that normalises paths would serve the other one."""
    gateway = start(text=GUARDED.format(port=upstream.port), env={"SIGNING_KEY": "0123456789abcdef" * 2})
    assert status_of(gateway.port, handshake("/ws/staff/x")) == 401
    assert status_of(gateway.port, handshake(path)) == 400
    assert upstream.requests == []
    assert status_of(gateway.port, handshake("/ws/pub/a..b")) == 101
    wait_until(lambda: any(f'reason="The path has a segment' in line for line in gateway.log))


@pytest.mark.parametrize("answer", [
    b"nonsense\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"", b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
])
def test_an_upstream_that_is_no_websocket_server(start, answer):
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve_once():
            sock, _ = server.accept()
            with sock:
                sock.recv(65536)
                sock.sendall(answer)

        threading.Thread(target=serve_once, daemon=True).start()
        gateway = start(text=CONFIG.format(port=server.getsockname()[1], closed=closed_port()), limits="{}")
        assert status_of(gateway.port, handshake("/x")) == 502


def test_neither_side_can_make_the_gateway_grow(gateway, upstream):
    # A client that reads nothing of 100 MB.
    before = gateway.resident_kib
    with connect(gateway.port) as sock:
        sock.sendall(handshake("/floods"))
        read_head(sock)
        time.sleep(1)
        assert gateway.resident_kib - before < 16 * 1024
        opcode, payload = read_frame(sock)
        assert opcode == 2 and len(payload) == 500_000
        # It is still served once it reads.
        for _ in range(199):
            assert len(read_frame(sock)[1]) == 500_000
    # An upstream that reads nothing for two seconds.
    with connect(gateway.port) as sock:
        sock.sendall(handshake("/deaf-counts"))
        read_head(sock)
        sock.setblocking(False)
        message, sent, deadline = frame(2, b"d" * 100_000), 0, time.monotonic() + 1
        while time.monotonic() < deadline and sent < 200_000_000:
            try:
                sent += sock.send(message[sent % len(message) :])
            except BlockingIOError:
                time.sleep(0.01)
        assert sent < 60_000_000
        assert gateway.resident_kib - before < 24 * 1024
    with dial(gateway, "/after") as client:
        client.send("still here")
        assert client.recv(timeout=20) == "still here"


def test_nobody_misses_pongs_that_are_not_read(upstream, start):
    """While the client does not read, neither side is read. Everything that they send meanwhile, including pongs, waits in the kernel."""
    gateway = start(text=CONFIG.format(port=upstream.port, closed=closed_port()), limits="{ping: 1s}")
    with connect(gateway.port) as sock:
        sock.sendall(handshake("/floods"))
        read_head(sock)
        # Far longer than a ping and its timeout. While the flood waits for the client, nothing after this message is read.
        deadline = time.monotonic() + 3.5
        while time.monotonic() < deadline:
            sock.sendall(frame(1, b"hello"))
            time.sleep(0.1)
        sizes = []
        while len(sizes) < 200:
            opcode, payload = read_frame(sock)
            assert opcode in (2, 9), payload
            if opcode == 9:
                sock.sendall(frame(10, payload))
            else:
                sizes.append(len(payload))
        assert set(sizes) == {500_000}


def test_a_stop_tells_both_sides(gateway, upstream):
    with dial(gateway, "/stays") as client:
        gateway.process.terminate()
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=20)
        assert client.close_code == 1012
    assert upstream.wait_closed("/stays")[0] == 1012
    assert gateway.process.wait(20) == 0


def test_one_route_goes_to_daphne_and_one_is_answered_here(daphne, start):
    gateway = start(text=f"""
installed_apps: [chat, proxy]
channel_layers: {{default: {{backend: memory}}}}
applications:
  main:
    websocket:
      - {{path: "ws/chat/moved/", consumer: chat, group: moved}}
      - {{path: "<path:rest>", consumer: proxy, to: "ws://127.0.0.1:{daphne.port}"}}
""")
    with dial(gateway, "/ws/chat/stays/") as ours, daphne.session("stays") as theirs:
        ours.send('{"message": "through the gateway"}')
        assert theirs.message() == "through the gateway"
        theirs.say("from Daphne")
        assert [ours.recv(timeout=20) for _ in range(2)] == ['{"message": "through the gateway"}', '{"message": "from Daphne"}']
    with dial(gateway, "/ws/chat/moved/") as ours:
        ours.send('{"message": 1}')
        assert ours.recv(timeout=20) == '{"message": 1}'
    assert status_of(gateway.port, handshake("/no/such/route/")) == 500
