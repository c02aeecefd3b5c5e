"""A gateway with few descriptors says so, refuses in words what does not fit, and is healthy all the while."""

import os
import re
import resource
import select
import socket
import time

import pytest

from clients import connect, frame, handshake, open_session, read_frame, read_head, status_of
from conftest import DEFAULT, SLUICE

HEALTH = b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
READY = HEALTH.replace(b"live", b"ready")


@pytest.fixture
def few(start, tmp_path, monkeypatch):
    """Starts a gateway under a limit of so many open files."""

    def begin(limit: int = 256, **options):
        program = tmp_path / f"sluice-{limit}"
        program.write_text(f'#!/bin/sh\nulimit -n {limit} && exec {SLUICE} "$@"\n')
        program.chmod(0o755)
        monkeypatch.setattr("conftest.SLUICE", str(program))
        return start(**options)

    return begin


def places(gateway) -> int:
    """The text of its line at the start, which comes after the address."""
    while True:
        for line in gateway.log:
            if found := re.search(r" started .* connections=(\d+)", line):
                return int(found[1])
        assert gateway.process.poll() is None
        time.sleep(0.01)


def flood(gateway, count: int) -> list[socket.socket]:
    """Connections that send nothing."""
    socks = []
    for _ in range(count):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", gateway.port))
        socks.append(sock)
    return socks


def test_the_start_says_how_many_fit(few):
    gateway = few(limits="limits: {connections: 10000}")
    line = next(line for line in gateway.log if "limits.connections was lowered" in line)
    assert " WARNING " in line and "wanted=10000" in line and "open-files=256" in line
    fits = int(re.search(r" connections=(\d+)", line)[1])
    assert 100 <= fits < 200
    assert re.search(r"raise the limit on open files \(ulimit -n, LimitNOFILE\) to \d{5},", line)


def test_a_limit_that_fits_is_not_talked_about(few):
    gateway = few(limits="limits: {connections: 50}")
    assert not any(" WARNING " in line for line in gateway.log)


@pytest.mark.parametrize("limits", ["limits: {connections: 10000}", "limits: {connections: 50}", ""])
def test_a_full_gateway_refuses_in_words_and_is_healthy(few, limits):
    """Full of sessions, of silent connections, and of both."""
    gateway = few(limits=limits)
    served = places(gateway)
    sessions = [open_session(gateway.port, "/ws/echo/") for _ in range(served)]
    assert status_of(gateway.port, handshake("/ws/echo/")) == 503
    crowd = flood(gateway, 600)
    for _ in range(20):
        assert status_of(gateway.port, HEALTH) == 200
        assert status_of(gateway.port, READY) == 200
    # Late connections are refused with an answer.
    told = 0
    deadline = time.monotonic() + 20
    waiting = {sock.fileno(): sock for sock in crowd}
    while waiting and time.monotonic() < deadline:
        readable = select.select(list(waiting.values()), [], [], 0.5)[0]
        if not readable and told > 0 and len(waiting) <= 60:
            break
        for sock in readable:
            told += sock.recv(100).startswith(b"HTTP/1.1 503 ")
            del waiting[sock.fileno()]
    print(f"{served} sessions, {told} of 600 told 503, {len(waiting)} still listened to")
    assert told + len(waiting) >= 550
    for sock in sessions:
        sock.sendall(frame(1, b"hello"))
        assert read_frame(sock) == (1, b"hello")
    descriptors = len(os.listdir(f"/proc/{gateway.process.pid}/fd"))
    assert descriptors <= 256
    for sock in sessions + crowd:
        sock.close()
    deadline = time.monotonic() + 20
    while status_of(gateway.port, handshake("/ws/echo/")) != 101:
        assert time.monotonic() < deadline
    assert gateway.stop() == 0
    assert not any("could not be accepted" in line for line in gateway.log)


@pytest.mark.alone
def test_without_any_descriptor_health_is_answered_and_a_line_says_why(start):
    """The limit is lowered below the number of open descriptors, so that none is left, not even spare ones."""
    gateway = start(text=DEFAULT.replace("LIMITS", "server: {threads: 1}"))
    sessions = [open_session(gateway.port, "/ws/echo/") for _ in range(20)]
    pid = gateway.process.pid
    hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    highest = max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1, hard))
    # Whatever is free below.
    holes = flood(gateway, 100)
    assert status_of(gateway.port, handshake("/ws/echo/")) == 503
    begun = time.monotonic()
    checks = 0
    # Longer than the second after which Dispatch checks its threads again, which needs a descriptor.
    while time.monotonic() < begun + 2.5 or checks < 10:
        assert status_of(gateway.port, HEALTH) == 200
        checks += 1
    for sock in sessions:
        sock.sendall(frame(1, b"hello"))
        assert read_frame(sock) == (1, b"hello")
    lines = [line for line in gateway.log if "could not be accepted" in line]
    print(lines)
    assert len(lines) in (1, 2)
    assert 'reason="Too many open files"' in lines[0] and "ulimit" in lines[0] and "count=1 " in lines[0]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
    for sock in holes + sessions:
        sock.close()
    open_session(gateway.port, "/ws/echo/").close()
    assert gateway.stop() == 0
    assert int(re.search(r"accept-failures=(\d+)", gateway.log[-1])[1]) >= 11


def test_refused_clients_that_stay_hold_no_descriptors(few):
    """A refusal may be read for 2 s. A storm of clients that do not hang up must not use up what others need."""
    gateway = few(limits="limits: {connections: 20}")
    refused = []
    for _ in range(1000):
        sock = connect(gateway.port)
        sock.sendall(handshake("/nothing/"))
        assert read_head(sock).startswith("HTTP/1.1 404")
        refused.append(sock)
    assert status_of(gateway.port, HEALTH) == 200
    open_session(gateway.port, "/ws/echo/").close()
    for sock in refused:
        sock.close()
    assert gateway.stop() == 0
    assert "accept-failures=0" in gateway.log[-1]
