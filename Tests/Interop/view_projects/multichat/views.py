from house.sockets import SocketView
from multichat.models import ClientError, room_for


class ChatSocket(SocketView):
    """Many rooms over one socket: {"command": "join" | "leave" | "send", "room": 1, "message": ...}."""

    def receive(self, message):
        content = message.json
        try:
            match content.get("command"):
                case "join":
                    self.join_room(content["room"])
                case "leave":
                    self.leave_room(content["room"])
                case "send":
                    self.send_room(content["room"], content["message"])
                case _:
                    raise ClientError("COMMAND_UNKNOWN")
        except ClientError as error:
            self.send({"error": error.code})

    def disconnect(self):
        for group in self.groups:
            self.tell(int(group.removeprefix("room_")), "chat.leave")

    def join_room(self, pk):
        room = room_for(self.user, pk)
        # The others hear of it, and not the one who joins.
        self.tell(pk, "chat.join")
        self.join(room.group)
        self.send({"join": str(pk), "title": room.title})

    def leave_room(self, pk):
        self.need(pk)
        # Who leaves hears of it too.
        self.tell(pk, "chat.leave")
        self.leave(f"room_{pk}")
        self.send({"leave": str(pk)})

    def send_room(self, pk, message):
        self.need(pk)
        self.tell(pk, "chat.message", message=message)

    def need(self, pk):
        if f"room_{pk}" not in self.groups:
            raise ClientError("ROOM_ACCESS_DENIED")

    def tell(self, pk, kind, **more):
        self.publish(f"room_{pk}", {"type": kind, "room_id": pk, "username": self.user.username, **more})
