"""Clients for which TLS itself has much to do make themselves wait, not others."""

import multiprocessing
import select
import socket
import ssl
import time

import pytest

from certificates import Authority
from clients import frame, handshake
from floods import Waits, p99
from openssl_client import OpenSSLClient
from redis_stack import wait_until

# It measures.
pytestmark = pytest.mark.alone

ROUTES = """
installed_apps: [echo]
server: {threads: 1, tls: {certificate: site.pem, key: site.key, bind: "127.0.0.1:0"}}
applications: {main: {websocket: [{path: ws/echo/, consumer: echo}]}}
"""
HELLO = frame(0x1, b"hello")
ECHO = b"\x81\x05hello"


@pytest.fixture
def gateway(start, tmp_path):
    Authority(tmp_path).issue("site", "localhost")
    gateway = start(text=ROUTES)
    # Both addresses are open then.
    wait_until(lambda: any("started" in line for line in gateway.log))
    return gateway


def opened(port: int, **options) -> OpenSSLClient:
    client = OpenSSLClient(port, **options)
    assert client.send(handshake("/ws/echo/"))
    assert client.receive().startswith(b"HTTP/1.1 101")
    return client


def test_a_few_key_updates_are_followed(gateway):
    with opened(gateway.secure_port) as client:
        for wants_answer in [False, True] * 20:
            assert client.update_keys(wants_answer)
            assert client.send(HELLO)
            assert client.receive() == ECHO


def test_key_updates_without_data_end_the_connection(gateway):
    with opened(gateway.secure_port) as client:
        for _ in range(32):
            assert client.update_keys()
        assert client.send(HELLO)
        assert client.receive() == ECHO
        for _ in range(33):
            client.update_keys()
        client.send(HELLO)
        assert client.receive() == b""


def test_answers_to_key_updates_come_behind_what_waits(gateway):
    """The answers must not overtake what was encrypted before them."""
    message = bytes(range(256)) * 1024
    with opened(gateway.secure_port, receive_buffer=4096) as client:
        for _ in range(3):
            assert client.send(frame(0x2, message))
        for _ in range(8):
            assert client.update_keys(True)
            assert client.send(HELLO)
        expected = (b"\x82\x7f" + len(message).to_bytes(8) + message) * 3 + ECHO * 8
        got = b""
        while len(got) < len(expected):
            part = client.receive(1 << 16)
            assert part, f"the connection ended after {len(got)} of {len(expected)} bytes"
            got += part
        assert got == expected


def test_a_client_that_does_not_read_the_answers_to_key_updates_is_not_read(gateway):
    """Each asks for an answer, and data in between lets them go on."""
    pong = frame(0xA, b"")
    with opened(gateway.secure_port, receive_buffer=4096, send_buffer=4096) as client:
        rounds = 0
        while select.select([], [client.sock], [], 2)[1]:
            assert all(client.update_keys(True) for _ in range(4)) and client.send(pong)
            rounds += 1
            assert rounds < 100_000, "the gateway goes on for ever"
        client.wait_for_input_at_most(0.1)
        while not select.select([], [client.sock], [], 0)[1]:
            assert client.receive() == b""
        client.wait_for_input_at_most(20)
        assert client.send(HELLO)
        assert client.receive() == ECHO


def flood(pipe, port: int, kind: str, count: int) -> None:
    if kind == "handshakes":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        raw = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(count)]
        clients = [context.wrap_socket(sock, do_handshake_on_connect=False) for sock in raw]
        for client in clients:
            client.setblocking(False)
        pipe.send("ready")
        pipe.recv()
        start = time.monotonic()
        left = clients
        while left:
            waiting = []
            for client in left:
                try:
                    client.do_handshake()
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    waiting.append(client)
            left = waiting
    else:
        clients = [opened(port) for _ in range(4)]
        pipe.send("ready")
        pipe.recv()
        start = time.monotonic()
        for _ in range(count):
            for client in clients:
                for _ in range(30):
                    assert client.update_keys()
                assert client.send(HELLO)
        for client in clients:
            got = b""
            while len(got) < count * len(ECHO):
                got += client.receive(1 << 16)
    pipe.send(time.monotonic() - start)


@pytest.mark.parametrize(("kind", "count"), [("handshakes", 1000), ("key updates", 200)])
def test_others_hardly_notice(gateway, kind, count):
    for _ in range(3):
        pipe, other = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=flood, args=(other, gateway.secure_port, kind, count), daemon=True)
        process.start()
        assert pipe.poll(120) and pipe.recv() == "ready"
        healthy = Waits(gateway.port)
        quiet = healthy.quiet()
        pipe.send("go")
        waits = []
        while not pipe.poll(0):
            waits.append(healthy.one())
        seconds = pipe.recv()
        process.join(20)
        waits.sort()
        print(
            f"{count} {kind}: done within {seconds:.2f} s; a healthy session waited {waits[-1] * 1e3:.1f} ms at most, "
            f"p99 {p99(waits) * 1e3:.2f} ms ({len(waits)} echoes); in quiet {quiet[-1] * 1e3:.1f} ms at most, "
            f"p99 {p99(quiet) * 1e3:.2f} ms")
        if waits[-1] < seconds / 8 and p99(waits) < seconds / 16:
            return
    raise AssertionError(f"a healthy session waits {waits[-1]:.3f} s, while the whole flood takes {seconds:.3f} s")
