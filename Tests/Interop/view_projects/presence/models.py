from datetime import timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone


class Present(models.Model):
    """An open socket."""

    address = models.CharField(max_length=200, primary_key=True)
    room = models.SlugField()
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    seen = models.DateTimeField()


def names(room):
    present = Present.objects.filter(room=room).order_by("user__username")
    return list(present.values_list("user__username", flat=True).distinct())


def comes(address, room, user):
    Present.objects.update_or_create(address=address, defaults={"room": room, "user": user, "seen": timezone.now()})
    return names(room)


def goes(address, room):
    Present.objects.filter(address=address).delete()
    return names(room)


def are_there(addresses, seconds):
    now = timezone.now()
    Present.objects.filter(address__in=addresses).update(seen=now)
    Present.objects.filter(seen__lt=now - timedelta(seconds=3 * seconds)).delete()
