"""HTTP requests on the gateway's port."""

import http.client
import os
import pathlib
import re
import signal
import socket
import struct
import time

import pytest
import requests

from clients import connect, frame, handshake, read_exactly, read_frame, read_head, status_of

SITE = """
installed_apps: [echo]
applications:
  main:
    http:
      - {path: hello/, respond: hello}
      - {path: made/, respond: {status: 201, json: {a: 1}, headers: {X-Note: "yes"}}}
      - {path: "old/<str:x>/", redirect: {to: "/new/{x}/", status: 308}}
      - {path: "away/<path:rest>", redirect: "/{rest}"}
      - {path: gone/, respond: {status: 204}}
      - {path: health/live, health: live}
      - {path: health/ready, health: ready}
      - {path: files/, static: site}
      - {path: "", static: site}
    websocket:
      - {path: ws/echo/, consumer: echo}
"""


@pytest.fixture
def site(start, tmp_path):
    folder = tmp_path / "site"
    (folder / "sub").mkdir(parents=True)
    (folder / "index.html").write_text("<h1>front</h1>")
    (folder / "sub/index.html").write_text("<h1>below</h1>")
    (folder / "app.js").write_text("let a = 1")
    (folder / "style.css").write_text("a {}")
    (folder / "ü b.txt").write_text("named")
    (folder / ".secret").write_text("no")
    (tmp_path / "outside.txt").write_text("no")
    os.symlink(tmp_path / "outside.txt", folder / "link.txt")
    os.symlink(folder / "app.js", folder / "inside.js")
    (folder / "trap").mkdir()
    os.symlink(tmp_path / "outside.txt", folder / "trap/index.html")
    (folder / "bare").mkdir()
    (folder / "ten").write_text("0123456789")
    (folder / "empty").write_text("")
    (folder / "a..b.txt").write_text("dots")
    os.mkfifo(folder / "pipe")
    file = tmp_path / "site.yaml"
    file.write_text(SITE)
    return start(file=file)


def test_files_come_with_their_types(site):
    for path, kind in [("/", "text/html"), ("/app.js", "javascript"), ("/style.css", "text/css"), ("/inside.js", "javascript")]:
        answer = requests.get(site.http(path))
        assert answer.status_code == 200
        assert kind in answer.headers["Content-Type"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert requests.get(site.http("/%C3%BC%20b.txt")).text == "named"
    assert requests.get(site.http("/sub/")).text == "<h1>below</h1>"
    assert requests.get(site.http("/files/app.js")).text == "let a = 1"


def test_a_folder_without_its_slash_is_sent_to_it(site):
    for path in ["/sub", "/files/sub"]:
        answer = requests.get(site.http(path), allow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (301, path + "/")


def test_conditions_and_ranges(site):
    first = requests.get(site.http("/app.js"))
    again = requests.get(site.http("/app.js"), headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    part = requests.get(site.http("/app.js"), headers={"Range": "bytes=4-6"})
    assert (part.status_code, part.text) == (206, "a =")
    assert requests.head(site.http("/app.js")).headers["Content-Length"] == "9"
    assert requests.post(site.http("/app.js")).status_code == 405


@pytest.mark.parametrize(
    "path",
    ["/../outside.txt", "/%2e%2e/outside.txt", "/..%2foutside.txt", "/sub/../../outside.txt", "/link.txt", "/.secret",
     "/trap/", "/trap", "//trap/", "/files/trap/", "/trap/index.html", "/pipe", "/bare/", "/bare",
     "/%00", "/sub/%2e%2e%2f%2e%2e%2foutside.txt", "/nothing"],
)
def test_nothing_outside_is_served(site, path):
    request = f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    assert status_of(site.port, request) in (400, 404)


def test_fixed_answers_redirects_and_health(site):
    assert requests.get(site.http("/hello/")).text == "hello"
    made = requests.get(site.http("/made/"))
    assert (made.status_code, made.json(), made.headers["X-Note"]) == (201, {"a": 1}, "yes")
    moved = requests.get(site.http("/old/a%20b/?q=1"), allow_redirects=False)
    assert (moved.status_code, moved.headers["Location"]) == (308, "/new/a%20b/?q=1")
    assert requests.get(site.http("/health/live")).status_code == 200
    assert requests.get(site.http("/health/ready")).status_code == 200
    assert requests.get(site.http("/nothing/")).status_code == 404


@pytest.mark.parametrize("method, body", [("GET", b"live\n"), ("HEAD", b"")])
@pytest.mark.parametrize("last", ["HTTP/1.1\r\nConnection: close", "HTTP/1.1\r\nConnection: TE, Close", "HTTP/1.0"])
def test_a_probe_that_asks_for_nothing_else_gets_the_same_answer(site, method, body, last):
    """A worker answers it, however busy the HTTP service is."""
    version, *field = last.split("\r\n")
    with connect(site.port) as sock:
        sock.sendall("\r\n".join([f"{method} /health/live {version}", "Host: a", *field, "", ""]).encode())
        answer = b"".join(iter(lambda: sock.recv(4096), b""))
    head, rest = answer.split(b"\r\n\r\n", 1)
    kept = requests.get(site.http("/health/live"))
    assert kept.headers.get("Connection") != "close"
    assert (head.split(b"\r\n")[0], rest) == (b"HTTP/1.1 200 OK", body)
    lines = {line.split(": ")[0].lower(): line.split(": ")[1] for line in head.decode().split("\r\n")[1:]}
    assert lines["connection"] == "close" and "date" in lines
    assert all(lines[name] == kept.headers[name] for name in ["content-type", "cache-control", "content-length"])


def test_a_probe_with_a_body_is_a_request_like_others(site):
    probe = b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n"
    assert status_of(site.port, probe + b"\r\n01234") == 200
    assert status_of(site.port, probe + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == 400


def test_a_socket_path_asks_for_an_upgrade(site):
    answer = requests.get(site.http("/ws/echo/"))
    assert (answer.status_code, answer.headers["Upgrade"]) == (426, "websocket")


def test_requests_on_one_connection_and_then_a_socket(site):
    with connect(site.port) as sock:
        sock.sendall(b"GET /hello/ HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
        for _ in range(3):
            head = read_head(sock)
            assert head.startswith("HTTP/1.1 200")
            assert sock.recv(5) == b"hello"
        sock.sendall(handshake("/ws/echo/"))
        assert read_head(sock).startswith("HTTP/1.1 101")
        sock.sendall(frame(1, b"over here"))
        assert read_frame(sock) == (1, b"over here")


@pytest.mark.parametrize("field, status, text, place", [
    ("bytes=2-5", 206, "2345", "bytes 2-5/10"),
    ("bytes=0-", 206, "0123456789", "bytes 0-9/10"),
    ("bytes=9-", 206, "9", "bytes 9-9/10"),
    ("bytes=9-100", 206, "9", "bytes 9-9/10"),
    ("bytes=-3", 206, "789", "bytes 7-9/10"),
    ("bytes=-100", 206, "0123456789", "bytes 0-9/10"),
    ("Bytes=1-1", 206, "1", "bytes 1-1/10"),
    ("bytes=10-", 416, None, "bytes */10"),
    ("bytes=100-200", 416, None, "bytes */10"),
    ("bytes=9223372036854775807-", 416, None, "bytes */10"),
    ("bytes=99999999999999999999-", 416, None, "bytes */10"),
    ("bytes=-0", 416, None, "bytes */10"),
    ("bytes=5-2", 200, "0123456789", None),
    ("bytes=1-2,4-5", 200, "0123456789", None),
    ("bytes=-", 200, "0123456789", None),
    ("bytes=a-b", 200, "0123456789", None),
    ("lines=1-2", 200, "0123456789", None),
])
def test_parts_of_a_file(site, field, status, text, place):
    answer = requests.get(site.http("/ten"), headers={"Range": field})
    assert (answer.status_code, answer.headers.get("Content-Range")) == (status, place)
    assert text is None or answer.text == text
    assert answer.headers["Content-Length"] == str(len(answer.content))


def test_parts_and_conditions(site):
    tag = requests.get(site.http("/ten")).headers["ETag"]
    beyond = {"Range": "bytes=10-"}
    assert requests.get(site.http("/ten"), headers={**beyond, "If-None-Match": tag}).status_code == 304
    assert requests.get(site.http("/ten"), headers={**beyond, "If-Range": '"other"'}).text == "0123456789"
    assert requests.get(site.http("/ten"), headers={"Range": "bytes=1-2", "If-Range": '"other"'}).text == "0123456789"
    assert requests.get(site.http("/empty"), headers={"Range": "bytes=0-"}).status_code == 416
    head = requests.head(site.http("/ten"), headers={"Range": "bytes=1-2"})
    assert (head.status_code, head.headers["Content-Length"]) == (200, "10")


def test_two_dots_in_a_name(site):
    answer = requests.get(site.http("/a..b.txt"))
    assert (answer.text, answer.headers["Content-Type"].split(";")[0]) == ("dots", "text/plain")


@pytest.mark.parametrize("path, place", [
    ("/away//evil.com/x", "/evil.com/x"), ("/away/%2f%2fevil.com", "/evil.com"), ("//sub", "/sub/"), ("///sub", "/sub/"),
])
def test_a_redirect_does_not_lead_to_another_host(site, path, place):
    with connect(site.port) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert f"\r\nlocation: {place}\r\n" in read_head(sock).lower()


def exchange(port: int, *requests_: bytes) -> bytes:
    """All answers until the gateway closes the connection."""
    with connect(port) as sock:
        sock.sendall(b"".join(requests_))
        answer = b""
        while part := sock.recv(65536):
            answer += part
        return answer


LAST = b"GET /hello/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("request_line, status", [
    (b"HEAD /nothing", b"404"), (b"HEAD /health/live", b"200"), (b"HEAD /hello/", b"200"), (b"HEAD /old/x/", b"308"),
    (b"HEAD /ws/echo/", b"426"), (b"HEAD /app.js", b"200"), (b"HEAD /%zz", b"400"), (b"GET /gone/", b"204"),
])
def test_what_has_no_body_has_none(site, request_line, status):
    answer = exchange(site.port, request_line + b" HTTP/1.1\r\nHost: a\r\n\r\n", LAST)
    first, second, body = answer.split(b"\r\n\r\n")
    assert first.split(b" ")[1] == status
    assert second.startswith(b"HTTP/1.1 200 ") and body == b"hello"


def test_answers_are_dated(site):
    for path in ["/hello/", "/nothing", "/app.js"]:
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", requests.get(site.http(path)).headers["Date"])


@pytest.mark.parametrize("request_", [
    b"GET /hello/ HTTP/1.0\r\n\r\n",
    b"GET /hello/ HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n",
    b"GET /hello/ HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n",
    b"GET /hello/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n",
    b"POST /hello/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc",
    b"POST /hello/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
])
def test_a_connection_that_cannot_go_on_is_closed(site, request_):
    answer = exchange(site.port, request_)
    head, body = answer.split(b"\r\n\r\n")
    assert head.split(b" ")[1] == b"200" and body == b"hello"
    assert b"connection: close" in head.lower()


def test_an_old_client_may_keep_its_connection(site):
    request = b"GET /hello/ HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
    answer = exchange(site.port, request, request, b"GET /hello/ HTTP/1.0\r\n\r\n")
    assert answer.count(b"hello") == 3 and answer.lower().count(b"connection: keep-alive") == 2


def slow_reader(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(20)
    sock.connect(("127.0.0.1", port))
    return sock


@pytest.fixture
def downloads(site, tmp_path):
    """Clients that read nothing yet. The ends of their files wait in every place: in the gateway, in the kernel, in the client."""
    sizes = [number * 128 * 1024 for number in range(1, 49)]
    socks = []
    for size in sizes:
        with open(tmp_path / f"site/{size}", "wb") as file:
            file.truncate(size)
        socks.append(slow_reader(site.port))
    yield list(zip(sizes, socks))
    for sock in socks:
        sock.close()


def settle(site) -> None:
    """When these requests are answered, the gateway has also done what it can for the others."""
    for _ in range(100):
        requests.get(site.http("/hello/"))


@pytest.mark.alone
def test_a_stop_does_not_cut_a_download_short(site, downloads):
    for size, sock in downloads:
        sock.sendall(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % size)
    settle(site)
    site.process.send_signal(signal.SIGTERM)
    while not any("stopping" in line for line in site.log):
        time.sleep(0.01)
    for size, sock in downloads:
        assert read_head(sock).startswith("HTTP/1.1 200 ")
        read_exactly(sock, size)
    assert site.process.wait(20) == 0


def test_an_upgrade_behind_a_download_loses_nothing(site, downloads):
    for size, sock in downloads:
        sock.sendall(b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % size + handshake("/ws/echo/"))
    settle(site)
    for size, sock in downloads:
        assert read_head(sock).startswith("HTTP/1.1 200 ")
        read_exactly(sock, size)
        assert read_head(sock).startswith("HTTP/1.1 101 ")
        sock.sendall(frame(1, b"over here"))
        assert read_frame(sock) == (1, b"over here")


def test_a_full_gateway_takes_back_what_it_has(start, tmp_path):
    (tmp_path / "site").mkdir()
    file = tmp_path / "site.yaml"
    file.write_text(SITE + "limits: {connections: 3}\n")
    for _ in range(5):
        gateway = start(file=file)
        socks = [connect(gateway.port) for _ in range(3)]
        for sock in socks:
            sock.sendall(b"GET /hello/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            read_head(sock)
            assert sock.recv(5) == b"hello"
        for sock in socks:
            sock.sendall(handshake("/ws/echo/"))
            assert read_head(sock).startswith("HTTP/1.1 101 ")
        for sock in socks:
            sock.close()


def test_resets_during_an_upgrade_leave_no_descriptor(site):
    folder = pathlib.Path(f"/proc/{site.process.pid}/fd")

    def one(delay: int) -> None:
        with connect(site.port) as sock:
            sock.sendall(b"GET /hello/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            read_head(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.sendall(handshake("/ws/echo/"))
            for _ in range(delay):
                pass

    def count() -> int:
        return len(list(folder.iterdir()))

    one(0)
    before = count()
    for number in range(2000):
        one(number % 40 * 250)
    # The last ones may still be on their way.
    deadline = time.monotonic() + 15
    while count() > before + 2 and time.monotonic() < deadline:
        requests.get(site.http("/hello/"))
    assert count() <= before + 2
