"""SIGTERM and SIGINT: sessions end with a close frame and a closing handshake, never with a bare drop."""

import signal
import socket
import struct
import threading
import time

import pytest

from certificates import Authority
from conftest import Gateway
from clients import connect, frame, handshake, open_session, read_close, read_head
from redis_stack import wait_until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_clients_are_told_and_the_exit_is_good(gateway, number):
    socks = [open_session(gateway.port, "/ws/echo/") for _ in range(20)]
    gateway.process.send_signal(number)
    for sock in socks:
        code, reason = read_close(sock)
        assert code == 1012 and reason in ("restarting; retry in 1.1s", "restarting; retry in 1.2s")
        sock.sendall(frame(8, struct.pack("!H", code)))
        assert sock.recv(1) == b""
    assert gateway.wait() == 0
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
    # Not all in one burst: the last client is notified noticeably later than the first.
    assert max(times) - min(times) > 0.5


def test_a_silent_connection_does_not_hold_the_stop(start):
    gateway = start(limits="shutdown: {grace: 1s}")
    with connect(gateway.port) as silent:
        assert gateway.stop(timeout=10) == 0
        assert not read_head(silent).startswith("HTTP/1.1 1")


def test_a_connection_that_was_never_used_does_not_hold_the_stop(start):
    gateway = start(limits="shutdown: {grace: 1h}")
    with connect(gateway.port), connect(gateway.port) as half:
        half.sendall(b"GET /ws/echo/ HTTP/1.1\r\nHost: x\r\n")
        assert status_after(gateway, half) == 503
        assert gateway.process.wait(10) == 0


@pytest.fixture
def http(start, tmp_path):
    """A gateway that answers on the reactor and from files, with and without TLS."""
    authority = Authority(tmp_path)
    authority.issue("site", "localhost")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("hello")
    return start(text="""
installed_apps: [echo]
server: {bind: "127.0.0.1:0", tls: {bind: "127.0.0.2:0", certificate: site.pem, key: site.key}}
applications:
  main:
    http: [{path: hello/, respond: hello}, {path: files/, static: files}]
    websocket: [{path: ws/echo/, consumer: echo}]
""", bind=None), authority


@pytest.mark.parametrize("is_secure", [False, True])
@pytest.mark.parametrize("first, second", [("/hello/", "/hello/"), ("/files/a.txt", "/files/a.txt"), ("/hello/", "/files/a.txt"), ("/files/a.txt", "/hello/")])
def test_a_client_that_does_not_know_of_the_stop_is_answered(http, first, second, is_secure):
    gateway, authority = http
    wait_until(lambda: gateway.secure_port, what="both addresses are known")
    with open_session(gateway.port, "/ws/echo/") as session:
        address = ("127.0.0.2", gateway.secure_port) if is_secure else ("127.0.0.1", gateway.port)
        with socket.create_connection(address, timeout=20) as plain:
            client = authority.client().wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False) if is_secure else plain
            with client, client.makefile("rb") as answers:

                def ask(path: str) -> str:
                    client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                    head = ""
                    while (line := answers.readline().decode()) != "\r\n":
                        assert line, "the connection has ended"
                        head += line.lower()
                    assert answers.read(5) == b"hello"
                    return head

                assert "connection: close" not in ask(first)
                gateway.process.send_signal(signal.SIGTERM)
                # All threads have been told to stop: the session is one of theirs, perhaps of another one.
                assert read_close(session)[0] == 1012
                assert "connection: close" in ask(second)
                assert answers.read() == b""
    assert gateway.process.wait(20) == 0


def status_after(gateway, half: socket.socket) -> int:
    """Stops the gateway, which has read what `half` sent, and reads the answer."""
    with open_session(gateway.port, "/ws/echo/"):
        gateway.process.send_signal(signal.SIGTERM)
        return int(read_head(half).split(" ")[1])


def test_sessions_may_all_go_before_the_pace_is_over(start):
    """While the process cannot end, here because of a request to an upstream."""
    release = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as upstream:

        def answer_late():
            sock, _ = upstream.accept()
            with sock:
                sock.recv(65536)
                release.wait(20)
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")

        threading.Thread(target=answer_late, daemon=True).start()
        gateway = start(text=f"""
installed_apps: [echo]
server: {{threads: 1}}
shutdown: {{grace: 30s}}
applications:
  main:
    http: [{{path: slow/, proxy: "http://127.0.0.1:{upstream.getsockname()[1]}"}}]
    websocket: [{{path: ws/echo/, consumer: echo}}]
""")
        with connect(gateway.port) as request:
            request.sendall(b"GET /slow/ HTTP/1.1\r\nHost: x\r\n\r\n")
            sessions = [open_session(gateway.port, "/ws/echo/") for _ in range(60)]
            gateway.process.send_signal(signal.SIGTERM)
            assert read_close(sessions[-1])[0] == 1012
            for sock in sessions:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()
            # Longer than the pace's next step.
            assert gateway.process.poll() is None
            time.sleep(0.3)
            release.set()
            assert read_head(request).startswith("HTTP/1.1 200")
            assert gateway.process.wait(20) == 0


def test_a_successor_keeps_its_socket_file(tmp_path):
    file, path = tmp_path / "routes.yaml", tmp_path / "gateway.sock"
    file.write_text("""
installed_apps: [echo]
shutdown: {grace: 20s}
applications: {main: {websocket: [{path: ws/echo/, consumer: echo, allowed_hosts: ["*"]}]}}
""")

    def dial() -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(path))
        sock.settimeout(20)
        sock.sendall(handshake("/ws/echo/"))
        assert read_head(sock).startswith("HTTP/1.1 101")
        return sock

    first = Gateway(file, bind=f"unix:{path}")
    old = dial()
    first.process.send_signal(signal.SIGTERM)
    assert read_close(old)[0] == 1012
    second = Gateway(file, bind=f"unix:{path}")
    old.close()
    assert first.process.wait(20) == 0
    dial().close()
    assert second.stop() == 0
    assert not path.exists()
