from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from multichat.models import ClientError, room_for


class ChatConsumer(AsyncJsonWebsocketConsumer):
    """Many rooms over one socket: {"command": "join" | "leave" | "send", "room": 1, "message": ...}."""

    async def connect(self):
        self.user, self.rooms = self.scope["user"], set()
        if self.user.is_anonymous:
            await self.close()
        else:
            await self.accept()

    async def receive_json(self, content):
        try:
            match content.get("command"):
                case "join":
                    await self.join_room(content["room"])
                case "leave":
                    await self.leave_room(content["room"])
                case "send":
                    await self.send_room(content["room"], content["message"])
                case _:
                    raise ClientError("COMMAND_UNKNOWN")
        except ClientError as error:
            await self.send_json({"error": error.code})

    async def disconnect(self, code):
        for pk in self.rooms:
            await self.tell(pk, "chat.leave")
            await self.channel_layer.group_discard(f"room_{pk}", self.channel_name)

    async def join_room(self, pk):
        room = await database_sync_to_async(room_for)(self.user, pk)
        # The others hear of it, and not the one who joins.
        await self.tell(pk, "chat.join")
        self.rooms.add(pk)
        await self.channel_layer.group_add(room.group, self.channel_name)
        await self.send_json({"join": str(pk), "title": room.title})

    async def leave_room(self, pk):
        self.need(pk)
        # Who leaves hears of it too.
        await self.tell(pk, "chat.leave")
        self.rooms.discard(pk)
        await self.channel_layer.group_discard(f"room_{pk}", self.channel_name)
        await self.send_json({"leave": str(pk)})

    async def send_room(self, pk, message):
        self.need(pk)
        await self.tell(pk, "chat.message", message=message)

    def need(self, pk):
        if pk not in self.rooms:
            raise ClientError("ROOM_ACCESS_DENIED")

    async def tell(self, pk, kind, **more):
        event = {"type": kind, "room_id": pk, "username": self.user.username, **more}
        await self.channel_layer.group_send(f"room_{pk}", event)

    async def chat_join(self, event):
        await self.send_json({"msg_type": 4, "room": event["room_id"], "username": event["username"]})

    async def chat_leave(self, event):
        await self.send_json({"msg_type": 5, "room": event["room_id"], "username": event["username"]})

    async def chat_message(self, event):
        frame = {"msg_type": 0, "room": event["room_id"], "username": event["username"], "message": event["message"]}
        await self.send_json(frame)
