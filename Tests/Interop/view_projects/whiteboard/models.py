from django.conf import settings
from django.db import models


class Stroke(models.Model):
    board = models.IntegerField(db_index=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    points = models.JSONField()

    def as_frame(self):
        return {"type": "stroke", "id": self.pk, "user": self.user.username, "points": self.points}


def strokes(board):
    return [stroke.as_frame() for stroke in Stroke.objects.filter(board=board).order_by("pk").select_related("user")]


def undo(board, user):
    """The id of the user's last stroke, which is gone; `None` if there is none."""
    last = Stroke.objects.filter(board=board, user=user).order_by("pk").last()
    if last:
        pk = last.pk
        last.delete()
        return pk
