"""Sessions besides echoing: subprotocols, keep-alive, close codes, groups between clients."""

import json
import struct

import pytest

from clients import connect, frame, handshake, open_session, read_close, read_frame, read_head


def test_the_servers_preference_chooses_the_subprotocol(gateway):
    with connect(gateway.port) as sock:
        sock.sendall(handshake("/ws/echo/", "Sec-WebSocket-Protocol: v1, v2"))
        assert "Sec-WebSocket-Protocol: v2\r\n" in read_head(sock)
    with connect(gateway.port) as sock:
        sock.sendall(handshake("/ws/echo/", "Sec-WebSocket-Protocol: other"))
        assert "Sec-WebSocket-Protocol" not in read_head(sock)


def test_a_silent_session_is_pinged_and_then_closed(start):
    gateway = start(limits="limits: {ping: {interval: 1s, timeout: 1s}}")
    with open_session(gateway.port, "/ws/echo/") as good, open_session(gateway.port, "/ws/echo/") as gone:
        assert read_frame(good)[0] == 9
        good.sendall(frame(10, b""))
        assert read_close(gone) == (1001, "no answer to a ping")
        good.sendall(frame(1, b"alive"))
        while (answer := read_frame(good))[0] == 9:
            good.sendall(frame(10, b""))
        assert answer == (1, b"alive")


@pytest.mark.parametrize("code, reason", [(1000, b""), (1001, b"away"), (3000, b"x"), (4999, "é".encode())])
def test_a_close_comes_back_with_its_code_and_reason(gateway, code, reason):
    with open_session(gateway.port, "/ws/echo/") as sock:
        sock.sendall(frame(8, struct.pack("!H", code) + reason))
        assert read_close(sock) == (code, reason.decode())
        assert sock.recv(1) == b""


def test_a_ping_is_answered_with_its_payload(gateway):
    with open_session(gateway.port, "/ws/chat/a/") as sock:
        sock.sendall(frame(9, b"are you there"))
        assert read_frame(sock) == (10, b"are you there")


def test_everyone_in_a_large_room_gets_the_message(gateway):
    socks = [open_session(gateway.port, "/ws/chat/full/") for _ in range(900)]
    socks[0].sendall(frame(1, b'{"message": [1, "\xc3\xa9"]}'))
    for sock in socks:
        assert json.loads(read_frame(sock)[1]) == {"message": [1, "é"]}
        sock.close()
