"""Orders about sessions: disconnect, mute, join and leave, by the HTTP API, by Django's `group_send` and by `sluice disconnect`."""

import dataclasses
import os
import subprocess

import pytest
import requests
from asgiref.sync import async_to_sync
from websockets.exceptions import ConnectionClosed, InvalidStatus

from conftest import SLUICE
from redis_stack import Host, Layer, RedisGateway, Session, wait_until
from test_redis_outages import outage_of, with_user
from test_reload import Reloading
from tokens import simple_jwt

KEY = "a signing key of more than thirty-two bytes"
TOKEN = "a-token-for-tests"
ENV = {"PUBLISH_TOKEN": TOKEN, "SIGNING_KEY": KEY}

ROUTES = """
installed_apps: [chat, broadcast]
channel_layers: {default: LAYER}
server: {threads: 3}
auth: {users: {jwt: {secret: {env: SIGNING_KEY}, from: [header, message]}}}
applications:
  main:
    http:
      - {path: health/ready, health: ready}
      - {path: api/, publish: {groups: ["room_*"], token: {env: PUBLISH_TOKEN}, allow: [publish, disconnect, mute, join, leave]}}
      - {path: own/, auth: users, publish: {groups: ["room_*"]}}
      - {path: reads/, auth: users, publish: {groups: ["kept_*"], allow: [groups, presence, history]}}
      - {path: all/, publish: {groups: ["kept_*"], token: {env: PUBLISH_TOKEN}, allow: [publish, disconnect, groups, presence, history]}}
      - {path: "sse/<slug:room>/", auth: users, events: "room_{room}"}
    websocket:
      - {path: "ws/kept/<slug:room>/", auth: users, consumer: chat, group: "kept_{room}", history: {messages: 10}, presence: true, shared: true}
      - {path: "ws/open/<slug:room>/", consumer: chat, group: "room_{room}", shared: true}
      - path: "ws/<slug:room>/"
        auth: users
        consumer: chat
        group: "room_{room}"
        identity: true
        shared: true
        events: {who.am.i: {address: "{channel}"}}
"""


def bearer(token: str) -> dict:
    return {"Authorization": f"Bearer {token}"}


def of(user: str) -> dict:
    return bearer(simple_jwt(KEY, user))


def session(gateway, user: str | None, room: str = "a") -> Session:
    if user is None:
        return Session(gateway.ws(f"/ws/open/{room}/"))
    return Session(gateway.ws(f"/ws/{room}/"), additional_headers=of(user))


def refusal(gateway, user: str | None, room: str = "a") -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused:
        session(gateway, user, room)
    return refused.value.response.status_code, refused.value.response.body.decode()


def close_of(one: Session) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            one.socket.recv(timeout=20)
    return closed.value.rcvd.code, closed.value.rcvd.reason


def ask(gateway, path: str, body: dict | None = None, method: str = "POST", headers=bearer(TOKEN), **options) -> requests.Response:
    return requests.request(method, gateway.http(path), json=body, headers=headers, timeout=20, **options)


def given(answer: requests.Response) -> dict:
    assert answer.status_code == 200, answer.text
    members = answer.json()
    members.pop("until", None)
    return members


def publish(gateway, room: str, message) -> None:
    assert ask(gateway, "/api/", {"group": f"room_{room}", "message": message}).status_code == 200


@pytest.fixture
def begin(start):
    def begin(layer: str = "{backend: memory}", **options):
        return start(text=ROUTES.replace("LAYER", layer), env=ENV, **options)

    return begin


def addresses(gateway, *sessions: Session) -> list[str]:
    assert ask(gateway, "/api/", {"group": "room_a", "event": {"type": "who.am.i"}}).status_code == 200
    return [one.hear()["address"] for one in sessions]


def test_sessions_are_disconnected_by_user_group_and_address(begin):
    gateway = begin()
    ann, also_ann, bob, other_room, nobody = (
        session(gateway, "ann"), session(gateway, "ann", "b"), session(gateway, "bob"), session(gateway, "eve", "b"), session(gateway, None),
    )  # fmt: skip
    assert given(ask(gateway, "/api/disconnect", {"user": "ann", "group": "room_a"})) == {"user": "ann", "group": "room_a", "sessions": 1}
    assert close_of(ann) == (4403, "disconnected by an operator") and also_ann.is_open()
    (address,) = addresses(gateway, bob)
    wrong = address[:-1] + ("0" if address[-1] != "0" else "1")
    assert given(ask(gateway, "/api/disconnect", {"address": wrong}))["sessions"] == 0
    assert given(ask(gateway, "/api/disconnect", {"address": address, "user": "ann"}))["sessions"] == 0
    assert given(ask(gateway, "/api/disconnect", {"address": address, "reason": "you"})) == {"address": address, "sessions": 1}
    assert close_of(bob) == (4403, "you") and nobody.is_open()
    assert given(ask(gateway, "/api/disconnect", {"group": "room_b"})) == {"group": "room_b", "sessions": 2}
    assert close_of(also_ann)[0] == close_of(other_room)[0] == 4403
    assert nobody.is_open()
    nobody.socket.close()
    for body in [{}, {"group": "other"}, {"group": "a b"}, {"address": address, "for": "1m"}, {"user": "5", "for": "1"}]:
        assert ask(gateway, "/api/disconnect", body).status_code == (403 if body == {"group": "other"} else 400), body


def test_users_are_kept_out_for_a_time_and_let_in_again(begin):
    gateway = begin()
    ann, bob = session(gateway, "ann"), session(gateway, "bob")
    order = {"user": "ann", "for": "10m", "reason": "be nice"}
    assert given(ask(gateway, "/api/disconnect", order)) == {"user": "ann", "sessions": 1}
    assert close_of(ann) == (4403, "be nice")
    assert refusal(gateway, "ann", "b") == (403, "be nice\n")
    assert gateway.says("refused", "403", "be nice", "user=ann")
    stream = requests.get(gateway.http("/sse/a/"), headers=of("ann"), timeout=20)
    assert (stream.status_code, stream.text) == (403, "be nice\n")
    assert ask(gateway, "/own/", {"group": "room_a", "message": 1}, headers=of("ann")).json() == {"error": "be nice"}
    # By its first message, a client learns it in a close frame.
    late = Session(gateway.ws("/ws/a/"))
    late.send({"auth": simple_jwt(KEY, "ann")})
    assert close_of(late) == (4403, "be nice")
    assert given(ask(gateway, "/api/disconnect", {"user": "bob", "group": "room_b", "for": "10m"}))["sessions"] == 0
    assert refusal(gateway, "bob", "b")[0] == 403 and bob.is_open()
    listed = ask(gateway, "/api/disconnect", method="GET").json()["orders"]
    assert [(one["user"], one.get("group"), one["reason"]) for one in listed] == [
        ("ann", None, "be nice"), ("bob", "room_b", "disconnected by an operator"),
    ]  # fmt: skip
    assert ask(gateway, "/api/mute", method="GET").json() == {"orders": []}
    lifted = ask(gateway, "/api/disconnect", method="DELETE", params={"user": "ann"})
    assert given(lifted) == {"user": "ann", "lifted": True}
    session(gateway, "ann", "b").socket.close()
    assert given(ask(gateway, "/api/disconnect", method="DELETE", params={"user": "ann"}))["lifted"] is False
    # A room is closed for everybody, also for those without a name.
    given(ask(gateway, "/api/disconnect", {"group": "room_c", "for": "1s"}))
    assert refusal(gateway, None, "c")[0] == 403

    def opens() -> bool:
        try:
            session(gateway, None, "c").socket.close()
            return True
        except InvalidStatus:
            return False

    wait_until(opens, what="the time is over")


def test_a_user_who_is_kept_out_of_a_group_reads_nothing_of_it(begin):
    gateway = begin()
    bob = Session(gateway.ws("/ws/kept/a/"), additional_headers=of("bob"))
    bob.send({"message": "only for those who are in"})
    while "message" not in bob.hear():
        pass
    reads = ["/reads/history?group=kept_a", "/reads/presence?group=kept_a"]

    def listed(headers: dict, path: str = "/reads/groups") -> list[str]:
        return [group["group"] for group in ask(gateway, path, method="GET", headers=headers).json()["groups"]]

    assert all(ask(gateway, path, method="GET", headers=of("ann")).status_code == 200 for path in reads)
    assert listed(of("ann")) == ["kept_a"]
    given(ask(gateway, "/all/disconnect", {"user": "ann", "group": "kept_a", "for": "10m", "reason": "be nice"}))
    for path in reads:
        refused = ask(gateway, path, method="GET", headers=of("ann"))
        assert (refused.status_code, refused.json()) == (403, {"error": "be nice"})
    assert gateway.says("refused", "403", "be nice", "user=ann")
    assert listed(of("ann")) == [] and listed(of("bob")) == ["kept_a"]
    assert ask(gateway, "/reads/history?group=kept_b", method="GET", headers=of("ann")).status_code == 200
    # The operator's own programs are no users.
    assert all(ask(gateway, path.replace("reads", "all"), method="GET").status_code == 200 for path in reads)
    assert listed(bearer(TOKEN), "/all/groups") == ["kept_a"]
    bob.socket.close()


def test_a_muted_user_hears_and_cannot_send(begin):
    gateway = begin()
    ann, bob = session(gateway, "ann"), session(gateway, "bob")
    stream = requests.get(gateway.http("/sse/a/"), headers=of("ann"), timeout=20, stream=True)
    assert given(ask(gateway, "/api/mute", {"user": "ann", "for": "10m", "reason": "later"})) == {"user": "ann", "sessions": 1, "refused": 1}
    stream.close()
    ann.send({"message": "not heard"})
    assert ann.hear()["error"].startswith("you cannot send here for another ")
    bob.send({"message": "hello"})
    assert ann.hear() == bob.hear() == {"message": "hello", "user": "bob"}
    # In a new session, and over HTTP, too.
    with session(gateway, "ann") as again:
        again.send({"message": "not heard"})
        assert "error" in again.hear()
    answer = ask(gateway, "/own/", {"group": "room_a", "message": 1}, headers=of("ann"))
    assert (answer.status_code, answer.json()) == (403, {"error": "later"})
    assert [one["user"] for one in ask(gateway, "/api/mute", method="GET").json()["orders"]] == ["ann"]
    assert given(ask(gateway, "/api/mute", method="DELETE", params={"user": "ann"}))["lifted"] is True
    ann.send({"message": "heard"})
    assert bob.hear() == ann.hear() == {"message": "heard", "user": "ann"}
    # A whole room, for a moment.
    given(ask(gateway, "/api/mute", {"group": "room_a", "for": "1s"}))
    bob.send({"message": "too soon"})
    assert "error" in bob.hear()

    def heard() -> bool:
        bob.send({"message": "now"})
        return "message" in bob.hear()

    wait_until(heard, what="the time is over")
    for one in (ann, bob):
        one.socket.close()


def test_mutes_do_not_end_each_other(begin):
    gateway = begin()
    ann, bob = session(gateway, "ann"), session(gateway, "bob")
    (address, _) = addresses(gateway, ann, bob)

    def is_muted(one: Session) -> bool:
        one.send({"message": "x"})
        muted = "error" in one.hear()
        if not muted:
            (bob if one is ann else ann).hear()
        return muted

    given(ask(gateway, "/api/mute", {"group": "room_a", "for": "10m"}))
    given(ask(gateway, "/api/mute", {"user": "ann", "for": "1s"}))
    wait_until(lambda: not ask(gateway, "/api/mute", method="GET").json()["orders"][0].get("user"), what="the shorter one is over")
    assert is_muted(ann) and is_muted(bob)
    given(ask(gateway, "/api/mute", {"user": "ann", "for": "10m"}))
    given(ask(gateway, "/api/mute", method="DELETE", params={"user": "ann"}))
    assert is_muted(ann)
    given(ask(gateway, "/api/mute", {"address": address, "for": "10m"}))
    given(ask(gateway, "/api/mute", method="DELETE", params={"group": "room_a"}))
    assert is_muted(ann) and not is_muted(bob)
    # An event stream sends nothing that could be kept from the others.
    stream = requests.get(gateway.http("/sse/a/"), headers=of("eve"), timeout=20, stream=True)
    told = given(ask(gateway, "/api/mute", {"group": "room_a", "for": "10m"}))
    assert (told["sessions"], told["refused"]) == (2, 1)
    stream.close()
    for one in (ann, bob):
        one.socket.close()


def test_nobody_joins_a_group_that_the_route_does_not_name(begin):
    gateway = begin()
    ann = session(gateway, "ann")
    for path in ["/api/join", "/api/leave"]:
        assert given(ask(gateway, path, {"user": "ann", "group": "room_b"})) == {"user": "ann", "groups": ["room_b"], "sessions": 0, "refused": 1}
    assert gateway.says("groups_from_view", "room_b")
    publish(gateway, "b", "not heard")
    publish(gateway, "a", "heard")
    assert ann.message() == "heard"
    assert ask(gateway, "/api/join", {"user": "ann", "group": "other"}).status_code == 403
    assert ask(gateway, "/api/join", {"group": "room_b"}).status_code == 400
    ann.socket.close()


def test_a_user_has_no_such_rights(begin):
    gateway = begin()
    for path in ["/own/disconnect", "/own/mute", "/own/join", "/own/leave"]:
        assert ask(gateway, path, {"user": "bob", "for": "1m", "group": "room_a"}, headers=of("ann")).status_code == 403, path
    assert ask(gateway, "/own/disconnect", method="GET", headers=of("ann")).status_code == 403
    assert ask(gateway, "/api/join", method="GET").status_code == 405


def test_orders_reach_every_process_also_those_that_start_later(layer, begin):
    one, other = (begin(layer.yaml, kind=RedisGateway) for _ in range(2))
    wait_until(lambda: layer.joined("sluice.control") == 2, what="both listen")
    near, far = session(one, "ann"), session(other, "ann")
    assert given(ask(one, "/api/disconnect", {"user": "ann", "for": "10m"})) == {"user": "ann", "sessions": 1}
    assert close_of(near) == close_of(far) == (4403, "disconnected by an operator")
    wait_until(lambda: len(ask(other, "/api/disconnect", method="GET").json()["orders"]) == 1, what="the order is known")
    assert refusal(other, "ann")[0] == refusal(one, "ann")[0] == 403
    # Django's own, for a user and for a room.
    send = async_to_sync(layer.make().group_send)
    send("sluice.control", {"type": "sluice.disconnect", "user": 5, "group": "room_a", "for": "1h", "reason": "by Django"})
    send("sluice.control", {"type": "sluice.mute", "user": 6, "for": "1h"})
    for gateway in (one, other):
        wait_until(lambda: len(ask(gateway, "/api/disconnect", method="GET").json()["orders"]) == 2, what="Django's order is known")
    assert refusal(other, "5") == (403, "by Django\n")
    session(one, "5", "b").socket.close()

    def kept() -> bool:
        late = begin(layer.yaml, kind=RedisGateway)
        orders = [ask(late, path, method="GET").json()["orders"] for path in ("/api/disconnect", "/api/mute")]
        return [[order["user"] for order in some] for some in orders] == [["ann", "5"], ["6"]] and refusal(late, "ann")[0] == 403

    wait_until(kept, what="a process that starts later knows them")
    with session(other, "6") as muted:
        muted.send({"message": "x"})
        assert "error" in muted.hear()
        send("sluice.control", {"type": "sluice.unmute", "user": 6})
        wait_until(lambda: (muted.send({"message": "x"}), muted.hear())[1].get("message") == "x", what="unmuted by Django")
    send("sluice.control", {"type": "sluice.admit", "user": 5, "group": "room_a"})
    assert given(ask(other, "/api/disconnect", method="DELETE", params={"user": "ann"}))["lifted"] is True
    for gateway in (one, other):
        wait_until(lambda: ask(gateway, "/api/disconnect", method="GET").json() == {"orders": []}, what="lifted everywhere")
    with session(one, "ann"):
        pass
    # What is no order is told of, and does nothing.
    send("sluice.control", {"type": "sluice.mute", "user": 5})
    assert one.says("sluice.mute", 'the order needs a time: \\"for\\": \\"10m\\"')


@pytest.mark.parametrize("before", ["memory", "redis"])
def test_an_order_keeps_out_at_once_where_a_reload_brings_its_layer(redis, begin, start, tmp_path, before):
    layer = Layer((Host(redis),))
    given(ask(begin(layer.yaml, kind=RedisGateway), "/api/disconnect", {"user": "ann", "for": "1h"}))
    first = {"memory": "{backend: memory}", "redis": Layer((Host(redis),), prefix="first").yaml}[before]
    scene = Reloading(start, tmp_path, ROUTES.replace("LAYER", first), env=ENV)
    session(scene.gateway, "ann").socket.close()
    scene.change(ROUTES.replace("LAYER", layer.yaml))
    assert refusal(scene.gateway, "ann")[0] == 403


def test_an_order_keeps_out_once_the_layer_is_there_that_a_reload_has_brought(redis, begin, start, tmp_path):
    given(ask(begin(Layer((Host(redis),)).yaml, kind=RedisGateway), "/api/disconnect", {"user": "ann", "for": "1h"}))
    scene = Reloading(start, tmp_path, ROUTES.replace("LAYER", Layer((Host(redis),), prefix="first").yaml), env=ENV)
    layer = with_user(redis, "gateway")
    with outage_of(redis, "gateway"):
        scene.change(ROUTES.replace("LAYER", layer.yaml))

    def is_kept_out() -> bool:
        try:
            session(scene.gateway, "ann").socket.close()
            return False
        except InvalidStatus as refused:
            return refused.response.status_code == 403

    # Orders are read once a minute in any case.
    wait_until(is_kept_out, 20, what="the order is read")


def test_an_order_that_was_given_while_redis_was_away_holds_when_it_is_back(redis, begin):
    layer = with_user(redis, "gateway")
    gateway = begin(layer.yaml, kind=RedisGateway)
    wait_until(lambda: layer.joined("sluice.control") == 1, what="it listens")
    with outage_of(redis, "gateway"):
        answer = ask(gateway, "/api/disconnect", {"user": "ann", "for": "1h"})
        assert answer.status_code == 503 and "error" in answer.json()
    wait_until(lambda: redis.client().hlen("asgi:sluice:orders") == 1, 30, what="the order is kept")
    wait_until(lambda: refusal(gateway, "ann")[0] == 403, what="it serves again")
    late = begin(layer.yaml, kind=RedisGateway)
    assert refusal(late, "ann")[0] == 403
    # It is lifted everywhere like any other.
    assert given(ask(late, "/api/disconnect", method="DELETE", params={"user": "ann"}))["lifted"] is True
    wait_until(lambda: ask(gateway, "/api/disconnect", method="GET").json()["orders"] == [], what="lifted")
    assert redis.client().hlen("asgi:sluice:orders") == 0


def test_an_order_that_was_lifted_while_redis_was_away_does_not_come_back(redis, begin):
    layer = with_user(redis, "gateway")
    gateway = begin(layer.yaml, kind=RedisGateway)
    wait_until(lambda: layer.joined("sluice.control") == 1, what="it listens")
    for user in ("ann", "bob"):
        given(ask(gateway, "/api/disconnect", {"user": user, "for": "1h"}))
    with outage_of(redis, "gateway"):
        wait_until(lambda: not gateway.is_ready(), what="it sees the outage")
        answer = ask(gateway, "/api/disconnect", method="DELETE", params={"user": "ann"})
        assert answer.status_code == 503 and answer.json()["lifted"] is True
    wait_until(lambda: redis.client().hkeys("asgi:sluice:orders") == [b'["disconnect","bob",null]'], 30, what="the layer forgets the order")
    wait_until(gateway.is_ready, what="it serves again")
    session(gateway, "ann").socket.close()
    assert refusal(gateway, "bob")[0] == 403


def test_the_others_hear_at_once_of_orders_that_were_written_after_an_outage(redis, begin):
    layer = with_user(redis, "gateway")
    gateway, other = begin(layer.yaml, kind=RedisGateway), begin(Layer((Host(redis),)).yaml, kind=RedisGateway)
    wait_until(lambda: layer.joined("sluice.control") == 2, what="they listen")
    for user in ("ann", "bob"):
        given(ask(gateway, "/api/disconnect", {"user": user, "for": "1h"}))
    open_since_before = session(other, "cid")
    with outage_of(redis, "gateway"):
        wait_until(lambda: not gateway.is_ready(), what="it sees the outage")
        assert ask(gateway, "/api/disconnect", method="DELETE", params={"user": "ann"}).status_code == 503
        assert ask(gateway, "/api/disconnect", {"user": "cid", "for": "1h"}).status_code == 503
        assert refusal(other, "ann")[0] == 403
    # This process has seen no outage, and reads the orders once a minute only.
    assert close_of(open_since_before)[0] == 4403
    assert refusal(other, "cid")[0] == 403
    users = lambda: [order["user"] for order in ask(other, "/api/disconnect", method="GET").json()["orders"]]
    wait_until(lambda: sorted(users()) == ["bob", "cid"], 20, what="it hears of the lift")
    session(other, "ann").socket.close()


def test_a_lift_ends_no_order_that_another_process_has_given_since_then(redis, begin):
    layer = with_user(redis, "gateway")
    gateway, other = begin(layer.yaml, kind=RedisGateway), begin(Layer((Host(redis),)).yaml, kind=RedisGateway)
    wait_until(lambda: layer.joined("sluice.control") == 2, what="they listen")
    with outage_of(redis, "gateway"):
        wait_until(lambda: not gateway.is_ready(), what="it sees the outage")
        answer = ask(gateway, "/api/disconnect", method="DELETE", params={"user": "ann"})
        assert answer.status_code == 503 and answer.json()["lifted"] is False
        given(ask(other, "/api/disconnect", {"user": "ann", "for": "1h"}))
    users = lambda: [order["user"] for order in ask(gateway, "/api/disconnect", method="GET").json()["orders"]]
    wait_until(lambda: users() == ["ann"], 30, what="it reads the order")
    assert refusal(gateway, "ann")[0] == refusal(other, "ann")[0] == 403
    assert redis.client().hkeys("asgi:sluice:orders") == [b'["disconnect","ann",null]']


def test_on_redis_pubsub_a_process_reads_orders_that_it_does_not_take_itself(redis, begin, start):
    layer = Layer((Host(redis),), "pubsub")
    given(ask(begin(layer.yaml, kind=RedisGateway), "/api/disconnect", {"user": "ann", "for": "1h"}))
    text = ROUTES.replace("allow: [publish, disconnect, mute, join, leave]", "allow: [publish]").replace(
        "allow: [publish, disconnect, groups, presence, history]", "allow: [groups]"
    )
    text = text.replace("history: {messages: 10}, presence: true, ", "").replace("allow: [groups, presence, history]", "allow: [groups]")
    other = start(text=text.replace("LAYER", layer.yaml), env=ENV, kind=RedisGateway)
    assert refusal(other, "ann")[0] == 403
    redis.client().acl_setuser(
        "narrow", enabled=True, reset=True, passwords=["+narrow"], channels="*",
        commands=["+ping", "+select", "+publish", "+subscribe", "+unsubscribe", "+psubscribe"],
    )  # fmt: skip
    narrow = dataclasses.replace(layer, yaml_hosts=[redis.url(user="narrow")])
    without_right = start(text=text.replace("LAYER", narrow.yaml), env=ENV, kind=RedisGateway)
    session(without_right, "ann").socket.close()
    assert without_right.says("orders that hold for a time are not read", "~asgi:sluice:orders")


def command(folder, *arguments, code: int = 0) -> str:
    done = subprocess.run(
        [SLUICE, "disconnect", *arguments], capture_output=True, text=True, cwd=folder, env={**os.environ, **ENV}, timeout=30
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_from_the_command_line(begin, tmp_path):
    gateway = begin()
    file = str(next(tmp_path.glob("routes*.yaml")))
    url = ["--url", gateway.http("/api/")]
    ann = session(gateway, "ann")
    assert command(tmp_path, file, "--user", "ann", *url) == "user ann: 1 session\n"
    assert close_of(ann)[0] == 4403
    told = command(tmp_path, file, "--user", "ann", "--group", "room_a", "--for", "10m", "--reason", "be nice", *url)
    assert told.startswith("user ann, group room_a, until ") and told.endswith(": 0 sessions\n")
    assert refusal(gateway, "ann") == (403, "be nice\n")
    listed = command(tmp_path, "--list", "--url", gateway.http("/api/"), "--token-env", "PUBLISH_TOKEN")
    assert listed.startswith("user ann, group room_a, until ") and listed.endswith(": be nice\n")
    assert command(tmp_path, file, "--lift", "--user", "ann", "--group", "room_a", *url) == "user ann, group room_a: may come in again\n"
    assert command(tmp_path, file, "--lift", "--user", "ann", *url) == "user ann: was not kept out\n"
    assert command(tmp_path, file, "--list", *url) == "sluice: nobody is kept out\n"
    assert "no \"publish\" route of the configuration allows the group" in command(tmp_path, file, "--group", "x", *url, code=1)
    assert "Say whose sessions" in command(tmp_path, file, code=2)
    assert "'--usr'" in command(tmp_path, file, "--usr", "5", code=2)
    assert "'surplus'" in command(tmp_path, file, "surplus", code=2)
    told = command(tmp_path, file, "--user", "5", "--url", gateway.http("/api/disconnect"), code=2)
    assert 'the URL of the publish route itself, without "disconnect" at its end' in told
    for wrong in [[], ["--list", "--user", "5"], ["--user", "5", "--for", "soon"], ["--lift", "--user", "5", "--for", "1m"]]:
        command(tmp_path, *wrong, code=2)
