import json

from asgiref.sync import async_to_sync
from channels.generic.websocket import WebsocketConsumer

from whiteboard.models import Stroke, strokes, undo


class BoardConsumer(WebsocketConsumer):
    def connect(self):
        self.user, self.board = self.scope["user"], self.scope["url_route"]["kwargs"]["board"]
        if self.user.is_anonymous:
            self.close(code=4401)
            return
        self.group = f"board_{self.board}"
        async_to_sync(self.channel_layer.group_add)(self.group, self.channel_name)
        self.accept()
        self.say({"type": "board", "strokes": strokes(self.board)})

    def disconnect(self, code):
        if not self.user.is_anonymous:
            async_to_sync(self.channel_layer.group_discard)(self.group, self.channel_name)

    def receive(self, text_data=None, bytes_data=None):
        if bytes_data is not None:
            self.tell({"type": "board.picture", "bytes": bytes_data, "sender": self.channel_name})
            return
        frame = json.loads(text_data)
        match frame.get("type"):
            case "cursor":
                cursor = {"x": frame["x"], "y": frame["y"], "user": self.user.username}
                self.tell({"type": "cursor.update", **cursor, "sender": self.channel_name})
            case "stroke":
                stroke = Stroke.objects.create(board=self.board, user=self.user, points=frame["points"])
                self.tell({"type": "board.frame", "frame": stroke.as_frame()})
            case "undo":
                if (pk := undo(self.board, self.user)) is None:
                    self.say({"type": "error", "text": "nothing to undo"})
                else:
                    self.tell({"type": "board.frame", "frame": {"type": "gone", "id": pk}})

    def say(self, frame):
        self.send(text_data=json.dumps(frame))

    def tell(self, event):
        async_to_sync(self.channel_layer.group_send)(self.group, event)

    def board_frame(self, event):
        self.say(event["frame"])

    def cursor_update(self, event):
        # Not to the tab that moves it, but to the other tabs of the same user.
        if event["sender"] != self.channel_name:
            self.say({"type": "cursor", "user": event["user"], "x": event["x"], "y": event["y"]})

    def board_picture(self, event):
        if event["sender"] != self.channel_name:
            self.send(bytes_data=event["bytes"])
