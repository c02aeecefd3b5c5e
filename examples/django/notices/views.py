from functools import partial

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction
from django.shortcuts import render
from rest_framework import generics

from .models import Notice
from .serializers import NoticeSerializer


def index(request):
    return render(request, "notices/index.html")


def room(request, room_name):
    notices = Notice.objects.filter(room=room_name)[:20]
    return render(request, "notices/room.html", {"room_name": room_name, "notices": reversed(notices)})


def push(notice):
    """To everyone in the room: the gateway makes the frame {"message": ...} of it."""
    async_to_sync(get_channel_layer().group_send)(
        f"chat_{notice.room}", {"type": "chat.message", "message": notice.text}
    )


class NoticeList(generics.ListCreateAPIView):
    queryset = Notice.objects.all()
    serializer_class = NoticeSerializer

    def perform_create(self, serializer):
        with transaction.atomic():
            notice = serializer.save()
            # Only when it is in the database, so that nobody hears of a notice that is not there.
            transaction.on_commit(partial(push, notice))
