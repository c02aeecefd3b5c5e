"""Clients whose messages cost much more than their bytes make themselves wait, not others.

What is compared is the longest wait of a session that does no harm with the time that the whole flood takes: a gateway that serves
one after the other to the end makes it wait for nearly all of that.
"""

import base64
import fcntl
import hashlib
import json
import socket
import struct
import termios
import threading
import zlib

import pytest

from clients import frame, handshake, open_session, read_exactly, read_frame, read_head, read_raw, ready
from floods import END, Flood, Waits, p99
from redis_stack import wait_until

# It measures.
pytestmark = pytest.mark.alone

ROUTES = """
installed_apps: [echo, chat, proxy]
channel_layers: {default: {backend: memory}}
server: {threads: 1}
applications:
  main:
    websocket:
      - {path: ws/echo/, consumer: echo}
      - {path: ws/packed/, consumer: echo, compression: true}
      - {path: "ws/chat/<slug:room>/", consumer: chat, group: "chat_{room}", subscribe: ["g_*"]}
      - {path: ws/up/, consumer: proxy, to: "ws://127.0.0.1:PORT"}
"""
EMPTY = frame(0x2, b"")
PING = frame(0x9, b"")


@pytest.fixture
def upstream():
    """Accepts connections; each is a WebSocket for one test."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server


@pytest.fixture
def gateway(start, upstream):
    return start(text=ROUTES.replace("PORT", str(upstream.getsockname()[1])))


def read_frame_and_bits(sock: socket.socket) -> tuple[int, bytes]:
    """The first byte of a frame, and its message."""
    first, payload = read_raw(sock)
    if first & 0x40:
        payload = zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")
    return first, payload


def attack(gateway, name: str, path: str, data: bytes, before: list[bytes], *fields: str) -> float:
    """Asserts that a healthy session hardly notices, and returns how long the flood took.

    A busy machine may stop everybody for a moment, so one of three floods has to pass; a gateway that is unfair is it each time.
    """
    for _ in range(3):
        flood = Flood(gateway.port, path, data, before, fields)
        healthy = Waits(gateway.port)
        quiet = healthy.quiet()
        flood.begin()
        waits = healthy.during(flood)
        seconds = flood.end()
        print(
            f"{name}: answered within {seconds:.2f} s; a healthy session waited {waits[-1] * 1e3:.1f} ms at most, "
            f"p99 {p99(waits) * 1e3:.2f} ms ({len(waits)} echoes); in quiet {quiet[-1] * 1e3:.1f} ms at most, "
            f"p99 {p99(quiet) * 1e3:.2f} ms"
        )
        if waits[-1] < seconds / 8 and p99(waits) < seconds / 16:
            return seconds
    raise AssertionError(f"a healthy session waits {waits[-1]:.3f} s, while the whole flood takes {seconds:.3f} s")


def test_messages_that_are_a_thousand_times_as_long_unpacked(gateway):
    packer = zlib.compressobj(wbits=-15)
    packed = (packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
    made = bytearray(frame(0x2, packed))
    made[0] |= 0x40
    burst = bytes(made) * (32768 // len(made))
    attack(gateway, "compressed", "/ws/packed/", burst + END, [b""] * 10, "Sec-WebSocket-Extensions: permessage-deflate")


@pytest.mark.parametrize(("clients", "size"), [(50, 256 * 1024), (200, 64 * 1024)])
def test_the_smallest_messages_each_answered_with_an_error(gateway, clients, size):
    burst = EMPTY * (size // len(EMPTY))
    attack(gateway, f"{clients} chat clients", "/ws/chat/a/", burst + END, [b""] * clients)


def test_pings_in_hundreds_of_groups(gateway):
    burst = PING * (1024 * 1024 // len(PING)) + END
    subscribe = [
        b"".join(frame(0x1, json.dumps({"subscribe": f"g_{client}_{number}"}).encode()) for number in range(256))
        for client in range(10)
    ]
    few = attack(gateway, "pings in one group", "/ws/chat/a/", burst, [b""] * 10)
    many = attack(gateway, "pings in 257 groups", "/ws/chat/a/", burst, subscribe)
    assert many < 8 * few, "a pong costs more, the more groups its client is in"


def test_an_upstream_that_sends_the_smallest_messages(gateway, upstream):
    burst = b"\x82\x00" * (512 * 1024) + b"\x81\x03end"

    def answer(sock: socket.socket) -> None:
        with sock:
            head = read_head(sock)
            key = next(line.split(": ")[1] for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key"))
            accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
            sock.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
            )
            sock.recv(100)
            sock.sendall(burst)
            sock.recv(100)

    def serve() -> None:
        # As much as three floods send.
        for _ in range(30):
            try:
                sock = upstream.accept()[0]
            except OSError:
                # The test is over.
                return
            threading.Thread(target=answer, args=(sock,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    attack(gateway, "upstreams", "/ws/up/", frame(0x1, b"go"), [b""] * 10)


# Bytes that wait for their turn are not lost, and keep their order.


@pytest.mark.parametrize("path", ["/ws/echo/", "/ws/packed/"])
def test_a_burst_is_answered_in_its_order_up_to_its_close(gateway, path):
    messages = [b"%d" % number + b"." * (number % 7 * 20) for number in range(20_000)]
    burst = b"".join(frame(0x1, message) for message in messages) + frame(0x8, b"\x03\xe8")
    with open_session(gateway.port, path, "Sec-WebSocket-Extensions: permessage-deflate") as sock:
        sender = threading.Thread(target=sock.sendall, args=(burst,))
        sender.start()
        packed = path == "/ws/packed/"
        for message in messages:
            first, payload = read_frame_and_bits(sock)
            assert payload == message and bool(first & 0x40) <= packed
        assert read_exactly(sock, 4) == b"\x88\x02\x03\xe8"
        assert sock.recv(1) == b""
        sender.join()


def test_what_a_client_said_before_it_vanished_is_published(gateway):
    messages = [b'{"message": %d}' % number for number in range(2000)]
    with open_session(gateway.port, "/ws/chat/b/") as listener:
        speaker = open_session(gateway.port, "/ws/chat/b/")
        speaker.sendall(b"".join(frame(0x1, message) for message in messages))
        # The client closes without reading; its system answers later bytes with a reset.
        speaker.close()
        for message in messages:
            assert read_frame(listener) == (0x1, message)


def test_what_a_client_said_before_a_reset_is_published_although_it_did_not_read(gateway):
    """The gateway stops reading from a client that does not read its own messages. After a reset nobody waits for those."""
    with open_session(gateway.port, "/ws/chat/c/") as listener:
        speaker = socket.socket()
        speaker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        speaker.connect(("127.0.0.1", gateway.port))
        speaker.sendall(handshake("/ws/chat/c/"))
        read_head(speaker)
        sent = heard = 0

        def say() -> None:
            nonlocal sent
            speaker.sendall(frame(0x1, b'{"message": "%08d%s"}' % (sent, b"x" * 4000)))
            sent += 1

        def hear() -> None:
            nonlocal heard
            assert b"%08d" % heard in read_frame(listener)[1]
            heard += 1

        say()
        while ready([listener], 2):
            hear()
            assert sent < 5000
            say()
        # One may be on its way to the client, but not the ones behind it.
        assert 0 < heard == sent - 1
        for _ in range(5):
            say()
        # The gateway's side has all of it, or the reset would discard some here.
        wait_until(lambda: struct.unpack("i", fcntl.ioctl(speaker, termios.TIOCOUTQ, bytes(4)))[0] == 0)
        speaker.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        speaker.close()
        while heard < sent:
            hear()
