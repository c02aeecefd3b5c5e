"""Histories in Redis: they are the same for every process and after every restart, and gaps are reported."""

import signal
import time

import pytest
import requests
from asgiref.sync import async_to_sync

from history import Numbered, position
from redis_stack import Host, Layer, RedisGateway, Session, chat, wait_until
from test_history import ENV, TOKEN, publish
from test_redis_failures import send

ROUTES = """
installed_apps: [chat]
channel_layers: {default: LAYER}
server: {threads: 2}
applications:
  main:
    http:
      - {path: health/ready, health: ready}
      - {path: publish/, publish: {groups: "chat_*", token: {env: PUBLISH_TOKEN}}}
    websocket:
      - {path: "ws/chat/<slug:room>/", consumer: chat, group: "chat_{room}", history: {messages: 50, seconds: 1h}}
      - {path: "ws/short/", consumer: chat, group: short, history: {messages: 50, seconds: 1}}
"""


@pytest.fixture
def history_gateway(start):
    def begin(layer: Layer, **options) -> RedisGateway:
        options.setdefault("env", {**dict(zip(layer.key_names, layer.keys)), **ENV})
        return start(text=ROUTES.replace("LAYER", layer.yaml), kind=RedisGateway, **options)

    return begin


@pytest.fixture(params=["core", "pubsub"])
def layer(request, redis) -> Layer:
    return Layer((Host(redis),), request.param, capacity=20000)


def stream(layer: Layer, room: str) -> list:
    return layer.hosts[0].client().xrange(f"{layer.prefix}:sluice:history:chat_{room}")


def numbered(gateway, room: str, since: str = "") -> Numbered:
    return Numbered(gateway.ws(f"/ws/chat/{room}/"), since)


def recorder_is_known(layer: Layer, room: str) -> bool:
    return layer.hosts[0].client().hget(f"{layer.prefix}:sluice:history:chat_{room}:meta", "recorder") is not None


def test_two_processes_share_a_history(layer, history_gateway):
    one, two = history_gateway(layer), history_gateway(layer)
    with Session(one.ws("/ws/chat/a/")) as sender, numbered(two, "a") as client:
        assert position(client.start()["id"])[1] == 0
        for number in range(10):
            sender.say(number)
        assert sender.messages(10) == list(range(10))
        while len(client.messages) < 10:
            client.hear()
        assert client.messages == list(range(10)) and [position(f["id"])[1] for f in client.frames[1:]] == list(range(1, 11))
        assert len(stream(layer, "a")) == 10
        # To the other process, where it continues.
        client.drop()
        sender.say("meanwhile")
        sender.message()
        with numbered(one, "a", client.last) as moved:
            assert moved.start() == {"id": client.last, "gap": False}
            assert moved.hear()["message"] == "meanwhile"
        # A client that joins in a process without members.
        with Session(two.ws("/ws/chat/a/")) as plain:
            assert plain.messages(11) == [*range(10), "meanwhile"]
            assert plain.silent()


def test_a_restart_loses_nothing(layer, history_gateway):
    first = history_gateway(layer)
    with numbered(first, "b") as client, Session(first.ws("/ws/chat/b/")) as sender:
        client.start()
        for number in range(5):
            sender.say(number)
            client.hear()
        first.process.kill()
    second = history_gateway(layer)
    with Session(second.ws("/ws/chat/b/")) as sender, numbered(second, "b", client.last) as back:
        assert back.start() == {"id": client.last, "gap": False}
        assert sender.messages(5) == list(range(5))
        sender.say("after")
        assert back.hear()["message"] == "after"


def test_django_is_recorded_once(layer, history_gateway):
    """Either of two processes records the event, and both see it with the same id."""
    one, two = history_gateway(layer), history_gateway(layer)
    with numbered(one, "c") as first, numbered(two, "c") as second:
        first.start(), second.start()
        for number in range(20):
            send(layer, "c", f"view {number}")
        for client in (first, second):
            while len(client.messages) < 20:
                client.hear()
            assert sorted(client.messages) == sorted(f"view {number}" for number in range(20))
            assert client.rest() == []
        assert first.frames[1:] == second.frames[1:]
        assert len(stream(layer, "c")) == 20
        # Both directions at once, each event once.
        first.say("ours")
        send(layer, "c", "theirs")
        for client in (first, second):
            assert {client.hear()["message"], client.hear()["message"]} == {"ours", "theirs"}
            assert client.rest() == []


def test_django_hears_what_is_recorded(layer, history_gateway):
    async def both() -> dict:
        theirs = layer.make()
        channel = await theirs.new_channel()
        await theirs.group_add("chat_d", channel)
        import asyncio

        sent = asyncio.to_thread(client.say, "to Django")
        await sent
        return await asyncio.wait_for(theirs.receive(channel), 20)

    gateway = history_gateway(layer)
    with numbered(gateway, "d") as client:
        client.start()
        event = async_to_sync(both)()
        assert client.hear()["message"] == "to Django"
        assert event["message"] == "to Django" and event["sluice.id"] == client.last


def test_an_event_with_the_mark_of_another_group_is_a_new_event(layer, history_gateway):
    """A consumer forwards events with all their fields. The mark of a recorded event counts in its own group only."""
    one, two = history_gateway(layer), history_gateway(layer)
    with numbered(one, "f") as source, numbered(one, "g") as here, numbered(two, "g") as there:
        source.start(), here.start(), there.start()
        source.say("original")
        source.hear()
        marks = [source.last, "zz", 5, "ffffffff.99999"]
        for number, mark in enumerate(marks):
            async_to_sync(layer.make().group_send)("chat_g", {**chat(number), "sluice.id": mark})
        # In the group itself the same mark says that the event is recorded.
        async_to_sync(layer.make().group_send)("chat_f", {**chat("original"), "sluice.id": source.last})
        there.say("the last one")
        for client in (here, there):
            while len(client.messages) < 5:
                client.hear()
            assert sorted(map(str, client.messages)) == ["0", "1", "2", "3", "the last one"]
            assert client.rest() == []
        assert source.rest() == [] and len(stream(layer, "f")) == 1
        assert len(stream(layer, "g")) == 5 and not any(b"sluice.id" in value for _, fields in stream(layer, "g") for value in fields.values())


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_another_process_goes_on_recording(layer, history_gateway, end):
    """Events that were sent while no process recorded are recorded once, by the process that takes over."""
    one = history_gateway(layer)
    with numbered(one, "e") as first:
        first.start()
        wait_until(lambda: recorder_is_known(layer, "e"))
        two = history_gateway(layer)
        with numbered(two, "e") as second:
            second.start()
            send(layer, "e", "before")
            assert second.hear()["message"] == "before"
            one.process.send_signal(end)
            one.process.wait(20)
            for number in range(5):
                send(layer, "e", f"between {number}")
            while len(second.messages) < 6:
                second.hear(30)
            assert second.messages == ["before", *(f"between {number}" for number in range(5))]
            send(layer, "e", "after")
            assert second.hear()["message"] == "after"
            assert second.rest(1) == [] and len(stream(layer, "e")) == 7


def test_encrypted_in_redis(redis, history_gateway):
    layer = Layer((Host(redis),), "core", encrypted=True, capacity=20000)
    gateway = history_gateway(layer)
    with numbered(gateway, "f") as client:
        client.start()
        client.say("a secret of ours")
        client.hear()
        send(layer, "f", "a secret of theirs")
        client.hear()
        entries = stream(layer, "f")
        assert len(entries) == 2 and not any(b"secret" in value for _, fields in entries for value in fields.values())
    with Session(gateway.ws("/ws/chat/f/")) as late:
        assert late.messages(2) == ["a secret of ours", "a secret of theirs"]


def test_several_hosts_and_json(redis_servers, history_gateway):
    layer = Layer(tuple(Host(server, 8) for server in redis_servers), "pubsub", "json", prefix="many:")
    gateway = history_gateway(layer)
    for number in range(12):
        with numbered(gateway, f"g{number}") as client:
            client.start()
            client.say(number)
            assert client.hear()["message"] == number
        with Session(gateway.ws(f"/ws/chat/g{number}/")) as late:
            assert late.message() == number
    assert all(host.client().keys("many:*") for host in layer.hosts)


def test_redis_flushed(layer, history_gateway):
    """The session stays, and is notified that events may be missing."""
    gateway = history_gateway(layer)
    with numbered(gateway, "h") as client, numbered(gateway, "h") as away:
        epoch = position(client.start()["id"])[0]
        client.say(1)
        client.hear()
        away.start(), away.hear(), away.drop()
        redis = layer.hosts[0].client()
        redis.flushall()
        frame = client.hear()["history"]
        assert frame["gap"] is True and position(frame["id"])[0] != epoch
        client.say(2)
        assert client.hear()["message"] == 2
        away.open()
        assert away.start()["gap"] is True
        away.rest()
        assert away.messages == [1, 2]


def test_redis_restarted(layer, redis, history_gateway):
    gateway = history_gateway(layer)
    with numbered(gateway, "i") as client:
        epoch = position(client.start()["id"])[0]
        client.say(1)
        client.hear()
        redis.stop()
        wait_until(lambda: not gateway.is_ready())
        client.say("lost")
        assert "error" in client.hear()
        redis.start()
        wait_until(gateway.is_ready)
        while client.gaps == 0:
            client.hear(30)
        assert position(client.last)[0] != epoch
        client.say(2)
        while client.messages[-1] != 2:
            client.hear()
        assert client.messages == [1, 2]


def test_an_outage_heals(redis, history_gateway):
    """After an interruption without lost data in Redis, nothing is missing, and no gap is reported."""
    redis.admit("gateway")
    here = Layer((Host(redis),), capacity=20000)
    cut = Layer((Host(redis),), capacity=20000, yaml_hosts=[redis.url(user="gateway")])
    one, two = history_gateway(cut), history_gateway(here)
    with numbered(one, "j") as client, Session(two.ws("/ws/chat/j/")) as sender:
        client.start()
        redis.shut_out("gateway")
        wait_until(lambda: not one.is_ready())
        for number in range(10):
            sender.say(number)
        sender.messages(10)
        redis.admit("gateway")
        while len(client.messages) < 10:
            client.hear(30)
        assert client.messages == list(range(10)) and client.gaps == 0


def test_gone_back_in_time(layer, history_gateway):
    """As after a fail-over to a replica that was behind: offsets are used again, in another epoch."""
    gateway = history_gateway(layer)
    redis = layer.hosts[0].client()
    stream_key = f"{layer.prefix}:sluice:history:chat_k"
    with numbered(gateway, "k") as client:
        epoch = position(client.start()["id"])[0]
        for number in range(6):
            client.say(number)
            client.hear()
        with redis.pipeline() as both:
            both.hset(f"{stream_key}:meta", "offset", 3)
            both.execute_command("XTRIM", stream_key, "MAXLEN", 0)
            both.execute_command("XSETID", stream_key, "3-0")
            both.execute()
        while client.gaps == 0:
            client.hear(30)
        assert position(client.last)[0] != epoch
        client.say("new")
        while client.messages[-1] != "new":
            client.hear()
        with numbered(gateway, "k", f"{epoch}.6") as other:
            assert other.start()["gap"] is True


def test_trimmed_and_aged(layer, history_gateway):
    gateway = history_gateway(layer)
    with numbered(gateway, "l") as client:
        start = client.start()["id"]
        for number in range(60):
            client.say(number)
        while len(client.messages) < 60:
            client.hear()
        with numbered(gateway, "l", start) as late:
            assert late.start()["gap"] is True
            late.rest()
            assert late.messages == list(range(10, 60))
        assert len(stream(layer, "l")) == 50
    with Session(gateway.ws("/ws/short/")) as sender:
        sender.say("old")
        sender.message()
        key = f"{layer.prefix}:sluice:history:short"
        redis = layer.hosts[0].client()
        assert 0 < redis.ttl(key) <= 16
        wait_until(lambda: redis.xlen(key) == 0, what="what is too old goes")
        with Session(gateway.ws("/ws/short/")) as late:
            assert late.silent()


@pytest.mark.alone
def test_what_django_sends_is_recorded_once_whoever_dies(layer, history_gateway):
    """The recorder is killed again and again, while a view keeps sending."""
    import asyncio
    import threading

    sent, isDone = [], threading.Event()

    def publish() -> None:
        async def go() -> None:
            sender = layer.make()
            while not isDone.is_set() and len(sent) < 4000:
                sent.append(len(sent))
                await sender.group_send("chat_m", chat(sent[-1]))
                await asyncio.sleep(0.005)

        asyncio.run(go())

    meta = f"{layer.prefix}:sluice:history:chat_m:meta"
    redis = layer.hosts[0].client()
    gateways = [history_gateway(layer) for _ in range(2)]
    clients = [numbered(gateway, "m") for gateway in gateways]
    for client in clients:
        client.start()
    witness = history_gateway(layer)
    follower = numbered(witness, "m")
    follower.start()
    thread = threading.Thread(target=publish)
    thread.start()
    for _ in range(3):
        # A recorder is killed in the middle of events.
        before = len(sent)
        wait_until(lambda: len(sent) > before + 100, what="the view keeps sending")
        recorder = redis.hget(meta, "recorder")
        # One of two: every other one that dies held the lease.
        gateways[0].process.kill()
        gateways[0].process.wait()
        clients.pop(0)
        gateways = [gateways[1], history_gateway(layer)]
        clients.append(numbered(gateways[1], "m"))
        assert recorder
    wait_until(lambda: (int(redis.hget(meta, "until")) / 1000 > time.time()), 20, "somebody records")
    isDone.set()
    thread.join()
    while len(follower.messages) < len(sent):
        follower.hear(15)
    assert follower.rest(1) == []
    assert sorted(follower.messages) == sent and follower.gaps == 0
    follower.socket.close()
    # They have read nothing of all that. A stop would give them its whole grace to read up to the close frame.
    for client in clients:
        client.drop()


def test_what_is_published_in_one_process_is_there_in_the_other(layer, history_gateway):
    one, two = history_gateway(layer), history_gateway(layer)
    found = publish(one, "n", "for later")
    with numbered(two, "n") as client:
        client.start()
        assert client.hear()["message"] == "for later" and client.last in str(found)
        assert position(client.last)[1] == 1
        found = publish(one, "n", "now")
        assert client.hear()["message"] == "now" and client.last in str(found)
        assert client.rest() == []


def test_what_is_wrong_with_the_keys_of_one_group_is_no_matter_of_the_others(layer, history_gateway):
    gateway = history_gateway(layer)
    redis = layer.hosts[0].client()
    redis.set(f"{layer.prefix}:sluice:history:chat_bad:meta", "no hash")
    groups = ["chat_first", "chat_bad", "chat_last"]
    with numbered(gateway, "first") as first, numbered(gateway, "last") as last:
        first.start(), last.start()
        for number in range(3):
            body = {"groups": groups, "event": {"type": "chat.message", "message": number}}
            answer = requests.post(
                gateway.http("/publish/"), json=body, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20)
            assert first.hear()["message"] == number and last.hear()["message"] == number
            # Publishers get the position of each kept event.
            found = answer.json()["published"]
            assert [one["id"] for one in found] == [first.last, None, last.last], found
            assert [("error" in one) for one in found] == [False, True, False], found
