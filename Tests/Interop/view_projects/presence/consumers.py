from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from presence.models import comes, goes


class PresenceConsumer(AsyncJsonWebsocketConsumer):
    async def connect(self):
        self.room = self.scope["url_route"]["kwargs"]["room"]
        if self.scope["user"].is_anonymous:
            await self.close()
            return
        await self.channel_layer.group_add(f"presence_{self.room}", self.channel_name)
        await self.accept()
        await self.tell(await database_sync_to_async(comes)(self.channel_name, self.room, self.scope["user"]))

    async def disconnect(self, code):
        if not self.scope["user"].is_anonymous:
            await self.channel_layer.group_discard(f"presence_{self.room}", self.channel_name)
            await self.tell(await database_sync_to_async(goes)(self.channel_name, self.room))

    async def tell(self, names):
        await self.channel_layer.group_send(f"presence_{self.room}", {"type": "presence.list", "names": names})

    async def presence_list(self, event):
        await self.send_json({"present": event["names"]})
