"""Sessions with several groups: those of the route, and those that the client subscribes to."""

import json
import signal

import pytest
from websockets.sync.client import connect

ROUTES = """
installed_apps: [chat, broadcast]
channel_layers: {default: LAYER}
applications:
  main:
    websocket:
      - path: ws/room/<slug:room>/
        consumer: chat
        group: ["chat_{room}", "announcements"]
        subscribe: ["ticker_*", "{room}_only", "announcements"]
      - {path: "ws/ticker/<slug:name>/", consumer: broadcast, group: "ticker_{name}"}
      - {path: "ws/only/<slug:name>/", consumer: broadcast, group: "{name}_only"}
      - {path: ws/announce/, consumer: broadcast, group: announcements}
      - path: ws/feed/<slug:name>/
        consumer: broadcast
        group: ["ticker_{name}", announcements]
        envelope: true
        events: {price: {pair: "{sluice.group}", at: "{at}"}}
"""


@pytest.fixture(params=["memory", "redis", "redis_pubsub"])
def gateway(request, start):
    layer = "{backend: memory}"
    if request.param != "memory":
        redis = request.getfixturevalue("redis")
        layer = f"{{backend: {request.param}, config: {{hosts: ['redis://127.0.0.1:{redis.port}']}}}}"
    return start(text=ROUTES.replace("LAYER", layer))


def say(session, **message) -> dict:
    session.send(json.dumps(message))
    return json.loads(session.recv(timeout=20))


def test_a_session_hears_all_groups_of_its_route(gateway):
    with connect(gateway.ws("/ws/room/a/")) as client, connect(gateway.ws("/ws/announce/")) as announcer:
        announcer.send('{"from": "above"}')
        assert client.recv(timeout=20) == '{"from": "above"}'
        # Its messages go to the first group only.
        assert say(client, message="hello") == {"message": "hello"}
        announcer.send("second")
        assert [announcer.recv(timeout=20) for _ in range(2)] == ['{"from": "above"}', "second"]


def test_a_frame_says_which_group_it_came_from(gateway):
    with connect(gateway.ws("/ws/feed/eur/")) as client, connect(gateway.ws("/ws/announce/")) as announcer:
        announcer.send("closed on Monday")
        assert json.loads(client.recv(timeout=20)) == {"group": "announcements", "text": "closed on Monday"}
        announcer.send(b"\x01\x02")
        assert json.loads(client.recv(timeout=20)) == {"group": "announcements", "bytes": "AQI="}
        client.send("1.08")
        assert json.loads(client.recv(timeout=20)) == {"group": "ticker_eur", "text": "1.08"}


def test_a_client_asks_for_further_groups(gateway):
    with connect(gateway.ws("/ws/room/a/")) as client, connect(gateway.ws("/ws/ticker/eur/")) as ticker:
        assert say(client, subscribe="ticker_eur") == {"subscribed": "ticker_eur"}
        assert say(client, subscribe="ticker_eur") == {"subscribed": "ticker_eur"}
        ticker.send("1.08")
        assert client.recv(timeout=20) == "1.08"
        assert say(client, unsubscribe="ticker_eur") == {"unsubscribed": "ticker_eur"}
        ticker.send("1.09")
        assert ticker.recv(timeout=20) == "1.08"
        assert ticker.recv(timeout=20) == "1.09"
        # If the event had arrived, it would come before the answer.
        assert say(client, message="still here") == {"message": "still here"}


def test_patterns_say_which(gateway):
    with connect(gateway.ws("/ws/room/a/")) as client:
        assert say(client, subscribe="a_only") == {"subscribed": "a_only"}
        for group in ["b_only", "chat_b", "sluice.control", "ticker_ ", "", "x" * 200]:
            assert "not one of the groups" in say(client, subscribe=group)["error"], group
        assert "cannot be left" in say(client, unsubscribe="announcements")["error"]
        assert say(client, unsubscribe="never_asked_for") == {"unsubscribed": "never_asked_for"}


def test_what_only_looks_like_it_is_a_message(gateway):
    with connect(gateway.ws("/ws/room/a/")) as client:
        assert "error" in say(client, subscribe=5)
        assert "error" in say(client, subscribe="ticker_eur", more=True)
        assert say(client, message={"subscribe": "ticker_eur"}) == {"message": {"subscribe": "ticker_eur"}}


def test_subscriptions_are_bounded(gateway):
    with connect(gateway.ws("/ws/room/a/")) as client:
        for number in range(256):
            client.send(json.dumps({"subscribe": f"ticker_{number}"}))
        answers = [json.loads(client.recv(timeout=20)) for _ in range(256)]
        assert sorted(answer["subscribed"] for answer in answers) == sorted(f"ticker_{n}" for n in range(256))
        assert "at most 256" in say(client, subscribe="ticker_more")["error"]
        assert say(client, unsubscribe="ticker_0") == {"unsubscribed": "ticker_0"}
        assert say(client, subscribe="ticker_more") == {"subscribed": "ticker_more"}


def test_a_route_without_patterns_has_no_control_messages(gateway):
    with connect(gateway.ws("/ws/ticker/eur/")) as client:
        client.send('{"subscribe": "ticker_usd"}')
        assert client.recv(timeout=20) == '{"subscribe": "ticker_usd"}'


def test_leaving_ends_every_membership(gateway):
    """Sessions that come and go with many groups leave nothing that a later session would receive."""
    for _ in range(20):
        with connect(gateway.ws("/ws/room/a/")) as client:
            for name in ["x", "y", "z"]:
                assert say(client, subscribe=f"ticker_{name}") == {"subscribed": f"ticker_{name}"}
    with connect(gateway.ws("/ws/ticker/x/")) as ticker:
        ticker.send("alone")
        assert ticker.recv(timeout=20) == "alone"


@pytest.mark.parametrize("backend", ["redis", "redis_pubsub"])
def test_who_cannot_decide_waits_once(start, redis, backend):
    """However often a client subscribes and unsubscribes while Redis does not answer, it is in the group once, or not at all."""
    layer = f"{{backend: {backend}, config: {{hosts: ['redis://127.0.0.1:{redis.port}']}}}}"
    gateway = start(text=ROUTES.replace("LAYER", layer))
    with connect(gateway.ws("/ws/room/a/")) as client:
        redis.process.send_signal(signal.SIGSTOP)
        try:
            for _ in range(100):
                client.send(json.dumps({"subscribe": "ticker_gbp"}))
                assert say(client, unsubscribe="ticker_gbp") == {"unsubscribed": "ticker_gbp"}
                client.send(json.dumps({"subscribe": "ticker_usd"}))
                assert say(client, unsubscribe="ticker_usd") == {"unsubscribed": "ticker_usd"}
            client.send(json.dumps({"subscribe": "ticker_usd"}))
        finally:
            redis.process.send_signal(signal.SIGCONT)
        assert json.loads(client.recv(timeout=20)) == {"subscribed": "ticker_usd"}
        with connect(gateway.ws("/ws/ticker/gbp/")) as other:
            other.send("0.83")
            assert other.recv(timeout=20) == "0.83"
        with connect(gateway.ws("/ws/ticker/usd/")) as other:
            other.send("1.00")
            assert client.recv(timeout=20) == "1.00"
        assert say(client, message="that is all") == {"message": "that is all"}
