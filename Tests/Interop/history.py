"""Clients that remember their position: they reconnect with `since`, and record what they have received."""

import json
import re

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as ws_connect


class Numbered:
    """Behaves like the JavaScript client of docs/history.md: remembers the last id, and reconnects with it."""

    def __init__(self, url, since: str = ""):
        self.url, self.last = url, since
        self.socket, self.messages, self.gaps, self.frames = None, [], 0, []
        self.open()

    def open(self) -> None:
        url = self.url() if callable(self.url) else self.url
        self.socket = ws_connect(f"{url}?since={self.last}", open_timeout=20, max_size=None, compression=None, proxy=None)

    def hear(self, timeout: float = 20) -> dict:
        frame = json.loads(self.socket.recv(timeout=timeout))
        self.frames.append(frame)
        if "history" in frame:
            self.last = frame["history"]["id"]
            self.gaps += frame["history"]["gap"]
        elif "id" in frame:
            self.last = frame["id"]
            self.messages.append(frame.get("message", frame))
        return frame

    def rest(self, seconds: float = 0.3) -> list:
        """Frames until nothing arrives for a moment."""
        heard = []
        try:
            while True:
                heard.append(self.hear(seconds))
        except TimeoutError:
            return heard

    def start(self) -> dict:
        """The first frame of a session."""
        return self.hear()["history"]

    def say(self, message) -> None:
        self.socket.send(json.dumps({"message": message}))

    def drop(self) -> None:
        """Closes the socket without a close frame, like a phone in a tunnel."""
        self.socket.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def position(text: str) -> tuple[str, int]:
    epoch, offset = re.fullmatch(r"([0-9a-f]+)\.([0-9]+)", text).groups()
    return epoch, int(offset)


__all__ = ["ConnectionClosed", "Numbered", "position"]
