"""The chat of the Channels tutorial, once for each channel layer: what Sluice takes the place of."""

import json

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
from django.urls import re_path


class ChatConsumer(AsyncWebsocketConsumer):
    async def connect(self):
        self.room_name = self.scope["url_route"]["kwargs"]["room_name"]
        self.room_group_name = f"chat_{self.room_name}"
        await self.channel_layer.group_add(self.room_group_name, self.channel_name)
        await self.accept()

    async def disconnect(self, close_code):
        await self.channel_layer.group_discard(self.room_group_name, self.channel_name)

    async def receive(self, text_data):
        data = json.loads(text_data)
        # Beyond the tutorial: a message for one address, or a new member of the group.
        if "to" in data:
            await self.channel_layer.send(data["to"], {"type": "chat.message", "message": data["message"]})
        elif "add" in data:
            await self.channel_layer.group_add(self.room_group_name, data["add"])
        else:
            await self.channel_layer.group_send(
                self.room_group_name, {"type": "chat.message", "message": data["message"]}
            )

    async def chat_message(self, event):
        await self.send(text_data=json.dumps({"message": event["message"]}))


def consumer(alias):
    return type(f"Chat_{alias}", (ChatConsumer,), {"channel_layer_alias": alias}).as_asgi()


application = ProtocolTypeRouter(
    {
        "http": ASGIStaticFilesHandler(get_asgi_application()),
        "websocket": URLRouter(
            [re_path(r"ws/chat/(?P<room_name>\w+)/$", consumer("default"))]
            + [re_path(rf"^{alias}/ws/chat/(?P<room_name>\w+)/$", consumer(alias)) for alias in settings.CHANNEL_LAYERS]
        ),
    }
)
