from functools import partial

from django.db import transaction
from rest_framework import generics
from rest_framework.response import Response
from rest_framework.views import APIView

from . import gateway
from .serializers import NotificationSerializer


class NotificationList(generics.ListCreateAPIView):
    """One's own notifications, and a way to write one to somebody."""

    serializer_class = NotificationSerializer

    def get_queryset(self):
        return self.request.user.notifications.all()[:100]

    def perform_create(self, serializer):
        with transaction.atomic():
            notification = serializer.save()
            # Only when it is in the database, so that nobody hears of one that is not there.
            transaction.on_commit(partial(gateway.notify, serializer.data, notification.user_id))


class Logout(APIView):
    """On all devices: tokens stay valid until they expire, sockets end now."""

    def post(self, request):
        gateway.disconnect(request.user.pk, "logged out")
        return Response(status=204)
