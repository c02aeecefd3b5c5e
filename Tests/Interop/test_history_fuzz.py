"""Kill and reconnect: two processes on one Redis, clients that drop at random, and one process that is killed.

Every client has every message exactly once and in order, or was told of a gap. `HISTORY_MESSAGES` says how many are sent.
"""

import asyncio
import os
import random
import re
import signal

import pytest

from clients import handshake
from redis_stack import Host, Layer, RedisGateway, wait_until

# A hundred clients in one process, which has to keep up with them.
pytestmark = pytest.mark.alone

MESSAGES = int(os.environ.get("HISTORY_MESSAGES", "10000"))
CLIENTS = 100
DROPS = 5
ROUTES = """
installed_apps: [chat]
channel_layers: {default: LAYER}
server: {threads: 2}
limits: {ping: none}
applications:
  main:
    http: [{path: health/ready, health: ready}]
    websocket:
      - {path: ws/, consumer: chat, group: fuzz, history: {messages: KEPT, seconds: 1h}}
"""
FRAME = re.compile(rb'\{"id": "([0-9a-f]+)\.(\d+)", "message": (\d+)\}')
HISTORY = re.compile(rb'\{"history": \{"id": "([0-9a-f]+)\.(\d+)", "gap": (true|false)\}\}')


class Follower(asyncio.Protocol):
    """A client that records the events that it received, and the gaps that were reported to it."""

    def __init__(self, ports: list[int], index: int):
        self.ports, self.index = ports, index
        self.since, self.epoch, self.offset = "", None, None
        self.numbers, self.gaps, self.drops, self.faults = [], 0, 0, []
        self.buffer, self.transport, self.is_stopped = b"", None, False
        self.random = random.Random(index)
        self.until = self.random.randrange(1, MESSAGES // (DROPS + 1))
        self.changed = asyncio.Event()

    async def run(self) -> None:
        while not self.is_stopped:
            self.changed.clear()
            self.buffer = b""
            port = self.ports[self.random.randrange(len(self.ports))]
            try:
                await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            await self.changed.wait()
            # No client reconnects at once; sometimes it takes a while.
            await asyncio.sleep(self.random.random() * (0.3 if self.random.random() < 0.2 else 0.01))

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.has_begun = False
        transport.write(handshake(f"/ws/?since={self.since}"))

    def connection_lost(self, _) -> None:
        self.changed.set()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.has_begun:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self.buffer.startswith(b"HTTP/1.1 101"):
                # The gateway has lost Redis, or is stopping.
                assert self.buffer.startswith(b"HTTP/1.1 503"), self.buffer
                return self.transport.abort()
            self.buffer, self.has_begun = self.buffer[end + 4 :], True
        at, buffer = 0, self.buffer
        while len(buffer) >= at + 2:
            length = buffer[at + 1]
            assert length < 126
            if len(buffer) < at + 2 + length:
                break
            if buffer[at] == 0x81:
                self.take(buffer[at + 2 : at + 2 + length])
            at += 2 + length
            if self.transport.is_closing():
                return
        self.buffer = buffer[at:]

    def take(self, payload: bytes) -> None:
        if found := FRAME.fullmatch(payload):
            epoch, offset, number = found[1], int(found[2]), int(found[3])
            if epoch != self.epoch or offset != self.offset + 1:
                self.faults.append(f"{payload} behind {self.epoch}.{self.offset}")
            self.numbers.append(number)
        else:
            found = HISTORY.fullmatch(payload)
            assert found, payload
            epoch, offset = found[1], int(found[2])
            if found[3] == b"true":
                self.gaps += 1
            elif self.epoch is not None and (epoch, offset) != (self.epoch, self.offset):
                self.faults.append(f"{payload} behind {self.epoch}.{self.offset}")
        self.epoch, self.offset = epoch, offset
        self.since = f"{epoch.decode()}.{offset}"
        if self.drops < DROPS and len(self.numbers) >= self.until:
            self.drops += 1
            self.until += self.random.randrange(1, MESSAGES // (DROPS + 1))
            self.transport.abort()


class Sender(asyncio.Protocol):
    """Sends numbered messages, and receives each before too many are under way."""

    def __init__(self):
        self.heard, self.waiting = 0, asyncio.Event()

    def connection_made(self, transport) -> None:
        self.transport = transport
        transport.write(handshake("/ws/"))

    def data_received(self, data: bytes) -> None:
        self.heard += data.count(b'{"message": ')
        assert b'"error"' not in data, data
        self.waiting.set()

    async def send(self, first: int, count: int) -> None:
        for number in range(first, first + count):
            body = b'{"message": %d}' % number
            self.transport.write(bytes([0x81, 0x80 | len(body), 0, 0, 0, 0]) + body)
            while self.heard < number - 200:
                self.waiting.clear()
                await self.waiting.wait()
            if number % 20 == 0:
                await asyncio.sleep(0)


async def fuzz(gateways: list, restart, kept: int) -> list[Follower]:
    ports = [gateway.port for gateway in gateways]
    followers = [Follower(ports, index) for index in range(CLIENTS)]
    running = [asyncio.create_task(follower.run()) for follower in followers]
    while not all(follower.epoch for follower in followers):
        await asyncio.sleep(0.01)
    _, sender = await asyncio.get_running_loop().create_connection(Sender, "127.0.0.1", ports[0])
    await sender.send(0, MESSAGES // 3)
    gateways[1].process.send_signal(signal.SIGKILL)
    await sender.send(MESSAGES // 3, MESSAGES // 3)
    gateways[1] = await asyncio.to_thread(restart)
    ports[1] = gateways[1].port
    await sender.send(2 * (MESSAGES // 3), MESSAGES - 2 * (MESSAGES // 3))
    deadline = asyncio.get_running_loop().time() + 60
    while any(follower.offset != MESSAGES for follower in followers):
        assert asyncio.get_running_loop().time() < deadline, [(f.offset, f.gaps) for f in followers if f.offset != MESSAGES]
        await asyncio.sleep(0.05)
    # No event arrives twice, not even later.
    await asyncio.sleep(0.3)
    for follower in followers:
        follower.is_stopped = True
        follower.transport.abort()
    # Nothing of it would answer the close frame of a stop, which would wait for that.
    sender.transport.abort()
    await asyncio.gather(*running)
    return followers


def run(redis, start, layout: str, kept: int) -> list[Follower]:
    layer = Layer((Host(redis),), layout, capacity=20000)
    text = ROUTES.replace("LAYER", layer.yaml).replace("KEPT", str(kept))
    begin = lambda: start(text=text, kind=RedisGateway)
    followers = asyncio.run(fuzz([begin(), begin()], begin, kept))
    complete = [follower for follower in followers if follower.numbers == list(range(MESSAGES))]
    told = [follower for follower in followers if follower.gaps]
    print(
        f"\n{layout}, {kept} kept: {MESSAGES} messages, {CLIENTS} clients, {sum(f.drops for f in followers)} drops, 1 SIGKILL: "
        f"{len(complete)} clients have every message once and in order, {len(told)} were told of {sum(f.gaps for f in told)} gaps, "
        f"{sum(len(f.faults) for f in followers)} faults"
    )
    for follower in followers:
        assert follower.faults == []
        assert follower.gaps or follower.numbers == list(range(MESSAGES))
        # Even with gaps, no event arrives twice, and they are in order.
        assert all(one < other for one, other in zip(follower.numbers, follower.numbers[1:]))
    return followers


def test_kill_and_reconnect_core(redis, start):
    assert all(follower.gaps == 0 for follower in run(redis, start, "core", 100_000))


def test_kill_and_reconnect_pubsub(redis, start):
    assert all(follower.gaps == 0 for follower in run(redis, start, "pubsub", 100_000))


def test_kill_and_reconnect_with_little_kept(redis, start):
    """A client that reconnects too late is told so, and the others have all events."""
    followers = run(redis, start, "core", 300)
    assert any(follower.gaps for follower in followers)
