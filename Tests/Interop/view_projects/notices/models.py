from django.conf import settings
from django.db import models


class Notice(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notices")
    text = models.CharField(max_length=200)
    read = models.BooleanField(default=False)


def state(user):
    """What a page is told first. It ignores notices up to `last`, because they are counted."""
    last = user.notices.order_by("pk").last()
    return {"unread": user.notices.filter(read=False).count(), "last": last.pk if last else 0}


def mark_read(user, pk):
    user.notices.filter(pk=pk).update(read=True)
    return user.notices.filter(read=False).count()
