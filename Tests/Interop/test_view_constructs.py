"""The constructs of consumers that the six apps do not have, each with a Django view or with lines of routes.yaml."""

import json
import threading

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from redis_stack import RedisGateway
from tokens import simple_jwt
from views import SECRET
from wsgi import SECRET as DJANGO_SECRET

ROUTES = r"""
installed_apps: [view, broadcast]
channel_layers:
  default:
    backend: channels_redis.core.RedisChannelLayer
    config: {hosts: ["${REDIS_URL}"]}
auth:
  api: {jwt: {secret: {env: DJANGO_SECRET_KEY}, user: {claim: user_id, as: int}, from: [{query: token}]}}
applications:
  main:
    http: [{path: health/ready, health: ready}]
    websocket:
      - path: ws/ask/
        consumer: view
        url: ${WEB}/ws/constructs/
        secret: {env: SLUICE_SECRET}
        group: everybody
        groups_from_view: ["room_<int:id>"]
        subprotocols: [v1, v2]
        events:
          who.changed: {name: "{data.name}", at: "{data.place.city}"}
          status.update: {status: "{status}"}
          job.done: {job: "{job.id}"}
          state.shown: {count: "{state.count}"}
          cursor.update: {x: "{x}"}
        deliver:
          status.update: {to: {user: "{data.owner_id}"}}
          internal.message: {text: "{text}"}
          job.done: {close: 1000}
          cursor.update: {to: others}
      - path: ws/declared/
        consumer: broadcast
        auth: api
        group: declared
        connect: {send: [{id: "{channel}"}]}
        receive:
          by: type
          kinds:
            ping: {reply: {type: pong, at: "{sluice.time}"}}
            say: {event: {type: said, user: "{user}", text: "{frame.text}", at: "{sluice.time}", group: "{sluice.group}"}}
            point: {event: {type: pointed, x: "{frame.x}"}, to: others, ephemeral: true}
            noise: drop
            sudo: error
          else: error
        events:
          said: event
          pointed: {x: "{x}"}
"""


@pytest.fixture
def gateway(house, start):
    env = {"REDIS_URL": house.redis.url(), "WEB": house.gunicorn.url(""), "SLUICE_SECRET": SECRET, "DJANGO_SECRET_KEY": DJANGO_SECRET}
    return start(text=ROUTES, env=env, kind=RedisGateway)


class Client:
    def __init__(self, gateway, path: str, **options):
        self.socket = connect(gateway.ws(path), proxy=None, open_timeout=20, **options)

    def tell(self, frame) -> None:
        self.socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    def hear(self):
        text = self.socket.recv(timeout=20)
        return json.loads(text) if text[:1] in "{[" else text

    def ask(self, frame):
        self.tell(frame)
        return self.hear()

    def closed(self) -> tuple[int, str]:
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                self.socket.recv(timeout=20)
        return caught.value.rcvd.code, caught.value.rcvd.reason

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def asking(gateway, query: str = "", **options) -> Client:
    return Client(gateway, f"/ws/ask/{query}", **options)


def declared(gateway, user: int = 1) -> Client:
    client = Client(gateway, f"/ws/declared/?token={simple_jwt(DJANGO_SECRET, str(user))}")
    client.address = client.hear()["id"]
    return client


def group_send(house, group: str, event: dict) -> None:
    assert requests.post(house.gunicorn.url(f"/api/group/{group}/"), json=event, timeout=20).status_code == 204


# What routes.yaml says alone.


def test_hello_without_asking(gateway):
    with declared(gateway) as one, declared(gateway) as two:
        assert one.address != two.address and one.address.startswith("specific.")


def test_ping_and_pong_without_asking(gateway):
    with declared(gateway) as one:
        pong = one.ask({"type": "ping"})
        assert pong["type"] == "pong" and list(pong) == ["type", "at"]


def test_a_frame_with_its_sender_and_the_time(gateway):
    with declared(gateway, 1) as one, declared(gateway, 2) as two:
        said = one.ask({"type": "say", "text": "hello"})
        assert (said["type"], said["user"], said["text"], said["group"]) == ("said", "1", "hello", "declared")
        assert "at" in said and two.hear() == said


def test_a_frame_fills_no_other_place(gateway):
    """What a client says of itself is in `{frame.x}` and nowhere else."""
    with declared(gateway, 1) as one:
        lies = {"user": "admin", "claims": {"role": "admin"}, "sluice": {"time": 0, "group": "x"}, "at": 0, "group": "x", "type": "say"}
        said = one.ask({**lies, "text": "{user} {claims.role}"})
        assert (said["user"], said["group"], said["text"]) == ("1", "declared", "{user} {claims.role}")
        assert said["at"] != 0


def test_what_is_dropped_and_what_is_an_error(gateway):
    with declared(gateway) as one:
        one.tell({"type": "noise"})
        for frame in [{"type": "sudo"}, {"type": "unknown"}, {}, [], "{"]:
            assert list(one.ask(frame)) == ["error"], frame
        assert one.ask({"type": "ping"})["type"] == "pong"


def test_to_the_others_without_asking(gateway):
    with declared(gateway) as one, declared(gateway) as two:
        one.tell({"type": "point", "x": [1, None]})
        assert two.hear() == {"x": [1, None]}
        assert one.ask({"type": "ping"})["type"] == "pong"


# Who gets an event, and what a frame looks like.


def test_django_leaves_out_an_address(gateway, house):
    with asking(gateway) as one, asking(gateway) as two, asking(gateway) as three:
        addresses = [client.ask({"do": "who"})["address"] for client in [one, two, three]]
        group_send(house, "everybody", {"type": "cursor.update", "x": 1, "except": addresses[0]})
        group_send(house, "everybody", {"type": "cursor.update", "x": 2, "except": addresses[:2]})
        group_send(house, "everybody", {"type": "cursor.update", "x": 3})
        heard = [[client.hear()["x"] for _ in range(count)] for client, count in [(one, 1), (two, 2), (three, 3)]]
        assert heard == [[3], [1, 3], [1, 2, 3]]


def test_only_the_sessions_of_a_user(gateway, house):
    with asking(gateway, "?guest") as guest, asking(gateway, "?guest") as tab, asking(gateway) as nobody:
        group_send(house, "everybody", {"type": "status.update", "status": "paid", "data": {"owner_id": "guest 1"}})
        group_send(house, "everybody", {"type": "status.update", "status": "lost", "data": {"owner_id": "somebody else"}})
        group_send(house, "everybody", {"type": "cursor.update", "x": "last"})
        assert [guest.hear(), guest.hear()] == [tab.hear(), tab.hear()] == [{"status": "paid"}, {"x": "last"}]
        assert nobody.hear() == {"x": "last"}
        nobody.tell({"do": "tell", "group": "everybody", "event": {"type": "cursor.update", "x": 1}, "to": {"user": "guest 1"}})
        assert guest.hear() == tab.hear() == {"x": 1}
        assert nobody.hear() == {"told": "everybody"}


def test_raw_text_nested_fields_and_a_close_after_it(gateway, house):
    with asking(gateway) as one, asking(gateway) as two:
        group_send(house, "everybody", {"type": "internal.message", "text": "not JSON: <html>"})
        group_send(house, "everybody", {"type": "who.changed", "data": {"name": "anna", "place": {"city": "Bern"}}})
        group_send(house, "everybody", {"type": "job.done", "job": {"id": 7}})
        for client in [one, two]:
            assert client.hear() == "not JSON: <html>"
            assert client.hear() == {"name": "anna", "at": "Bern"}
            assert client.hear() == {"job": 7}
            assert client.closed() == (1000, "")


# What a view does.


def test_a_close_code_of_the_view(gateway):
    with asking(gateway) as one:
        assert one.ask({"do": "close"}) == "before"
        assert one.closed() == (4007, "enough")


def test_a_view_that_lets_nobody_in(gateway):
    for query, status in [("?forbidden", 403), ("?full", 429)]:
        with pytest.raises(InvalidStatus) as caught:
            asking(gateway, query)
        assert caught.value.response.status_code == status


def test_a_view_says_who_it_is_and_how_they_talk(gateway):
    with asking(gateway, "?guest", subprotocols=["v1", "v2"]) as one:
        assert one.socket.subprotocol == "v2"
        who = one.ask({"do": "who"})
        assert (who["user"], who["claims"]["color"], who["groups"]) == ("guest 1", "red", ["everybody"])


def test_state_of_a_session(gateway, house):
    with asking(gateway) as one, asking(gateway) as two:
        for number in range(1, 4):
            assert one.ask({"do": "count"}) == {"count": number}
        assert two.ask({"do": "count"}) == {"count": 1}
        group_send(house, "everybody", {"type": "state.shown"})
        assert [one.hear(), two.hear()] == [{"count": 3}, {"count": 1}]
        one.tell({"do": "forget"})
        assert one.ask({"do": "count"}) == {"count": 1}


@pytest.mark.parametrize("length, fits", [(4000, True), (4200, False)])
def test_state_has_a_bound(gateway, length, fits):
    with asking(gateway) as one:
        one.tell({"do": "remember", "length": length})
        if fits:
            assert one.ask({"do": "who"})["groups"] == ["everybody"]
        else:
            assert one.closed()[0] == 1011
            assert gateway.says("state"), gateway.log


def test_groups_that_are_not_declared(gateway):
    """Such an action fails alone, with a line; the rest of the answer is done."""
    with asking(gateway) as one:
        for group in ["admin", "room_x", "sluice.control", "everybody.else"]:
            assert one.ask({"do": "join", "group": group}) == {"joined": group}
            assert one.ask({"do": "tell", "group": group, "event": {"type": "cursor.update", "x": 1}}) == {"told": group}
        assert one.ask({"do": "join", "group": "room_7"}) == {"joined": "room_7"}
        assert one.ask({"do": "who"})["groups"] == ["everybody", "room_7"]
        assert gateway.says("admin"), gateway.log


def test_events_between_connect_and_the_upgrade_are_kept(gateway, house):
    """Events come all the time while clients connect. Who has heard one hears all that follow."""
    told, stop = [], threading.Event()

    def tell() -> None:
        while not stop.is_set() or len(told) < 10:
            told.append(len(told))
            group_send(house, "everybody", {"type": "cursor.update", "x": told[-1]})

    teller = threading.Thread(target=tell)
    teller.start()
    try:
        clients = [asking(gateway) for _ in range(30)]
    finally:
        stop.set()
        teller.join()
    for client in clients:
        first = client.hear()["x"]
        assert [client.hear()["x"] for _ in range(first, told[-1])] == list(range(first + 1, told[-1] + 1))
        client.socket.close()
