"""Groups of users, claims and lists whose values are no group names, and of paths that have to agree with claims."""

import json

import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from conftest import ROOT
from manual import blocks_of
from tokens import simple_jwt

SECRET = "a secret of more than the thirty-two bytes that HS256 wants"
PUBLISHER = "fedcba9876543210"

CONFIG = """
installed_apps: [broadcast, chat]
channel_layers: {default: {backend: memory}}
auth:
  any: {jwt: {secret: {env: SIGNING_KEY}, from: [header, message]}}
  numbers: {jwt: {secret: {env: SIGNING_KEY}, user: {claim: user_id, as: int}}}
applications:
  main:
    http:
      - {path: api/publish/, publish: {groups: ["*"], token: {env: PUBLISH_TOKEN}}}
      - {path: "api/rooms/<str:room>/", publish: {groups: "say_{room}"}, auth: any, require: {rooms: "{room}"}}
    websocket:
      - {path: ws/me/, consumer: broadcast, publish: nobody, group: "user_{user|escaped}", auth: any}
      - {path: "ws/page/<path:page>/", consumer: broadcast, publish: nobody, group: "page_{page|escaped}"}
      - {path: ws/plain/, consumer: broadcast, publish: nobody, group: "plain_{user}", auth: any}
      - {path: ws/number/, consumer: broadcast, publish: nobody, group: "{user}", auth: numbers}
      - path: ws/rooms/
        consumer: broadcast
        publish: nobody
        group: ["room_{claims.rooms}"]
        subscribe: ["typing_{claims.rooms}"]
        auth: any
      - {path: "ws/room/<str:room>/", consumer: chat, group: "in_{room|escaped}", auth: any, require: {rooms: "{room}"}}
      - {path: ws/staff/, consumer: chat, group: staff, auth: any, require: {any: [{role: admin}, {staff: true, level: [2, 3]}]}}
"""

USERS = [
    "ann@example.com", "auth0|64b0c7", "josé", "user_5", "5", "A-b_c", "a b", ".", ".40", "..", "%41", "ａ", "\x00\n", "😀", "e\u0301", "'\"<>",
]


@pytest.fixture
def gateway(start):
    return start(text=CONFIG, env={"SIGNING_KEY": SECRET, "PUBLISH_TOKEN": PUBLISHER})


def bearer(user: str, **claims) -> dict:
    return {"Authorization": f"Bearer {simple_jwt(SECRET, user, **claims)}"}


def publish(gateway, group: str, text: str) -> int:
    answer = requests.post(
        f"http://127.0.0.1:{gateway.port}/api/publish/",
        json={"group": group, "text": text},
        headers={"Authorization": f"Bearer {PUBLISHER}"},
        timeout=20,
    )
    assert answer.ok, answer.text
    return answer.json()["published"][0]["sessions"]


def refused(gateway, path: str, headers: dict) -> int:
    with pytest.raises(InvalidStatus) as refusal:
        connect(gateway.ws(path), additional_headers=headers)
    return refusal.value.response.status_code


@pytest.fixture(scope="module")
def escaped():
    """The function of the manual."""
    blocks = [block.text for block in blocks_of(ROOT / "docs/groups.md") if "def escaped(" in block.text]
    assert len(blocks) == 1
    names = {}
    exec(blocks[0], names)
    return names["escaped"]


def test_django_names_the_groups_of_any_user_in_the_same_way(gateway, escaped):
    sessions = [connect(gateway.ws("/ws/me/"), additional_headers=bearer(user)) for user in USERS]
    for number, user in enumerate(USERS):
        assert publish(gateway, f"user_{escaped(user)}", f"for {number}") == 1, user
    assert [session.recv(timeout=20) for session in sessions] == [f"for {number}" for number in range(len(USERS))]
    assert escaped("user_5") == "user_5"
    assert len({escaped(user) for user in USERS}) == len(USERS)
    for session in sessions:
        session.close()


def test_a_path_names_any_group(gateway, escaped):
    with connect(gateway.ws("/ws/page/caf%C3%A9/a%20b.html/")) as session:
        assert publish(gateway, f"page_{escaped('café/a b.html')}", "changed") == 1
        assert session.recv(timeout=20) == "changed"
    assert refused(gateway, f"/ws/page/{'.' * 33}/", {}) == 404


def test_the_log_says_which_character_and_which_length(gateway):
    assert refused(gateway, "/ws/plain/", bearer("ann@example.com")) == 403
    assert gateway.says("refused", "status=403", "has the character", "{user|escaped}")
    assert refused(gateway, "/ws/me/", bearer("é" * 16)) == 403
    assert gateway.says("refused", "status=403", "would have 101 characters")


def test_a_user_is_what_the_authenticator_says(gateway):
    with connect(gateway.ws("/ws/number/"), additional_headers=bearer("15")) as session:
        assert publish(gateway, "15", "hello") == 1
        assert session.recv(timeout=20) == "hello"
    for user in ("ann", "015", "-1", "sluice.x", "1_5"):
        assert refused(gateway, "/ws/number/", bearer(user)) == 401, user
    assert gateway.says("refused", "status=401", "in another form", "as: int")


def test_a_list_makes_one_group_of_each_element(gateway):
    headers = bearer("5", rooms=["a", 7])
    with connect(gateway.ws("/ws/rooms/"), additional_headers=headers) as session:
        for group in ("room_a", "room_7", "room_b"):
            publish(gateway, group, group)
        assert [session.recv(timeout=20) for _ in range(2)] == ["room_a", "room_7"]
        session.send(json.dumps({"subscribe": "typing_7"}))
        assert json.loads(session.recv(timeout=20)) == {"subscribed": "typing_7"}
        session.send(json.dumps({"subscribe": "typing_8"}))
        assert "error" in json.loads(session.recv(timeout=20))
        session.send(json.dumps({"unsubscribe": "room_7"}))
        assert "cannot be left" in json.loads(session.recv(timeout=20))["error"]
    for rooms, why in [
        ([], "are empty"), (["a", "b/c"], 'has the character'), (["a", None], "is null"), (list(range(257)), "has 257 elements"),
        ([["a"]], "is a list"), (None, "is null"),
    ]:
        assert refused(gateway, "/ws/rooms/", bearer("5", rooms=rooms)) == 403, rooms
        assert gateway.says("refused", "status=403", why)
    with connect(gateway.ws("/ws/rooms/"), additional_headers=bearer("5", rooms=list(range(256)))) as session:
        assert publish(gateway, "room_255", "the last") == 1
        assert session.recv(timeout=20) == "the last"


@pytest.mark.parametrize(
    "rooms, path, may",
    [
        (["a", 7], "7", True), (["a", 7], "a", True), (["a", 7], "07", False), (["a", 7], "b", False), ("7", "7", True), (7, "7", True),
        (True, "true", False), ([True], "true", False), (None, "null", False), ([None], "null", False), (["07"], "7", False),
        (["josé"], "jos%C3%A9", True), ([7.5], "7.5", False),
    ],
)
def test_a_claim_has_to_be_what_the_path_captured(gateway, rooms, path, may):
    headers = bearer("5", rooms=rooms)
    if not may:
        assert refused(gateway, f"/ws/room/{path}/", headers) == 403
        assert gateway.says("refused", "status=403", "rooms", "{room}")
        return
    with connect(gateway.ws(f"/ws/room/{path}/"), additional_headers=headers) as session:
        session.send('{"message": "in"}')
        assert json.loads(session.recv(timeout=20)) == {"message": "in"}


def test_the_path_counts_for_tokens_in_messages_and_for_publishing_too(gateway):
    token = simple_jwt(SECRET, "5", rooms=["a"])
    with connect(gateway.ws("/ws/room/a/")) as session:
        session.send(json.dumps({"auth": token}))
        assert json.loads(session.recv(timeout=20)) == {"auth": "ok"}
    with connect(gateway.ws("/ws/room/b/")) as session:
        session.send(json.dumps({"auth": token}))
        with pytest.raises(Exception) as end:
            session.recv(timeout=20)
        assert end.value.rcvd.code == 4403
    for room, status in [("a", 200), ("b", 403)]:
        answer = requests.post(
            f"http://127.0.0.1:{gateway.port}/api/rooms/{room}/",
            json={"group": f"say_{room}", "message": "x"},
            headers={"Authorization": f"Bearer {token}"},
            timeout=20,
        )
        assert answer.status_code == status, answer.text


def test_one_of_several_requirements(gateway):
    for claims in ({"role": "admin"}, {"staff": True, "level": 2}, {"staff": True, "level": 3, "role": "x"}):
        connect(gateway.ws("/ws/staff/"), additional_headers=bearer("5", **claims)).close()
    for claims in ({}, {"staff": True}, {"staff": True, "level": 1}, {"level": 2}):
        assert refused(gateway, "/ws/staff/", bearer("5", **claims)) == 403, claims
    assert gateway.says("refused", "status=403", "none of", "holds")
