"""What it costs to ask Django at each handshake: `callback` beside nginx's `auth_request` in front of Sluice, with the same view.

    .build/interop/venv/bin/python Tests/Interop/bench_ask.py [ROUNDS]

Needs Debian's nginx-light, two processors, and the packages of Tests/Interop/requirements.txt. There are eight connections at a time.
Where the view is asked each time, each has a generator and a token of its own, because questions that are equal and under way at the
same time are one question of Sluice's. Sluice and nginx are pinned to one processor, gunicorn and the generator to the other; rounds
alternate between the cases. Not a part of `make test`.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

from bench_proxy import Nginx, family, need, pin
from conftest import SLUICE, Gateway
from wsgi import Project

CLIENTS = 8
FOLDER = pathlib.Path(__file__).parent / "members_project"
SET_UP = f"""
from django.contrib.auth.models import User
for number in range({CLIENTS}): User.objects.create_user(f"user{{number}}")
"""
ROUTES = """
installed_apps: [echo]
server: {threads: 1}
auth:
  asked: {callback: {url: "DJANGO/api/me/", headers: [Authorization]}}
  kept: {callback: {url: "DJANGO/api/me/", headers: [Authorization], cache: 1h}}
applications:
  main:
    websocket:
      - {path: open/, consumer: echo}
      - {path: asked/, consumer: echo, auth: asked}
      - {path: kept/, consumer: echo, auth: kept}
"""
PASSES = """
    proxy_pass http://127.0.0.1:SLUICE/open/; proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_set_header Host $host:$server_port;
"""
ASKS = """
    internal; proxy_pass http://django/api/me/; proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_pass_request_body off; proxy_set_header Content-Length ""; proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Uri $request_uri;
"""
IN_FRONT = f"""
  proxy_cache_path HOME/kept keys_zone=kept:1m;
  upstream django {{ server 127.0.0.1:DJANGO; keepalive 64; }}
  server {{
    listen 127.0.0.1:PORT backlog=4096;
    location / {{ return 200; }}
    location /open/ {{ {PASSES} }}
    location /asked/ {{ auth_request /ask; {PASSES} }}
    location /kept/ {{ auth_request /ask-kept; {PASSES} }}
    location = /ask {{ {ASKS} }}
    location = /ask-kept {{ {ASKS} proxy_cache kept; proxy_cache_key $http_authorization; proxy_cache_valid 200 1h;
      proxy_ignore_headers Cache-Control Expires Set-Cookie Vary; }}
  }}
"""
CASES = {"open": "nobody", "asked": "the view, each time", "kept": "the view, and its answer is kept (`cache`, `proxy_cache`)"}
WARM_UP, SECONDS = 1.0, 2.0


@dataclass
class Run:
    """Handshakes a second, the median of the generators' p99 in milliseconds, and the processor's time for each in microseconds."""

    rate: float
    p99: float
    cost: float


def processor_seconds(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def load(url: str, tokens: list[str], pids: list[int]) -> Run:
    """One generator for each token."""
    command = ["taskset", "-c", "1", SLUICE, "bench", "connect", "--connections", str(CLIENTS // len(tokens))]
    command += ["--format", "json", "--quiet", "--warm-up", str(WARM_UP), "--seconds", str(SECONDS)]
    clients = [
        subprocess.Popen([*command, "--header", f"Authorization: Token {token}", url], stdout=subprocess.PIPE, text=True)
        for token in tokens
    ]
    time.sleep(WARM_UP + 0.2 * SECONDS)
    before, begun = processor_seconds(pids), time.monotonic()
    time.sleep(0.6 * SECONDS)
    share = (processor_seconds(pids) - before) / (time.monotonic() - begun)
    results = [json.loads(client.communicate(timeout=60)[0]) for client in clients]
    rate = sum(result["per_second"] for result in results)
    return Run(rate, statistics.median(result["latency_us"]["p99"] / 1000 for result in results), share / rate * 1e6)


def measure(ours: Gateway, nginx: Nginx, tokens: list[str], rounds: int) -> None:
    # Beside them, nginx has a process that loads its cache and ends after a minute.
    workers = [pid for pid in family(nginx.process.pid) if b"worker process" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]
    print("| who is asked | handshakes/s, Sluice / nginx | processor's time of each, ratio | Sluice | nginx and Sluice |\n|---|---|---|---|---|")
    runs: dict[str, list[tuple[Run, Run]]] = {case: [] for case in CASES}
    for _ in range(rounds):
        for case in CASES:
            shown = tokens if case == "asked" else tokens[:1]
            mine = load(ours.ws(f"/{case}/"), shown, [ours.process.pid])
            both = load(f"ws://127.0.0.1:{nginx.port}/{case}/", shown, [ours.process.pid, *workers])
            runs[case].append((mine, both))
            print(f"{case}: {mine.rate:,.0f}/s, {both.rate:,.0f}/s", file=sys.stderr, flush=True)
    for case, pairs in runs.items():
        rate, cost, own, other, own_cost, other_cost, own_p99, other_p99 = (
            statistics.median(values)
            for values in zip(*((a.rate / b.rate, a.cost / b.cost, a.rate, b.rate, a.cost, b.cost, a.p99, b.p99) for a, b in pairs))
        )
        print(
            f"| {CASES[case]} | {rate:.2f} | {cost:.2f} | {own:,.0f}/s, {own_cost:.0f} µs, p99 {own_p99:.1f} ms "
            f"| {other:,.0f}/s, {other_cost:.0f} µs, p99 {other_p99:.1f} ms |"
        )


def main() -> None:
    need("nginx", "taskset")
    if os.cpu_count() < 2:
        sys.exit("this needs two processors")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    running = []
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        # nginx's workers may run as another user.
        home.chmod(0o755)
        try:
            django = Project(home / "django", FOLDER, "members_site", SET_UP, "/asked/")
            running.append(django)
            for pid in family(django.process.pid):
                pin(pid, 1)
            file = home / "routes.yaml"
            file.write_text(ROUTES.replace("DJANGO", django.url("")))
            ours = Gateway(file)
            running.append(ours)
            pin(ours.process.pid, 0)
            nginx = Nginx(home / "nginx", IN_FRONT.replace("SLUICE", str(ours.port)).replace("DJANGO", str(django.port)), 0)
            running.append(nginx)
            measure(ours, nginx, [django.get("/tokens/", name=f"user{number}")["Token"] for number in range(CLIENTS)], rounds)
        finally:
            for process in reversed(running):
                process.stop()


if __name__ == "__main__":
    main()
