from django.conf import settings
from django.db import models


class Trip(models.Model):
    """The group of a trip is its bare id."""

    rider = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    driver = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", null=True)
    start = models.CharField(max_length=100)
    status = models.CharField(max_length=20, default="REQUESTED")

    def as_dict(self):
        driver = self.driver and self.driver.username
        return {"id": self.pk, "rider": self.rider.username, "driver": driver, "start": self.start, "status": self.status}


class OpenSocket(models.Model):
    """Where a user is reached: whoever has the name of a channel can put it into a group."""

    channel = models.CharField(max_length=200, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)


def is_driver(user):
    return user.groups.filter(name="drivers").exists()


def groups_of(user):
    trips = Trip.objects.filter(models.Q(rider=user) | models.Q(driver=user)).exclude(status="COMPLETED")
    return [str(trip.pk) for trip in trips] + (["drivers"] if is_driver(user) else [])


def new_trip(user, data):
    start = data.get("start")
    return Trip.objects.create(rider=user, start=start) if isinstance(start, str) and start else None


def changed_trip(user, data):
    trip = Trip.objects.filter(pk=data.get("id")).first()
    if trip is None or not is_driver(user) or trip.driver not in (None, user):
        return None
    trip.driver, trip.status = user, data["status"]
    trip.save()
    return trip
