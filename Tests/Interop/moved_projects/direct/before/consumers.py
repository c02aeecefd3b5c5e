from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.contrib.auth.models import User

from direct.models import Message


class DirectConsumer(AsyncJsonWebsocketConsumer):
    async def connect(self):
        self.user = self.scope["user"]
        if self.user.is_anonymous:
            await self.close()
            return
        self.group = str(self.user.id)
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        if hasattr(self, "group"):
            await self.channel_layer.group_discard(self.group, self.channel_name)

    async def receive_json(self, content):
        to, text = content.get("to"), content.get("text")
        message = await self.save(to, text)
        if message is None:
            await self.send_json({"error": "there is no such user"})
            return
        event = {"type": "chat_message", "id": message.id, "from": self.user.username, "text": text}
        for group in {self.group, str(to)}:
            await self.channel_layer.group_send(group, event)

    async def chat_message(self, event):
        await self.send_json({"id": event["id"], "from": event["from"], "text": event["text"]})

    async def message_read(self, event):
        await self.send_json({"read": event["id"]})

    @database_sync_to_async
    def save(self, to, text):
        receiver = User.objects.filter(pk=to).first()
        return receiver and Message.objects.create(sender=self.user, receiver=receiver, text=text)
