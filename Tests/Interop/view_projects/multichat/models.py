from django.db import models


class ClientError(Exception):
    """What a page is told."""

    def __init__(self, code):
        self.code = code


class Room(models.Model):
    title = models.CharField(max_length=100)
    staff_only = models.BooleanField(default=False)

    @property
    def group(self):
        return f"room_{self.pk}"


def room_for(user, pk):
    room = Room.objects.filter(pk=pk if isinstance(pk, int) else None).first()
    if room is None:
        raise ClientError("ROOM_INVALID")
    if room.staff_only and not user.is_staff:
        raise ClientError("ROOM_ACCESS_DENIED")
    return room
