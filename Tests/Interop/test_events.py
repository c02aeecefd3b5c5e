"""Server-sent events: the same groups as WebSocket clients, over plain HTTP."""

import json
import resource
import signal
import socket

import pytest
import requests

from certificates import Authority
from clients import connect, frame, open_session, read_frame, read_head
from redis_stack import wait_until
from streams import accepted, open_stream, request

CONFIG = """
installed_apps: [echo, chat, broadcast]
channel_layers: {default: {backend: memory}}
LIMITS
applications:
  main:
    http:
      - {path: hello/, respond: hello}
      - {path: api/, publish: {groups: news, anonymous: true, allow: [groups]}}
      - {path: health/ready, health: ready}
      - {path: "events/<slug:room>/", events: "chat_{room}"}
      - {path: news/, events: {group: news, heartbeat: 1s, retry: 250ms}}
      - {path: small/, events: news, limits: {send_queue: 64KiB}}
      - {path: open/, events: news, allowed_hosts: ["*", friend.example]}
      - {path: friends/, events: news, allowed_hosts: [friend.example]}
    websocket:
      - {path: "ws/<slug:room>/", consumer: chat, group: "chat_{room}"}
      - {path: ws-news/, consumer: broadcast, group: news}
"""


@pytest.fixture
def served(start):
    return begin(start)


def begin(start, limits=""):
    return start(text=CONFIG, limits=limits)


def say(sock: socket.socket, text: str) -> None:
    sock.sendall(frame(1, text.encode()))


def test_the_head_says_that_nothing_may_wait_for_more(served):
    with open_stream(served.port, "/news/") as stream:
        fields = stream.fields()
        assert fields["content-type"] == "text/event-stream"
        assert fields["cache-control"] == "no-store"
        assert fields["x-accel-buffering"] == "no"
        assert fields["connection"] == "close"
        assert "content-length" not in fields and "transfer-encoding" not in fields
        assert not any(name.startswith("access-control") for name in fields)
        assert stream.retry == 250
    with open_stream(served.port, "/events/a/") as stream:
        assert stream.retry == 2000


def test_websockets_and_streams_share_a_group(served):
    with open_session(served.port, "/ws/a/") as sock, open_session(served.port, "/ws/b/") as elsewhere:
        streams = [open_stream(served.port, "/events/a/") for _ in range(20)]
        other = open_stream(served.port, "/events/b/")
        for number in range(50):
            say(sock, json.dumps({"message": {"n": number, "text": "é\n😀"}}))
        say(elsewhere, '{"message": "only b"}')
        for number in range(50):
            wanted = {"message": {"n": number, "text": "é\n😀"}}
            assert json.loads(read_frame(sock)[1]) == wanted
            for stream in streams:
                event = stream.read()
                assert (event.name, json.loads(event.data)) == ("message", wanted)
        assert json.loads(other.read().data) == {"message": "only b"}
        for stream in [*streams, other]:
            stream.close()


def test_text_of_several_lines_and_bytes(served):
    with open_session(served.port, "/ws-news/") as sock, open_stream(served.port, "/news/") as stream:
        for text in ["plain", "a\nb\r\nc\rd", "", "\n", "data: no field\n\nevent: no event", " space"]:
            say(sock, text)
            event = stream.read()
            assert (event.name, event.data) == ("message", text.replace("\r\n", "\n").replace("\r", "\n"))
        sock.sendall(frame(2, bytes(range(256))))
        event = stream.read()
        assert (event.name, event.data[:8]) == ("bytes", "AAECAwQF")


def test_a_comment_shows_that_the_stream_lives(served):
    with open_stream(served.port, "/news/") as stream:
        while stream.comments < 2:
            assert stream.read_block()
        assert stream.events == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_405(served, method):
    answer = requests.request(method, served.http("/news/"), data="x")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


def test_head_has_the_fields_and_no_body(served):
    with connect(served.port) as sock:
        sock.sendall(request("/news/", method="HEAD") + request("/hello/", "Connection: close"))
        head = read_head(sock)
        assert head.startswith("HTTP/1.1 200 ") and "text/event-stream" in head
        assert read_head(sock).startswith("HTTP/1.1 200 ")
        assert sock.recv(100) == b"hello"


def test_an_old_client_gets_a_stream(served):
    with connect(served.port) as sock, open_session(served.port, "/ws-news/") as publisher:
        sock.sendall(b"GET /news/ HTTP/1.0\r\n\r\n")
        stream = accepted(sock)
        say(publisher, "old")
        assert stream.read().data == "old"


def test_whatever_accept_says(served):
    for accept in ["text/event-stream", "*/*", "application/json"]:
        open_stream(served.port, "/news/", f"Accept: {accept}").close()


def test_a_kept_alive_connection_becomes_a_stream(served):
    with connect(served.port) as sock, open_session(served.port, "/ws-news/") as publisher:
        for _ in range(3):
            sock.sendall(request("/hello/"))
            assert read_head(sock).startswith("HTTP/1.1 200 ")
            assert sock.recv(5) == b"hello"
        sock.sendall(request("/news/", "Last-Event-ID: 1"))
        stream = accepted(sock)
        say(publisher, "later")
        assert stream.read().data == "later"


def test_nothing_there(served):
    # A group name has at most 99 characters.
    for path, status in [("/events/" + "x" * 120 + "/", 404), ("/events/", 404), ("/events/%ff/", 400)]:
        with connect(served.port) as sock:
            sock.sendall(request(path))
            assert read_head(sock).startswith(f"HTTP/1.1 {status} "), path


def test_what_comes_behind_the_request_is_passed_over(served):
    with connect(served.port) as sock, open_session(served.port, "/ws-news/") as publisher:
        sock.sendall(request("/news/", "Content-Length: 4") + b"body")
        stream = accepted(sock)
        sock.sendall(b"\r\n" + request("/hello/"))
        say(publisher, "x")
        assert stream.read().data == "x"


def test_who_goes_on_talking_is_let_go(served):
    with connect(served.port) as sock:
        sock.sendall(request("/news/"))
        accepted(sock)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            while True:
                sock.sendall(b"x" * 4096)


def test_who_closes_is_forgotten(served):
    streams = [open_stream(served.port, "/news/") for _ in range(50)]
    for stream in streams[:25]:
        stream.close()
    for stream in streams[25:]:
        stream.sock.shutdown(socket.SHUT_WR)
        stream.read_end()
    # The client sees the end before the gateway has finished with it.
    wait_until(lambda: not requests.get(f"http://127.0.0.1:{served.port}/api/groups", timeout=10).json()["groups"])
    assert served.stop() == 0
    assert any("stopping" in line and "sessions=0" in line for line in served.log), served.log


def test_origins(served):
    def fields(path, *extra, method="GET"):
        with connect(served.port) as sock:
            sock.sendall(request(path, *extra, method=method))
            lines = read_head(sock).split("\r\n")
            pairs = [line.split(": ", 1) for line in lines[1:] if line]
            return int(lines[0].split(" ")[1]), {name.lower(): value for name, value in pairs}

    def answer(path, *extra):
        status, found = fields(path, *extra)
        return status, found.get("access-control-allow-origin"), found.get("access-control-allow-credentials")

    friend, stranger = "Origin: https://friend.example", "Origin: https://stranger.example"
    assert answer("/news/") == (200, None, None)
    assert answer("/news/", "Origin: http://localhost") == (200, "http://localhost", "true")
    assert answer("/news/", stranger) == (403, None, None)
    assert answer("/news/", "Origin: null") == (403, None, None)
    assert answer("/friends/", friend) == (200, "https://friend.example", "true")
    # Browsers send no Origin if a page asks its own server.
    assert answer("/friends/") == (200, None, None)
    assert answer("/friends/", stranger) == (403, None, None)
    assert answer("/friends/", friend, friend) == (400, None, None)
    # Pages of other origins get no events with cookies.
    assert answer("/open/", stranger) == (200, "*", None)
    assert answer("/open/", friend) == (200, "https://friend.example", "true")
    status, found = fields("/friends/", friend, "Access-Control-Request-Method: GET", method="OPTIONS")
    assert (status, found["access-control-allow-origin"]) == (204, "https://friend.example")
    assert "Authorization" in found["access-control-allow-headers"]
    assert fields("/friends/", stranger, method="OPTIONS")[0] == 403


def test_a_slow_reader_is_let_go_and_the_others_get_everything(served):
    with open_session(served.port, "/ws-news/") as publisher, open_stream(served.port, "/news/") as fast:
        slow = connect(served.port)
        slow.sendall(request("/small/"))
        slow_stream = accepted(slow)
        # More than the kernel buffers of both sides hold.
        text = "x" * 65536
        count = 400
        for number in range(count):
            say(publisher, f"{number} {text}")
            assert fast.read().data == f"{number} {text}"
            read_frame(publisher)
        # Only whole events, from the first on without a gap, and then the end.
        try:
            while slow_stream.read_block():
                pass
        except ConnectionResetError:
            pass
        got = [int(event.data.split(" ")[0]) for event in slow_stream.events]
        assert got == list(range(len(got))) and len(got) < count
    served.stop()
    assert any("slow-readers=1" in line for line in served.log), served.log


def test_a_stop_ends_streams_so_that_clients_come_again(served):
    streams = [open_stream(served.port, "/news/") for _ in range(20)]
    with open_session(served.port, "/ws-news/") as publisher:
        say(publisher, "last")
        assert [stream.read().data for stream in streams] == ["last"] * 20
    served.process.send_signal(signal.SIGTERM)
    for stream in streams:
        stream.read_end()
        assert [event.name for event in stream.events] == ["message"]
        stream.close()
    assert served.process.wait(20) == 0


def test_a_client_that_does_not_close_does_not_hold_the_stop(start):
    gateway = begin(start, limits="shutdown: {grace: 1s}")
    with open_stream(gateway.port, "/news/"):
        assert gateway.stop(timeout=15) == 0


def test_many_streams_are_ended_at_a_pace_and_take_little(start):
    count = 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 3 * count)), hard))
    gateway = begin(start, limits="shutdown: {grace: 10s}")
    warm = [open_stream(gateway.port, "/events/a/") for _ in range(100)]
    before = gateway.resident_kib
    streams = [open_stream(gateway.port, "/events/a/") for _ in range(count)]
    assert gateway.resident_kib - before < count * 4
    with open_session(gateway.port, "/ws/a/") as publisher:
        say(publisher, '{"message": 1}')
        for stream in warm + streams:
            assert stream.read().data == '{"message": 1}'
    gateway.process.send_signal(signal.SIGTERM)
    for stream in warm + streams:
        stream.read_end()
        stream.close()
    assert gateway.process.wait(20) == 0


def test_streams_are_connections_that_limits_count(start):
    gateway = begin(start, limits="limits: {connections: 3}")
    streams = [open_stream(gateway.port, "/news/") for _ in range(3)]
    with connect(gateway.port) as sock:
        sock.sendall(request("/news/"))
        head = read_head(sock)
        assert head.startswith("HTTP/1.1 503 ") and "Retry-After" in head
    assert requests.get(gateway.http("/hello/")).text == "hello"
    streams.pop().close()
    wait_until(lambda: _opened(gateway.port)).close()


def _opened(port: int) -> socket.socket | None:
    sock = connect(port)
    sock.sendall(request("/news/"))
    if read_head(sock).startswith("HTTP/1.1 200 "):
        return sock
    sock.close()
    return None


def test_over_tls(start, tmp_path):
    authority = Authority(tmp_path)
    authority.issue("site", "localhost")
    gateway = begin(start, limits="server: {tls: {certificate: site.pem, key: site.key}}")
    context = authority.client()
    with context.wrap_socket(connect(gateway.port), server_hostname="localhost") as sock:
        sock.sendall(request("/hello/"))
        assert read_head(sock).startswith("HTTP/1.1 200 ") and sock.recv(5) == b"hello"
        sock.sendall(request("/news/", "Origin: https://localhost"))
        stream = accepted(sock)
        assert stream.fields()["access-control-allow-origin"] == "https://localhost"
        with context.wrap_socket(connect(gateway.port), server_hostname="localhost") as fresh:
            fresh.sendall(request("/news/"))
            other = accepted(fresh)
            while stream.comments == 0 or other.comments == 0:
                assert stream.read_block() and other.read_block()
            gateway.process.send_signal(signal.SIGTERM)
            other.read_end()
            stream.read_end()
    assert gateway.process.wait(20) == 0
