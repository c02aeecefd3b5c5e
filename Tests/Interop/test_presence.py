"""Presence in a room: lists, notices about joining and leaving, several processes, and the failure of a process or of Redis."""

import asyncio
import contextlib
import dataclasses
import json
import signal
import time

import pytest
from asgiref.sync import async_to_sync
from websockets.asyncio.client import connect as connect_async
from websockets.sync.client import connect

from redis_stack import Host, Layer, RedisGateway, RedisServer, chat, wait_until
from test_redis_outages import outage_of
from tokens import signed

KEY = "a-key-of-this-test-that-is-long-enough"
# What docs/presence.md states for a process that is killed.
HEALED = 12

ROUTES = """
installed_apps: [chat, broadcast]
channel_layers: {default: LAYER}
server: {threads: 2}
auth:
  users: {jwt: {secret: {env: JWT_KEY}, algorithms: [HS256], from: [{query: token}, message]}}
applications:
  main:
    http:
      - {path: health/ready, health: ready}
    websocket:
      auth: users
      auth_optional: true
      routes:
        - {path: "ws/chat/<slug:room>/", consumer: chat, group: "chat_{room}", shared: true, presence: true, subscribe: ["chat_*"]}
        - {path: "ws/packed/<slug:room>/", consumer: chat, group: "chat_{room}", shared: true, presence: true, compression: {threshold: 1B}}
        - {path: "ws/quiet/<slug:room>/", consumer: chat, group: "chat_{room}", shared: true}
        - {path: "ws/members/<slug:room>/", consumer: chat, group: "chat_{room}", presence: true, auth_optional: false}
"""


def token(user: str) -> str:
    return signed(KEY, 3600, sub=user)


def url(gateway, room: str, user: str | None = None, kind: str = "chat") -> str:
    return gateway.ws(f"/ws/{kind}/{room}/") + (f"?token={token(user)}" if user else "")


class Client:
    def __init__(self, gateway, room: str, user: str | None = None, kind: str = "chat"):
        self.socket = connect(url(gateway, room, user, kind), open_timeout=20, max_size=None, max_queue=None, proxy=None)
        self.knows = False

    def hear(self, timeout: float = 20) -> dict:
        return json.loads(self.socket.recv(timeout=timeout))

    def presence(self, timeout: float = 20):
        value = self.hear(timeout)
        assert set(value) == {"presence"}, value
        self.knows = self.knows or "users" in value["presence"]
        return value["presence"]

    def say(self, value) -> None:
        self.socket.send(json.dumps(value))

    def list(self) -> dict:
        """The gateway's answer. Earlier messages are skipped."""
        while not self.knows:
            self.presence()
        self.say({"presence": "list"})
        while "users" not in (value := self.presence()):
            pass
        return value

    def lists(self, expected: dict, seconds: float = 20) -> bool:
        wait_until(lambda: self.list() == expected, seconds, f"the list is {expected}")
        return True

    def leave(self) -> None:
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.leave()


def there(*users: str, anonymous: int = 0) -> dict:
    return {"users": sorted(users), "anonymous": anonymous, "count": len(users) + anonymous}


@pytest.fixture
def begin(start):
    """Starts gateways: on a Redis layer, or in memory."""

    def begin(layer: Layer | None = None) -> RedisGateway:
        text = ROUTES.replace("LAYER", layer.yaml if layer else "{backend: memory}")
        return start(text=text, kind=RedisGateway, env={"JWT_KEY": KEY})

    return begin


@pytest.fixture(params=["memory", "core", "pubsub"])
def gateway(request, begin):
    if request.param == "memory":
        return begin()
    return begin(Layer((Host(request.getfixturevalue("redis")),), request.param))


@pytest.fixture
def pair(layer, begin):
    """Two processes on one Redis, in each layout."""
    return begin(layer), begin(layer)


# One process


def test_the_list_comes_first_and_then_who_comes_and_goes(gateway):
    with Client(gateway, "a", "alice") as alice:
        assert alice.presence() == there("alice")
        bob = Client(gateway, "a", "bob")
        assert bob.presence() == there("alice", "bob")
        assert alice.presence() == {"joined": "bob", "count": 2}
        with Client(gateway, "b", "carol") as carol:
            assert carol.presence() == there("carol")
        bob.leave()
        assert alice.presence() == {"left": "bob", "count": 1}


def test_a_user_with_two_devices_is_there_once(gateway):
    with Client(gateway, "a", "alice") as alice:
        assert alice.presence() == there("alice")
        first, second = Client(gateway, "a", "bob"), Client(gateway, "a", "bob")
        assert first.presence() == second.presence() == there("alice", "bob")
        assert alice.presence() == {"joined": "bob", "count": 2}
        first.leave()
        assert second.list() == there("alice", "bob")
        second.leave()
        assert alice.presence() == {"left": "bob", "count": 1}


def test_a_page_that_is_loaded_anew_makes_no_noise(gateway):
    with Client(gateway, "a", "alice") as alice, Client(gateway, "a", "carol") as carol:
        bob = Client(gateway, "a", "bob")
        assert alice.lists(there("alice", "bob", "carol"))
        for _ in range(3):
            bob.leave()
            bob = Client(gateway, "a", "bob")
            assert bob.presence() == there("alice", "bob", "carol")
        carol.leave()
        # A notice about bob would arrive before it.
        assert alice.presence() == {"left": "carol", "count": 2}
        bob.leave()
        assert alice.presence() == {"left": "bob", "count": 1}


def test_clients_without_an_identity_are_counted(gateway):
    with Client(gateway, "a") as first:
        assert first.presence() == there(anonymous=1)
        with Client(gateway, "a") as second:
            assert second.presence() == there(anonymous=2)
            assert first.presence() == {"anonymous": 2, "count": 2}
            with Client(gateway, "a", "alice") as alice:
                assert alice.presence() == there("alice", anonymous=2)
                assert first.presence() == {"joined": "alice", "count": 3}
        assert first.presence() == {"anonymous": 1, "count": 2}
        assert first.presence() == {"left": "alice", "count": 1}


def test_a_burst_is_told_as_little_as_can_be(gateway):
    with Client(gateway, "a") as first:
        assert first.presence() == there(anonymous=1)
        with contextlib.ExitStack() as crowd:
            for _ in range(100):
                crowd.enter_context(Client(gateway, "a"))
            counts = [first.presence()["count"]]
            while counts[-1] < 101:
                counts.append(first.presence()["count"])
        assert counts == sorted(set(counts))


def test_the_list_on_request(gateway):
    with Client(gateway, "a", "alice") as alice:
        assert alice.presence() == there("alice")
        for _ in range(3):
            alice.say({"presence": "list"})
            assert alice.presence() == there("alice")
        # Requests that arrive at once are answered at once.
        for _ in range(1000):
            alice.say({"presence": "list"})
        alice.say({"message": "and this"})
        answers = []
        while (value := alice.hear()) != {"message": "and this"}:
            answers.append(value)
        assert len(answers) < 500
        assert alice.lists(there("alice"))


@pytest.mark.parametrize("kind", ["chat", "packed"])
def test_what_is_no_request_is_refused_or_said(gateway, kind):
    with Client(gateway, "a", "alice", kind) as alice:
        assert alice.presence() == there("alice")
        alice.say({"presence": "nonsense"})
        assert alice.hear() == {"error": 'the value of "presence" must be "list"'}
        for value in ({"presence": 5}, {"presence": None}, {"presence": ["list"]}, {"presence": "list", "more": 1}):
            alice.say(value)
            assert set(alice.hear()) == {"error"}
        alice.say({"presence": "list", "message": "hello"})
        assert alice.hear() == {"message": "hello"}
        alice.say({"message": {"presence": "list"}})
        assert alice.hear() == {"message": {"presence": "list"}}


def test_whoever_is_on_a_route_without_presence_is_not_seen_and_hears_nothing(gateway):
    with Client(gateway, "a", "alice") as alice, Client(gateway, "a", "bob", "quiet") as bob:
        assert alice.presence() == there("alice")
        with Client(gateway, "a", "carol") as carol:
            assert carol.presence() == there("alice", "carol")
            assert alice.presence() == {"joined": "carol", "count": 2}
            carol.say({"message": "hello"})
            assert bob.hear() == alice.hear() == {"message": "hello"}
            bob.say({"presence": "list"})
            assert bob.hear() == {"error": "this route has no presence"}


def test_presence_is_that_of_the_first_group(gateway):
    with Client(gateway, "a", "alice") as alice, Client(gateway, "b", "bob") as bob:
        assert alice.presence() == there("alice")
        assert bob.presence() == there("bob")
        alice.say({"subscribe": "chat_b"})
        assert alice.hear() == {"subscribed": "chat_b"}
        with Client(gateway, "b", "carol") as carol:
            assert carol.presence() == there("bob", "carol")
            assert bob.presence() == {"joined": "carol", "count": 2}
            carol.say({"message": "hello"})
            assert alice.hear() == {"message": "hello"}
            assert alice.list() == there("alice")


def test_a_list_can_be_compressed(gateway):
    with contextlib.ExitStack() as clients:
        for number in range(20):
            clients.enter_context(Client(gateway, "a", f"user-{number:02}"))
        with Client(gateway, "a", "zoe", "packed") as zoe:
            assert zoe.lists(there(*[f"user-{number:02}" for number in range(20)], "zoe"))


def test_whoever_shows_a_token_in_a_message_is_there_from_then_on(gateway):
    with Client(gateway, "a", "alice") as alice, Client(gateway, "a", kind="members") as bob:
        assert alice.presence() == there("alice")
        bob.say({"presence": "list"})
        assert set(bob.hear()) == {"error"}
        bob.say({"auth": token("bob")})
        assert bob.hear() == {"auth": "ok"}
        assert bob.presence() == there("alice", "bob")
        assert alice.presence() == {"joined": "bob", "count": 2}


def test_a_thousand_sessions_at_once(gateway):
    """Of 250 users, each receives the list, and at most one notice for each of them."""

    async def follow(user: str, gate: asyncio.Semaphore, everybody: asyncio.Barrier) -> int:
        async with gate:
            socket = await connect_async(url(gateway, "a", user), open_timeout=60, compression=None, proxy=None)
        users, frames = None, 0
        while users is None or len(users) < 250:
            value = json.loads(await socket.recv())["presence"]
            frames += 1
            if "users" in value:
                assert users is None
                users = set(value["users"])
            else:
                users.add(value["joined"])
            assert value["count"] == len(users) or "joined" in value
        await everybody.wait()
        await socket.close()
        return frames

    async def crowd() -> list[int]:
        gate, everybody = asyncio.Semaphore(100), asyncio.Barrier(1000)
        return await asyncio.gather(*(follow(f"user-{number % 250}", gate, everybody) for number in range(1000)))

    frames = asyncio.run(asyncio.wait_for(crowd(), 120))
    assert max(frames) <= 251
    with Client(gateway, "a", "late") as late:
        assert late.lists(there("late"))


# Several processes


def test_two_processes_are_one_room(pair):
    one, two = pair
    with Client(one, "a", "alice") as alice, Client(two, "a", "bob") as bob:
        assert alice.lists(there("alice", "bob"))
        assert bob.lists(there("alice", "bob"))
        with Client(one, "a", "bob") as again, Client(two, "a") as stranger:
            assert again.lists(there("alice", "bob", anonymous=1))
            assert stranger.lists(there("alice", "bob", anonymous=1))
            bob.leave()
            again.leave()
            while (told := alice.presence()) != {"left": "bob", "count": 2}:
                assert set(told) == {"anonymous", "count"}, told
        assert alice.lists(there("alice"))


def test_a_user_that_changes_the_process_was_never_gone(pair):
    one, two = pair
    with Client(one, "a", "alice") as alice:
        bob = Client(one, "a", "bob")
        assert alice.lists(there("alice", "bob"))
        for gateway in (two, one, two):
            bob.leave()
            bob = Client(gateway, "a", "bob")
            assert bob.lists(there("alice", "bob"))
        carol = Client(one, "a", "carol")
        assert alice.presence() == {"joined": "carol", "count": 3}
        bob.leave()
        assert alice.presence() == {"left": "bob", "count": 2}
        carol.leave()


def test_what_is_in_redis_goes_with_the_last_session(pair, redis):
    with Client(pair[0], "a", "alice") as alice, Client(pair[1], "a", "bob") as bob:
        assert alice.lists(there("alice", "bob")) and bob.lists(there("alice", "bob"))
    names = "asgi:sluice:presence:"
    wait_until(lambda: not [*redis.client().scan_iter(f"{names}[gu]*")], 10, "nothing is left of the group")
    for gateway in pair:
        gateway.stop()
    assert [*redis.client().scan_iter(f"{names}*")] == []


def test_a_process_that_is_killed_is_forgotten_in_time(pair, redis):
    one, two = pair
    with Client(one, "a", "alice") as alice, Client(one, "b", "dora") as dora:
        with contextlib.ExitStack() as lost:
            for user in ("bob", "carol", "alice", None, None):
                lost.enter_context(Client(two, "a", user))
            assert alice.lists(there("alice", "bob", "carol", anonymous=2))
            assert dora.lists(there("dora"))
            # Only a process that has been there for a while considers others dead. It has been, when it removes one that never was.
            redis.client().sadd("asgi:sluice:presence:processes", "one that never was")
            wait_until(lambda: not redis.client().sismember("asgi:sluice:presence:processes", "one that never was"))
            assert alice.list() == there("alice", "bob", "carol", anonymous=2)
            two.process.send_signal(signal.SIGKILL)
            two.process.wait(10)
            deadline = time.monotonic() + HEALED
            told = [alice.presence(deadline - time.monotonic()) for _ in range(3)]
            assert told[0] == {"anonymous": 0, "count": 3}
            assert sorted(value["left"] for value in told[1:]) == ["bob", "carol"]
            assert told[2]["count"] == 1
            assert alice.list() == there("alice")
            assert dora.list() == there("dora")


def test_a_process_that_is_stopped_takes_its_leave(pair, redis):
    one, two = pair
    with Client(one, "a", "alice") as alice, Client(two, "a", "bob") as bob, Client(two, "a") as stranger:
        assert alice.lists(there("alice", "bob", anonymous=1))
        two.process.send_signal(signal.SIGTERM)
        told = [alice.presence(), alice.presence()]
        assert {"anonymous": 0, "count": 2} in told or {"anonymous": 0, "count": 1} in told
        assert {"left": "bob", "count": 1} in told
        assert two.stop() == 0
        assert len(redis.client().smembers("asgi:sluice:presence:processes")) == 1


def test_redis_is_emptied(pair, redis):
    one, two = pair
    with Client(one, "a", "alice") as alice, Client(two, "a", "bob") as bob:
        assert alice.lists(there("alice", "bob"))
        assert bob.lists(there("alice", "bob"))
        redis.client().flushall()
        group = "asgi:sluice:presence:group:chat_a"
        wait_until(lambda: len(redis.client().hgetall(group)) == 2, 10, "both are written down again")
        with Client(two, "a", "carol") as carol:
            assert carol.presence() == there("alice", "bob", "carol")
            # No notice was sent meanwhile.
            assert alice.presence() == {"joined": "carol", "count": 3}
            assert bob.presence() == {"joined": "carol", "count": 3}


def test_redis_is_restarted(pair, redis: RedisServer):
    one, two = pair
    with Client(one, "a", "alice") as alice, Client(two, "a", "bob") as bob:
        assert alice.lists(there("alice", "bob"))
        assert bob.lists(there("alice", "bob"))
        redis.stop()
        # During the outage the earlier presence is still known.
        assert alice.list() == there("alice", "bob")
        redis.start()
        group = "asgi:sluice:presence:group:chat_a"
        wait_until(lambda: len(redis.client().hgetall(group)) == 2, 20, "both are written down again")
        wait_until(lambda: one.is_ready() and two.is_ready(), 20)
        with Client(two, "a", "carol") as carol:
            assert carol.lists(there("alice", "bob", "carol"))
            assert alice.presence() == {"joined": "carol", "count": 3}
            bob.leave()
            assert alice.presence() == {"left": "bob", "count": 2}


def test_somebody_leaves_while_redis_is_away(redis, begin, layer):
    """The entries in Redis are kept, and corrected afterwards."""
    redis.admit("second")
    one, two = begin(layer), begin(dataclasses.replace(layer, yaml_hosts=[redis.url(user="second")]))
    with Client(one, "a", "alice") as alice, Client(two, "b", "bob") as witness:
        bob = Client(two, "a", "bob")
        assert alice.lists(there("alice", "bob")) and witness.lists(there("bob"))
        with outage_of(redis, "second"):
            wait_until(lambda: not two.is_ready(), 20)
            bob.leave()
            # The other session gets the answer to its request later than that.
            assert witness.list() == there("bob")
        assert alice.presence() == {"left": "bob", "count": 1}
        wait_until(two.is_ready, 20)
        with Client(two, "a", "carol") as carol:
            assert carol.lists(there("alice", "carol"))


def test_consumers_of_the_group_hear_nothing_of_it(pair, layer):
    with Client(pair[0], "a", "alice") as alice:
        assert alice.presence() == there("alice")

        async def django() -> dict:
            channels = layer.make()
            name = await channels.new_channel()
            await channels.group_add("chat_a", name)
            with Client(pair[1], "a", "bob") as bob:
                await asyncio.to_thread(bob.lists, there("alice", "bob"))
            await asyncio.to_thread(alice.lists, there("alice"))
            await channels.group_send("chat_a", chat("the first"))
            message = await asyncio.wait_for(channels.receive(name), 20)
            await channels.group_discard("chat_a", name)
            return message

        assert async_to_sync(django)() == chat("the first")


def test_two_databases_of_a_server_are_two_worlds(redis, begin, layer):
    other = Layer((Host(redis, 1),), layer.layout)
    with Client(begin(layer), "a", "alice") as alice, Client(begin(other), "a", "bob") as bob:
        assert alice.presence() == there("alice")
        assert bob.presence() == there("bob")
        assert alice.list() == there("alice")


def test_a_layer_of_three_servers(redis_servers, begin):
    layer = Layer(tuple(Host(server, 5) for server in redis_servers), prefix="presence")
    one, two = begin(layer), begin(layer)
    for room in ("a", "b", "c", "d", "e", "f"):
        with Client(one, room, "alice") as alice, Client(two, room, "bob") as bob:
            assert alice.lists(there("alice", "bob"))
            assert bob.lists(there("alice", "bob"))
    used = [bool(host.client().exists("presence:sluice:presence:processes")) for host in layer.hosts]
    assert used == [True, True, True]


def test_keys_of_another_kind_take_nothing_but_the_others_away(redis, begin, layer):
    redis.client().set("asgi:sluice:presence:group:chat_bad", "no group")
    one, two = begin(layer), begin(layer)
    with Client(one, "bad", "alice") as alice, Client(two, "good", "bob") as bob, Client(one, "good", "carol") as carol:
        assert alice.presence() == there("alice")
        assert bob.lists(there("bob", "carol"))
        assert carol.lists(there("bob", "carol"))
        redis.client().delete("asgi:sluice:presence:group:chat_bad")
        with Client(two, "bad", "dora") as dora:
            assert dora.lists(there("alice", "dora"))
            assert alice.lists(there("alice", "dora"))


def test_a_user_that_may_use_no_channels_has_the_presence_of_its_process(redis, begin):
    redis.client().acl_setuser("narrow", enabled=True, reset=True, passwords=["+narrow"], keys="*", reset_channels=True, commands=["+@all"])
    gateway = begin(Layer((Host(redis),), yaml_hosts=[redis.url(user="narrow")]))
    with Client(gateway, "a", "alice") as alice, Client(gateway, "a", "bob") as bob:
        assert alice.lists(there("alice", "bob"))
        assert bob.lists(there("alice", "bob"))
        assert gateway.count("presence could not be written")
