from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from rest_framework import generics
from rest_framework.response import Response
from rest_framework.views import APIView

from rooms import views


class May(APIView):
    """Sluice asks this for each page, with the cookies of the page."""

    permission_classes = [views.IsMember]

    def get(self, request, room):
        return Response(status=204)


class Messages(views.Messages, generics.ListCreateAPIView):
    """The page posts here what it sent through its socket: {"text": ...}."""

    def perform_create(self, serializer):
        room = self.kwargs["room"]
        message = serializer.save(room_id=room, user=self.request.user)
        event = {"type": "chat_message", "user": message.user.username, "text": message.text}
        async_to_sync(get_channel_layer().group_send)(f"room_{room}", event)
