from house.sockets import SocketView
from whiteboard.models import Stroke, strokes, undo


class BoardSocket(SocketView):
    """Cursors do not come here: routes.yaml passes them on."""

    def connect(self):
        self.send({"type": "board", "strokes": strokes(self.kwargs["board"])})

    def receive(self, message):
        board = self.kwargs["board"]
        if message.bytes is not None:
            self.publish(f"board_{board}", bytes=message.bytes, to="others")
            return
        frame = message.json
        match frame.get("type"):
            case "stroke":
                stroke = Stroke.objects.create(board=board, user=self.user, points=frame["points"])
                self.tell(stroke.as_frame())
            case "undo":
                if (pk := undo(board, self.user)) is None:
                    self.send({"type": "error", "text": "nothing to undo"})
                else:
                    self.tell({"type": "gone", "id": pk})

    def tell(self, frame):
        self.publish(f"board_{self.kwargs['board']}", {"type": "board.frame", "frame": frame})
