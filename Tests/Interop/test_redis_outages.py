"""Outages that keep the data of Redis, servers that answer without being usable, and the notices to senders."""

import contextlib
import itertools
import socket
import time

import msgpack
import pytest
from asgiref.sync import async_to_sync

from redis_stack import Host, Layer, RedisServer, chat, closed_port, wait_until
from test_redis_failures import send, send_until_heard


def errors(session, seconds: float = 0.5) -> list[str]:
    """The notices to the session, without its messages, until nothing arrives for a moment."""
    told = []
    with contextlib.suppress(TimeoutError):
        while True:
            told += [value for key, value in session.hear(seconds).items() if key == "error"]
    return told


@contextlib.contextmanager
def outage_of(server: RedisServer, user: str):
    server.shut_out(user)
    try:
        yield
    finally:
        server.admit(user)


def with_user(redis: RedisServer, user: str, **options) -> Layer:
    redis.admit(user)
    return Layer((Host(redis),), yaml_hosts=[redis.url(user=user)], **options)


# What is in Redis, and what a gateway knows of it


def test_the_last_session_leaves_during_an_outage(redis, layer_gateway):
    layer = with_user(redis, "gateway")
    gateway, other = layer_gateway(layer), layer_gateway(Layer((Host(redis),)))
    session, witness = gateway.session("gone"), other.session("witness")
    with outage_of(redis, "gateway"):
        session.socket.close()
        # Another gateway, which sees no outage, keeps a group just as long after its last session.
        wait_until(lambda: not gateway.is_ready())
        witness.socket.close()
        wait_until(lambda: layer.joined("chat_witness") == 0, what="the group of the other gateway is left")
        assert layer.joined("chat_gone") == 1
    wait_until(lambda: layer.joined("chat_gone") == 0, what="the membership goes too")
    wait_until(lambda: redis.client().keys("asgi:sluice:members:*") == [], what="and what was noted of it")


def test_a_group_that_lingers_across_a_reconnect_is_joined_again(layer, redis, layer_gateway):
    gateway = layer_gateway(layer)
    gateway.session("door").socket.close()
    redis.client().flushall()
    for kind in ("normal", "pubsub"):
        redis.client().execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
    wait_until(lambda: gateway.count("channel layer available") > 1 and gateway.is_ready(), 4, "before the group is left")
    with gateway.session("door") as session:
        send(layer, "door", "in again")
        assert session.message() == "in again"


def test_a_gateway_that_was_away_is_not_taken_for_dead_by_one_that_is_back_first(redis, layer_gateway):
    """However long the gateway was away, the messages in its queue were kept for it."""
    layers = [with_user(redis, user) for user in ("first", "second")]
    first, second = [layer_gateway(layer) for layer in layers]
    with first.session("lobby"), second.session("kitchen") as session:
        (name,) = layers[1].members("chat_kitchen")
        client = redis.client()
        with outage_of(redis, "second"):
            with outage_of(redis, "first"):
                send(layers[1], "kitchen", "kept")
                # As if no sign of life had come for more than a minute.
                assert client.delete(*client.keys("asgi:sluice:alive:*")) == 2
            wait_until(first.is_ready)
            # The gateway has done its work after the outage once it writes a sign of life again.
            wait_until(lambda: len(client.keys("asgi:sluice:alive:*")) == 1, 5)
            assert layers[1].members("chat_kitchen") == [name]
        assert session.message() == "kept"
        send(layers[1], "kitchen", "and on")
        assert session.message() == "and on"


def test_a_sign_of_life_lasts_longer_than_a_message(redis, layer_gateway):
    layer_gateway(Layer((Host(redis),)))
    (key,) = redis.client().keys("asgi:sluice:alive:*")
    assert 70 < redis.client().ttl(key) <= 75


# Keys of another kind


def test_a_key_of_another_kind_takes_only_its_group_away(redis, layer_gateway):
    layer = Layer((Host(redis),), group_expiry=3)
    client = redis.client()
    client.set("asgi:group:chat_bad", "no group")
    gateway = layer_gateway(layer)
    with gateway.session("good") as good, gateway.session("turned") as turned:
        assert gateway.refuses("bad")
        client.set("asgi:group:chat_turned", "no group any more")
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        send_until_heard(layer, good, "good")
        wait_until(gateway.is_ready)
        assert gateway.refuses("bad")
        turned.say("lost")
        assert turned.hear() == {"error": "the message was not sent: the channel layer is not available"}
        client.delete("asgi:group:chat_turned")
        wait_until(lambda: layer.joined("chat_turned") == 1, 10, "it is joined when it can be")
        send(layer, "turned", "found")
        assert turned.message() == "found"


def test_a_queue_of_another_kind_keeps_nothing_from_the_others(redis, layer_gateway):
    layer = Layer((Host(redis),))
    with layer_gateway(layer).session("room") as session:
        redis.client().set("asgispecific.broken!", "no queue")
        redis.client().zadd("asgi:group:chat_room", {"specific.broken!x": time.time(), "specific.other!x": time.time()})
        session.say("hi")
        assert session.message() == "hi"
        assert session.hear() == {"error": "the message did not reach everybody: a part of the channel layer is not available"}
        ((message, _),) = redis.client().zrange("asgispecific.other!", 0, -1, withscores=True)
        assert msgpack.unpackb(message[12:])["message"] == "hi"


def test_a_message_that_is_too_long_is_skipped(redis, layer_gateway):
    layer = Layer((Host(redis),))
    with layer_gateway(layer).session("big") as session:
        (name,) = layer.members("chat_big")
        queue = layer.prefix + name[: name.index("!") + 1]
        good = msgpack.packb(chat("small") | {"__asgi_channel__": [name]})
        with redis.client().pipeline(transaction=True) as batch:
            # Popped together with what is behind it.
            batch.zadd(queue, {b"x" * (65 << 20): 1})
            batch.zadd(queue, {b"123456789012" + good: 2})
            batch.execute()
        assert session.message() == "small"


# Servers that answer, but cannot be used


def test_a_replica_that_takes_no_writes_is_tried_more_and_more_rarely(redis, layer_gateway):
    layer = Layer((Host(redis),))
    gateway = layer_gateway(layer)
    with gateway.session("lobby") as session:
        redis.client().replicaof("127.0.0.1", closed_port())
        wait_until(lambda: not gateway.is_ready())
        lines = len(gateway.log)
        time.sleep(2)
        assert len(gateway.log) - lines < 5, gateway.log
        assert gateway.count("channel layer available") == 1
        redis.client().replicaof("NO", "ONE")
        send_until_heard(layer, session, "lobby")
        wait_until(gateway.is_ready)


def test_a_subscription_that_is_refused_is_tried_again(redis, layer_gateway):
    layer = with_user(redis, "gateway", layout="pubsub")
    redis.client().execute_command("ACL", "SETUSER", "gateway", "resetchannels")
    gateway = layer_gateway(layer, wait=False)
    wait_until(lambda: gateway.count("NOPERM"))
    assert not gateway.is_ready()
    redis.admit("gateway")
    wait_until(gateway.is_ready, 10)
    with gateway.session("lobby") as session:
        send(layer, "lobby", "heard")
        assert session.message() == "heard"


def test_a_hung_redis_costs_a_bounded_amount_of_memory(redis, layer_gateway):
    layer = Layer((Host(redis),))
    gateway = layer_gateway(layer)
    with gateway.session("lobby") as session:
        before = gateway.resident_kib
        with redis.hung():
            count = 4000
            for number in range(count):
                session.say("x" * 60_000)
            wait_until(lambda: not gateway.is_ready(), 15)
            assert gateway.resident_kib - before < 200 * 1024
            # The senders of all unsent events are notified, and those of events that Redis may have received, too.
            told = [session.hear(15)["error"] for _ in range(count)]
        assert any("too many messages" in text for text in told)
        wait_until(gateway.is_ready, 15)
        send_until_heard(layer, session, "lobby")


def test_a_hung_redis_is_noticed_without_traffic(redis, layer_gateway):
    gateway = layer_gateway(Layer((Host(redis),), "pubsub"))
    with redis.hung():
        wait_until(lambda: not gateway.is_ready(), 12)
    wait_until(gateway.is_ready, 15)


# Notices to senders


def test_a_sender_is_told_once_of_queues_that_stay_full(redis, layer_gateway):
    layer = Layer((Host(redis),), capacity=2)
    with layer_gateway(layer).session("room") as session:
        for reader in ("specific.one!", "specific.two!", "specific.three!"):
            redis.client().zadd("asgi:group:chat_room", {f"{reader}x": time.time()})
            redis.client().zadd(f"asgi{reader}", {b"full": time.time(), b"too": time.time()})
        session.say("hi")
        assert session.message() == "hi"
        assert session.hear() == {"error": "the message did not reach everybody: the queue of a receiver is full"}
        assert errors(session) == []


def test_a_full_memory_is_written_no_further(redis, layer_gateway):
    layer = Layer((Host(redis),))
    gateway = layer_gateway(layer)
    client = redis.client()
    with gateway.session("room") as session:
        # One message of it is too old, so that there is something to remove.
        client.zadd("asgispecific.other!", {b"old": 1})
        client.zadd("asgi:group:chat_room", {"specific.other!x": time.time()})
        client.config_set("maxmemory", "1mb")
        session.say("hi")
        assert session.message() == "hi"
        assert session.hear() == {"error": "the message did not reach everybody: a part of the channel layer is not available"}
        assert client.zrange("asgispecific.other!", 0, -1) == [b"old"]
        # Longer than a tick: a sign of life that cannot be written does not mean that Redis was emptied.
        time.sleep(2.5)
        client.config_set("maxmemory", "0")
        session.say("again")
        assert session.message() == "again"
        wait_until(lambda: len(client.zrange("asgispecific.other!", 0, -1)) == 1 and client.zscore("asgispecific.other!", b"old") is None)
        assert gateway.is_ready() and gateway.count("emptied") == 0


# One of several hosts


@pytest.mark.parametrize("layout", ["core", "pubsub"])
def test_rooms_of_the_other_hosts_go_on(redis, tmp_path, layer_gateway, layout):
    other = RedisServer(tmp_path / "other")
    try:
        layer = Layer((Host(redis), Host(other)), layout, capacity=20000)
        gateway = layer_gateway(layer)
        rooms = [f"room{number}" for number in range(24)]
        with contextlib.ExitStack() as stack:
            sessions = {room: stack.enter_context(gateway.session(room)) for room in rooms}
            alone = {host: [room for room in rooms if hosts_of(layer, room) == {host}] for host in layer.hosts}
            dead, living = sorted(layer.hosts, key=lambda host: len(alone[host]))
            dead.server.stop()
            wait_until(lambda: not gateway.is_ready())
            for room in alone[living][:5]:
                with gateway.session(room) as late:
                    send(layer, room, "from Django")
                    assert late.message() == sessions[room].message() == "from Django"
                    late.say("from here")
                    assert late.message() == sessions[room].message() == "from here"
            gone = next(room for room in rooms if hosts_of(layer, room, dead) != {living})
            assert gateway.refuses(gone)
            sessions[gone].say("x")
            assert "error" in sessions[gone].hear()
    finally:
        with contextlib.suppress(Exception):
            other.stop()


def hosts_of(layer: Layer, room: str, dead: Host | None = None) -> set[Host]:
    """The shard of the group and, in core, of its member's queue."""
    if layer.layout == "pubsub":
        return {layer.host_of(f"{layer.prefix}__group__chat_{room}")}
    host = layer.host_of(f"chat_{room}")
    if host == dead:
        return {host}
    (name,) = [m.decode() for m in host.client().zrange(f"{layer.prefix}:group:chat_{room}", 0, -1)]
    return {host, layer.host_of(name[: name.index("!") + 1])}


# Start and stop


@contextlib.contextmanager
def hanging_port():
    """A port that neither accepts nor refuses connections, because its backlog is full."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for number in itertools.count():
            client = stack.enter_context(socket.socket())
            client.settimeout(0.3)
            try:
                client.connect(listener.getsockname())
            except TimeoutError:
                break
            assert number < 20
        yield listener.getsockname()[1]


def starts_and_stops(layer_gateway, layer: Layer) -> None:
    begun = time.monotonic()
    gateway = layer_gateway(layer, wait=False)
    assert time.monotonic() - begun < 5
    assert not gateway.is_ready()
    begun = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - begun < 3


def test_a_connection_that_hangs_delays_neither_start_nor_stop(redis, layer_gateway):
    with hanging_port() as port:
        hosts = [{"host": "127.0.0.1", "port": port, "socket_connect_timeout": "20s"}]
        starts_and_stops(layer_gateway, Layer((Host(redis),), yaml_hosts=hosts))


def test_a_server_that_hangs_delays_neither_start_nor_stop(layer, redis, layer_gateway):
    with redis.hung():
        starts_and_stops(layer_gateway, layer)


def test_a_stop_while_redis_is_away(layer, redis, layer_gateway):
    gateway = layer_gateway(layer)
    with gateway.session("lobby"):
        redis.stop()
        wait_until(lambda: not gateway.is_ready())
        begun = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - begun < 5
    redis.start()
