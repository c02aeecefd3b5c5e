from django.core.exceptions import PermissionDenied
from django.http import HttpResponse

from house.sockets import SocketView


class ConstructSocket(SocketView):
    """What consumers do here and there, each by the name that a client sends: {"do": "close"}."""

    once = False

    def connect(self):
        if "forbidden" in self.query:
            raise PermissionDenied
        if "full" in self.query:
            return HttpResponse(status=429, headers={"Retry-After": "7"})
        if "guest" in self.query:
            self.accept(user="guest 1", claims={"color": "red"})
        if "v2" in self.subprotocols:
            self.accept(subprotocol="v2")

    def receive(self, message):
        frame = message.json
        getattr(self, f"do_{frame['do']}")(frame)

    def do_close(self, frame):
        self.send("before")
        self.close(4007, "enough")
        self.send("after")

    def do_count(self, frame):
        self.state = {"count": (self.state or {"count": 0})["count"] + 1}
        self.send(self.state)

    def do_forget(self, frame):
        self.state = None

    def do_remember(self, frame):
        self.state = {"text": "x" * frame["length"]}

    def do_who(self, frame):
        self.send({"user": self.question["user"], "claims": self.claims, "groups": self.groups, "address": self.address})

    def do_join(self, frame):
        self.join(frame["group"])
        self.send({"joined": frame["group"]})

    def do_tell(self, frame):
        self.publish(frame["group"], frame["event"], to=frame.get("to"))
        self.send({"told": frame["group"]})
