"""WebSockets in plain Django views: the base of the views that Sluice asks with `consumer: view`.

Copy this file into one of your apps, and then:

1. `from .sockets import Answer` in the `models.py` of that app; `manage.py makemigrations`, `manage.py migrate`;
2. `SLUICE_SECRETS = [os.environ["SLUICE_SECRET"]]` in `settings.py`, the same as `secret` in routes.yaml;
3. a view:

    class ChatSocket(SocketView):
        def receive(self, message):
            self.publish("lobby", {"type": "chat.message", "text": message.json["text"]})

and its URL: `path("ws/chat/", ChatSocket.as_view())`. There is no ASGI in it: it runs under gunicorn with sync workers.
"""

import base64
import copy
import hashlib
import hmac
import json
import random
import time
from datetime import timedelta
from functools import cached_property
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, RequestDataTooBig
from django.db import IntegrityError, models, transaction
from django.http import HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

# How old a question may be, in seconds. Each attempt is signed anew, so this only has to cover the difference of two clocks.
MAX_AGE = 60


class Answer(models.Model):
    """What a question was answered with. The same question comes again if its answer was lost on the way.

    The row is written in the transaction of what the view does: either both are in the database or neither is. A cache could
    not promise this, and the one that Django has unless you configure another is different in each gunicorn worker.

    A response with a status below 500 is kept as it is. What is raised is not (`PermissionDenied`, `Http404`, any other error): it
    undoes all that the view has done, so the same question may be decided anew.
    """

    id = models.CharField(max_length=100, primary_key=True)
    status = models.PositiveSmallIntegerField(default=204)
    headers = models.JSONField(default=dict)
    body = models.TextField(blank=True)
    created = models.DateTimeField(auto_now_add=True, db_index=True)

    KEPT = timedelta(days=1)

    def response(self):
        return HttpResponse(self.body, status=self.status, headers=self.headers)

    @classmethod
    def forget_old(cls):
        cls.objects.filter(created__lt=timezone.now() - cls.KEPT).delete()


class InvalidMessage(ValueError):
    """Raise it before you save anything: the client is sent `{"error": ...}`, and its socket stays open."""


def not_json(name):
    raise ValueError(f"{name} is not JSON")


class Message:
    """What a client has sent: `text`, or `bytes` if it was a binary message. The other one is `None`."""

    def __init__(self, n, text=None, bytes=None):
        self.n, self.text = n, text  # n counts the messages of a session, from 1 on
        self.bytes = None if bytes is None else base64.b64decode(bytes)

    @cached_property
    def json(self):
        try:
            value = json.loads(self.text if self.bytes is None else self.bytes, parse_constant=not_json)
            # Half of a surrogate pair is no text that a database takes.
            json.dumps(value, ensure_ascii=False).encode()
            return value
        except (ValueError, RecursionError):
            raise InvalidMessage("this is not JSON") from None


class Socket:
    """Override `connect`, `receive`, `disconnect` and `alive`, and do in them what a consumer would do.

    What you `send`, `publish`, `join`, `leave` and `close` is done in this order, after the transaction was committed. Each question
    makes a new view, so keep nothing in `self`: what has to last for a session is in `self.state` (4 KiB of JSON) or in your models.

    | attribute | |
    |---|---|
    | `user` | as `request.user`, for a route with `auth` |
    | `address` | the name of this session, unique: `channel_name` in Channels |
    | `groups` | what it is in; in `disconnect`, what it was in last |
    | `state` | what you assigned last, at first `None` |
    | `path`, `query`, `captures`, `claims` | of the request that the socket began with; captures are also in `self.kwargs` |
    | `subprotocols`, `client` | in `connect`: what the client offers, its IP address |
    | `code`, `reason`, `duration` | in `disconnect` |
    """

    # False for a view that may as well run twice: it only reads, for example. Then no answer is kept, and there is no transaction.
    once = True
    # The field of the user model that the name in `auth` belongs to.
    user_field = "pk"
    # True only where nobody but the gateway can connect: over a Unix socket, with `unsigned: true` in routes.yaml.
    unsigned = False

    # What to override.

    def connect(self):
        """Before the client is let in. Raise `PermissionDenied` or `Http404`, or return a response, if it is not."""

    def receive(self, message):
        """For each message of the client, one after the other."""

    def disconnect(self):
        """After the last message; you can only `publish`. One of the two sides may have crashed: it may come twice, or late."""

    def alive(self, addresses, interval):
        """These sessions are open, as one gateway says every `interval` seconds. Rows that nobody speaks of any more can go."""

    # What to call in them.

    def send(self, content):
        """To this client: a `str` as text, `bytes` as a binary message, everything else as JSON."""
        kind = "text" if isinstance(content, str) else "bytes" if isinstance(content, bytes) else "json"
        self.do(send={kind: encoded(content)})

    def publish(self, group, event=None, to=None, ephemeral=False, **content):
        """To a group, like `group_send`: an event with a `type`, or else `message=`, `text=` or `bytes=`.

        `to="others"` leaves out this session, `to={"user": "5"}` reaches only this user's.
        """
        content = {"event": event} if event is not None else {kind: encoded(value) for kind, value in content.items()}
        extra = ({"to": to} if to else {}) | ({"ephemeral": True} if ephemeral else {})
        self.do(publish={"group": group, **content, **extra})

    def join(self, group):
        self.do(join=group)

    def leave(self, group):
        self.do(leave=group)

    def close(self, code=1000, reason=""):
        """1000, or one of your own from 3000 on."""
        self.do(close={"code": code, "reason": reason})

    def accept(self, subprotocol=None, user=None, claims=None):
        """In `connect`, and only needed if you have something to say about it. `user` and `claims` are who it is from now on.

        `user` is one of your users, or the name that `auth` would know, as `user_field` has it.
        """
        if user is not None and not isinstance(user, (str, int)):
            user = self.name_of(user)
        said = {"subprotocol": subprotocol, "user": user, "claims": claims}
        self.extra |= {name: value for name, value in said.items() if value is not None}

    def name_of(self, user):
        name = getattr(user, self.user_field, None)
        if name is None:
            raise TypeError(f"user is a user who is saved, or their {self.user_field}, and not {user!r}")
        return name if isinstance(name, int) else str(name)

    def do(self, **action):
        self.actions.append(action)

    @cached_property
    def user(self):
        from django.contrib.auth import get_user_model
        from django.contrib.auth.models import AnonymousUser

        if self.question["user"] is None:
            return AnonymousUser()
        users = get_user_model().objects.filter(is_active=True, **{self.user_field: self.question["user"]})
        return users.first() or AnonymousUser()

    # How a question becomes an answer.

    def post(self, request, *args, **kwargs):
        try:
            body = request.body
        except RequestDataTooBig:
            return error(413, "the question is larger than DATA_UPLOAD_MAX_MEMORY_SIZE")
        if not self.unsigned and (mistake := mistake_of(request, body)):
            # The field says that this is about the gateway, and not about its client.
            return error(401, mistake, {"WWW-Authenticate": "Sluice"})
        self.question = json.loads(body)
        event = self.question["event"]
        if event == "check":  # `sluice validate --connect`
            return HttpResponse(status=204)
        if event == "alive":
            self.alive(self.question["addresses"], self.question["interval"])
            return HttpResponse(status=204)
        self.actions, self.extra = [], {}
        for name in ["address", "path", "query", "captures", "groups", "claims", "subprotocols", "client", "code", "reason", "duration"]:
            setattr(self, name, self.question.get(name))
        self.state = copy.deepcopy(self.question["state"])
        return self.answer_once() if self.once else self.answer()

    def answer_once(self):
        """The same id again is the same question: it gets the first answer, and what the view does is not done a second time."""
        with transaction.atomic():
            try:
                with transaction.atomic():
                    # If an earlier attempt still runs in another worker, the database lets this one wait until it has ended.
                    Answer.objects.create(id=self.question["id"])
            except IntegrityError:
                return Answer.objects.get(id=self.question["id"]).response()
            response = self.answer()
            if response.status_code >= 500:
                transaction.set_rollback(True)
                return response
            kept = {"status": response.status_code, "headers": dict(response.headers), "body": response.content.decode(response.charset)}
            Answer.objects.filter(id=self.question["id"]).update(**kept)
        if random.random() < 0.001:
            Answer.forget_old()
        return response

    def answer(self):
        handlers = {"connect": self.connect, "receive": self.receive_all, "disconnect": self.disconnect}
        said = handlers[self.question["event"]]()
        if isinstance(said, HttpResponse):
            return said
        if said is not None and (self.question["event"] != "receive" or type(said) is not int):
            raise TypeError(f"{self.question['event']} returns nothing: use self.send, self.publish or self.state")
        content = self.extra | ({"do": self.actions} if self.actions else {})
        if isinstance(said, int):
            content["taken"] = said
        if self.state != self.question["state"]:
            content["state"] = self.state
        return JsonResponse(content) if content else HttpResponse(status=204)

    def receive_all(self):
        """There is more than one message only with `batch:`. An override may return how many it has handled; the rest come again."""
        for message in self.question["messages"]:
            try:
                said = self.receive(Message(**message))
            except InvalidMessage as mistake:
                self.send({"error": str(mistake)})
            else:
                # An answer without what it says would look like a view that says nothing.
                if said is not None:
                    raise TypeError("receive returns nothing: use self.send, or self.close to end the session")


@method_decorator(csrf_exempt, name="dispatch")
class SocketView(Socket, View):
    """A question has no cookie and no CSRF token. It is signed."""


def mistake_of(request, body):
    """Why this request is not believed; `None` if the gateway has made it, and not long ago."""
    if not isinstance(getattr(settings, "SLUICE_SECRETS", None), (list, tuple)):
        raise ImproperlyConfigured('SLUICE_SECRETS has to be a list: SLUICE_SECRETS = [os.environ["SLUICE_SECRET"]]')
    mistake = None
    for target in targets_of(request):
        mistake = mistake_at(target, request, body)
        if mistake is None:
            break
    return mistake


def targets_of(request):
    """Path and query as they came in: gunicorn and uWSGI tell. The test client and runserver tell only the path that they have decoded.

    There it is written anew: as in a `url` without captures, and as with them: Sluice encodes all but letters, digits and `-._~` in those.
    """
    if known := request.META.get("RAW_URI") or request.META.get("REQUEST_URI"):
        return [known]
    _, mark, query = request.get_full_path().partition("?")
    paths = [quote(request.path, safe="/:@!$&'()*+,;="), quote(request.path)]
    return [path + mark + query for path in dict.fromkeys(paths)]


def mistake_at(target, request, body):
    meta = request.META
    sent_at, id = meta.get("HTTP_X_SLUICE_TIME", ""), meta.get("HTTP_X_SLUICE_ID", "")
    given = [part.strip().encode() for part in meta.get("HTTP_X_SLUICE_SIGNATURE", "").split(",")]
    if not settings.SLUICE_SECRETS:
        raise ImproperlyConfigured("SLUICE_SECRETS is empty")
    wanted = [b"v1=" + signature(secret, sent_at, id, target, body).encode() for secret in settings.SLUICE_SECRETS]
    # Each with each, in constant time: how long it takes tells nothing about the secrets.
    if not sum(hmac.compare_digest(ours, theirs) for ours in wanted for theirs in given):
        return "no signature fits: is SLUICE_SECRETS the secret of routes.yaml?"
    if abs(time.time() - int(sent_at)) > MAX_AGE:
        return f"the question is older than {MAX_AGE} seconds, or the clocks differ"


def signature(secret, sent_at, id, target, body):
    """Who does not know the secret cannot say this about a question. All texts are as they are in the request."""
    signed = "\n".join(["1", sent_at, id, "POST", target, ""]).encode("latin-1") + body
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def encoded(content):
    return base64.b64encode(content).decode() if isinstance(content, bytes) else content


def error(status, text, headers=None):
    return JsonResponse({"error": text}, status=status, headers=headers)
