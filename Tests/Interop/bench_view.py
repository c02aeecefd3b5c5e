"""What it costs to let a view answer: `consumer: view` under gunicorn, beside the same consumer on Daphne and on uvicorn, and beside
pushpin with the same back end.

    .build/interop/venv/bin/python Tests/Interop/bench_view.py [ROUNDS]

Each client sends a text, waits until it comes back, and sends the next one. Whoever holds the sockets is pinned to one processor, the back
end and the generator to the other; rounds alternate between the cases. Needs two processors, and Debian's pushpin for its row. Not a part of
`make test`.
"""

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

from bench_ask import processor_seconds
from bench_proxy import family, need, pin
from conftest import SLUICE, Gateway
from grip import Pushpin
from views import SOCKETS, SyncProject
from wsgi import SECRET, ChannelsProject

FOLDER = pathlib.Path(__file__).parent / "asked_project"
CLIENTS, WARM_UP, SECONDS = 16, 1.0, 3.0
ROUTES = """
installed_apps: [view]
channel_layers: {default: {backend: memory}}
server: {threads: 1}
applications:
  main:
    websocket:
      - {path: ws/, consumer: view, url: "http://127.0.0.1:TCP/ws/", secret: "SECRET", on: [receive], in_flight: FLIGHT}
      - {path: unix/, consumer: view, url: "unix:SOCKET:/ws/", secret: "SECRET", on: [receive], in_flight: FLIGHT}
      - {path: grip/, consumer: view, url: "http://127.0.0.1:TCP/grip/", secret: "SECRET", protocol: websocket-over-http, in_flight: FLIGHT}
"""


@dataclass
class Case:
    name: str
    url: str
    front: list[int]
    back: list[int] = field(default_factory=list)


@dataclass
class Run:
    """Messages a second, p99 in milliseconds, and the processor's time for each message in microseconds."""

    rate: float
    p99: float
    front: float
    back: float


class Uvicorn(ChannelsProject):
    def server(self, site: str, home: pathlib.Path) -> list[str]:
        return ["uvicorn", f"{site}.asgi:application", "--port", "0", "--no-access-log", "--loop", "asyncio"]


class Gunicorn(SyncProject):
    """Over TCP and over a Unix socket at once."""

    def server(self, site: str, home: pathlib.Path) -> list[str]:
        self.socket = home / "view.sock"
        return [*super().server(site, home), "--bind", f"unix:{self.socket}"]


def load(case: Case) -> Run:
    command = ["taskset", "-c", "1", SLUICE, "bench", "echo", "--connections", str(CLIENTS), "--format", "json", "--quiet"]
    command += ["--warm-up", str(WARM_UP), "--seconds", str(SECONDS), case.url]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    time.sleep(WARM_UP + 0.2 * SECONDS)
    before, begun = [processor_seconds(pids) for pids in (case.front, case.back)], time.monotonic()
    time.sleep(0.6 * SECONDS)
    took = time.monotonic() - begun
    front, back = (processor_seconds(pids) - one for pids, one in zip((case.front, case.back), before))
    result = json.loads(client.communicate(timeout=60)[0])
    rate = result["per_second"]
    return Run(rate, result["latency_us"]["p99"] / 1000, front / took / rate * 1e6, back / took / rate * 1e6)


def code(home: pathlib.Path) -> pathlib.Path:
    """The project with the file that people copy."""
    folder = home / "code"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(SOCKETS, folder / "asked_site/sockets.py")
    return folder


def cases(home: pathlib.Path, running: list) -> list[Case]:
    folder = code(home)
    gunicorn = Gunicorn(home / "gunicorn", folder, "asked_site", None, "/ready/")
    running.append(gunicorn)
    back = family(gunicorn.process.pid)
    file = home / "routes.yaml"
    places = {"TCP": str(gunicorn.port), "SOCKET": str(gunicorn.socket), "SECRET": SECRET, "FLIGHT": str(SyncProject.workers)}
    routes = ROUTES
    for name, value in places.items():
        routes = routes.replace(name, value)
    file.write_text(routes)
    ours = Gateway(file)
    running.append(ours)
    found = [
        Case("`view`, gunicorn over TCP", ours.ws("/ws/"), [ours.process.pid], back),
        Case("`view`, gunicorn over a Unix socket", ours.ws("/unix/"), [ours.process.pid], back),
        Case("`view` with `protocol: websocket-over-http`, gunicorn over TCP", ours.ws("/grip/"), [ours.process.pid], back),
    ]
    if shutil.which("pushpin"):
        pushpin = Pushpin(home / "pushpin", gunicorn.port)
        running.append(pushpin)
        found.append(Case("pushpin, gunicorn over TCP", f"ws://127.0.0.1:{pushpin.port}/grip/", family(pushpin.process.pid), back))
    for name, kind in [("Daphne", ChannelsProject), ("uvicorn", Uvicorn)]:
        server = kind(home / name, folder, "asked_site", None, "/ready/")
        running.append(server)
        found.append(Case(f"the consumer on {name}", f"ws://127.0.0.1:{server.port}/ws/", family(server.process.pid)))
    for case in found:
        for pid in case.front:
            pin(pid, 0)
        for pid in case.back:
            pin(pid, 1)
    return found


def main() -> None:
    need("taskset")
    if os.cpu_count() < 2:
        sys.exit("this needs two processors")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    running = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = cases(pathlib.Path(folder), running)
            runs: dict[str, list[Run]] = {case.name: [] for case in found}
            for _ in range(rounds):
                for case in found:
                    runs[case.name].append(load(case))
                    print(f"{case.name}: {runs[case.name][-1]}", file=sys.stderr, flush=True)
        finally:
            for process in reversed(running):
                process.stop()
    print("| who answers | messages/s | p99 | who holds the sockets, processor's time of each | the back end |\n|---|---|---|---|---|")
    for name, values in runs.items():
        rate, p99, front, back = (statistics.median(getattr(run, key) for run in values) for key in ("rate", "p99", "front", "back"))
        print(f"| {name} | {rate:,.0f} | {p99:.1f} ms | {front:.0f} µs | {f'{back:.0f} µs' if back else ''} |")


if __name__ == "__main__":
    main()
