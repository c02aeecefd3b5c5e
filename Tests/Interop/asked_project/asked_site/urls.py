from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from .sockets import SocketView


class Echo(SocketView):
    # It changes nothing, so it may run twice.
    once = False

    def receive(self, message):
        self.send(message.text)


@csrf_exempt
def echo_events(request):
    """The same in the protocol of pushpin: each event comes back as it was."""
    answer = HttpResponse(request.body, content_type="application/websocket-events")
    if request.body.startswith(b"OPEN"):
        answer["Sec-WebSocket-Extensions"] = 'grip; message-prefix=""'
    return answer


urlpatterns = [
    path("ready/", lambda request: HttpResponse("ready")),
    path("ws/", Echo.as_view()),
    path("grip/", echo_events),
]
