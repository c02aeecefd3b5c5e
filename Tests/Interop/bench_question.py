"""What one question to a view costs the gateway: its processor's time for each message, beside that of an echo without a view.

    .build/interop/venv/bin/python Tests/Interop/bench_question.py [ROUNDS]

The view is a small server of this program that answers at once with the message itself. It keeps its connections, or ends each after its
answer as gunicorn's sync workers do, over TCP and over a Unix socket. The gateway is pinned to one processor, everything else to the other;
rounds alternate between the cases. Not a part of `make test`.
"""

import asyncio
import json
import multiprocessing
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

from bench_ask import processor_seconds
from bench_proxy import need, pin
from conftest import SLUICE, Gateway
from redis_stack import free_port, wait_until
from wsgi import SECRET

CLIENTS, WARM_UP, SECONDS = 16, 0.5, 2.0
PLACES = {"TCP": "http://127.0.0.1:{port}/ws/", "a Unix socket": "unix:{socket}:/ws/"}
HEAD = """HTTP/1.1 200 OK\r
Server: gunicorn\r
Date: Sun, 29 Nov 2026 20:00:00 GMT\r
Connection: {connection}\r
Content-Type: application/json\r
X-Frame-Options: DENY\r
X-Content-Type-Options: nosniff\r
Content-Length: {length}\r
\r
"""


class View(asyncio.Protocol):
    def __init__(self, keeps: bool):
        self.keeps, self.bytes = keeps, b""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.bytes += data
        head, _, body = self.bytes.partition(b"\r\n\r\n")
        found = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if not found or len(body) < int(found[1]):
            return
        self.bytes = b""
        text = json.loads(body)["messages"][0]["text"]
        answer = json.dumps({"do": [{"send": {"text": text}}]}).encode()
        connection = "keep-alive" if self.keeps else "close"
        self.transport.write(HEAD.format(connection=connection, length=len(answer)).encode() + answer)
        if not self.keeps:
            self.transport.close()


def serve(port: int, socket: str, keeps: bool) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        await loop.create_server(lambda: View(keeps), "127.0.0.1", port)
        await loop.create_unix_server(lambda: View(keeps), socket)
        await asyncio.Event().wait()

    asyncio.run(run())


def cost(gateway: Gateway, path: str) -> tuple[float, float]:
    """Microseconds for each message, and messages a second."""
    command = ["taskset", "-c", "1", SLUICE, "bench", "echo", "--connections", str(CLIENTS), "--format", "json", "--quiet"]
    command += ["--warm-up", str(WARM_UP), "--seconds", str(SECONDS), gateway.ws(path)]
    before = processor_seconds([gateway.process.pid])
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
    spent = processor_seconds([gateway.process.pid]) - before
    # The warm-up is the same load.
    return spent / (result["per_second"] * (SECONDS + WARM_UP)) * 1e6, result["per_second"]


def main() -> None:
    need("taskset")
    if os.cpu_count() < 2:
        sys.exit("this needs two processors")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as folder:
        home, servers, routes, names = pathlib.Path(folder), [], ["- {path: echo/, consumer: echo}"], {"echo/": "an echo, without a view"}
        for keeps in (True, False):
            port, socket = free_port(), str(home / f"{keeps}.sock")
            server = multiprocessing.Process(target=serve, args=(port, socket, keeps), daemon=True)
            server.start()
            servers.append(server)
            pin(server.pid, 1)
            wait_until(lambda: pathlib.Path(socket).exists(), 10, "the view listens")
            for place, url in PLACES.items():
                path = f"{len(routes)}/"
                routes.append(f'- {{path: {path}, consumer: view, url: "{url.format(port=port, socket=socket)}", secret: "{SECRET}", on: [receive]}}')
                names[path] = f"a view over {place}, {'kept connections' if keeps else 'a new connection for each question'}"
        file = home / "routes.yaml"
        places = "\n      ".join(routes)
        file.write_text(
            "installed_apps: [echo, view]\nserver: {threads: 1}\nchannel_layers: {default: {backend: memory}}\n"
            f"applications:\n  main:\n    websocket:\n      {places}\n"
        )
        gateway = Gateway(file)
        try:
            pin(gateway.process.pid, 0)
            runs: dict[str, list[tuple[float, float]]] = {path: [] for path in names}
            for _ in range(rounds):
                for path in names:
                    runs[path].append(cost(gateway, f"/{path}"))
        finally:
            gateway.stop()
            for server in servers:
                server.terminate()
    print("| what answers | the gateway's processor's time of each message | messages/s |\n|---|---|---|")
    for path, values in runs.items():
        print(f"| {names[path]} | {statistics.median(one for one, _ in values):.1f} µs | {statistics.median(rate for _, rate in values):,.0f} |")


if __name__ == "__main__":
    main()
