"""`sluice upgrade` and what cannot be handed over: connections with TLS are closed once, and come back to the other program."""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest
from websockets.sync.server import serve

from certificates import Authority
from clients import connect, frame, handshake, open_session, read_exactly, read_frame, read_head
from conftest import SLUICE
from test_upgrade import ask_for_upgrade, took

FILE = """
installed_apps: [echo, broadcast, proxy]
channel_layers: {default: {backend: memory}}
server: {threads: 2, tls: {certificate: site.pem, key: site.key, bind: "127.0.0.1:0"}}
shutdown: {grace: 6s}
applications:
  main:
    http:
      - {path: hello/, respond: hello}
      - {path: files/, static: files}
    websocket:
      - {path: ws/echo/, consumer: echo}
      - {path: ws/changing/, consumer: broadcast, group: news}
      - {path: ws/far/, consumer: proxy, to: "wss://localhost:PORT/", tls: {ca: ca.pem}}
"""
# More than the system takes for a client that does not read, and less than a relay takes in addition.
ANSWER = bytes(range(256)) * 300


@pytest.fixture
def authority(tmp_path):
    authority = Authority(tmp_path)
    authority.issue("site", "localhost", "127.0.0.1")
    return authority


@pytest.fixture
def upstream(authority, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "site.pem", tmp_path / "site.key")

    def echo(socket):
        for message in socket:
            socket.send(message)

    with serve(echo, "127.0.0.1", 0, ssl=context) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join(10)


@pytest.fixture
def gateway(start, authority, upstream, tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files/answer").write_bytes(ANSWER)
    gateway = start(text=FILE.replace("PORT", str(upstream)))
    # Its second address is known, too.
    assert gateway.says(" started")
    return gateway


class Guest(threading.Thread):
    """A client that comes back when the reason of its close frame says, or at once, or that does not even answer it."""

    def __init__(self, dial, obeys=True, answers=True):
        super().__init__(daemon=True)
        self.dial, self.obeys, self.answers = dial, obeys, answers
        self.closes: list[str] = []
        self.refusals: list[str] = []
        self.isBack = threading.Event()
        self.sock, refusal = self.dial()
        assert self.sock, refusal
        self.start()

    def run(self):
        opcode, payload = read_frame(self.sock)
        assert opcode == 8 and payload[:2] == (1012).to_bytes(2, "big"), (opcode, payload)
        self.closes.append(payload[2:].decode())
        if not self.answers:
            return
        self.sock.sendall(frame(8, payload[:2]))
        self.sock.close()
        self.wait(self.closes[-1])
        while True:
            self.sock, refusal = self.dial()
            if self.sock:
                break
            self.refusals.append(refusal)
            self.wait(refusal)
        self.isBack.set()

    def wait(self, text):
        time.sleep(float(re.search(r"retry in ([\d.]+)s", text)[1]) if self.obeys else 0.02)

    def hears(self):
        assert self.isBack.wait(20), self.closes
        self.sock.sendall(frame(1, b"back"))
        # Not another close frame.
        assert read_frame(self.sock) == (1, b"back")
        self.sock.close()


def ask(sock, path):
    sock.sendall(handshake(path))
    head = read_head(sock)
    if head.startswith("HTTP/1.1 101"):
        return sock, ""
    assert head.startswith("HTTP/1.1 503"), head
    with sock:
        return None, sock.recv(1000).decode()


def secure(gateway, authority, path="/ws/echo/"):
    context = authority.client()
    return lambda: ask(context.wrap_socket(connect(gateway.secure_port), server_hostname="localhost"), path)


def proxied(gateway):
    return lambda: ask(connect(gateway.port), "/ws/far/")


def upgrade(gateway, tmp_path, closed) -> float:
    """How long it takes, without the trial of the program."""
    done = ask_for_upgrade(tmp_path / "routes0.yaml")
    assert done.returncode == 0, done.stderr
    assert f" {closed} are closed (1012)" in done.stderr, done.stderr
    assert gateway.says(" upgrading ", f"closing={closed} ") and gateway.says("cannot be handed over", f"sessions={closed}")
    # The command is answered before the last line is written.
    assert gateway.says(" upgraded ")
    return took(gateway)


def test_clients_with_tls_are_closed_once(gateway, authority, tmp_path):
    with open_session(gateway.port, "/ws/echo/") as plain:
        guests = [Guest(secure(gateway, authority)) for _ in range(30)]
        seconds = upgrade(gateway, tmp_path, 30)
        for guest in guests:
            guest.hears()
        # They came when the new program listened, or waited for it a moment.
        assert [(len(guest.closes), guest.refusals) for guest in guests] == [(1, [])] * 30
        assert seconds < 4, gateway.log
        plain.sendall(frame(1, b"here"))
        assert read_frame(plain) == (1, b"here")


def test_a_session_that_began_behind_an_answer_of_the_http_service_is_closed_once(gateway, authority, tmp_path):
    def dial():
        sock = authority.client().wrap_socket(connect(gateway.secure_port), server_hostname="localhost")
        sock.sendall(b"GET /files/answer HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_head(sock).startswith("HTTP/1.1 200") and read_exactly(sock, len(ANSWER)) == ANSWER
        return ask(sock, "/ws/echo/")

    guest = Guest(dial)
    upgrade(gateway, tmp_path, 1)
    guest.hears()
    assert (len(guest.closes), guest.refusals) == (1, [])


def slow_reader(gateway, authority):
    """A client with TLS that has asked for a file, and of whose answer the system takes little at a time."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(20)
    sock.connect(("127.0.0.1", gateway.secure_port))
    reader = authority.client().wrap_socket(sock, server_hostname="localhost")
    reader.sendall(b"GET /files/answer HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert read_head(reader).startswith("HTTP/1.1 200")
    return reader


def test_an_answer_that_is_on_its_way_to_a_client_with_tls_arrives_whole(gateway, authority):
    reader = slow_reader(gateway, authority)
    os.kill(gateway.process.pid, signal.SIGUSR2)
    assert gateway.says(" upgrading ")
    # The service has done its part by then, and waited two seconds for the end of the connection.
    time.sleep(3.5)
    assert read_exactly(reader, len(ANSWER)) == ANSWER
    reader.close()
    assert gateway.says(" upgraded ") and not any("cut off" in line for line in gateway.log), gateway.log


def test_an_answer_that_a_client_with_tls_does_not_read_is_told_of(gateway, authority):
    reader = slow_reader(gateway, authority)
    os.kill(gateway.process.pid, signal.SIGUSR2)
    assert gateway.says("WARNING requests are cut off by the upgrade", "count=1 ")
    assert gateway.says(" upgraded ")
    reader.close()


def test_a_plan_says_whom_an_upgrade_would_close(gateway, authority, tmp_path):
    guest = Guest(secure(gateway, authority))
    file = tmp_path / "routes0.yaml"
    file.write_text(file.read_text().replace("threads: 2", "threads: 1"))
    done = subprocess.run([SLUICE, "plan", str(file)], capture_output=True, text=True, timeout=40)
    assert "clients: 1 stay, 0 change, 0 are closed\n" in done.stdout, done
    assert "\nan upgrade also closes 1 client that cannot be handed over (TLS); a restart closes all\n" in done.stdout, done.stdout
    upgrade(gateway, tmp_path, 1)
    guest.hears()


def test_sessions_behind_an_upstream_with_tls_are_closed_once(gateway, tmp_path):
    guests = [Guest(proxied(gateway)) for _ in range(5)] + [Guest(proxied(gateway), obeys=False)]
    assert upgrade(gateway, tmp_path, 6) < 4, gateway.log
    for guest in guests:
        guest.hears()
        assert len(guest.closes) == 1


def test_who_is_closed_for_the_file_is_not_closed_again(gateway, authority, tmp_path):
    file = tmp_path / "routes0.yaml"
    hasty = [Guest(secure(gateway, authority, "/ws/changing/"), obeys=False) for _ in range(5)]
    others = [Guest(secure(gateway, authority)) for _ in range(5)]
    file.write_text(file.read_text().replace("consumer: broadcast, group: news", "consumer: echo"))
    done = ask_for_upgrade(file)
    assert done.returncode == 0, done.stderr
    for guest in hasty + others:
        guest.hears()
    assert {guest.closes[0] for guest in hasty} == {"another consumer serves this path now, please reconnect"}
    assert [len(guest.closes) for guest in hasty + others] == [1] * 10
    # A file that cannot be served is known before anybody is kept away.
    file.write_text(file.read_text() + "\n[")
    assert ask_for_upgrade(file).returncode == 1
    with secure(gateway, authority)()[0] as sock:
        sock.sendall(frame(1, b"here"))
        assert read_frame(sock) == (1, b"here")


def test_an_upgrade_that_fails_at_the_end_keeps_nobody_away(gateway, authority, tmp_path):
    program = tmp_path / "program"
    shutil.copy(SLUICE, program)
    # It has two seconds for its answer, in which somebody writes to the program that was tried.
    mute = Guest(secure(gateway, authority), answers=False)

    def write():
        assert gateway.says("closing the sessions that cannot be handed over")
        with program.open("ab") as file:
            file.write(b"x")

    writing = threading.Thread(target=write)
    writing.start()
    done = ask_for_upgrade(tmp_path / "routes0.yaml", "--binary", str(program))
    assert done.returncode == 1 and "was changed after it was tried" in done.stderr, done
    writing.join()
    mute.join(5)
    for dial in (secure(gateway, authority), proxied(gateway)):
        with dial()[0] as sock:
            sock.sendall(frame(1, b"here"))
            assert read_frame(sock) == (1, b"here")


def test_who_comes_at_once_or_does_not_answer_delays_nothing(gateway, authority, tmp_path):
    hasty = [Guest(secure(gateway, authority), obeys=False) for _ in range(5)]
    mute = Guest(secure(gateway, authority), answers=False)
    # A connection that is open already, and asks for a session when none may begin any more.
    late = authority.client().wrap_socket(connect(gateway.secure_port), server_hostname="localhost")
    waiting = threading.Thread(target=lambda: gateway.says("cannot be handed over") and late.sendall(handshake("/ws/echo/")))
    waiting.start()
    # The mute one has two seconds.
    assert upgrade(gateway, tmp_path, 6) < 6, gateway.log
    for guest in hasty:
        guest.hears()
        assert (len(guest.closes), guest.refusals) == (1, [])
    waiting.join()
    head = read_head(late)
    assert head.startswith("HTTP/1.1 503") and "Retry-After: " in head
    late.close()
    mute.join(5)
    assert len(mute.closes) == 1
