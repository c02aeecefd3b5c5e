from house.sockets import SocketView
from rpc.models import answer


class RPCSocket(SocketView):
    """No group, and nothing at connect: a question and its answer."""

    def receive(self, message):
        if (content := answer(message.text)) is not None:
            self.send(content)
