import json

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from rooms.models import Message, Room


class MemberConsumer(AsyncWebsocketConsumer):
    """Lets members of the room in, and nobody else."""

    async def connect(self):
        self.user, self.room = self.scope["user"], self.scope["url_route"]["kwargs"]["room"]
        if not await self.is_member():
            await self.close()
            return
        self.group = f"{self.kind}_{self.room}"
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        if hasattr(self, "group"):
            await self.channel_layer.group_discard(self.group, self.channel_name)

    @database_sync_to_async
    def is_member(self):
        return self.user.is_authenticated and Room.objects.filter(pk=self.room, members=self.user).exists()


class RoomConsumer(MemberConsumer):
    kind = "room"

    async def receive(self, text_data):
        text = json.loads(text_data)["text"]
        await self.save(text)
        event = {"type": "chat_message", "user": self.user.username, "text": text}
        await self.channel_layer.group_send(self.group, event)

    async def chat_message(self, event):
        await self.send(json.dumps({"user": event["user"], "text": event["text"]}))

    @database_sync_to_async
    def save(self, text):
        Message.objects.create(room_id=self.room, user=self.user, text=text)


class TypingConsumer(MemberConsumer):
    """Passes on who is typing, as the pages say it."""

    kind = "typing"

    async def receive(self, text_data):
        await self.channel_layer.group_send(self.group, {"type": "typing", "text": text_data})

    async def typing(self, event):
        await self.send(event["text"])
