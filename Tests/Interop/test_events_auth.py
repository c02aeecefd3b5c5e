"""Event streams on routes with authentication."""

import json

import pytest
import requests

from clients import connect, frame, open_session, read_frame, read_head
from streams import open_stream, request
from tokens import simple_jwt

SECRET = "a secret of more than the thirty-two bytes that HS256 wants"

CONFIG = """
installed_apps: [chat]
channel_layers: {default: {backend: memory}}
auth:
  simple: {jwt: {secret: {env: SIGNING_KEY}, from: [header, {cookie: access}, {query: token}]}}
applications:
  main:
    http:
      - {path: mine/, events: "user_{user}", auth: simple, shared: true}
      - {path: both/, events: ["room", "user_{user}"], auth: simple, shared: true}
      - {path: staff/, events: room, auth: simple, require: {staff: true}, shared: true}
      - {path: open/, events: room, auth: simple, auth_optional: true, shared: true}
    websocket:
      - {path: ws/room/, consumer: chat, group: room, identity: true, auth: simple, shared: true}
      - {path: "ws/to/<slug:user>/", consumer: chat, group: "user_{user}", shared: true}
"""


def token(user: str, seconds: float = 300, **claims) -> str:
    return simple_jwt(SECRET, user, seconds, **claims)


@pytest.fixture
def gateway(start):
    return start(text=CONFIG, env={"SIGNING_KEY": SECRET})


def status(gateway, path: str, *extra: str) -> int:
    with connect(gateway.port) as sock:
        sock.sendall(request(path, *extra))
        return int(read_head(sock).split(" ")[1])


def test_whoever_shows_a_token_gets_its_own_group(gateway):
    ways = [
        ("/mine/", f"Authorization: Bearer {token('5')}"), ("/mine/", f"Cookie: a=b; access={token('5')}"),
        (f"/mine/?token={token('5')}", "X-Nothing: x"),
    ]
    streams = [open_stream(gateway.port, path, field) for path, field in ways]
    other = open_stream(gateway.port, f"/mine/?token={token('6')}")
    for user in ["6", "5"]:
        with open_session(gateway.port, f"/ws/to/{user}/") as sock:
            sock.sendall(frame(1, json.dumps({"message": f"for {user}"}).encode()))
            read_frame(sock)
    assert [json.loads(stream.read().data)["message"] for stream in streams] == ["for 5"] * 3
    assert json.loads(other.read().data)["message"] == "for 6"


def test_several_groups_and_who_has_sent(gateway):
    with open_stream(gateway.port, f"/both/?token={token('5')}") as stream:
        with open_session(gateway.port, "/ws/room/", f"Authorization: Bearer {token('7')}") as sock:
            sock.sendall(frame(1, b'{"message": "all"}'))
            assert json.loads(stream.read().data) == {"message": "all", "user": "7"}
        with open_session(gateway.port, "/ws/to/5/") as sock:
            sock.sendall(frame(1, b'{"message": "you"}'))
            assert json.loads(stream.read().data) == {"message": "you"}


def test_the_others_are_refused(gateway):
    good = token("5")
    assert status(gateway, "/mine/") == 401
    assert status(gateway, "/mine/", "Authorization: Bearer x") == 401
    assert status(gateway, f"/mine/?token={good[:-4]}AAAA") == 401
    assert status(gateway, f"/mine/?token={token('5', -60)}") == 401
    assert status(gateway, f"/mine/?token={token('a b')}") == 403
    assert status(gateway, f"/staff/?token={good}") == 403
    assert status(gateway, f"/staff/?token={token('5', staff=True)}") == 200
    assert status(gateway, "/open/") == 200
    assert status(gateway, "/open/", "Authorization: Bearer x") == 401
    answer = requests.get(gateway.http("/mine/"))
    assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_stream_ends_with_its_token(gateway):
    with open_stream(gateway.port, f"/mine/?token={token('5', 3)}") as stream:
        event = stream.read()
        assert event.name == "close"
        assert json.loads(event.data) == {"code": 4401, "reason": "the token has expired"}
        stream.read_end()


def test_a_kept_alive_connection_shows_its_token_too(gateway):
    with connect(gateway.port) as sock:
        sock.sendall(request("/nothing/"))
        head = read_head(sock)
        length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
        assert len(sock.recv(length)) == length
        sock.sendall(request("/mine/", f"Authorization: Bearer {token('5')}"))
        assert read_head(sock).startswith("HTTP/1.1 200 ")
