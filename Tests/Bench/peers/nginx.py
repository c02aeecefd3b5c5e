import pathlib
import time

import machine
from peers.server import STARTING, CannotRun, Server
from peers.sluice import Sluice

CONFIGURATION = """
MODULES
daemon off; worker_processes 1; pid HOME/nginx.pid; error_log HOME/log;
events { worker_connections 20000; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path HOME/a; proxy_temp_path HOME/b; fastcgi_temp_path HOME/c; uwsgi_temp_path HOME/d; scgi_temp_path HOME/e;
  server {
    listen 127.0.0.1:PORT LISTEN backlog=4096;
LOCATIONS
  }
}
"""


class Nginx(Server):
    """nginx with one worker; what it serves is in a subclass."""

    listen = ""
    locations = ""

    def modules(self) -> str:
        return ""

    def command(self) -> list:
        # The worker may be another user.
        self.home.chmod(0o755)
        text = CONFIGURATION.replace("MODULES", self.modules()).replace("LOCATIONS", self.locations)
        text = text.replace("LISTEN", self.listen).replace("HOME", str(self.home)).replace("PORT", str(self.port))
        file = self.home / "nginx.conf"
        file.write_text(text)
        return ["nginx", "-p", self.home, "-c", file, "-e", self.home / "log"]

    @property
    def pid(self) -> int:
        """The one worker; there is no other child once it serves."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        deadline = time.monotonic() + STARTING
        while time.monotonic() < deadline:
            if workers := children.read_text().split():
                return int(workers[0])
            time.sleep(0.02)
        raise CannotRun("nginx has no worker")

    @classmethod
    def version(cls) -> str:
        return f"nginx {machine.debian_version('nginx')}"


class NginxInFront(Nginx):
    """nginx speaks TLS, and Sluice behind it does not. They share the server's processor."""

    name = "nginx in front of Sluice"
    is_secure = True
    is_alone = False
    listen = "ssl"

    def __init__(self) -> None:
        self.behind = Sluice()
        super().__init__()

    def command(self) -> list:
        certificate, key = self.certify()
        self.locations = f"""
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    location / {{
      proxy_pass http://127.0.0.1:{self.behind.port};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
    }}
"""
        return super().command()

    def stop(self) -> None:
        super().stop()
        self.behind.stop()
