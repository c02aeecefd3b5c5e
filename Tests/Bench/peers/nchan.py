import pathlib

import machine
from peers.nginx import Nginx
from peers.server import CannotRun

MODULE = pathlib.Path("/usr/lib/nginx/modules/ngx_nchan_module.so")


class Nchan(Nginx):
    name = "nchan"
    locations = """
    location = /news {
      nchan_pubsub websocket;
      nchan_channel_id news;
      nchan_subscriber_first_message newest;
    }
    location = /publish {
      nchan_publisher;
      nchan_channel_id news;
    }
    location = /events {
      nchan_subscriber eventsource;
      nchan_channel_id news;
      nchan_subscriber_first_message newest;
    }
"""

    def command(self) -> list:
        if not MODULE.exists():
            raise CannotRun(f"{MODULE} is not installed (libnginx-mod-nchan)")
        return super().command()

    def modules(self) -> str:
        return f"load_module {MODULE};"

    @classmethod
    def version(cls) -> str:
        return f"{super().version()} with nchan {machine.debian_version('libnginx-mod-nchan')}"
