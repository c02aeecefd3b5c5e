from peers.server import SERVERS, Server, distribution, python


class Picows(Server):
    name = "picows"
    echo = "/"

    def command(self) -> list:
        return python(SERVERS / "picows_echo.py", self.port)

    @classmethod
    def version(cls) -> str:
        return f"{distribution('picows')} with {distribution('uvloop')}"
