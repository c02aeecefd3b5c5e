"""What becomes of 1,000 sockets when a server's configuration is changed: Sluice beside nginx with nchan, Caddy, HAProxy and uvicorn.

`bench_reload_peers.py [NAME...]`. Each server is asked in its own way to take a changed file over, while 100 messages a second come
back to clients and a new client connects every 20 ms. Needs nginx with nchan, Caddy and HAProxy (Debian's packages).
"""

import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

from clients import frame, handshake
from conftest import SLUICE, Gateway
from redis_stack import free_port

SOCKETS, RATE, SECONDS = 1000, 100, 10


def family(root: int) -> list[int]:
    """A process and its descendants, and what became of those whose parent has ended: HAProxy's and nginx's old workers."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            fields = stat.rpartition(")")[2].split()
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found, again = {root} & parents.keys(), True
    while again:
        again = [pid for pid, parent in parents.items() if parent in found and pid not in found]
        found |= set(again)
    return sorted(found)


class Peer:
    """A server, in a folder of its own."""

    path = "/ws/echo/"

    def __init__(self, folder: pathlib.Path, upstream: int):
        self.folder, self.upstream, self.port = folder, upstream, free_port()
        self.processes: list[subprocess.Popen] = []
        self.write(0)
        self.start()
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, type(self).__name__
                time.sleep(0.05)

    def spawn(self, *command: str, **options) -> subprocess.Popen:
        log = (self.folder / "log").open("a")
        self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **options))
        return self.processes[-1]

    def message(self, number: int) -> bytes:
        return frame(1, b"sluice:%d:%d:" % (number, time.monotonic_ns()))

    def pids(self) -> list[int]:
        return sorted({pid for process in self.processes for pid in family(process.pid)})

    def stop(self) -> None:
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for process in self.processes:
            process.wait()


class Sluice(Peer):
    def write(self, version: int) -> None:
        extra = f", {{path: extra/{version}/, consumer: echo}}"
        (self.folder / "routes.yaml").write_text(
            f"installed_apps: [echo]\nserver: {{bind: '127.0.0.1:{self.port}'}}\nlimits: {{connections: 5000}}\n"
            f"applications: {{main: {{websocket: [{{path: ws/echo/, consumer: echo}}{extra}]}}}}\n"
        )

    def start(self) -> None:
        self.spawn(str(SLUICE), "serve", "routes.yaml")

    def reload(self) -> None:
        self.processes[0].send_signal(signal.SIGHUP)


class SluiceUpgrade(Sluice):
    """The whole process is exchanged."""

    def reload(self) -> None:
        self.processes[0].send_signal(signal.SIGUSR2)


class Nchan(Peer):
    """nginx with nchan: a subscriber gets what is published to its channel, so each message is published over HTTP."""

    path = "/sub/echo"

    def write(self, version: int) -> None:
        (self.folder / "nginx.conf").write_text(
            f"load_module /usr/lib/nginx/modules/ngx_nchan_module.so;\npid {self.folder}/pid;\ndaemon off;\nworker_processes 2;\n"
            "worker_rlimit_nofile 10000;\nevents { worker_connections 4000; }\n"
            f"http {{ access_log off; server {{ listen 127.0.0.1:{self.port} reuseport; add_header X-Version {version};\n"
            "location /sub/echo { nchan_subscriber; nchan_channel_id echo; }\n"
            "location /pub { nchan_publisher; nchan_channel_id echo; } } }\n"
        )

    def start(self) -> None:
        self.spawn("nginx", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), "-e", "stderr")

    def reload(self) -> None:
        self.processes[0].send_signal(signal.SIGHUP)


class Caddy(Peer):
    delay = ""

    def write(self, version: int) -> None:
        (self.folder / "Caddyfile").write_text(
            f"{{\n admin unix/{self.folder}/admin.sock\n auto_https off\n}}\nhttp://:{self.port} {{\n bind 127.0.0.1\n header X-Version {version}\n"
            f" reverse_proxy 127.0.0.1:{self.upstream} {{ {self.delay}\n }}\n}}\n"
        )

    def start(self) -> None:
        self.spawn("caddy", "run", "--config", "Caddyfile", env=os.environ | {"HOME": str(self.folder)})

    def reload(self) -> None:
        subprocess.run(
            ["caddy", "reload", "--config", "Caddyfile", "--address", f"unix/{self.folder}/admin.sock"],
            cwd=self.folder, env=os.environ | {"HOME": str(self.folder)}, check=True, capture_output=True, timeout=30,
        )


class HAProxy(Peer):
    def write(self, version: int) -> None:
        (self.folder / "haproxy.cfg").write_text(
            f"global\n maxconn 4000\n nbthread 2\n stats socket {self.folder}/stats.sock level admin expose-fd listeners\n"
            "defaults\n mode http\n timeout client 1h\n timeout server 1h\n timeout connect 5s\n timeout tunnel 1h\n"
            f"frontend f\n bind 127.0.0.1:{self.port}\n http-response set-header X-Version {version}\n default_backend b\n"
            f"backend b\n server s 127.0.0.1:{self.upstream}\n"
        )

    def start(self) -> None:
        self.spawn("haproxy", "-W", "-f", "haproxy.cfg", "-p", "pid")

    def reload(self) -> None:
        """The master starts new workers with `-sf`, and takes the listeners over through `-x`."""
        self.processes[0].send_signal(signal.SIGUSR2)


class Uvicorn(Peer):
    """Under a supervisor that starts it again: it has no reload in production."""

    def write(self, version: int) -> None:
        (self.folder / "app.py").write_text(
            "async def app(scope, receive, send):\n"
            "    if scope['type'] != 'websocket': return\n"
            "    await receive(); await send({'type': 'websocket.accept'})\n"
            "    while (m := await receive())['type'] == 'websocket.receive':\n"
            "        await send({'type': 'websocket.send', 'text': m['text']})\n"
        )

    def start(self) -> None:
        self.spawn(
            sys.executable, "-m", "uvicorn", "app:app", "--port", str(self.port), "--log-level", "warning", "--timeout-graceful-shutdown", "5"
        )

    def reload(self) -> None:
        self.processes[-1].send_signal(signal.SIGTERM)
        self.processes[-1].wait(20)
        self.start()


PEERS = {
    "Sluice, reload": Sluice,
    "Sluice, upgrade": SluiceUpgrade,
    "nginx + nchan, reload": Nchan,
    "Caddy, reload": Caddy,
    "HAProxy, -sf": HAProxy,
    "uvicorn, restart": Uvicorn,
}


def memory(pids: list[int]) -> int:
    """Proportional shares, in KiB: what several processes share is counted once."""
    total = 0
    for pid in pids:
        try:
            total += int(re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])
        except OSError:
            pass
    return total


def connect(port: int, path: str) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=5)
    sock.sendall(handshake(path))
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(4096)
        if not more:
            raise ConnectionError("closed before an answer")
        data += more
    if not data.startswith(b"HTTP/1.1 101"):
        raise ConnectionError(data.split(b"\r\n")[0].decode())
    sock.setblocking(False)
    return sock


def measure(name: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        echo = pathlib.Path(folder, "echo.yaml")
        echo.write_text(
            "installed_apps: [echo]\nlimits: {connections: 8000, ping: none}\n"
            "applications: {main: {websocket: [{path: ws/echo/, consumer: echo}]}}\n"
        )
        upstream = Gateway(echo)
        peer = PEERS[name](pathlib.Path(folder), upstream.port)
        try:
            return look(name, peer)
        finally:
            peer.stop()
            upstream.stop(signal.SIGKILL)


def look(name: str, peer: Peer) -> str:
    poll, living, sent = select.poll(), {}, 0
    for _ in range(SOCKETS):
        sock = connect(peer.port, peer.path)
        living[sock.fileno()] = sock
        poll.register(sock, select.POLLIN)
    order = list(living.values())
    publisher = socket.create_connection(("127.0.0.1", peer.port)) if peer.path.startswith("/sub") else None
    pause, closed, refused, slowest = 0.0, 0, 0, 0.0
    before, asked, begin, next_new = 0, None, time.monotonic(), 0.0
    others: list[socket.socket] = []
    while (now := time.monotonic() - begin) < SECONDS:
        if now > 2 and asked is None:
            before, processes = memory(peer.pids()), len(peer.pids())
            peer.write(1)
            asked = now
            peer.reload()
        if now >= next_new:
            next_new = now + 0.02
            start = time.monotonic()
            try:
                others.append(connect(peer.port, peer.path))
            except OSError:
                refused += 1
            slowest = max(slowest, time.monotonic() - start)
        while sent < now * RATE:
            sent += 1
            if publisher:
                publisher = publish(peer, publisher, sent)
            elif (sock := order[sent % SOCKETS]).fileno() in living:
                try:
                    sock.sendall(peer.message(sent))
                except OSError:
                    pass
        for descriptor, _ in poll.poll(1):
            sock = living[descriptor]
            try:
                data = sock.recv(65536)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data or data[0] & 0x0F == 8:
                poll.unregister(descriptor)
                del living[descriptor]
                closed += 1
            elif (at := data.rfind(b"sluice:")) >= 0:
                pause = max(pause, (time.monotonic_ns() - int(data[at:].split(b":")[2])) / 1e6)
    pids = peer.pids()
    kept = len(living)
    row = [name, f"{kept}", f"{pause:.0f} ms" if kept else "-", f"{refused}", f"{slowest * 1000:.0f} ms", f"{processes} → {len(pids)}", f"{before / 1024:.0f} → {memory(pids) / 1024:.0f} MiB"]
    for sock in [*living.values(), *others]:
        sock.close()
    return "| " + " | ".join(row) + " |"


def publish(peer: Peer, publisher: socket.socket, number: int) -> socket.socket:
    body = b"sluice:%d:%d:" % (number, time.monotonic_ns())
    while True:
        try:
            publisher.sendall(b"POST /pub HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            if publisher.recv(65536):
                return publisher
        except OSError:
            pass
        publisher.close()
        publisher = socket.create_connection(("127.0.0.1", peer.port))


def main(*names: str) -> None:
    print("| server | sockets kept of 1,000 | longest pause of a message | new connections refused | longest wait of a new one | processes, 8 s later | memory |")
    print("|---|---|---|---|---|---|---|")
    for name in names or PEERS:
        print(measure(name), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
