"""What is measured, on which servers, and what it should come to."""

from collections.abc import Callable
from dataclasses import dataclass

from peers import (
    Daphne,
    Nchan,
    NginxInFront,
    Picows,
    Sluice,
    SluiceCompressing,
    SluiceRedis,
    SluiceTLS,
    Socketify,
    SocketifyTLS,
    Uvicorn,
    UvicornRedis,
    UvicornTLS,
)
from peers.server import Server


@dataclass(frozen=True)
class Target:
    """`at least` or `at most` so much: of the ratio, or, without a peer, of our figure."""

    sign: str
    value: float


def at_least(value: float) -> Target:
    return Target("≥", value)


def at_most(value: float) -> Target:
    return Target("≤", value)


@dataclass(frozen=True)
class Contestant:
    server: type[Server]
    path: str
    target: Target | None = None
    arguments: tuple = ()
    """Options of this one only."""
    name: str = ""

    @property
    def title(self) -> str:
        return self.name or self.server.name


@dataclass(frozen=True)
class Missing:
    """A peer that is not measured, and why."""

    title: str
    reason: str


@dataclass(frozen=True)
class Workload:
    key: str
    title: str
    unit: str
    arguments: tuple
    """Of `sluice bench`."""
    figure: Callable[[dict], float]
    ours: Contestant
    peers: tuple
    own_target: Target | None = None
    """Of our figure itself."""
    is_fresh: bool = False
    """Every run needs a server that has served nobody yet."""
    needs: str = ""
    """An option that `sluice bench` has to know."""


def per_second(result: dict) -> float:
    return result["per_second"]


def p99(result: dict) -> float:
    return result["latency_us"]["p99"] / 1000


def bytes_per_session(result: dict) -> float:
    return result["server"]["bytes_per_connection"]


def processor_time(result: dict) -> float:
    return result["server"]["us_per_operation"]


MESSAGES, DELIVERIES = "messages/s", "deliveries/s"

NATS = Missing(
    "NATS",
    "speaks its own protocol inside WebSocket (INFO, SUB, PUB, PING; several messages in a frame), which `sluice bench` does not",
)

ARTICLE = (
    '{"mark": "{body}", "id": 48151, "type": "article.changed", "at": "2026-03-14T09:26:53Z", "author": {"name": "Ada Byron", "role": "editor"}, '
    '"title": "Harbour wall to be rebuilt before winter", "tags": ["harbour", "building", "council", "budget"], '
    '"summary": "After the storms of January the council has decided to rebuild the northern wall. Work begins in May and is '
    'to last five months; the fishing fleet moves to the southern basin meanwhile.", "votes": {"for": 17, "against": 9, '
    '"abstained": 3}, "links": [{"rel": "self", "href": "/articles/48151"}, {"rel": "comments", "href": '
    '"/articles/48151/comments"}, {"rel": "map", "href": "/places/harbour"}], "read": 5127, "shared": 211}'
)


def echo(key: str, title: str, arguments: tuple, *peers: Contestant) -> Workload:
    return Workload(f"echo-{key}", f"echo, {title}", MESSAGES, ("echo", *arguments), per_second, Contestant(Sluice, "/echo"), peers)


def broadcast(window: int, *peers) -> Workload:
    arguments = ("fanout", "--connections", 1000, "--window", window)
    return Workload(
        f"broadcast-{window}",
        f"broadcast to 1,000, window {window}",
        DELIVERIES,
        arguments,
        per_second,
        Contestant(Sluice, "/news"),
        peers,
    )


def through_redis(window: int) -> Workload:
    return Workload(
        f"broadcast-redis-{window}",
        f"broadcast to 1,000 through Redis, window {window}",
        DELIVERIES,
        ("fanout", "--connections", 1000, "--window", window),
        per_second,
        Contestant(SluiceRedis, "/news"),
        (Contestant(UvicornRedis, "/news", at_least(40)),),
    )


def chat(window: int) -> Workload:
    return Workload(
        f"chat-{window}",
        f"chat (JSON in and out) to 1,000, window {window}",
        DELIVERIES,
        ("fanout", "--connections", 1000, "--window", window),
        per_second,
        Contestant(Sluice, "/chat", arguments=("--json",)),
        (Contestant(Sluice, "/news", at_least(0.9), name="our own broadcast"),),
    )


def secure_echo(key: str, title: str, arguments: tuple) -> Workload:
    return Workload(
        f"tls-echo-{key}",
        f"echo over TLS, {title}",
        MESSAGES,
        ("echo", *arguments),
        per_second,
        Contestant(SluiceTLS, "/echo"),
        (Contestant(SocketifyTLS, "/echo"), Contestant(NginxInFront, "/echo"), Contestant(UvicornTLS, "/echo")),
        needs="--insecure",
    )


# What Sluice, and the view on Channels, is sent; and nchan, which takes any body.
OURS, CHANNELS, PLAIN = ("--group", "news", "--token-env", "BENCH_TOKEN"), ("--group", "news"), ("--template", "{body}")


def publishing(key: str, title: str, arguments: tuple, *others: Contestant) -> Workload:
    return Workload(
        f"publish-{key}",
        f"publish over HTTP, 64 B, 32 connections, {title}",
        "requests/s",
        ("publish", "--connections", 32, *arguments),
        per_second,
        Contestant(Sluice, "/publish", arguments=OURS),
        (Contestant(Nchan, "/publish", arguments=PLAIN), *others),
        needs="--group",
    )


def events(window: int) -> Workload:
    return Workload(
        f"events-{window}",
        f"server-sent events to 1,000, window {window}",
        DELIVERIES,
        ("events", "--connections", 1000, "--window", window, "--publish", "HTTP/publish"),
        per_second,
        Contestant(Sluice, "/events", arguments=OURS),
        (Contestant(Nchan, "/events", arguments=PLAIN),),
        needs="--publish",
    )


WORKLOADS = (
    echo(
        "1",
        "64 B, 1 in flight",
        ("--connections", 100),
        Contestant(Picows, "/", at_least(1.25)),
        Contestant(Socketify, "/echo"),
        Contestant(Uvicorn, "/echo", at_least(20)),
        Contestant(Daphne, "/echo"),
    ),
    echo(
        "16",
        "64 B, 16 in flight",
        ("--connections", 100, "--in-flight", 16),
        Contestant(Picows, "/", at_least(12)),
        Contestant(Socketify, "/echo"),
    ),
    echo(
        "64k",
        "64 KiB, 1 in flight",
        ("--connections", 20, "--size", 65536),
        Contestant(Picows, "/", at_least(1.3)),
        Contestant(Socketify, "/echo"),
    ),
    broadcast(
        1,
        Contestant(Socketify, "/news", at_least(1.2)),
        Contestant(Nchan, "/news", at_least(1.5)),
        Contestant(Uvicorn, "/news", at_least(40), name="uvicorn + Channels, in memory"),
        NATS,
    ),
    broadcast(
        16,
        Contestant(Socketify, "/news", at_least(1.2)),
        Contestant(Nchan, "/news", at_least(15)),
        Contestant(Uvicorn, "/news", at_least(40), name="uvicorn + Channels, in memory"),
        NATS,
    ),
    through_redis(1),
    through_redis(16),
    chat(1),
    chat(16),
    Workload(
        "handshakes",
        "handshakes into a group, 100 at a time",
        "handshakes/s",
        ("connect", "--connections", 100),
        per_second,
        Contestant(Sluice, "/news"),
        (Contestant(Nchan, "/news", at_least(1)), Contestant(Socketify, "/news")),
    ),
    secure_echo("64", "64 B, 1 in flight", ("--connections", 100)),
    secure_echo("16k", "16 KiB, 1 in flight", ("--connections", 20, "--size", 16384)),
    Workload(
        "tls-handshakes",
        "handshakes with TLS, 100 at a time",
        "handshakes/s",
        ("connect", "--connections", 100),
        per_second,
        Contestant(SluiceTLS, "/news"),
        (Contestant(SocketifyTLS, "/news"),),
        needs="--insecure",
    ),
    publishing(
        "0",
        "nobody listening",
        (),
        Contestant(Uvicorn, "/publish", arguments=CHANNELS, name="uvicorn + Channels, in memory"),
    ),
    publishing("1000", "1,000 listening", ("--listen", "WS/news", "--listeners", 1000)),
    events(1),
    events(16),
    Workload(
        "latency",
        "p99 of 50,000 deliveries/s (50 events/s to 1,000)",
        "ms",
        ("fanout", "--connections", 1000, "--rate", 50),
        p99,
        Contestant(Sluice, "/news"),
        (Contestant(Socketify, "/news", at_most(1)),),
    ),
    Workload(
        "memory",
        "resident memory for each idle session in a group",
        "B",
        ("idle", "--connections", 2000, "--seconds", 0.5, "--warm-up", 0),
        bytes_per_session,
        Contestant(Sluice, "/news", arguments=("--connections", 10000)),
        (
            Contestant(Nchan, "/news", arguments=("--connections", 10000)),
            Contestant(Socketify, "/news", arguments=("--connections", 10000)),
            Contestant(Uvicorn, "/news"),
            Contestant(Daphne, "/news"),
        ),
        own_target=at_most(1024),
        is_fresh=True,
    ),
    Workload(
        "compression",
        "1 KiB of JSON to 1,000, compressed: the server's time for each delivery",
        "µs",
        ("fanout", "--connections", 1000, "--rate", 50, "--size", 1024, "--template", ARTICLE),
        processor_time,
        Contestant(SluiceCompressing, "/packed", arguments=("--compress",)),
        (Contestant(Sluice, "/news", at_most(1.2), name="our own, uncompressed"),),
        needs="--compress",
    ),
)
