"""Failures around a channel layer: full queues, lost connections, restarts, dead gateways, and invalid data."""

import base64
import dataclasses
import hashlib
import json
import os
import signal
import socket
import struct
import subprocess
import time

import msgpack
import pytest
import requests
from asgiref.sync import async_to_sync
from cryptography.fernet import Fernet

from clients import open_session, read_close
from conftest import ROOT, SLUICE
from redis_stack import KEY, Host, Layer, chat, routes, wait_until


def send(layer: Layer, room: str, message) -> None:
    """Sends like a view, with a new connection."""
    async_to_sync(layer.make().group_send)(f"chat_{room}", chat(message))


def queues(layer: Layer) -> dict[bytes, int]:
    """The gateways' queues, and the number of messages in each."""
    client = layer.hosts[0].client()
    return {key: client.zcard(key) for key in client.keys(f"{layer.prefix}specific.*!")}


def is_back(layer: Layer, room: str) -> bool:
    return layer.joined(f"chat_{room}") == 1


def send_until_heard(layer: Layer, session, room: str, seconds: float = 30) -> None:
    """The gateway is back when it receives events. Earlier messages may be lost, and are never duplicated."""
    deadline = time.monotonic() + seconds
    number = 0
    while time.monotonic() < deadline:
        number += 1
        send(layer, room, f"probe {number}")
        try:
            heard = session.message(timeout=0.3)
        except TimeoutError:
            continue
        while heard != f"probe {number}":
            heard = session.message()
        return
    raise AssertionError("delivery did not resume")


# A full queue


def test_a_paused_gateway_has_a_queue_of_the_capacity(redis, layer_gateway, caplog):
    layer = Layer((Host(redis),))
    gateway = layer_gateway(layer)
    with gateway.session("full") as session:
        gateway.process.send_signal(signal.SIGSTOP)
        try:
            sender = layer.make()

            async def send_all() -> None:
                for number in range(150):
                    await sender.group_send("chat_full", chat(number))

            with caplog.at_level("INFO", "channels_redis.core"):
                async_to_sync(send_all)()
            assert list(queues(layer).values()) == [100]
            (queue,) = queues(layer)
            assert 55 <= redis.client().ttl(queue) <= 60
            assert "1 of 1 channels over capacity in group chat_full" in caplog.text
        finally:
            gateway.process.send_signal(signal.SIGCONT)
        # First the messages of a pop that was waiting already, then those in the queue; the sender refused the rest.
        heard = session.messages(100) + session.rest()
        assert heard == list(range(len(heard))) and len(heard) < 110
        send(layer, "full", "after")
        assert session.message() == "after"


# Lost connections


@pytest.mark.parametrize("group_expiry", [6, 86400])
def test_flushall(redis, layer_gateway, group_expiry):
    layer = Layer((Host(redis),), group_expiry=group_expiry)
    with layer_gateway(layer).session("lobby") as session:
        redis.client().flushall()
        wait_until(lambda: is_back(layer, "lobby"), 20, "the membership is written again")
        send(layer, "lobby", "again")
        assert session.message() == "again"


def test_killed_connections(layer, redis, layer_gateway):
    gateway = layer_gateway(layer)
    with gateway.session("lobby") as session, gateway.session("lobby") as other:
        for _ in range(3):
            for kind in ("normal", "pubsub"):
                redis.client().execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
            send_until_heard(layer, session, "lobby")
        wait_until(gateway.is_ready)
        assert is_back(layer, "lobby")
        session.say("over")
        while session.message() != "over":
            pass
        while other.message() != "over":
            pass


def test_redis_restarts(layer, redis, layer_gateway):
    gateway = layer_gateway(layer)
    with gateway.session("lobby") as session, gateway.session("kitchen") as other:
        redis.stop()
        assert session.is_open() and other.is_open()
        session.say("into the void")
        answer = session.hear(30)
        assert set(answer) == {"error"}, answer
        redis.start()
        wait_until(lambda: is_back(layer, "lobby") and is_back(layer, "kitchen"), 30, "the gateway joins again")
        send_until_heard(layer, session, "lobby")
        send_until_heard(layer, other, "kitchen")
        wait_until(gateway.is_ready)
        session.say("ours")
        assert session.message() == "ours"
        with gateway.session("new") as late:
            late.say("x")
            assert late.message() == "x"


def test_a_handshake_without_redis_is_refused_and_later_taken(layer, redis, layer_gateway):
    gateway = layer_gateway(layer)
    with gateway.session("lobby"):
        redis.stop()
        begun = time.monotonic()
        with pytest.raises(Exception) as refused:
            gateway.session("another")
        assert refused.value.response.status_code == 503
        assert time.monotonic() - begun < 15
        answer = requests.get(gateway.http("/health/ready"), timeout=20)
        assert (answer.status_code, answer.text) == (503, 'not taking new sessions: the channel layer "default" is not available\n')
        redis.start()
        wait_until(lambda: is_back(layer, "lobby"), 30)
        # In pub/sub there is a second connection that reconnects by itself.
        wait_until(gateway.is_ready)
        with gateway.session("another") as session:
            session.say("in")
            assert session.message() == "in"


def test_an_idle_session_and_one_older_than_its_membership(tmp_path, redis, layer_gateway):
    layers = [Layer((Host(redis),), "core", group_expiry=6), Layer((Host(redis),), "pubsub")]
    sessions = [layer_gateway(layer).session("idle") for layer in layers]
    begun = time.monotonic()
    for session in sessions:
        assert session.silent(max(0.5, 30 - (time.monotonic() - begun)))
    for layer, session in zip(layers, sessions):
        send(layer, "idle", "awake")
        assert session.message() == "awake"
        session.socket.close()


# No members without sessions


def leave_with_close(session: socket.socket) -> None:
    session.close()


def leave_with_reset(session: socket.socket) -> None:
    session.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    session.close()


def leave_with_an_error(session: socket.socket) -> None:
    session.sendall(b"\x81\x05hello")
    assert read_close(session)[0] == 1002
    session.close()


def test_the_last_session_takes_the_membership_with_it(layer, layer_gateway):
    gateway = layer_gateway(layer)
    ways = {"close": leave_with_close, "reset": leave_with_reset, "error": leave_with_an_error}
    sessions = {way: [open_session(gateway.port, f"/ws/chat/{way}/") for _ in range(2)] for way in ways}
    for way, leave in ways.items():
        assert layer.joined(f"chat_{way}") == 1
        for session in sessions[way]:
            leave(session)
    wait_until(lambda: not any(layer.joined(f"chat_{way}") for way in ways), 20, "the groups are empty")


def test_a_room_that_is_entered_again_and_again_is_always_heard(layer, layer_gateway):
    gateway = layer_gateway(layer)
    for number in range(30):
        with gateway.session("door") as session:
            send(layer, "door", number)
            assert session.message() == number


def test_a_stopped_gateway_leaves_nothing(layer, redis, layer_gateway):
    gateway = layer_gateway(layer)
    with gateway.session("lobby"), gateway.session("kitchen"):
        gateway.stop()
    assert layer.joined("chat_lobby") == layer.joined("chat_kitchen") == 0
    assert redis.client().keys(f"{layer.prefix}*") == []


def test_a_killed_gateway_is_cleared_away_by_the_next(layer, redis, layer_gateway):
    """A sign of life lasts a little longer than a message, so this is quick with short-lived messages."""
    layer = dataclasses.replace(layer, expiry=1)
    dead = layer_gateway(layer)
    with dead.session("lobby"), dead.session("kitchen"):
        dead.stop(signal.SIGKILL)
    if layer.layout == "core":
        # One of its groups has a value of another type meanwhile, which does not affect the others.
        (members,) = redis.client().keys("asgi:sluice:members:*")
        redis.client().hset(members, "specific.x!g9", "chat_broken")
        redis.client().set("asgi:group:chat_broken", "no group")
    gateway = layer_gateway(layer)
    with gateway.session("lobby") as session:
        wait_until(
            lambda: layer.joined("chat_lobby") == 1 and layer.joined("chat_kitchen") == 0, 90, "the dead one's members go"
        )
        assert len(redis.client().keys("asgi:sluice:members:*")) <= 1
        send(layer, "lobby", "alive")
        assert session.message() == "alive"


# Invalid data

DEEP = b"\x91" * 100_000 + b"\xc0"
MAPS = {
    "no type": {"message": "x"},
    "empty type": {"type": "", "message": "x"},
    "a number as type": {"type": 5, "message": "x"},
    "private type": {"type": "_private", "message": "x"},
    "a method": {"type": "send", "message": "x"},
    "a life cycle event": {"type": "websocket.disconnect", "code": 1000},
    "unknown type": {"type": "never.heard.of", "message": "x"},
    "no message": {"type": "chat.message"},
    "a close code that is none": {"type": "websocket.close", "code": 1005},
    "send without anything": {"type": "websocket.send"},
    "send of a list": {"type": "websocket.send", "text": [1]},
    "no name": {"type": "chat.message", "message": "x", "__asgi_channel__": None},
    "names that are none": {"type": "chat.message", "message": "x", "__asgi_channel__": [1, None, {}, "", "!", "specific.x!y"]},
    "a nested list, deep": None,
}


def fernet(key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()))


def bodies(layer: Layer, name: str) -> list[bytes]:
    """Invalid bodies of all kinds, with the address of a living member if the body can have one."""
    base = {"__asgi_channel__": [name]} if layer.layout == "core" else {}
    maps = [base | value for value in MAPS.values() if value is not None]
    if layer.format == "msgpack":
        good = msgpack.packb(base | chat("x"))
        wrong = [msgpack.packb(value) for value in maps]
        wrong += [
            msgpack.packb(base | {"type": "chat.message", 1: 2}), msgpack.packb([1]), msgpack.packb(None),
            msgpack.packb(base | {"type": "chat.message", "message": float("nan")}),
            msgpack.packb(base | {"type": "chat.message", "message": b"\xff\x00"}),
            msgpack.packb(base | {"type": "chat.message", "message": msgpack.ExtType(5, b"x")}),
            good[:-3], good + b"\x00", b"\xc1", b"\xdf\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff",
            b"\xdb\xff\xff\xff\xff", b"\x81\xa1\xff\x01", DEEP, b"\x81\xa4type" + DEEP,
        ]
    else:
        good = json.dumps(base | chat("x")).encode()
        wrong = [json.dumps(value).encode() for value in maps]
        wrong += [
            b"[1]", b"null", good[:-3], good + b"}", b"\xff\xfe", b"[" * 100_000, b'{"type": "chat.message", "message": NaN}',
            json.dumps(base | chat("\ud800")).encode(), json.dumps(base | chat(float("inf"))).encode(),
            b'{"type": "chat.message", "message": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        ]
    wrong += [b"", b"\x00", os.urandom(200), b"gAAAAA" + b"A" * 200]
    if layer.encrypted:
        stranger, ours = fernet("another key"), fernet(KEY)
        wrong = wrong[:10] + [ours.encrypt(body) for body in wrong]
        wrong += [stranger.encrypt(good), ours.encrypt(good)[:-4], ours.encrypt(good)[:-1] + b"A"]
        if layer.layout == "core":
            wrong.append(ours.encrypt_at_time(good, int(time.time()) - 600))
    return wrong


def strict(text: str):
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize("format", ["msgpack", "json"])
@pytest.mark.parametrize("layout", ["core", "pubsub"])
def test_rubbish_is_counted_and_nothing_else(redis, layer_gateway, layout, format, encrypted):
    layer = Layer((Host(redis),), layout, format, encrypted)
    gateway = layer_gateway(layer)
    with gateway.session("poison") as session:
        if layout == "core":
            (name,) = layer.members("chat_poison")
            queue = layer.prefix + name[: name.index("!") + 1]
            members = [os.urandom(12) + body for body in bodies(layer, name)]
            members += [b"", b"short", b"\x00" * 11, b"\x00" * 12]
            for member in members:
                redis.client().zadd(queue, {member: time.time()})
        else:
            for body in bodies(layer, ""):
                redis.client().publish(f"{layer.prefix}__group__chat_poison", body)
        send(layer, "poison", "good")
        while (heard := strict(session.socket.recv(timeout=20))) != {"message": "good"}:
            assert set(heard) == {"message"}, heard
        assert session.is_open()
        session.say("and on")
        assert session.message() == "and on"
    assert len(gateway.log) < 100


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_a_message_of_a_megabyte(layer, layer_gateway, encrypted):
    layer = dataclasses.replace(layer, encrypted=encrypted)
    with layer_gateway(layer).session("big") as session:
        message = "m" * 1_000_000
        send(layer, "big", message)
        assert session.message() == message
        session.say(message)
        assert session.message() == message


def test_a_redis_that_is_not_there_yet(layer, redis, layer_gateway, tmp_path):
    """With `--require-layers`, one sentence and exit code 1. Without it the gateway serves, is not ready, and keeps trying."""
    redis.stop()
    file = tmp_path / "needs-redis.yaml"
    file.write_text(routes(layer))
    command = [SLUICE, "serve", str(file), "--bind", "127.0.0.1:0", "--require-layers"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr.startswith("sluice: ") and str(redis.port) in done.stderr and done.stderr.count("\n") == 1

    gateway = layer_gateway(layer, wait=False)
    assert not gateway.is_ready()
    redis.start()
    wait_until(gateway.is_ready)
    with gateway.session("lobby") as session:
        send(layer, "lobby", "there")
        assert session.message() == "there"


def test_a_client_right_after_the_start_is_taken(layer, layer_gateway):
    gateway = layer_gateway(layer, wait=False)
    with gateway.session("early") as session:
        send(layer, "early", "bird")
        assert session.message() == "bird"
