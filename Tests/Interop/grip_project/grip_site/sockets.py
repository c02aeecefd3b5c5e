"""What each message does is its first word. Everything that was asked is in a journal, which tests read."""

import threading

from django.http import HttpResponse, HttpResponseForbidden, JsonResponse
from django_grip import publish, websocket_only
from gripcontrol import WebSocketMessageFormat

journal: list[dict] = []
lock = threading.Lock()


def health(request):
    return HttpResponse("ok")


def asked(request):
    with lock:
        return JsonResponse(journal, safe=False)


def note(request):
    """What the gateway has said, as django-grip understands it."""
    ws = request.wscontext
    entry = {
        "id": ws.id,
        "signed": request.grip.signed,
        "meta": dict(ws.orig_meta),
        "path": request.path,
        "cookie": request.META.get("HTTP_COOKIE"),
        "events": [[e.type, None if e.content is None else e.content.decode("latin-1")] for e in ws.in_events],
    }
    with lock:
        journal.append(entry)
    return entry


def shout(request):
    """Publishes, as a page of the site would."""
    content = request.GET["text"]
    binary = "binary" in request.GET
    publish(request.GET["channel"], WebSocketMessageFormat(content, binary=binary), blocking=True)
    return HttpResponse("ok")


@websocket_only
def room(request, room):
    ws = request.wscontext
    note(request)
    if ws.is_opening():
        if room == "closed":
            return HttpResponseForbidden("this room is closed\n")
        ws.accept()
        ws.subscribe(f"room_{room}")
        ws.meta["room"] = room
        ws.send("hello")
    while ws.can_recv():
        try:
            message = ws.recv()
        except OSError:
            break
        if message is None:
            ws.close(ws.close_code)
            break
        handle(ws, message)
    return HttpResponse()


def handle(ws, message):
    if isinstance(message, bytes):
        return ws.send_binary(message[::-1])
    word, _, rest = message.partition(" ")
    if word == "join":
        ws.subscribe(f"room_{rest}")
    elif word == "leave":
        ws.unsubscribe(f"room_{rest}")
    elif word == "count":
        ws.meta["count"] = str(int(ws.meta.get("count", "0")) + 1)
    elif word == "forget":
        ws.meta.pop("count", None)
    elif word == "close":
        return ws.close(int(rest) if rest else None)
    elif word == "tell":
        publish("room_" + ws.meta["room"], WebSocketMessageFormat(rest), blocking=True)
    elif word == "wrong":
        return ws.send_control('{"type": "no-such"}')
    ws.send(f"{message} {ws.meta.get('count', '')}".strip())


@websocket_only
def rude(request, room):
    """Reads on after the end, which raises an error that nobody catches."""
    ws = request.wscontext
    note(request)
    if ws.is_opening():
        ws.accept()
        ws.send("hello")
    while ws.can_recv():
        if ws.recv() is None:
            break
    return HttpResponse()
