from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from taxi.models import Trip, is_driver, open_trips
from taxi.serializers import TripSerializer


class TaxiConsumer(AsyncJsonWebsocketConsumer):
    async def connect(self):
        self.user, self.joined = self.scope["user"], set()
        if self.user.is_anonymous:
            await self.close()
            return
        for group in await self.find_groups():
            await self.join(group)
        await self.accept()

    async def disconnect(self, code):
        for group in getattr(self, "joined", ()):
            await self.channel_layer.group_discard(group, self.channel_name)

    async def receive_json(self, content):
        kind, data = content.get("type"), content.get("data", {})
        if kind == "create.trip":
            await self.create_trip(data)
        elif kind == "update.trip":
            await self.update_trip(data)
        else:
            await self.send_json({"type": "error.message", "data": "unknown type"})

    async def create_trip(self, data):
        trip = await self.save_new(data)
        if "errors" in trip:
            await self.send_json({"type": "error.message", "data": trip["errors"]})
            return
        message = {"type": "echo.message", "data": trip}
        await self.channel_layer.group_send("drivers", message)
        await self.join(trip["id"])
        await self.send_json(message)

    async def update_trip(self, data):
        trip = await self.save_update(data)
        if trip is None:
            await self.send_json({"type": "error.message", "data": "only its driver may do this"})
            return
        await self.join(trip["id"])
        await self.channel_layer.group_send(trip["id"], {"type": "echo.message", "data": trip})

    async def echo_message(self, event):
        await self.send_json(event)

    async def join(self, group):
        if group not in self.joined:
            self.joined.add(group)
            await self.channel_layer.group_add(group, self.channel_name)

    @database_sync_to_async
    def find_groups(self):
        trips = [str(trip.id) for trip in open_trips(self.user)]
        return [*trips, "drivers"] if is_driver(self.user) else trips

    @database_sync_to_async
    def save_new(self, data):
        serializer = TripSerializer(data=data)
        if not serializer.is_valid():
            return {"errors": serializer.errors}
        serializer.save(rider=self.user)
        return serializer.data

    @database_sync_to_async
    def save_update(self, data):
        trip = Trip.objects.filter(pk=data.get("id")).first()
        if trip is None or not is_driver(self.user) or trip.driver not in (None, self.user):
            return None
        serializer = TripSerializer(trip, data=data, partial=True)
        serializer.is_valid(raise_exception=True)
        serializer.save(driver=self.user)
        return serializer.data
