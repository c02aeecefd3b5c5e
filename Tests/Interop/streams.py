"""A strict client of server-sent events: reads the head of the answer, and then events exactly as the standard says."""

import socket
from dataclasses import dataclass, field

from clients import connect, read_head


@dataclass
class Event:
    data: str
    name: str = "message"
    id: str = ""


@dataclass
class Stream:
    sock: socket.socket
    head: str
    events: list[Event] = field(default_factory=list)
    comments: int = 0
    retry: int | None = None
    last_id: str = ""
    rest: bytes = b""
    lines: list[str] = field(default_factory=list)

    def fields(self) -> dict[str, str]:
        pairs = [line.split(": ", 1) for line in self.head.split("\r\n")[1:] if line]
        assert len({name.lower() for name, _ in pairs}) == len(pairs), self.head
        return {name.lower(): value for name, value in pairs}

    def read_block(self) -> bool:
        """Reads up to the next empty line; false at the end of the stream."""
        while b"\n\n" not in self.rest:
            part = self.sock.recv(65536)
            if not part:
                return False
            self.rest += part
        block, self.rest = self.rest.split(b"\n\n", 1)
        event, data = Event("", id=self.last_id), []
        for line in block.decode().split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if line.startswith(":"):
                self.comments += 1
            elif name == "data":
                data.append(value)
            elif name == "event":
                event.name = value
            elif name == "id":
                event.id = self.last_id = value
            elif name == "retry":
                self.retry = int(value)
            else:
                raise AssertionError(f"no field of a stream: {line!r}")
        if data:
            event.data = "\n".join(data)
            self.events.append(event)
        return True

    def read(self) -> Event:
        """The next event."""
        seen = len(self.events)
        while len(self.events) == seen:
            assert self.read_block(), "the stream ended"
        return self.events[-1]

    def read_end(self) -> None:
        while self.read_block():
            pass
        assert self.rest == b""

    def close(self) -> None:
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def request(path: str, *extra: str, method: str = "GET", version: str = "HTTP/1.1") -> bytes:
    return "\r\n".join([f"{method} {path} {version}", "Host: localhost", *extra, "", ""]).encode()


def accepted(sock: socket.socket) -> Stream:
    """Reads the head of a stream and its first line."""
    stream = Stream(sock, read_head(sock))
    assert stream.head.startswith("HTTP/1.1 200 "), stream.head
    assert stream.read_block() and stream.retry is not None
    return stream


def open_stream(port: int, path: str, *extra: str, **options) -> Stream:
    sock = connect(port)
    sock.sendall(request(path, *extra, **options))
    return accepted(sock)
