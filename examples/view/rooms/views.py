from datetime import timedelta

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import F
from django.http import JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from .models import Message, Present, Room
from .sockets import InvalidMessage, SocketView


class ChatSocket(SocketView):
    """The socket of a room: what is said is saved, and everybody sees who is there."""

    def connect(self):
        room = get_object_or_404(Room, slug=self.kwargs["room"])
        if not self.user.is_authenticated:
            raise PermissionDenied
        Present.objects.update_or_create(
            address=self.address, defaults={"room": room, "user": self.user, "seen": timezone.now()}
        )
        latest = room.messages.select_related("user")[:20]
        self.send({"type": "hello", "messages": [message.as_frame() for message in reversed(latest)]})
        self.announce(room)

    def receive(self, message):
        text = message.json.get("text") if isinstance(message.json, dict) else None
        if not isinstance(text, str) or not 0 < len(text) <= 500 or "\0" in text:  # which PostgreSQL does not take
            raise InvalidMessage("text has 1 to 500 characters")
        # Either may have been deleted since the socket was opened.
        room = Room.objects.filter(slug=self.kwargs["room"]).first()
        if room is None or not self.user.is_authenticated:
            raise InvalidMessage("this room is closed to you")
        saved = Message.objects.create(room=room, user=self.user, text=text)
        self.publish(f"room_{room.slug}", {"type": "chat.message", "message": saved.as_frame()})

    def disconnect(self):
        Present.objects.filter(address=self.address).delete()
        if room := Room.objects.filter(slug=self.kwargs["room"]).first():
            self.announce(room)

    def alive(self, addresses, interval):
        now = timezone.now()
        Present.objects.filter(address__in=addresses).update(seen=now)
        Present.objects.filter(seen__lt=now - 3 * timedelta(seconds=interval)).delete()

    def announce(self, room):
        # Locks the room until the end of the transaction: who comes or goes at the same time has the next number.
        Room.objects.filter(pk=room.pk).update(changes=F("changes") + 1)
        room.refresh_from_db()
        names = room.present.order_by("user__username").values_list("user__username", flat=True).distinct()
        self.publish(f"room_{room.slug}", {"type": "chat.here", "names": list(names), "change": room.changes})


@login_required
def room(request, room):
    return render(request, "rooms/room.html", {"room": get_object_or_404(Room, slug=room)})


def me(request):
    """Sluice asks this when a socket is opened, with the cookies of the page."""
    if not request.user.is_authenticated:
        return JsonResponse({"detail": "not logged in"}, status=401)
    return JsonResponse({"id": request.user.pk, "name": request.user.get_username()})
