"""The same with REST framework: its serializers check what a client sends."""

from rest_framework import serializers
from rest_framework.views import APIView

from .models import Message
from .sockets import Socket


class SocketAPIView(Socket, APIView):
    """The signature says who asks; tokens, permissions and throttles are for clients."""

    authentication_classes = []
    permission_classes = []
    throttle_classes = []


class PageSerializer(serializers.Serializer):
    before = serializers.IntegerField(min_value=1)
    limit = serializers.IntegerField(min_value=1, max_value=100, default=20)


class HistorySocket(SocketAPIView):
    """Question and answer, without a group: `{"before": 70, "limit": 20}` is answered with older messages."""

    once = False  # it only reads

    def receive(self, message):
        page = PageSerializer(data=message.json)
        if not page.is_valid():
            self.send({"errors": page.errors})
            return
        older = Message.objects.filter(room__slug=self.kwargs["room"], pk__lt=page.validated_data["before"])
        latest = older.select_related("user")[: page.validated_data["limit"]]
        self.send({"messages": [message.as_frame() for message in reversed(latest)]})
