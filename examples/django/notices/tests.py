"""Run with `python manage.py test`; no Redis is needed."""

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.contrib.auth import get_user_model
from django.test import TestCase, override_settings
from rest_framework.test import APIClient

from .models import Notice

MEMORY = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}


@override_settings(CHANNEL_LAYERS=MEMORY)
class NoticeTests(TestCase):
    def setUp(self):
        self.client = APIClient()
        self.client.force_authenticate(get_user_model().objects.create_user("ann"))
        self.layer = get_channel_layer()
        self.channel = async_to_sync(self.layer.new_channel)()
        async_to_sync(self.layer.group_add)("chat_lobby", self.channel)

    def post(self, **notice):
        with self.captureOnCommitCallbacks(execute=True):
            return self.client.post("/api/notices/", notice)

    def queued(self):
        queue = self.layer.channels.get(self.channel)
        return 0 if queue is None else queue.qsize()

    def test_a_notice_is_saved_and_pushed(self):
        response = self.post(room="lobby", text="doors open at 8")
        self.assertEqual(response.status_code, 201, response.content)
        self.assertEqual(Notice.objects.get().text, "doors open at 8")
        event = async_to_sync(self.layer.receive)(self.channel)
        self.assertEqual(event, {"type": "chat.message", "message": "doors open at 8"})

    def test_other_rooms_do_not_hear_it(self):
        self.assertEqual(self.post(room="kitchen", text="soup").status_code, 201)
        self.assertEqual(self.queued(), 0)

    def test_a_room_that_cannot_be_a_group_is_refused(self):
        for room in ["", "a b", "é", "lobby\n!", "x" * 81]:
            self.assertEqual(self.post(room=room, text="x").status_code, 400, room)
        self.assertEqual((Notice.objects.count(), self.queued()), (0, 0))

    def test_nothing_is_pushed_when_the_transaction_fails(self):
        with self.captureOnCommitCallbacks() as callbacks:
            self.client.post("/api/notices/", {"room": "lobby", "text": "lost"})
        self.assertEqual(len(callbacks), 1)
        self.assertEqual(self.queued(), 0)

    def test_writing_needs_a_user(self):
        self.client.force_authenticate(None)
        self.assertEqual(self.post(room="lobby", text="x").status_code, 401)
        self.assertEqual(self.client.get("/api/notices/").status_code, 200)

    def test_the_pages(self):
        Notice.objects.create(room="lobby", text="</textarea><b>")
        self.assertContains(self.client.get("/chat/"), "room-name-input")
        page = self.client.get("/chat/lobby/")
        self.assertContains(page, '<script id="room-name" type="application/json">"lobby"</script>')
        self.assertContains(page, "&lt;/textarea&gt;")
        self.assertEqual(self.client.get("/chat/lob-by/").status_code, 404)
