"""How evenly the clients of a restarted gateway come back.

    .build/interop/venv/bin/python Tests/Interop/bench_restart.py [SESSIONS] [GRACE] [--two]

Opens so many sessions, sends SIGTERM, and starts the next process as soon as the first one has ended; with `--two`, before SIGTERM,
beside the first one (`server.reuse_port`). The clients come back by the rules of the manual's client. What counts is how many of them are
let in within any second, compared with the average. Not a part of `make test`.
"""

import asyncio
import pathlib
import resource
import signal
import sys
import tempfile
import time

from conftest import Gateway
from redis_stack import free_port
from returning import Crowd, HINT, peak_and_mean

ROUTES = """
installed_apps: [echo]
server: {bind: "127.0.0.1:PORT", reuse_port: REUSE}
shutdown: {grace: GRACE}
applications:
  main:
    websocket: [{path: ws/echo/, consumer: echo}]
"""


async def restart(sessions: int, grace: str, isDouble: bool) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        file = pathlib.Path(folder) / "routes.yaml"
        file.write_text(ROUTES.replace("PORT", str(port)).replace("REUSE", str(isDouble).lower()).replace("GRACE", grace))
        first = Gateway(file, bind=None)
        crowd = Crowd(port, sessions)
        await crowd.open_all()
        second = Gateway(file, bind=None) if isDouble else None
        begun = time.monotonic()
        first.process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(first.process.wait)
        ended = time.monotonic()
        second = second or await asyncio.to_thread(Gateway, file, None)
        await crowd.wait_for(lambda: len(crowd.opened) >= 2 * sessions, 400)
        back = crowd.opened[sessions:]
        await crowd.end()
        second.process.kill()
        second.process.wait()
    hints = [float(found[1]) for _, _, reason in crowd.closes if (found := HINT.search(reason))]
    peak, mean = peak_and_mean(back)
    print(f"{sessions} sessions, grace {grace}, {'two processes' if isDouble else 'one process after the other'}")
    print(f"  exit code {code} after {ended - begun:.1f} s; close frames {len(crowd.closes)}, with a hint {len(hints)}")
    print(f"  close frames within {crowd.closes[-1][0] - crowd.closes[0][0]:.1f} s, hints {min(hints):.1f} s to {max(hints):.1f} s")
    print(f"  attempts that failed: {len(crowd.failures)}")
    print(f"  back after {min(back) - begun:.1f} s to {max(back) - begun:.1f} s: peak {peak} in a second, mean {mean:.0f}, ratio {peak / mean:.2f}")
    return len(hints) == sessions and peak <= 1.5 * mean


if __name__ == "__main__":
    numbers = [argument for argument in sys.argv[1:] if argument != "--two"]
    sessions = int(numbers[0]) if numbers else 10_000
    grace = numbers[1] if len(numbers) > 1 else "10s"
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sys.exit(0 if asyncio.run(restart(sessions, grace, "--two" in sys.argv)) else 1)
