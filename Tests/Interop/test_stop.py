"""SIGTERM and SIGINT: a close frame and a closing handshake, never a bare drop."""

import signal
import struct
import time

import pytest

from clients import connect, frame, open_session, read_close, read_head


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_clients_are_told_and_the_exit_is_good(gateway, number):
    socks = [open_session(gateway.port, "/ws/echo/") for _ in range(20)]
    gateway.process.send_signal(number)
    for sock in socks:
        code, reason = read_close(sock)
        assert (code, reason) == (1012, "restarting, please reconnect")
        sock.sendall(frame(8, struct.pack("!H", code)))
        assert sock.recv(1) == b""
    assert gateway.process.wait(20) == 0
    assert any("stopped" in line for line in gateway.log)


def test_the_configured_code_is_sent(start):
    gateway = start(limits="shutdown: {code: 4321, grace: 2s}")
    with open_session(gateway.port, "/ws/echo/") as sock:
        gateway.process.send_signal(signal.SIGTERM)
        assert read_close(sock)[0] == 4321


def test_the_grace_ends_what_does_not_answer(start):
    gateway = start(limits="shutdown: {grace: 1s}")
    with open_session(gateway.port, "/ws/echo/"):
        assert gateway.stop(timeout=10) == 0


def test_a_second_signal_ends_at_once(start):
    gateway = start(limits="shutdown: {grace: 1h}")
    with open_session(gateway.port, "/ws/echo/") as sock:
        gateway.process.send_signal(signal.SIGTERM)
        read_close(sock)
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(10) == 0


def test_many_sessions_are_closed_over_a_part_of_the_grace(start):
    gateway = start(limits="shutdown: {grace: 4s}")
    socks = [open_session(gateway.port, "/ws/echo/") for _ in range(1500)]
    gateway.process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    times = []
    for sock in reversed(socks):
        read_close(sock)
        times.append(time.monotonic() - begun)
        sock.close()
    assert gateway.process.wait(20) == 0
    # Not all in one burst: the last hears of it noticeably after the first.
    assert max(times) - min(times) > 0.5


def test_a_silent_connection_does_not_hold_the_stop(start):
    gateway = start(limits="shutdown: {grace: 1s}")
    with connect(gateway.port) as silent:
        assert gateway.stop(timeout=10) == 0
        assert not read_head(silent).startswith("HTTP/1.1 1")
