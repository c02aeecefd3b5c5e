from house.sockets import SocketView
from presence.models import are_there, comes, goes


class PresenceSocket(SocketView):
    def connect(self):
        self.tell(comes(self.address, self.kwargs["room"], self.user))

    def disconnect(self):
        self.tell(goes(self.address, self.kwargs["room"]))

    def alive(self, addresses, interval):
        are_there(addresses, interval)

    def tell(self, names):
        self.publish(f"presence_{self.kwargs['room']}", {"type": "presence.list", "names": names})
