from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from cabs.models import OpenSocket, changed_trip, groups_of, new_trip


class TaxiConsumer(AsyncJsonWebsocketConsumer):
    async def connect(self):
        self.user, self.joined = self.scope["user"], set()
        if self.user.is_anonymous:
            await self.close()
            return
        await self.note()
        for group in await database_sync_to_async(groups_of)(self.user):
            await self.join(group)
        await self.accept()

    async def disconnect(self, code):
        for group in self.joined:
            await self.channel_layer.group_discard(group, self.channel_name)
        await self.forget()

    async def receive_json(self, content):
        data = content.get("data", {})
        if content.get("type") == "create.trip":
            await self.create_trip(data)
        elif content.get("type") == "update.trip":
            await self.update_trip(data)
        else:
            await self.send_json({"type": "error", "data": "unknown type"})

    async def create_trip(self, data):
        trip = await self.saved(new_trip, data)
        if trip is None:
            await self.send_json({"type": "error", "data": "start is missing"})
            return
        message = {"type": "echo.message", "data": trip}
        await self.channel_layer.group_send("drivers", message)
        await self.join(str(trip["id"]))
        await self.send_json(message)

    async def update_trip(self, data):
        trip = await self.saved(changed_trip, data)
        if trip is None:
            await self.send_json({"type": "error", "data": "only its driver may do this"})
            return
        await self.join(str(trip["id"]))
        await self.channel_layer.group_send(str(trip["id"]), {"type": "echo.message", "data": trip})

    async def echo_message(self, event):
        await self.send_json(event)

    async def join(self, group):
        self.joined.add(group)
        await self.channel_layer.group_add(group, self.channel_name)

    @database_sync_to_async
    def saved(self, save, data):
        trip = save(self.user, data)
        return trip and trip.as_dict()

    @database_sync_to_async
    def note(self):
        OpenSocket.objects.create(channel=self.channel_name, user=self.user)

    @database_sync_to_async
    def forget(self):
        OpenSocket.objects.filter(channel=self.channel_name).delete()
