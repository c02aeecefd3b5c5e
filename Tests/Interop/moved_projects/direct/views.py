from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from rest_framework import generics, serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from direct.models import Message


class MessageSerializer(serializers.ModelSerializer):
    class Meta:
        model = Message
        fields = ["id", "sender", "text", "read"]


class Inbox(generics.ListAPIView):
    serializer_class = MessageSerializer

    def get_queryset(self):
        return Message.objects.filter(receiver=self.request.user)


class Read(APIView):
    """The receiver has read a message, and its sender is told so. Nothing changes here when the consumer goes."""

    def post(self, request, pk):
        message = generics.get_object_or_404(Message, pk=pk, receiver=request.user)
        message.read = True
        message.save()
        async_to_sync(get_channel_layer().group_send)(str(message.sender_id), {"type": "message_read", "id": pk})
        return Response(status=204)
