"""permessage-deflate (RFC 7692) with Python's `websockets`, whose clients offer it, and with clients that send exact bytes."""

import json
import os
import re
import socket
import struct
import zlib

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import connect as ws_connect

from clients import connect, frame, handshake, open_session, read_close, read_head, read_raw
from test_proxy_websocket import Upstream

CONFIG = """
installed_apps: [echo, chat, broadcast]
channel_layers: {default: {backend: memory}}
compression: true
limits: LIMITS
applications:
  main:
    websocket:
      - {path: ws/echo/, consumer: echo}
      - {path: ws/kept/, consumer: echo, compression: {context_takeover: true}}
      - {path: ws/small/, consumer: echo, compression: {context_takeover: true, window: 9, level: 9}}
      - {path: ws/plain/, consumer: echo, compression: false}
      - {path: "ws/chat/<slug:room>/", consumer: chat, group: "chat_{room}"}
      - {path: ws/news/, consumer: broadcast, group: news, compression: {context_takeover: true}}
"""
TEXT = json.dumps([{"id": number, "name": f"item {number}", "tags": ["a", "b"]} for number in range(40)])
KINDS = [
    None,
    {},
    {"server_no_context_takeover": True, "client_no_context_takeover": True},
    {"server_max_window_bits": 9, "client_max_window_bits": 9},
    {"server_max_window_bits": 12, "client_max_window_bits": True},
    {"client_max_window_bits": 15, "client_no_context_takeover": True},
]


@pytest.fixture
def gateway(start):
    return start(text=CONFIG, limits="{message: 1MiB}")


def dial(gateway, path: str, offer: dict | None = None, **options):
    extensions = None if offer is None else [ClientPerMessageDeflateFactory(**offer)]
    return ws_connect(
        gateway.ws(path), compression=None, extensions=extensions, proxy=None, max_size=None, open_timeout=20, **options
    )


def deflate(data: bytes, bits: int = 15) -> bytes:
    compressor = zlib.compressobj(wbits=-bits)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflate(data: bytes) -> bytes:
    return zlib.decompressobj(-15).decompress(data + b"\x00\x00\xff\xff")


def packed(first: int, payload: bytes) -> bytes:
    """A masked frame with any first byte."""
    made = frame(first & 0x0F, payload)
    return bytes([first]) + made[1:]


def negotiate(gateway, path: str, *offers: str) -> str | None:
    with connect(gateway.port) as sock:
        sock.sendall(handshake(path, *(f"Sec-WebSocket-Extensions: {offer}" for offer in offers)))
        head = read_head(sock)
    assert head.startswith("HTTP/1.1 101"), head
    found = re.search(r"Sec-WebSocket-Extensions: (.*)\r\n", head)
    return found and found[1]


def test_the_default_offer_of_a_client_is_taken(gateway):
    with ws_connect(gateway.ws("/ws/echo/"), proxy=None, max_size=None) as client:
        assert client.protocol.extensions
        client.send(TEXT)
        assert client.recv(timeout=20) == TEXT


@pytest.mark.parametrize("path", ["/ws/echo/", "/ws/kept/", "/ws/small/"])
@pytest.mark.parametrize("offer", KINDS)
def test_every_message_comes_back(gateway, path, offer):
    with dial(gateway, path, offer) as client:
        assert bool(client.protocol.extensions) == (offer is not None)
        messages = ["", "é😀", TEXT, TEXT, b"", b"\x00\xff", os.urandom(5_000), TEXT * 20, b"x" * 1_000_000, "é" * 500, TEXT]
        for message in messages:
            client.send(message)
            assert client.recv(timeout=20) == message
        client.send([TEXT[:10], "", TEXT[10:]])
        assert client.recv(timeout=20) == TEXT
        for message in messages:
            client.send(message)
        assert [client.recv(timeout=20) for _ in messages] == messages


def test_a_route_without_it_answers_no_offer(gateway):
    assert negotiate(gateway, "/ws/plain/", "permessage-deflate") is None
    assert negotiate(gateway, "/ws/echo/", "permessage-deflate; server_max_window_bits=8") is None
    chosen = negotiate(gateway, "/ws/echo/", "permessage-deflate; server_max_window_bits=8, x-y; z=1", "permessage-deflate")
    assert chosen == "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    assert negotiate(gateway, "/ws/kept/", "permessage-deflate; client_max_window_bits") == "permessage-deflate"
    assert negotiate(gateway, "/ws/news/", "permessage-deflate") == "permessage-deflate; server_no_context_takeover"


def test_a_field_that_is_no_list_is_refused(gateway):
    for path in ["/ws/echo/", "/ws/plain/"]:
        with connect(gateway.port) as sock:
            sock.sendall(handshake(path, "Sec-WebSocket-Extensions: permessage-deflate; ="))
            assert read_head(sock).startswith("HTTP/1.1 400 ")


def test_short_messages_and_noise_are_sent_as_they_are(gateway):
    with open_session(gateway.port, "/ws/echo/", "Sec-WebSocket-Extensions: permessage-deflate") as sock:
        for message, first in [(b"x" * 255, 0x82), (b"x" * 256, 0xC2), (os.urandom(5_000), 0x82), (TEXT.encode(), 0xC2)]:
            sock.sendall(packed(0xC2, deflate(message)))
            got, payload = read_raw(sock)
            assert got == first
            assert (inflate(payload) if first & 0x40 else payload) == message
            assert len(payload) < len(message) or first == 0x82


@pytest.mark.parametrize(
    "path, message, event",
    [
        ("/ws/chat/lobby/", json.dumps({"message": TEXT}), json.dumps({"message": TEXT})),
        ("/ws/news/", TEXT, TEXT),
        ("/ws/news/", TEXT.encode(), TEXT.encode()),
    ],
)
def test_a_room_of_all_kinds_of_clients_hears_the_same(gateway, path, message, event):
    clients = [dial(gateway, path, offer) for offer in KINDS * 3]
    for sender in clients[: len(KINDS)]:
        sender.send(message)
        sender.send(message)
        for client in clients:
            assert client.recv(timeout=20) == event
            assert client.recv(timeout=20) == event
    for client in clients:
        client.close()


def test_a_bomb_is_closed_with_1009_and_costs_no_memory(gateway):
    bomb = deflate(b"\x00" * (256 << 20))
    assert len(bomb) < 1 << 20
    before = gateway.resident_kib
    for path in ["/ws/echo/", "/ws/kept/", "/ws/news/"]:
        with open_session(gateway.port, path, "Sec-WebSocket-Extensions: permessage-deflate") as sock:
            sock.sendall(packed(0xC2, bomb))
            assert read_close(sock)[0] == 1009
    assert gateway.resident_kib - before < 16 * 1024
    with dial(gateway, "/ws/echo/", {}) as client:
        client.send("x" * (1 << 20))
        assert client.recv(timeout=20) == "x" * (1 << 20)
        with pytest.raises(ConnectionClosedError) as ended:
            client.send("x" * ((1 << 20) + 1))
            client.recv(timeout=20)
        assert ended.value.rcvd.code == 1009


def test_what_one_read_unpacks_to_waits_for_room(gateway):
    # Short for a client with a window of 32 KiB, noise for a server that was allowed one of 512 bytes.
    message = (os.urandom(600) * 2_000)[: 1 << 20]
    sent = packed(0xC2, deflate(message)) * 150
    assert len(sent) < 1 << 20
    before = gateway.most_resident_kib
    offer = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9"
    with open_session(gateway.port, "/ws/echo/", offer) as sock:
        sock.sendall(sent + frame(8, struct.pack("!H", 1000)))
        for _ in range(150):
            first, payload = read_raw(sock)
            assert len(payload) > 900_000
            assert (inflate(payload) if first == 0xC2 else payload) == message
        assert read_close(sock)[0] == 1000
    assert gateway.most_resident_kib - before < 40 * 1024


def test_others_have_their_turn_while_a_read_is_unpacked(start):
    gateway = start(text=CONFIG + "server: {threads: 1}\n", limits="{message: 1MiB}")
    count = 100
    sent = packed(0xC2, deflate(bytes(1 << 20))) * count
    with open_session(gateway.port, "/ws/chat/a/", "Sec-WebSocket-Extensions: permessage-deflate") as busy:
        with open_session(gateway.port, "/ws/echo/") as other:
            busy.sendall(sent)
            other.sendall(frame(1, b"and I?"))
            assert read_raw(other) == (0x81, b"and I?")
            busy.setblocking(False)
            try:
                answers = busy.recv(1 << 20).count(b"binary")
            except BlockingIOError:
                answers = 0
            assert answers < count
            busy.setblocking(True)
            while answers < count:
                answers += read_raw(busy)[1].count(b"binary")
        assert answers == count


@pytest.mark.parametrize(
    "sent, code",
    [
        (packed(0xC1, b"\xff\xff"), 1007),
        (packed(0xC1, deflate(TEXT.encode())[:-9]), 1007),
        (packed(0xC1, deflate(b"\xff")), 1007),
        (packed(0x41, deflate(TEXT.encode())) + packed(0xC0, b""), 1002),
        (packed(0xC9, b""), 1002),
        (packed(0xA1, b""), 1002),
    ],
    ids=["no deflate", "cut short", "no UTF-8", "a marked continuation", "a marked ping", "a reserved bit"],
)
def test_what_cannot_be_is_closed_with_its_code(gateway, sent, code):
    with open_session(gateway.port, "/ws/echo/", "Sec-WebSocket-Extensions: permessage-deflate") as sock:
        sock.sendall(sent)
        assert read_close(sock)[0] == code


def test_without_negotiation_a_compressed_frame_is_closed_with_1002(gateway):
    for path in ["/ws/echo/", "/ws/plain/"]:
        with open_session(gateway.port, path) as sock:
            sock.sendall(packed(0xC1, deflate(TEXT.encode())))
            assert read_close(sock) == (1002, "a reserved bit was set")


def test_contexts_are_kept_within_their_memory_and_given_back(start):
    gateway = start(text=CONFIG, limits="{compression_memory: 1MiB}")
    kept = "permessage-deflate"
    told = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    offer = "Sec-WebSocket-Extensions: permessage-deflate"

    def open_one() -> tuple[socket.socket, str]:
        sock = connect(gateway.port)
        sock.sendall(handshake("/ws/kept/", offer))
        return sock, re.search(r"Sec-WebSocket-Extensions: (.*)\r\n", read_head(sock))[1]

    sessions = [open_one() for _ in range(10)]
    assert [answer for _, answer in sessions] == [kept] * 3 + [told] * 7
    for sock, _ in sessions:
        sock.sendall(packed(0xC2, deflate(TEXT.encode())))
        first, payload = read_raw(sock)
        assert (first, inflate(payload)) == (0xC2, TEXT.encode())
    for sock, _ in sessions[:3]:
        sock.sendall(frame(8, struct.pack("!H", 1000)))
        assert read_close(sock)[0] == 1000
        sock.close()
    # A session's memory is returned once its connection is gone, which its client cannot see.
    for _ in range(2_000):
        sock, answer = open_one()
        sock.close()
        if answer == kept:
            return
    pytest.fail("the memory was not given back")


def test_contexts_of_ended_sessions_leave_no_memory(start):
    # One thread, because each thread keeps memory for the most sessions that it ever had.
    gateway = start(text=CONFIG + "server: {threads: 1}\n", limits="{message: 1MiB}")
    sizes = []
    for _ in range(8):
        clients = [dial(gateway, "/ws/kept/", {}) for _ in range(100)]
        for client in clients:
            client.send(TEXT)
            assert client.recv(timeout=20) == TEXT
        for client in clients:
            client.close()
        sizes.append(gateway.resident_kib)
    # A hundred sessions keep some ten megabytes. A single measurement may come before some sessions have ended, or before memory was returned. Memory
    # that is never returned is in all measurements.
    print(sizes)
    assert min(sizes[-3:]) - min(sizes[:3]) < 5 * 1024, sizes


@pytest.mark.parametrize("compression", ["true", "{context_takeover: true}"])
def test_a_proxied_client_is_compressed_and_its_upstream_not_asked(start, compression):
    upstream = Upstream()
    text = f"""
installed_apps: [proxy]
applications:
  main:
    websocket: [{{path: any/path, consumer: proxy, to: "ws://127.0.0.1:{upstream.port}", compression: {compression}}}]
"""
    try:
        gateway = start(text=text)
        for offer in KINDS:
            with dial(gateway, "/any/path", offer) as client:
                assert bool(client.protocol.extensions) == (offer is not None)
                for message in [TEXT, TEXT, os.urandom(2_000), "", "é" * 500]:
                    client.send(message)
                    assert client.recv(timeout=20) == message
        assert len(upstream.requests) == len(KINDS)
        assert all("Sec-WebSocket-Extensions" not in request.headers for request in upstream.requests)
        with open_session(gateway.port, "/any/path", "Sec-WebSocket-Extensions: permessage-deflate") as sock:
            sock.sendall(packed(0xC1, deflate(TEXT.encode())))
            first, payload = read_raw(sock)
            assert (first, inflate(payload).decode()) == (0xC1, TEXT)
    finally:
        upstream.server.shutdown()


def test_what_one_read_unpacks_to_waits_for_the_upstream(start):
    upstream = Upstream()
    text = f"""
installed_apps: [proxy]
applications: {{main: {{websocket: [{{path: counts, consumer: proxy, to: "ws://127.0.0.1:{upstream.port}", compression: true}}]}}}}
"""
    try:
        gateway = start(text=text)
        before = gateway.most_resident_kib
        with open_session(gateway.port, "/counts", "Sec-WebSocket-Extensions: permessage-deflate") as sock:
            sock.sendall(packed(0xC2, deflate(bytes(1 << 20))) * 150 + frame(8, struct.pack("!H", 1000)))
            assert read_close(sock)[0] == 1000
        assert upstream.wait_closed("/counts")[0] == 1000
        assert upstream.heard == [1 << 20] * 150
        assert gateway.most_resident_kib - before < 40 * 1024
    finally:
        upstream.server.shutdown()
