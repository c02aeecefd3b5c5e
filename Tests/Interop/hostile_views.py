"""A view that answers whatever a test wants, and a box in the middle that loses answers."""

import json
import random
import re
import socket

from listeners import Listener


def read_message(sock: socket.socket) -> bytes | None:
    """A request or an answer: a head, and as many bytes as its `Content-Length` says. `None` at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (piece := sock.recv(65536)):
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    found = re.search(rb"(?im)^content-length: *(\d+)", head)
    while len(body) < (int(found[1]) if found else 0):
        if not (piece := sock.recv(65536)):
            return None
        body += piece
    return head + b"\r\n\r\n" + body


def answer(body="", status: str = "200 OK", kind: str = "application/json", *fields: str) -> bytes:
    body = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class HostileView(Listener):
    """`view.say(question)` is what it answers, as bytes; `None` closes the connection. It remembers the questions."""

    def __init__(self, say=lambda question: answer({})):
        self.say, self.questions = say, []
        super().__init__()

    def serve(self, sock: socket.socket) -> None:
        while request := read_message(sock):
            question = json.loads(request.partition(b"\r\n\r\n")[2])
            self.questions.append(question)
            said = self.say(question)
            if said is None:
                return
            sock.sendall(said)

    def asked(self, event: str) -> list[dict]:
        return [question for question in list(self.questions) if question["event"] == event]


class Middlebox(Listener):
    """Passes questions on to a server. `lose(number)` says for each answer whether it is lost: the connection ends in its place."""

    def __init__(self, to: int, lose=lambda number: False, port: int = 0):
        self.to, self.lose, self.passed, self.lost = to, lose, 0, 0
        super().__init__(port)

    def serve(self, sock: socket.socket) -> None:
        while request := read_message(sock):
            with socket.create_connection(("127.0.0.1", self.to), timeout=60) as server:
                server.sendall(request)
                said = read_message(server)
            if said is None:
                return
            self.passed += 1
            if self.lose(self.passed):
                self.lost += 1
                # Sometimes half of it still arrives.
                sock.sendall(said[: random.choice([0, 0, len(said) // 2])])
                return
            sock.sendall(said)
