"""The reader of the log, or its absence, neither blocks the gateway nor ends it."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from clients import connect, frame, open_session, read_frame, ready, status_of
from conftest import ROOT, SLUICE

# It measures.
pytestmark = pytest.mark.alone

FILE = """
installed_apps: [echo]
server: {threads: 1}
applications:
  main:
    http: [{path: live, health: live}]
    websocket: [{path: ws/echo/, consumer: echo}]
"""
HEALTH = b"GET /live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
# Its line has the maximum length: 200 bytes of the path.
BAD = b"GET /ws/" + b"x" * 300 + b"/ HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n"


class Logged:
    """A gateway whose log goes where the test says, with an address that is known in advance."""

    def __init__(self, tmp_path, log, *options: str, text: str = FILE):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.file = file = tmp_path / "routes.yaml"
        file.write_text(text)
        self.process = subprocess.Popen(
            [SLUICE, "serve", str(file), "--bind", f"127.0.0.1:{self.port}", *options], stderr=log, cwd=ROOT)

    def wait_until_served(self) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                assert status_of(self.port, HEALTH) == 200
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline
                time.sleep(0.01)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@pytest.fixture
def logged(tmp_path):
    running = []

    def begin(log, *options, **named):
        gateway = Logged(tmp_path, log, *options, **named)
        running.append(gateway)
        gateway.wait_until_served()
        return gateway

    yield begin
    for gateway in running:
        gateway.process.kill()
        gateway.process.wait()


def fill(pipe: int) -> None:
    """Fills a pipe, as another process that shares it could."""
    os.set_blocking(pipe, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(pipe, b"x" * 4095 + b"\n")
    os.set_blocking(pipe, True)


def round_trips(sock: socket.socket, count: int) -> float:
    """The longest time of this many echoes, in seconds."""
    longest = 0.0
    for _ in range(count):
        begun = time.monotonic()
        sock.sendall(frame(1, b"hello"))
        assert read_frame(sock) == (1, b"hello")
        longest = max(longest, time.monotonic() - begun)
    return longest


def bad_requests(port: int, count: int) -> None:
    for _ in range(count):
        assert status_of(port, BAD) == 404


def test_a_log_that_nobody_reads_stops_nobody(logged):
    """A stop waits no longer than it takes to give up on the reader."""
    reading, writing = os.pipe()
    gateway = logged(writing)
    with open_session(gateway.port, "/ws/echo/") as sock:
        quiet = round_trips(sock, 100)
        fill(writing)
        os.close(writing)
        bad_requests(gateway.port, 50)
        loud = round_trips(sock, 100)
        print(f"longest echo: {quiet * 1000:.1f} ms, with an unread log {loud * 1000:.1f} ms")
        assert loud < 5
        assert status_of(gateway.port, HEALTH) == 200
    begun = time.monotonic()
    assert gateway.stop() == 0
    print(f"the stop took {time.monotonic() - begun:.2f} s")
    assert time.monotonic() - begun < 10
    os.close(reading)


def test_an_upgrade_does_not_wait_for_the_reader_of_the_log(logged):
    """The file has a finding, too, which the new program writes first of all."""
    reading, writing = os.pipe()
    gateway = logged(writing, text=FILE + "limits: {receive_memory: 1MiB}\n")
    with open_session(gateway.port, "/ws/echo/") as sock:
        fill(writing)
        os.close(writing)
        done = subprocess.run([SLUICE, "upgrade", gateway.file], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        round_trips(sock, 10)
    assert gateway.stop() == 0
    os.close(reading)


def test_what_does_not_fit_is_counted(logged):
    """Every line arrived, or is counted in the line that reports lost ones."""
    # A session that violates the protocol causes a line of level debug; with this name it has the maximum length.
    text = FILE.replace("consumer: echo", f"consumer: echo, name: {'n' * 900}") + "logging: {level: debug}\n"
    reading, writing = os.pipe()
    gateway = logged(writing, "--log-format", "json", text=text)
    fill(writing)
    os.close(writing)
    count = 1500
    for _ in range(count):
        with open_session(gateway.port, "/ws/echo/") as sock:
            sock.sendall(b"\xff\xff")
            assert sock.recv(100)
    lines, rest = [], b""

    def read(part: bytes) -> None:
        nonlocal rest
        *whole, rest = (rest + part).split(b"\n")
        lines.extend(json.loads(line) for line in whole if line.startswith(b"{"))

    while not any("dropped" in line for line in lines):
        read(os.read(reading, 65536))
    gateway.process.send_signal(signal.SIGTERM)
    while part := os.read(reading, 65536):
        read(part)
    assert gateway.process.wait(20) == 0
    broken = [line for line in lines if line["message"] == "a client violated the WebSocket protocol"]
    dropped = [line for line in lines if "dropped" in line]
    print(f"{count} lines: {len(broken)} came; {[line['message'] for line in dropped]}")
    # A few lines of another kind may be among them.
    assert 0 <= len(broken) + sum(int(line["dropped"]) for line in dropped) - count < 10
    for line in dropped:
        assert re.fullmatch(r"\d+ log lines? (was|were) dropped: the reader of the log is too slow", line["message"])
    assert lines[-1]["message"] == "stopped"
    os.close(reading)


def test_a_reader_that_is_gone_ends_nothing(logged):
    reading, writing = os.pipe()
    gateway = logged(writing)
    os.close(writing)
    os.close(reading)
    with open_session(gateway.port, "/ws/echo/") as sock:
        bad_requests(gateway.port, 5)
        round_trips(sock, 10)
    assert gateway.stop() == 0


def test_a_named_pipe_is_written_to_again_when_a_reader_comes_back(logged, tmp_path):
    path = tmp_path / "log"
    os.mkfifo(path)
    first = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(path, os.O_WRONLY)
    gateway = logged(writing)
    os.close(writing)
    os.close(first)
    bad_requests(gateway.port, 3)
    # Lines are written while nobody reads; then a reader is there again.
    deadline = time.monotonic() + 20
    second = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    text = ""
    while "Broken pipe" not in text and time.monotonic() < deadline:
        os.close(second)
        bad_requests(gateway.port, 1)
        second = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        if ready([second], 0.3):
            text += os.read(second, 65536).decode()
    assert re.search(r"WARNING \d+ log lines? \w+ dropped: the log could not be written: Broken pipe", text), text
    assert gateway.stop() == 0
    os.close(second)


@pytest.mark.parametrize("number", [
    signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO,
    signal.SIGPWR, signal.SIGTTIN, signal.SIGTTOU, signal.SIGXFSZ, signal.SIGRTMIN, signal.SIGRTMAX, signal.SIGHUP,
])
def test_a_signal_that_nobody_means_ends_nothing(gateway, number):
    gateway.process.send_signal(number)
    with open_session(gateway.port, "/ws/echo/") as sock:
        round_trips(sock, 3)
    assert gateway.process.poll() is None
    assert gateway.stop() == 0
    assert "stopped" in gateway.log[-1]


def test_a_full_disk_loses_lines_and_ends_nothing(logged):
    with open("/dev/full", "wb") as full:
        gateway = logged(full)
    with open_session(gateway.port, "/ws/echo/") as sock:
        bad_requests(gateway.port, 5)
        round_trips(sock, 10)
    assert gateway.stop() == 0


def test_foreign_text_does_not_break_a_line(start):
    gateway = start()
    escapes = b"/ws/\x1b[2J\x9b31m%0a%00\xe2\x80\xa8/"
    assert status_of(gateway.port, b"GET " + escapes + b" HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n") == 400
    assert status_of(gateway.port, b"GET /" + b"y" * 15000 + b" HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n") == 404
    assert gateway.stop() == 0
    for line in gateway.log:
        assert line.isprintable() and len(line.encode()) < 4096
        assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z [A-Z]+ ", line), line


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_error_is_no_socket(tmp_path, closed):
    """Otherwise the first descriptor that the gateway opens gets the number, and the log goes there."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = tmp_path / "routes.yaml"
    file.write_text(FILE)
    process = subprocess.Popen(["sh", "-c", f'exec "$0" serve "$1" --bind 127.0.0.1:{port} {closed}', SLUICE, str(file)])
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                connect(port).close()
                break
            except OSError:
                time.sleep(0.01)
        assert os.readlink(f"/proc/{process.pid}/fd/2") == "/dev/null"
        assert status_of(port, BAD) == 404
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.parametrize("disposition", [signal.SIG_DFL, signal.SIG_IGN])
def test_commands_end_quietly_when_nobody_reads_their_output(tmp_path, disposition):
    """The result of a command decides its exit code, as if all of its output had been read."""
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(FILE)
    bad.write_text(FILE.replace("consumer: echo", "consumr: echo"))
    for arguments, code in [(["validate", str(good)], 0), (["validate", str(bad)], 1), (["routes", str(good)], 0)]:
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [SLUICE, *arguments], stdout=writing, stderr=subprocess.PIPE, timeout=20, restore_signals=False,
            preexec_fn=lambda: signal.signal(signal.SIGPIPE, disposition))
        os.close(writing)
        assert (done.returncode, done.stderr) == (code, b"")


def test_output_that_is_lost_is_a_failure(tmp_path):
    file = tmp_path / "good.yaml"
    file.write_text(FILE)
    with open("/dev/full", "wb") as full:
        done = subprocess.run([SLUICE, "routes", str(file)], stdout=full, stderr=subprocess.PIPE, timeout=20)
    assert done.returncode == 1
    assert b"standard output cannot be written: No space left on device" in done.stderr


def test_a_start_that_fails_says_why(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        file = tmp_path / "routes.yaml"
        file.write_text(FILE)
        done = subprocess.run(
            [SLUICE, "serve", str(file), "--bind", f"127.0.0.1:{taken.getsockname()[1]}"], stderr=subprocess.PIPE, timeout=20)
        assert done.returncode == 1
        assert b"sluice: cannot listen on" in done.stderr


def hidden(tmp_path, *arguments: str) -> subprocess.CompletedProcess:
    """Runs the program without /proc."""
    script = 'mount -t tmpfs none /proc && exec "$0" "$@"'
    own_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return subprocess.run(
        ["unshare", *own_user, "--mount", "sh", "-c", script, SLUICE, *arguments], capture_output=True, text=True, timeout=20)


def test_arguments_are_seen_without_proc(tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(FILE)
    bad.write_text(FILE.replace("consumer: echo", "consumr: echo"))
    # Several times, because other code reads /proc from other threads.
    for _ in range(10):
        done = hidden(tmp_path, "validate", str(good))
        assert done.returncode == 0, done.stderr
    assert (done.returncode, done.stdout) == (0, f"{good}: good (application main, 1 websocket and 1 http routes)\n")
    assert hidden(tmp_path, "validate", str(bad)).returncode == 1
    wrong = hidden(tmp_path, "nonsense")
    assert wrong.returncode == 2 and "nonsense" in wrong.stderr
    assert hidden(tmp_path, "help", "serve").stdout.startswith("OVERVIEW: Run the gateway until a signal stops it")


def test_it_serves_without_proc(tmp_path):
    file = tmp_path / "routes.yaml"
    file.write_text(FILE)
    script = 'mount -t tmpfs none /proc && exec "$0" serve "$1" --bind 127.0.0.1:0'
    own_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    process = subprocess.Popen(
        ["unshare", *own_user, "--mount", "sh", "-c", script, SLUICE, str(file)], stderr=subprocess.PIPE, text=True)
    try:
        # It begins with what is written about its commands.
        port = int(next(found for line in process.stderr if (found := re.search(r"listening on http://.*:(\d+)$", line.strip())))[1])
        begun = time.monotonic()
        # Longer than the second after which Dispatch checks its threads again.
        with open_session(port, "/ws/echo/") as sock:
            while time.monotonic() < begun + 2.5:
                assert status_of(port, HEALTH) == 200
                round_trips(sock, 3)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        process.stderr.close()
