"""`consumer: view`: what a session and its view say to each other, with a view in this process."""

import base64
import json
import signal
import threading

import pytest
from clients import connect as raw, frame, handshake, open_session, read_head
from redis_stack import wait_until
from view_server import View
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

ROUTES = """
installed_apps: [view, broadcast]
channel_layers: {default: LAYER}
server: {threads: 2}
limits: {handshake: HANDSHAKE}
applications:
  main:
    http:
      - {path: publish/, publish: {groups: "*", anonymous: true}}
    websocket:
      - path: ws/room/<slug:room>/
        consumer: view
        url: VIEW/room/{room}/
        secret: {env: SLUICE_SECRET}
        on: [connect, receive, disconnect]
        group: room_{room}
        groups_from_view: ["extra_*", "room_*"]
        events: {hello: {hello: "{to}"}, secret: event}
        OPTIONS
      - path: ws/rpc/
        consumer: view
        url: VIEW/rpc/
        secret: {env: SLUICE_SECRET}
        groups_from_view: ["extra_*"]
        events: {hello: {hello: "{to}"}}
      - path: ws/quiet/<slug:room>/
        consumer: view
        url: VIEW/quiet/
        secret: {env: SLUICE_SECRET}
        on: [receive, disconnect]
        group: room_{room}
        events: {hello: {hello: "{to}"}}
      - {path: "ws/listen/<slug:group>/", consumer: broadcast, group: "{group}", events: {hello: {hello: "{to}"}}}
"""


@pytest.fixture
def view():
    view = View()
    yield view
    view.stop()


@pytest.fixture
def serve(view, start):
    def begin(options: str = "", layer: str = "{backend: memory}", text: str = ROUTES, handshake: str = "5s"):
        text = text.replace("LAYER", layer).replace("HANDSHAKE", handshake).replace("VIEW", view.url).replace("OPTIONS", options)
        return start(text=text, env={"SLUICE_SECRET": "a-secret-of-this-test-and-no-other"})

    return begin


@pytest.fixture(params=["memory", "redis", "redis_pubsub"])
def gateway(request, serve):
    if request.param == "memory":
        return serve()
    redis = request.getfixturevalue("redis")
    return serve(layer=f"{{backend: {request.param}, config: {{hosts: ['redis://127.0.0.1:{redis.port}']}}}}")


def hello(whom: str, group: str = "room_a", **more) -> dict:
    return {"publish": {"group": group, "event": {"type": "hello", "to": whom}, **more}}


def say(text: str) -> dict:
    return {"send": {"text": text}}


def texts(session, count: int) -> list[str]:
    return [session.recv(timeout=20) for _ in range(count)]


def by_text(answers: dict):
    """A view that answers each text with what stands for it, and everything else with 204."""

    def answer(question):
        if question["event"] != "receive":
            return None
        return answers.get(question["messages"][0].get("text"))

    return answer


# What is asked


def test_all_questions_of_a_session(serve, view):
    gateway = serve()
    view.answer = lambda question: {
        "connect": {"do": [say("welcome")], "state": {"seen": 1}, "user": "ada", "claims": {"name": "Ada"}},
        "receive": {"do": [{"send": {"json": {"got": question.get("messages")}}}], "state": [2]},
    }.get(question["event"])
    with connect(gateway.ws("/ws/room/a/?x=1&y=%C3%A9"), origin=gateway.http(""), subprotocols=["v1"]) as session:
        asked = view.next("connect")
        assert session.recv(timeout=20) == "welcome"
        assert (asked["version"], asked["attempt"], asked["route"]) == (1, 1, "ws/room/<slug:room>/")
        assert (asked["path"], asked["query"], asked["captures"]) == ("/ws/room/a/", "x=1&y=%C3%A9", {"room": "a"})
        assert (asked["groups"], asked["subprotocols"], asked["client"]) == (["room_a"], ["v1"], "127.0.0.1")
        assert asked.get("user") is None and asked.get("state") is None and asked.target == "/room/a/"
        assert asked.fields["host"] == f"127.0.0.1:{gateway.port}"
        session.send("one")
        message = view.next("receive")
        assert message["messages"] == [{"n": 1, "text": "one"}]
        assert (message["address"], message["user"], message["claims"]) == (asked["address"], "ada", {"name": "Ada"})
        assert message["state"] == {"seen": 1} and message["id"] != asked["id"]
        assert json.loads(session.recv(timeout=20)) == {"got": [{"n": 1, "text": "one"}]}
        session.send(b"\x00\xff")
        message = view.next("receive")
        assert message["messages"] == [{"n": 2, "bytes": base64.b64encode(b"\x00\xff").decode()}]
        assert message["state"] == [2]
        session.recv(timeout=20)
        session.close(4001, "bye")
    end = view.next("disconnect")
    assert (end["code"], end["reason"], end["groups"], end["state"]) == (4001, "bye", ["room_a"], [2])
    assert end["address"] == asked["address"] and 0 <= end["duration"] < 20 and not end.get("presumed")


def test_the_subprotocol_is_the_view_s(serve, view):
    gateway = serve()
    view.answer = lambda question: {"subprotocol": "v2"} if question["event"] == "connect" else None
    with connect(gateway.ws("/ws/room/a/"), subprotocols=["v1", "v2"]) as session:
        assert session.subprotocol == "v2"


def test_a_refused_client_gets_the_status_and_leaves_no_trace(serve, view):
    gateway = serve()
    view.answer = lambda question: (403, {"why": "full"}, {}) if question["event"] == "connect" else None
    with pytest.raises(InvalidStatus) as refused:
        connect(gateway.ws("/ws/room/a/"))
    assert refused.value.response.status_code == 403
    view.answer = lambda question: None
    with connect(gateway.ws("/ws/room/a/")) as session:
        session.send("x")
        assert [view.next(event)["event"] for event in ("connect", "connect", "receive")]
    view.next("disconnect")
    assert len(view.of("disconnect")) == 1


def test_a_route_without_connect_in_on_asks_nothing_first(serve, view):
    gateway = serve()
    with connect(gateway.ws("/ws/quiet/a/")) as session:
        session.send("one")
        assert view.next("receive")["groups"] == ["room_a"]
    assert view.next("disconnect")["code"] == 1000


# What is answered


def test_actions_are_carried_out_in_their_order(gateway, view):
    view.answer = by_text(
        {
            "move": {
                "do": [
                    hello("left behind"), say("1"), {"leave": "room_a"}, hello("not for me"), say("2"),
                    hello("not yet", "extra_x"), {"join": "extra_x"}, hello("arrived", "extra_x"), say("3"),
                ]
            },
        }
    )  # fmt: skip
    with connect(gateway.ws("/ws/listen/room_a/")) as room, connect(gateway.ws("/ws/listen/extra_x/")) as extra:
        with connect(gateway.ws("/ws/room/a/")) as session:
            session.send("move")
            got = texts(session, 5)
            session.send("ask")
            assert view.next("connect") and view.next("receive")
            assert view.next("receive")["groups"] == ["extra_x"]
        events = [json.loads(text)["hello"] for text in got if text.startswith("{")]
        # Whether what was published comes before what was sent is a matter of the way through the layer.
        assert events == ["left behind", "arrived"]
        assert [text for text in got if not text.startswith("{")] == ["1", "2", "3"]
        assert [json.loads(text)["hello"] for text in texts(room, 2)] == ["left behind", "not for me"]
        assert [json.loads(text)["hello"] for text in texts(extra, 2)] == ["not yet", "arrived"]


def test_a_session_without_a_group_joins_one_and_leaves_it(gateway, view):
    view.answer = by_text(
        {"in": {"do": [{"join": "extra_x"}, say("in")]}, "out": {"do": [{"leave": "extra_x"}, say("out")]}}
    )
    with connect(gateway.ws("/ws/listen/extra_x/")) as other, connect(gateway.ws("/ws/rpc/")) as session:
        assert view.next("connect")["groups"] == []
        for text, groups in [("in", []), ("out", ["extra_x"]), ("in", [])]:
            session.send(text)
            assert session.recv(timeout=20) == text
            assert view.next("receive")["groups"] == groups
        other.send("hear this")
        assert session.recv(timeout=20) == "hear this"


def test_others_and_users_and_what_lasts(gateway, view):
    def answer(question):
        if question["event"] == "connect":
            return {"user": question["query"]}
        return {
            "do": [hello("others", to="others"), hello("ada", to={"user": "ada"}), hello("all", ephemeral=True)]
        }

    view.answer = answer
    with connect(gateway.ws("/ws/room/a/?ada")) as ada, connect(gateway.ws("/ws/room/a/?bob")) as bob:
        ada.send("go")
        assert [json.loads(text)["hello"] for text in texts(ada, 2)] == ["ada", "all"]
        assert [json.loads(text)["hello"] for text in texts(bob, 2)] == ["others", "all"]


def test_a_group_outside_the_declaration_fails_alone(serve, view):
    gateway = serve()
    view.answer = by_text({"x": {"do": [{"join": "other"}, hello("no", "other"), say("done")]}})
    with connect(gateway.ws("/ws/room/a/")) as session:
        session.send("x")
        assert session.recv(timeout=20) == "done"
        assert gateway.says("not carried out", "other", "groups_from_view")


def test_a_malformed_answer_ends_its_session_and_no_other(serve, view):
    gateway = serve()
    view.answer = by_text({"bad": {"do": [say("never"), {"sent": 1}]}, "good": {"do": [say("fine")]}})
    with connect(gateway.ws("/ws/room/a/")) as other, connect(gateway.ws("/ws/room/a/")) as session:
        session.send("bad")
        with pytest.raises(ConnectionClosed) as closed:
            session.recv(timeout=20)
        assert closed.value.rcvd.code == 1011
        other.send("good")
        assert other.recv(timeout=20) == "fine"


@pytest.mark.parametrize(("action", "code"), [({"code": 4000, "reason": "enough"}, 4000), (True, 1000)])
def test_a_view_ends_a_session(serve, view, action, code):
    gateway = serve()
    view.answer = by_text({"x": {"do": [say("last"), {"close": action}, say("never")], "state": "end"}})
    with connect(gateway.ws("/ws/room/a/")) as session:
        session.send("x")
        assert session.recv(timeout=20) == "last"
        with pytest.raises(ConnectionClosed) as closed:
            session.recv(timeout=20)
        assert closed.value.rcvd.code == code
    view.next("connect"), view.next("receive")
    end = view.next("disconnect")
    assert (end["code"], end["state"]) == (code, "end")


# Between connect and the upgrade


def test_what_comes_before_the_client_is_let_in_follows_what_the_view_says(gateway, view):
    with connect(gateway.ws("/ws/listen/room_a/")) as other:
        asked, heard = threading.Event(), threading.Event()

        def answer(question):
            if question["event"] != "connect":
                return None
            asked.set()
            assert heard.wait(20)
            return {"do": [say("first"), {"join": "extra_x"}, say("second")]}

        view.answer = answer

        def send():
            asked.wait(20)
            other.send("held")
            other.recv(timeout=20)
            heard.set()

        threading.Thread(target=send).start()
        with connect(gateway.ws("/ws/room/a/"), open_timeout=20) as session:
            assert texts(session, 3) == ["first", "second", "held"]
            other.send("then")
            assert session.recv(timeout=20) == "then"


def test_a_client_that_leaves_while_connect_is_asked_has_its_disconnect(serve, view):
    """Not before the view is done with *connect*: another of its workers would delete a row that is not there yet."""
    gateway = serve(options="timeout: 60s\n        in_flight: 1", handshake="60s")
    free = threading.Event()
    view.answer = lambda question: free.wait(60) and None if question["event"] == "connect" else None
    quiet = gateway.descriptors
    with raw(gateway.port) as sock:
        sock.sendall(handshake("/ws/room/a/"))
        asked = view.next("connect")
        # One who waits behind it, and goes as well, is never asked about.
        with raw(gateway.port) as other:
            other.sendall(handshake("/ws/room/b/"))
            wait_until(lambda: gateway.descriptors == quiet + 3, what="the gateway has both, and a connection to the view")
    wait_until(lambda: gateway.descriptors == quiet + 1, what="it has noticed that they have gone")
    assert not view.of("disconnect")
    free.set()
    end = view.next("disconnect")
    assert (end["address"], end["code"]) == (asked["address"], 1006)


def test_a_client_may_speak_before_it_is_let_in(serve, view):
    gateway = serve()
    view.answer = by_text({"early": {"do": [say("heard")]}})
    with raw(gateway.port) as sock:
        sock.sendall(handshake("/ws/room/a/") + frame(1, b"early"))
        assert read_head(sock).startswith("HTTP/1.1 101")
        assert sock.recv(100).endswith(b"heard")


def test_a_view_that_takes_too_long_at_connect(serve, view):
    gateway = serve(handshake="1s")
    done = threading.Event()
    view.answer = lambda question: done.wait(20) and None
    with pytest.raises(InvalidStatus) as refused:
        connect(gateway.ws("/ws/room/a/"), open_timeout=20)
    assert refused.value.response.status_code == 503
    done.set()
    view.next("connect")
    assert view.next("disconnect")["code"] == 1006


# Messages


def test_a_client_that_sends_faster_than_its_view_answers_is_not_read(serve, view):
    gateway = serve()
    free = threading.Semaphore(0)
    view.answer = lambda question: free.acquire(timeout=20) and None if question["event"] == "receive" else None
    payload = b"x" * 60_000
    with open_session(gateway.port, "/ws/room/a/") as sock:
        sock.settimeout(1)
        sent = 0
        try:
            for _ in range(2000):
                sock.sendall(frame(2, payload))
                sent += 1
        except TimeoutError:
            pass
        assert sent < 1500, "a slow view's client was read on"
        assert gateway.resident_kib < 300_000
        for _ in range(5000):
            free.release()


def test_the_next_question_brings_what_came_meanwhile(serve, view):
    gateway = serve(options="batch: 10")
    free = threading.Event()
    view.answer = lambda question: free.wait(20) and None if question["event"] == "receive" else None
    with connect(gateway.ws("/ws/room/a/")) as session:
        view.next("connect")
        for number in range(5):
            session.send(str(number))
        session.ping().wait(20)
        free.set()
        assert [m["n"] for m in view.next("receive")["messages"]] == [1]
        assert [m["text"] for m in view.next("receive")["messages"]] == ["1", "2", "3", "4"]


def test_what_was_not_taken_comes_again_first(serve, view):
    gateway = serve(options="batch: 10")
    free = threading.Event()

    def answer(question):
        if question["event"] != "receive":
            return None
        free.wait(20)
        return {"taken": 1}

    view.answer = answer
    with connect(gateway.ws("/ws/room/a/")) as session:
        view.next("connect")
        for number in range(4):
            session.send(str(number))
        session.ping().wait(20)
        free.set()
        asked = [[m["n"] for m in view.next("receive")["messages"]] for _ in range(4)]
        assert asked == [[1], [2, 3, 4], [3, 4], [4]]


def test_a_view_that_takes_nothing_is_not_asked_without_end(serve, view):
    gateway = serve()
    view.answer = lambda question: {"taken": 0} if question["event"] == "receive" and len(view.of("receive")) < 4 else None
    with connect(gateway.ws("/ws/room/a/")) as session:
        session.send("x")
        view.next("connect")
        asked = [view.next("receive") for _ in range(4)]
        assert [question["messages"][0]["n"] for question in asked] == [1, 1, 1, 1]
        assert asked[3]["time"] - asked[0]["time"] > 1


def test_without_an_order_a_slow_answer_holds_up_nothing(serve, view):
    gateway = serve(options="order: none")
    free = threading.Event()

    def answer(question):
        if question["event"] != "receive":
            return None
        text = question["messages"][0]["text"]
        if text == "slow":
            free.wait(20)
        return {"do": [say(text)]}

    view.answer = answer
    with connect(gateway.ws("/ws/room/a/")) as session:
        session.send("slow")
        session.send("fast")
        assert session.recv(timeout=20) == "fast"
        free.set()
        assert session.recv(timeout=20) == "slow"


def test_a_message_whose_answer_is_lost(serve, view):
    gateway = serve()

    def answer(question):
        if question["event"] == "receive":
            raise ConnectionError

    view.answer = answer
    with connect(gateway.ws("/ws/room/a/")) as session:
        session.send("x")
        with pytest.raises(ConnectionClosed) as closed:
            session.recv(timeout=20)
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1011, "a message may not have been handled")
    view.next("connect"), view.next("receive")
    assert view.next("disconnect")["code"] == 1011


def test_a_message_whose_answer_is_lost_with_reply(serve, view):
    gateway = serve(options="on_failure: reply")

    def answer(question):
        if question["event"] == "receive" and question["messages"][0]["n"] == 1:
            raise ConnectionError
        return {"do": [say("two")]} if question["event"] == "receive" else None

    view.answer = answer
    with connect(gateway.ws("/ws/room/a/")) as session:
        session.send("x")
        assert json.loads(session.recv(timeout=20)) == {"error": "a message may not have been handled"}
        session.send("y")
        assert session.recv(timeout=20) == "two"


def test_what_the_client_had_sent_is_asked_before_its_end(serve, view):
    gateway = serve()
    free = threading.Event()
    view.answer = lambda question: free.wait(20) and None if question["event"] == "receive" else None
    with open_session(gateway.port, "/ws/room/a/") as sock:
        sock.sendall(b"".join(frame(1, str(number).encode()) for number in range(10)) + frame(8, b"\x0f\xa0gone"))
        view.next("connect")
        assert view.next("receive")["messages"][0]["text"] == "0"
    free.set()
    assert [view.next("receive")["messages"][0]["n"] for _ in range(9)] == list(range(2, 11))
    end = view.next("disconnect")
    assert (end["code"], end["reason"]) == (4000, "gone")


def test_the_address_reaches_the_session_in_no_group(serve, view):
    gateway = serve()
    with connect(gateway.ws("/ws/room/a/")) as session:
        address = view.next("connect")["address"]
        view.answer = by_text({"leave": {"do": [{"leave": "room_a"}, say("left")]}})
        session.send("leave")
        assert session.recv(timeout=20) == "left"
        session.send("still")
        view.next("receive")
        assert view.next("receive")["address"] == address


def test_a_compressed_session_gets_the_same(serve, view):
    gateway = serve(options="compression: true")
    view.answer = by_text({"go": {"do": [hello("x"), say("said " * 50), hello("y"), say("end")]}})
    with connect(gateway.ws("/ws/room/a/")) as session:
        session.send("go")
        assert texts(session, 4) == ['{"hello":"x"}', "said " * 50, '{"hello":"y"}', "end"]


# The gateway


def test_a_stop_waits_for_answers_and_tells_the_ends(serve, view):
    gateway = serve()
    free = threading.Event()
    view.answer = lambda question: free.wait(20) and None if question["event"] == "receive" else None
    with connect(gateway.ws("/ws/room/a/")) as session:
        session.send("x")
        view.next("connect"), view.next("receive")
        gateway.process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            session.recv(timeout=20)
        assert closed.value.rcvd.code == 1012
    free.set()
    assert view.next("disconnect")["code"] == 1012
    assert gateway.wait() == 0


@pytest.mark.alone
def test_an_idle_session_takes_at_most_1_KiB_more_than_one_of_broadcast(serve, view):
    gateway = serve(options="compression: false")

    def growth(path: str, count: int = 3000) -> float:
        before = gateway.resident_kib
        sessions = [open_session(gateway.port, path) for _ in range(count)]
        after = gateway.resident_kib
        held.append(sessions)
        return (after - before) * 1024 / count

    held: list = []
    growth("/ws/room/a/", 500), growth("/ws/listen/room_a/", 500)
    plain, asked = growth("/ws/listen/room_a/"), growth("/ws/room/a/")
    print(f"{plain:.0f} B and {asked:.0f} B")
    for sessions in held:
        for session in sessions:
            session.close()
    assert asked - plain <= 1024, f"{plain:.0f} B and {asked:.0f} B"
