"""Redis servers, a Django project under gunicorn, the same under Daphne, and gateways on the same channel layers."""

import contextlib
import dataclasses
import functools
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
import redis as redis_py
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as ws_connect

from conftest import ROOT, Gateway

PROJECT = pathlib.Path(__file__).parent / "django_project"
EXAMPLE = ROOT / "examples/django"
KEY = "interop-key-not-a-secret"


def wait_until(true, seconds: float = 20, what: str = ""):
    """Polls with short pauses until a deadline, for conditions that no event reports."""
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or true}"
        time.sleep(0.02)
    return value


# The first and last of the ports that the system gives to connections, and to listeners on port 0.
FIRST, LAST = map(int, pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
reserved: list[socket.socket] = []


def free_port() -> int:
    """A port that stays free until a server of this process listens there, even if that is much later.

    The system gives it to nobody, and `reserved` keeps it from the tests in other processes until the end of this one.
    """
    ports = [port for port in range(10_000, 50_000) if not FIRST <= port <= LAST] or list(range(10_000, 50_000))
    random.shuffle(ports)
    for port in ports:
        with contextlib.suppress(OSError), socket.socket() as sock, contextlib.ExitStack() as stack:
            # A name in the kernel, which is free again when this process has ended.
            reservation = stack.enter_context(socket.socket(socket.AF_UNIX))
            reservation.bind(f"\0sluice-tests-port-{port}")
            sock.bind(("127.0.0.1", port))
            stack.pop_all()
            reserved.append(reservation)
            return port
    raise AssertionError("no port is free")


@functools.cache
def closed_port() -> int:
    """A port that no server of these tests ever listens on."""
    return free_port()


class RedisServer:
    """A redis-server that stores nothing, on one port for its whole life, including restarts."""

    def __init__(self, home: pathlib.Path, *options: str):
        self.home, self.port, self.process, self.options = home, free_port(), None, options
        home.mkdir(parents=True, exist_ok=True)
        self.start()

    def start(self) -> None:
        program = shutil.which("redis-server")
        assert program, "this needs redis-server (Debian's package)"
        self.process = subprocess.Popen(
            [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
             "--dir", str(self.home), "--logfile", str(self.home / "redis.log"), *self.options],
            stdout=subprocess.DEVNULL,
        )
        wait_until(self.answers, 10, "redis-server answers")

    def answers(self) -> bool:
        assert self.process.poll() is None, (self.home / "redis.log").read_text()
        with contextlib.suppress(redis_py.ConnectionError):
            return self.client().ping()
        return False

    def client(self, db: int = 0) -> redis_py.Redis:
        return redis_py.Redis(port=self.port, db=db)

    def stop(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.wait(10)

    @contextlib.contextmanager
    def hung(self):
        """Makes the server accept connections and answer nothing."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def admit(self, user: str) -> None:
        """Creates a user with all rights, whose password is the name."""
        self.client().acl_setuser(user, enabled=True, reset=True, passwords=[f"+{user}"], keys="*", channels="*", commands=["+@all"])

    def shut_out(self, user: str) -> None:
        """Simulates an outage for one user: no data is lost, and other users are not affected."""
        self.client().acl_setuser(user, enabled=False)
        self.client().execute_command("CLIENT", "KILL", "USER", user)

    def url(self, db: int = 0, user: str = "") -> str:
        return f"redis://{f'{user}:{user}@' if user else ''}127.0.0.1:{self.port}/{db}"


@dataclasses.dataclass(frozen=True)
class Host:
    server: RedisServer
    db: int = 0

    def client(self) -> redis_py.Redis:
        return self.server.client(self.db)


@dataclasses.dataclass(frozen=True)
class Layer:
    """One channel layer, written for both sides."""

    hosts: tuple[Host, ...]
    layout: str = "core"
    format: str = "msgpack"
    encrypted: bool = False
    prefix: str = "asgi"
    capacity: int = 100
    group_expiry: int = 86400
    expiry: int = 60
    keys: tuple[str, ...] = (KEY,)
    # As written in the files, if the URLs and mappings of `hosts` are not enough.
    django_hosts: list | None = None
    yaml_hosts: list | None = None

    @property
    def backend(self) -> str:
        return {"core": "channels_redis.core.RedisChannelLayer", "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer"}[
            self.layout
        ]

    @property
    def config(self) -> dict:
        config = {
            # redis-py 8 ends an idle receiver after 5 seconds unless told otherwise.
            "hosts": self.django_hosts or [
                {"host": "127.0.0.1", "port": host.server.port, "db": host.db, "socket_timeout": None} for host in self.hosts
            ],
            "prefix": self.prefix,
            "serializer_format": self.format,
        }
        if self.encrypted:
            config["symmetric_encryption_keys"] = list(self.keys)
        if self.layout == "core":
            config |= {"capacity": self.capacity, "group_expiry": self.group_expiry, "expiry": self.expiry}
        return config

    @property
    def key_names(self) -> list[str]:
        """The environment variables that the gateway's file uses."""
        return ["LAYER_KEY", *(f"LAYER_KEY_{number}" for number in range(1, len(self.keys)))]

    @property
    def django(self) -> dict:
        return {"BACKEND": self.backend, "CONFIG": self.config}

    @property
    def yaml(self) -> str:
        config = {
            "hosts": self.yaml_hosts or [host.server.url(host.db) for host in self.hosts],
            "prefix": self.prefix,
            "serializer_format": self.format,
        }
        if self.encrypted:
            config["symmetric_encryption_keys"] = [{"env": name} for name in self.key_names]
        if self.layout == "core":
            config |= {"capacity": self.capacity, "group_expiry": f"{self.group_expiry}s", "expiry": f"{self.expiry}s"}
        return json.dumps({"backend": self.backend, "config": config})

    def make(self):
        """A layer object of channels_redis in this process."""
        from channels_redis.core import RedisChannelLayer
        from channels_redis.pubsub import RedisPubSubChannelLayer

        return {"core": RedisChannelLayer, "pubsub": RedisPubSubChannelLayer}[self.layout](**self.config)

    # What Redis knows.

    def members(self, group: str) -> list[str]:
        """Core: the members of the group, on whichever shard it is."""
        return [m.decode() for host in self.hosts for m in host.client().zrange(f"{self.prefix}:group:{group}", 0, -1)]

    def subscribers(self, group: str) -> int:
        """PubSub: how many processes listen to the group."""
        name = f"{self.prefix}__group__{group}"
        return sum(host.client().pubsub_numsub(name)[0][1] for host in self.hosts)

    def joined(self, group: str) -> int:
        return len(self.members(group)) if self.layout == "core" else self.subscribers(group)

    def host_of(self, name: str) -> Host:
        import binascii

        return self.hosts[int((binascii.crc32(name.encode()) & 0xFFF) / (4096 / len(self.hosts)))]


ROUTES = r"""
installed_apps: [chat]
channel_layers: {default: LAYER}
EXTRA
applications:
  main:
    http:
      - {path: health/ready, health: ready}
    websocket:
      - re_path: '^ws/chat/(?P<room_name>\w+)/$'
        consumer: chat
        group: "chat_{room_name}"
        events: {who.is.there: {me: "{channel}"}}
"""


def routes(layer: Layer, extra: str = "") -> str:
    return ROUTES.replace("LAYER", layer.yaml).replace("EXTRA", extra)


class Session:
    """A WebSocket client that speaks the chat's JSON."""

    def __init__(self, url: str, **options):
        self.socket = ws_connect(url, open_timeout=20, max_size=None, compression=None, proxy=None, **options)

    def say(self, message) -> None:
        self.send({"message": message})

    def send(self, value: dict) -> None:
        self.socket.send(json.dumps(value))

    def hear(self, timeout: float = 20):
        return json.loads(self.socket.recv(timeout=timeout))

    def message(self, timeout: float = 20):
        value = self.hear(timeout)
        assert set(value) == {"message"}, value
        return value["message"]

    def messages(self, count: int, timeout: float = 30) -> list:
        return [self.message(timeout) for _ in range(count)]

    def rest(self, seconds: float = 0.5) -> list:
        """Messages until nothing arrives for a moment."""
        heard = []
        try:
            while True:
                heard.append(self.message(seconds))
        except TimeoutError:
            return heard

    def silent(self, seconds: float = 0.3) -> bool:
        try:
            self.socket.recv(timeout=seconds)
        except TimeoutError:
            return True
        return False

    def is_open(self) -> bool:
        return self.socket.ping().wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class DjangoServer:
    """gunicorn or Daphne with the project of `django_project`."""

    def __init__(self, kind: str, layers: dict[str, Layer], home: pathlib.Path):
        home.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.log = home / f"{kind}.log"
        self.env = {
            **os.environ,
            "PYTHONPATH": f"{PROJECT}{os.pathsep}{EXAMPLE}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "DJANGO_SETTINGS_MODULE": "interop_site.settings",
            "DATABASE": str(home / "db.sqlite3"),
            "DEBUG": "1",
            "CHANNEL_LAYERS": json.dumps({alias: layer.django for alias, layer in layers.items()}),
        }
        self.run("-m", "django", "migrate", "--verbosity", "0")
        if kind == "gunicorn":
            command = ["-m", "gunicorn", "interop_site.wsgi", "--bind", f"127.0.0.1:{self.port}", "--no-control-socket"]
            command += ["--worker-tmp-dir", str(home), "--threads", "4"]
        else:
            command = ["-m", "daphne", "-v", "0", "-b", "127.0.0.1", "-p", str(self.port), "interop_site.asgi:application"]
        with self.log.open("w") as log:
            self.process = subprocess.Popen([sys.executable, *command], env=self.env, cwd=home, stdout=log, stderr=log)
        wait_until(self.answers, 40, f"{kind} answers")

    def run(self, *arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], env=self.env, check=True, timeout=60)

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(OSError), urllib.request.urlopen(self.http("/chat/"), timeout=5) as answer:
            return answer.status == 200
        return False

    def http(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def session(self, room: str, alias: str = "default") -> Session:
        path = f"/ws/chat/{room}/" if alias == "default" else f"/{alias}/ws/chat/{room}/"
        return Session(f"ws://127.0.0.1:{self.port}{path}")

    def call(self, *calls: list, alias: str = "default") -> None:
        """Calls the channel layer like a view, through async_to_sync."""
        request = urllib.request.Request(
            self.http(f"/push/{alias}/"), json.dumps(calls).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.load(answer) == {"done": len(calls)}

    def push(self, room: str, message, alias: str = "default") -> None:
        self.call(["group_send", f"chat_{room}", chat(message)], alias=alias)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def chat(message) -> dict:
    return {"type": "chat.message", "message": message}


class RedisGateway(Gateway):
    """A gateway that is ready: its file has `health: ready` at health/ready, which is 503 until Redis is there."""

    def __init__(self, *arguments, wait: bool = True, **options):
        super().__init__(*arguments, **options)
        if wait:
            wait_until(self.is_ready, 20, "the gateway is ready")

    def is_ready(self) -> bool:
        try:
            return urllib.request.urlopen(self.http("/health/ready"), timeout=5).status == 200
        except urllib.error.HTTPError as error:
            assert error.code == 503, error
            return False

    def session(self, room: str) -> Session:
        return Session(self.ws(f"/ws/chat/{room}/"))

    def refuses(self, room: str) -> bool:
        """Refused with 503; a session would be open for a moment otherwise."""
        try:
            self.session(room).socket.close()
        except InvalidStatus as refused:
            assert refused.response.status_code == 503, refused
            return True
        return False

    def count(self, text: str) -> int:
        """How many lines of the log contain the text."""
        return sum(text in line for line in self.log)


@pytest.fixture(scope="session")
def redis_servers(tmp_path_factory):
    """Three servers, so that a channel layer of pub/sub can have three shards: the databases of one server share one bus there."""
    home = tmp_path_factory.mktemp("redis")
    servers = [RedisServer(home / str(number)) for number in range(3)]
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture
def redis(tmp_path):
    """A server that a test may flush, kill and restart."""
    server = RedisServer(tmp_path / "redis")
    yield server
    server.stop()


MATRIX = [
    "-".join(choice)
    for choice in itertools.product(("core", "pubsub"), ("msgpack", "json"), ("plain", "encrypted"), ("1", "3"))
]


@pytest.fixture(scope="session")
def matrix(redis_servers) -> dict[str, Layer]:
    layers = {}
    for alias in MATRIX:
        layout, format, encryption, shards = alias.split("-")
        if shards == "1":
            hosts = [Host(redis_servers[0], 3)]
        elif layout == "core":
            hosts = [Host(redis_servers[0], db) for db in range(3)]
        else:
            hosts = [Host(server) for server in redis_servers]
        layers[alias] = Layer(
            tuple(hosts), layout, format, encryption == "encrypted", prefix=f"{alias}:", capacity=20000
        )
    return layers


@pytest.fixture(scope="session")
def django(matrix, redis_servers, tmp_path_factory):
    """The Django project under gunicorn, with every layer of the matrix."""
    server = DjangoServer("gunicorn", {"default": plain(redis_servers), **matrix}, tmp_path_factory.mktemp("gunicorn"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def daphne(matrix, redis_servers, tmp_path_factory):
    """The tutorial's consumer on Daphne, with every layer of the matrix."""
    server = DjangoServer("daphne", {"default": plain(redis_servers), **matrix}, tmp_path_factory.mktemp("daphne"))
    yield server
    server.stop()


def plain(redis_servers) -> Layer:
    """The layer of the tutorial: one host, and defaults for everything else."""
    return Layer((Host(redis_servers[1]),))


@pytest.fixture
def layer_gateway(start):
    """Starts gateways on a layer: `layer_gateway(layer)`."""

    def begin(layer: Layer, extra: str = "", **options) -> RedisGateway:
        options.setdefault("env", dict(zip(layer.key_names, layer.keys)))
        return start(text=routes(layer, extra), kind=RedisGateway, **options)

    return begin


@pytest.fixture(params=["core", "pubsub"])
def layer(request, redis) -> Layer:
    """A layer of each layout, on a server for this test only."""
    return Layer((Host(redis),), request.param, capacity=20000)
