"""What passes through is not changed, and what HTTP asks of a server holds: one gateway for all cases, each by its section."""

import base64
import hashlib
import os
import re
import socket
import socketserver

import pytest
import requests

from clients import Server, connect, handshake
from conftest import Gateway
from redis_stack import wait_until

FILE = """
installed_apps: [echo, proxy]
limits: {{keep_alive: 500ms}}
auth:
  asked: {{callback: {{url: "http://127.0.0.1:{port}/me[1]|%2F", headers: [Cookie]}}}}
applications:
  main:
    http:
      - {{path: base/, proxy: "http://127.0.0.1:{port}/api/"}}
      - {{path: "app/<int:number>/", proxy: "http://127.0.0.1:{port}/of/{{number}}/"}}
      - {{path: hello/, respond: hello}}
      - {{path: files/, static: site}}
      - {{path: app/, static: {{folder: site, fallback: sub/index.html}}}}
      - {{path: "", proxy: "http://127.0.0.1:{port}"}}
    websocket:
      - {{path: ws/echo/, consumer: echo}}
      - {{path: app/live/, consumer: echo}}
      - {{path: ws/asked/, consumer: echo, auth: asked}}
      - {{re_path: "^(?P<rest>(ws/|x|no|denied).*)$", consumer: proxy, to: "ws://127.0.0.1:{port}"}}
"""


TYPES = {
    "a.html": "text/html; charset=utf-8", "a.css": "text/css; charset=utf-8", "a.js": "text/javascript; charset=utf-8",
    "a.mjs": "text/javascript; charset=utf-8", "a.cjs": "text/javascript; charset=utf-8", "a.txt": "text/plain; charset=utf-8",
    "a.csv": "text/csv; charset=utf-8", "a.MD": "text/markdown; charset=utf-8", "a.json": "application/json",
    "a.js.map": "application/json", "a.rss": "application/rss+xml", "a.m3u8": "application/vnd.apple.mpegurl",
    "a.mov": "video/quicktime", "a.ogg": "audio/ogg", "a.yaml": "application/yaml", "a.wasm": "application/wasm",
    "a.webmanifest": "application/manifest+json", "a.svg": "image/svg+xml", "a.woff2": "font/woff2", "a.avif": "image/avif",
    "none": None,
}


class Recorder:
    """Records the bytes of every request head, and answers with the bytes that the path asks for."""

    def __init__(self):
        self.heads: list[bytes] = []
        self.connections = 0
        self.closes_kept = False
        self.answers: dict[bytes, bytes] = {}
        recorder = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                recorder.connections += 1
                while self.one() and not (recorder.closes_kept and self.connection.recv(1, socket.MSG_PEEK)):
                    pass

            def one(self) -> bool:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = self.rfile.readline()
                    if not line:
                        return False
                    head += line
                recorder.heads.append(head)
                path = head.split(b" ", 2)[1].split(b"?")[0]
                if path == b"/hold":
                    self.rfile.read()
                    return False
                answer = recorder.answers.get(path)
                if answer is None and b"\r\nsec-websocket-key: " in head.lower():
                    key = re.search(rb"(?i)sec-websocket-key: (\S+)", head)[1]
                    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
                    answer = (
                        b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-B: caf\xe9 \xc3\xa9\r\n"
                        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
                if answer is None:
                    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                closes = answer.startswith(b"close ")
                self.wfile.write(answer.removeprefix(b"close "))
                return not closes

        self.server = Server(Handler)
        self.port = self.server.port

    def field(self, name: bytes, head: bytes | None = None) -> list[bytes]:
        lines = (self.heads[-1] if head is None else head).split(b"\r\n")[1:]
        return [line.split(b":", 1)[1].strip() for line in lines if line.lower().startswith(name.lower() + b":")]

    @property
    def target(self) -> bytes:
        return self.heads[-1].split(b"\r\n")[0].split(b" ", 1)[1].removesuffix(b" HTTP/1.1")


@pytest.fixture(scope="module")
def upstream():
    recorder = Recorder()
    yield recorder
    recorder.server.shutdown()
    recorder.server.server_close()


@pytest.fixture(scope="module")
def front(upstream, tmp_path_factory):
    file = tmp_path_factory.mktemp("rules") / "routes.yaml"
    folder = file.parent / "site/sub"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("<h1>app</h1>")
    (file.parent / "site/index.html").write_text("<h1>front</h1>")
    for name in TYPES:
        (file.parent / "site" / name).write_text("0123456789")
    file.write_text(FILE.format(port=upstream.port))
    gateway = Gateway(file)
    gateway.site = file.parent / "site"
    yield gateway
    gateway.stop()


@pytest.fixture(autouse=True)
def cleared(upstream):
    upstream.heads.clear()
    upstream.answers.clear()


def exchange(front, *parts: bytes) -> bytes:
    """All answers until the gateway closes the connection."""
    with connect(front.port) as sock:
        sock.sendall(b"".join(parts))
        answer = b""
        while part := sock.recv(65536):
            answer += part
        return answer


def head_of(front, request: bytes) -> bytes:
    """The head of the answer to a handshake."""
    with connect(front.port) as sock:
        sock.sendall(request)
        data = b""
        while b"\r\n\r\n" not in data:
            part = sock.recv(4096)
            if not part:
                break
            data += part
        return data


def get(target: bytes, *fields: bytes, method: bytes = b"GET", close: bool = True) -> bytes:
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: a", *fields]
    return b"\r\n".join(lines + ([b"Connection: close"] if close else [])) + b"\r\n\r\n"


WARM = get(b"/hello/", close=False)

# RFC 9112 section 3.2, RFC 9110 section 7.6: a target is passed on as it came.

TARGETS = [
    (rb"/a?a[1]=2|3", rb"/a?a[1]=2|3"),
    (rb"/a?f[n]=J%C3%BCrgen", rb"/a?f[n]=J%C3%BCrgen"),
    (rb"/x{y}|^\`[]?{}|^\`%25", rb"/x{y}|^\`[]?{}|^\`%25"),
    (rb"/%41%e2%82%ac;v=1/%2F//?", rb"/%41%e2%82%ac;v=1/%2F//?"),
    (rb"/base/q/%2F/x;v=1", rb"/api/q/%2F/x;v=1"),
    (rb"/base/J%C3%BCrgen/{}|%7c?%5B[", rb"/api/J%C3%BCrgen/{}|%7c?%5B["),
    (rb"//%62ase/a%3Fb//c?d", rb"/api/a%3Fb//c?d"),
    (rb"/app/007/%41?x", rb"/of/7/%41?x"),
    (rb"/base/", rb"/api/"),
]


@pytest.mark.report("encoded-slash")
@pytest.mark.report("raw-brackets")
@pytest.mark.parametrize("sent, seen", TARGETS)
def test_a_target_is_passed_on_byte_for_byte(front, upstream, sent, seen):
    exchange(front, get(sent))
    assert upstream.target == seen
    exchange(front, WARM, get(sent))
    assert upstream.target == seen


@pytest.mark.parametrize("target", [rb"/ws/x?a[1]=2|3&J%C3%BCrgen", rb"/ws/{x}|^\`/%2F;v=1?%25"])
def test_so_is_that_of_a_hand_shake(front, upstream, target):
    request = handshake("/x").replace(b"/x", target, 1)
    assert head_of(front, request).startswith(b"HTTP/1.1 101 ")
    assert upstream.target == target


# RFC 9110 section 5.5: field values are opaque bytes.

OPAQUE = [
    b"caf\xe9", b"a=caf\xe9; b=\xc3\xa9", b"\x80\xff", b"\xf4\x8f\xbf\xa9 \xef\xbf\xbd", b"\xe2\x82", "Jürgen 日本".encode(),
]


@pytest.mark.report("bytes-in-fields")
@pytest.mark.parametrize("value", OPAQUE)
def test_values_of_fields_are_passed_on_byte_for_byte(front, upstream, value):
    upstream.answers[b"/a"] = (
        b"HTTP/1.1 103 Early\r\nX-A: \xe9\r\n\r\nHTTP/1.1 200 OK\r\nX-B: " + value + b"\r\nContent-Length: 6\r\n\r\n\xe9\xff\xf4\x8f\xbf\xa9")
    for before in [b"", WARM]:
        answer = exchange(front, before, get(b"/a", b"Cookie: " + value, b"X-A: " + value))
        assert upstream.field(b"cookie") == [value] and upstream.field(b"x-a") == [value]
        head, body = answer.rsplit(b"\r\n\r\n", 1)
        assert upstream.field(b"x-b", head) == [value] and body == b"\xe9\xff\xf4\x8f\xbf\xa9"


@pytest.mark.parametrize("value", OPAQUE)
def test_so_are_those_of_a_hand_shake_and_its_answer(front, upstream, value):
    head = head_of(front, handshake("/ws/x").replace(b"\r\n\r\n", b"\r\nCookie: " + value + b"\r\n\r\n"))
    assert upstream.field(b"cookie") == [value]
    assert upstream.field(b"x-b", head) == [b"caf\xe9 \xc3\xa9"]
    # On a connection that has been used for HTTP before.
    upstream.answers[b"/no"] = b"HTTP/1.1 403 No\r\nX-B: " + value + b"\r\nContent-Length: 0\r\n\r\n"
    answer = exchange(front, WARM, handshake("/no").replace(b"\r\n\r\n", b"\r\nCookie: " + value + b"\r\n\r\n"))
    assert upstream.field(b"cookie") == [value]
    assert upstream.field(b"x-b", answer) == [value]


def test_so_are_those_that_a_callback_is_shown(front, upstream):
    upstream.answers[b"/me[1]|%2F"] = b"HTTP/1.1 401 No\r\nWWW-Authenticate: caf\xe9\r\nContent-Length: 0\r\n\r\n"
    answer = head_of(front, handshake("/ws/asked/").replace(b"\r\n\r\n", b"\r\nCookie: a=caf\xe9\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 401 ") and upstream.field(b"www-authenticate", answer) == [b"caf\xe9"]
    assert upstream.field(b"cookie") == [b"a=caf\xe9"]
    assert upstream.target == b"/me[1]|%2F"


def test_a_head_that_comes_in_pieces_loses_nothing(front, upstream):
    upstream.answers[b"/a"] = b"HTTP/1.1 200 OK\r\nX-B: \xe2\x82\xac\xe2\x82\r\nContent-Length: 2\r\n\r\nok"
    request = WARM + get(b"/a", b"X-A: \xe2\x82\xac\xe2\x82")
    with connect(front.port) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(request), 1):
            sock.send(request[start:start + 1])
        answer = b""
        while part := sock.recv(65536):
            answer += part
    assert upstream.field(b"x-a") == [b"\xe2\x82\xac\xe2\x82"]
    assert upstream.field(b"x-b", answer) == [b"\xe2\x82\xac\xe2\x82"]


# RFC 3986 section 6.2.2.3 and section 3.3: empty segments are passed on, but cannot bypass a route that requires a token.

@pytest.mark.parametrize("path", ["/x//y", "/x///", "/x%2F%2Fy"])
def test_empty_segments_are_passed_on(front, upstream, path):
    exchange(front, get(path.encode()))
    assert upstream.target == path.encode()


MERGED = """
installed_apps: [proxy]
auth:
  users: {{jwt: {{secret: {{env: SIGNING_KEY}}}}}}
channel_layers: {{default: {{backend: memory}}}}
applications:
  main:
    http:
      - {{path: in/publish/, publish: {{groups: ["*"]}}, auth: users}}
      - {{path: "", proxy: "http://127.0.0.1:{port}"}}
    websocket:
      - {{path: "ws/staff/<path:rest>", consumer: proxy, to: "ws://127.0.0.1:{port}", auth: users}}
      - {{path: "<path:rest>", consumer: proxy, to: "ws://127.0.0.1:{port}"}}
"""


def test_slashes_that_nginx_merges_do_not_go_round_auth(start, upstream):
    gateway = start(text=MERGED.format(port=upstream.port), env={"SIGNING_KEY": "0123456789abcdef" * 2})
    for path in ["/ws//staff/x", "/ws/staff//x", "//ws//staff/x", "/ws%2F/staff/x", "/ws/%2fstaff/x"]:
        status = head_of(gateway, handshake(path)).split(b" ")[1]
        assert status in (b"400", b"401"), path
    assert head_of(gateway, handshake("/ws//staff/x")).startswith(b"HTTP/1.1 400 ")
    assert exchange(gateway, get(b"/in//publish/")).startswith(b"HTTP/1.1 400 ")
    # Some servers take \\ for a slash, and some drop what follows a ; in a segment.
    for path in [r"/ws\staff/x", "/ws/%5Cstaff/x", "/ws%5cstaff/x", "/ws/staff;a=1/x", "/ws;v=1/staff/x", "/ws/staff%3Ba/x", "/ws/%3bx/staff/x"]:
        assert head_of(gateway, handshake(path)).startswith(b"HTTP/1.1 400 "), path
    for path in [rb"/in\publish/", b"/in%5Cpublish/", b"/in;a/publish/", b"/in/publish%3B/"]:
        assert exchange(gateway, get(path)).startswith(b"HTTP/1.1 400 "), path
    assert upstream.heads == []
    for path in ["/ws//other/x", r"/ws\other;a/x"]:
        assert head_of(gateway, handshake(path)).startswith(b"HTTP/1.1 101 "), path


# RFC 9112 section 9.3.1, RFC 9110 section 9.2.2: a server may close a connection that it has kept, at any time.

@pytest.mark.report("stale-connection")
def test_a_request_that_meets_a_closed_connection_is_sent_once_more(front, upstream):
    upstream.answers[b"/lasts"] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    # Closes the connection instead of answering its next request, as if it had been closed just before the request arrived.
    upstream.closes_kept = True
    try:
        statuses, before = [], upstream.connections
        for _ in range(20):
            for method in [b"GET", b"HEAD", b"DELETE"]:
                statuses.append(exchange(front, get(b"/lasts", method=method)).split(b" ")[1])
        assert set(statuses) == {b"200"}
        assert upstream.connections > before + 30
        posted = [exchange(front, get(b"/lasts", b"Content-Length: 1", method=b"POST") + b"x").split(b" ")[1] for _ in range(2)]
        assert b"502" in posted
    finally:
        upstream.closes_kept = False
    wait_until(lambda: any("was sent again on a new one" in line for line in front.log))
    wait_until(lambda: any("the server closed an idle connection" in line and "status=502" in line for line in front.log))


def test_a_connection_that_is_always_closed_is_not_tried_for_ever(front, upstream):
    upstream.answers[b"/never"] = b"close "
    before = upstream.connections
    assert exchange(front, get(b"/never")).split(b" ")[1] == b"502"
    assert upstream.connections <= before + 2
    wait_until(lambda: any("the server closed the connection before it answered" in line for line in front.log))


# The answer of an upstream that refuses a handshake.

@pytest.mark.report("refusal-without-length")
def test_a_refusal_without_a_length_is_no_failure(front, upstream):
    """RFC 9112 section 6.3: an answer without a length ends with its connection. Daphne refuses like this."""
    before = len(front.log)
    upstream.answers[b"/denied"] = b"close HTTP/1.1 403 Access denied\r\n\r\n"
    assert head_of(front, handshake("/denied")).startswith(b"HTTP/1.1 403 ")
    upstream.answers[b"/denied"] = b"close HTTP/1.1 403 Access denied\r\nContent-Type: text/x\r\n\r\nmembers only"
    answer = head_of(front, handshake("/denied"))
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert answer.endswith(b"\r\n\r\nmembers only") and upstream.field(b"content-type", answer) == [b"text/x"]
    assert not any("an upstream did not answer as expected" in line for line in front.log[before:])


@pytest.mark.report("trace-with-a-body")
def test_a_trace_with_a_body_is_the_clients_fault(front, upstream):
    """RFC 9110 section 9.3.8."""
    before = len(front.log)
    assert exchange(front, get(b"/x", b"Content-Length: 1", method=b"TRACE") + b"x").startswith(b"HTTP/1.1 400 ")
    assert upstream.heads == [] and not any("an upstream did not answer as expected" in line for line in front.log[before:])


# RFC 9112 section 3.2: the forms of a target, and the host.

@pytest.mark.report("absolute-target")
@pytest.mark.parametrize("target, host, status, seen", [
    (b"http://a/x?y", b"a", b"200", b"/x?y"),
    (b"HTTP://A:80", b"a", b"200", b"/"),
    (b"http://a?y=/z", b"a:80", b"200", b"/?y=/z"),
    (b"http://other/x", b"a", b"400", None),
    (b"http://a:81/x", b"a", b"400", None),
    (b"http://me@a/x", b"a", b"400", None),
    (b"ftp://a/x", b"a", b"400", None),
    (b"/x", b"", b"400", None),
    (b"/x", b":80", b"400", None),
    (b"*", b"a", b"400", None),
    (b"x", b"a", b"400", None),
])
@pytest.mark.parametrize("before", [b"", WARM], ids=["first", "second"])
def test_the_target_names_the_host_that_was_asked(front, upstream, before, target, host, status, seen):
    answer = exchange(front, before, b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
    assert re.findall(rb"HTTP/1\.1 (\d+) ", answer) == [b"200"] * bool(before) + [status]
    assert [head.split(b" ")[1] for head in upstream.heads] == [seen] * (seen is not None)


@pytest.mark.report("http-1-2")
@pytest.mark.parametrize("before", [b"", WARM], ids=["first", "second"])
def test_versions_of_http(front, upstream, before):
    """RFC 9110 section 2.5."""
    answer = exchange(front, before, get(b"/x").replace(b"HTTP/1.1", b"HTTP/1.2"))
    assert re.findall(rb"HTTP/1\.1 (\d+) ", answer)[-1] == b"200" and upstream.target == b"/x"
    for version in [b"HTTP/2.0", b"HTTP/3.1"]:
        answer = exchange(front, before, get(b"/x").replace(b"HTTP/1.1", version))
        assert re.findall(rb"HTTP/1\.1 (\d+) ", answer)[-1] == b"400"


@pytest.mark.report("connect")
@pytest.mark.report("options-of-the-server")
@pytest.mark.parametrize("before", [b"", WARM], ids=["first", "second"])
def test_methods_that_are_for_no_resource(front, upstream, before):
    """RFC 9110 sections 9.1, 9.3.6 and 9.3.7."""
    def status(request: bytes) -> bytes:
        return re.findall(rb"HTTP/1\.1 (\d+) ", exchange(front, before, request))[-1]

    assert status(get(b"*", method=b"OPTIONS")) == b"204"
    assert status(get(b"/", method=b"CONNECT")) == b"501"
    assert status(get(b"a:443", method=b"CONNECT")) == b"501"
    assert status(get(b"/", method=b"BREW")) == b"501"
    assert upstream.heads == []


# RFC 9110 section 6.6.1 and section 9.3.2: refusals have a date, and to HEAD no body.

@pytest.mark.report("early-refusals")
@pytest.mark.parametrize("request_, status", [
    (get(b"/ws/echo/", b"Upgrade: websocket"), 400), (get(b"/ws/echo/", b"Sec-WebSocket-Version: 13"), 426),
    (handshake("/ws/echo/", "Origin: http://evil.example"), 403), (b"\x16\x03\x01\r\n\r\n", 400),
    (b"HEAD /x HTTP/1.1\r\n\r\n", 400), (get(b"/ws/echo/", b"Sec-WebSocket-Version: 13", method=b"HEAD"), 400),
])
def test_early_refusals_are_dated_and_head_has_no_body(front, request_, status):
    head, body = exchange(front, request_).split(b"\r\n\r\n")
    assert int(head.split(b" ")[1]) == status
    assert re.search(rb"\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", head)
    assert (body == b"") == request_.startswith(b"HEAD ")


# RFC 9112 sections 6.1, 6.3 and 7.1: the answer and the log say what is wrong with a request.

@pytest.mark.report("no-reason")
@pytest.mark.parametrize("request_, reason", [
    (b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "beside a Content-Length"),
    (b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "a transfer coding other than chunked"),
    (b"POST /hold HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "does not begin with its size"),
    (b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", "beside a Content-Length"),
    (b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", "Content-Length header is not one number"),
    (b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nX: y\r\nContent-Length: 1\r\n\r\nx", "more than one Content-Length"),
    (b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 12345678901234567890123\r\n\r\n", "Content-Length header is too large"),
    (b"BREW /x HTTP/1.1\r\nHost: a\r\n\r\n", "method of the request is not supported"),
    (b"GET http://other/ HTTP/1.1\r\nHost: a\r\n\r\n", "for another host"),
])
@pytest.mark.parametrize("before", [b"", WARM], ids=["first", "second"])
def test_what_is_wrong_with_a_request_is_said(front, upstream, before, request_, reason):
    answer = exchange(front, before, request_)
    head, body = answer.rsplit(b"\r\n\r\n", 1)
    assert reason in body.decode() and b"connection: close" in head.lower()
    assert int(upstream.field(b"content-length", head.rsplit(b"HTTP/1.1 ", 1)[1])[-1]) == len(body)
    # The log accepts only a limited number of these lines per second.
    known = len(front.log)
    wait_until(lambda: exchange(front, request_) and any("refused" in line and reason in line for line in front.log[known:]))


# RFC 9110 section 8.3 and section 13: files.

@pytest.mark.report("types-of-files")
def test_files_have_their_types(front):
    for name, kind in TYPES.items():
        assert requests.get(front.http("/files/" + name)).headers.get("Content-Type") == kind, name


@pytest.mark.report("conditions-of-files")
def test_conditions_of_a_file(front):
    """RFC 9110 sections 13.1.1 to 13.1.4 and 13.2.2."""
    url = front.http("/files/a.txt")
    now = requests.get(url).headers
    tag, date = now["ETag"], now["Last-Modified"]
    old, new = "Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 31 Dec 2100 23:59:59 GMT"
    bare = tag.removeprefix("W/")
    for fields, status in [
        ({"If-None-Match": "*"}, 304), ({"If-None-Match": f'"x", {tag}'}, 304), ({"If-None-Match": f'"a,b",{bare}'}, 304),
        ({"If-None-Match": '"x"'}, 200), ({"If-None-Match": '"x"', "If-Modified-Since": new}, 200),
        ({"If-Match": "*"}, 200), ({"If-Match": '"x"'}, 412), ({"If-Match": tag}, 200), ({"If-Match": f"W/{tag}"}, 412),
        ({"If-Match": '"x", *'}, 200), ({"If-None-Match": f"W/{tag}"}, 304),
        ({"If-Unmodified-Since": old}, 412), ({"If-Unmodified-Since": new}, 200), ({"If-Unmodified-Since": date}, 200),
        ({"If-Unmodified-Since": "yesterday"}, 200), ({"If-Match": "*", "If-Unmodified-Since": old}, 200),
        ({"If-Modified-Since": date}, 304), ({"If-Modified-Since": old}, 200), ({"If-Modified-Since": "x"}, 200),
        ({"If-Modified-Since": "Friday, 31-Dec-69 23:59:59 GMT"}, 304), ({"If-Modified-Since": "Sun Nov  6 08:49:37 1994"}, 200),
        ({"If-None-Match": '"x"', "Range": "bytes=0-1"}, 206), ({"If-None-Match": "*", "Range": "bytes=0-1"}, 304),
        ({"If-Match": '"x"', "Range": "bytes=99-"}, 412),
    ]:
        for method in ["GET", "HEAD"]:
            answer = requests.request(method, url, headers=fields)
            assert answer.status_code == (200 if (status, method) == (206, "HEAD") else status), (method, fields)
            if status == 304:
                assert answer.headers["ETag"] == tag and answer.content == b""


def test_a_part_is_of_the_version_that_the_client_has(front):
    """RFC 9110 section 13.1.5: strong comparison. A file of the same size and second is another version."""
    url, file = front.http("/files/a.txt"), front.site / "a.txt"
    second = 1_700_000_000_000_000_000

    def part(condition: str) -> tuple[int, str]:
        answer = requests.get(url, headers={"Range": "bytes=5-", "If-Range": condition})
        return answer.status_code, answer.text

    try:
        os.utime(file, ns=(second, second))
        old = requests.get(url).headers
        assert part(old["ETag"]) == part(old["Last-Modified"]) == (206, "56789")
        assert part(f"W/{old['ETag']}") == part('"x"') == part("Tue, 14 Nov 2023 22:13:21 GMT") == (200, "0123456789")
        for nanoseconds in (100_000_000, 0):
            file.write_text("abcdefghij")
            os.utime(file, ns=(second, second + nanoseconds))
            assert part(old["ETag"]) == (200, "abcdefghij")
            assert requests.get(url, headers={"If-None-Match": old["ETag"]}).status_code == 200
    finally:
        file.write_text("0123456789")


@pytest.mark.report("redirect-without-query")
def test_a_folders_redirect_keeps_the_query(front):
    answer = requests.get(front.http("/files/sub?x=1&y=%2F"), allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (301, "/files/sub/?x=1&y=%2F")


@pytest.mark.report("single-page-apps")
def test_a_page_that_finds_its_way_by_its_path(front):
    page = {"Accept": "text/html,*/*;q=0.8"}
    for path, fields in [("/app/users/7", {}), ("/app/john.doe", page), ("/app/users/", {}), ("/app/live/", page)]:
        answer = requests.get(front.http(path), headers=fields)
        assert (answer.status_code, answer.text) == (200, "<h1>app</h1>"), path
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert requests.get(front.http("/app/"), headers=page).text == "<h1>front</h1>"
    assert requests.get(front.http("/app/a.txt"), headers=page).text == "0123456789"
    assert requests.get(front.http("/app/missing.js")).status_code == 404
    # If a WebSocket route matches, too, a request that is not for a page is told to upgrade.
    assert requests.get(front.http("/app/live/")).status_code == 426
    assert requests.post(front.http("/app/users/7")).status_code == 404
    assert requests.get(front.http("/files/users/7"), headers=page).status_code == 404


@pytest.mark.report("keep-alive-time")
def test_a_silent_connection_is_closed_after_the_keep_alive_time(front):
    """RFC 9112 section 9.5."""
    with connect(front.port) as sock:
        sock.sendall(WARM)
        answer = b""
        while part := sock.recv(65536):
            answer += part
    assert answer.endswith(b"hello")
