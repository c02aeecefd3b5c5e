"""What TLS costs: echo through `wss://` beside `ws://`, and the memory of a session that does nothing.

    .build/interop/venv/bin/python Tests/Interop/bench_tls.py [ROUNDS]

One server with both addresses; rounds alternate between the two, so that both see the same machine. The server is pinned to
one processor where there are two, and this client to the other. The client is slower than the server, so what is compared is
the server's own processor time for each message. Before that, what a healthy session notices of 1,000 handshakes. Not a part of `make test`.
"""

import os
import pathlib
import selectors
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

from certificates import Authority
from clients import frame, handshake, read_head
from conftest import Gateway
from floods import Waits, p99
from redis_stack import wait_until
from tls_floods import begun

ROUTES = """
installed_apps: [echo]
server: {threads: 1, tls: {certificate: site.pem, key: site.key, bind: "127.0.0.1:0"}}
limits: {ping: none}
applications: {main: {websocket: [{path: ws/, consumer: echo}]}}
"""
CONNECTIONS, IN_FLIGHT, SECONDS, IDLE = 16, 8, 3, 1000


def pin(pid: int, processor: int) -> None:
    if os.cpu_count() > 1:
        subprocess.run(["taskset", "-a", "-p", "-c", str(processor), str(pid)], check=True, stdout=subprocess.DEVNULL)


class Client:
    def __init__(self, gateway: Gateway, context: ssl.SSLContext | None):
        sock = socket.create_connection(("127.0.0.1", gateway.secure_port if context else gateway.port), timeout=20)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = context.wrap_socket(sock, server_hostname="localhost") if context else sock
        self.sock.sendall(handshake("/ws/"))
        assert read_head(self.sock).startswith("HTTP/1.1 101")
        self.owed = 0

    def receive(self, size: int) -> int:
        """How many whole answers of a size have arrived."""
        count = 0
        while True:
            try:
                part = self.sock.recv(1 << 18)
            except (BlockingIOError, ssl.SSLWantReadError):
                break
            assert part
            count += len(part)
            if not isinstance(self.sock, ssl.SSLSocket) or not self.sock.pending():
                break
        self.owed += count
        done, self.owed = divmod(self.owed, size)
        return done


def started(routes: pathlib.Path) -> Gateway:
    gateway = Gateway(routes)
    wait_until(lambda: any("started" in line for line in gateway.log))
    return gateway


def seconds_used(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def echo(gateway: Gateway, context, size: int, in_flight: int) -> tuple[float, float]:
    """Messages per second, and the server's microseconds for each."""
    message = frame(2, os.urandom(size))
    answer = len(message) - 4
    clients = [Client(gateway, context) for _ in range(CONNECTIONS)]
    with selectors.DefaultSelector() as selector:
        for client in clients:
            client.sock.sendall(message * in_flight)
            client.sock.setblocking(False)
            selector.register(client.sock, selectors.EVENT_READ, client)
        count, begun, used = 0, time.monotonic(), seconds_used(gateway.process.pid)
        while time.monotonic() < begun + SECONDS:
            for key, _ in selector.select():
                done = key.data.receive(answer)
                if done:
                    count += done
                    key.data.sock.setblocking(True)
                    key.data.sock.sendall(message * done)
                    key.data.sock.setblocking(False)
        used, took = seconds_used(gateway.process.pid) - used, time.monotonic() - begun
    for client in clients:
        client.sock.close()
    return count / took, used / count * 1e6


def idle(routes: pathlib.Path, context) -> float:
    """KiB of the server's memory for each idle session, without those that existed before."""
    gateway = started(routes)
    some = [Client(gateway, context) for _ in range(100)]
    before = gateway.resident_kib
    more = [Client(gateway, context) for _ in range(IDLE)]
    each = (gateway.resident_kib - before) / IDLE
    for client in some + more:
        client.sock.close()
    gateway.stop()
    return each


def waits_during_handshakes(gateway: Gateway) -> None:
    """How long one healthy session waits for its echo, while nothing else happens and while 1,000 clients shake hands."""
    # The flood gives way to this client, which measures the server's part only.
    pipe, process = begun(gateway.secure_port, "handshakes", 1000, niceness=19)
    healthy = Waits(gateway.port, "/ws/")
    quiet = healthy.quiet()
    used = seconds_used(gateway.process.pid)
    pipe.send("go")
    waits = []
    while not pipe.poll(0):
        waits.append(healthy.one())
    used, took = seconds_used(gateway.process.pid) - used, pipe.recv()
    process.join()
    waits.sort()
    print(
        f"a healthy session: p99 {p99(quiet) * 1e3:.3f} ms in quiet, {p99(waits) * 1e3:.3f} ms and at most {waits[-1] * 1e3:.2f} ms "
        f"among 1,000 handshakes in {took:.2f} s ({len(waits)} echoes; the server used {used:.2f} s)")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        authority = Authority(home)
        authority.issue("site", "localhost")
        routes = home / "routes.yaml"
        routes.write_text(ROUTES)
        contexts = {"ws": None, "wss": authority.client()}
        gateway = started(routes)
        pin(gateway.process.pid, 0)
        pin(os.getpid(), 1)
        for _ in range(rounds):
            waits_during_handshakes(gateway)
        print(f"load {os.getloadavg()[0]:.1f}, {CONNECTIONS} connections, {rounds} rounds of {SECONDS} s")
        for size, in_flight in ((64, 1), (64, IN_FLIGHT), (16384, 1), (16384, IN_FLIGHT)):
            results = {name: [] for name in contexts}
            for _ in range(rounds):
                for name, context in contexts.items():
                    results[name].append(echo(gateway, context, size, in_flight))
            for name, values in results.items():
                rate, used = (statistics.median(column) for column in zip(*values))
                print(f"{size:6} B, {in_flight} in flight, {name:3}: {rate:9.0f} a second, {used:6.2f} us of the server each")
        gateway.stop()
        for name, context in contexts.items():
            print(f"idle, {name:3}: {idle(routes, context):6.1f} KiB each")


if __name__ == "__main__":
    main()
