"""A gateway in front of an HTTP server: what the server receives, what comes back, and what must not pass."""

import http.client
import queue
import re
import signal
import socket
import socketserver
import struct
import threading
import time

import pytest

from clients import Server, handshake, open_session, read_head
from listeners import Listener
from redis_stack import closed_port

CONFIG = """
installed_apps: [echo]
applications:
  main:
    http:
      - {{path: mine/, respond: "from the gateway"}}
      - {{path: "app/<slug:tenant>/", proxy: {{to: "http://127.0.0.1:{port}/tenants/{{tenant}}/", host: upstream}}}}
      - {{path: slow/, proxy: {{to: "http://127.0.0.1:{port}", read_timeout: 300ms}}}}
      - {{path: small/, proxy: {{to: "http://127.0.0.1:{port}", body: 1KiB}}}}
      - {{path: nobody/, proxy: "http://127.0.0.1:{closed}"}}
      - {{path: "", proxy: {{to: "http://127.0.0.1:{port}", body: 1GiB}}}}
    websocket:
      - {{path: ws/echo/, consumer: echo}}
"""


class Upstream:
    """A small HTTP/1.1 server that hides nothing of what it receives."""

    def __init__(self):
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.body_sizes: list[int] = []
        self.connections = 0
        self.answers: dict[bytes, bytes] = {}
        self.arrived = threading.Condition()
        self.hold = threading.Event()
        upstream = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                upstream.connections += 1
                while self.one():
                    pass

            def one(self) -> bool:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = self.rfile.readline()
                    if not line:
                        return False
                    head += line
                size, body = 0, b""
                lowered = head.lower()
                if found := re.search(rb"content-length: (\d+)", lowered):
                    left = int(found[1])
                    while left:
                        part = self.rfile.read(min(left, 1 << 20))
                        if not part:
                            return False
                        left -= len(part)
                        size += len(part)
                        body = (body + part)[:4096]
                elif b"transfer-encoding: chunked" in lowered:
                    while count := int(self.rfile.readline(), 16):
                        part = self.rfile.read(count + 2)[:-2]
                        size += len(part)
                        body = (body + part)[:4096]
                    self.rfile.readline()
                with upstream.arrived:
                    upstream.heads.append(head)
                    upstream.bodies.append(body)
                    upstream.body_sizes.append(size)
                    upstream.arrived.notify_all()
                path = head.split(b" ", 2)[1].split(b"?")[0]
                if path == b"/big":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 209715200\r\n\r\n")
                    for _ in range(200):
                        self.wfile.write(b"x" * (1 << 20))
                    return True
                if path == b"/dies":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabc")
                    return False
                if path == b"/dies-chunked":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
                    return False
                if path == b"/slow/":
                    upstream.hold.wait(10)
                    return False
                if path == b"/nonsense":
                    self.wfile.write(b"this is not HTTP\r\n\r\n")
                    return False
                answer = upstream.answers.get(path, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                if head.startswith(b"HEAD "):
                    answer = answer.split(b"\r\n\r\n")[0] + b"\r\n\r\n"
                self.wfile.write(answer)
                return b"connection: close" not in lowered

        self.server = Server(Handler)
        self.port = self.server.port

    def header(self, name: str) -> list[str]:
        lines = self.heads[-1].decode("latin-1").split("\r\n")[1:]
        return [line.split(":", 1)[1].strip() for line in lines if line.lower().startswith(name.lower() + ":")]

    def line(self) -> str:
        return self.heads[-1].split(b"\r\n")[0].decode()

    def stop(self):
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()


class Scripted(Listener):
    """A server that reads the head of each connection, passes the connection on to a function, and does not wait."""

    def __init__(self, play):
        self.over = threading.Event()
        self.heads: queue.Queue[bytes] = queue.Queue()
        self.ended: queue.Queue[bytes] = queue.Queue()
        self.play = play
        super().__init__()

    def serve(self, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            part = connection.recv(65536)
            if not part:
                return
            head += part
        self.heads.put(head)
        self.play(self, connection)

    def wait_for_the_end(self, connection):
        """Reports when the other side closes."""
        rest = b""
        try:
            while part := connection.recv(65536):
                rest += part
        except OSError:
            pass
        self.ended.put(rest)

    def stop(self):
        self.over.set()
        self.close()


@pytest.fixture
def scripted():
    servers = []

    def begin(play):
        servers.append(Scripted(play))
        return servers[-1]

    yield begin
    for server in servers:
        server.stop()


@pytest.fixture
def upstream():
    server = Upstream()
    yield server
    server.stop()


@pytest.fixture
def front(start, upstream):
    return start(text=CONFIG.format(port=upstream.port, closed=closed_port()))


def ask(front, method, path, body=None, headers=None, **options):
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=20)
    connection.request(method, path, body=body, headers=headers or {}, **options)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


def raw(front, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", front.port), timeout=20) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while part := client.recv(65536):
                answer += part
        except (ConnectionResetError, TimeoutError):
            pass
        return answer


def test_a_request_arrives_as_it_was_sent(front, upstream):
    response, content = ask(
        front, "POST", "/a/caf%C3%A9//b;c=d?x=1&y=%20", body=b"hello",
        headers={"X-Own": "1", "Cookie": "a=b", "Host": "www.example.com", "User-Agent": "me"})
    assert (response.status, content) == (200, b"ok")
    assert upstream.line() == "POST /a/caf%C3%A9//b;c=d?x=1&y=%20 HTTP/1.1"
    assert upstream.header("x-own") == ["1"]
    assert upstream.header("cookie") == ["a=b"]
    assert upstream.header("user-agent") == ["me"]
    assert upstream.header("host") == ["www.example.com"]
    assert upstream.header("x-forwarded-for") == ["127.0.0.1"]
    assert upstream.header("x-forwarded-proto") == ["http"]
    assert upstream.header("x-forwarded-host") == ["www.example.com"]
    assert upstream.bodies[-1] == b"hello"


def test_the_gateways_own_routes_stay_its_own(front, upstream):
    assert ask(front, "GET", "/mine/")[1] == b"from the gateway"
    assert upstream.heads == []


def test_a_path_can_be_written_anew(front, upstream):
    ask(front, "GET", "/app/blue/some/thing%20else/?q=1")
    assert upstream.line() == "GET /tenants/blue/some/thing%20else/?q=1 HTTP/1.1"
    assert upstream.header("host") == [f"127.0.0.1:{upstream.port}"]


def test_what_a_client_says_about_itself_is_replaced(front, upstream):
    ask(front, "GET", "/", headers={
        "X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil", "X_Forwarded_For": "6.6.6.6",
        "Forwarded": "for=6.6.6.6", "Connection": "keep-alive, X-Secret", "X-Secret": "1", "TE": "trailers",
        "Proxy-Authorization": "x", "Keep-Alive": "timeout=5"})
    assert upstream.header("x-forwarded-for") == ["127.0.0.1"]
    assert upstream.header("x-forwarded-proto") == ["http"]
    assert b"6.6.6.6" not in upstream.heads[-1]
    for name in ["x-secret", "te", "proxy-authorization", "keep-alive", "x_forwarded_for", "forwarded"]:
        assert upstream.header(name) == [], name


def test_an_answer_comes_back_whole(front, upstream):
    upstream.answers[b"/made"] = (
        b"HTTP/1.1 201 Created\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nLocation: /x/\r\nConnection: X-Hop\r\n"
        b"X-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Type: text/x\r\nContent-Length: 4\r\n\r\nbody")
    response, content = ask(front, "GET", "/made")
    assert (response.status, content) == (201, b"body")
    assert response.headers.get_all("set-cookie") == ["a=1; Path=/", "b=2"]
    assert response.headers["location"] == "/x/"
    assert response.headers["x-hop"] is None and response.headers["keep-alive"] is None


@pytest.mark.parametrize("answer, status, body", [
    (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    (b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", 304, b""),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200, b"abc"),
    (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", 302, b""),
    (b"HTTP/1.1 500 Oops\r\nContent-Length: 3\r\n\r\nbad", 500, b"bad"),
])
def test_kinds_of_answer(front, upstream, answer, status, body):
    upstream.answers[b"/x"] = answer
    response, content = ask(front, "GET", "/x")
    assert (response.status, content) == (status, body)


def test_head_has_the_length_and_no_body(front, upstream):
    upstream.answers[b"/x"] = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n1234567"
    response, content = ask(front, "HEAD", "/x")
    assert (response.headers["content-length"], content) == ("7", b"")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods(front, upstream, method):
    assert ask(front, method, "/x", body=b"abc")[0].status == 200
    assert upstream.line() == f"{method} /x HTTP/1.1" and upstream.bodies[-1] == b"abc"


def test_a_chunked_body_goes_on_as_it_comes(front, upstream):
    ask(front, "POST", "/x", body=iter([b"one", b"two"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    assert upstream.bodies[-1] == b"onetwo"


def test_expect_100_continue(front, upstream):
    with socket.create_connection(("127.0.0.1", front.port), timeout=5) as client:
        client.sendall(b"POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"abc")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert upstream.bodies[-1] == b"abc" and upstream.header("expect") == []


def test_connections_to_the_upstream_are_used_again(front, upstream):
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=10)
    for _ in range(50):
        connection.request("GET", "/x")
        assert connection.getresponse().read() == b"ok"
    connection.close()
    assert upstream.connections == 1


def test_requests_sent_together_are_answered_in_order(front, upstream):
    for number in range(3):
        upstream.answers[b"/%d" % number] = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number
    answer = raw(front, b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(3)))
    assert re.findall(rb"\r\n\r\n(\d)", answer) == [b"0", b"1", b"2"]


def test_large_bodies_need_no_memory(front, upstream):
    before = front.resident_kib
    peak = [before]
    done = threading.Event()

    def watch():
        while not done.wait(0.02):
            peak[0] = max(peak[0], front.resident_kib)

    watcher = threading.Thread(target=watch)
    watcher.start()
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=60)
    connection.request("POST", "/up", body=(b"y" * (1 << 20) for _ in range(200)), headers={"Content-Length": str(200 << 20)})
    assert connection.getresponse().read() == b"ok"
    connection.request("GET", "/big")
    response = connection.getresponse()
    size = 0
    while part := response.read(1 << 20):
        size += len(part)
    connection.close()
    done.set()
    watcher.join()
    assert upstream.body_sizes == [200 << 20, 0] and size == 200 << 20
    assert peak[0] - before < 40 * 1024, f"{peak[0] - before} KiB more"


def test_a_reader_that_waits_makes_the_upstream_wait(front, upstream):
    before = front.resident_kib
    with socket.create_connection(("127.0.0.1", front.port), timeout=20) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
        for _ in range(20):  # others are served meanwhile
            assert ask(front, "GET", "/x")[1] == b"ok"
        assert front.resident_kib - before < 40 * 1024


def test_too_large_a_body_is_refused(front, upstream):
    assert ask(front, "POST", "/small/", body=b"x" * 1025)[0].status == 413
    assert upstream.heads == []
    response, _ = ask(front, "POST", "/small/", body=iter([b"x" * 1000, b"x" * 1000]), encode_chunked=True,
                      headers={"Transfer-Encoding": "chunked"})
    assert response.status == 413
    assert ask(front, "POST", "/small/", body=b"x" * 1024)[0].status == 200


def test_failures_of_the_upstream(front, upstream):
    response, content = ask(front, "GET", "/nobody/")
    assert (response.status, content) == (502, b"The upstream server cannot be reached.\n")
    assert ask(front, "GET", "/slow/")[0].status == 504
    assert ask(front, "GET", "/nonsense")[0].status == 502
    assert front.says("an upstream did not answer as expected", "status=504")
    # In words for an operator, not a library's.
    assert front.says("status=502", 'reason="Connection refused"', "start the server that should listen at 127.0.0.1:")


@pytest.mark.parametrize("path", ["/dies", "/dies-chunked"])
def test_an_answer_that_breaks_off_does_not_look_complete(front, upstream, path):
    answer = raw(front, b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode())
    assert answer.startswith(b"HTTP/1.1 200 ") and b"abc" in answer
    assert not answer.endswith(b"0\r\n\r\n") and len(answer) < 50_000


SMUGGLE = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("fields", [
    b"Content-Length: 36\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 36\r\n",
    b"Content-Length: 0\r\nContent-Length: 36\r\n",
    b"Content-Length: 36\r\nContent-Length: 0\r\n",
    b"Content-Length: 0, 36\r\n",
    b"Transfer-Encoding: chunked, identity\r\n",
    b"Transfer-Encoding: identity, chunked\r\nContent-Length: 36\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding\t: chunked\r\n",
    b"Transfer-Encoding: \x0bchunked\r\n",
    b"Transfer-Encoding:\r\n chunked\r\n",
    b" Transfer-Encoding: chunked\r\n",
    b"X: y\nTransfer-Encoding: chunked\r\n",
    b"X: y\rTransfer-Encoding: chunked\r\n",
    b"Content-Length: +36\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: 0x24\r\n",
    b"Content-Length: 36 36\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Content_Length: 36\r\n",
    b"Content-Length:\r\n",
])
@pytest.mark.parametrize("first", [True, False], ids=["first on its connection", "second"])
def test_no_request_is_smuggled(front, upstream, fields, first):
    before = b"" if first else b"GET /before HTTP/1.1\r\nHost: a\r\n\r\n"
    attack = b"POST /attack HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n" + b"0\r\n\r\n" + SMUGGLE
    answer = raw(front, before + attack)
    paths = [head.split(b" ")[1] for head in upstream.heads]
    # Refused, or understood in the same way by both servers: the bytes after the request are then a separate request for the gateway, too.
    answers = len(re.findall(rb"HTTP/1\.1 \d\d\d ", answer))
    assert len(paths) <= answers, (paths, answer)
    if b"/smuggled" in paths:
        assert b"content-length" not in fields.lower() and b"transfer-encoding" not in fields.lower(), (paths, answer)
    for head in upstream.heads:
        lowered = head.lower()
        assert lowered.count(b"content-length:") + lowered.count(b"transfer-encoding:") <= 1


@pytest.mark.parametrize("chunks", [
    b"5\r\nabc\r\n0\r\n\r\n", b"0x3\r\nabc\r\n0\r\n\r\n", b"-1\r\nabc\r\n0\r\n\r\n", b"3;\nx\r\nabc\r\n0\r\n\r\n",
    b"3\nabc\n0\n\n", b"FFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n", b"3 \r\nabc\r\n0\r\n\r\n",
])
def test_chunks_with_tricks(front, upstream, chunks):
    answer = raw(front, b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + SMUGGLE)
    paths = [head.split(b" ")[1] for head in upstream.heads]
    assert paths.count(b"/smuggled") <= 1 and len(paths) <= len(re.findall(rb"HTTP/1\.1 \d\d\d ", answer))


def test_a_websocket_route_is_not_passed_on(front, upstream):
    answer = raw(front, b"GET /ws/other/ HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404 ") and upstream.heads == []


# An upstream that answers before it has read the body, or closes the connection.

def one_route(port: int, options: str = "") -> str:
    return f"""
installed_apps: [echo]
LIMITS
applications:
  main:
    http:
      - {{path: ready/, health: ready}}
      - {{path: "", proxy: {{to: "http://127.0.0.1:{port}"{options}}}}}
    websocket:
      - {{path: ws/echo/, consumer: echo}}
"""


def refuses(server, connection):
    connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
    server.wait_for_the_end(connection)


def accepts(server, connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    server.wait_for_the_end(connection)


def is_silent(server, connection):
    server.wait_for_the_end(connection)


def hangs_up(server, connection):
    pass


@pytest.mark.parametrize("length", [b"Content-Length: 10", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("play, status", [(refuses, 401), (accepts, 200), (hangs_up, 502)])
def test_an_upstream_that_does_not_wait_for_the_body(start, scripted, play, status, length):
    front = start(text=one_route(scripted(play).port))
    with open_session(front.port, "/ws/echo/"):
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", front.port), timeout=10) as client:
                client.sendall(b"POST /api HTTP/1.1\r\nHost: a\r\n" + length + b"\r\n\r\n")
                answer = http.client.HTTPResponse(client)
                answer.begin()
                assert (answer.status, answer.headers["connection"]) == (status, "close")
                answer.read()
                assert client.recv(1) == b""
        assert ask(front, "GET", "/ready/")[0].status == 200
    assert front.process.poll() is None


def test_the_second_half_of_a_body_after_the_answer(start, scripted):
    """The client keeps sending. The answer still arrives, and is not destroyed by a reset."""
    front = start(text=one_route(scripted(refuses).port))
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as client:
        client.sendall(b"POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 1000)
        assert read_head(client).startswith("HTTP/1.1 401 ")
        try:
            client.sendall(b"x" * 1_000_000)
        except OSError:
            pass
        assert client.recv(2) == b"no"


@pytest.mark.parametrize("version, fields, status", [
    (b"1.1", b"Transfer-Encoding: gzip, chunked", 400), (b"1.0", b"Transfer-Encoding: chunked", 400),
    (b"1.1", b"Content-Length: 18446744073709551615", 413), (b"1.1", b"Content-Length: 9223372036854775807", 413),
])
def test_a_body_that_cannot_be_passed_on_is_refused(front, upstream, version, fields, status):
    answer = raw(front, b"POST /x HTTP/" + version + b"\r\nHost: a\r\n" + fields + b"\r\n\r\n0\r\n\r\n")
    assert int(answer.split(b" ")[1]) == status and upstream.heads == []


def test_an_upstream_that_changes_the_protocol_unasked(start, scripted):
    def switches(server, connection):
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\nabc")
        server.wait_for_the_end(connection)

    server = scripted(switches)
    front = start(text=one_route(server.port))
    assert raw(front, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP/1.1 502 ")
    server.ended.get(timeout=10)


@pytest.mark.parametrize("bad", [b"zz\r\n", b"3\r\nabcX"])
def test_a_broken_upload_is_the_clients_fault(start, scripted, bad):
    server = scripted(is_silent)
    front = start(text=one_route(server.port))
    answer = raw(front, b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" + bad)
    assert answer.startswith(b"HTTP/1.1 400 ") or answer == b""
    assert not server.ended.get(timeout=10).endswith(b"0\r\n\r\n")
    assert not any("an upstream did not answer as expected" in line for line in front.log)


def test_half_an_upload_does_not_look_complete(start, scripted):
    server = scripted(is_silent)
    front = start(text=one_route(server.port))
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as client:
        client.sendall(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        server.heads.get(timeout=10)
    assert not server.ended.get(timeout=10).endswith(b"0\r\n\r\n")
    assert not any("an upstream did not answer as expected" in line for line in front.log)


# Clients that hang up, and gateways that stop.

def test_a_client_that_hangs_up_ends_the_request_upstream(start, scripted):
    server = scripted(is_silent)
    front = start(text=one_route(server.port, ", read_timeout: 1h"), limits="limits: {connections: 1}")
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as client:
        client.sendall(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        server.heads.get(timeout=10)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.ended.get(timeout=10)
    # Its place is free: the one allowed session opens, once the gateway has seen the end, too.
    deadline = time.monotonic() + 10
    while True:
        with socket.create_connection(("127.0.0.1", front.port), timeout=10) as client:
            client.sendall(handshake("/ws/echo/"))
            if read_head(client).startswith("HTTP/1.1 101 "):
                break
        assert time.monotonic() < deadline


def test_a_client_that_closed_its_side_is_waited_for_a_little(start, scripted):
    server = scripted(is_silent)
    front = start(text=one_route(server.port, ", read_timeout: 1h"))
    with socket.create_connection(("127.0.0.1", front.port), timeout=20) as client:
        client.sendall(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        server.heads.get(timeout=10)
        client.shutdown(socket.SHUT_WR)
        server.ended.get(timeout=15)
        assert client.recv(1) == b""


@pytest.mark.parametrize("body", [b"\r\n", b"Content-Length: 10\r\n\r\n"], ids=["GET", "upload"])
@pytest.mark.parametrize("limits, signals", [("shutdown: {grace: 1s}", 1), ("shutdown: {grace: 1h}", 2)],
                         ids=["grace", "second signal"])
def test_a_stop_ends_proxied_requests(start, scripted, limits, signals, body):
    server = scripted(is_silent)
    front = start(text=one_route(server.port, ", read_timeout: 1h"), limits=limits)
    with socket.create_connection(("127.0.0.1", front.port), timeout=20) as client:
        client.sendall(b"POST /x HTTP/1.1\r\nHost: a\r\n" + body)
        server.heads.get(timeout=10)
        for _ in range(signals):
            front.process.send_signal(signal.SIGTERM)
            while not any("stopping" in line for line in front.log):
                time.sleep(0.01)
        assert front.process.wait(10) == 0
        server.ended.get(timeout=10)


def test_a_stop_lets_a_proxied_answer_finish(start, scripted):
    def answers_when_told(server, connection):
        server.over.wait(10)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        server.wait_for_the_end(connection)

    server = scripted(answers_when_told)
    front = start(text=one_route(server.port), limits="shutdown: {grace: 20s}")
    with socket.create_connection(("127.0.0.1", front.port), timeout=20) as client:
        client.sendall(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        server.heads.get(timeout=10)
        front.process.send_signal(signal.SIGTERM)
        while not any("stopping" in line for line in front.log):
            time.sleep(0.01)
        server.over.set()
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert (answer.read(), answer.headers["connection"]) == (b"ok", "close")
    assert front.process.wait(10) == 0


# Fields that are passed on, and fields that are not.

@pytest.mark.parametrize("path", [
    "/app/blue/../admin", "/app/blue/%2e%2e/admin", "/app/blue/%2e%2e%2fadmin", "/app/blue/x/%2E./y", "/app/blue/./x",
    "/app/blue/..",
])
def test_a_path_does_not_lead_out_of_its_template(front, upstream, path):
    assert raw(front, f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()).startswith(b"HTTP/1.1 400 ")
    assert upstream.heads == []


@pytest.mark.parametrize("path", [
    "/pub/../admin", "/pub/%2e%2e/admin", "/pub/.%2E/admin", "/pub/%2e./admin", "/pub/..%2fadmin", "/pub%2f..%2Fadmin",
    "/pub/./x", "/pub/%2e/x", "/pub/..", "/pub/%2E%2e", "/..", "//../x", "/pub/..;v=1/admin", "/pub/..%3bv/admin",
    "/pub/..\\admin", "/pub/..%5cadmin", "/pub\\..\\admin", "http://a/pub/../admin", "/pub/../admin?x=/y",
])
def test_no_dot_segment_reaches_a_server_that_could_normalise_it(front, upstream, path):
    """RFC 3986 section 5.2.4: for an upstream without a path, `/pub/../admin` may be `/admin`."""
    answer = raw(front, f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 400 ") and upstream.heads == []


@pytest.mark.parametrize("path", ["/a..b/...", "/.well-known/x", "/x?next=/../y", "/x;..", "/..a/b..", "/%252e%252e/x"])
def test_dots_that_are_no_segment_go_on_behind_a_bare_address(front, upstream, path):
    raw(front, f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    assert upstream.line() == f"GET {path} HTTP/1.1"


def test_dots_that_lead_nowhere_go_on(front, upstream):
    ask(front, "GET", "/app/blue/a..b/.well-known/...")
    assert upstream.line() == "GET /tenants/blue/a..b/.well-known/... HTTP/1.1"


def test_nothing_of_a_client_looks_like_ours(front, upstream):
    ask(front, "GET", "/", headers={"X-Forwarded-Prefix": "/evil", "X-Forwarded-Ssl": "on", "X-Forwarded-User": "root"})
    assert b"evil" not in upstream.heads[-1] and b"root" not in upstream.heads[-1] and upstream.header("x-forwarded-ssl") == []


def test_head_without_a_length_has_none(front, upstream):
    upstream.answers[b"/x"] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    answer = raw(front, b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n" + b"GET /mine/ HTTP/1.1\r\nHost: a\r\n\r\n")
    first, rest = answer.split(b"\r\n\r\n", 1)
    assert b"content-length" not in first.lower()
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")


def test_an_old_client_gets_no_chunks(front, upstream):
    upstream.answers[b"/x"] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    for option in [b"", b"Connection: keep-alive\r\n"]:
        answer = raw(front, b"GET /x HTTP/1.0\r\n" + option + b"\r\n")
        assert answer.endswith(b"\r\n\r\nabc") and b"chunked" not in answer.lower()


def test_continue_is_said_only_to_who_waits_and_may_go_on(front, upstream):
    expect = b"POST /small/ HTTP/%s\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    assert raw(front, expect % (b"1.1", 2000)).startswith(b"HTTP/1.1 413 ")
    assert b" 100 " not in raw(front, expect % (b"1.0", 3) + b"abc").split(b"\r\n")[0]
    mine = b"POST /mine/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    assert raw(front, mine).startswith(b"HTTP/1.1 200 ")


@pytest.mark.report("no-host")
@pytest.mark.parametrize("hosts", [b"Host: one\r\nHost: two\r\n", b"Host: a b/c@d\r\n", b""])
@pytest.mark.parametrize("before", [b"", b"GET /mine/ HTTP/1.1\r\nHost: a\r\n\r\n"], ids=["first", "second"])
def test_every_request_names_one_host(front, upstream, before, hosts):
    answer = raw(front, before + b"GET /x HTTP/1.1\r\n" + hosts + b"\r\n" + SMUGGLE)
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", answer)
    assert statuses == [b"200"] * bool(before) + [b"400"] and upstream.heads == []
