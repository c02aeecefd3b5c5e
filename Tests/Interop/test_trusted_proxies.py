"""The client behind a proxy: forwarding fields and the PROXY protocol, and limits for one address."""

import re
import signal
import socket
import socketserver
import ssl
import struct

import pytest

from certificates import Authority
from clients import Server, handshake, read_head, ready
from conftest import Gateway
from redis_stack import wait_until

CONFIG = """
installed_apps: [echo, proxy, broadcast]
channel_layers: {default: {backend: memory}}
server:
  threads: 2
  bind: ["127.0.0.1:0", {address: "127.0.0.2:0", proxy_protocol: true}]
  tls: {certificate: site.pem, key: site.key, bind: {address: "127.0.0.3:0", proxy_protocol: true}}
  trusted_proxies: [127.0.0.1, 127.0.0.5, 10.0.0.0/8]
limits: {handshake: 2s, per_ip: {connections: 2}}
auth:
  django: {callback: {url: "http://127.0.0.1:PORT/auth/"}}
applications:
  main:
    http:
      - {path: events/, events: news}
      - {path: "", proxy: "http://127.0.0.1:PORT"}
    websocket:
      - {path: ws/echo/, consumer: echo}
      - {path: ws/auth/, consumer: echo, auth: django}
      - {path: "<path:rest>", consumer: proxy, to: "ws://127.0.0.1:PORT"}
"""

PROXY, STRANGER = "127.0.0.1", "127.0.0.9"
FORWARDED = ("X-Forwarded-For: 198.51.100.9, 203.0.113.7, 127.0.0.5", "X-Forwarded-Proto: https", "X-Forwarded-Host: example.com")
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


class Answers(socketserver.StreamRequestHandler):
    """Answers each request with its own head: 200, but 403 to a handshake and 401 below /auth/."""

    def handle(self):
        while (head := b"".join(iter(self.rfile.readline, b"\r\n"))).startswith(b"GET"):
            status = b"401 No" if head.startswith(b"GET /auth/") else b"403 No" if b"pgrade:" in head else b"200 OK"
            self.wfile.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(head), head))


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("proxies"))
    authority.issue("site", "localhost")
    return authority


@pytest.fixture(scope="module")
def gateway(authority):
    with Server(Answers) as mirror:
        file = authority.folder / "routes.yaml"
        file.write_text(CONFIG.replace("PORT", str(mirror.port)))
        running = Gateway(file, bind=None)
        wait_until(lambda: len(addresses(running)) == 3)
        yield running
        running.stop()
        mirror.shutdown()


def addresses(gateway) -> dict[str, int]:
    found = (re.search(r"listening on https?://([\d.]+):(\d+)", line) for line in gateway.log)
    return {match[1]: int(match[2]) for match in found if match}


def dial(gateway, source=PROXY, to="127.0.0.1") -> socket.socket:
    return socket.create_connection((to, addresses(gateway)[to]), timeout=20, source_address=(source, 0))


def get(path: str, *fields: str) -> bytes:
    return ("\r\n".join([f"GET {path} HTTP/1.1", "Host: inside:8000", *fields]) + "\r\n\r\n").encode()


def answer(sock) -> tuple[int, str]:
    head = read_head(sock)
    length = re.search(r"(?i)content-length: (\d+)", head)
    body = b""
    while len(body) < int(length[1] if length else 0):
        body += sock.recv(65536)
    return int(head.split(" ")[1]), body.decode()


def told(head: str) -> dict[str, str]:
    fields = dict(line.lower().split(": ", 1) for line in head.splitlines() if ": " in line)
    return {name: fields[name] for name in ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host") if name in fields}


BELIEVED = {"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https", "x-forwarded-host": "example.com"}
OWN = {"x-forwarded-for": STRANGER, "x-forwarded-proto": "http"}


@pytest.mark.report("redirects-for-ever")
@pytest.mark.parametrize("kind", ["http", "websocket", "callback"])
def test_what_a_trusted_proxy_says_of_its_client_is_what_the_server_behind_is_told(gateway, kind):
    request = {
        "http": get("/page/", *FORWARDED),
        "websocket": handshake("/page/", *FORWARDED, host="inside:8000"),
        "callback": handshake("/ws/auth/", *FORWARDED, host="inside:8000"),
    }[kind]
    status = {"http": 200, "websocket": 403, "callback": 401}[kind]
    for source, expected in ((PROXY, BELIEVED), (STRANGER, {**OWN, "x-forwarded-host": "inside:8000"})):
        with dial(gateway, source) as sock:
            sock.sendall(request)
            got, head = answer(sock)
            assert (got, told(head)) == (status, expected)


def test_forwarded_says_the_same_and_each_request_of_a_connection_has_its_own_client(gateway):
    with dial(gateway) as sock:
        for field, address in (("Forwarded: for=198.51.100.1;proto=https", "198.51.100.1"), ("X-Forwarded-For: 2001:db8::1", "2001:db8::1"), ("Accept: */*", PROXY)):
            sock.sendall(get("/page/", field))
            head = answer(sock)[1]
            assert told(head)["x-forwarded-for"] == address
            assert "forwarded: for=" not in head.lower()


@pytest.mark.parametrize("path", ["/ws/echo/", "/events/"])
def test_an_origin_is_compared_with_the_host_and_the_scheme_that_the_browser_used(gateway, path):
    def ask(source, origin, *fields):
        with dial(gateway, source) as sock:
            lines = (f"Origin: {origin}", *fields)
            sock.sendall(get(path, *lines) if path == "/events/" else handshake(path, *lines, host="inside:8000"))
            return int(read_head(sock).split(" ")[1])

    good = 200 if path == "/events/" else 101
    assert ask(PROXY, "https://example.com", *FORWARDED) == good
    assert ask(PROXY, "http://example.com", *FORWARDED) == 403
    assert ask(PROXY, "https://inside:8000", *FORWARDED) == 403
    assert ask(STRANGER, "https://example.com", *FORWARDED) == 403


@pytest.mark.report("peer-is-the-proxy")
def test_the_log_names_the_client_and_says_once_who_is_not_believed(gateway):
    with dial(gateway, STRANGER) as sock:
        sock.sendall(handshake("/nothing/", "X-Forwarded-For: 203.0.113.78"))
        answer(sock)
    with dial(gateway) as sock:
        sock.sendall(handshake("/ws/echo/", "Origin: http://evil.example", "X-Forwarded-For: 203.0.113.77"))
        assert answer(sock)[0] == 403
    wait_until(lambda: any("peer=203.0.113.77" in line for line in gateway.log))
    notes = [line for line in gateway.log if "untrusted peer were ignored" in line]
    assert len(notes) == 1 and 'trusted_proxies: [\\"127.0.0.9\\"]' in notes[0], notes


# MARK: The PROXY protocol


def block(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(body)) + body


V4 = socket.inet_aton("203.0.113.7") + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 4711, 443)


@pytest.mark.report("proxy-protocol")
@pytest.mark.parametrize(
    "header, address",
    [
        (b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n", "203.0.113.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.5"),
        (block(0x21, 0x11, V4 + b"\x04\0\x03abc"), "203.0.113.7"),
        (block(0x20, 0, b""), "127.0.0.5"),
    ],
)
def test_the_proxy_protocol_says_where_a_client_is(gateway, header, address):
    for request, status in ((get("/page/"), 200), (handshake("/page/"), 403)):
        with dial(gateway, "127.0.0.5", "127.0.0.2") as sock:
            sock.sendall(header + request)
            got, head = answer(sock)
            assert (got, told(head)["x-forwarded-for"]) == (status, address)


@pytest.mark.parametrize(
    "header, address",
    [
        # Clients may have addresses of the proxies' network, and the proxy may not know its client.
        (b"PROXY TCP4 10.1.2.3 192.0.2.1 4711 443\r\n", "10.1.2.3"),
        (b"PROXY TCP4 203.0.113.70 192.0.2.1 4711 443\r\n", "203.0.113.70"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.5"),
        (block(0x20, 0, b""), "127.0.0.5"),
    ],
)
def test_fields_behind_a_header_are_the_clients_own_words(gateway, header, address):
    for request, status in ((get("/page/", *FORWARDED), 200), (handshake("/page/", *FORWARDED, host="inside:8000"), 403)):
        with dial(gateway, "127.0.0.5", "127.0.0.2") as sock:
            sock.sendall(header + request)
            got, head = answer(sock)
            assert (got, told(head)) == (status, {"x-forwarded-for": address, "x-forwarded-proto": "http", "x-forwarded-host": "inside:8000"})
    wait_until(lambda: any("were ignored on an address with the PROXY protocol" in line for line in gateway.log))
    assert sum("were ignored on an address with the PROXY protocol" in line for line in gateway.log) == 1


def test_a_client_with_an_address_of_the_proxies_has_a_limit(gateway):
    held = []
    for status in (101, 101, 429):
        held.append(dial(gateway, "127.0.0.5", "127.0.0.2"))
        held[-1].sendall(b"PROXY TCP4 10.1.2.4 192.0.2.1 4711 443\r\n" + handshake("/ws/echo/"))
        assert int(read_head(held[-1]).split(" ")[1]) == status
    for sock in held:
        sock.close()


def test_a_header_may_come_byte_by_byte_and_a_message_right_behind(gateway):
    with dial(gateway, "127.0.0.5", "127.0.0.2") as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"PROXY TCP4 203.0.113.8 192.0.2.1 4711 443\r\n":
            sock.sendall(bytes([byte]))
        sock.sendall(handshake("/ws/echo/") + b"\x81\x82\0\0\0\0hi")
        assert "101" in read_head(sock) and sock.recv(4) == b"\x81\x02hi"


def test_what_is_no_header_is_refused_and_so_is_one_of_a_stranger(gateway):
    for source, header, reason in (
        ("127.0.0.5", b"", "does not begin with a PROXY protocol header"),
        ("127.0.0.5", b"PROXY TCP4 nonsense\r\n", "does not hold two addresses and two ports"),
        (STRANGER, b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n", "not from one of server.trusted_proxies"),
    ):
        with dial(gateway, source, "127.0.0.2") as sock:
            sock.sendall(header + get("/page/"))
            status, body = answer(sock)
            assert status == 400 and reason in body
        wait_until(lambda: any(reason in line for line in gateway.log))


def test_a_stranger_is_refused_before_it_says_anything(gateway):
    """Nothing counts a connection whose client is not known yet, so silent ones would fill the gateway."""
    reason, known = "not from one of server.trusted_proxies", len(gateway.log)
    with dial(gateway, STRANGER, "127.0.0.2") as plain, dial(gateway, STRANGER, "127.0.0.3") as secure:
        status, body = answer(plain)
        assert status == 400 and reason in body
        assert secure.recv(100) == b""
    wait_until(lambda: sum(reason in line for line in gateway.log[known:]) == 2)


OPEN = """
installed_apps: [echo]
server:
  bind: {address: "127.0.0.2:0", proxy_protocol: true}
  tls: {certificate: site.pem, key: site.key, bind: {address: "127.0.0.3:0", proxy_protocol: true}}
limits: {handshake: 60s, per_ip: {connections: 2}}
applications: {main: {websocket: [{path: ws/echo/, consumer: echo}]}}
"""


def test_where_everybody_may_send_a_header_those_without_one_are_counted(authority):
    file = authority.folder / "open.yaml"
    file.write_text(OPEN)
    gateway = Gateway(file, bind=None)
    try:
        wait_until(lambda: len(addresses(gateway)) == 2)

        def session(client: str) -> socket.socket:
            sock = dial(gateway, STRANGER, "127.0.0.2")
            sock.sendall(f"PROXY TCP4 {client} 192.0.2.1 4711 443\r\n".encode() + handshake("/ws/echo/"))
            assert "101" in read_head(sock)
            return sock

        silent = [dial(gateway, STRANGER, "127.0.0.2") for _ in range(3)]
        (refused,) = ready(silent, 20)
        assert refused.recv(100).startswith(b"HTTP/1.1 429")
        silent.remove(refused)
        with dial(gateway, STRANGER, "127.0.0.3") as secure:
            assert secure.recv(100) == b""
        # With its header a connection is its client's, and no longer the proxy's. A proxy has any number of clients.
        silent[0].sendall(b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n" + handshake("/ws/echo/"))
        assert "101" in read_head(silent[0])
        for sock in [*silent, refused, *[session(f"203.0.113.{number}") for number in range(20, 26)]]:
            sock.close()
    finally:
        gateway.stop()


def test_a_header_has_the_time_of_a_handshake(gateway):
    with dial(gateway, "127.0.0.5", "127.0.0.2") as plain, dial(gateway, "127.0.0.5", "127.0.0.3") as secure:
        plain.sendall(b"PROXY ")
        secure.sendall(b"PROXY ")
        assert plain.recv(100).startswith(b"HTTP/1.1 408") and secure.recv(100) == b""


@pytest.mark.parametrize("together", [True, False])
def test_a_header_stands_before_tls(gateway, authority, together):
    read, write = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = authority.client().wrap_bio(read, write, server_hostname="localhost")
    header = block(0x21, 0x11, V4)
    with dial(gateway, "127.0.0.5", "127.0.0.3") as sock:
        if not together:
            sock.sendall(header[:20])
            header = header[20:]

        def call(operation, *arguments):
            nonlocal header
            while True:
                try:
                    result = operation(*arguments)
                    sock.sendall(write.read())
                    return result
                except ssl.SSLWantReadError:
                    sock.sendall(header + write.read())
                    header = b""
                    read.write(sock.recv(65536))

        call(tls.do_handshake)
        call(tls.write, get("/page/"))
        text = call(tls.read, 65536).decode()
        while "\r\n\r\nGET " not in text:
            text += call(tls.read, 65536).decode()
    assert told(text.split("\r\n\r\n", 1)[1]) == {"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https", "x-forwarded-host": "inside:8000"}


# MARK: Limits for one address


def test_an_address_behind_a_proxy_has_its_connections_and_the_proxy_has_no_limit(gateway):
    def open_one(address, request):
        sock = dial(gateway)
        sock.sendall(request(f"X-Forwarded-For: {address}"))
        head = read_head(sock)
        return sock, int(head.split(" ")[1]), head

    def session(field):
        return handshake("/ws/echo/", field)

    def stream(field):
        return get("/events/", field)

    held = [open_one("203.0.113.50", session), open_one("203.0.113.50", stream)]
    assert [status for _, status, _ in held] == [101, 200]
    for request in (session, stream, lambda field: get("/page/", field), lambda field: handshake("/ws/auth/", field)):
        sock, status, head = open_one("203.0.113.50", request)
        assert status == 429 and "retry-after: 5" in head.lower()
        sock.close()
    wait_until(lambda: any("reached its limit of connections" in line and "peer=203.0.113.50" in line for line in gateway.log))
    held.append(open_one("203.0.113.51", session))
    assert held[-1][1] == 101
    held.pop(0)[0].close()

    def again():
        sock, status, _ = open_one("203.0.113.50", session)
        held.append((sock, status, ""))
        return status == 101

    wait_until(again)
    for sock, _, _ in held:
        sock.close()


LIMITS = "limits: {connections: 64, handshake: 60s, per_ip: {connections: 20, handshakes: 1000/s burst 1000}}"


@pytest.mark.report("one-machine-takes-all")
def test_one_machine_cannot_take_all_places(start):
    gateway = start(limits=LIMITS)

    def dial_as(source):
        return socket.create_connection(("127.0.0.1", gateway.port), timeout=20, source_address=(source, 0))

    def ask(source):
        with dial_as(source) as sock:
            sock.sendall(handshake("/ws/echo/"))
            return int(read_head(sock).split(" ")[1])

    # They send nothing, which costs them nothing.
    crowd = [dial_as("127.0.0.7") for _ in range(120)]
    wait_until(lambda: any("reached its limit of connections" in line for line in gateway.log))
    assert ask("127.0.0.7") == 429
    assert [ask("127.0.0.8") for _ in range(20)] == [101] * 20
    for sock in crowd:
        sock.close()
    wait_until(lambda: ask("127.0.0.7") == 101)


def test_an_address_that_comes_too_often_is_told_when_to_come_again(start):
    gateway = start(limits="limits: {per_ip: {handshakes: 1/m burst 3}}")
    statuses = []
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as sock:
            sock.sendall(get("/hello/", "Connection: close"))
            head = read_head(sock)
            statuses.append(int(head.split(" ")[1]))
    assert statuses == [200, 200, 200, 429, 429] and re.search(r"(?i)retry-after: (60|5\d)\r", head)
    wait_until(lambda: any("exceeded its rate of handshakes" in line for line in gateway.log))


def test_a_client_that_resets_at_once_is_not_taken_for_one_of_a_unix_socket(start):
    """The system does not know its address any more; as one of a Unix socket it would have no limit, and could be a trusted proxy."""
    gateway = start(text="""
installed_apps: [echo]
server: {trusted_proxies: [unix]}
limits: {per_ip: {handshakes: 1/m burst 1}}
logging: {sessions: true}
applications: {main: {websocket: [{path: ws/echo/, consumer: echo}]}}
""")
    for _ in range(200):
        sock = socket.create_connection(("127.0.0.1", gateway.port), timeout=20)
        sock.sendall(handshake("/ws/echo/", "X-Forwarded-For: 198.51.100.9"))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    # The last line of the log comes behind those of all of them.
    gateway.process.send_signal(signal.SIGTERM)
    gateway.wait()
    begun = [line for line in gateway.log if "a session began" in line]
    assert len(begun) <= 1
    assert not any("peer=unix" in line or "198.51.100.9" in line for line in gateway.log)
