"""Instructions of user code for an echo, a delivery, a handshake into a group with its end, a request that publishes, and a message that a
view answers.

    .build/interop/venv/bin/python Tests/Interop/bench_instructions.py [BINARY...]

Needs Debian's valgrind. Each of them is carried out so many times, and five times as often, by a server under callgrind: the difference
is free of the start, and does not depend on what else the machine does. Several binaries are compared. Not a part of `make test`.
"""

import contextlib
import multiprocessing
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile

from bench_question import serve
from clients import connect, frame, handshake, open_session, read_exactly, read_head
from conftest import SLUICE
from redis_stack import wait_until
from wsgi import SECRET

TOKEN = "0123456789abcdef0123456789abcdef"
ROUTES = """
installed_apps: [echo, chat, broadcast, view]
channel_layers: {default: {backend: memory}}
server: {threads: 1, bind: "127.0.0.1:PORT"}
limits: {ping: none}
applications:
  main:
    http:
      - {path: api/publish/, publish: {token: {env: PUBLISH_TOKEN}, groups: ["*"]}}
    websocket:
      - {path: ws/echo/, consumer: echo}
      - {path: "ws/chat/<slug:room>/", consumer: chat, group: "chat_{room}"}
      - {path: ws/news/, consumer: broadcast, group: news, publish: everyone}
      - {path: ws/kept/, consumer: view, url: "unix:FOLDER/kept.sock:/ws/", secret: "SECRET", on: [receive]}
      - {path: ws/new/, consumer: view, url: "unix:FOLDER/new.sock:/ws/", secret: "SECRET", on: [receive]}
"""
MEMBERS, TIMES = 50, 200
MESSAGE, TEXT = frame(2, b"x" * 64), frame(1, b"x" * 64)
ANSWER = 2 + 64


def echo(port: int, times: int, path: str = "/ws/echo/", message: bytes = MESSAGE) -> int:
    with open_session(port, path) as sock:
        for _ in range(times):
            sock.sendall(message)
            read_exactly(sock, ANSWER)
    return times


def ask(port: int, times: int) -> int:
    return echo(port, times, "/ws/kept/", TEXT)


def ask_anew(port: int, times: int) -> int:
    """With a connection for each question."""
    return echo(port, times, "/ws/new/", TEXT)


@contextlib.contextmanager
def views(folder: pathlib.Path):
    servers = [
        multiprocessing.Process(target=serve, args=(free_port(), str(folder / f"{name}.sock"), name == "kept"), daemon=True)
        for name in ("kept", "new")
    ]
    for server in servers:
        server.start()
    try:
        wait_until(lambda: (folder / "kept.sock").exists() and (folder / "new.sock").exists(), 10)
        yield
    finally:
        for server in servers:
            server.terminate()
            server.join()


def deliver(port: int, times: int) -> int:
    sessions = [open_session(port, "/ws/news/") for _ in range(MEMBERS)]
    for _ in range(times):
        sessions[0].sendall(MESSAGE)
        for session in sessions:
            read_exactly(session, ANSWER)
    for session in sessions:
        session.close()
    return times * MEMBERS


def open_and_close(port: int, times: int) -> int:
    for _ in range(times):
        with connect(port) as sock:
            sock.sendall(handshake("/ws/chat/lobby/"))
            read_head(sock)
            sock.sendall(frame(8, b"\x03\xe8"))
            while sock.recv(4096):
                pass
    return times


def publish(port: int, times: int, extra: str = "") -> int:
    body = b'{"group": "chat_lobby", "message": "a message of fifty bytes, more or less"}'
    head = (
        f"POST /api/publish/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
    )
    with connect(port) as sock:
        for number in range(times):
            sock.sendall(head.replace("NUMBER", f"{number:08}").encode() + body)
            answer = b""
            while not answer.endswith(b"]}\n"):
                answer += sock.recv(4096)
    return times


def publish_anew(port: int, times: int) -> int:
    """With heads that all differ, so that none of them is known from before."""
    return publish(port, times, "X-Request-Id: NUMBER\r\n")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def answers(port: int) -> bool:
    try:
        connect(port, timeout=1).close()
        return True
    except OSError:
        return False


def counted(binary: pathlib.Path, work, times: int, folder: pathlib.Path) -> tuple[int, int]:
    """How many instructions a server needs in all, and for how many of what was asked."""
    port, routes, out = free_port(), folder / "routes.yaml", folder / "callgrind.out"
    routes.write_text(ROUTES.replace("PORT", str(port)).replace("FOLDER", str(folder)).replace("SECRET", SECRET))
    server = subprocess.Popen(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", str(binary), "serve", str(routes)],
        env=os.environ | {"PUBLISH_TOKEN": TOKEN}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: answers(port), 60)
        done = work(port, times)
    finally:
        server.terminate()
        server.wait()
    return int(re.findall(r"^(?:summary|totals): (\d+)", out.read_text(errors="replace"), re.M)[-1]), done


def measure(binary: pathlib.Path, work, folder: pathlib.Path) -> int:
    (few, some), (many, more) = (counted(binary, work, TIMES * factor, folder) for factor in (1, 5))
    return round((many - few) / (more - some))


def main() -> None:
    binaries = [pathlib.Path(name) for name in sys.argv[1:]] or [pathlib.Path(SLUICE)]
    with tempfile.TemporaryDirectory() as name, views(folder := pathlib.Path(name)):
        for binary in binaries:
            # What valgrind cannot read of the debugging information is not needed.
            plain = folder / "sluice"
            subprocess.run(["strip", "--strip-debug", "-o", str(plain), str(binary)], check=True)
            kinds = {
                "echo": echo, "delivery": deliver, "handshake": open_and_close, "publish": publish,
                "publish with another head": publish_anew,
                "question to a view": ask, "question to a view with a connection of its own": ask_anew,
            }
            for what, work in kinds.items():
                print(f"{binary}: {measure(plain, work, folder):,} instructions for each {what}", flush=True)


if __name__ == "__main__":
    main()
