"""The machine that everything runs on: its processors, and what it is called."""

import os
import pathlib
import platform
import re
import resource
import socket
import subprocess
import sys

ALLOWED = sorted(os.sched_getaffinity(0))
if len(ALLOWED) < 2:
    sys.exit("this needs two processors: one for the server, one for the generator")
SERVER, GENERATOR = ALLOWED[:2]


def pinned(processor: int, command: list) -> list[str]:
    return ["taskset", "--cpu-list", str(processor), *map(str, command)]


def raise_descriptor_limit() -> int:
    """Servers and generator inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def busy_seconds() -> float:
    """What all processors together have done since the start of the machine."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def description() -> str:
    found = re.search(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())
    return f"{found[1] if found else platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"


def debian_version(package: str) -> str:
    done = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Version}", package], capture_output=True, text=True, timeout=20
    )
    return done.stdout.strip() or "not installed"
