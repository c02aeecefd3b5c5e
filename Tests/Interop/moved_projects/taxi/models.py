import uuid

from django.conf import settings
from django.db import models


class Trip(models.Model):
    class Status(models.TextChoices):
        REQUESTED = "REQUESTED"
        STARTED = "STARTED"
        COMPLETED = "COMPLETED"
        CANCELLED = "CANCELLED"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rider = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="rides")
    driver = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="drives", null=True)
    pick_up = models.CharField(max_length=100)
    drop_off = models.CharField(max_length=100)
    status = models.CharField(max_length=20, choices=Status, default=Status.REQUESTED)


def is_driver(user):
    return user.groups.filter(name="drivers").exists()


def open_trips(user):
    """The trips that are not over and concern this rider or driver."""
    return Trip.objects.filter(models.Q(rider=user) | models.Q(driver=user)).exclude(status__in=["COMPLETED", "CANCELLED"])
