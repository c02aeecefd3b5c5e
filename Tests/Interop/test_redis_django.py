"""Django to Django: shows that the two servers beside the gateway work, so that a failure elsewhere is the gateway's."""

import json
import subprocess
import sys

import pytest
import requests

from redis_stack import EXAMPLE, MATRIX


@pytest.mark.parametrize("alias", MATRIX)
def test_a_view_reaches_a_consumer(django, daphne, alias):
    with daphne.session("harness", alias) as session:
        django.push("harness", {"text": "é😀", "list": [1, None, True, 1.5]}, alias)
        assert session.message() == {"text": "é😀", "list": [1, None, True, 1.5]}
        session.say("back")
        assert session.message() == "back"


def test_the_example_saves_and_pushes(django, daphne):
    with daphne.session("lobby") as session:
        answer = requests.post(django.http("/api/notices/"), json={"room": "lobby", "text": "doors open"}, timeout=20)
        assert answer.status_code == 201, answer.text
        assert session.message() == "doors open"
    assert json.loads(requests.get(django.http("/api/notices/"), timeout=20).text)[0]["text"] == "doors open"


def test_the_examples_own_tests(django):
    done = subprocess.run(
        [sys.executable, "manage.py", "test"], cwd=EXAMPLE, capture_output=True, text=True, timeout=120,
        env={**django.env, "DJANGO_SETTINGS_MODULE": "config.settings"},
    )
    assert done.returncode == 0, done.stderr
