import pathlib
import time

import machine
from peers.server import STARTING, CannotRun, Server

MODULE = pathlib.Path("/usr/lib/nginx/modules/ngx_nchan_module.so")

CONFIGURATION = """
load_module MODULE;
daemon off; worker_processes 1; pid HOME/nginx.pid; error_log HOME/log;
events { worker_connections CONNECTIONS; }
http {
  access_log off;
  client_body_temp_path HOME/a; proxy_temp_path HOME/b; fastcgi_temp_path HOME/c; uwsgi_temp_path HOME/d; scgi_temp_path HOME/e;
  server {
    listen 127.0.0.1:PORT backlog=4096;
    location = /news {
      nchan_pubsub websocket;
      nchan_channel_id news;
      nchan_subscriber_first_message newest;
    }
  }
}
"""


class Nchan(Server):
    name = "nchan"

    def command(self) -> list:
        if not MODULE.exists():
            raise CannotRun(f"{MODULE} is not installed (libnginx-mod-nchan)")
        # The worker may be another user.
        self.home.chmod(0o755)
        text = CONFIGURATION.replace("MODULE", str(MODULE)).replace("HOME", str(self.home))
        text = text.replace("CONNECTIONS", "20000").replace("PORT", str(self.port))
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
        return f"nginx {machine.debian_version('nginx')} with nchan {machine.debian_version('libnginx-mod-nchan')}"
