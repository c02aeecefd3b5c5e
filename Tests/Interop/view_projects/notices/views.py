from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.contrib.auth.models import User
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt

from house.sockets import SocketView
from notices.models import mark_read, state


@csrf_exempt
def create(request):
    """Somebody is told something. Sockets have no part in it, and it is the same before and after."""
    user = User.objects.get(username=request.POST["name"])
    notice = user.notices.create(text=request.POST["text"])
    frame = {"id": notice.pk, "text": notice.text}
    async_to_sync(get_channel_layer().group_send)(f"user_{user.pk}", {"type": "notices_new", "notice": frame})
    return JsonResponse(frame)


class NoticeSocket(SocketView):
    """The group is in routes.yaml, and joined before `connect` is asked."""

    def connect(self):
        self.send(state(self.user))

    def receive(self, message):
        unread = mark_read(self.user, message.json["read"])
        self.publish(f"user_{self.user.pk}", {"type": "notices_count", "unread": unread})
