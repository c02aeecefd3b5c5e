"""Reloads, or upgrades, under a mixed load. Prints what was closed, lost and doubled, who was told that others left, and the longest pause.

`bench_reload.py [SESSIONS] [RATE] [TIMES] [--upgrade] [--redis core|pubsub]`. 10,000 sessions are 5,000 of chat, 3,000 of broadcast, 1,000
event streams and 1,000 behind `proxy`, in groups of ten. With Redis, chat has a history and presence, broadcast a history.
"""

import argparse
import contextlib
import json
import pathlib
import resource
import signal
import statistics
import tempfile

from conftest import Gateway
from mixed import ROUTES, UPSTREAM, Load
from redis_stack import Host, Layer, RedisServer


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sessions", type=int, nargs="?", default=10_000)
    parser.add_argument("rate", type=int, nargs="?", default=1000, help="messages a second")
    parser.add_argument("times", type=int, nargs="?", default=10)
    parser.add_argument("--upgrade", action="store_true")
    parser.add_argument("--redis", choices=("core", "pubsub"))
    return parser.parse_args()


def routes(folder: pathlib.Path, redis: str | None, running: contextlib.ExitStack, upstream: Gateway) -> str:
    text = ROUTES.replace("UPSTREAM", str(upstream.port))
    if not redis:
        return text.replace("LAYER", "{backend: memory}").replace("EXTRA", "")
    server = RedisServer(folder / "redis")
    running.callback(server.stop)
    layer = Layer((Host(server),), redis, capacity=20_000)
    chat, news = text.split("EXTRA", 1)
    return (
        (chat + ", history: {messages: 20}, presence: true" + news)
        .replace("LAYER", layer.yaml)
        .replace("EXTRA", ", history: {messages: 20}")
    )


def measure(asked: argparse.Namespace, folder: pathlib.Path, running: contextlib.ExitStack) -> None:
    number_of, word = (signal.SIGUSR2, "NOTICE upgraded") if asked.upgrade else (signal.SIGHUP, "reloaded")
    upstream_file, file = folder / "upstream.yaml", folder / "routes.yaml"
    upstream_file.write_text(UPSTREAM)
    upstream = Gateway(upstream_file)
    running.callback(upstream.stop)
    text = routes(folder, asked.redis, running, upstream)
    file.write_text(text)
    gateway = Gateway(file, bind=None)
    running.callback(gateway.stop)
    load = Load(gateway.port, asked.sessions)
    print(f"{len(load.clients)} sessions, {asked.rate} messages a second, layer {asked.redis or 'memory'}")
    # Until presence has told everybody of everybody.
    load.run(5, asked.rate)
    load.presences = 0
    before = [load.run(3, asked.rate) for _ in range(3)]
    memory, pauses = gateway.resident_kib, []
    for number in range(asked.times):
        if not asked.upgrade:
            file.write_text(text + f"      - {{path: extra/{number}/, consumer: echo}}\n")
        gateway.process.send_signal(number_of)
        pauses.append(load.run(4, asked.rate))
        assert sum(word in line for line in gateway.log) == number + 1, gateway.log[-5:]
    if asked.redis:
        # Others are told after two seconds that somebody has gone.
        load.run(4, asked.rate)
    print(f"longest pause without one: {', '.join(f'{each:.1f}' for each in before)} ms")
    print(f"longest pause with one:    {', '.join(f'{each:.1f}' for each in pauses)} ms (median {statistics.median(pauses):.1f})")
    print(
        f"closed {len(load.closes) + len(load.ends)}, lost {load.missing}, out of order or doubled {len(load.gaps)} "
        f"of {load.deliveries} deliveries; presence frames {load.presences}"
    )
    print(f"memory {memory} KiB before, {gateway.resident_kib} KiB after")
    print(next(line for line in reversed(gateway.log) if word in line))
    load.close()
    print("ends with", gateway.stop(), upstream.stop())


def main() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as running:
        measure(options(), pathlib.Path(folder), running)


if __name__ == "__main__":
    main()
