"""How long commands of Sluice take, from their start."""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import machine
import report
from peers.server import end
from peers.sluice import BINARY, ROUTES, TOKEN
from workloads import Target, at_most

# A start is short: more of them than of other runs, for the same price.
TIMES = 5


@dataclass(frozen=True)
class Command:
    key: str
    title: str
    unit: str
    routes: str
    took: Callable[[pathlib.Path], float]
    """Milliseconds of one run on that file."""
    own_target: Target


def until_listening(file: pathlib.Path) -> float:
    begun = time.perf_counter()
    process = subprocess.Popen(
        machine.pinned(machine.SERVER, [BINARY, "serve", file, "--bind", "127.0.0.1:0"]),
        env={**os.environ, **TOKEN},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stderr:
            if "listening on" in line:
                return (time.perf_counter() - begun) * 1000
        raise RuntimeError(f"sluice serve ended with {process.wait()}")
    finally:
        end(process)
        process.stderr.close()


def validation(file: pathlib.Path) -> float:
    begun = time.perf_counter()
    subprocess.run(machine.pinned(machine.SERVER, [BINARY, "validate", file]), check=True, capture_output=True, timeout=60)
    return (time.perf_counter() - begun) * 1000


def hundred_routes() -> str:
    routes = "".join(
        f"      - {{path: 'ws/r{index}/<slug:room>/', consumer: chat, group: 'g{index}_{{room}}'}}\n" for index in range(100)
    )
    return (
        "installed_apps: [chat]\nchannel_layers: {default: {backend: memory}}\n"
        f"applications:\n  main:\n    websocket:\n{routes}"
    )


COMMANDS = (
    Command(
        "start",
        "`serve`: from its start to listening",
        "ms",
        ROUTES.replace("LAYER", "{backend: memory}"),
        until_listening,
        at_most(30),
    ),
    Command("validate", "`validate` of 100 routes", "ms", hundred_routes(), validation, at_most(20)),
)


def time_it(command: Command, runs: int) -> list[dict]:
    print(f"== {command.title}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "routes.yaml"
        file.write_text(command.routes)
        figures = [{"figure": command.took(file)} for _ in range(runs * TIMES)]
    print(f"   {statistics.median(run['figure'] for run in figures):.1f} ms", file=sys.stderr, flush=True)
    return [report.row(command, "", command.own_target, figures)]
