"""Servers behind the gateway that violate HTTP: the process keeps running, the client gets an error, and other clients are not affected."""

import base64
import hashlib
import json
import pathlib
import select
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from certificates import Authority
from clients import connect, frame, handshake, open_session, read_exactly, read_frame, read_head, ready, status_of
from conftest import ROOT, SLUICE
from listeners import Listener
from redis_stack import wait_until

CONFIG = """
installed_apps: [proxy, echo]
auth:
  site: {callback: {url: "http://127.0.0.1:PORT/me", timeout: 1s}}
  keys: {jwt: {jwks: "http://127.0.0.1:PORT/keys", refresh: 1s}}
applications:
  main:
    http:
      - {path: health/live, health: live}
      - {path: "", proxy: {to: "http://127.0.0.1:PORT", read_timeout: 1s, body: 1GiB}}
    websocket:
      - {path: ws/echo/, consumer: echo}
      - {path: ws/site/, consumer: echo, auth: site}
      - {path: ws/keys/, consumer: echo, auth: keys}
      - {path: "<path:rest>", consumer: proxy, to: "ws://127.0.0.1:PORT"}
"""


class Scripted(Listener):
    """A TCP server that reads the head of a request, and then does with the socket what the test says."""

    def __init__(self, server: socket.socket | None = None, tls: ssl.SSLContext | None = None):
        self.script, self.heads, self.tls = lambda sock: None, [], tls
        super().__init__(server=server)

    def serve(self, sock: socket.socket) -> None:
        sock.settimeout(30)
        with self.tls.wrap_socket(sock, server_side=True) if self.tls else sock as sock:
            self.heads.append(self.read_head(sock))
            self.script(sock)

    @staticmethod
    def read_head(sock) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = sock.recv(1)
            if not byte:
                raise ConnectionError
            head += byte
        return head


@pytest.fixture
def upstream():
    upstream = Scripted()
    yield upstream
    upstream.close()


@pytest.fixture
def gateway(upstream, start):
    return start(text=CONFIG.replace("PORT", str(upstream.port)))


def endless(start: bytes, again: bytes, most: int = 64 << 20):
    """Sends something over and over, until the gateway closes the connection or all of it was taken."""

    def script(sock):
        sock.sendall(start)
        block = again * max(1, 65536 // len(again))
        for _ in range(most // len(block)):
            sock.sendall(block)

    return script


def bytes_and_end(*parts: bytes):
    def script(sock):
        for part in parts:
            sock.sendall(part)

    return script


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

# Each must be refused completely: its head is wrong, or never arrives.
HEADS = {
    "status 099": bytes_and_end(b"HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\nno"),
    "status 000": bytes_and_end(b"HTTP/1.1 000 Odd\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"),
    "status 099 without a body": bytes_and_end(b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n" + OK),
    "another protocol": endless(b"HTTP/1.1 101 OK\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", b"x"),
    "6,000 interim answers": bytes_and_end(b"HTTP/1.1 100 Continue\r\n\r\n" * 6000 + OK),
    "endless interim answers": endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "an interim answer with a body": bytes_and_end(b"HTTP/1.1 100 Odd\r\nContent-Length: 5\r\n\r\nhello" + OK),
    "an endless field": endless(b"HTTP/1.1 200 OK\r\nx: ", b"x"),
    "endless fields": endless(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
    "an endless phrase": endless(b"HTTP/1.1 200 ", b"x"),
    "endless empty lines": endless(b"", b"\r\n"),
    "another transfer coding": bytes_and_end(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "half a head": bytes_and_end(b"HTTP/1.1 200 OK\r\nContent-"),
    "nothing": bytes_and_end(),
}


@pytest.mark.report("status-below-100")
@pytest.mark.parametrize("name", HEADS)
def test_an_answer_that_is_none(gateway, upstream, name):
    upstream.script = HEADS[name]
    with open_session(gateway.port, "/ws/echo/") as bystander:
        before = gateway.resident_kib
        assert status_of(gateway.port, b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n") == 502
        token = jwt.encode({"user_id": "7", "exp": 4_000_000_000}, rsa.generate_private_key(65537, 2048), "RS256")
        assert status_of(gateway.port, handshake("/ws/site/", "Cookie: a=b")) == 503
        assert status_of(gateway.port, handshake("/ws/keys/", f"Authorization: Bearer {token}")) == 503
        # A WebSocket upstream's refusal is passed on to the client whatever its transfer coding, so that case is left out.
        assert status_of(gateway.port, handshake("/there")) == (200 if "coding" in name else 502)
        # One line for each, with the reason.
        wait_until(lambda: sum("an upstream did not answer as expected" in line for line in gateway.log) == (2 if "coding" in name else 3))
        wait_until(lambda: sum("the key set was not read" in line for line in gateway.log) == 1)
        grown = gateway.resident_kib - before
        print(f"{name}: {grown} KiB more, {gateway.log[-1]}")
        assert grown < 24 * 1024
        assert status_of(gateway.port, b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n") == 200
        bystander.sendall(frame(1, b"still here"))
        assert read_frame(bystander) == (1, b"still here")


def test_an_answer_that_is_none_by_tls(start, tmp_path):
    authority = Authority(tmp_path)
    authority.issue("server", "localhost")
    upstream = Scripted(tls=authority.server("server"))
    upstream.script = HEADS["status 099"]
    gateway = start(text=f"""
installed_apps: [echo]
applications: {{main: {{http: [{{path: "", proxy: {{to: "https://localhost:{upstream.port}", tls: {{ca: ca.pem}}}}}}]}}}}
""")
    # On a new connection each time.
    for _ in range(3):
        assert status_of(gateway.port, b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n") == 502
    assert len(upstream.heads) == 3
    wait_until(lambda: sum("the server answered with the status 99" in line for line in gateway.log) == 3)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_an_answer_that_is_none_to_the_send_command(tmp_path, kind):
    if kind == "unix":
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(tmp_path / "socket"))
        server.listen()
        upstream = Scripted(server)
        url = f"http+unix://{urllib.parse.quote(str(tmp_path / 'socket'), safe='')}/publish/"
    else:
        upstream = Scripted()
        url = f"http://127.0.0.1:{upstream.port}/publish/"
    upstream.script = HEADS["status 099"]
    file = tmp_path / "routes.yaml"
    file.write_text("""
installed_apps: [echo]
channel_layers: {default: {backend: memory}}
applications: {main: {http: [{path: publish/, publish: {groups: news, anonymous: true}}]}}
""")
    done = subprocess.run(
        [SLUICE, "send", str(file), "news", "1", "--url", url], capture_output=True, text=True, cwd=ROOT, timeout=60,
    )
    print(done)
    assert done.returncode == 1
    assert "the server answered with the status 99" in done.stderr + done.stdout


BODIES = {
    "an endless chunk extension": endless(CHUNKED + b"1;", b"x"),
    "an endless chunk size": endless(CHUNKED, b"0"),
    "an endless trailer": endless(CHUNKED + b"2\r\n{}\r\n0\r\n", b"a: b\r\n"),
    "an endless field in a trailer": endless(CHUNKED + b"2\r\n{}\r\n0\r\na: ", b"x"),
    "garbage between chunks": bytes_and_end(CHUNKED + b"2\r\n{}\r\n", b"!!\r\n"),
    "half a body": bytes_and_end(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
}


@pytest.mark.parametrize("name", BODIES)
def test_an_answer_that_breaks_off(gateway, upstream, name):
    upstream.script = BODIES[name]
    before = gateway.resident_kib
    with connect(gateway.port) as sock:
        sock.sendall(b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = b""
        while part := sock.recv(65536):
            answer += part
    # Whatever part arrived, the client can see that it is not complete.
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 502"))
    assert not answer.endswith(b"0\r\n\r\n") or b" 502 " in answer
    wait_until(lambda: any("an upstream did not answer as expected" in line for line in gateway.log))
    assert status_of(gateway.port, handshake("/ws/site/", "Cookie: a=b")) == 503
    print(f"{name}: {gateway.resident_kib - before} KiB more, {gateway.log[-1]}")
    assert gateway.resident_kib - before < 24 * 1024


def test_a_body_that_does_not_end_or_comes_byte_by_byte(gateway, upstream):
    """The answers of servers for identities and keys are bounded in length and in time."""
    closed = threading.Event()

    def drip(sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while not closed.wait(0.05):
                sock.sendall(b"1\r\n \r\n")
        except OSError:
            closed.set()

    for script in [endless(CHUNKED, b"400\r\n" + b" " * 1024 + b"\r\n"), drip]:
        upstream.script = script
        assert status_of(gateway.port, handshake("/ws/site/", "Cookie: a=b")) == 503
    # The connection is given up, not read on.
    assert closed.wait(10)


def test_a_server_that_speaks_unasked_loses_its_connection(gateway, upstream):
    """Bytes after an answer must not be taken for the answer to the next request."""
    answered, closed = threading.Event(), threading.Event()

    def script(sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst")
        assert answered.wait(20)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        if sock.recv(1) == b"":
            closed.set()

    upstream.script = script
    with connect(gateway.port) as sock:
        sock.sendall(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        read_head(sock)
        sock.settimeout(5)
        assert sock.recv(5) == b"first"
        answered.set()
        assert closed.wait(20)
        upstream.script = bytes_and_end(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond")
        sock.sendall(b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n")
        assert " 200 " in read_head(sock)
        assert read_exactly(sock, 6) == b"second"


def test_a_server_that_reads_nothing_of_an_upload(gateway, upstream):
    """The server neither reads nor answers. The client gets an error after `read_timeout`, even while it is still sending."""
    over = threading.Event()
    upstream.script = lambda sock: over.wait(60)
    with connect(gateway.port, timeout=30) as sock:
        sock.sendall(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        sock.setblocking(False)
        began, sent, answer = time.monotonic(), 0, b""
        while not answer and time.monotonic() - began < 30:
            possible = ready([sock], 1, select.POLLIN | select.POLLOUT)
            if ready([sock], 0):
                answer = sock.recv(65536)
                break
            if possible:
                sent += sock.send(b"u" * 65536)
    over.set()
    print(f"{sent >> 20} MiB were taken, then {answer[:40]}")
    assert answer.startswith(b"HTTP/1.1 504 ")
    wait_until(lambda: any("the server did not read the request" in line for line in gateway.log))


def test_a_server_that_stops_in_the_middle(gateway, upstream):
    """Half an answer, and the connection stays open: it ends after `read_timeout`."""
    over = threading.Event()

    def script(sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        over.wait(60)

    upstream.script = script
    with connect(gateway.port, timeout=30) as sock:
        sock.sendall(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        assert " 200 " in read_head(sock)
        assert sock.recv(100) == b"half"
        assert sock.recv(100) == b""
    over.set()
    wait_until(lambda: any("an upstream did not answer as expected" in line for line in gateway.log))


def test_pings_of_an_upstream_that_does_not_read(gateway, upstream):
    """The gateway would answer each ping. Pongs that the upstream does not read must not pile up."""
    sent = threading.Event()

    def script(sock):
        key = next(line for line in upstream.heads[-1].split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
        digest = hashlib.sha1(key.split(b": ")[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        sock.sendall(
            b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            + base64.b64encode(digest) + b"\r\n\r\n"
        )
        block = (b"\x89\x7d" + b"p" * 125) * 512
        for _ in range(1500):
            sock.sendall(block)
        sent.set()

    upstream.script = script
    before = gateway.resident_kib
    with open_session(gateway.port, "/there"):
        # The gateway may as well stop reading them.
        sent.wait(20)
        grown = gateway.resident_kib - before
    print(f"95 MiB of pings: {grown} KiB more")
    assert grown < 24 * 1024


def probed(port: int) -> list[tuple[str, float]]:
    """The timers of the established connections to a local port, from the kernel: their kind and their seconds."""
    found = []
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[2].endswith(f":{port:04X}") and fields[3] == "01":
            kind, left = fields[5].split(":")
            found.append((kind, int(left, 16) / 100))
    return found


@pytest.mark.parametrize("request_bytes", [
    b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", handshake("/there"), handshake("/ws/site/", "Cookie: a=b"),
])
def test_a_server_that_vanishes_is_found_out(gateway, upstream, request_bytes):
    """The kernel probes a connection that is silent (timer 02 of /proc/net/tcp), the first time after half a minute."""
    over = threading.Event()
    upstream.script = lambda sock: over.wait(60)
    with connect(gateway.port) as sock:
        sock.sendall(request_bytes)
        wait_until(lambda: upstream.heads, 20)
        timers = wait_until(lambda: [timer for timer in probed(upstream.port) if timer[0] != "01"], 20)
        print(timers)
        assert [kind for kind, _ in timers] == ["02"]
        assert timers[0][1] <= 30
    over.set()


def test_a_login_does_not_wait_for_a_key_server_that_hangs(gateway, upstream):
    """If there is a key set, the next one is fetched in the background. Only a key that is not in it has to wait."""
    key = rsa.generate_private_key(65537, 2048)
    numbers = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    body = json.dumps({"keys": [{**numbers, "kid": "one"}]}).encode()
    hangs, given_up = threading.Event(), threading.Event()

    def script(sock):
        if not hangs.is_set():
            return sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        if sock.recv(1) == b"":
            given_up.set()

    upstream.script = script

    def login(name: str) -> int:
        token = jwt.encode({"user_id": "7", "exp": 4_000_000_000}, key, "RS256", headers={"kid": name})
        return status_of(gateway.port, handshake("/ws/keys/", f"Authorization: Bearer {token}"))

    assert login("one") == 101
    hangs.set()
    # The set has to be read again after a second; its server hangs then.
    asked = len(upstream.heads)
    wait_until(lambda: login("one") == 101 and len(upstream.heads) > asked, 20)
    assert not given_up.is_set()
    # Tokens with an unknown key name wait for that answer; valid logins do not wait with them.
    strangers = [threading.Thread(target=login, args=(f"no-{number}",)) for number in range(20)]
    for stranger in strangers:
        stranger.start()
    for _ in range(20):
        assert login("one") == 101
    assert not given_up.is_set(), "a login has waited until the server of the keys was given up"
    for stranger in strangers:
        stranger.join()
    print(f"asked {len(upstream.heads)} times")
    assert len(upstream.heads) <= asked + 2
