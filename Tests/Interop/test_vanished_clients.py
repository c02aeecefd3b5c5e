"""Clients that vanished without a FIN, beside clients that live and merely do not read."""

import ctypes
import socket
import struct
import time

import requests

from clients import ready
from streams import open_stream, request

FILE = """
installed_apps: [chat, echo]
channel_layers: {default: {backend: memory}}
server: {threads: 1}
limits: {send_queue: 64MiB, message: 8MiB}
applications:
  main:
    http:
      - {path: news/, events: {group: news, heartbeat: 1s}, limits: {send_queue: 64MiB}}
      - {path: publish/, publish: {groups: [news], anonymous: true, body: 9MiB}}
      - {path: live, health: live}
    websocket:
      - {path: ws/echo/, consumer: echo, limits: {ping: none}}
"""
# Three heartbeats.
BOUND = 3.0
SO_ATTACH_FILTER = 26


def vanish(sock: socket.socket) -> None:
    """Cuts the cable: a filter drops all packets before the kernel acknowledges them (socket(7))."""
    program = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))


def small(port: int) -> socket.socket:
    """A connection whose window closes soon."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.settimeout(20)
    sock.connect(("127.0.0.1", port))
    return sock


def is_open(gateway, sock: socket.socket) -> bool:
    """Whether the gateway still has its end of the connection. The client's end would not show it."""
    own = sock.getsockname()[1]
    lines = open("/proc/net/tcp").read().splitlines()[1:]
    ends = [line.split()[1:4] for line in lines]
    # ESTABLISHED; a connection that is shut down waits for the kernel to give it up.
    return any(local.endswith(f":{gateway.port:04X}") and remote.endswith(f":{own:04X}") and state == "01"
               for local, remote, state in ends)


def publish(gateway, count: int) -> None:
    answer = requests.post(gateway.http("/publish/"), json={
        "group": "news", "event": {"type": "chat.message", "message": "x" * count}}, timeout=20)
    assert answer.status_code < 300, answer.text


def test_a_stream_whose_client_vanished_goes_and_a_paused_reader_stays(start):
    gateway = start(text=FILE)
    # An idle client, one with many bytes on the way, one that reads nothing and lives, and one that reads nothing and vanishes.
    idle, busy, healthy = (open_stream(gateway.port, "/news/") for _ in range(3))
    paused, lost = small(gateway.port), small(gateway.port)
    for sock in (paused, lost):
        sock.sendall(request("/news/"))
    publish(gateway, 100)
    vanish(busy.sock)
    publish(gateway, 6 << 20)
    vanish(idle.sock)
    vanish(lost)
    begun = time.monotonic()
    gone = {}
    waiting = {"idle": idle.sock, "busy": busy.sock, "lost": lost}
    while waiting and time.monotonic() - begun < 40:
        for name, sock in list(waiting.items()):
            if not is_open(gateway, sock):
                gone[name] = time.monotonic() - begun
                del waiting[name]
        # It reads all the while.
        if ready([healthy.sock], 0.05):
            healthy.rest += healthy.sock.recv(1 << 20)
    print("gone after " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in gone.items()))
    assert not waiting
    assert is_open(gateway, paused) and is_open(gateway, healthy.sock)
    # For as long as the last of them was waited for, and more than the bound.
    while time.monotonic() - begun < 2 * BOUND:
        assert is_open(gateway, paused)
        time.sleep(0.1)
    total = 0
    while total < 6 << 20:
        part = paused.recv(1 << 20)
        assert part, "the paused reader was let go"
        total += len(part)
    for sock in (idle.sock, busy.sock, lost, paused, healthy.sock):
        sock.close()
    assert gateway.stop() == 0
    assert any("vanished-clients=3" in line for line in gateway.log), gateway.log[-1]


def test_a_vanished_client_holds_no_place(start):
    gateway = start(text=FILE)
    streams = [open_stream(gateway.port, "/news/") for _ in range(20)]
    for stream in streams:
        vanish(stream.sock)
    deadline = time.monotonic() + 30
    while any(is_open(gateway, stream.sock) for stream in streams):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for stream in streams:
        stream.close()
