from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from rest_framework.response import Response
from rest_framework.views import APIView

from taxi.models import Trip, is_driver, open_trips
from taxi.serializers import TripSerializer


class Groups(APIView):
    """Sluice asks this for each page: who it is, and which groups it joins."""

    def get(self, request):
        trips = [str(trip.id) for trip in open_trips(request.user)]
        groups = [*trips, "drivers"] if is_driver(request.user) else trips
        return Response({"id": request.user.pk, "groups": groups})


class Messages(APIView):
    """The page posts here what it sent through its socket: {"type": ..., "data": ...}."""

    def post(self, request):
        kind, data = request.data.get("type"), request.data.get("data", {})
        if kind == "create.trip":
            return self.create_trip(data)
        if kind == "update.trip":
            return self.update_trip(data)
        return error("unknown type")

    def create_trip(self, data):
        serializer = TripSerializer(data=data)
        if not serializer.is_valid():
            return error(serializer.errors)
        serializer.save(rider=self.request.user)
        self.join(serializer.data["id"])
        send(f"user_{self.request.user.id}", serializer.data)
        send("drivers", serializer.data)
        return Response(status=204)

    def update_trip(self, data):
        user, trip = self.request.user, Trip.objects.filter(pk=data.get("id")).first()
        if trip is None or not is_driver(user) or trip.driver not in (None, user):
            return error("only its driver may do this")
        takes_it = trip.driver is None
        serializer = TripSerializer(trip, data=data, partial=True)
        serializer.is_valid(raise_exception=True)
        serializer.save(driver=user)
        send(str(trip.id), serializer.data)
        if takes_it:
            send(f"user_{user.id}", serializer.data)
            self.join(str(trip.id))
        return Response(status=204)

    def join(self, group):
        """Has the pages of this user join a group from now on."""
        order = {"type": "sluice.join", "user": str(self.request.user.id), "group": group}
        async_to_sync(get_channel_layer().group_send)("sluice.control", order)


def send(group, trip):
    async_to_sync(get_channel_layer().group_send)(group, {"type": "echo.message", "data": trip})


def error(data):
    return Response({"type": "error.message", "data": data}, status=400)
