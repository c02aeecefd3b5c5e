"""Clients that send faster than they may, and go away."""

import os

import requests

from clients import frame, open_session, read_frame
from redis_stack import wait_until
from tokens import simple_jwt

KEY = "a signing key of more than thirty-two bytes"

ROUTES = """
installed_apps: [echo]
limits: {ping: 2s}
applications:
  main:
    websocket:
      - {path: ws/, consumer: echo, limits: {rate: 1/h}}
"""


def test_whoever_has_sent_too_much_and_is_gone_keeps_no_place(start):
    gateway = start(text=ROUTES)

    def descriptors() -> int:
        return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))

    # Its threads have what they need then.
    wait_until(lambda: any("started" in line for line in gateway.log))
    before = descriptors()
    for _ in range(20):
        sock = open_session(gateway.port, "/ws/")
        sock.sendall(frame(1, b"one") + frame(1, b"two") + frame(8, b"\x03\xe8"))
        assert read_frame(sock) == (1, b"one")
        sock.close()
    wait_until(lambda: descriptors() <= before + 1, 20)


USERS = """
installed_apps: [chat]
channel_layers: {default: {backend: memory}}
limits: {per_user: {messages: 2/h burst 3}}
auth: {users: {jwt: {secret: {env: SIGNING_KEY}}}}
applications:
  main:
    http:
      - {path: api/, auth: users, publish: {groups: ["room_*"]}}
      - {path: all/, publish: {groups: ["room_*"], token: {env: PUBLISH_TOKEN}}}
"""


def publish(gateway, token: str, count: int, key: str | None = None, path: str = "/api/") -> requests.Response:
    event = {"group": "room_a", "message": "hi"}
    headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
    body = {"batch": [event] * count} if count > 1 else event
    return requests.post(gateway.http(path), json=body, headers=headers, timeout=20)


def test_what_a_user_publishes_is_counted_by_events_and_what_is_repeated_is_not(start):
    gateway = start(text=USERS, env={"SIGNING_KEY": KEY, "PUBLISH_TOKEN": "a-token-for-tests"})
    ann, bob = simple_jwt(KEY, "ann"), simple_jwt(KEY, "bob")
    # More than the burst never go through, and cost nothing.
    for key in [None, "k"]:
        answer = publish(gateway, ann, 4, key)
        assert (answer.status_code, answer.json()) == (413, {"error": "too many messages in one request: at most 3"})
    first = publish(gateway, ann, 2, "k")
    assert first.status_code == 200 and len(first.json()["published"]) == 2
    # Two are paid for, so two more are one too many, whatever their key, and one more is not.
    for key in [None, "other"]:
        answer = publish(gateway, ann, 2, key)
        assert answer.status_code == 429
        wait = int(answer.headers["Retry-After"])
        assert 1700 < wait <= 1800
        assert answer.json() == {"error": f"too many messages: send them again in {wait} s"}
    assert publish(gateway, ann, 1, "other").status_code == 200
    assert publish(gateway, ann, 1).status_code == 429
    for _ in range(3):
        again = publish(gateway, ann, 2, "k")
        assert (again.status_code, again.json()) == (200, first.json())
        assert again.headers["Idempotent-Replayed"] == "true"
    # Other users have their own credit, and programs are not counted.
    assert publish(gateway, bob, 3).status_code == 200
    assert publish(gateway, "a-token-for-tests", 100, path="/all/").status_code == 200
