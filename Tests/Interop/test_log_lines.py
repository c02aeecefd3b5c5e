"""The log lines about sessions and refusals, in JSON."""

import json
import signal
import socket
import struct

import pytest

from certificates import Authority
from clients import frame, handshake, read_close, read_frame, read_head
from conftest import DEFAULT, ROOT, Gateway
from redis_stack import wait_until
from tokens import signed

SECRET = "0123456789abcdef0123456789abcdef"
PUBLISH = f"POST /api/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {SECRET}\r\nContent-Type: %s\r\nContent-Length: 2\r\n\r\n{{}}".encode()

CONFIG = """
installed_apps: [echo, chat, broadcast]
channel_layers: {default: {backend: memory}}
server:
  bind: "127.0.0.1:0"
  tls: {certificate: site.pem, key: site.key, bind: "127.0.0.3:0"}
logging: {format: json, sessions: true}
auth:
  simple: {jwt: {secret: {env: SIGNING_KEY}, from: [header, {query: token}]}}
  first: {jwt: {secret: {env: SIGNING_KEY}, from: [message]}}
applications:
  main:
    http:
      - {path: hello/, respond: hello}
      - {path: api/, publish: {groups: "*", token: {env: SIGNING_KEY}}}
      - {path: events/, events: news}
    websocket:
      - {path: "ws/chat/<slug:room>/", consumer: chat, group: "chat_{room}", name: chat}
      - {path: ws/echo/, consumer: echo, subprotocols: [v1]}
      - {path: ws/me/, consumer: echo, auth: simple, require: {role: admin}}
      - {path: ws/team/, consumer: chat, group: "team_{claims.team}", auth: first, require: {role: user}}
"""


# The address of clients whose connections get no line, which is certain only when the gateway has ended.
SILENT = "127.0.0.77"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("lines"))
    authority.issue("site", "localhost")
    file = authority.folder / "routes.yaml"
    file.write_text(CONFIG)
    running = Gateway(file, bind=None, env={"SIGNING_KEY": SECRET})
    wait_until(lambda: running.port and running.secure_port)
    yield running
    running.stop()
    assert not [line for line in running.log if SILENT in line]
    # Each line is an object, whatever its contents.
    assert all(isinstance(json.loads(line), dict) for line in running.log)


def dial(gateway, request: bytes) -> tuple[socket.socket, str]:
    sock = socket.create_connection(("127.0.0.1", gateway.port), timeout=20)
    sock.sendall(request)
    return sock, "127.0.0.1:%d" % sock.getsockname()[1]


def line_of(gateway, message: str, peer: str) -> dict:
    def find():
        lines = (json.loads(line) for line in gateway.log)
        return next((line for line in lines if line["message"] == message and line.get("peer") == peer), None)

    return wait_until(find, what=f"{message} {peer}")


def token(**claims) -> str:
    return signed(SECRET, 60, **{"sub": "42", **claims})


@pytest.mark.report("numbers-as-text")
@pytest.mark.report("session-lines")
def test_a_session_has_a_line_at_its_start_and_one_at_its_end(gateway):
    sock, peer = dial(gateway, handshake("/ws/chat/lobby/?token=secret"))
    assert "101" in read_head(sock)
    began = line_of(gateway, "a session began", peer)
    assert (began["route"], began["path"]) == ("chat", "/ws/chat/lobby/") and "user" not in began
    sizes = 0
    for text in (b"x", b"y" * 200):
        message = b'{"message": "%s"}' % text
        sock.sendall(frame(1, message))
        sizes += len(message)
        assert text in read_frame(sock)[1]
    sock.sendall(frame(8, struct.pack("!H", 4001) + b"bye"))
    assert read_close(sock)[0] == 4001
    sock.close()
    ended = line_of(gateway, "a session ended", peer)
    told = {key: ended[key] for key in ("code", "reason", "ended-by", "route", "path", "messages-in", "bytes-in", "messages-out")}
    assert told == {
        "code": 4001, "reason": "bye", "ended-by": "client", "route": "chat", "path": "/ws/chat/lobby/",
        "messages-in": 2, "bytes-in": sizes, "messages-out": 2,
    }
    assert 0 <= ended["seconds"] < 60 and ended["bytes-out"] > sizes - 20
    assert not any("secret" in line for line in gateway.log)


def test_several_messages_that_are_sent_as_one_are_counted_each(gateway):
    sock, peer = dial(gateway, handshake("/ws/chat/crowd/"))
    read_head(sock)
    sock.sendall(b"".join(frame(1, b'{"message": "%s"}' % (b"z" * size)) for size in (0, 5, 200, 70000)))
    for size in (0, 5, 200, 70000):
        assert json.loads(read_frame(sock)[1])["message"] == "z" * size
    sock.sendall(b"\x83\x80\0\0\0\0")
    assert read_close(sock)[0] == 1002
    sock.close()
    ended = line_of(gateway, "a session ended", peer)
    assert (ended["code"], ended["ended-by"], ended["messages-out"]) == (1002, "gateway", 4)


def test_an_end_without_a_word_is_1006_and_a_user_is_named(gateway):
    sock, peer = dial(gateway, handshake(f"/ws/me/?token={token(role='admin')}"))
    read_head(sock)
    assert line_of(gateway, "a session began", peer)["user"] == "42"
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    ended = line_of(gateway, "a session ended", peer)
    assert (ended["code"], ended["user"], ended["messages-in"]) == (1006, "42", 0)


def test_an_event_stream_has_both_lines_too(gateway):
    sock, peer = dial(gateway, b"GET /events/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert "200" in read_head(sock)
    assert line_of(gateway, "a session began", peer)["path"] == "/events/"
    sock.close()
    assert line_of(gateway, "a session ended", peer)["route"] == "events/"


@pytest.mark.report("refusal-without-path")
def test_a_refusal_after_authentication_has_its_path(gateway):
    sock, peer = dial(gateway, handshake(f"/ws/me/?token={token(role='user')}"))
    assert "403" in read_head(sock)
    line = line_of(gateway, "refused", peer)
    assert (line["status"], line["path"]) == (403, "/ws/me/")
    assert line["detail"] == '"role" in the token is another text, and admin is required'
    sock.close()


@pytest.mark.report("first-message-without-line")
@pytest.mark.parametrize("claims, code, reason, detail", [
    ({"role": "user"}, 4403, "do not allow", 'the claim "team" is missing'),
    ({"role": "user", "team": ["a"]}, 4403, "do not allow", 'the claim "team" is a list'),
    ({"role": "guest", "team": "a"}, 4403, "do not allow", "claims"),
    (None, 4401, "token", None),
])
def test_a_first_message_that_leads_to_nothing_is_a_line_with_its_path(gateway, claims, code, reason, detail):
    sock, peer = dial(gateway, handshake("/ws/team/?x=secret"))
    assert "101" in read_head(sock)
    sock.sendall(frame(1, json.dumps({"auth": "x.y.z" if claims is None else token(**claims)}).encode()))
    assert read_close(sock)[0] == code
    line = line_of(gateway, "refused", peer)
    assert (line["path"], line["code"]) == ("/ws/team/", code) and "status" not in line
    assert reason in line["reason"] and (detail or "") in line.get("detail", "")
    assert (detail is None) == ("detail" not in line)
    sock.close()
    # It was said once.
    ended = line_of(gateway, "a session ended", peer)
    assert ended["code"] == code
    assert sum('"refused"' in line and peer in line for line in gateway.log) == 1


@pytest.mark.report("origin-without-host")
def test_an_origin_is_named_with_what_it_was_compared_with(gateway):
    sock, peer = dial(gateway, handshake("/ws/echo/", "Origin: https://www.example.com", host="api.example.com"))
    assert "403" in read_head(sock)
    line = line_of(gateway, "refused", peer)
    assert (line["origin"], line["host"], line["path"]) == ("https://www.example.com", "api.example.com", "/ws/echo/")
    assert line["reason"] == "Pages of this origin are not allowed here."
    assert 'write allowed_hosts: ["https://www.example.com"]' in line["hint"]
    sock.close()


@pytest.mark.report("http-refusals-without-line")
def test_the_refusals_of_the_http_side_are_lines(gateway):
    for request, status, path, reason in (
        (b"POST /api/ HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", 401, "/api/", "a token is needed"),
        (b"POST /api/?x=secret HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer wrong\r\nContent-Length: 2\r\n\r\n{}", 401, "/api/", "not valid for this route"),
        (PUBLISH % b"text/plain", 415, "/api/", "send Content-Type: application/json"),
        (PUBLISH % b"application/json", 400, "/api/", 'the request needs a "group"'),
        (PUBLISH.replace(b"/api/", b"/api") % b"application/json", 404, "/api", 'add a "/" at its end'),
        (b"POST /hello/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, None, "transfer coding other than chunked"),
        (b"POST /hello/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, None, "the Transfer-Encoding header is not supported"),
    ):
        sock, peer = dial(gateway, request)
        assert int(read_head(sock).split(" ")[1]) == status
        line = line_of(gateway, "refused", peer)
        assert (line["status"], line.get("path")) == (status, path) and reason in line["reason"]
        assert line["level"] == "info"
        sock.close()


def test_what_is_not_there_is_a_line_with_a_hint(gateway):
    for target, status, path, hint in (
        ("/favicon.ico?x=secret", 404, "/favicon.ico", None),
        ("/hello", 404, "/hello", 'with a "/" at its end the path is one of the route "hello/"'),
        ("/ws/echo/", 426, "/ws/echo/", None),
        ("/%ff", 400, "/%ff", None),
    ):
        sock, peer = dial(gateway, f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert int(read_head(sock).split(" ")[1]) == status
        line = line_of(gateway, "refused", peer)
        assert (line["status"], line["path"], line.get("hint")) == (status, path, hint)
        sock.close()


def test_a_handshake_that_leads_nowhere_names_the_nearest_route(gateway):
    for target, hint in (
        ("/ws/chat/my%20room/", '<slug:room> of the route "chat" takes letters, digits, "-" and "_"'),
        (f"/ws/chat/{'a' * 100}/", 'the group "chat_{room}" of the route "chat" has no valid name for this path: 1 to 99 of A-Z a-z 0-9 . _ -'),
    ):
        sock, peer = dial(gateway, handshake(target))
        assert "404" in read_head(sock)
        assert line_of(gateway, "refused", peer)["hint"] == hint
        sock.close()


# It counts lines within a second.
@pytest.mark.alone
def test_a_scan_does_not_hide_other_refusals(gateway):
    sock, scanner = dial(gateway, b"")
    for number in range(100):
        sock.sendall(f"GET /scan/{number} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head = read_head(sock)
        assert " 404 " in head
        length = int(next(line.split(":")[1] for line in head.splitlines() if line.lower().startswith("content-length")))
        assert len(sock.recv(length, socket.MSG_WAITALL)) == length
    other, peer = dial(gateway, b"POST /api/ HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
    assert " 401 " in read_head(other)
    assert line_of(gateway, "refused", peer)["status"] == 401
    assert sum(scanner in line for line in gateway.log) < 100
    sock.close()
    other.close()


@pytest.mark.parametrize("method, path", [("HEAD", "/events/"), ("OPTIONS", "/events/"), ("GET", "/events/"), ("OPTIONS", "/api/")])
def test_pages_that_may_not_use_a_route_are_lines(gateway, method, path):
    sock, peer = dial(gateway, f"{method} {path} HTTP/1.1\r\nHost: api.example.com\r\nOrigin: https://evil.example\r\n\r\n".encode())
    assert " 403 " in read_head(sock)
    line = line_of(gateway, "refused", peer)
    assert (line["status"], line["path"], line["origin"], line["host"]) == (403, path, "https://evil.example", "api.example.com")
    sock.close()


@pytest.mark.report("subprotocol-without-line")
def test_a_subprotocol_that_nobody_speaks_is_a_line_without_tokens(gateway):
    sock, peer = dial(gateway, handshake("/ws/echo/", "Sec-WebSocket-Protocol: graphql-ws, bearer.secret"))
    assert "101" in read_head(sock)
    line = line_of(gateway, "a client offered only subprotocols that its route does not support", peer)
    assert (line["offered"], line["hint"]) == ("graphql-ws", "the route speaks v1")
    sock.close()


@pytest.mark.parametrize("offered", ["bearer.secret", "bearer.secret, bearer.other"])
def test_a_token_for_a_route_without_auth_is_a_line(gateway, offered):
    sock, peer = dial(gateway, handshake("/ws/echo/", f"Sec-WebSocket-Protocol: {offered}"))
    assert "101" in read_head(sock)
    line = line_of(gateway, 'a client offered a token as a subprotocol, and its route has no "auth"', peer)
    assert line["path"] == "/ws/echo/" and '"auth"' in line["hint"]
    sock.close()
    assert not any("secret" in line for line in gateway.log)


def test_a_token_that_is_sent_in_the_wrong_way_is_named(gateway):
    mine = token(role="admin")
    for fields, detail in (
        (["Authorization: JWT " + mine], 'Authorization has the scheme "JWT", and "Bearer" is expected'),
        (["Sec-WebSocket-Protocol: bearer, " + mine], 'a subprotocol has a token, and "from" does not name "subprotocol"'),
        ([], None),
    ):
        sock, peer = dial(gateway, handshake("/ws/me/", *fields))
        assert " 401 " in read_head(sock)
        line = line_of(gateway, "refused", peer)
        assert (line["reason"], line.get("detail")) == ("a token is needed", detail)
        sock.close()
    assert not any(mine in line for line in gateway.log)


def test_tls_on_a_plain_port_is_called_by_its_name(gateway):
    sock, peer = dial(gateway, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")
    assert " 400 " in read_head(sock)
    assert line_of(gateway, "refused", peer)["reason"] == "The client speaks TLS, and this port expects plain HTTP."
    sock.close()


def is_accepted(sock) -> bool:
    """Whether the other end is a socket of a process: until then it has no inode."""
    mine = "%08X:%04X" % (struct.unpack("=I", socket.inet_aton(sock.getsockname()[0]))[0], sock.getsockname()[1])
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return any(row[2] == mine and row[9] != "0" for row in rows)


@pytest.mark.report("tls-health-checks")
def test_who_only_looks_whether_the_tls_port_answers_is_no_line(gateway):
    for linger in (None, struct.pack("ii", 1, 0)):
        sock = socket.create_connection(("127.0.0.3", gateway.secure_port), timeout=20, source_address=(SILENT, 0))
        if linger:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        wait_until(lambda: is_accepted(sock), what="an accepted connection")
        sock.close()
    sock = socket.create_connection(("127.0.0.3", gateway.secure_port), timeout=20)
    sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert line_of(gateway, "a TLS handshake failed", "127.0.0.1:%d" % sock.getsockname()[1])
    sock.close()


def test_the_manual_explains_every_total_of_the_last_line(start):
    gateway = start(DEFAULT, limits="logging: {format: json}")
    assert gateway.stop() == 0
    last = json.loads(gateway.log[-1])
    assert last["message"] == "stopped"
    totals = {key: value for key, value in last.items() if key not in ("time", "level", "message")}
    assert [key for key, value in totals.items() if not isinstance(value, int)] == []
    section = (ROOT / "docs/operate.md").read_text().partition("**The last line.**")[2].partition("In JSON,")[0]
    assert sorted(line.split("`")[1] for line in section.splitlines() if line.startswith("| `")) == sorted(totals)


def test_numbers_of_reloads_and_upgrades_are_numbers_in_json(start):
    gateway = start(DEFAULT, limits="logging: {format: json}")
    for number, message in [(signal.SIGHUP, "the file was reloaded"), (signal.SIGUSR2, "upgraded")]:
        gateway.process.send_signal(number)
        wait_until(lambda: any(f'"message":"{message}"' in line for line in gateway.log), what=message)
    lines = {line["message"]: line for line in map(json.loads, filter(lambda line: line.startswith("{"), gateway.log))}
    for message, names in [
        ("the file was reloaded", ["stayed", "changed", "closed", "milliseconds"]),
        ("upgrading", ["sessions", "streams", "closing"]),
        ("upgraded", ["sessions", "streams", "closed", "pause-ms"]),
    ]:
        assert [name for name in names if type(lines[message].get(name)) is not int] == [], lines[message]
