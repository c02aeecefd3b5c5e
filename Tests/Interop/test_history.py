"""Histories in memory, for clients that join later or reconnect."""

import json
import time

import pytest
import requests
import websockets.sync.client

from clients import connect, handshake, open_session, read_frame, read_head, status_of
from history import Numbered, position
from redis_stack import Session, wait_until

ROUTES = """
installed_apps: [chat, broadcast]
channel_layers: {default: {backend: memory}}
server: {threads: 2}
LIMITS
applications:
  main:
    http:
      - {path: health/ready, health: ready}
      - {path: publish/, publish: {groups: "chat_*", token: {env: PUBLISH_TOKEN}}}
    websocket:
      - {path: "ws/chat/<slug:room>/", consumer: chat, group: "chat_{room}", history: {messages: 5, seconds: 1h}}
      - {path: "ws/large/<slug:room>/", consumer: broadcast, group: "large_{room}", history: {messages: 1000}, limits: {send_queue: 64KiB}}
      - {path: "ws/short/", consumer: chat, group: short, history: {messages: 100, seconds: 1}}
      - {path: "ws/news/", consumer: broadcast, group: news, history: {messages: 5}}
      - {path: "ws/packed/", consumer: broadcast, group: news, history: {messages: 5}, compression: {threshold: 1B}}
      - {path: "ws/plain/<slug:room>/", consumer: chat, group: "plain_{room}"}
"""


TOKEN = "interop-token-0123456789"
ENV = {"PUBLISH_TOKEN": TOKEN}


def publish(gateway, room: str, message) -> dict:
    body = {"group": f"chat_{room}", "event": {"type": "chat.message", "message": message}}
    answer = requests.post(gateway.http("/publish/"), json=body, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def gateway(start):
    return start(text=ROUTES, env=ENV)


def test_who_joins_gets_what_was_and_what_comes(gateway):
    url = gateway.ws("/ws/chat/a/")
    with Session(url) as first:
        for number in range(7):
            first.say(number)
        assert first.messages(7) == list(range(7))
        # No `since`: frames as without a history.
        with Session(url) as second, Numbered(url) as third:
            assert second.messages(5) == [2, 3, 4, 5, 6]
            start = third.start()
            assert start["gap"] is False and position(start["id"])[1] == 2
            third.rest()
            assert third.messages == [2, 3, 4, 5, 6]
            assert third.frames[-1] == {"id": f"{position(start['id'])[0]}.7", "message": 6}
            second.say("live")
            assert [first.message(), second.message()] == ["live", "live"]
            assert third.hear()["message"] == "live"
    with Session(gateway.ws("/ws/chat/b/")) as other:
        assert other.silent()


def test_a_client_resumes_exactly_where_it_was(gateway):
    url = gateway.ws("/ws/chat/resume/")
    with Numbered(url) as first, Session(url) as sender:
        epoch, offset = position(first.start()["id"])
        assert offset == 0
        sender.say(1)
        first.hear()
        first.drop()
        for number in (2, 3, 4):
            sender.say(number)
        sender.messages(4)
        first.open()
        assert first.start() == {"id": f"{epoch}.1", "gap": False}
        first.rest()
        assert first.messages == [1, 2, 3, 4] and first.gaps == 0
        # No event was missed, so none arrives.
        first.drop()
        first.open()
        assert first.start() == {"id": f"{epoch}.4", "gap": False} and first.rest() == []


def test_a_client_is_told_of_what_is_lost(gateway):
    url = gateway.ws("/ws/chat/gap/")
    with Session(url) as sender:
        for number in range(1, 10):
            sender.say(number)
        sender.messages(9)
        with Numbered(url) as one:
            epoch = position(one.start()["id"])[0]
        for since, gap in [("0.0", True), (f"{epoch}.3", True), (f"{epoch}.10", True), (f"{epoch}.4", False)]:
            with Numbered(url, since) as client:
                assert client.start() == {"id": f"{epoch}.4", "gap": gap}
                client.rest()
                assert client.messages == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("since", ["1", "x.1", "1.x", "1.2.3", "-1.2", "123456789.1", "1.99999999999999999999", "a.1&since=a.1", "%31.1"])
def test_a_since_that_cannot_be_read_is_400(gateway, since):
    with connect(gateway.port) as sock:
        sock.sendall(handshake(f"/ws/chat/a/?since={since}"))
        assert read_head(sock).startswith("HTTP/1.1 400")
        assert b'"since" must be the id of a frame' in sock.recv(1000)
    # Without a history `since` has no effect.
    assert status_of(gateway.port, handshake(f"/ws/plain/a/?since={since}")) == 101


def test_what_is_too_old_is_gone(gateway):
    with Session(gateway.ws("/ws/short/")) as sender:
        sender.say("old")
        sender.message()
        time.sleep(1.2)
        with Session(gateway.ws("/ws/short/")) as late:
            assert late.silent()
        sender.say("new")
        sender.message()
        with Session(gateway.ws("/ws/short/")) as late:
            assert late.message() == "new"


def test_memory_is_bounded_and_a_loss_is_told(start):
    gateway = start(text=ROUTES, env=ENV, limits="limits: {history_memory: 1MiB}")
    with Numbered(gateway.ws("/ws/large/first/")) as first:
        first.start()
        first.socket.send("kept until others need the room")
        first.hear()
        first.drop()
        with Numbered(gateway.ws("/ws/large/second/")) as second:
            second.start()
            for _ in range(100):
                second.socket.send("x" * 20_000)
                second.hear()
        first.last = position(first.last)[0] + ".0"
        first.open()
        assert first.start()["gap"] is True


def test_a_replay_waits_for_a_reader_that_takes_its_time(gateway):
    """20 MB for a client whose queue may hold 64 KiB: it gets events as it reads, nothing is lost, and it is not closed."""
    url = gateway.ws("/ws/large/slow/")
    with Session(url) as sender:
        for number in range(1000):
            sender.socket.send(f"{number} " + "x" * 20_000)
            sender.socket.recv(timeout=20)
        slow = open_session(gateway.port, "/ws/large/slow/?since=")
        before = gateway.resident_kib
        time.sleep(1)
        assert gateway.resident_kib - before < 8_000
        for number in range(1000, 1010):
            sender.socket.send(f"{number} -")
            sender.socket.recv(timeout=20)
        heard, gaps, offset = [], 0, None
        while not heard or heard[-1] != 1009:
            opcode, payload = read_frame(slow)
            assert opcode == 1, payload
            frame = json.loads(payload)
            if "history" in frame:
                gaps += frame["history"]["gap"]
                offset = position(frame["history"]["id"])[1]
                continue
            offset += 1
            assert position(frame["id"])[1] == offset
            heard.append(int(frame["text"].split()[0]))
        # Ten events came meanwhile, and the ten oldest were removed. The client had these, or was told of the gap.
        assert len(set(heard)) == len(heard) and heard == sorted(heard)
        assert len(heard) == 1010 or gaps == 1
        slow.close()


def test_broadcasts_are_numbered_as_text_or_base64(gateway):
    with Numbered(gateway.ws("/ws/news/")) as one, Session(gateway.ws("/ws/news/")) as plain:
        epoch = position(one.start()["id"])[0]
        one.socket.send("not JSON")
        one.socket.send(b"\x00\xff")
        assert one.hear() == {"id": f"{epoch}.1", "text": "not JSON"}
        assert one.hear() == {"id": f"{epoch}.2", "bytes": "AP8="}
        assert [plain.socket.recv(), plain.socket.recv()] == ["not JSON", b"\x00\xff"]


def test_compressed_sessions_see_the_same(gateway):
    packed = lambda since: websockets.sync.client.connect(gateway.ws("/ws/packed/") + since, proxy=None)
    with Session(gateway.ws("/ws/news/")) as sender:
        sender.socket.send("kept " * 10)
        with packed("") as plain, packed("?since=") as numbered:
            assert plain.recv(timeout=20) == "kept " * 10
            start = json.loads(numbered.recv(timeout=20))["history"]
            assert json.loads(numbered.recv(timeout=20))["text"] == "kept " * 10
            sender.socket.send("live " * 10)
            assert plain.recv(timeout=20) == "live " * 10
            epoch = position(start["id"])[0]
            assert json.loads(numbered.recv(timeout=20)) == {"id": f"{epoch}.2", "text": "live " * 10}


def test_two_reactors_give_everybody_the_same_order(gateway):
    url = gateway.ws("/ws/large/order/")
    clients = [Numbered(url) for _ in range(8)]
    for client in clients:
        client.start()
    for number in range(400):
        clients[number % 8].socket.send(str(number))
    texts = []
    for client in clients:
        while len(client.messages) < 400:
            client.hear()
        texts.append([frame["text"] for frame in client.messages])
        assert [position(frame["id"])[1] for frame in client.messages] == list(range(1, 401))
    assert all(text == texts[0] for text in texts)
    for client in clients:
        client.socket.close()


def test_what_is_ephemeral_is_delivered_and_not_kept(gateway):
    url = gateway.ws("/ws/chat/typing/")
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    with Numbered(url) as numbered, Session(url) as plain:
        numbered.start()
        first = publish(gateway, "typing", "kept")["published"][0]["id"]
        for body in [{"message": "typing", "ephemeral": True}, {"event": {"type": "chat.message", "message": "typing"}, "ephemeral": True}]:
            answer = requests.post(gateway.http("/publish/"), json={"group": "chat_typing", **body}, headers=bearer, timeout=20)
            assert answer.json() == {"published": [{"group": "chat_typing", "sessions": 2, "id": None}]}
        publish(gateway, "typing", "kept, too")
        assert plain.messages(4) == ["kept", "typing", "typing", "kept, too"]
        # It has no position, so a client that resumes misses nothing and gets nothing twice.
        assert [numbered.hear().get("message") for _ in range(4)] == ["kept", "typing", "typing", "kept, too"]
        assert [frame.get("id") is None for frame in numbered.frames[-3:]] == [True, True, False]
    with Numbered(url, first) as again:
        again.start()
        assert again.hear()["message"] == "kept, too"


def test_what_is_published_while_nobody_is_there_is_kept(gateway):
    found = publish(gateway, "quiet", "for later")
    with Numbered(gateway.ws("/ws/chat/quiet/")) as client:
        epoch = position(client.start()["id"])[0]
        assert client.hear() == {"id": f"{epoch}.1", "message": "for later"}
        assert f"{epoch}.1" in json.dumps(found)
        assert f"{epoch}.2" in json.dumps(publish(gateway, "quiet", "now"))
        assert client.hear() == {"id": f"{epoch}.2", "message": "now"}
