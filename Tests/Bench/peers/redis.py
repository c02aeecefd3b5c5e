import machine
from peers.server import Server


class Redis(Server):
    """What the layers of others go through; nothing is measured on it."""

    name = "Redis"

    def command(self) -> list:
        return ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", self.home]

    @classmethod
    def version(cls) -> str:
        return f"redis-server {machine.debian_version('redis-server')}"

    @property
    def redis_url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"
