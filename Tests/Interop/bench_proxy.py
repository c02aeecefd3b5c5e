"""What `proxy` costs beside nginx's `proxy_pass`: requests a second, p99, and memory while large bodies pass.

    .build/interop/venv/bin/python Tests/Interop/bench_proxy.py [ROUNDS]

Needs Debian's nginx-light and wrk. One upstream; rounds alternate between the two, so that both see the same machine. Each
proxy is pinned to one processor where there are two, and the rest to the other. Not a part of `make test`.
"""

import http.client
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

from conftest import Gateway
from redis_stack import free_port, wait_until
from test_proxy import Upstream

NGINX = """
daemon off; worker_processes 1; pid HOME/nginx.pid; error_log HOME/error.log;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 100000000; client_max_body_size 1g;
  client_body_temp_path HOME/a; proxy_temp_path HOME/b; fastcgi_temp_path HOME/c; uwsgi_temp_path HOME/d; scgi_temp_path HOME/e;
  SERVER
}
"""
ANSWERS = 'server { listen 127.0.0.1:PORT; location / { return 200 "hello from the upstream\\n"; } }'
PASSES = """
  upstream behind { server 127.0.0.1:UPSTREAM; keepalive 64; keepalive_requests 100000000; }
  server { listen 127.0.0.1:PORT; location / {
    proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $remote_addr; } }
"""
ROUTES = """
installed_apps: [echo]
server: {threads: 1}
applications: {main: {http: [{path: "", proxy: {to: "http://127.0.0.1:UPSTREAM", body: 1GiB}}], websocket: [{path: ws/, consumer: echo}]}}
"""
CONNECTIONS, SECONDS = (1, 32), 3


def need(*programs: str) -> None:
    packages = {"nginx": "nginx-light", "taskset": "util-linux", "wrk": "wrk"}
    for program in programs:
        if not shutil.which(program):
            sys.exit(f"this needs {program}: apt-get install {' '.join(packages[each] for each in programs)}")


def pin(pid: int, processor: int) -> None:
    if os.cpu_count() > 1:
        subprocess.run(["taskset", "-a", "-p", "-c", str(processor), str(pid)], check=True, stdout=subprocess.DEVNULL)


class Nginx:
    def __init__(self, home: pathlib.Path, server: str, processor: int):
        home.mkdir()
        self.port = free_port()
        file = home / "nginx.conf"
        file.write_text(NGINX.replace("SERVER", server.replace("PORT", str(self.port))).replace("HOME", str(home)))
        self.process = subprocess.Popen(["nginx", "-p", str(home), "-c", str(file)], stderr=subprocess.DEVNULL)
        wait_until(lambda: get(self.port), 10, "nginx answers")
        for pid in family(self.process.pid):
            pin(pid, processor)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def get(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except OSError:
        return False


def family(pid: int) -> list[int]:
    return [pid, *map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def peak_mib(pid: int) -> float:
    status = (pathlib.Path(f"/proc/{member}/status").read_text() for member in family(pid))
    return sum(int(re.search(r"VmHWM:\s+(\d+)", text)[1]) for text in status) / 1024


def load(port: int, connections: int) -> tuple[float, float]:
    """Requests a second, and the p99 in milliseconds."""
    command = ["taskset", "-c", str(os.cpu_count() - 1)] if os.cpu_count() > 1 else []
    command += ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}", "--latency", f"http://127.0.0.1:{port}/"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "Non-2xx" not in said and "Socket errors" not in said, said
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", said).groups()
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]), float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def bodies(port: int, pid: int) -> tuple[float, float, float]:
    """Peak memory in MiB: before the uploads, after 200 MiB of uploads, after 200 MiB of downloads."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/x")
    connection.getresponse().read()
    before = peak_mib(pid)
    connection.request("POST", "/up", body=(b"y" * (1 << 20) for _ in range(200)), headers={"Content-Length": str(200 << 20)})
    assert connection.getresponse().read() == b"ok"
    up = peak_mib(pid)
    connection.request("GET", "/big")
    answer = connection.getresponse()
    assert sum(len(part) for part in iter(lambda: answer.read(1 << 20), b"")) == 200 << 20
    connection.close()
    return before, up, peak_mib(pid)


def gateway(home: pathlib.Path, upstream: int) -> Gateway:
    file = home / f"{upstream}.yaml"
    file.write_text(ROUTES.replace("UPSTREAM", str(upstream)))
    begun = Gateway(file)
    pin(begun.process.pid, 0)
    return begun


def main() -> None:
    need("nginx", "wrk", "taskset")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    running = []
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        # nginx's workers may run as another user.
        home.chmod(0o755)
        try:
            behind = Nginx(home / "behind", ANSWERS, os.cpu_count() - 1)
            running.append(behind)
            other = Nginx(home / "passes", PASSES.replace("UPSTREAM", str(behind.port)), 0)
            running.append(other)
            ours = gateway(home, behind.port)
            running.append(ours)
            print("| connections | Sluice / nginx, requests | nginx p99, ms | Sluice p99, ms |\n|---|---|---|---|")
            for connections in CONNECTIONS:
                pairs = [(load(ours.port, connections), load(other.port, connections)) for _ in range(rounds)]
                ratio, theirs, mine = (
                    statistics.median(values)
                    for values in zip(*((one[0] / two[0], two[1], one[1]) for one, two in pairs))
                )
                print(f"| {connections} | {ratio:.2f} | {theirs:.1f} | {mine:.1f} |", flush=True)
            large = Upstream()
            running.append(large)
            for name, proxy in (
                ("nginx", Nginx(home / "large", PASSES.replace("UPSTREAM", str(large.port)), 0)),
                ("Sluice", gateway(home, large.port)),
            ):
                running.append(proxy)
                before, up, down = bodies(proxy.port, proxy.process.pid)
                print(f"{name}: {before:.0f} MiB, after 200 MiB up {up:.0f} MiB, after 200 MiB down {down:.0f} MiB")
        finally:
            for process in reversed(running):
                process.stop()


if __name__ == "__main__":
    main()
