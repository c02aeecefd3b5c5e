"""A gateway with few descriptors says so, refuses in words what does not fit, and is healthy all the while."""

import contextlib
import os
import re
import resource
import select
import socket
import subprocess
import time

import pytest

from certificates import Authority
from clients import connect, frame, handshake, open_session, read_frame, read_head, status_of
from conftest import DEFAULT, SLUICE
from redis_stack import RedisServer

HEALTH = b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
READY = HEALTH.replace(b"live", b"ready")


@pytest.fixture
def few(start, tmp_path, monkeypatch):
    """Starts a gateway under a limit of so many open files."""

    def begin(limit: int | str = 256, **options):
        program = tmp_path / "sluice-with-limits"
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
    line = gateway.line("limits.connections was lowered")
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
    poll = select.poll()
    for sock in crowd:
        poll.register(sock, select.POLLIN)
    while waiting and time.monotonic() < deadline:
        readable = poll.poll(500)
        if not readable and told > 0 and len(waiting) <= 60:
            break
        for number, _ in readable:
            told += waiting.pop(number).recv(100).startswith(b"HTTP/1.1 503 ")
            poll.unregister(number)
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


WITH_FILES = """
installed_apps: [echo]
server: {threads: 1, tls: {certificate: site.pem, key: site.key}}
applications:
  main:
    http: [{path: hello/, respond: hello}, {path: files/, static: files}]
    websocket: [{path: ws/echo/, consumer: echo}]
"""


def test_a_file_over_tls_takes_descriptors_while_it_may_be_followed_by_another(few, tmp_path):
    """Sessions have all of them where nobody asks for files, and some files are served where sessions have them all."""
    authority = Authority(tmp_path)
    authority.issue("site", "localhost")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("hello")
    gateway = few(text=WITH_FILES)
    served = places(gateway)
    assert 100 <= served < 200

    def ask(request: bytes) -> tuple[socket.socket, str]:
        sock = authority.client().wrap_socket(connect(gateway.secure_port), server_hostname="localhost")
        sock.sendall(request)
        return sock, read_head(sock)

    def get(path: str) -> tuple[socket.socket, str]:
        return ask(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    files = [get("/files/a.txt") for _ in range(served // 3)]
    assert all(head.startswith("HTTP/1.1 200") for _, head in files)
    while files[-1][1].startswith("HTTP/1.1 200"):
        files.append(get("/files/a.txt"))
    full, (sock, head) = len(files) - 1, files.pop()
    assert full < served / 2
    assert head.startswith("HTTP/1.1 503") and "retry-after: 5\r\n" in head.lower() and "connection: close\r\n" in head.lower()
    sock.close()
    for path in ("/hello/", "/hello/"):
        assert get(path)[1].startswith("HTTP/1.1 200")
    for sock, _ in files:
        sock.close()
    sessions = []
    deadline = time.monotonic() + 20
    while len(sessions) < served:
        assert time.monotonic() < deadline
        sock, head = ask(handshake("/ws/echo/"))
        # The ends of the earlier ones are on their way.
        if head.startswith("HTTP/1.1 101"):
            sessions.append(sock)
    assert ask(handshake("/ws/echo/"))[1].startswith("HTTP/1.1 503")
    sock, head = get("/files/a.txt")
    assert head.startswith("HTTP/1.1 200")
    assert len(os.listdir(f"/proc/{gateway.process.pid}/fd")) <= 256
    assert gateway.stop() == 0
    assert "accept-failures=0" in gateway.log[-1]


# MARK: Too few to start


PLAIN = """
installed_apps: [echo]
server: {threads: 2}
applications: {main: {http: [{path: health/live, health: live}], websocket: [{path: ws/, consumer: echo}]}}
"""
WITH_ALL = """
installed_apps: [chat]
server: {threads: 2, bind: "127.0.0.1:0", tls: {certificate: site.pem, key: site.key, bind: ["127.0.0.3:0", "127.0.0.4:0"]}}
channel_layers: {default: {backend: redis, config: {hosts: ["redis://127.0.0.1:REDIS/0"]}}}
applications:
  main:
    http: [{path: health/live, health: live}]
    websocket: [{path: ws/, consumer: chat, group: room, presence: true, history: {messages: 10}}]
"""
TOO_FEW = re.compile(
    r"sluice: the limit on open files is (\d+), and this configuration needs at least (\d+), or (\d+) for 1000 connections: "
    r"raise it with LimitNOFILE= in the systemd unit, or with ulimit -n in the shell that starts Sluice\n"
)


def limited(limit: int, *arguments) -> subprocess.CompletedProcess:
    script = f'ulimit -n {limit} && exec "$0" "$@"'
    return subprocess.run(["sh", "-c", script, SLUICE, *map(str, arguments)], capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("text", [PLAIN, WITH_ALL], ids=["plain", "all"])
def test_what_the_refusal_calls_enough_is_enough_to_serve_and_to_stop(few, tmp_path, text):
    with contextlib.ExitStack() as stack:
        if text is WITH_ALL:
            redis = RedisServer(tmp_path / "redis")
            stack.callback(redis.stop)
            text = text.replace("REDIS", str(redis.port))
            Authority(tmp_path).issue("site", "localhost")
        file = tmp_path / "all.yaml"
        file.write_text(text)
        refused = {limit: limited(limit, "serve", file) for limit in (16, 24, 32)}
        assert all(done.returncode == 1 and TOO_FEW.fullmatch(done.stderr) for done in refused.values()), refused
        found = [tuple(map(int, TOO_FEW.fullmatch(done.stderr).groups())) for done in refused.values()]
        assert [limit for limit, _, _ in found] == list(refused) and len(set(found[0][1:] + found[2][1:])) == 2
        least = found[0][1]
        assert TOO_FEW.fullmatch(limited(least - 1, "serve", file).stderr)
        gateway = few(limit=least, text=text, bind=None)
        assert gateway.says(" WARNING the limit on open files leaves room for few connections", f"open-files={least}", "connections=1 ")
        assert status_of(gateway.port, HEALTH) == 200
        with open_session(gateway.port, "/ws/"):
            pass
        assert gateway.stop() == 0
        assert not [line for line in gateway.log if " ERROR " in line]


def test_limits_that_the_memory_of_the_process_has_no_room_for_are_told_at_the_start(few):
    gateway = few(limit="4096 && ulimit -v 8000000", limits="limits: {message: 1GiB, send_queue: 1GiB}")
    places(gateway)
    assert gateway.says(" WARNING messages of limits.message may never arrive", "wanted=1073741824")
    assert not [line for line in gateway.log if "one client may have more waiting" in line]


def test_commands_that_talk_to_a_server_say_so_too(tmp_path):
    file = tmp_path / "routes.yaml"
    file.write_text(WITH_ALL.replace("REDIS", "1").replace("server:", "# "))
    sent = limited(9, "send", "--url", "http://127.0.0.1:9/", "--token-env", "HOME", "room", "1")
    tried = limited(9, "validate", "--connect", file)
    assert (sent.returncode, tried.returncode) == (1, 1)
    for text in (sent.stderr, tried.stdout):
        assert re.search(r"the limit on open files is 9, and this command needs at least \d+: raise it with LimitNOFILE=", text)
