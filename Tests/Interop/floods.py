"""Floods from a separate process: many clients that send prepared bytes as fast as the server accepts them, and read the answers."""

import multiprocessing
import selectors
import socket
import time

from clients import frame, open_session

# A client that has received the pong to this has received every earlier answer.
END = frame(0x9, b"end")
LAST = b"\x03end"
CHUNK = 256 * 1024


class Client:
    def __init__(self, port: int, path: str, fields: tuple[str, ...]):
        self.sock = open_session(port, path, *fields)
        self.sock.setblocking(False)
        self.tail = b""

    def begin(self, data: bytes) -> None:
        self.left, self.tail = memoryview(data), b""

    def write(self) -> bool:
        """Whether everything has been sent."""
        try:
            self.left = self.left[self.sock.send(self.left[:CHUNK]) :]
        except BlockingIOError:
            pass
        return not self.left

    def read(self) -> bool:
        """Whether the last answer has arrived."""
        try:
            data = self.sock.recv(CHUNK)
        except BlockingIOError:
            return False
        assert data, "the gateway ended a session"
        self.tail = (self.tail + data)[-len(LAST) :]
        return self.tail == LAST


def say_all(clients: list[Client], data: list[bytes]) -> None:
    """Sends each client's part, and returns when each client has received a frame with `end`."""
    selector = selectors.DefaultSelector()
    for client, part in zip(clients, data):
        client.begin(part)
        selector.register(client.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, client)
    while selector.get_map():
        for key, events in selector.select(60):
            client = key.data
            if events & selectors.EVENT_WRITE and client.write():
                selector.modify(client.sock, selectors.EVENT_READ, client)
            if events & selectors.EVENT_READ and client.read():
                selector.unregister(client.sock)


def serve(pipe, port: int, path: str, fields: tuple[str, ...], before: list[bytes], data: bytes) -> None:
    clients = [Client(port, path, fields) for _ in before]
    if any(before):
        say_all(clients, [part + END for part in before])
    pipe.send("ready")
    pipe.recv()
    start = time.monotonic()
    say_all(clients, [data] * len(clients))
    pipe.send(time.monotonic() - start)
    pipe.recv()
    for client in clients:
        client.sock.close()


class Flood:
    """Clients that are connected, and have said what is to be said `before`: one for each item of it.

    The answer to the last of their `data` has to be a frame that says `end`.
    """

    def __init__(self, port: int, path: str, data: bytes, before: list[bytes], fields: tuple[str, ...] = ()):
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other, port, path, fields, before, data), daemon=True)
        self.process.start()
        other.close()
        assert self._next() == "ready"

    def _next(self):
        assert self.pipe.poll(120), "the flood came to no end"
        return self.pipe.recv()

    def begin(self) -> None:
        self.pipe.send("go")

    def is_running(self) -> bool:
        return not self.pipe.poll(0)

    def end(self) -> float:
        """How long it took until every message was answered, in seconds."""
        seconds = self._next()
        self.pipe.send("end")
        self.process.join(20)
        return seconds


class Waits:
    """How long a well-behaved session waits for its echo, one message after the other."""

    def __init__(self, port: int, path: str = "/ws/echo/"):
        self.sock = open_session(port, path)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.message, self.answer = frame(0x1, b"how are you?"), b"\x81\x0chow are you?"

    def one(self) -> float:
        start = time.monotonic()
        self.sock.sendall(self.message)
        got = b""
        while len(got) < len(self.answer):
            part = self.sock.recv(len(self.answer) - len(got))
            assert part, "the gateway ended the session"
            got += part
        assert got == self.answer
        return time.monotonic() - start

    def quiet(self, count: int = 2000) -> list[float]:
        return sorted(self.one() for _ in range(count))

    def during(self, flood: Flood) -> list[float]:
        waits = []
        while flood.is_running():
            waits.append(self.one())
        return sorted(waits)


def p99(waits: list[float]) -> float:
    return waits[len(waits) * 99 // 100]
