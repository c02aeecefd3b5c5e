from peers.server import SERVERS, Server, distribution, python


class Socketify(Server):
    name = "socketify (uWebSockets)"

    def command(self) -> list:
        return python(SERVERS / "socketify_server.py", self.port)

    @classmethod
    def version(cls) -> str:
        return distribution("socketify")


class SocketifyTLS(Socketify):
    is_secure = True

    def command(self) -> list:
        return [*super().command(), *self.certify()]
