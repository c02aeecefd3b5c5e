from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.contrib.auth.models import Group, User
from rest_framework import generics, permissions
from rest_framework.response import Response
from rest_framework.views import APIView

from taxi.models import Trip, open_trips
from taxi.serializers import TripSerializer


class Trips(generics.ListAPIView):
    serializer_class = TripSerializer

    def get_queryset(self):
        return open_trips(self.request.user)


class Cancel(APIView):
    """A rider needs the trip no more, and whoever follows it is told so. Nothing changes here when the consumer goes."""

    def post(self, request, pk):
        trip = generics.get_object_or_404(Trip, pk=pk, rider=request.user)
        trip.status = Trip.Status.CANCELLED
        trip.save()
        message = {"type": "echo.message", "data": TripSerializer(trip).data}
        async_to_sync(get_channel_layer().group_send)(str(pk), message)
        return Response(status=204)


class Driver(APIView):
    """The office takes drivers on and lets them go."""

    permission_classes = [permissions.IsAdminUser]

    def put(self, request, name):
        generics.get_object_or_404(User, username=name).groups.add(Group.objects.get(name="drivers"))
        return Response(status=204)

    def delete(self, request, name):
        generics.get_object_or_404(User, username=name).groups.clear()
        return Response(status=204)
