from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from notices.models import mark_read, state


class NoticeConsumer(AsyncJsonWebsocketConsumer):
    async def connect(self):
        self.user = self.scope["user"]
        if self.user.is_anonymous:
            await self.close()
            return
        self.group = f"user_{self.user.pk}"
        # First the group and then the count: a notice that is saved between them comes twice rather than never.
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()
        await self.send_json(await database_sync_to_async(state)(self.user))

    async def disconnect(self, code):
        if not self.user.is_anonymous:
            await self.channel_layer.group_discard(self.group, self.channel_name)

    async def receive_json(self, content):
        unread = await database_sync_to_async(mark_read)(self.user, content["read"])
        await self.channel_layer.group_send(self.group, {"type": "notices_count", "unread": unread})

    async def notices_new(self, event):
        await self.send_json({"notice": event["notice"]})

    async def notices_count(self, event):
        await self.send_json({"unread": event["unread"]})
