from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from rest_framework.response import Response
from rest_framework.views import APIView

from cabs.models import OpenSocket, Trip, changed_trip, groups_of, new_trip
from house.sockets import SocketView


class Invite(APIView):
    """The rider of a trip lets somebody follow it: that user's open sockets join its group. This is the same before and after."""

    def post(self, request, trip):
        trip, layer = Trip.objects.get(pk=trip, rider=request.user), get_channel_layer()
        for socket in OpenSocket.objects.filter(user__username=request.data["name"]):
            async_to_sync(layer.group_add)(str(trip.pk), socket.channel)
        async_to_sync(layer.group_send)(str(trip.pk), {"type": "echo.message", "data": trip.as_dict()})
        return Response(status=204)


class TaxiSocket(SocketView):
    def connect(self):
        OpenSocket.objects.update_or_create(channel=self.address, defaults={"user": self.user})
        for group in groups_of(self.user):
            self.join(group)

    def disconnect(self):
        OpenSocket.objects.filter(channel=self.address).delete()

    def receive(self, message):
        content = message.json
        data = content.get("data", {})
        if content.get("type") == "create.trip":
            self.create_trip(data)
        elif content.get("type") == "update.trip":
            self.update_trip(data)
        else:
            self.send({"type": "error", "data": "unknown type"})

    def create_trip(self, data):
        trip = new_trip(self.user, data)
        if trip is None:
            self.send({"type": "error", "data": "start is missing"})
            return
        message = {"type": "echo.message", "data": trip.as_dict()}
        self.publish("drivers", message)
        self.join(str(trip.pk))
        self.send(message)

    def update_trip(self, data):
        trip = changed_trip(self.user, data)
        if trip is None:
            self.send({"type": "error", "data": "only its driver may do this"})
            return
        self.join(str(trip.pk))
        self.publish(str(trip.pk), {"type": "echo.message", "data": trip.as_dict()})
