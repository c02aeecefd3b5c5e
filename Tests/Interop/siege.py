"""One attack of each kind in a row against one gateway that has TLS, Redis, history, presence and compression, in 256 MiB.

    .build/interop/venv/bin/python Tests/Interop/siege.py [SECONDS_EACH [ATTACK...]]

Whoever stands beside it asks for its health every 50 ms, on a new connection, and lets a session answer every 20 ms. In the end a
table tells, for each attack, the longest wait for health, the 99th percentile of the session beside that in quiet, and the most
memory that the gateway had (its own pages, and what the kernel keeps for its sockets).
Attackers are processes of their own with the lowest priority; what they send is bounded by the time. Nothing leaves this machine.
"""

import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))

from clients import connect, frame, handshake, open_session, read_frame, read_head  # noqa: E402
from listeners import Listener  # noqa: E402

LIMIT = 256 * 1024 * 1024
TOKEN = "siege-token-not-a-secret"

CONFIG = """
installed_apps: [echo, chat, broadcast, proxy]
channel_layers: {default: {backend: redis_pubsub, config: {hosts: ["redis://127.0.0.1:REDIS/0"]}}}
server: {threads: 2, tls: {bind: "127.0.0.1:0", certificate: site.pem, key: site.key}}
limits: {connections: 3000, handshake: 5s, history_memory: 16MiB, compression_memory: 16MiB}
auth:
  asked: {callback: {url: "http://127.0.0.1:UPSTREAM/odd", timeout: 2s}}
  keyed: {jwt: {jwks: "http://127.0.0.1:UPSTREAM/odd", algorithms: [RS256]}}
applications:
  main:
    http:
      - {path: health/live, health: live}
      - {path: hello/, respond: hello}
      - {path: api/publish/, publish: {groups: ["chat_*", "news"], token: {env: PUBLISH_TOKEN}, allow: [publish, groups, history]}}
      - {path: open/publish/, publish: {groups: ["chat_*"], anonymous: true}}
      - {path: "events/<slug:room>/", events: {group: "chat_{room}", history: {messages: 100, seconds: 30}}}
      - {path: up/, proxy: {to: "http://127.0.0.1:UPSTREAM", read_timeout: 2s}}
    websocket:
      allowed_hosts: ["*"]
      routes:
        - {path: ws/echo/, consumer: echo}
        - {path: ws/deflated/, consumer: echo, compression: true}
        - {path: "ws/chat/<slug:room>/", consumer: chat, group: "chat_{room}", history: {messages: 100, seconds: 30}, presence: true, subscribe: ["chat_*"]}
        - {path: ws/news/, consumer: broadcast, group: news, compression: {context_takeover: true}}
        - {path: "ws/up/<path:rest>", consumer: proxy, to: "ws://127.0.0.1:UPSTREAM"}
        - {path: ws/asked/, consumer: echo, auth: asked}
        - {path: ws/keyed/, consumer: echo, auth: keyed}
"""


# Servers behind the gateway.


class Upstream(Listener):
    """A server that does what the path says, and never answers correctly."""

    def serve(self, sock: socket.socket) -> None:
        sock.settimeout(5)
        path = sock.recv(65536).split(b" ")[1]
        if b"interim" in path:
            sock.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 6000)
        elif b"endless" in path:
            for _ in range(64):
                sock.sendall(b"HTTP/1.1 200 OK\r\nX-Fill: " + b"y" * 65536)
        elif b"silent" in path:
            sock.recv(1)
        elif b"twice" in path:
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" * 500)
        else:
            sock.sendall(b"HTTP/1.1 099 Odd\r\nContent-Length: 5\r\n\r\nhello")


# Attacks: each runs in a separate process until its time is over.


def until(seconds: float):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield


def deaf(port: int, size: int = 4096) -> socket.socket:
    """A connection with small buffers."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    sock.settimeout(10)
    sock.connect(("127.0.0.1", port))
    return sock


def deaf_session(port: int, path: str, *extra: str) -> socket.socket:
    sock = deaf(port)
    sock.sendall(handshake(path, *extra))
    assert read_head(sock).startswith("HTTP/1.1 101")
    return sock


def fill(sock: socket.socket, data: bytes) -> int:
    """Sends as much as the other side accepts at once."""
    sock.setblocking(False)
    try:
        return sock.send(data)
    except OSError:
        return 0


class Publisher:
    """The back end, which publishes one event after the other on a kept connection."""

    def __init__(self, port: int):
        self.port, self.sock = port, None

    def publish(self, group: str, event: dict, path: str = "/api/publish/") -> int:
        """The status of the answer; 0 without an answer."""
        body = json.dumps({"group": group, **event}).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
        try:
            self.sock = self.sock or connect(self.port, 10)
            self.sock.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = read_head(self.sock)
            self.sock.recv(int(re.search(r"(?i)content-length: (\d+)", answer)[1]))
            return int(answer.split(" ")[1])
        except (OSError, TypeError, IndexError):
            self.sock = None
            return 0


class Attacks:
    def __init__(self, port: int, secure: int, seconds: float):
        self.port, self.secure, self.seconds = port, secure, seconds

    def _ask(self, target: str, websocket: bool = False) -> None:
        request = handshake(target) if websocket else f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
        with contextlib.suppress(OSError), connect(self.port, 5) as sock:
            sock.sendall(request)
            while sock.recv(65536):
                pass

    def upstream_answers(self):
        for _ in until(self.seconds):
            for path in ["odd", "endless", "twice"]:
                self._ask(f"/up/{path}")
            for path in ["/ws/up/interim", "/ws/up/odd", "/ws/up/endless", "/ws/asked/", "/ws/keyed/"]:
                self._ask(path, websocket=True)

    def bad_requests(self):
        """Attacks while the log is not read."""
        for _ in until(self.seconds):
            with contextlib.suppress(OSError), connect(self.port, 5) as sock:
                sock.sendall(b"GET /" + b"x" * 8000 + b" HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
                sock.recv(4096)

    def bombs(self):
        """Frames that decompress to a thousand times their length."""
        packer = zlib.compressobj(9, wbits=-15)
        packed = packer.compress(b"\0" * 1_000_000) + packer.flush(zlib.Z_SYNC_FLUSH)
        bomb = frame(0x42, packed[:-4]) * 60
        socks = [deaf_session(self.port, "/ws/deflated/", "Sec-WebSocket-Extensions: permessage-deflate") for _ in range(50)]
        for _ in until(self.seconds):
            for sock in socks:
                fill(sock, bomb)
            time.sleep(0.01)

    def tiny_frames(self):
        many = frame(2, b"") * 40_000
        socks = [open_session(self.port, f"/ws/chat/room{n % 10}/") for n in range(200)]
        for _ in until(self.seconds):
            for sock in socks:
                fill(sock, many)
                with contextlib.suppress(OSError):
                    sock.recv(1 << 20)

    def many_groups(self):
        socks = [open_session(self.port, "/ws/chat/base/") for _ in range(10)]
        for n, sock in enumerate(socks):
            for start in range(0, 240, 40):
                sock.sendall(frame(1, json.dumps({"subscribe": [f"chat_g{n}x{start + i}" for i in range(40)]}).encode()))
        pings = frame(9, b"") * 20_000
        for _ in until(self.seconds):
            for sock in socks:
                fill(sock, pings)
                with contextlib.suppress(OSError):
                    sock.recv(1 << 20)

    def pipelines(self):
        many = b"GET /hello/ HTTP/1.1\r\nHost: a\r\n\r\n" * 2000
        socks = [deaf(self.port) for _ in range(300)]
        for _ in until(self.seconds):
            for sock in socks:
                fill(sock, many)
            time.sleep(0.01)

    def bodies(self):
        """Bodies that never arrive. The back end can still publish."""
        head = "POST /open/publish/ HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
        socks = [connect(self.port) for _ in range(400)]
        for sock in socks:
            sock.sendall(head.encode())
        refused, back_end = 0, Publisher(self.port)
        for _ in until(self.seconds):
            for sock in socks:
                fill(sock, b" ")
            refused += back_end.publish("chat_quiet", {"message": 1}) != 200
            time.sleep(0.05)
        assert refused == 0, f"{refused} publications of the back end were refused"

    def slow_readers(self):
        socks = [deaf_session(self.port, "/ws/news/") for _ in range(1000)]
        back_end = Publisher(self.port)
        for _ in until(self.seconds):
            back_end.publish("news", {"text": "n" * 8000})
        del socks

    def slow_streams(self):
        socks = []
        for _ in range(500):
            sock = deaf(self.port)
            sock.sendall(b"GET /events/stream/ HTTP/1.1\r\nHost: a\r\n\r\n")
            socks.append(sock)
        back_end = Publisher(self.port)
        for _ in until(self.seconds):
            back_end.publish("chat_stream", {"message": "s" * 8000})
        del socks

    def unfinished(self):
        """Messages whose last fragment never arrives."""
        socks = [open_session(self.port, "/ws/echo/") for _ in range(300)]
        part = frame(2, b"x" * 1_000_000, final=False)
        left = {sock: memoryview(part) for sock in socks}
        for _ in until(self.seconds):
            for sock, rest in left.items():
                if rest:
                    left[sock] = rest[fill(sock, rest) :]
            time.sleep(0.01)

    def replays(self):
        """Asks for a history and closes the connection."""
        back_end = Publisher(self.port)
        for _ in range(100):
            back_end.publish("chat_replayed", {"message": "h" * 5000})
        for _ in until(self.seconds):
            with connect(self.port) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.sendall(b"GET /events/replayed/?since= HTTP/1.1\r\nHost: a\r\n\r\n")
                sock.recv(1)

    def connections(self):
        """As many connections as there are places, and more."""
        socks = []
        for _ in until(self.seconds):
            if len(socks) < 3500:
                with contextlib.suppress(OSError):
                    sock = connect(self.port, 2)
                    sock.sendall(handshake("/ws/echo/"))
                    socks.append(sock)
            else:
                time.sleep(0.05)

    def publications(self):
        back_end = Publisher(self.port)
        for _ in until(self.seconds):
            back_end.publish("chat_flood", {"message": "p" * 5000})

    def broken_tls(self):
        """Handshakes that stop half-way, bytes that are not HTTP, and sessions that end without a close frame."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        halves = []
        for _ in until(self.seconds):
            with contextlib.suppress(OSError):
                half = connect(self.secure, 2)
                half.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
                halves = [*halves[-200:], half]
                with connect(self.secure, 2) as sock:
                    sock.sendall(os.urandom(2000))
                with context.wrap_socket(connect(self.secure, 5)) as sock:
                    sock.sendall(handshake("/ws/echo/") + frame(9, b"x") * 1000)
                    sock.recv(10)

    def redis_messages(self):
        """Entries in the groups that another client of Redis could write."""
        import redis

        client = redis.Redis(port=int(os.environ["SIEGE_REDIS"]))
        keyed = b"\xdf" + struct.pack(">I", 50_000) + b"\xa4type\xacchat.message" * 50_000
        nested = b"\x91" * 100_000
        odd = [keyed, nested, b"\xdd\xff\xff\xff\xff", b"", os.urandom(1000), b"\x81\xa4type\xc0"]
        for _ in until(self.seconds):
            for message in odd:
                client.publish("asgi__group__chat_quiet", message)
            time.sleep(0.02)


ATTACKS = [name for name in vars(Attacks) if not name.startswith("_")]


# Well-behaved clients beside the attacks.


class Watcher:
    """Measures, in a separate process, the latency of well-behaved clients."""

    def __init__(self, port: int, secure: int, authority: str):
        self.port, self.phase, self.over = port, "start", False
        self.health: dict[str, list[float]] = {}
        self.echo: dict[str, list[float]] = {}
        self.errors: list[str] = []
        context = ssl.create_default_context(cafile=authority)
        self.session = context.wrap_socket(connect(secure, 60), server_hostname="localhost")
        self.session.sendall(handshake("/ws/echo/"))
        assert read_head(self.session).startswith("HTTP/1.1 101")

    def run(self) -> None:
        threads = [threading.Thread(target=self._loop, args=work) for work in [(self._ask, 0.05), (self._say, 0.02)]]
        for thread in threads:
            thread.start()
        for line in sys.stdin:
            self.phase = line.strip()
        self.over = True
        for thread in threads:
            thread.join()
        print(json.dumps({"health": self.health, "echo": self.echo, "errors": self.errors}))

    def _loop(self, work, pause: float) -> None:
        while not self.over:
            phase, begun = self.phase, time.monotonic()
            try:
                into = work()
            except (OSError, AssertionError) as error:
                self.errors.append(f"{phase}: {work.__name__}: {error!r}")
                if work == self._say:
                    return
                continue
            into.setdefault(phase, []).append(time.monotonic() - begun)
            time.sleep(pause)

    def _ask(self):
        with connect(self.port, 60) as sock:
            sock.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            answer = sock.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200"), answer[:100]
        return self.health

    def _say(self):
        self.session.sendall(frame(1, b"are you there?"))
        while (answer := read_frame(self.session))[0] == 9:
            self.session.sendall(frame(10, answer[1]))
        assert answer == (1, b"are you there?"), answer
        return self.echo


class Cage:
    """A control group for memory, of either version. Without one the memory is only measured."""

    def __init__(self, limit: int):
        self.folder = None
        for base, name in [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]:
            folder = pathlib.Path(base) / f"siege-{os.getpid()}"
            try:
                folder.mkdir()
                (folder / name).write_text(str(limit))
                self.folder, self.version = folder, 1 if "limit" in name else 2
                return
            except OSError:
                with contextlib.suppress(OSError):
                    folder.rmdir()

    def enter(self) -> None:
        if self.folder:
            (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def bytes(self) -> int:
        """The memory of the processes themselves, without the kernel's page cache."""
        if not self.folder:
            return 0
        stat = dict(line.split() for line in (self.folder / "memory.stat").read_text().splitlines())
        if self.version == 2:
            return int(stat["anon"]) + int(stat.get("sock", 0)) + int(stat.get("kernel_stack", 0))
        return int(stat["rss"]) + int((self.folder / "memory.kmem.tcp.usage_in_bytes").read_text())

    def close(self) -> None:
        if self.folder:
            with contextlib.suppress(OSError):
                self.folder.rmdir()


class Siege:
    def __init__(self, program: str, folder: pathlib.Path):
        from certificates import Authority
        from redis_stack import RedisServer

        self.folder = folder
        self.upstream, self.redis = Upstream(), RedisServer(folder / "redis")
        authority = Authority(folder)
        authority.issue("site", "localhost", "127.0.0.1")
        text = CONFIG.replace("REDIS", str(self.redis.port)).replace("UPSTREAM", str(self.upstream.port))
        (folder / "routes.yaml").write_text(text)
        self.cage, self.log, self.reads = Cage(LIMIT), [], threading.Event()
        self.reads.set()
        self.process = subprocess.Popen(
            [program, "serve", str(folder / "routes.yaml"), "--bind", "127.0.0.1:0", "--require-layers"],
            stderr=subprocess.PIPE, text=True, env={**os.environ, "PUBLISH_TOKEN": TOKEN}, preexec_fn=self._enter,
        )
        self.ports: dict[str, int] = {}
        for line in self.process.stderr:
            self.log.append(line.rstrip())
            if found := re.search(r"listening on (https?)://[^\s]*:(\d+)", line):
                self.ports[found[1]] = int(found[2])
            if len(self.ports) == 2:
                break
        assert len(self.ports) == 2, "\n".join(self.log)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.port, self.secure, self.authority = self.ports["http"], self.ports["https"], authority.file

    def _enter(self) -> None:
        self.cage.enter()
        resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))

    def _read(self) -> None:
        for line in self.process.stderr:
            self.log.append(line.rstrip())
            self.reads.wait()

    def resident(self) -> int:
        if self.process.poll() is not None:
            return 0
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        # A process that has ended has no memory.
        return int(found[1]) * 1024 if (found := re.search(r"VmRSS:\s+(\d+)", status)) else 0

    def attack(self, name: str, seconds: float) -> tuple[str, int]:
        """Runs one attack. Returns its complaints, and the highest memory."""
        if name == "bad_requests":
            self.reads.clear()
        attacker = subprocess.Popen(
            [sys.executable, __file__, "--attack", name, str(self.port), str(self.secure), str(seconds)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=lambda: os.nice(19),
            env={**os.environ, "SIEGE_REDIS": str(self.redis.port)},
        )
        end, most = time.monotonic() + seconds + 120, 0
        while attacker.poll() is None and time.monotonic() < end:
            most = max(most, self.cage.bytes() or self.resident())
            time.sleep(0.05)
        attacker.kill()
        output, _ = attacker.communicate()
        self.reads.set()
        return output.strip().splitlines()[-1] if attacker.returncode else "", most

    def run(self, names: list[str], seconds: float, quiet: float, rest: float) -> dict:
        watcher = subprocess.Popen(
            [sys.executable, __file__, "--watch", str(self.port), str(self.secure), str(self.authority)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )

        def phase(name: str) -> None:
            watcher.stdin.write(name + "\n")
            watcher.stdin.flush()

        phase("warm")
        time.sleep(1)
        before = self.resident()
        phase("quiet")
        time.sleep(quiet)
        complaints, memory = {}, {}
        for name in names:
            phase(name)
            complaints[name], memory[name] = self.attack(name, seconds)
            phase("between")
            if self.process.poll() is not None:
                break
        phase("rest")
        end, after = time.monotonic() + rest, self.resident()
        while self.process.poll() is None and time.monotonic() < end and (after := self.resident()) > 1.5 * before:
            time.sleep(0.5)
        measured, _ = watcher.communicate("", timeout=90)
        return {
            **json.loads(measured), "before": before, "memory": memory, "after": after, "complaints": complaints,
            "ended": self.process.poll(),
        }

    def close(self) -> int:
        """Stops the gateway as an operator does. Returns its exit code."""
        self.reads.set()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.redis.stop()
        self.upstream.close()
        self.cage.close()
        return code


def percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else float("nan")


def table(result: dict) -> str:
    quiet = percentile(result["echo"]["quiet"], 0.99)
    lines = [f"{'':18}{'health, longest':>18}{'session, p99':>16}{'to quiet':>10}{'most memory':>14}"]
    for name in ["quiet", *result["memory"]]:
        echo, health = percentile(result["echo"].get(name, []), 0.99), max(result["health"].get(name, [0]))
        memory = f"{result['memory'][name] >> 20} MiB" if name in result["memory"] else ""
        lines.append(f"{name:18}{health * 1000:15.1f} ms{echo * 1000:13.1f} ms{echo / quiet:10.1f}{memory:>14}")
        if complaint := result["complaints"].get(name):
            lines.append(f"    {complaint}")
    lines.append(f"memory afterwards {result['after'] / result['before']:.2f} x of before ({result['before'] >> 10} KiB)")
    lines += [f"error: {error}" for error in result["errors"][:20]]
    if result["ended"] is not None:
        lines.append(f"THE GATEWAY ENDED: {result['ended']}")
    return "\n".join(lines)


def main() -> int:
    if sys.argv[1:2] == ["--attack"]:
        name, port, secure, seconds = sys.argv[2:]
        resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
        getattr(Attacks(int(port), int(secure), float(seconds)), name)()
        return 0
    if sys.argv[1:2] == ["--watch"]:
        Watcher(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]).run()
        return 0
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 38
    folder = pathlib.Path(tempfile.mkdtemp(prefix="siege-"))
    rest = float(os.environ.get("SIEGE_REST", 60))
    siege = Siege(os.environ.get("SLUICE", str(HERE.parents[1] / ".build/release/sluice")), folder)
    try:
        result = siege.run(sys.argv[2:] or ATTACKS, seconds, quiet=10 if rest else 2, rest=rest)
        print(table(result))
        if "SIEGE_LOG" in os.environ:
            pathlib.Path(os.environ["SIEGE_LOG"]).write_text("\n".join(siege.log))
    finally:
        code = siege.close()
        shutil.rmtree(folder)
    print(f"stopped with exit code {code}")
    worst = max(max(times) for name, times in result["health"].items())
    return int(result["ended"] is not None or code != 0 or worst > 0.2 or bool(result["errors"]))


if __name__ == "__main__":
    sys.exit(main())
