import os

from peers.redis import Redis
from peers.server import SERVERS, Server, distribution, python


class Uvicorn(Server):
    name = "uvicorn + Channels"

    def command(self) -> list:
        return python(
            *["-m", "uvicorn", "channels_asgi:application", "--app-dir", SERVERS, "--host", "127.0.0.1", "--port", self.port],
            *["--loop", "uvloop", "--http", "httptools", "--lifespan", "off", "--log-level", "warning", "--no-access-log"],
        )

    @classmethod
    def version(cls) -> str:
        names = ["uvicorn", "uvloop", "httptools", "websockets", "channels", "channels_redis", "django"]
        return ", ".join(map(distribution, names))


class UvicornTLS(Uvicorn):
    is_secure = True

    def command(self) -> list:
        certificate, key = self.certify()
        return [*super().command(), "--ssl-certfile", certificate, "--ssl-keyfile", key]


class UvicornRedis(Uvicorn):
    """Redis shares the server's processor."""

    name = "uvicorn + Channels, Redis"

    def __init__(self) -> None:
        self.redis = Redis()
        super().__init__()

    def environment(self) -> dict[str, str]:
        return {**os.environ, "REDIS_URL": self.redis.redis_url}

    def stop(self) -> None:
        super().stop()
        self.redis.stop()


class Daphne(Server):
    name = "Daphne + Channels"

    def command(self) -> list:
        return python("-m", "daphne", "-v", "0", "-b", "127.0.0.1", "-p", self.port, "channels_asgi:application")

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(SERVERS)}

    @classmethod
    def version(cls) -> str:
        return distribution("daphne")
