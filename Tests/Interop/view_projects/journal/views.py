import time

from house.sockets import SocketView
from journal.models import Coming, Entry, Going


class JournalSocket(SocketView):
    """Writes down all that it is asked, and answers each message with its number."""

    def connect(self):
        Coming.objects.create(address=self.address)
        self.send({"hello": self.address})

    def receive(self, message):
        Entry.objects.create(address=self.address, n=message.n, text=message.text, question=self.question["id"])
        self.state = {"last": message.n}
        if message.text.startswith("sleep "):
            time.sleep(float(message.text.split()[1]))
        if message.text.startswith("tell "):
            self.publish(f"journal_{self.captures['room']}", {"type": "journal.told", "text": message.text[5:]})
        self.send({"n": message.n, "text": message.text})

    def disconnect(self):
        presumed = self.question.get("presumed", False)
        Going.objects.create(address=self.address, code=self.code, presumed=presumed, groups=self.groups, state=self.state)
