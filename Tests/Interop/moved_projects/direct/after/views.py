from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.contrib.auth.models import User
from rest_framework.response import Response
from rest_framework.views import APIView

from direct.models import Message


class Messages(APIView):
    """The page posts here what it sent through its socket: {"to": 7, "text": ...}."""

    def post(self, request):
        to, text = request.data.get("to"), request.data.get("text")
        receiver = User.objects.filter(pk=to).first()
        if receiver is None:
            return Response({"error": "there is no such user"}, status=404)
        message = Message.objects.create(sender=request.user, receiver=receiver, text=text)
        event = {"type": "chat_message", "id": message.id, "from": request.user.username, "text": text}
        for group in {str(request.user.id), str(to)}:
            async_to_sync(get_channel_layer().group_send)(group, event)
        return Response(status=204)
