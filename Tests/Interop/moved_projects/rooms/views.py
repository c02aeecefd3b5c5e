from django.contrib.auth.models import User
from rest_framework import generics, permissions, serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from rooms.models import Message, Room


class IsMember(permissions.IsAuthenticated):
    def has_permission(self, request, view):
        return super().has_permission(request, view) and request.user.rooms.filter(pk=view.kwargs["room"]).exists()


class MessageSerializer(serializers.ModelSerializer):
    user = serializers.SlugRelatedField("username", read_only=True)

    class Meta:
        model = Message
        fields = ["user", "text"]


class Me(APIView):
    def get(self, request):
        return Response({"id": request.user.pk, "name": request.user.username})


class Messages(generics.ListAPIView):
    """What was said before; the page asks for it when it opens."""

    serializer_class = MessageSerializer
    permission_classes = [IsMember]

    def get_queryset(self):
        return Message.objects.filter(room=self.kwargs["room"])


class Member(APIView):
    """Any member takes others in, and out again."""

    permission_classes = [IsMember]

    def put(self, request, room, name):
        Room.objects.get(pk=room).members.add(User.objects.get(username=name))
        return Response(status=204)

    def delete(self, request, room, name):
        Room.objects.get(pk=room).members.remove(User.objects.get(username=name))
        return Response(status=204)
