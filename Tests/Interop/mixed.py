"""A mixed load that misses nothing: chat, broadcast, event streams and proxied sessions in one process, each message numbered.

Every client checks that the numbers of its group come one after the other, so a message that is lost or doubled is seen, and every
message says when it was sent, so the longest pause is known.
"""

import dataclasses
import json
import select
import socket
import struct
import time

from clients import frame, handshake

# Of each ten sessions: five chat, three broadcast, one event stream, one behind `proxy`.
SHARES = {"chat": 5, "news": 3, "stream": 1, "proxied": 1}
GROUP = 10

ROUTES = """\
installed_apps: [chat, broadcast, echo, proxy]
channel_layers: {default: LAYER}
server: {threads: 2, bind: "127.0.0.1:0"}
shutdown: {grace: 2s}
limits: {connections: 15000, ping: none}
applications:
  main:
    http:
      - {path: publish/, publish: {groups: ["stream_*"], anonymous: true}}
      - {path: "stream/<int:n>/", events: {group: "stream_{n}"}}
    websocket:
      - {path: "chat/<int:n>/", consumer: chat, group: "chat_{n}"EXTRA}
      - {path: "news/<int:n>/", consumer: broadcast, group: "news_{n}"EXTRA}
      - {path: "proxied/<int:n>/", consumer: proxy, to: "ws://127.0.0.1:UPSTREAM/echo/"}
"""

UPSTREAM = """\
installed_apps: [echo]
server: {threads: 1}
limits: {connections: 5000, ping: none}
applications: {main: {websocket: [{path: echo/, consumer: echo}]}}
"""


@dataclasses.dataclass
class Group:
    kind: str
    number: int
    members: list["Client"]
    # Of the last message that was sent.
    sent: int = 0


class Client:
    def __init__(self, load: "Load", group: Group, port: int):
        self.load, self.group, self.buffer, self.expected = load, group, b"", 1
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=30)
        path = f"/{group.kind}/{group.number}/"
        if group.kind == "stream":
            self.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n".encode())
        else:
            self.sock.sendall(handshake(path))
        while b"\r\n\r\n" not in self.buffer:
            data = self.sock.recv(4096)
            assert data, self.buffer
            self.buffer += data
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        assert head.split(b" ")[1] in (b"101", b"200"), head
        self.sock.setblocking(False)

    def read(self) -> None:
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            return self.ended(str(error))
        if not data:
            return self.ended("the end of the connection")
        self.buffer += data
        (self.events if self.group.kind == "stream" else self.frames)()

    def frames(self) -> None:
        while len(self.buffer) >= 2:
            length, start = self.buffer[1], 2
            if length == 126:
                if len(self.buffer) < 4:
                    return
                (length,), start = struct.unpack_from("!H", self.buffer, 2), 4
            if len(self.buffer) < start + length:
                return
            payload, opcode = self.buffer[start : start + length], self.buffer[0] & 0x0F
            self.buffer = self.buffer[start + length :]
            if opcode == 8:
                self.load.closes.append((self.group.kind, struct.unpack("!H", payload[:2])[0], payload[2:].decode()))
            elif opcode == 1:
                self.heard(payload)

    def events(self) -> None:
        *events, self.buffer = self.buffer.split(b"\n\n")
        for event in events:
            for line in event.split(b"\n"):
                if line.startswith(b"data:"):
                    self.heard(line[5:])

    def heard(self, payload: bytes) -> None:
        # `sluice:NUMBER:NANOSECONDS:`, wherever it stands in the message.
        at = payload.find(b"sluice:")
        if at < 0:
            self.load.presences += b'{"presence"' in payload
            return
        _, number, sent, _ = payload[at:].split(b":", 3)
        self.load.arrived(self, int(number), int(sent))

    def ended(self, how: str) -> None:
        self.load.poll.unregister(self.sock)
        del self.load.clients[self.sock.fileno()]
        self.load.ends.append((self.group.kind, how))


class Load:
    """`count` sessions in groups of ten."""

    def __init__(self, port: int, count: int):
        self.port, self.poll = port, select.epoll()
        self.clients: dict[int, Client] = {}
        self.groups: list[Group] = []
        self.closes: list[tuple[str, int, str]] = []
        self.ends: list[tuple[str, str]] = []
        # (kind, group, expected, got)
        self.gaps: list[tuple[str, int, int, int]] = []
        self.deliveries, self.presences, self.pause = 0, 0, 0.0
        self.publisher, self.answers = socket.create_connection(("127.0.0.1", port), timeout=30), 0
        for place in range(count // GROUP):
            kind = [name for name, share in SHARES.items() for _ in range(share)][place % 10]
            group = Group(kind, place, [])
            self.groups.append(group)
            for _ in range(GROUP):
                client = Client(self, group, port)
                group.members.append(client)
                self.clients[client.sock.fileno()] = client
                self.poll.register(client.sock, select.EPOLLIN)
        self.turn = 0

    def arrived(self, client: Client, number: int, sent: int) -> None:
        if number != client.expected:
            self.gaps.append((client.group.kind, client.group.number, client.expected, number))
        client.expected = number + 1
        self.deliveries += 1
        self.pause = max(self.pause, (time.monotonic_ns() - sent) / 1e6)

    def send(self) -> None:
        """The next message, of the next group."""
        group = self.groups[self.turn % len(self.groups)]
        self.turn += 1
        group.sent += 1
        text = f"sluice:{group.sent}:{time.monotonic_ns()}:"
        if group.kind == "stream":
            body = json.dumps({"group": f"stream_{group.number}", "event": {"type": "broadcast.message", "text": text}}).encode()
            self.publisher.sendall(
                b"POST /publish/ HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            self.answer()
        elif group.kind == "proxied":
            # An echo: each for itself.
            for client in group.members:
                client.sock.sendall(frame(1, text.encode()))
        else:
            message = json.dumps({"message": text}) if group.kind == "chat" else text
            group.members[group.sent % GROUP].sock.sendall(frame(1, message.encode()))

    def answer(self) -> None:
        said = self.publisher.recv(65536)
        if not said or b"Connection: close" in said:
            # The connection of a process that restarts in place ends behind its answer.
            self.publisher.close()
            self.publisher = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        assert not said or said.startswith(b"HTTP/1.1 200"), said

    def look(self, seconds: float) -> None:
        for descriptor, _ in self.poll.poll(seconds, 1024):
            if client := self.clients.get(descriptor):
                client.read()

    def run(self, seconds: float, rate: int, until=None) -> float:
        """Sends `rate` messages a second, for a time or until something is so.

        Returns the longest time that a message took, in milliseconds.
        """
        self.pause, begin, sent = 0.0, time.monotonic(), 0
        while (now := time.monotonic() - begin) < seconds and not (until and until()):
            due = int(now * rate)
            # Not more than a few at a time, so that reading does not wait for sending.
            for _ in range(min(due - sent, 20)):
                self.send()
                sent += 1
            self.look(0 if sent < due else 0.001)
        self.settle()
        return self.pause

    def settle(self) -> None:
        """Waits until everything that was sent has arrived."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and any(c.expected <= c.group.sent for c in self.clients.values()):
            self.look(0.01)

    @property
    def missing(self) -> int:
        return sum(max(0, c.group.sent + 1 - c.expected) for c in self.clients.values())

    def close(self) -> None:
        for client in list(self.clients.values()):
            client.sock.close()
        self.publisher.close()
