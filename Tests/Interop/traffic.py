"""Clients that send and receive all the time, so that nothing that is lost or comes twice goes unnoticed."""

import json
import socket
import struct
import threading
import time
from collections import defaultdict

from clients import frame, ready


class Client:
    """A session or an event stream that has begun. What it sends says who has sent it, and is numbered from 1."""

    def __init__(self, name: str, sock: socket.socket, is_stream: bool, sends: bool, rest: bytes = b""):
        self.name, self.sock, self.is_stream, self.sends = name, sock, is_stream, sends
        self.sent = 0
        self.heard: dict[str, list[int]] = defaultdict(list)
        self.closed: int | None = None
        self.buffer = rest

    def send(self) -> None:
        self.sent += 1
        try:
            self.sock.sendall(frame(1, json.dumps({"message": f"{self.name}:{self.sent}"}).encode()))
        except OSError:
            # What it was told before is still to be read.
            self.sends = False

    def read(self) -> None:
        try:
            part = self.sock.recv(1 << 16)
        except OSError:
            part = b""
        if not part:
            self.closed = self.closed or 1006
            return
        self.buffer += part
        while self.closed is None and (self.read_line() if self.is_stream else self.read_frame()):
            pass

    def read_frame(self) -> bool:
        if len(self.buffer) < 2:
            return False
        length, start = self.buffer[1], 2
        if length == 126:
            length, start = struct.unpack("!H", self.buffer[2:4].rjust(2, b"\xff"))[0], 4
        if len(self.buffer) < start + length:
            return False
        opcode, payload = self.buffer[0] & 15, self.buffer[start : start + length]
        self.buffer = self.buffer[start + length :]
        if opcode == 8:
            self.closed = struct.unpack("!H", payload[:2])[0]
            self.sock.sendall(frame(8, payload[:2]))
        elif opcode == 9:
            self.sock.sendall(frame(10, payload))
        else:
            self.hear(payload)
        return True

    def read_line(self) -> bool:
        line, found, rest = self.buffer.partition(b"\n")
        if found:
            self.buffer = rest
            if line.startswith(b"data:"):
                self.hear(line[5:])
        return bool(found)

    def hear(self, payload: bytes) -> None:
        message = json.loads(payload)
        if isinstance(message, dict) and ":" in str(message.get("message")):
            name, number = message["message"].split(":")
            self.heard[name].append(int(number))


class Traffic(threading.Thread):
    """All clients on one thread, from `start` to `finish`."""

    # So many messages of a client are on their way at once.
    AHEAD = 4

    def __init__(self, clients: list[Client]):
        super().__init__(daemon=True)
        self.clients = clients
        self.is_ending = threading.Event()
        self.is_over = threading.Event()

    def run(self) -> None:
        while not self.is_over.is_set():
            living = [client for client in self.clients if client.closed is None]
            socks = {client.sock: client for client in living}
            if not self.is_ending.is_set():
                for client in living:
                    if client.sends and client.sent - len(client.heard[client.name]) < self.AHEAD:
                        client.send()
            for sock in ready(list(socks), 0.005):
                socks[sock].read()

    def wait(self, condition, seconds: float = 15) -> bool:
        end = time.monotonic() + seconds
        while not (done := condition()) and time.monotonic() < end and self.is_alive():
            time.sleep(0.005)
        return done

    def flows(self) -> bool:
        """Waits until each has something back of what it has sent."""
        return self.wait(lambda: all(client.heard[client.name] for client in self.clients if client.sends))

    def finish(self, closed: int) -> list[str]:
        """Ends once so many are closed, and the others have all that was sent: what is wrong with that."""
        self.wait(lambda: self.count() >= closed)
        # Something has to come behind it all.
        marks = {client.name: client.sent for client in self.clients}
        self.wait(lambda: all(client.sent > marks[client.name] for client in self.staying() if client.sends))
        self.is_ending.set()
        self.wait(lambda: not self.faults(), 10)
        self.is_over.set()
        self.join(10)
        return self.faults()

    def count(self) -> int:
        return sum(client.closed is not None for client in self.clients)

    def staying(self) -> list[Client]:
        return [client for client in self.clients if client.closed is None]

    def codes(self) -> dict[int, int]:
        """How many sessions were closed, by code."""
        codes: dict[int, int] = defaultdict(int)
        for client in self.clients:
            if client.closed is not None and not client.is_stream:
                codes[client.closed] += 1
        return dict(codes)

    def faults(self) -> list[str]:
        """Each message of those who stay comes once and in its order to whoever gets any of its sender, and so does the beginning of those of others."""
        senders = {client.name: client for client in self.clients}
        faults = []
        for client in self.clients:
            for name, numbers in list(client.heard.items()):
                sender = senders.get(name)
                if sender is None or not numbers:
                    continue
                whole = client.closed is None and sender.closed is None
                if numbers != list(range(1, (sender.sent if whole else len(numbers)) + 1)):
                    faults.append(f"{client.name} ({client.closed}) heard of {name} ({sender.closed}), who has sent {sender.sent}: {numbers[-20:]}")
            if client.closed is None and client.sends and not client.heard[client.name]:
                faults.append(f"{client.name} heard nothing of itself")
        return faults
