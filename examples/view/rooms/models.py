from django.conf import settings
from django.db import models

from .sockets import Answer  # noqa: F401


class Room(models.Model):
    slug = models.SlugField(unique=True)
    # Grows whenever somebody comes or goes, so that pages know which list of names is the newer one.
    changes = models.PositiveIntegerField(default=0)

    def __str__(self):
        return self.slug


class Message(models.Model):
    room = models.ForeignKey(Room, models.CASCADE, related_name="messages")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    text = models.CharField(max_length=500)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def as_frame(self):
        return {"id": self.pk, "user": self.user.get_username(), "text": self.text}


class Present(models.Model):
    """An open socket. A row for each, not a counter: a row can be deleted twice, and it can expire."""

    address = models.CharField(max_length=200, primary_key=True)
    room = models.ForeignKey(Room, models.CASCADE, related_name="present")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    seen = models.DateTimeField(db_index=True)
