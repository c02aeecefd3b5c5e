"""pushpin (Debian's package), in front of a back end that it asks over HTTP."""

import pathlib
import shutil
import signal
import socket
import subprocess
import time

import requests

LIBRARY = pathlib.Path("/usr/lib/pushpin")
KEY = "the-key-of-the-grip-tests-0123456789"

CONFIGURATION = """
[global]
include={library}/internal.conf
rundir={home}/run
ipc_prefix=p-
port_offset=0

[runner]
services=condure,zurl,pushpin-proxy,pushpin-handler
http_port=127.0.0.1:{port}
logdir={home}/log
log_level=2
client_buffer_size=8192
client_maxconn=20000
condure_bin=condure
zurl_bin=zurl

[proxy]
routesfile={home}/routes
debug=false
auto_cross_origin=false
accept_x_forwarded_protocol=false
set_x_forwarded_protocol=proto-only
x_forwarded_for=truncate:0,append
sig_iss=pushpin
sig_key={key}
updates_check=off
zurl_out_specs=ipc://{{rundir}}/{{ipc_prefix}}zurl-in
zurl_out_stream_specs=ipc://{{rundir}}/{{ipc_prefix}}zurl-in-stream
zurl_in_specs=ipc://{{rundir}}/{{ipc_prefix}}zurl-out

[handler]
push_in_spec=ipc://{{rundir}}/{{ipc_prefix}}push
push_in_sub_specs=ipc://{{rundir}}/{{ipc_prefix}}push-sub
push_in_sub_connect=false
push_in_http_addr=127.0.0.1
push_in_http_port={control}
push_in_http_max_headers_size=10000
push_in_http_max_body_size=1000000
stats_spec=ipc://{{rundir}}/{{ipc_prefix}}stats
command_spec=ipc://{{rundir}}/{{ipc_prefix}}command
message_rate=100000
message_hwm=1000000
id_cache_ttl=60
connection_subscription_max=20
"""


def is_missing() -> str | None:
    """Which program is not on this machine."""
    return next((name for name in ("pushpin", "condure", "zurl") if not shutil.which(name)), None)


def free_ports(count: int) -> list[int]:
    """Ports for servers that cannot choose one themselves, or that others have to know before."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


class Pushpin:
    """A running pushpin: clients connect to `port`, and back ends publish at `control`."""

    def __init__(self, home: pathlib.Path, backend_port: int, ports: tuple[int, int] | None = None):
        """`ports`: those for clients and for publishing, where the back end has to know them before."""
        self.port, self.control = ports or free_ports(2)
        for folder in ("run", "log"):
            (home / folder).mkdir(parents=True, exist_ok=True)
        values = {"library": LIBRARY, "home": home, "port": self.port, "control": self.control, "key": KEY}
        (home / "pushpin.conf").write_text(CONFIGURATION.format(**values))
        (home / "routes").write_text(f"* 127.0.0.1:{backend_port},over_http,trusted\n")
        self.log = home / "output"
        with self.log.open("wb") as output:
            command = ["pushpin", "--config", str(home / "pushpin.conf"), "--merge-output"]
            self.process = subprocess.Popen(command, stdout=output, stderr=output, cwd=home)
        deadline = time.monotonic() + 30
        while not self.is_ready():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def is_ready(self) -> bool:
        """Whether it takes clients, and what is published."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            return requests.get(f"http://127.0.0.1:{self.control}/", timeout=5).ok
        except (OSError, requests.RequestException):
            return False

    def ws(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
