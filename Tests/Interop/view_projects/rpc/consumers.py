import json

from channels.generic.websocket import WebsocketConsumer

from rpc.models import answer


class RPCConsumer(WebsocketConsumer):
    """No group, and nothing at connect: a question and its answer."""

    def receive(self, text_data=None, bytes_data=None):
        if (content := answer(text_data)) is not None:
            self.send(text_data=json.dumps(content))
