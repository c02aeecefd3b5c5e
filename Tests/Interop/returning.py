"""Clients that come back as the one of the manual does, thousands of them in one process, and when they did."""

import asyncio
import random
import re
import struct
import time

from clients import frame, handshake

HINT = re.compile(r"retry in ([\d.]+)s")


class Client(asyncio.Protocol):
    """One attempt: a handshake, and then a session until its close frame."""

    def __init__(self, crowd: "Crowd"):
        self.crowd, self.data, self.isOpen, self.end = crowd, b"", False, asyncio.get_running_loop().create_future()

    def connection_made(self, transport) -> None:
        self.transport = transport
        transport.write(self.crowd.request)

    def data_received(self, data: bytes) -> None:
        self.data += data
        if not self.isOpen:
            head, end, rest = self.data.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                return self.finish("refused", head.decode())
            self.isOpen, self.data = True, rest
            self.crowd.opened.append(time.monotonic())
        if len(self.data) >= 2 and self.data[0] == 0x88 and len(self.data) >= 2 + self.data[1]:
            (code,) = struct.unpack_from("!H", self.data, 2)
            reason = self.data[4 : 2 + self.data[1]].decode()
            self.crowd.closes.append((time.monotonic(), code, reason))
            self.transport.write(frame(8, self.data[2:4]))
            self.finish("closed", reason)

    def finish(self, how: str, text: str) -> None:
        if not self.end.done():
            self.end.set_result((how, text))
            self.transport.close()

    def connection_lost(self, error) -> None:
        if not self.end.done():
            self.end.set_result(("lost", str(error)))


class Crowd:
    def __init__(self, port: int, count: int, path: str = "/ws/echo/", host: str = "127.0.0.1"):
        self.host, self.port, self.count, self.request = host, port, count, handshake(path)
        self.opened: list[float] = []
        self.closes: list[tuple[float, int, str]] = []
        # Attempts that failed: "refused" with a status, "lost" without an answer, or "unreached".
        self.failures: list[tuple[float, str, str]] = []
        self.tasks: list[asyncio.Task] = []

    async def live(self) -> None:
        """Opens a session again and again, by the rules of the manual's client."""
        pause = 0.5
        while True:
            since, how, text = None, "unreached", ""
            try:
                _, client = await asyncio.get_running_loop().create_connection(lambda: Client(self), self.host, self.port)
                how, text = await client.end
                since = time.monotonic() if client.isOpen else None
            except OSError as error:
                text = str(error)
            if how != "closed":
                self.failures.append((time.monotonic(), how, text.split("\r\n")[0]))
            told = HINT.search(text) if how == "closed" else None
            if since:
                pause = 0.5
            await asyncio.sleep(float(told[1]) + 0.1 * random.random() if told else pause * (0.5 + random.random() / 2))
            if not told:
                pause = min(2 * pause, 30)

    async def open_all(self) -> None:
        """Not more than 200 at a time, which no listener has trouble with."""
        for begun in range(0, self.count, 200):
            number = min(200, self.count - begun)
            self.tasks += [asyncio.create_task(self.live()) for _ in range(number)]
            await self.wait_for(lambda: len(self.opened) >= begun + number)

    async def wait_for(self, condition, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (len(self.opened), len(self.closes), self.failures[-5:])
            await asyncio.sleep(0.02)

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def peak_and_mean(times: list[float]) -> tuple[int, float]:
    """The most within any second, and how many there are in each on average."""
    times = sorted(times)
    peak, end = 0, 0
    for start, first in enumerate(times):
        while end < len(times) and times[end] < first + 1:
            end += 1
        peak = max(peak, end - start)
    return peak, len(times) / max(1, times[-1] - times[0])
