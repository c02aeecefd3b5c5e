"""The load: `sluice bench` on a processor of its own."""

import functools
import json
import subprocess

import machine
from peers.server import CannotRun, Server
from peers.sluice import BINARY

WARM_UP = 1.0
# For opening, late messages and closing, beyond the measured time.
BESIDE = 90


def run(server: Server, path: str, arguments: list, seconds: float) -> dict:
    """One run's figures.

    Raises:
        CannotRun: nothing was measured.
    """
    workload, *options = map(str, arguments)
    command = [BINARY, "bench", workload, "--format", "json", "--quiet", "--pid", server.pid]
    if "--seconds" not in options:
        options += ["--seconds", str(seconds), "--warm-up", str(WARM_UP)]
    try:
        done = subprocess.run(
            machine.pinned(machine.GENERATOR, [*command, *options, server.url(path)]),
            capture_output=True,
            text=True,
            timeout=seconds + WARM_UP + BESIDE,
        )
    except subprocess.TimeoutExpired as late:
        raise CannotRun(f"sluice bench did not end within {late.timeout:.0f} s") from late
    if not done.stdout:
        raise CannotRun(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}")
    return json.loads(done.stdout)


@functools.cache
def knows(workload: str, option: str) -> bool:
    done = subprocess.run([BINARY, "bench", workload, "--help"], capture_output=True, text=True, timeout=20)
    return option in done.stdout
