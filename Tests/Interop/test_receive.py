"""What a route does by itself with messages, and who gets its events: in one process, and in two on one Redis."""

import json

import pytest
import requests
from asgiref.sync import async_to_sync

from clients import frame, open_session, read_close, read_frame
from redis_stack import Host, Layer, RedisServer
from streams import open_stream
from tokens import simple_jwt

SECRET = "a secret of more than the thirty-two bytes that HS256 wants"
TOKEN = "0123456789abcdef0123456789abcdef"

CONFIG = """
installed_apps: [chat]
channel_layers: {default: %s}
auth: {site: {jwt: {secret: {env: SIGNING_KEY}, from: [{query: token}, header]}}}
applications:
  main:
    http:
      - {path: api/, publish: {groups: ["room_*"], token: {env: PUBLISH_TOKEN}, allow: [publish, history]}}
      - {path: mine/, auth: site, publish: {groups: ["room_*"], allow: [history]}}
      - path: events/
        events: {group: room_7, deliver: {status.update: {to: {user: "{data.owner_id}"}}}}
        auth: site
    websocket:
      - path: ws/<slug:room>/
        consumer: chat
        group: "room_{room}"
        auth: site
        history: {messages: 100}
        connect: {send: [{type: hello, id: "{channel}", user: "{user}", room: "{room}"}]}
        receive:
          by: type
          kinds:
            ping: {reply: {type: pong, id: "{frame.id}"}}
            cursor: {event: {type: cursor.update, x: "{frame.at.x}", user: "{user}"}, to: others, ephemeral: true}
            elsewhere: {event: {type: cursor.update, x: 1}, group: "room_{frame.room}"}
          else: error
        deliver:
          cursor.update: {to: others}
          status.update: {to: {user: "{data.owner_id}"}}
          raw: {text: "> {text}"}
          end: {close: {code: 4001, reason: done}}
"""


class Client:
    def __init__(self, gateway, user: str, room: str = "7", query: str = ""):
        self.socket = open_session(gateway.port, f"/ws/{room}/?token={simple_jwt(SECRET, user)}{query}")
        self.hello = self.hear()

    def say(self, **message) -> None:
        self.socket.sendall(frame(1, json.dumps(message).encode()))

    def hear(self):
        return json.loads(read_frame(self.socket)[1])

    def ping(self):
        """What came before the answer to a ping."""
        self.say(type="ping", id=1)
        heard = []
        while (message := self.hear()).get("type") != "pong":
            heard.append(message)
        return heard


@pytest.fixture(params=["memory", "core", "pubsub"])
def world(request, start, tmp_path):
    """Two gateways on one layer, or the same one twice."""
    env = {"SIGNING_KEY": SECRET, "PUBLISH_TOKEN": TOKEN}
    if request.param == "memory":
        gateway = start(text=CONFIG % "{backend: memory}", env=env)
        yield gateway, gateway, None
        return
    server = RedisServer(tmp_path / "redis")
    try:
        layer = Layer((Host(server),), layout=request.param)
        text = CONFIG % layer.yaml
        yield start(text=text, env=env), start(text=text, env=env), layer
    finally:
        server.stop()


def publish(gateway, **item) -> requests.Response:
    return requests.post(gateway.http("/api/"), json={"group": "room_7", **item}, headers={"Authorization": f"Bearer {TOKEN}"})


def test_hello_and_replies(world):
    client = Client(world[0], "5")
    assert client.hello == {"type": "hello", "id": client.hello["id"], "user": "5", "room": "7"}
    assert "specific." in client.hello["id"]
    client.say(type="ping", id={"a": [1]}, user="admin")
    assert client.hear() == {"type": "pong", "id": {"a": [1]}}
    client.say(type="dance")
    assert client.hear() == {"error": '"dance" is not taken as "type": send one of: cursor, elsewhere, ping'}
    client.say(type="elsewhere", room="8")
    assert client.hear() == {"error": "the message was not sent: the session is in no such group"}
    client.socket.sendall(frame(2, b"x"))
    assert "expected a JSON object" in client.hear()["error"]


def test_others_are_all_but_the_sender_also_in_its_other_tab(world):
    one, two, _ = world
    sender, tab, other = Client(one, "5"), Client(two, "5"), Client(two, "6")
    sender.say(type="cursor", at={"x": 1.5}, user="admin", **{"sluice.user": "6", "except": "x"})
    for client in (tab, other):
        assert client.hear() == {"type": "cursor.update", "x": 1.5, "user": "5"}
    assert sender.ping() == []
    # What nobody keeps does not come to who comes later.
    assert Client(one, "7").ping() == []


def test_an_address_from_outside(world):
    one, two, layer = world
    first, second = Client(one, "5"), Client(two, "6")
    address = first.hello["id"]
    assert publish(two, event={"type": "cursor.update", "x": 1}, **{"except": address}).status_code == 200
    assert second.hear() == {"type": "cursor.update", "x": 1}
    assert publish(one, event={"type": "cursor.update", "x": 2, "except": [address, "specific.none!x"]}).status_code == 200
    assert second.hear() == {"type": "cursor.update", "x": 2}
    if layer:
        # As a Django view does it.
        send = async_to_sync(layer.make().group_send)
        send("room_7", {"type": "cursor_update", "x": 3, "except": address})
        assert second.hear() == {"type": "cursor_update", "x": 3}
    assert first.ping() == []


def test_one_user_in_two_tabs_and_in_a_stream(world):
    one, two, _ = world
    clients = [Client(one, "5"), Client(two, "5"), Client(two, "6")]
    with open_stream(two.port, f"/events/?token={simple_jwt(SECRET, '5')}") as stream, open_stream(
        two.port, f"/events/?token={simple_jwt(SECRET, '6')}"
    ) as other:
        publish(one, event={"type": "status.update", "data": {"owner_id": 5}})
        publish(one, event={"type": "status.update", "data": {}})
        publish(one, message="all", to={"user": "6"})
        for client in clients[:2]:
            assert client.hear() == {"type": "status.update", "data": {"owner_id": 5}}
        assert clients[2].hear() == {"message": "all"}
        assert json.loads(stream.read().data)["data"] == {"owner_id": 5}
        assert json.loads(other.read().data) == {"message": "all"}
    assert [client.ping() for client in clients] == [[], [], []]
    # The history keeps for whom each event was.
    kept = requests.get(one.http("/api/history/?group=room_7"), headers={"Authorization": f"Bearer {TOKEN}"}).json()["events"]
    assert all("sluice.user" not in event["event"] for event in kept) and len(kept) >= 3


def test_what_was_for_one_user_is_shown_to_this_user_only_later_as_well(world):
    """To who comes back, numbered or not, and to who reads the history over HTTP."""
    one, two, _ = world
    first = Client(one, "5")
    for number, owner in enumerate([5, 6, None]):
        assert publish(one, event={"type": "status.update", "data": {"owner_id": owner, "n": number}}).status_code == 200
    assert publish(one, message="all").status_code == 200
    assert [first.hear(), first.hear()] == [{"type": "status.update", "data": {"owner_id": 5, "n": 0}}, {"message": "all"}]

    def seen(frames: list) -> list:
        """The numbers of the events; those of a client that asked for positions stand beside their ids."""
        return [frame.get("event", frame).get("data", {}).get("n", "all") for frame in frames if "history" not in frame]

    def hear(client: Client) -> list:
        heard = []
        while "all" not in seen(heard):
            heard.append(client.hear())
        return seen(heard + client.ping())

    for gateway in (one, two):
        for user, shown in [("5", [0, "all"]), ("6", [1, "all"]), ("7", ["all"])]:
            assert hear(Client(gateway, user)) == shown
            assert hear(Client(gateway, user, query="&since=")) == shown
            bearer = {"Authorization": f"Bearer {simple_jwt(SECRET, user)}"}
            kept = requests.get(gateway.http("/mine/history/?group=room_7"), headers=bearer, timeout=20).json()
            assert seen([entry["event"] for entry in kept["events"]]) == shown
            # Its place is told all the same, so that nothing is read twice.
            assert (kept["id"].split(".")[1], kept["more"], kept["gap"]) == ("4", False, False)
        program = requests.get(gateway.http("/api/history/?group=room_7"), headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20).json()
        assert seen([entry["event"] for entry in program["events"]]) == [0, 1, 2, "all"]


def test_raw_text_and_an_end(world):
    one, two, _ = world
    client = Client(two, "5")
    publish(one, event={"type": "raw", "text": "a \"b\""})
    assert read_frame(client.socket) == (1, b'> a "b"')
    publish(one, event={"type": "end", "why": 1})
    assert client.hear() == {"type": "end", "why": 1}
    assert read_close(client.socket) == (4001, "done")
