"""Clients for which TLS itself has much to do make themselves wait, not others."""

import select

import pytest

from certificates import Authority
from clients import frame, ready
from floods import Waits, p99
from redis_stack import wait_until
from tls_floods import ECHO, HELLO, begun, opened

# It measures.
pytestmark = pytest.mark.alone

ROUTES = """
installed_apps: [echo]
server: {threads: 1, tls: {certificate: site.pem, key: site.key, bind: "127.0.0.1:0"}}
applications: {main: {websocket: [{path: ws/echo/, consumer: echo}]}}
"""


@pytest.fixture
def gateway(start, tmp_path):
    Authority(tmp_path).issue("site", "localhost")
    gateway = start(text=ROUTES)
    # Both addresses are open then.
    wait_until(lambda: any("started" in line for line in gateway.log))
    return gateway


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
        while ready([client.sock], 2, select.POLLOUT):
            assert all(client.update_keys(True) for _ in range(4)) and client.send(pong)
            rounds += 1
            assert rounds < 100_000, "the gateway goes on for ever"
        client.wait_for_input_at_most(0.1)
        while not ready([client.sock], 0, select.POLLOUT):
            assert client.receive() == b""
        client.wait_for_input_at_most(20)
        assert client.send(HELLO)
        assert client.receive() == ECHO


@pytest.mark.parametrize(("kind", "count"), [("handshakes", 1000), ("key updates", 200)])
def test_others_hardly_notice(gateway, kind, count):
    for _ in range(3):
        pipe, process = begun(gateway.secure_port, kind, count)
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
