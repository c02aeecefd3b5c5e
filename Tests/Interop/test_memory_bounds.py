"""Memory for clients that do not read, or do not finish messages, is bounded over the whole process, and is returned afterwards."""

import contextlib
import os
import pathlib
import re
import resource
import selectors
import socket
import struct
import subprocess
import sys
import time

import pytest

import conftest
from clients import frame, handshake, open_session, read_close, read_exactly, read_frame, read_head

# It measures.
pytestmark = pytest.mark.alone

CONFIG = """
installed_apps: [echo, chat, broadcast]
channel_layers: {default: {backend: memory}}
server: {threads: 2}
LIMITS
applications:
  main:
    http:
      - {path: health/live, health: live}
    websocket:
      - {path: ws/echo/, consumer: echo}
      - {path: ws/news/, consumer: broadcast, group: news}
      - {path: "ws/room/<slug:room>/", consumer: broadcast, group: "room_{room}"}
"""

MEBIBYTE = 1 << 20


@pytest.fixture(autouse=True)
def descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def deaf(port: int, path: str) -> socket.socket:
    """A session whose client reads nothing more, with small kernel buffers."""
    sock = socket.socket()
    sock.settimeout(20)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    sock.connect(("127.0.0.1", port))
    sock.sendall(handshake(path))
    assert read_head(sock).startswith("HTTP/1.1 101")
    return sock


def crowd(stack: contextlib.ExitStack, port: int, path: str, count: int) -> list[socket.socket]:
    return [stack.enter_context(deaf(port, path)) for _ in range(count)]


def masked(payload: bytes) -> bytes:
    """A binary frame whose mask changes nothing, so that it is quick to make."""
    return b"\x82" + b"\xff" + struct.pack("!Q", len(payload)) + bytes(4) + payload


def publish(sender: socket.socket, size: int, total: int) -> None:
    """Sends messages, and reads each before the next, so that each arrives alone."""
    for _ in range(total // size):
        sender.sendall(frame(2, bytes(size)))
        assert len(read_frame(sender)[1]) == size


def wait_until(condition, seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def given_way(gateway) -> list[str]:
    return [line for line in gateway.log if "limits.send_memory" in line]


def test_two_thousand_that_do_not_read_cost_what_was_said_once(start):
    """2,090 MB before: each had a copy of the small messages. Afterwards the memory is back (2,076 MB before)."""
    gateway = start(text=CONFIG, limits="limits: {send_queue: 4MiB, send_memory: 128MiB}")
    with open_session(gateway.port, "/ws/news/") as sender:
        publish(sender, 1000, 100_000)
        before = gateway.resident_kib
        with contextlib.ExitStack() as stack:
            crowd(stack, gateway.port, "/ws/news/", 2000)
            connected = gateway.resident_kib
            publish(sender, 1600, 1600 * 1024)
            full = gateway.resident_kib
        assert not given_way(gateway)
        wait_until(lambda: gateway.resident_kib < 1.5 * before, 40)
        after = gateway.resident_kib
    print(f"\n{before} KiB, with 2,000 sessions {connected}, with 1.6 MiB for each {full}, afterwards {after}")
    assert full - connected < 32 * 1024
    assert after < 1.5 * before


def test_memory_comes_back_after_a_flood_of_small_pieces(start):
    """Each client has different waiting messages, of a size that the allocator keeps. They are released once all is quiet."""
    gateway = start(text=CONFIG, limits="limits: {send_queue: 16MiB, send_memory: 512MiB}")
    with open_session(gateway.port, "/ws/room/warm/") as sock:
        publish(sock, 1000, 100_000)
    before = gateway.resident_kib
    with contextlib.ExitStack() as stack:
        for number in range(300):
            sock = stack.enter_context(deaf(gateway.port, f"/ws/room/r{number}/"))
            sock.sendall(frame(2, bytes(800)) * 300)
        full = gateway.resident_kib
    wait_until(lambda: gateway.resident_kib < 1.25 * before, 55)
    after = gateway.resident_kib
    lines = [line for line in gateway.log if "free memory was returned" in line]
    print(f"\n{before} KiB before, {full} full, {after} afterwards; {lines}")
    assert after < 1.5 * before


def test_those_who_wait_longest_go_when_all_hold_too_much(start):
    """Rooms with one session each, so that nothing is shared: 100 MiB in all, of which 16 may wait. Another client is not affected."""
    gateway = start(text=CONFIG, limits="limits: {send_queue: 2MiB, send_memory: 16MiB}")
    before = gateway.resident_kib
    message = masked(bytes(1000 * 1000))
    with contextlib.ExitStack() as stack, open_session(gateway.port, "/ws/room/quiet/") as bystander:
        held, peak = [], 0
        for number in range(100):
            held.append(stack.enter_context(deaf(gateway.port, f"/ws/room/r{number}/")))
            held[-1].sendall(message)
            bystander.sendall(frame(1, b"still here"))
            assert read_frame(bystander) == (1, b"still here")
            peak = max(peak, gateway.resident_kib)
        assert wait_until(lambda: given_way(gateway))
        # The last client still gets its whole message; the first one was cut off within its own.
        assert len(read_frame(held[-1])[1]) == 1000 * 1000
        with pytest.raises((AssertionError, ConnectionError)):
            read_frame(held[0])
    lines = given_way(gateway)
    print(f"\n{before} KiB before, {peak} at most, for 100 MiB; {len(lines)} lines: {lines[0]}")
    assert peak - before < 64 * 1024
    assert len(lines) < 30


def test_who_has_to_go_is_told_why(start):
    """A reader whose bytes waited longest, and which then reads on, gets the rest of the message that it had begun, and 1013."""
    gateway = start(text=CONFIG, limits="limits: {send_queue: 64MiB, message: 1MiB, send_memory: 4MiB}")
    with deaf(gateway.port, "/ws/news/") as slow, open_session(gateway.port, "/ws/news/") as sender:
        publish(sender, 1000, 8 * MEBIBYTE)
        code, reason = read_close(slow)
    print(f"\n{code} {reason}")
    assert (code, reason) == (1013, "the client reads too slowly: messages were dropped")


def test_messages_that_are_not_finished_have_a_bound_together(start):
    """300 messages of 1 MiB whose last bytes do not arrive. Well-behaved clients are not affected."""
    gateway = start(text=CONFIG, limits="limits: {receive_memory: 16MiB}")
    before, peak = gateway.resident_kib, 0
    begun = masked(bytes(MEBIBYTE))[:-100]
    with contextlib.ExitStack() as stack, open_session(gateway.port, "/ws/echo/") as honest:
        first = None
        for _ in range(300):
            sock = stack.enter_context(open_session(gateway.port, "/ws/echo/"))
            sock.sendall(begun)
            first = first or sock
            peak = max(peak, gateway.resident_kib)
        honest.sendall(masked(bytes(MEBIBYTE)))
        assert len(read_frame(honest)[1]) == MEBIBYTE
        code, reason = read_close(first)
        peak = max(peak, gateway.resident_kib)
    print(f"\n{before} KiB before, {peak} at most, for 300 MiB; the first got {code} {reason}")
    assert (code, reason) == (1013, "the memory for unfinished messages is used up")
    assert peak - before < 64 * 1024
    assert gateway.says("limits.receive_memory")


def test_what_clients_leave_unread_is_in_the_same_sum(start):
    """The messages of a client that sends much and reads no answers wait for room. In the end, clients without progress for the longest time are closed."""
    routes = CONFIG.replace("- {path: ws/news/", "- {path: ws/talk/, consumer: chat, group: talk}\n      - {path: ws/news/")
    gateway = start(text=routes.replace("threads: 2", "threads: 1"), limits="limits: {receive_memory: 1MiB, ping: none}")
    with contextlib.ExitStack() as stack, open_session(gateway.port, "/ws/echo/") as honest:
        for sock in crowd(stack, gateway.port, "/ws/talk/", 120):
            # Each is answered with an error.
            sock.sendall(frame(2, b"") * 6000)
        assert wait_until(lambda: [line for line in gateway.log if "limits.receive_memory" in line])
        honest.sendall(masked(bytes(70_000)))
        assert len(read_frame(honest)[1]) == 70_000
    assert gateway.stop() == 0


def control_group(bytes: int) -> pathlib.Path | None:
    """A control group of this size, of either version, if one can be made."""
    for root, limit in (("memory", "memory.limit_in_bytes"), ("", "memory.max"), ("unified", "memory.max")):
        group = pathlib.Path("/sys/fs/cgroup", root, f"sluice-test-{os.getpid()}")
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(bytes))
            return group
        except OSError:
            group.rmdir()
    return None


def test_256_mebibytes_are_enough_for_all_of_it(start, tmp_path, monkeypatch):
    """With the default bounds."""
    group = control_group(256 * MEBIBYTE)
    if group is None:
        pytest.skip("no control group can be made here")
    wrapper = tmp_path / "sluice"
    wrapper.write_text(f'#!/bin/sh\necho $$ > {group}/cgroup.procs\nexec {conftest.SLUICE} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setattr(conftest, "SLUICE", str(wrapper))
    try:
        gateway = start(text=CONFIG)
        with contextlib.ExitStack() as stack, open_session(gateway.port, "/ws/news/") as sender:
            crowd(stack, gateway.port, "/ws/news/", 1000)
            begun = masked(bytes(MEBIBYTE))[:-100]
            for _ in range(300):
                stack.enter_context(open_session(gateway.port, "/ws/echo/")).sendall(begun)
            publish(sender, 1600, 1600 * 1024)
            for number in range(100):
                stack.enter_context(deaf(gateway.port, f"/ws/room/r{number}/")).sendall(masked(bytes(1000 * 1000)))
            publish(sender, 1600, 160 * 1024)
            assert gateway.process.poll() is None
        for name in ("memory.max_usage_in_bytes", "memory.peak"):
            if (group / name).exists():
                print(f"\n{name}: {int((group / name).read_text()) >> 20} MiB of 256")
        assert gateway.stop() == 0
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text().strip())
        group.rmdir()


# ---- One large event, over a network with segments like the Internet's.


def receive_one_large_event(gateway, size: int) -> None:
    """Clients with small buffers that read all the time get an event of any size, and then the next ones."""
    readers = [deaf(gateway.port, "/ws/news/") for _ in range(5)]
    with open_session(gateway.port, "/ws/news/") as sender:
        wanted = bytes([130, 127]) + struct.pack("!Q", size) + bytes(size) + bytes([129, 4]) + b"next"
        sender.sendall(masked(bytes(size)) + frame(1, b"next"))
        got = {reader: bytearray() for reader in [*readers, sender]}
        with selectors.DefaultSelector() as selector:
            for reader in got:
                reader.setblocking(False)
                selector.register(reader, selectors.EVENT_READ)
            deadline = time.monotonic() + 60
            while selector.get_map() and time.monotonic() < deadline:
                for key, _ in selector.select(1):
                    part = key.fileobj.recv(1 << 18)
                    got[key.fileobj] += part
                    if not part or len(got[key.fileobj]) >= len(wanted):
                        selector.unregister(key.fileobj)
        assert [bytes(data) == wanted for data in got.values()] == [True] * 6
    for reader in readers:
        reader.close()


LARGE_LIMITS = "limits: {message: 8MiB, send_queue: 1MiB}"


def test_one_event_into_an_empty_queue_is_no_slow_reader(start):
    """Over `send_queue` every receiver was closed with 1013, however fast it read."""
    gateway = start(text=CONFIG, limits=LARGE_LIMITS)
    receive_one_large_event(gateway, 4 * MEBIBYTE)
    assert gateway.process.poll() is None


def test_one_large_event_over_small_segments():
    """The same with a loopback device like the Internet: segments of 1,500 bytes, in a separate network namespace."""
    run = subprocess.run(
        ["unshare", "--net", sys.executable, __file__], capture_output=True, text=True, timeout=120, cwd=conftest.ROOT
    )
    if run.returncode == 77 or "unshare failed" in run.stderr:
        pytest.skip("no network of its own can be made here: " + run.stderr[-200:])
    assert run.returncode == 0, run.stdout + run.stderr
    print(f"\n{run.stdout.strip()}")


def main() -> None:
    if subprocess.run(["ip", "link", "set", "lo", "mtu", "1500", "up"]).returncode != 0:
        sys.exit(77)
    file = pathlib.Path(f"/tmp/sluice-test-{os.getpid()}.yaml")
    file.write_text(CONFIG.replace("LIMITS", LARGE_LIMITS))
    gateway = conftest.Gateway(file)
    try:
        begin = time.monotonic()
        receive_one_large_event(gateway, 2 * MEBIBYTE)
        print(f"an event of 2 MiB for 5 readers with small buffers, MTU 1500: {time.monotonic() - begin:.1f} s")
    finally:
        gateway.stop()
        file.unlink()


if __name__ == "__main__":
    main()
