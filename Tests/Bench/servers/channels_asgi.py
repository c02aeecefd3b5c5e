"""Echo and broadcast on Django Channels, as its tutorial writes consumers, and a view that publishes. REDIS_URL chooses the Redis
layer."""

import json
import os

import django
from django.conf import settings

redis = os.environ.get("REDIS_URL")
LAYER = (
    # redis-py 8 ends a wait for messages after 5 seconds unless told otherwise.
    {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [{"address": redis, "socket_timeout": None}]}}
    if redis
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
)
settings.configure(
    ALLOWED_HOSTS=["*"], CHANNEL_LAYERS={"default": LAYER}, INSTALLED_APPS=["channels"], ROOT_URLCONF=__name__, SECRET_KEY="bench"
)
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.layers import get_channel_layer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402


class EchoConsumer(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data=text_data, bytes_data=bytes_data)


class NewsConsumer(AsyncWebsocketConsumer):
    async def connect(self):
        await self.channel_layer.group_add("news", self.channel_name)
        await self.accept()

    async def disconnect(self, close_code):
        await self.channel_layer.group_discard("news", self.channel_name)

    async def receive(self, text_data=None, bytes_data=None):
        await self.channel_layer.group_send("news", {"type": "news.message", "text": text_data})

    async def news_message(self, event):
        await self.send(text_data=event["text"])


async def publish(request):
    body = json.loads(request.body)
    await get_channel_layer().group_send(body["group"], {"type": "news.message", "text": body["text"]})
    return JsonResponse({"published": True})


urlpatterns = [path("publish", publish)]
application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter([path("echo", EchoConsumer.as_asgi()), path("news", NewsConsumer.as_asgi())]),
    }
)
