import os
import pathlib
import subprocess

from peers.redis import Redis
from peers.server import Server

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = pathlib.Path(os.environ.get("SLUICE", ROOT / ".build/release/sluice"))

# Of the publish route.
TOKEN = {"BENCH_TOKEN": "0123456789abcdef0123456789abcdef"}
ROUTES = """
installed_apps: [echo, chat, broadcast]
channel_layers: {default: LAYER}
server: {threads: 1}
applications:
  main:
    http:
      - {path: publish, publish: {groups: [news], token: {env: BENCH_TOKEN}}}
      - {path: events, events: news}
    websocket:
      - {path: echo, consumer: echo}
      - {path: news, consumer: broadcast, group: news}
      - {path: chat, consumer: chat, group: chat}
"""


class Sluice(Server):
    name = "Sluice"
    chat = "/chat"

    def layer(self) -> str:
        return "{backend: memory}"

    def routes(self) -> str:
        return ROUTES.replace("LAYER", self.layer())

    def command(self) -> list:
        file = self.home / "routes.yaml"
        file.write_text(self.routes())
        return [BINARY, "serve", file, "--bind", f"127.0.0.1:{self.port}"]

    def environment(self) -> dict[str, str]:
        return {**os.environ, **TOKEN}

    @classmethod
    def version(cls) -> str:
        commit = subprocess.run(
            ["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True, timeout=20
        )
        return f"Sluice {commit.stdout.strip() or 'of no commit'}"


class SluiceTLS(Sluice):
    is_secure = True

    def routes(self) -> str:
        certificate, key = self.certify()
        return super().routes().replace("{threads: 1}", f"{{threads: 1, tls: {{certificate: {certificate}, key: {key}}}}}")


class SluiceCompressing(Sluice):
    """For builds that compress; others refuse the key."""

    name = "Sluice, compressing"

    def routes(self) -> str:
        return super().routes() + "      - {path: packed, consumer: broadcast, group: packed, compression: true}\n"


class SluiceRedis(Sluice):
    """Redis shares the server's processor, as for its peer."""

    name = "Sluice, Redis"

    def __init__(self) -> None:
        self.redis = Redis()
        super().__init__()

    def layer(self) -> str:
        return f'{{backend: redis, config: {{hosts: ["{self.redis.redis_url}"]}}}}'

    def stop(self) -> None:
        super().stop()
        self.redis.stop()
