from django.core.validators import RegexValidator
from django.db import models

# What may stand in a room's name is what may stand in a group's: chat_ROOM has at most 99 ASCII characters.
room_name = RegexValidator(r"^[A-Za-z0-9_]+\Z", "Letters, digits and underscores only.")


class Notice(models.Model):
    room = models.CharField(max_length=80, validators=[room_name])
    text = models.TextField(max_length=2000)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self):
        return f"{self.room}: {self.text[:40]}"
