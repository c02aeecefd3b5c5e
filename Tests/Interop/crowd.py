"""A crowd in one room: many sessions in one process, each of which receives every message, checked byte by byte.

Two sessions of one gateway nearly always hear the same bytes, so each stream is compared with a known one (one `memcmp` for each
read), and only what is different is parsed. Thus one asyncio process can follow tens of millions of frames.
"""

import asyncio
import json
import struct

from clients import frame, handshake


def frames(stream: bytes):
    """The text frames in a server's bytes. The last frame may be cut off."""
    at = 0
    while at + 2 <= len(stream):
        opcode, length, start = stream[at] & 0x0F, stream[at + 1], at + 2
        if length == 126:
            (length,), start = struct.unpack_from("!H", stream, start), start + 2
        elif length == 127:
            (length,), start = struct.unpack_from("!Q", stream, start), start + 8
        if start + length > len(stream):
            return
        yield opcode, bytes(stream[start : start + length])
        at = start + length


class Streams:
    """The bytes that the sessions of one gateway have received: usually one stream, more if reactors differ in order."""

    def __init__(self):
        self.known: list[bytearray] = [bytearray()]

    def follow(self, number: int, at: int, data: bytes) -> int:
        """The number of the stream that `data` continues at `at`."""
        for candidate in (number, *range(len(self.known))):
            stream = self.known[candidate]
            if candidate != number and stream[:at] != self.known[number][:at]:
                continue
            here = stream[at : at + len(data)]
            if data.startswith(here):
                stream += data[len(here) :]
                return candidate
        assert len(self.known) < 100, "sessions of one gateway hear one room in very many different orders"
        self.known.append(self.known[number][:at] + data)
        return len(self.known) - 1


class Member(asyncio.Protocol):
    def __init__(self, streams: Streams, room: str):
        loop = asyncio.get_running_loop()
        self.streams, self.room = streams, room
        self.opened, self.closed = loop.create_future(), False
        self.head, self.stream, self.at = b"", 0, 0

    def connection_made(self, transport) -> None:
        self.transport = transport
        transport.write(handshake(f"/ws/chat/{self.room}/"))

    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            self.head += data
            head, end, data = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            if head.startswith(b"HTTP/1.1 101"):
                self.opened.set_result(None)
            else:
                self.opened.set_exception(AssertionError(head.decode()))
        if data:
            self.heard(data)

    def heard(self, data: bytes) -> None:
        self.stream = self.streams.follow(self.stream, self.at, data)
        self.at += len(data)

    def connection_lost(self, error) -> None:
        self.closed = True
        if not self.opened.done():
            self.opened.set_exception(AssertionError("closed before it was open"))


class Sender(Member):
    """A session that writes, and waits for each message to come back, or for an error in its place."""

    def __init__(self, room: str, name: str):
        super().__init__(Streams(), room)
        self.name, self.buffer = name, bytearray()
        self.back, self.others = asyncio.Queue(), 0

    def heard(self, data: bytes) -> None:
        self.buffer += data
        used = 0
        for _, payload in frames(self.buffer):
            used += len(payload) + (2 if len(payload) < 126 else 4 if len(payload) < 65536 else 10)
            value = json.loads(payload)
            if "error" in value or value["message"].startswith(self.name + ":"):
                self.back.put_nowait(value)
            else:
                self.others += 1
        del self.buffer[:used]

    def write(self, number: int) -> None:
        self.transport.write(frame(1, json.dumps({"message": f"{self.name}:{number}"}).encode()))


class Room:
    """Sessions on several gateways."""

    def __init__(self, ports: list[int], room: str):
        self.ports, self.room = ports, room
        self.streams = [Streams() for _ in ports]
        self.members: list[list[Member]] = [[] for _ in ports]
        self.senders: list[Sender] = []

    async def fill(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        for index, port in enumerate(self.ports):
            for _ in range(count):
                _, member = await loop.create_connection(lambda: Member(self.streams[index], self.room), "127.0.0.1", port)
                await member.opened
                self.members[index].append(member)

    async def add_sender(self, index: int, name: str) -> Sender:
        loop = asyncio.get_running_loop()
        _, sender = await loop.create_connection(lambda: Sender(self.room, name), "127.0.0.1", self.ports[index])
        await sender.opened
        self.senders.append(sender)
        return sender

    async def settle(self, last: dict[str, int], seconds: float) -> None:
        """Waits until every session has received the last message of every sender, or the time is up."""
        wanted = {f'"{name}:{number}"'.encode() for name, number in last.items()}
        deadline = asyncio.get_running_loop().time() + seconds

        def done() -> bool:
            for streams, members in zip(self.streams, self.members):
                whole = {n for n, known in enumerate(streams.known) if all(known.find(text) >= 0 for text in wanted)}
                if not all(m.stream in whole and m.at == len(streams.known[m.stream]) for m in members):
                    return False
            return True

        while not done() and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.1)

    def heard(self) -> list[dict[str, list[int]]]:
        """For every different stream that a session received: the numbers of each sender in the order of their arrival."""
        result = []
        for streams, members in zip(self.streams, self.members):
            for number, at in {(member.stream, member.at) for member in members}:
                numbers: dict[str, list[int]] = {}
                for opcode, payload in frames(streams.known[number][:at]):
                    assert opcode == 1, (opcode, payload)
                    name, _, count = json.loads(payload)["message"].partition(":")
                    numbers.setdefault(name, []).append(int(count))
                result.append(numbers)
        return result

    def leave(self) -> None:
        for members in [*self.members, self.senders]:
            for member in members:
                member.transport.abort()

    def nobody_left(self) -> bool:
        return not any(member.closed for members in [*self.members, self.senders] for member in members)
