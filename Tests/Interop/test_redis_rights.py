"""A Redis user with exactly the rights of the manual, users with fewer rights, and servers that cannot be used."""

import contextlib
import dataclasses
import json
import os
import re
import socket
import subprocess
import threading
import time

import pytest

from conftest import SLUICE
from history import Numbered
from redis_stack import Host, Layer, RedisGateway, RedisServer, Session, wait_until

# As in the manual.
EVENTS = {
    "core": "~asgispecific.* ~asgi:group:* ~asgi:sluice:* +bzmpop +del +eval +evalsha +exists +expire +hdel +hgetall +hset +ping"
    " +sadd +select +set +smembers +srem +zadd +zcount +zrange +zrem +zremrangebyscore",
    "pubsub": "&* +ping +psubscribe +publish +select +subscribe +unsubscribe",
}
HISTORY = (
    "~asgi:sluice:history:* &asgi:sluice:history:* +del +eval +evalsha +expire +hdel +hget +hmget +hset +ping +publish +select"
    " +subscribe +time +unsubscribe +xadd +xdel +xrange"
)
PRESENCE = (
    "~asgi:sluice:presence:* &asgi:sluice:presence:* +del +eval +evalsha +exists +expire +hdel +hgetall +hset +ping +publish"
    " +sadd +select +set +smembers +spop +srem +subscribe +unsubscribe"
)

ROUTES = r"""
installed_apps: [chat]
channel_layers: {default: LAYER}
applications:
  main:
    http:
      - {path: health/ready, health: ready}
    websocket:
      - {path: "ws/chat/<slug:room>/", consumer: chat, group: "chat_{room}"}
      - {path: "ws/kept/<slug:room>/", consumer: chat, group: "kept_{room}", history: {messages: 100, seconds: 60}}
      - {path: "ws/who/<slug:room>/", consumer: chat, group: "who_{room}", presence: true}
"""


def allow(redis: RedisServer, rules: str, user: str = "gateway") -> None:
    """Changes the rights of a gateway's user. Open connections continue with the new rights."""
    rules = rules.split()
    # Redis accepts no pattern beside the right to all channels.
    rules = [rule for rule in rules if rule == "&*" or not (rule.startswith("&") and "&*" in rules)]
    redis.client().execute_command("ACL", "SETUSER", user, "reset", "on", f">{user}", *rules)


def denials(redis: RedisServer) -> list[str]:
    """The requests that Redis has refused, other than for names and passwords."""
    entries = redis.client().execute_command("ACL", "LOG", "100")
    texts = []
    for entry in entries:
        entry = entry if isinstance(entry, dict) else dict(zip(entry[::2], entry[1::2]))
        entry = {str(k, "utf8") if isinstance(k, bytes) else k: v for k, v in entry.items()}
        texts.append(" ".join(str(entry[key]) for key in ("reason", "context", "object")))
    return texts


def layer_of(redis: RedisServer, layout: str) -> Layer:
    return Layer((Host(redis),), layout, yaml_hosts=["${REDIS_URL}"])


def variables(redis: RedisServer) -> dict[str, str]:
    return {"REDIS_URL": redis.url(user="gateway")}


def text_of(layer: Layer) -> str:
    return ROUTES.replace("LAYER", layer.yaml)


def validate(tmp_path, redis: RedisServer, text: str) -> list[dict]:
    file = tmp_path / "tried.yaml"
    file.write_text(text)
    done = subprocess.run(
        [SLUICE, "validate", "--connect", "--format", "json", str(file)], capture_output=True, text=True, timeout=60,
        env={**os.environ, **variables(redis)})
    report = json.loads(done.stdout)
    assert done.returncode == (1 if report["findings"] else 0), done.stderr
    return report["findings"]


@pytest.mark.parametrize("layout", ["core", "pubsub"])
def test_the_rights_in_the_manual_are_all_that_is_needed(layout, redis, start, tmp_path):
    allow(redis, f"{EVENTS[layout]} {HISTORY} {PRESENCE}")
    layer = layer_of(redis, layout)
    assert validate(tmp_path, redis, text_of(layer)) == []
    assert redis.client().keys("*probe*") == []
    first = start(text=text_of(layer), kind=RedisGateway, env=variables(redis))
    other = start(text=text_of(layer), kind=RedisGateway, env=variables(redis))
    for kind in ("chat", "who"):
        one, two = (session_of(gateway, kind) for gateway in (first, other))
        one.say("hello")
        hear_until(two, lambda value: value.get("message") == "hello")
        one.socket.close()
        two.socket.close()
    with Numbered(other.ws("/ws/kept/room/")) as listener, Numbered(first.ws("/ws/kept/room/")) as speaker:
        listener.start()
        speaker.start()
        speaker.say("kept")
        while "message" not in (frame := listener.hear()):
            pass
        assert frame["message"] == "kept"
    # After the grace of ten seconds, the other process removes the entries of a killed one, with separate scripts and commands.
    lost = start(text=text_of(layer), kind=RedisGateway, env=variables(redis))
    session = session_of(lost, "who")
    lost.process.kill()
    lost.process.wait(10)
    if layout == "core":
        wait_until(
            lambda: len(redis.client().smembers("asgi:sluice:presence:processes")) == 2, 40, "its presence is cleared away")
    first.stop()
    other.stop()
    session.socket.close()
    assert denials(redis) == []
    print(f"{layout}: nothing was refused")


def session_of(gateway: RedisGateway, kind: str) -> Session:
    return Session(gateway.ws(f"/ws/{kind}/room/"))


def hear_until(session: Session, wanted) -> None:
    while not wanted(session.hear()):
        pass


SMALLEST = {layout: f"{EVENTS[layout]} {HISTORY} {PRESENCE}" for layout in EVENTS}


@pytest.mark.parametrize(
    "layout, without, said, remedy",
    [
        ("core", "&asgi:sluice:history:*", "may not PUBLISH or SUBSCRIBE to the channels asgi:sluice:history:*", "&asgi:sluice:history:*"),
        ("core", "&asgi:sluice:presence:*", "to the channels asgi:sluice:presence:*", "&asgi:sluice:presence:*"),
        ("core", "~asgi:sluice:*", "may not use the keys asgi:sluice:*", "~asgi:sluice:*"),
        ("core", "~asgispecific.*", "may not use the keys asgispecific.*", "~asgispecific.*"),
        ("core", "+xadd", "may not run XADD", "+xadd"),
        ("core", "+bzmpop", "may not run BZMPOP", "+bzmpop"),
        ("core", "+evalsha +spop", "may not run EVALSHA, SPOP", "+evalsha +spop"),
        ("pubsub", "&*", "PSUBSCRIBE to asgispecific.*", "&*"),
        ("pubsub", "+publish", "may not run PUBLISH", "+publish"),
        ("pubsub", "+psubscribe", "may not run PSUBSCRIBE", "+psubscribe"),
        ("pubsub", "~asgi:sluice:history:*", "may not use the keys asgi:sluice:history:*", "~asgi:sluice:history:*"),
    ],
)
def test_a_right_that_is_missing_is_named_and_the_command_given_that_mends_it(layout, without, said, remedy, redis, tmp_path):
    rules = [rule for rule in SMALLEST[layout].split() if rule not in without.split()]
    if without == "~asgi:sluice:*":
        rules = [rule for rule in rules if not rule.startswith("~asgi:sluice:")]
    if without == "&*":
        rules.append("&asgi__group__*")
    allow(redis, " ".join(rules))
    layer = layer_of(redis, layout)
    (finding,) = validate(tmp_path, redis, text_of(layer))
    assert finding["code"] == "layer-unreachable" and said in finding["message"], finding
    assert 'the Redis user "gateway"' in finding["message"]
    command = re.search(r"ACL SETUSER gateway .*$", finding["hint"])[0]
    assert remedy in command, command
    # `serve --require-layers` says the same, and ends.
    done = subprocess.run(
        [SLUICE, "serve", "--require-layers", "--bind", "127.0.0.1:0", str(tmp_path / "tried.yaml")],
        capture_output=True, text=True, timeout=60, env={**os.environ, **variables(redis)})
    assert done.returncode == 1 and said in done.stderr and command in done.stderr, done.stderr
    redis.client().execute_command(*command.split())
    assert validate(tmp_path, redis, text_of(layer)) == []


def test_rights_that_no_route_needs_are_not_asked_for(redis, tmp_path):
    allow(redis, EVENTS["core"])
    layer = layer_of(redis, "core")
    plain = "\n".join(line for line in text_of(layer).split("\n") if "kept" not in line and "who" not in line)
    assert validate(tmp_path, redis, plain) == []
    # Redis checks commands first: which names a user may use is known only once it may use the commands.
    for said in ("XADD, XDEL, XRANGE", "asgi:sluice:history:*, and may not PUBLISH or SUBSCRIBE to the channels asgi:sluice:presence:*"):
        (finding,) = validate(tmp_path, redis, text_of(layer))
        assert said in finding["message"], finding
        redis.client().execute_command(*re.search(r"ACL SETUSER gateway .*$", finding["hint"])[0].split())
    assert validate(tmp_path, redis, text_of(layer)) == []


@pytest.mark.parametrize("part, down, up", [
    ("history", "history not available", "history available"),
    ("presence", "presence is not shared", "presence is shared again"),
])
def test_a_subscription_that_is_refused_is_one_line_and_tried_ever_less_often(part, down, up, redis, start):
    everything = SMALLEST["core"]
    channel = f"&asgi:sluice:{part}:*"
    allow(redis, everything.replace(channel, ""))
    gateway = start(text=text_of(layer_of(redis, "core")), kind=RedisGateway, env=variables(redis), wait=False)
    wait_until(lambda: gateway.count(down), 10, "the outage is logged")
    before = redis.client().info("stats")["total_connections_received"]
    time.sleep(6)
    connections = redis.client().info("stats")["total_connections_received"] - before
    lines = [line for line in gateway.log if " ERROR " in line or " WARNING " in line]
    print(f"{part}: {connections} connections in 6 s, {gateway.count(down)} line of the outage, {len(lines)} lines in all")
    # The reader of these figures opens one itself; one attempt is two connections.
    assert connections <= 14
    assert gateway.count(down) == 1 and len(lines) <= 3, "\n".join(gateway.log)
    allow(redis, everything)
    wait_until(lambda: gateway.count(up), 15, "it is said that it is back")
    assert gateway.count(up) == 1 and gateway.count(down) == 1
    if part == "history":
        wait_until(gateway.is_ready, 10, "the gateway is ready")


class FakeRedis:
    """Sends every client the answer that it is given."""

    def __init__(self, answer):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.answer, self.connections = answer, 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.socket.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        with contextlib.suppress(OSError), peer:
            while data := peer.recv(65536):
                # AUTH, SELECT and PING are answered, so that a connection counts as made.
                for _ in range(data.count(b"PING\r\n")):
                    peer.sendall(b"+PONG\r\n")
                if b"PING\r\n" not in data:
                    for chunk in self.answer():
                        peer.sendall(chunk)

    def close(self):
        self.socket.close()


def endless(head: bytes, chunk: bytes, most: int = 400 << 20):
    """At most 400 MiB, so that the test ends by itself."""

    def answer():
        yield head
        for _ in range(most // len(chunk)):
            yield chunk

    return answer


@pytest.mark.parametrize("name, answer", {
    "an endless array": endless(b"*1000000\r\n", b"$30\r\n" + b"x" * 30 + b"\r\n"),
    "an endless string": endless(b"$4000000000\r\n", b"x" * 65536),
    "arrays in arrays": endless(b"", b"*1\r\n" * 16384),
    "an endless line": endless(b"+", b"x" * 65536),
    "answers that nobody asked for": endless(b"", b":1\r\n" * 16384),
    "pushes": endless(b"", b">2\r\n+a\r\n+b\r\n" * 4096),
    "attributes": endless(b"", b"|1\r\n+a\r\n+b\r\n" * 4096),
}.items(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_server_that_answers_without_end_costs_bounded_memory_and_is_left_alone(name, answer, start):
    server = FakeRedis(answer)
    layer = Layer((Host(RedisPlace(server.port)),), "core")
    gateway = start(text=text_of(layer), kind=RedisGateway, wait=False)
    before = gateway.resident_kib
    deadline = time.monotonic() + 4
    most = slowest = 0
    while time.monotonic() < deadline:
        asked = time.monotonic()
        assert not gateway.is_ready()
        slowest = max(slowest, time.monotonic() - asked)
        most = max(most, gateway.most_resident_kib)
        time.sleep(0.1)
    print(f"{name}: {before >> 10} -> {most >> 10} MiB at most, {server.connections} connections, slowest answer {slowest:.3f} s")
    # Three parts of a layer read from it at the same time, with replies of at most 128 MiB each.
    assert most - before < 700 << 10
    assert gateway.count("not available") <= 4, "\n".join(gateway.log)
    server.close()


@dataclasses.dataclass
class RedisPlace:
    port: int

    def url(self, db: int = 0) -> str:
        return f"redis://127.0.0.1:{self.port}/{db}"
