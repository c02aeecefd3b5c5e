"""Run with `python manage.py test`; no gateway is needed: the tests sign their questions as it does."""

import datetime
import json
import time
import uuid
from unittest import mock
from urllib.parse import quote

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import Client, RequestFactory, TestCase, override_settings
from django.utils import timezone

from .models import Answer, Message, Present, Room
from .sockets import Socket, SocketView, signature
from .views import ChatSocket

SECRET = "a secret of the tests, as long as one"


class Gateway:
    """Asks like Sluice: `gateway.receive({"text": "hello"})` is the answer to a message of one session."""

    def __init__(self, path, user=None, secret=SECRET, client=None):
        self.path, self.secret, self.count, self.state, self.messages = path, secret, 0, None, 0
        # CSRF is checked, as in production.
        self.client = client or Client(enforce_csrf_checks=True)
        self.session = {"address": "specific.test!1", "user": None if user is None else str(user.pk), "claims": None, "groups": []}

    def ask(self, event, id=None, age=0, change=lambda headers: None, **members):
        self.count += 1
        question = {
            "version": 1, "event": event, "id": id or f"{uuid.uuid4().hex}-{self.count}", "attempt": 1, "time": time.time(),
            "route": "test", **self.session, "path": self.path, "query": "", "captures": {}, "state": self.state, **members,
        }  # fmt: skip
        body, sent_at = json.dumps(question).encode(), str(int(time.time() - age))
        headers = {
            "X-Sluice-Version": "1", "X-Sluice-Id": question["id"], "X-Sluice-Time": sent_at,
            "X-Sluice-Signature": "v1=" + signature(self.secret, sent_at, question["id"], self.path, body),
        }  # fmt: skip
        body = change(headers) or body
        answer = self.client.post(self.path, body, content_type="application/json", headers=headers)
        if answer.status_code == 200:
            self.state = json.loads(answer.content).get("state", self.state)
        return answer

    def connect(self, **members):
        return self.ask("connect", **{"subprotocols": [], "client": "127.0.0.1"} | members)

    def receive(self, *contents, **members):
        messages = []
        for content in contents:
            self.messages += 1
            messages.append({"n": self.messages, "text": content if isinstance(content, str) else json.dumps(content)})
        return self.ask("receive", messages=messages, **members)

    def disconnect(self, **members):
        return self.ask("disconnect", **{"code": 1001, "reason": "", "duration": 2.5} | members)


@override_settings(SLUICE_SECRETS=[SECRET])
class SocketTestCase(TestCase):
    def setUp(self):
        self.ann = get_user_model().objects.create_user("ann")
        self.room = Room.objects.create(slug="lobby")

    def gateway(self, **options):
        return Gateway("/ws/rooms/lobby/", self.ann, **options)


class ChatTests(SocketTestCase):
    def test_who_comes_hears_what_was_said_and_all_hear_who_is_there(self):
        message = Message.objects.create(room=self.room, user=self.ann, text="before")
        hello, here = self.gateway().connect().json()["do"]
        frame = {"id": message.pk, "user": "ann", "text": "before"}
        self.assertEqual(hello, {"send": {"json": {"type": "hello", "messages": [frame]}}})
        self.assertEqual(here, {"publish": {"group": "room_lobby", "event": {"type": "chat.here", "names": ["ann"], "change": 1}}})

    def test_a_message_is_saved_and_published(self):
        answer = self.gateway().receive({"text": "hello"}).json()
        saved = Message.objects.get()
        self.assertEqual((saved.user, saved.text), (self.ann, "hello"))
        event = {"type": "chat.message", "message": {"id": saved.pk, "user": "ann", "text": "hello"}}
        self.assertEqual(answer, {"do": [{"publish": {"group": "room_lobby", "event": event}}]})

    def test_a_bad_message_is_answered_with_an_error(self):
        # Half of a surrogate pair, a number that is none, and a list in a list in a list ...
        ODD = [r'{"text": "\ud800"}', '{"text": NaN}', "[" * 100_000, {"text": "a\0b"}]
        for content in ["{", "[]", "1", {}, {"text": ""}, {"text": 5}, {"text": "x" * 501}, *ODD]:
            (action,) = self.gateway().receive(content).json()["do"]
            self.assertEqual(list(action["send"]["json"]), ["error"], content)
        self.assertFalse(Message.objects.exists())

    def test_a_room_that_is_not_there(self):
        self.assertEqual(Gateway("/ws/rooms/cellar/", self.ann).connect().status_code, 404)

    def test_a_row_for_each_socket(self):
        one, two = self.gateway(), self.gateway()
        two.session["address"] = "specific.test!2"
        one.connect(), two.connect()
        self.assertEqual(self.room.present.count(), 2)
        (left,) = one.disconnect().json()["do"]
        self.assertEqual(left["publish"]["event"]["names"], ["ann"])
        # A disconnect may come twice.
        one.disconnect()
        (left,) = two.disconnect().json()["do"]
        self.assertEqual(left["publish"]["event"]["names"], [])

    def test_rows_that_nobody_speaks_of_expire(self):
        now = timezone.now()
        for number, minutes in enumerate([0, 4, 4]):
            seen = now - datetime.timedelta(minutes=minutes)
            Present.objects.create(address=f"specific.test!{number}", room=self.room, user=self.ann, seen=seen)
        alive = {"addresses": ["specific.test!1"], "part": 1, "parts": 1, "interval": 60}
        self.assertEqual(self.gateway().ask("alive", **alive).status_code, 204)
        self.assertEqual(set(Present.objects.values_list("address", flat=True)), {"specific.test!0", "specific.test!1"})

    def test_who_is_not_known_any_more_is_told_so(self):
        gateway = self.gateway()
        closed = {"do": [{"send": {"json": {"error": "this room is closed to you"}}}]}
        self.room.delete()
        self.assertEqual(gateway.receive({"text": "hello"}).json(), closed)
        Room.objects.create(slug="lobby")
        get_user_model().objects.filter(pk=self.ann.pk).delete()
        self.assertEqual(gateway.receive({"text": "hello"}).json(), closed)
        with self.assertLogs("django.request", "WARNING"):
            self.assertEqual(self.gateway().connect().status_code, 403)

    def test_a_session_whose_room_is_gone_can_end(self):
        gateway = self.gateway()
        gateway.connect()
        self.room.delete()
        self.assertEqual(gateway.disconnect().status_code, 204)

    def test_older_messages_with_rest_framework(self):
        for number in range(5):
            Message.objects.create(room=self.room, user=self.ann, text=str(number))
        gateway = Gateway("/ws/rooms/lobby/history/", self.ann)
        last = Message.objects.first().pk
        (action,) = gateway.receive({"before": last, "limit": 2}).json()["do"]
        self.assertEqual([message["text"] for message in action["send"]["json"]["messages"]], ["2", "3"])
        (action,) = gateway.receive({"before": 0}).json()["do"]
        self.assertEqual(list(action["send"]["json"]["errors"]), ["before"])
        gateway.secret += "x"
        self.assertEqual(gateway.receive({"before": last}).status_code, 401)

    def test_the_check_of_validate(self):
        self.assertEqual(self.gateway().ask("check").status_code, 204)
        self.assertFalse(Answer.objects.exists())


class TrustTests(SocketTestCase):
    def refused(self, answer):
        self.assertEqual(answer.status_code, 401, answer.content)
        self.assertFalse(Message.objects.exists() or Answer.objects.exists())
        return answer.json()["error"]

    def test_the_signature_as_any_program_computes_it(self):
        # printf '1\n1764000000\n00ff-1\nPOST\n/ws/a/?x=%%20\n{}' | openssl dgst -sha256 -hmac secret
        known = "4bb4fa43d613ad74af8776790fa7486de668c016b629bd39c3190866078b8a5b"
        self.assertEqual(signature("secret", "1764000000", "00ff-1", "/ws/a/?x=%20", b"{}"), known)

    def test_nobody_else_can_ask(self):
        def without(headers):
            del headers["X-Sluice-Signature"]

        def changed(name, value):
            return lambda headers: headers.update({name: value})

        forgeries = {
            "no signature": without,
            "an empty one": changed("X-Sluice-Signature", ""),
            "another version": lambda headers: headers.update({"X-Sluice-Signature": headers["X-Sluice-Signature"].replace("v1", "v2")}),
            "no hexadecimal digits": changed("X-Sluice-Signature", "v1=\xe9\xff"),
            "many": changed("X-Sluice-Signature", ",".join(["v1=00"] * 100)),
            "another time": lambda headers: headers.update({"X-Sluice-Time": str(int(headers["X-Sluice-Time"]) + 1)}),
            "no time": changed("X-Sluice-Time", ""),
            "no number": changed("X-Sluice-Time", "\xb2"),
            "another id": changed("X-Sluice-Id", "0123456789abcdef-9"),
            "another body": lambda headers: b'{"event": "receive", "id": "1", "messages": []}',
            "half a body": lambda headers: b'{"version": 1, "event": "rec',
            "no body": lambda headers: b" ",
        }
        for name, change in forgeries.items():
            with self.subTest(name):
                self.assertIn("no signature fits", self.refused(self.gateway().receive({"text": "hello"}, change=change)))
        self.refused(self.gateway(secret="another secret").receive({"text": "hello"}))

    def test_a_signature_is_for_one_url(self):
        Room.objects.create(slug="office")
        gateway = self.gateway()
        with mock.patch.object(gateway.client, "post", lambda path, *rest, **options: Client().post("/ws/rooms/office/", *rest, **options)):
            self.refused(gateway.receive({"text": "hello"}))

    def test_the_target_is_what_the_server_has_received(self):
        """Django decodes the path, and `%2C` is `,` afterwards. The signature is about what was sent."""
        body, now = b'{"event": "check", "id": "1"}', str(int(time.time()))
        for name in ["RAW_URI", "REQUEST_URI"]:
            target = "/ws/rooms/a%2Cb/?x=%7E"
            request = RequestFactory().post("/ws/rooms/a,b/?x=~", body, "application/json", **{name: target})
            request.META |= {"HTTP_X_SLUICE_TIME": now, "HTTP_X_SLUICE_ID": "1"}
            request.META["HTTP_X_SLUICE_SIGNATURE"] = "v1=" + signature(SECRET, now, "1", target, body)
            self.assertEqual(SocketView.as_view()(request).status_code, 204)

    def test_a_server_that_tells_only_the_decoded_path(self):
        """As `manage.py runserver` does. Sluice encodes what it has captured, and leaves the rest of `url` as it is written."""
        body, now = b'{"event": "check", "id": "1"}', str(int(time.time()))
        for name in [*":@~!*()',;=&+$", "ann@example.org", "a b", "\xe4", "100%", "what?", "#1"]:
            for target in [f"/ws/rooms/{quote(name, safe='')}/", f"/ws/rooms/{quote(name, safe='')}/?key=%40:@", "/ws/@:~!*()',=&+$/"]:
                request = RequestFactory().post(target, body, "application/json")
                request.META |= {"HTTP_X_SLUICE_TIME": now, "HTTP_X_SLUICE_ID": "1"}
                request.META["HTTP_X_SLUICE_SIGNATURE"] = "v1=" + signature(SECRET, now, "1", target, body)
                self.assertEqual(SocketView.as_view()(request).status_code, 204, target)
                request.META["HTTP_X_SLUICE_SIGNATURE"] = "v1=" + signature(SECRET, now, "1", target + "x", body)
                self.assertEqual(SocketView.as_view()(request).status_code, 401, target)

    def test_an_old_question(self):
        self.assertEqual(self.gateway().receive({"text": "a"}, age=50).status_code, 200)
        Message.objects.all().delete(), Answer.objects.all().delete()
        for age in [70, -70]:
            self.assertIn("60 seconds", self.refused(self.gateway().receive({"text": "hello"}, age=age)))

    def test_a_secret_that_is_changed(self):
        with override_settings(SLUICE_SECRETS=["new", "old"]):
            for secret in ["old", "new"]:
                self.assertEqual(self.gateway(secret=secret).receive({"text": "hello"}).status_code, 200)
            self.assertEqual(self.gateway(secret="older").receive({"text": "hello"}).status_code, 401)

            # A gateway with two secrets signs with both.
            def twice(headers):
                headers["X-Sluice-Signature"] = "v1=00, " + headers["X-Sluice-Signature"]

            self.assertEqual(self.gateway(secret="old").receive({"text": "hello"}, change=twice).status_code, 200)

    def test_no_secret_is_a_mistake_and_not_an_open_door(self):
        with override_settings(SLUICE_SECRETS=[]), self.assertRaises(ImproperlyConfigured):
            self.gateway().receive({"text": "hello"})

    def test_the_secrets_are_a_list(self):
        for wrong in [SECRET, SECRET.encode(), None]:
            with override_settings(SLUICE_SECRETS=wrong), self.assertRaisesMessage(ImproperlyConfigured, "SLUICE_SECRETS has to be a list"):
                self.gateway().receive({"text": "hello"})

    def test_only_post(self):
        for method in ["get", "put", "delete", "options"]:
            answer = getattr(self.client, method)("/ws/rooms/lobby/")
            self.assertNotIn(answer.status_code, {204, 401, 500}, method)
            self.assertFalse(Present.objects.exists())

    @override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=1000)
    def test_a_question_that_is_too_large(self):
        answer = self.gateway().receive("x" * 1000)
        self.assertEqual(answer.status_code, 413)
        self.assertIn("DATA_UPLOAD_MAX_MEMORY_SIZE", answer.json()["error"])


class RepeatTests(SocketTestCase):
    def test_the_same_question_gets_the_first_answer(self):
        gateway = self.gateway()
        first = gateway.receive({"text": "hello"}, id="0123-1")
        again = gateway.receive({"text": "hello"}, id="0123-1", attempt=2)
        self.assertEqual((again.status_code, again.content), (200, first.content))
        self.assertEqual(Message.objects.count(), 1)
        gateway.receive({"text": "hello"}, id="0123-2")
        self.assertEqual(Message.objects.count(), 2)

    def test_a_refusal_is_not_kept_because_nothing_was_done(self):
        gateway = Gateway("/ws/rooms/later/", self.ann)
        self.assertEqual(gateway.connect(id="0123-1").status_code, 404)
        Room.objects.create(slug="later")
        self.assertEqual(gateway.connect(id="0123-1").status_code, 200)

    def test_a_response_is_kept_as_it_is(self):
        full = HttpResponse("<p>full</p>", status=403, headers={"Retry-After": "5"})
        with mock.patch.object(ChatSocket, "connect", return_value=full) as connect, self.assertLogs("django.request", "WARNING"):
            first, again = (self.gateway().connect(id="0123-1") for _ in range(2))
        self.assertEqual(connect.call_count, 1)
        for answer in [first, again]:
            self.assertEqual((answer.status_code, answer.content), (403, b"<p>full</p>"))
            self.assertEqual((answer["Content-Type"], answer["Retry-After"]), ("text/html; charset=utf-8", "5"))

    def test_a_view_that_has_failed_leaves_nothing_behind(self):
        gateway = self.gateway(client=Client(raise_request_exception=False))
        with mock.patch.object(Socket, "publish", side_effect=RuntimeError), self.assertLogs("django.request", "ERROR"):
            self.assertEqual(gateway.receive({"text": "hello"}, id="0123-1").status_code, 500)
        self.assertFalse(Message.objects.exists() or Answer.objects.exists())
        self.assertEqual(gateway.receive({"text": "hello"}, id="0123-1").status_code, 200)
        self.assertEqual(Message.objects.count(), 1)

    def test_answers_are_forgotten_after_a_day(self):
        gateway = self.gateway()
        gateway.receive({"text": "old"})
        Answer.objects.update(created=timezone.now() - 2 * Answer.KEPT)
        with mock.patch("random.random", return_value=0):
            gateway.receive({"text": "new"})
        self.assertEqual(Answer.objects.count(), 1)


class AnswerTests(SocketTestCase):
    """What a view says, as it goes over the wire."""

    def said(self, handler, event="receive", **attributes):
        socket = type("AnySocket", (SocketView,), {event: handler, "unsigned": True, "once": False, **attributes})
        gateway = self.gateway(client=mock.Mock())
        gateway.client.post = lambda *rest, **options: socket.as_view()(RequestFactory().post(*rest, **options))
        gateway.state = self.state
        if event == "receive":
            answer = gateway.ask("receive", messages=[{"n": 1, "text": "1"}, {"n": 2, "bytes": "AP8="}])
        else:
            answer = getattr(gateway, event)()
        return json.loads(answer.content) if answer.content else answer.status_code

    state = None

    def test_nothing_to_say(self):
        self.assertEqual(self.said(lambda socket: None, "connect"), 204)

    def test_everything_that_can_be_said(self):
        def connect(socket):
            socket.accept(subprotocol="v1", user=5, claims={"name": "ann"})
            socket.publish("room", {"type": "came"}, to="others", ephemeral=True)
            socket.publish("room", message={"x": 1})
            socket.publish("room", text="t", to={"user": "5"})
            socket.publish("room", bytes=b"\x00\xff")
            socket.join("room")
            socket.send({"when": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)})
            socket.send("text")
            socket.send(b"\x00\xff")
            socket.leave("room")
            socket.state = {"n": 1}
            socket.close(4000, "enough")

        said = self.said(connect, "connect")
        self.assertEqual({name: said[name] for name in ["subprotocol", "user", "claims", "state"]},
                         {"subprotocol": "v1", "user": 5, "claims": {"name": "ann"}, "state": {"n": 1}})  # fmt: skip
        self.assertEqual(said["do"], [
            {"publish": {"group": "room", "event": {"type": "came"}, "to": "others", "ephemeral": True}},
            {"publish": {"group": "room", "message": {"x": 1}}},
            {"publish": {"group": "room", "text": "t", "to": {"user": "5"}}},
            {"publish": {"group": "room", "bytes": "AP8="}},
            {"join": "room"},
            {"send": {"json": {"when": "2026-01-02T00:00:00Z"}}},
            {"send": {"text": "text"}},
            {"send": {"bytes": "AP8="}},
            {"leave": "room"},
            {"close": {"code": 4000, "reason": "enough"}},
        ])  # fmt: skip

    def test_messages_are_text_or_bytes(self):
        def receive(socket, message):
            socket.send({"n": message.n, "text": message.text, "bytes": message.bytes and list(message.bytes)})

        self.assertEqual([action["send"]["json"] for action in self.said(receive)["do"]],
                         [{"n": 1, "text": "1", "bytes": None}, {"n": 2, "text": None, "bytes": [0, 255]}])  # fmt: skip

    def test_what_would_be_lost_is_a_mistake(self):
        for said in [{"text": "hello"}, "hello", HttpResponse(status=403), 1]:
            with self.subTest(said), self.assertRaisesMessage(TypeError, "receive returns nothing: use self.send"):
                self.said(lambda socket, message, said=said: said)
        for event in ["connect", "disconnect"]:
            for said in [{"text": "hello"}, "hello", 1, True]:
                with self.subTest(said), self.assertRaisesMessage(TypeError, f"{event} returns nothing"):
                    self.said(lambda socket, said=said: said, event)

    def test_who_the_client_is_may_be_said_with_a_user(self):
        for user, name in [(self.ann, self.ann.pk), (self.ann.pk, self.ann.pk), ("ann", "ann")]:
            self.assertEqual(self.said(lambda socket, user=user: socket.accept(user=user), "connect"), {"user": name})
        said = self.said(lambda socket: socket.accept(user=self.ann), "connect", user_field="username")
        self.assertEqual(said, {"user": "ann"})
        for nobody in [AnonymousUser(), {"id": 5}]:
            with self.assertRaisesMessage(TypeError, "user is a user who is saved"):
                self.said(lambda socket, nobody=nobody: socket.accept(user=nobody), "connect")

    def test_a_part_of_the_messages(self):
        self.assertEqual(self.said(lambda socket: 1, receive_all=lambda socket: 1), {"taken": 1})

    def test_state_is_sent_if_it_has_changed(self):
        def count(socket):
            socket.state = socket.state or {"n": 0}
            socket.state["n"] += 1

        self.assertEqual(self.said(count, "connect"), {"state": {"n": 1}})
        self.state = {"n": 1}
        self.assertEqual(self.said(count, "connect"), {"state": {"n": 2}})
        self.assertEqual(self.said(lambda socket: None, "connect"), 204)

    def test_the_user_is_looked_up(self):
        def connect(socket):
            socket.send({"user": socket.user.get_username(), "known": socket.user.is_authenticated})

        self.assertEqual(self.said(connect, "connect")["do"], [{"send": {"json": {"user": "ann", "known": True}}}])
        self.ann.is_active = False
        self.ann.save()
        self.assertEqual(self.said(connect, "connect")["do"], [{"send": {"json": {"user": "", "known": False}}}])
