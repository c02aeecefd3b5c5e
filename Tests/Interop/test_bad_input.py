"""Nothing that a client sends crashes the server, blocks it, or makes it grow, and other clients are not affected."""

import json
import resource
import select
import socket
import struct
import threading
import time

import pytest

from clients import connect, frame, handshake, open_session, read_close, read_frame, read_head, ready, status_of


@pytest.fixture
def bystander(gateway):
    """Two sessions that exchange messages in a separate room all the time. Their messages must arrive complete and in order."""
    sender, receiver = open_session(gateway.port, "/ws/chat/quiet/"), open_session(gateway.port, "/ws/chat/quiet/")
    stop = threading.Event()
    sent, heard = [], []

    def talk():
        while not stop.is_set():
            sender.sendall(frame(1, json.dumps({"message": len(sent)}).encode()))
            sent.append(len(sent))
            read_frame(sender)
            stop.wait(0.005)

    def listen():
        while True:
            opcode, payload = read_frame(receiver)
            if opcode == 8:
                return
            if opcode == 1:
                heard.append(json.loads(payload)["message"])

    threads = [threading.Thread(target=talk), threading.Thread(target=listen)]
    for thread in threads:
        thread.start()
    yield
    stop.set()
    threads[0].join(20)
    receiver.sendall(frame(8, struct.pack("!H", 1000)))
    threads[1].join(20)
    assert len(sent) > 0
    assert heard == sent


@pytest.mark.parametrize("text", [b"nope", b"[1]", b"{}", b'{"message": NaN}', b'{"message"', b""])
def test_malformed_json_is_answered_and_the_session_stays(gateway, bystander, text):
    with open_session(gateway.port, "/ws/chat/a/") as sock:
        sock.sendall(frame(1, text) + frame(2, b"\x00\x01") + frame(1, b'{"message": "still here"}'))
        assert "error" in json.loads(read_frame(sock)[1])
        assert "error" in json.loads(read_frame(sock)[1])
        assert json.loads(read_frame(sock)[1]) == {"message": "still here"}


def test_an_announced_hundred_mebibytes_are_refused_at_once(gateway, bystander):
    before = gateway.resident_kib
    socks = [open_session(gateway.port, "/ws/echo/") for _ in range(50)]
    for sock in socks:
        sock.sendall(b"\x82\xff" + struct.pack("!Q", 100 << 20) + b"abcd")
    for sock in socks:
        assert read_close(sock)[0] == 1009
        sock.close()
    assert gateway.resident_kib - before < 8 * 1024


def test_ten_thousand_fragments_are_one_message(gateway, bystander):
    with open_session(gateway.port, "/ws/echo/") as sock:
        fragments = frame(1, b"a", final=False) + b"".join(frame(0, b"b", final=False) for _ in range(9_998)) + frame(0, b"c")
        sock.sendall(fragments)
        assert read_frame(sock) == (1, b"a" + b"b" * 9_998 + b"c")


def test_a_silent_client_is_told_and_closed(start):
    gateway = start(limits="limits: {handshake: 300ms}")
    with connect(gateway.port) as silent, connect(gateway.port) as slow:
        slow.sendall(b"GET /ws/echo/ HTTP/1.1\r\nHost:")
        assert read_head(silent).startswith("HTTP/1.1 408")
        assert read_head(slow).startswith("HTTP/1.1 408")


def test_a_client_that_reads_nothing_is_closed_and_the_others_get_everything(start):
    gateway = start(limits="limits: {send_queue: 256KiB}")
    count, size = 400, 32 * 1024
    reader, publisher = open_session(gateway.port, "/ws/news/"), open_session(gateway.port, "/ws/news/")
    stuck = socket.socket()
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stuck.connect(("127.0.0.1", gateway.port))
    stuck.settimeout(20)
    stuck.sendall(handshake("/ws/news/"))
    assert read_head(stuck).startswith("HTTP/1.1 101")
    heard: list[bytes] = []
    # At most four messages, half of a queue, ahead of the reader: on a busy machine this thread would make it a slow one too.
    ahead = threading.Semaphore(4)

    def read() -> None:
        for _ in range(count):
            heard.append(read_frame(reader)[1][:8])
            ahead.release()

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(count):
        assert ahead.acquire(timeout=20), "the reader got nothing for 20 s"
        publisher.sendall(frame(2, struct.pack("!Q", number) + bytes(size)))
        read_frame(publisher)
    thread.join(30)
    assert heard == [struct.pack("!Q", number) for number in range(count)]
    assert read_close(stuck)[0] == 1013


def test_an_echo_client_that_reads_nothing_does_not_grow_the_server(gateway, bystander):
    before = gateway.resident_kib
    with open_session(gateway.port, "/ws/echo/") as sock:
        sock.setblocking(False)
        data, sent, idle = frame(2, bytes(64 * 1024)), 0, 0
        while sent < 64 << 20 and idle < 20:
            if not ready([sock], 0.05, select.POLLOUT):
                idle += 1
                continue
            sent += sock.send(data)
        assert idle == 20, "the server kept on reading"
        assert gateway.resident_kib - before < 16 * 1024


@pytest.mark.parametrize(
    "request_bytes, status",
    [
        (handshake("/ws/%zz/"), 400),
        (handshake("/ws/%ff/"), 400),
        (handshake("/nothing/here/"), 404),
        (handshake("/ws/chat/lob.by/"), 404),
        (handshake("/ws/chat/" + "a" * 95 + "/"), 404),
        (handshake("/ws/echo/", "Origin: http://evil.example"), 403),
        (handshake("/ws/echo/", "Origin: http://localhost", "Origin: http://localhost"), 400),
        (handshake("/ws/echo/", leave_out="Sec-WebSocket-Key"), 400),
        (handshake("/ws/echo/", leave_out="Sec-WebSocket-Version"), 426),
        (handshake("/ws/echo/", leave_out="Connection"), 400),
        (handshake("/ws/echo/", leave_out="Host"), 400),
        (handshake("/ws/echo/", leave_out="Upgrade"), 426),
        (handshake("/ws/echo/", version="HTTP/1.0"), 400),
        (b"GET /ws/echo/ HTTP/1.1\r\nHost: a\r\n\r\n", 426),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000, 431),
    ],
)
def test_every_refusal_has_its_status(gateway, request_bytes, status):
    assert status_of(gateway.port, request_bytes) == status


def test_an_allowed_origin_passes(gateway):
    open_session(gateway.port, "/ws/echo/", "Origin: http://localhost").close()


def test_five_thousand_connections_over_a_limit_of_one_thousand(start):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    gateway = start(limits="limits: {connections: 1000}")
    before = gateway.resident_kib
    socks = []
    for _ in range(5000):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", gateway.port))
        socks.append(sock)
    opened = refused = 0
    asked = set()
    poll = select.epoll()
    by_number = {sock.fileno(): sock for sock in socks}
    for number in by_number:
        poll.register(number, select.EPOLLOUT)
    deadline = time.monotonic() + 60
    while by_number and time.monotonic() < deadline:
        for number, _ in poll.poll(1):
            sock = by_number[number]
            try:
                if sock not in asked:
                    sock.send(handshake("/ws/echo/"))
                    asked.add(sock)
                    poll.modify(number, select.EPOLLIN)
                    continue
                head = sock.recv(16)
            except OSError:
                head = b""
            opened += head.startswith(b"HTTP/1.1 101")
            refused += not head.startswith(b"HTTP/1.1 101")
            poll.unregister(number)
            del by_number[number]
    assert not by_number
    assert opened == 1000
    assert refused == 4000
    # A full gateway still answers health checks.
    assert status_of(gateway.port, b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") == 200
    for sock in socks:
        sock.close()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if status_of(gateway.port, handshake("/ws/echo/")) == 101:
            break
    open_session(gateway.port, "/ws/echo/").close()
    assert gateway.resident_kib - before < 16 * 1024


def test_a_reader_that_reads_nothing_of_many_small_messages(start):
    """The bytes that wait for it are bounded by `send_queue`, even if each message came alone."""
    gateway = start(limits="limits: {send_queue: 16MiB}")
    with socket.socket() as deaf, open_session(gateway.port, "/ws/chat/slow/") as other:
        # Small kernel buffers, so that the kernel holds little of it.
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.connect(("127.0.0.1", gateway.port))
        deaf.sendall(handshake("/ws/chat/slow/"))
        read_head(deaf)
        before, peak = gateway.resident_kib, 0
        for number in range(60_000):
            other.sendall(frame(1, b'{"message": "%100d"}' % number))
            read_frame(other)
            if number % 5000 == 0:
                peak = max(peak, gateway.resident_kib)
        assert peak - before < 24 * 1024
