"""What a view's `group_send` costs until the last socket has it: Sluice beside Daphne with the tutorial's consumer.

    .build/interop/venv/bin/python Tests/Interop/bench_group_send.py [ROUNDS]

One Redis, one Django under gunicorn, sockets on both servers in one client process. Rounds alternate between the two, so that both
see the same machine. Not a part of `make test`.
"""

import asyncio
import json
import pathlib
import statistics
import sys
import tempfile
import time

from crowd import Member, Streams
from redis_stack import DjangoServer, Host, Layer, RedisGateway, RedisServer, chat, routes

def cpu_seconds(pid: int) -> float:
    """Processor time of all threads, in nanoseconds as the scheduler counts it."""
    return sum(int(file.read_text().split()[0]) for file in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


class Watcher(Member):
    """Counts reads: each message is awaited before the next is sent, so one read is one message."""

    waiting: "Arrival"

    def heard(self, data: bytes) -> None:
        self.waiting.arrived()


class Arrival:
    def __init__(self):
        self.left, self.last = 0, None

    def expect(self, count: int) -> asyncio.Future:
        self.left, self.last = count, asyncio.get_running_loop().create_future()
        return self.last

    def arrived(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.last.set_result(time.perf_counter())


async def post(port: int, room: str, number: int) -> None:
    body = json.dumps([["group_send", f"chat_{room}", chat(number)]]).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /push/default/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200"), answer
    writer.close()


class Side:
    def __init__(self, name: str, port: int, pid: int):
        self.name, self.port, self.pid = name, port, pid
        self.arrival, self.cpu, self.times, self.views = Arrival(), 0.0, [], []

    async def fill(self, count: int) -> None:
        self.room, self.count, self.members = f"{self.name}{count}", count, []
        self.cpu, self.times, self.views = 0.0, [], []
        for _ in range(count):
            _, member = await asyncio.get_running_loop().create_connection(
                lambda: Watcher(Streams(), self.room), "127.0.0.1", self.port
            )
            member.waiting = self.arrival
            await member.opened
            self.members.append(member)

    async def round(self, django: int, number: int) -> None:
        last, before, begun = self.arrival.expect(self.count), cpu_seconds(self.pid), time.perf_counter()
        await post(django, self.room, number)
        self.views.append(time.perf_counter() - begun)
        try:
            self.times.append(await asyncio.wait_for(last, 20) - begun)
        except asyncio.TimeoutError:
            closed = sum(member.closed for member in self.members)
            sys.exit(f"{self.name}: {self.arrival.left} of {self.count} did not hear message {number}; {closed} are closed")
        self.cpu += cpu_seconds(self.pid) - before

    def report(self) -> str:
        times, views = sorted(self.times), sorted(self.views)
        p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
        return (
            f"| {self.name} | {self.count} | {statistics.median(views) * 1e3:.1f} | {statistics.median(times) * 1e3:.1f} "
            f"| {p99 * 1e3:.1f} | {self.cpu / len(times) * 1e3:.2f} |"
        )


async def bench(django: DjangoServer, sides: list[Side], rounds: int) -> None:
    print("| server | sockets | view, median ms | last socket, median ms | last socket, p99 ms | server CPU ms a message |")
    print("|---|---|---|---|---|---|")
    for count in (1, 1000):
        for side in sides:
            await side.fill(count)
        for number in range(rounds):
            for side in sides if number % 2 else reversed(sides):
                await side.round(django.port, number)
        for side in sides:
            print(side.report(), flush=True)
            for member in side.members:
                member.transport.abort()
        await asyncio.sleep(3)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        home, running = pathlib.Path(folder), []
        try:
            redis = RedisServer(home / "redis")
            running.append(redis)
            layer = Layer((Host(redis),), capacity=10_000)
            file = home / "routes.yaml"
            # These clients do not answer pings.
            file.write_text(routes(layer, "limits: {ping: none}"))
            gateway = RedisGateway(file)
            running.append(gateway)
            django = DjangoServer("gunicorn", {"default": layer}, home / "gunicorn")
            running.append(django)
            daphne = DjangoServer("daphne", {"default": layer}, home / "daphne")
            running.append(daphne)
            sides = [
                Side("sluice", gateway.port, gateway.process.pid), Side("daphne", daphne.port, daphne.process.pid)
            ]
            asyncio.run(bench(django, sides, rounds))
        finally:
            for process in reversed(running):
                process.stop()


if __name__ == "__main__":
    main()
