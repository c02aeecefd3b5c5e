"""What keeping a history costs a fan-out: the same broadcasts to 1,000 sessions with it and without, in turn.

    .build/interop/venv/bin/python Tests/Interop/bench_history.py [ROUNDS]

Rounds alternate between the two, so that both see the same machine; what counts is the server's processor time for each delivery.
Not a part of `make test`.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

from conftest import SLUICE, Gateway

SUBSCRIBERS, RATE, SECONDS, SIZE = 1000, 200, 3, 128
ROUTES = """
installed_apps: [broadcast]
channel_layers: {default: {backend: memory}}
server: {threads: 1}
applications:
  main:
    websocket:
      - {path: "plain/<int:round>/", consumer: broadcast, group: "plain_{round}"}
      - {path: "kept/<int:round>/", consumer: broadcast, group: "kept_{round}", history: {messages: 1000}}
"""


def pinned(processor: int) -> list[str]:
    return ["taskset", "-c", str(processor)] if (os.cpu_count() or 1) > 1 else []


def fan_out(gateway: Gateway, path: str) -> float:
    """Microseconds of the server's processor time for each delivery."""
    command = [*pinned(1), SLUICE, "bench", "fanout", "--connections", SUBSCRIBERS, "--rate", RATE, "--seconds", SECONDS]
    command += ["--size", SIZE, "--pid", gateway.process.pid, "--format", "json", "--quiet", gateway.ws(path)]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60)
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)
    assert result["is_good"], result
    return result["server"]["us_per_operation"]


def main(rounds: int) -> None:
    found: dict[str, list[float]] = {"plain": [], "kept": []}
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "routes.yaml"
        file.write_text(ROUTES)
        gateway = Gateway(file)
        try:
            if pinned(0):
                subprocess.run(["taskset", "-a", "-p", "-c", "0", str(gateway.process.pid)], check=True, stdout=subprocess.DEVNULL)
            for number in range(rounds):
                # A separate group for each round, because a joining session must not get the events of the last round.
                for name in sorted(found, reverse=number % 2 == 0):
                    found[name].append(fan_out(gateway, f"/{name}/{number}/"))
        finally:
            gateway.stop()
    print(f"{SUBSCRIBERS} sessions, {RATE} broadcasts of {SIZE} bytes a second, {rounds} rounds of {SECONDS} s each")
    for name, times in found.items():
        print(f"{name:6} {statistics.median(times):6.3f} us of the server for each delivery ({min(times):.3f} to {max(times):.3f})")
    ratios = [kept / plain for kept, plain in zip(found["kept"], found["plain"])]
    print(f"with a history {statistics.median(ratios):.3f} x of without, median of the rounds ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
