"""Run with `python manage.py test`; no gateway is needed."""

from unittest import mock

import requests
from django.contrib.auth import get_user_model
from django.test import TestCase, override_settings
from rest_framework.test import APIClient

from .models import Notification


@override_settings(PUBLISH_URL="http://gateway/publish/", PUBLISH_TOKEN="the-token")
class NotificationTests(TestCase):
    def setUp(self):
        users = get_user_model().objects
        self.ann, self.bob = users.create_user("ann", password="pw"), users.create_user("bob", password="pw")
        self.client = APIClient()
        token = self.client.post("/api/token/", {"username": "ann", "password": "pw"}).json()["access"]
        self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")

    def send(self, **body):
        with mock.patch("requests.post") as post, self.captureOnCommitCallbacks(execute=True):
            answer = self.client.post("/api/notifications/", body, format="json")
        return answer, post

    def test_it_is_saved_and_published_to_its_user(self):
        answer, post = self.send(to="bob", text="hello")
        self.assertEqual(answer.status_code, 201, answer.content)
        saved = Notification.objects.get()
        self.assertEqual((saved.user, saved.text), (self.bob, "hello"))
        (url,), call = post.call_args
        self.assertEqual((url, call["headers"]), ("http://gateway/publish/", {"Authorization": "Bearer the-token"}))
        self.assertEqual(call["json"]["group"], f"user_{self.bob.pk}")
        self.assertEqual(call["json"]["event"]["notification"], answer.json())
        self.assertEqual(call["json"]["idempotency_key"], f"notification-{saved.pk}")

    def test_a_gateway_that_is_away_does_no_harm(self):
        with (
            mock.patch("requests.post", side_effect=requests.ConnectionError),
            self.assertLogs("notices.gateway", "ERROR"),
            self.captureOnCommitCallbacks(execute=True),
        ):
            answer = self.client.post("/api/notifications/", {"to": "bob", "text": "hello"}, format="json")
        self.assertEqual(answer.status_code, 201)
        self.assertEqual(Notification.objects.count(), 1)

    def test_nobody_sees_those_of_others(self):
        Notification.objects.create(user=self.bob, text="for bob")
        Notification.objects.create(user=self.ann, text="for ann")
        self.assertEqual([one["text"] for one in self.client.get("/api/notifications/").json()], ["for ann"])

    def test_what_is_wrong_is_not_published(self):
        for body in [{"to": "nobody", "text": "x"}, {"to": "bob", "text": ""}, {"to": "bob"}, {}]:
            answer, post = self.send(**body)
            self.assertEqual((answer.status_code, post.called), (400, False), body)
        self.client.credentials()
        self.assertEqual(self.send(to="bob", text="x")[0].status_code, 401)

    def test_logging_out_ends_the_sockets(self):
        with mock.patch("requests.post") as post:
            self.assertEqual(self.client.post("/api/logout/").status_code, 204)
        (url,), call = post.call_args
        self.assertEqual((url, call["json"]["user"]), ("http://gateway/publish/disconnect", str(self.ann.pk)))
