"""TLS: the gateway with TLS, its certificates, and misbehaving clients."""

import datetime
import fcntl
import hashlib
import http.server
import os
import pathlib
import resource
import signal
import socket
import ssl
import struct
import subprocess
import termios
import threading

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as ws_connect
from websockets.sync.server import serve

from certificates import Authority
from clients import connect, frame, handshake, read_close, read_exactly, read_frame, read_head, ready
from conftest import ROOT, SLUICE
from redis_stack import wait_until
from test_proxy import Upstream

CONFIG = """
installed_apps: [echo, chat, proxy]
channel_layers: {default: {backend: memory}}
server: {threads: 2, tls: TLS}
LIMITS
applications:
  main:
    http:
      - {path: hello/, respond: hello}
      - {path: files/, static: files}
      - {path: "old/<slug:x>/", redirect: "/new/{x}/"}
      - {path: "", proxy: {to: "http://127.0.0.1:PORT", body: 1GiB}}
    websocket:
      - {path: ws/echo/, consumer: echo, limits: {message: 1GiB}}
      - {path: "ws/chat/<slug:room>/", consumer: chat, group: "chat_{room}"}
"""

ONE = "{certificate: site.pem, key: site.key}"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def secure(start, authority, tmp_path):
    """Starts gateways with TLS: `secure()` with a certificate for localhost, or `secure(tls="...")`."""
    authority.issue("site", "localhost", "127.0.0.1")
    (tmp_path / "files").mkdir()

    def begin(tls=ONE, limits="", text=CONFIG, port=1, **options):
        return start(text=text.replace("TLS", tls, 1).replace("PORT", str(port)), limits=limits, **options)

    yield begin


@pytest.fixture
def upstream():
    upstream = Upstream()
    yield upstream
    upstream.hold.set()
    upstream.server.shutdown()
    upstream.server.server_close()


def dial(gateway, authority, name="localhost", context=None, timeout=20) -> ssl.SSLSocket:
    raw = socket.create_connection(("127.0.0.1", gateway.secure_port), timeout=timeout)
    try:
        return (context or authority.client()).wrap_socket(raw, server_hostname=name)
    except BaseException:
        raw.close()
        raise


def session(gateway, authority, path="/ws/echo/", *extra: str) -> ssl.SSLSocket:
    sock = dial(gateway, authority)
    sock.sendall(handshake(path, *extra))
    assert read_head(sock).startswith("HTTP/1.1 101")
    return sock


def serial(sock: ssl.SSLSocket) -> int:
    return int(sock.getpeercert()["serialNumber"], 16)


def descriptors(gateway) -> int:
    return len(list(pathlib.Path(f"/proc/{gateway.process.pid}/fd").iterdir()))


def quiet(gateway, authority) -> int:
    """The descriptors of a gateway that has served a client, and serves none now."""
    if gateway.secure_port:
        session(gateway, authority).close()
    wait_until(lambda: logged(gateway, "started"))
    last = []
    wait_until(lambda: last.append(descriptors(gateway)) or len(last) > 3 and len(set(last[-3:])) == 1)
    return last[-1]


def logged(gateway, text: str) -> bool:
    return any(text in line for line in gateway.log)


# The same gateway.


def test_sessions_over_tls(secure, authority):
    gateway = secure()
    assert logged(gateway, f"listening on https://127.0.0.1:{gateway.secure_port}")
    base, context = f"wss://localhost:{gateway.secure_port}", authority.client()
    with ws_connect(f"{base}/ws/echo/", ssl=context, max_size=None) as client:
        for size in (0, 1, 125, 126, 65535, 65536, 3_000_000):
            client.send(b"x" * size)
            assert client.recv(timeout=20) == b"x" * size
    with ws_connect(f"{base}/ws/chat/a/", ssl=context) as one, ws_connect(f"{base}/ws/chat/a/", ssl=context) as two:
        one.send('{"message": "hello"}')
        assert two.recv(timeout=20) == one.recv(timeout=20) == '{"message": "hello"}'


def test_a_page_must_come_from_this_server_and_by_https(secure, authority):
    gateway = secure()
    port = gateway.secure_port

    def status(host: str, origin: str) -> str:
        with dial(gateway, authority) as sock:
            sock.sendall(handshake("/ws/echo/", f"Origin: {origin}", host=host))
            return read_head(sock).split(" ")[1]

    assert status(f"localhost:{port}", f"https://localhost:{port}") == "101"
    assert status("localhost", "https://localhost") == "101"
    assert status("localhost:443", "https://localhost") == "101"
    assert status(f"localhost:{port}", "https://localhost") == "403"
    assert status(f"localhost:{port}", f"http://localhost:{port}") == "403"
    assert status("localhost", "http://localhost") == "403"


def test_http_over_tls(secure, authority, tmp_path, upstream):
    (tmp_path / "files/page.txt").write_text("from a file")
    gateway = secure(port=upstream.port)
    base = f"https://localhost:{gateway.secure_port}"
    trust = {"verify": str(authority.file)}
    with requests.Session() as client:
        assert client.get(f"{base}/hello/", **trust).text == "hello"
        assert client.get(f"{base}/files/page.txt", **trust).text == "from a file"
        assert client.get(f"{base}/old/x/", allow_redirects=False, **trust).headers["Location"] == "/new/x/"
        sent = client.post(f"{base}/form", data=b"y" * 3_000_000, headers={"X-Forwarded-Proto": "http"}, **trust)
        assert sent.text == "ok"
        assert upstream.header("X-Forwarded-Proto") == ["https"]
        assert upstream.header("X-Forwarded-For") == ["127.0.0.1"]
        assert upstream.header("X-Forwarded-Host") == [f"localhost:{gateway.secure_port}"]
        assert upstream.body_sizes[-1] == 3_000_000


def test_an_upgrade_on_a_kept_connection_is_still_secure(secure, authority):
    gateway = secure()
    with dial(gateway, authority) as sock:
        sock.sendall(b"GET /hello/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_head(sock).startswith("HTTP/1.1 200")
        assert read_exactly(sock, 5) == b"hello"
        sock.sendall(handshake("/ws/echo/", "Origin: http://localhost"))
        assert read_head(sock).startswith("HTTP/1.1 403")
    with dial(gateway, authority) as sock:
        sock.sendall(b"GET /hello/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        read_head(sock), read_exactly(sock, 5)
        sock.sendall(handshake("/ws/echo/", "Origin: https://localhost"))
        assert read_head(sock).startswith("HTTP/1.1 101")
        sock.sendall(frame(1, b"hi"))
        assert read_frame(sock) == (1, b"hi")


def test_plain_http_on_an_address_of_its_own(secure, authority):
    gateway = secure(tls="{certificate: site.pem, key: site.key, bind: '127.0.0.1:0'}")
    wait_until(lambda: logged(gateway, "started"))
    assert requests.get(f"http://127.0.0.1:{gateway.port}/hello/").text == "hello"
    with session(gateway, authority) as sock:
        sock.sendall(frame(1, b"hi"))
        assert read_frame(sock) == (1, b"hi")


def test_tls_on_a_unix_socket(secure, authority, tmp_path):
    path = tmp_path / "gateway.sock"
    secure(bind=f"unix:{path}")
    raw = socket.socket(socket.AF_UNIX)
    raw.settimeout(20)
    raw.connect(str(path))
    with authority.client().wrap_socket(raw, server_hostname="localhost") as sock:
        sock.sendall(b"GET /hello/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert read_head(sock).startswith("HTTP/1.1 200")
        assert read_exactly(sock, 5) == b"hello"
        assert sock.recv(1) == b""


# Versions and certificates.


def test_old_versions_are_refused(secure, authority):
    gateway = secure()
    old = authority.client()
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        dial(gateway, authority, context=old)
    wait_until(lambda: logged(gateway, "versions of TLS that are too old"))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        exact = authority.client(minimum_version=version, maximum_version=version)
        with dial(gateway, authority, context=exact) as sock:
            assert sock.version() == version.name.replace("_", ".")


def test_only_the_newest_version_where_that_is_asked_for(secure, authority):
    gateway = secure(tls="{certificate: site.pem, key: site.key, minimum_version: 1.3}")
    with pytest.raises(ssl.SSLError):
        dial(gateway, authority, context=authority.client(maximum_version=ssl.TLSVersion.TLSv1_2))
    with dial(gateway, authority) as sock:
        assert sock.version() == "TLSv1.3"


def test_no_other_protocol_than_http_1(secure, authority):
    gateway = secure()
    both = authority.client()
    both.set_alpn_protocols(["h2", "http/1.1"])
    with dial(gateway, authority, context=both) as sock:
        assert sock.selected_alpn_protocol() == "http/1.1"


KEYS = {
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
}


@pytest.mark.parametrize("passphrase", [None, "open sesame"])
@pytest.mark.parametrize("kind", KEYS)
def test_a_key_of_each_kind_is_served(secure, authority, tmp_path, kind, passphrase):
    (tmp_path / "phrase").write_text("open sesame")
    number = authority.issue("own", "localhost", key=KEYS[kind](), passphrase=passphrase)
    phrase = ", passphrase: {file: phrase}" if passphrase else ""
    gateway = secure(tls="{certificate: own.pem, key: own.key" + phrase + "}")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with dial(gateway, authority, context=authority.client(maximum_version=version)) as sock:
            assert serial(sock) == number


def test_the_name_chooses_the_certificate(secure, authority):
    serials = {
        "site": authority.issue("site", "localhost"),
        "one": authority.issue("one", "one.example", "www.one.example"),
        "many": authority.issue("many", "*.many.example", "many.example"),
        "special": authority.issue("special", "*.many.example", "api.many.example"),
    }
    gateway = secure(tls="""{certificates: [
  {certificate: site.pem, key: site.key},
  {certificate: one.pem, key: one.key},
  {certificate: many.pem, key: many.key},
  {certificate: special.pem, key: special.key, names: [api.many.example]}]}""")
    lax = ssl.create_default_context(cafile=authority.file)
    lax.check_hostname = False

    def shown(name) -> str:
        with dial(gateway, authority, name=name, context=lax) as sock:
            return next(file for file, number in serials.items() if number == serial(sock))

    assert [shown(name) for name in ("localhost", "one.example", "WWW.one.example", "many.example", "a.many.example")] == [
        "site", "one", "one", "many", "many"]
    assert [shown(name) for name in ("api.many.example", "a.b.many.example", "unknown.example", None)] == [
        "special", "site", "site", "site"]


def test_a_key_with_a_passphrase(secure, authority):
    authority.issue("locked", "localhost", passphrase="open sesame")
    tls = "{certificate: locked.pem, key: locked.key, passphrase: {env: PHRASE}}"
    gateway = secure(tls=tls, env={"PHRASE": "open sesame"})
    session(gateway, authority).close()


def test_a_key_from_a_secret(secure, authority, tmp_path):
    authority.issue("other", "localhost")
    gateway = secure(
        tls="{certificate: other.pem, key: {env: KEY}}", env={"KEY": (tmp_path / "other.key").read_text()})
    session(gateway, authority).close()
    gateway = secure(tls="{certificate: other.pem, key: {file: other.key}, names: [localhost, LOCALHOST]}")
    session(gateway, authority).close()


# SIGHUP.


def test_new_certificates_without_losing_anybody(secure, authority):
    gateway = secure()
    with session(gateway, authority) as old:
        before = serial(old)
        after = authority.issue("site", "localhost")
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: logged(gateway, "the certificates were reloaded"))
        assert gateway.says("the file was reloaded", "stayed=1")
        with session(gateway, authority) as new:
            assert serial(new) == after != before
        old.sendall(frame(1, b"still here"))
        assert read_frame(old) == (1, b"still here")


def test_a_bad_certificate_changes_nothing(secure, authority, tmp_path):
    gateway = secure()
    with session(gateway, authority) as sock:
        before = serial(sock)
    good = (tmp_path / "site.key").read_bytes()
    authority.issue("other", "localhost")
    (tmp_path / "site.key").write_bytes((tmp_path / "other.key").read_bytes())
    gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: logged(gateway, "were not reloaded"))
    assert logged(gateway, "the key does not belong to the certificate")
    (tmp_path / "site.pem").unlink()
    gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: logged(gateway, "there is no such file"))
    with session(gateway, authority) as sock:
        assert serial(sock) == before
    (tmp_path / "site.key").write_bytes(good)


def test_without_tls_only_the_file_is_read_again(gateway):
    with connect(gateway.port) as sock:
        sock.sendall(handshake("/ws/echo/"))
        read_head(sock)
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: logged(gateway, "the file was reloaded"))
        sock.sendall(frame(1, b"still here"))
        assert read_frame(sock) == (1, b"still here")


# The messages of `validate`.


def test_what_is_wrong_with_certificates_is_found_at_its_place(authority, tmp_path):
    authority.issue("a", "a.example", "*.a.example")
    authority.issue("b", "b.example", "a.example")
    authority.issue("old", "old.example", ends=datetime.timedelta(hours=-1))
    authority.issue("early", "early.example", begins=datetime.timedelta(days=30), ends=datetime.timedelta(days=60))
    authority.issue("locked", "locked.example", passphrase="open sesame")
    authority.issue("open", "open.example")
    authority.issue("weak", "weak.example", key=rsa.generate_private_key(65537, 1024))
    (tmp_path / "open.key").chmod(0o644)
    (tmp_path / "phrase").write_text("wrong\n")
    (tmp_path / "text.pem").write_text("hello\n")
    (tmp_path / "text.pem").chmod(0o644)  # what is no key is not said to be exposed
    (tmp_path / "empty.pem").write_text("")
    file = tmp_path / "routes.yaml"
    file.write_text("""
installed_apps: [echo]
server:
  tls:
    certificates:
      - {certificate: a.pem, key: a.key, names: [a.example, x.a.example, x.y.a.example, 127.0.0.1, "a.*"]}
      - {certificate: b.pem, key: b.key}
      - {certificate: a.pem, key: b.key}
      - {certificate: missing.pem, key: a.key}
      - {certificate: text.pem, key: a.pem}
      - {certificate: a.key, key: text.pem}
      - {certificate: old.pem, key: old.key}
      - {certificate: early.pem, key: early.key}
      - {certificate: locked.pem, key: locked.key}
      - {certificate: locked.pem, key: locked.key, passphrase: {file: phrase}}
      - {certificate: open.pem, key: open.key}
      - {certificate: a.pem}
      - {certificate: empty.pem, key: empty.pem}
      - {certificate: weak.pem, key: weak.key}
    minimum_version: 1.1
applications: {main: {websocket: [{path: ws/echo/, consumer: echo}]}}
""")
    done = subprocess.run([SLUICE, "validate", str(file)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    lines = (done.stdout + done.stderr).splitlines()
    found = set()
    for index, line in enumerate(lines):
        if line.startswith(("error[", "warning[")):
            found.add((int(lines[index + 1].split(":")[1]), line))
    assert found == {
        (6, 'error[invalid-certificate]: the certificate is not for "x.y.a.example"'),
        (6, 'error[invalid-value]: "127.0.0.1" is not a valid server name'),
        (6, 'error[invalid-value]: "a.*" is not a valid server name'),
        (7, 'error[duplicate-name]: two certificates are for the server name "a.example"'),
        (8, "error[invalid-certificate]: the key does not belong to the certificate"),
        (9, 'error[unreadable-file]: "missing.pem" cannot be read: there is no such file'),
        (10, 'error[invalid-certificate]: "text.pem" contains no valid certificate in PEM format'),
        (10, "error[invalid-certificate]: the value is not a key in PEM format"),
        (11, 'error[invalid-certificate]: "a.key" contains no valid certificate in PEM format'),
        (11, "error[invalid-certificate]: the value is not a key in PEM format"),
        (12, f"warning[certificate-dates]: the certificate expired on {utc(datetime.timedelta(hours=-1))}"),
        (13, f"warning[certificate-dates]: the certificate is not valid before {utc(datetime.timedelta(days=29))}"),
        (14, "error[invalid-certificate]: the key is encrypted"),
        (15, "error[invalid-certificate]: the passphrase does not open the key, or the key is damaged"),
        (16, "warning[exposed-key]: every user of this machine can read the key"),
        (17, 'error[missing-key]: a certificate needs "key"'),
        (18, 'error[invalid-certificate]: "empty.pem" contains no valid certificate in PEM format'),
        (18, "error[invalid-certificate]: the value is not a key in PEM format"),
        (19, "error[invalid-certificate]: the key of the certificate is too short to be secure"),
        (20, 'error[invalid-value]: "1.1" is not a value for "minimum_version"'),
    }
    hints = [line.partition("^ ")[2] for line in lines if "^ " in line]
    assert hints.count("the file contains a certificate") == hints.count("the file contains a key") == 1
    assert hints.count("the file is empty") == 2
    assert {f"chmod o-r {tmp_path / 'open.key'}", "renew it: clients refuse an expired certificate", "clients refuse it until then"} <= set(hints)


def utc(later: datetime.timedelta) -> str:
    return (datetime.datetime.now(datetime.timezone.utc) + later).strftime("%Y-%m-%d")


# Misbehaving clients.


@pytest.mark.parametrize("said, reason", [
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "the client speaks plain HTTP"),
    (b"\x00" * 100, "the client does not speak TLS"),
])
def test_whoever_speaks_something_else_is_closed(secure, authority, said, reason):
    gateway = secure()
    with connect(gateway.secure_port) as sock:
        sock.sendall(said)
        try:
            while sock.recv(1024):
                pass
        except ConnectionResetError:
            pass
    wait_until(lambda: logged(gateway, reason))
    session(gateway, authority).close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_whoever_does_not_trust_the_certificate_is_told_of_in_the_log(secure, authority, version):
    gateway = secure()
    stranger = ssl.create_default_context()
    stranger.minimum_version = stranger.maximum_version = version
    with pytest.raises(ssl.SSLCertVerificationError):
        dial(gateway, authority, context=stranger)
    wait_until(lambda: logged(gateway, "not trust the certificate"))


def test_a_handshake_has_its_time(secure, authority):
    gateway = secure(limits="limits: {handshake: 500ms}")
    before = quiet(gateway, authority)
    with connect(gateway.secure_port) as silent, connect(gateway.secure_port) as half, dial(gateway, authority) as mute:
        # The first bytes of a client's hello.
        half.sendall(bytes.fromhex("1603010200010001fc0303"))
        assert silent.recv(1) == b""
        assert half.recv(1) == b""
        assert read_head(mute).startswith("HTTP/1.1 408")
    wait_until(lambda: descriptors(gateway) <= before)
    session(gateway, authority).close()


def test_connections_are_limited_also_before_their_handshake(secure, authority):
    gateway = secure(limits="limits: {connections: 10, handshake: 60s}")
    before = quiet(gateway, authority)
    idle = [connect(gateway.secure_port) for _ in range(40)]
    # Ten connections, and some that would be refused with an answer.
    wait_until(lambda: len(ready(idle, 0)) >= 40 - 26)
    ended = ready(idle, 0)
    assert len(ended) == 40 - 26 and all(sock.recv(1) == b"" for sock in ended)
    wait_until(lambda: descriptors(gateway) <= before + 3 * 26)
    for sock in idle:
        sock.close()
    wait_until(lambda: descriptors(gateway) <= before)
    session(gateway, authority).close()


def client_hello(authority) -> bytes:
    """The first flight of a client."""
    hello = ssl.MemoryBIO()
    client = authority.client().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return hello.read()


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_handshakes_that_fail_are_counted_and_told(secure, authority):
    """Whoever sends nothing, as the health check of a load balancer, is none of them, however it ends."""
    gateway = secure(limits="limits: {handshake: 400ms}")
    wait_until(lambda: logged(gateway, "started"))
    hello = client_hello(authority)
    silent = connect(gateway.secure_port)
    for end in (reset, socket.socket.close) * 2:
        end(connect(gateway.secure_port))

    def told(reason: str, count: int = 1) -> bool:
        return sum("a TLS handshake failed" in line and reason in line for line in gateway.log) == count

    for part, count in ((hello[:100], 1), (hello, 2)):
        sock = connect(gateway.secure_port)
        sock.sendall(part)
        if part is hello:
            sock.recv(100)
        else:
            threading.Event().wait(0.1)
        reset(sock)
        wait_until(lambda: told('reason="Connection reset by peer"', count))
    with connect(gateway.secure_port) as sock:
        sock.sendall(hello)
        sock.shutdown(socket.SHUT_WR)
        wait_until(lambda: told('reason="the client closed the connection"'))
    with connect(gateway.secure_port) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: told('reason="the client speaks plain HTTP"'))
    # Whose time is over has no line.
    with connect(gateway.secure_port) as half:
        half.sendall(hello[:100])
        assert half.recv(1) == b""
    assert silent.recv(1) == b""
    silent.close()
    assert gateway.stop() == 0
    assert told("", 4)
    assert logged(gateway, "tls-failures=5")


def test_clients_that_reset_leave_nothing(secure, authority):
    gateway = secure()
    before = quiet(gateway, authority)
    hello = client_hello(authority)
    for index in range(200):
        sock = connect(gateway.secure_port)
        sock.sendall(hello[: len(hello) * (index % 5) // 4])
        if index % 5 == 4:
            sock.recv(100)
        reset(sock)
    for index in range(50):
        reset(session(gateway, authority))
    wait_until(lambda: descriptors(gateway) <= before)
    session(gateway, authority).close()


def test_a_client_that_ends_without_a_farewell_is_gone(secure, authority):
    gateway = secure()
    with session(gateway, authority, "/ws/chat/a/") as other:
        sock = session(gateway, authority, "/ws/chat/a/")
        before = descriptors(gateway)
        raw = socket.socket(fileno=sock.detach())
        raw.close()
        wait_until(lambda: descriptors(gateway) == before - 1)
        other.sendall(frame(1, b'{"message": 1}'))
        assert read_frame(other) == (1, b'{"message": 1}')


def test_messages_of_a_client_that_resets_at_once_are_published(secure, authority):
    """The client does not read its own messages, so closing resets the connection while most of them wait in the gateway."""
    gateway = secure()
    with session(gateway, authority, "/ws/chat/a/") as other:
        sock = session(gateway, authority, "/ws/chat/a/")
        messages = [b'{"message": %d}' % index for index in range(3000)]
        sock.sendall(b"".join(frame(1, message) for message in messages))
        # The gateway's side has all of it, or the reset would discard some here.
        wait_until(lambda: struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0] == 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        assert [read_frame(other)[1] for _ in messages] == messages


# Large transfers, and slow ones.


@pytest.mark.alone
def test_a_file_that_no_descriptors_are_left_for_is_refused(secure, authority, tmp_path):
    """The service of files is behind a pair of sockets."""
    (tmp_path / "files" / "a.txt").write_text("a file")
    gateway = secure()
    hello, file = (f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for path in ("hello/", "files/a.txt"))
    one, other = dial(gateway, authority), dial(gateway, authority)
    for sock in (one, other):
        sock.sendall(hello)
        assert read_head(sock).startswith("HTTP/1.1 200") and read_exactly(sock, 5) == b"hello"
    pid = gateway.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
    # Whatever is free below.
    holes = [connect(gateway.secure_port) for _ in range(100)]
    wait_until(lambda: logged(gateway, "could not be accepted"))
    one.sendall(file)
    head = read_head(one)
    assert head.startswith("HTTP/1.1 503") and "Connection: close\r\n" in head
    other.sendall(hello)
    assert read_head(other).startswith("HTTP/1.1 200") and read_exactly(other, 5) == b"hello"
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    for sock in holes:
        sock.close()
    other.sendall(file)
    assert read_head(other).startswith("HTTP/1.1 200") and read_exactly(other, 6) == b"a file"
    other.close()
    assert gateway.stop() == 0


def digest(sock, count: int) -> str:
    seen = hashlib.sha256()
    while count:
        part = sock.recv(min(count, 1 << 20))
        assert part, "the connection ended"
        seen.update(part)
        count -= len(part)
    return seen.hexdigest()


MUCH = 64 << 20
# Kernel buffers do not belong to the process; its own memory is a few hundred KiB for each connection.
ALLOWED = 16 << 10


def wait_until_stuck(sent: list[int]) -> None:
    """Waits until a sender has made no progress for a while."""
    last = -1
    while sent[0] != last:
        last = sent[0]
        threading.Event().wait(0.7)


def test_much_is_echoed_to_a_client_that_reads_late(secure, authority):
    gateway = secure()
    with session(gateway, authority) as sock:
        sock.sendall(frame(2, b"w" * 100_000))
        read_frame(sock)
        before = gateway.resident_kib
        body = bytes(range(256)) * 1024
        one, count, sent = frame(2, body), MUCH // len(body), [0]
        # Two directions at a time, because the client's TLS is not made for two threads.
        sock.setblocking(False)
        pending = memoryview(one * count)

        def send_some() -> int:
            nonlocal pending
            moved = 0
            while pending:
                try:
                    number = sock.send(pending[: 1 << 16])
                except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    break
                moved += number
                pending = pending[number:]
            return moved

        idle = 0
        while idle < 8:
            idle = 0 if send_some() else idle + 1
            threading.Event().wait(0.1)
        assert pending, "nothing made the sender wait"
        assert gateway.resident_kib < before + ALLOWED
        received, expected = hashlib.sha256(), hashlib.sha256()
        head = b"\x82\x7f" + struct.pack("!Q", len(body))
        for _ in range(count):
            expected.update(head + body)
        left = count * (len(head) + len(body))
        while left:
            send_some()
            try:
                part = sock.recv(1 << 16)
                assert part
                received.update(part)
                left -= len(part)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                threading.Event().wait(0.001)
        assert received.digest() == expected.digest()
        assert gateway.resident_kib < before + 2 * ALLOWED


@pytest.mark.parametrize("kind", ["static", "proxy"])
def test_much_is_sent_to_a_client_that_reads_late(secure, authority, tmp_path, upstream, kind):
    data = b"x" * MUCH
    (tmp_path / "files/much").write_bytes(data)
    gateway = secure(port=upstream.port)
    path, size = {"static": ("/files/much", MUCH), "proxy": ("/big", 209715200)}[kind]
    requests.get(f"https://localhost:{gateway.secure_port}/hello/", verify=str(authority.file))
    before = gateway.resident_kib
    with dial(gateway, authority) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head = read_head(sock)
        assert head.startswith("HTTP/1.1 200"), head
        threading.Event().wait(1.5)
        assert gateway.resident_kib < before + ALLOWED
        expected = hashlib.sha256()
        for _ in range(size >> 20):
            expected.update(b"x" * (1 << 20))
        assert digest(sock, size) == expected.hexdigest()
        assert sock.recv(1) == b""
        assert gateway.resident_kib < before + 2 * ALLOWED


def test_a_slow_reader_gets_the_end_of_the_last_answer(secure, authority, tmp_path):
    """The whole answer fits into the buffers on its way: the gateway is done with it long before its client is."""
    (tmp_path / "files/slow").write_bytes(b"z" * 250_000)
    gateway = secure()
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.settimeout(20)
    raw.connect(("127.0.0.1", gateway.secure_port))
    with authority.client().wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False) as sock:
        sock.sendall(b"GET /files/slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert read_head(sock).startswith("HTTP/1.1 200")
        # Longer than a connection lingers, and than the input of a broken one is kept.
        threading.Event().wait(8)
        assert read_exactly(sock, 250_000) == b"z" * 250_000
        assert sock.recv(1) == b""


def test_much_is_sent_up_to_an_upstream(secure, authority, upstream):
    gateway = secure(port=upstream.port)
    base = f"https://localhost:{gateway.secure_port}"
    requests.get(f"{base}/hello/", verify=str(authority.file))
    before = gateway.resident_kib
    assert requests.post(f"{base}/up", data=b"y" * MUCH, verify=str(authority.file)).text == "ok"
    assert upstream.body_sizes[-1] == MUCH
    assert gateway.resident_kib < before + 2 * ALLOWED


# The end of connections.


def test_a_stop_says_farewell_also_in_tls(secure, authority):
    gateway = secure()
    socks = [session(gateway, authority) for _ in range(20)]
    gateway.process.send_signal(signal.SIGTERM)
    for sock in socks:
        # Without TLS's close_notify the end would be an error.
        sock.suppress_ragged_eofs = False
        assert read_close(sock) in [(1012, "restarting; retry in 1.1s"), (1012, "restarting; retry in 1.2s")]
        sock.sendall(frame(8, struct.pack("!H", 1012)))
        assert sock.recv(1) == b""
        sock.unwrap().close()
    assert gateway.process.wait(20) == 0
    wait_until(lambda: logged(gateway, "stopped"))


def test_a_stop_does_not_wait_for_clients_that_never_said_hello(secure, authority):
    gateway = secure(limits="shutdown: {grace: 1h}\nlimits: {handshake: 60s}")
    with connect(gateway.secure_port), dial(gateway, authority):
        assert gateway.stop(timeout=10) == 0


def test_a_second_signal_ends_tls_at_once_too(secure, authority):
    gateway = secure(limits="shutdown: {grace: 1h}")
    with session(gateway, authority) as sock:
        gateway.process.send_signal(signal.SIGTERM)
        read_close(sock)
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(10) == 0


def test_the_last_answer_arrives_whole_before_the_end(secure, authority, tmp_path):
    (tmp_path / "files/answer").write_bytes(b"z" * 3_000_000)
    gateway = secure(limits="shutdown: {grace: 20s}")
    with dial(gateway, authority) as sock:
        sock.suppress_ragged_eofs = False
        sock.sendall(b"GET /files/answer HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_head(sock).startswith("HTTP/1.1 200")
        gateway.process.send_signal(signal.SIGTERM)
        assert read_exactly(sock, 3_000_000) == b"z" * 3_000_000
        assert sock.recv(1) == b""
    assert gateway.process.wait(20) == 0


def test_a_client_that_has_said_farewell_still_gets_its_answer(secure, authority, tmp_path):
    """RFC 8446 section 6.1: a client that sends no more may still read."""
    (tmp_path / "files/answer").write_bytes(b"z" * 1_000_000)
    gateway = secure()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = authority.client().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with connect(gateway.secure_port) as sock:

        def until_done(action):
            while True:
                try:
                    result = action()
                except ssl.SSLWantReadError:
                    result = None
                sock.sendall(outgoing.read())
                if result is not None:
                    return result
                part = sock.recv(65536)
                if part:
                    incoming.write(part)
                else:
                    incoming.write_eof()

        until_done(lambda: client.do_handshake() or True)
        client.write(b"GET /files/answer HTTP/1.1\r\nHost: localhost\r\n\r\n")
        sock.sendall(outgoing.read())
        with pytest.raises(ssl.SSLWantReadError):
            client.unwrap()
        sock.sendall(outgoing.read())
        answer = b""
        while len(answer) < 1_000_000:
            part = until_done(lambda: client.read(65536))
            assert part, len(answer)
            answer += part
        assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("has_session", [True, False])
@pytest.mark.parametrize("says_farewell", [True, False])
def test_a_client_that_ends_its_half_is_told_farewell(secure, authority, has_session, says_farewell):
    """RFC 8446 section 6.1: whoever closes its side says so first, also to a client that has not."""
    gateway = secure()
    with (session if has_session else dial)(gateway, authority) as sock:
        if has_session:
            sock.sendall(frame(1, b"hello"))
            assert read_frame(sock) == (1, b"hello")
        sock.suppress_ragged_eofs = False
        if says_farewell:
            sock.unwrap().close()
        else:
            # That of an SSLSocket would forget TLS, too.
            socket.socket.shutdown(sock, socket.SHUT_WR)
            assert sock.recv(1) == b""


# Upstreams with TLS.


@pytest.fixture
def secure_echo(authority):
    authority.issue("upstream", "localhost", "127.0.0.1")
    requests_seen = []

    def handle(connection):
        requests_seen.append(connection.request)
        for message in connection:
            connection.send(message)

    server = serve(handle, "127.0.0.1", 0, ssl=authority.server("upstream"), max_size=None, compression=None)
    server.requests_seen = requests_seen
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


PROXY = """
installed_apps: [proxy]
applications:
  main:
    websocket:
      allowed_hosts: ["*"]
      routes:
        - {path: trusted/, consumer: proxy, to: "wss://localhost:PORT", tls: {ca: ca.pem}, limits: {message: 100MiB}}
        - {path: address/, consumer: proxy, to: "wss://127.0.0.1:PORT", tls: {ca: ca.pem}}
        - {path: strange/, consumer: proxy, to: "wss://localhost:PORT"}
        - {path: blind/, consumer: proxy, to: "wss://localhost:PORT", tls: {verify: false}}
        - {path: mute/, consumer: proxy, to: "wss://localhost:MUTE", connect_timeout: 300ms}
        - {path: closed/, consumer: proxy, to: "wss://localhost:1"}
"""


def test_an_upstream_behind_tls(start, secure_echo):
    port = secure_echo.socket.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as mute:
        gateway = start(text=PROXY.replace("PORT", str(port)).replace("MUTE", str(mute.getsockname()[1])))
        before = quiet(gateway, None)
        for path in ("trusted", "address", "blind"):
            with ws_connect(gateway.ws(f"/{path}/"), max_size=None, compression=None) as client:
                for message in ("hello", b"x" * 900_000):
                    client.send(message)
                    assert client.recv(timeout=20) == message
        with ws_connect(gateway.ws("/trusted/"), max_size=None, compression=None) as client:
            client.send(b"y" * MUCH)
            assert len(client.recv(timeout=60)) == MUCH
        assert secure_echo.requests_seen[0].headers["X-Forwarded-Proto"] == "http"
        for path, status in (("strange", 502), ("mute", 502), ("closed", 502)):
            with pytest.raises(InvalidStatus) as refused:
                ws_connect(gateway.ws(f"/{path}/"))
            assert refused.value.response.status_code == status, path
        wait_until(lambda: descriptors(gateway) <= before)
    assert logged(gateway, "the certificate of the server is not trusted")


def test_a_reload_reads_the_authorities_of_an_upstream_again(start, authority, secure_echo, tmp_path):
    right = authority.file.read_bytes()
    (tmp_path / "other").mkdir()
    authority.file.write_bytes(Authority(tmp_path / "other").file.read_bytes())
    gateway = start(text=PROXY.replace("PORT", str(secure_echo.socket.getsockname()[1])).replace("MUTE", "1"))
    with pytest.raises(InvalidStatus) as refused:
        ws_connect(gateway.ws("/trusted/"))
    assert refused.value.response.status_code == 502
    authority.file.write_bytes(right)
    gateway.process.send_signal(signal.SIGHUP)
    assert gateway.says("the file was reloaded")
    with ws_connect(gateway.ws("/trusted/")) as client:
        client.send("hello")
        assert client.recv(timeout=20) == "hello"


@pytest.fixture
def secure_pages(authority):
    authority.issue("pages", "localhost")

    class Page(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"hidden")

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request, client_address):
            pass  # whoever does not trust it goes away

    server = Server(("127.0.0.1", 0), Page)
    server.socket = authority.server("pages").wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_http_upstreams_behind_tls(start, secure_pages):
    gateway = start(text="""
installed_apps: []
applications:
  main:
    http:
      - {path: trusted/, proxy: {to: "https://localhost:PORT", tls: {ca: ca.pem}}}
      - {path: strange/, proxy: "https://localhost:PORT"}
      - {path: renamed/, proxy: {to: "https://127.0.0.1:PORT", tls: {ca: ca.pem}}}
      - {path: blind/, proxy: {to: "https://localhost:PORT", tls: {verify: false}}}
""".replace("PORT", str(secure_pages)))
    answers = {path: requests.get(gateway.http(f"/{path}/")) for path in ("trusted", "blind", "strange", "renamed")}
    assert {path: answer.status_code for path, answer in answers.items()} == {
        "trusted": 200, "blind": 200, "strange": 502, "renamed": 502}
    assert answers["trusted"].text == answers["blind"].text == "hidden"
    wait_until(lambda: logged(gateway, "the certificate of the server is not trusted"))
    wait_until(lambda: logged(gateway, "the certificate of the server is for another name"))


def test_an_http_upstream_that_never_says_hello_does_not_answer(start):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        gateway = start(text="""
installed_apps: []
applications: {main: {http: [{path: x/, proxy: {to: "https://127.0.0.1:PORT", connect_timeout: 300ms}}]}}
""".replace("PORT", str(mute.getsockname()[1])))
        assert requests.get(gateway.http("/x/")).status_code == 504


def test_sessions_between_two_tls_connections_count_once(secure, authority, secure_echo):
    gateway = secure(port=secure_echo.socket.getsockname()[1], limits="limits: {connections: 40}", text="""
installed_apps: [proxy]
server: {threads: 2, tls: TLS}
LIMITS
applications: {main: {websocket: [{path: up/, consumer: proxy, to: "wss://localhost:PORT", tls: {ca: ca.pem}}]}}
""")
    socks = [session(gateway, authority, "/up/") for _ in range(40)]
    for sock in socks:
        sock.sendall(frame(1, b"hi"))
        assert read_frame(sock) == (1, b"hi")
        sock.close()


def dialing(port: int) -> int:
    """Connections to a port that are not established yet (SYN_SENT)."""
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(fields[2].endswith(f":{port:04X}") and fields[3] == "02" for fields in map(str.split, lines))


def test_a_stop_does_not_wait_for_an_upstream_that_is_not_reached(start):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        crowd = [socket.socket() for _ in range(4)]
        for sock in crowd:
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        before = dialing(port)
        assert before > 0
        gateway = start(text="""
installed_apps: [proxy]
shutdown: {grace: 1h}
limits: {handshake: 60s}
applications:
  main:
    websocket: [{path: up/, consumer: proxy, to: "wss://127.0.0.1:PORT", connect_timeout: 1h}]
""".replace("PORT", str(port)))
        with connect(gateway.port) as sock:
            sock.sendall(handshake("/up/"))
            wait_until(lambda: dialing(port) > before)
            gateway.process.send_signal(signal.SIGTERM)
            assert read_head(sock).startswith("HTTP/1.1 503")
        assert gateway.process.wait(10) == 0
        for sock in crowd:
            sock.close()


def test_a_closing_handshake_goes_through_both_tls_connections(secure, authority, secure_echo, start):
    port = secure_echo.socket.getsockname()[1]
    gateway = start(text=PROXY.replace("PORT", str(port)).replace("MUTE", "1"))
    with ws_connect(gateway.ws("/trusted/")) as client:
        client.close(4321, "enough")
    wait_until(lambda: secure_echo.requests_seen)
    with ws_connect(gateway.ws("/trusted/")) as client:
        client.send("x")
        client.recv(timeout=20)
        gateway.process.send_signal(signal.SIGTERM)
        with pytest.raises(Exception) as ended:
            client.recv(timeout=20)
        assert ended.value.rcvd.code == 1012
    assert gateway.process.wait(20) == 0
