"""The load: `sluice bench` on a processor of its own."""

import functools
import json
import os
import subprocess

import machine
from peers.server import CannotRun, Server
from peers.sluice import BINARY, TOKEN

WARM_UP = 1.0
# For opening, late messages and closing, beyond the measured time.
BESIDE = 90
# Of the URL of workloads that do not speak WebSocket with it.
SCHEMES = {"publish": "http", "events": "http"}


def run(server: Server, path: str, arguments: list, seconds: float) -> dict:
    """One run's figures.

    Args:
        arguments: `WS` and `HTTP` at the beginning of one stand for the server's address.

    Raises:
        CannotRun: nothing was measured.
    """
    workload, *options = (complete(server, str(argument)) for argument in arguments)
    command = [BINARY, "bench", workload, "--format", "json", "--quiet", "--pid", server.pid]
    if server.is_secure:
        options.append("--insecure")
    if "--seconds" not in options:
        options += ["--seconds", str(seconds), "--warm-up", str(WARM_UP)]
    try:
        done = subprocess.run(
            machine.pinned(machine.GENERATOR, [*command, *options, server.url(path, SCHEMES.get(workload, "ws"))]),
            env={**os.environ, **TOKEN},
            capture_output=True,
            text=True,
            timeout=seconds + WARM_UP + BESIDE,
        )
    except subprocess.TimeoutExpired as late:
        raise CannotRun(f"sluice bench did not end within {late.timeout:.0f} s") from late
    if not done.stdout:
        raise CannotRun(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}")
    result = json.loads(done.stdout)
    if not server.is_alone:
        result["server"]["us_per_operation"] = None
    return result


def complete(server: Server, argument: str) -> str:
    for name, scheme in (("WS/", "ws"), ("HTTP/", "http")):
        if argument.startswith(name):
            return server.url(argument[len(name) - 1 :], scheme)
    return argument


@functools.cache
def knows(workload: str, option: str) -> bool:
    done = subprocess.run([BINARY, "bench", workload, "--help"], capture_output=True, text=True, timeout=20)
    return option in done.stdout
