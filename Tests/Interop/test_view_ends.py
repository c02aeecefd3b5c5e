"""No view forgets a session: *disconnect* follows each *connect*, also when the gateway, Redis or the view itself fails in between."""

import concurrent.futures
import contextlib
import json
import pathlib
import signal
import socket
import struct
import threading
import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

import clients
from redis_stack import Host, Layer, RedisGateway, RedisServer, wait_until
from test_redis_outages import outage_of, with_user
from view_server import View

# What docs/views.md states for a process that is killed, and a little more for a busy machine.
HEALED = 30
SECRET = "a-secret-of-this-test-that-is-long-enough"

ROUTES = """
installed_apps: [view]
channel_layers: {default: LAYER}
server: {threads: 2}
shutdown: {grace: GRACE}
applications:
  main:
    http:
      - {path: health/ready, health: ready}
    websocket:
      - {name: room, path: "ws/<slug:room>/", consumer: view, url: "URL/ws/{room}/", secret: {env: VIEW_SECRET}, group: "room_{room}",
         on: [connect, receive, disconnect], in_flight: 32 OPTIONS}
"""


@pytest.fixture
def view():
    view = View()
    yield view
    view.stop()


class Gateways:
    """Starts gateways with the same file: on a layer, or on `memory`."""

    def __init__(self, home: pathlib.Path, view: View):
        self.home, self.view, self.running = home, view, []

    def __call__(self, layer: Layer | None, grace: str = "5s", options: str = "", routes: str = ROUTES) -> RedisGateway:
        text = routes.replace("LAYER", layer.yaml if layer else "{backend: memory}").replace("GRACE", grace)
        file = self.home / f"routes{len(self.running)}.yaml"
        file.write_text(text.replace("URL", self.view.url).replace("OPTIONS", options and ", " + options))
        keys = {name: key for name, key in zip(layer.key_names, layer.keys)} if layer and layer.encrypted else {}
        self.running.append(RedisGateway(file, env={"VIEW_SECRET": SECRET, **keys}))
        return self.running[-1]

    def stop(self) -> None:
        for gateway in self.running:
            with contextlib.suppress(ProcessLookupError):
                gateway.process.send_signal(signal.SIGCONT)
            gateway.stop(signal.SIGKILL)


@pytest.fixture
def start(tmp_path, view):
    gateways = Gateways(tmp_path, view)
    yield gateways
    gateways.stop()


KINDS = ["core", "pubsub", "encrypted"]


def layer_of(redis: RedisServer, kind: str) -> Layer:
    return Layer((Host(redis),), **{"layout": "core", "encrypted": True} if kind == "encrypted" else {"layout": kind})


@pytest.fixture(params=KINDS)
def layer(request, redis) -> Layer:
    return layer_of(redis, request.param)


def open_sessions(gateway, count: int, room: str = "r"):
    return [connect(gateway.ws(f"/ws/{room}/"), open_timeout=20, proxy=None) for _ in range(count)]


def addresses(questions) -> list[str]:
    return sorted(question["address"] for question in questions)


def vanish(session) -> None:
    """Ends the connection without a close frame."""
    session.socket.shutdown(socket.SHUT_RDWR)


def records(redis) -> list[str]:
    """The lots of records, and what is in none."""
    return [key.decode() for key in redis.client().keys("asgi:sluice:views:records:*")]


def told(view, count: int, seconds: float = 20) -> list:
    wait_until(lambda: len(view.of("disconnect")) >= count, seconds, f"the view is told of {count} ends")
    return view.of("disconnect")


# In order


def test_a_view_is_told_of_each_end(view, start, redis, layer):
    gateway = start(layer)
    one, other = open_sessions(gateway, 2)
    assert [question["event"] for question in view.asked] == ["connect", "connect"]
    (lot,) = records(redis)
    stored = redis.client().hgetall(lot)
    assert sorted(key.decode() for key in stored) == addresses(view.of("connect"))
    assert all((b"/ws/r/" in value) != layer.encrypted for value in stored.values())
    one.close(4001, "bye")
    (question,) = told(view, 1)
    assert (question["code"], question["reason"]) == (4001, "bye") and 0 <= question["duration"] < 20
    assert "presumed" not in question and question["groups"] == ["room_r"] and question["route"] == "room"
    vanish(other)
    assert told(view, 2)[1]["code"] == 1006
    assert addresses(view.of("disconnect")) == addresses(view.of("connect"))
    wait_until(lambda: records(redis) == [], what="nothing is left in Redis")


def test_what_a_view_answers_to_an_end_is_published(view, start, redis):
    gateway = start(Layer((Host(redis),)), options='groups_from_view: ["log"], events: {left: {left: "{who}"}}')

    def answer(question):
        if question["event"] != "disconnect":
            return None
        event = {"type": "left", "who": question["address"]}
        groups = [*question["groups"], "log", "secret"]
        return {"do": [{"publish": {"group": group, "event": event}} for group in groups]}

    view.answer = answer
    one, other = open_sessions(gateway, 2)
    one.close()
    (question,) = told(view, 1)
    assert json.loads(other.recv(timeout=20)) == {"left": question["address"]}
    assert gateway.says("not carried out", "publish", "groups_from_view")
    # Another action is a mistake: nothing of the answer is done, and it is not asked again.
    view.answer = lambda question: {"do": [{"send": {"text": "no"}}]} if question["event"] == "disconnect" else None
    other.close()
    told(view, 2)
    assert gateway.says("did not answer as expected", "event=disconnect")
    wait_until(lambda: records(redis) == [], what="nothing is left in Redis")
    assert len(view.of("disconnect")) == 2


def test_what_is_refused_and_what_fails(view, start, redis):
    gateway = start(Layer((Host(redis),)))
    statuses = iter([500, 503, 429, 204, 404])

    def answer(question):
        return (next(statuses), b"", {}) if question["event"] == "disconnect" else None

    view.answer = answer
    for expected in (4, 5):
        (session,) = open_sessions(gateway, 1)
        session.close()
        told(view, expected, 40)
        wait_until(lambda: records(redis) == [], what="the record is removed")
    ends = view.of("disconnect")
    assert len({question["id"] for question in ends}) == 2
    assert [question["attempt"] for question in ends] == [1, 2, 3, 4, 1]
    assert gateway.says("did not answer as expected", "event=disconnect")


# Something fails


def test_redis_is_cut_off_and_comes_back(view, start, redis):
    layer = with_user(redis, "gateway")
    gateway, other = start(layer), start(Layer((Host(redis),)))
    sessions = open_sessions(gateway, 6)
    with outage_of(redis, "gateway"):
        wait_until(lambda: not gateway.is_ready())
        with pytest.raises(InvalidStatus) as refused:
            open_sessions(gateway, 1)
        assert refused.value.response.status_code == 503
        # Who was there stays there, and the view is still told.
        for session in sessions[:3]:
            session.close()
        told(view, 3)
        assert [redis.client().hlen(lot) for lot in records(redis)] == [6]
    wait_until(lambda: [redis.client().hlen(lot) for lot in records(redis)] == [3], what="what ended is removed")
    assert len(view.of("connect")) == 6
    for session in sessions[3:]:
        session.close()
    ends = told(view, 6)
    assert addresses(ends) == addresses(view.of("connect")) and not [end for end in ends if "presumed" in end]
    assert gateway.says("sessions cannot be noted in Redis") and gateway.says("sessions can be noted in Redis again")
    assert not other.count("of another process")


def test_the_view_is_away_while_sessions_end(view, start, redis):
    gateway = start(Layer((Host(redis),)))
    sessions = open_sessions(gateway, 50)
    view.answer = lambda question: (503, b"", {"Retry-After": "1"})
    for session in sessions:
        session.close()
    time_before = time.monotonic()
    told(view, 3)
    # One at a time is tried meanwhile.
    assert len(view.of("disconnect")) < 40
    view.answer = lambda question: None
    wait_until(lambda: records(redis) == [], 30, "all were told")
    assert time.monotonic() - time_before < 30
    assert addresses({end["address"]: end for end in view.of("disconnect")}.values()) == addresses(view.of("connect"))


TWO_VIEWS = ROUTES + """
      - {name: dead, path: "dead/<slug:room>/", consumer: view, url: "DEAD/ws/{room}/", secret: {env: VIEW_SECRET}, group: "dead_{room}",
         on: [connect, receive, disconnect]}
"""


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_a_view_that_is_dead_holds_up_no_other(view, start, redis, kind):
    dead = View()
    gateway = start(Layer((Host(redis),)) if kind == "redis" else None, routes=TWO_VIEWS.replace("DEAD", dead.url))
    lost = [connect(gateway.ws("/dead/r/"), open_timeout=20, proxy=None) for _ in range(300)]
    sessions = open_sessions(gateway, 100)
    # It takes questions and never answers.
    dead.answer = lambda question: threading.Event().wait(30)
    for session in lost:
        session.close()
    wait_until(lambda: dead.of("disconnect"), what="the dead one is asked")
    for session in sessions:
        session.close()
    assert addresses(told(view, 100, 5)) == addresses(view.of("connect"))
    dead.stop()


class Crowd:
    """Clients that ask to be let in, each on a connection of its own."""

    def __init__(self, gateway, count: int):
        self.sockets = []
        for _ in range(count):
            sock = clients.connect(gateway.port)
            self.sockets.append(sock)
            sock.sendall(clients.handshake("/ws/r/"))

    def go(self) -> None:
        """Half of them say goodbye to TCP, the others reset their connection."""
        for number, sock in enumerate(self.sockets):
            if number % 2:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()


def test_clients_that_go_while_they_are_asked_about(view, start):
    """2,000 of them: whoever was asked about has its end, the others leave no trace, and the gateway keeps nothing of them."""
    gateway = start(None)
    quiet = gateway.descriptors
    free = threading.Event()
    view.answer = lambda question: free.wait(60) and None if question["event"] == "connect" else None

    def come_and_go(count: int) -> None:
        """The view is asked about 32 of them at first, and about nobody else until those are answered."""
        free.clear()
        asked = len(view.of("connect"))
        crowd = Crowd(gateway, count)
        wait_until(lambda: len(view.of("connect")) >= asked + 32, what="the view is asked")
        crowd.go()
        free.set()
        wait_until(lambda: addresses(view.of("disconnect")) == addresses(view.of("connect")), 60, "each one that was asked about has gone")

    come_and_go(200)
    wait_until(lambda: gateway.descriptors <= quiet + 32, what="the first ones have left")
    before, memory = gateway.descriptors, gateway.resident_kib
    for _ in range(4):
        come_and_go(500)
    # 32 connections to the view may be kept.
    wait_until(lambda: gateway.descriptors <= before + 32, what="their descriptors are closed")
    assert gateway.resident_kib < memory + 10_000
    assert len({question["address"] for question in view.of("disconnect")}) == len(view.of("disconnect"))
    # Who comes now is let in at once.
    (session,) = open_sessions(gateway, 1)
    session.close()
    wait_until(lambda: addresses(view.of("disconnect")) == addresses(view.of("connect")), what="its end is told")


# A stop


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_a_stop_tells_of_all_ends(view, start, redis, kind):
    gateway = start(Layer((Host(redis),)) if kind == "redis" else None)
    sessions = open_sessions(gateway, 30)
    gateway.process.send_signal(signal.SIGTERM)
    for session in sessions:
        with pytest.raises(ConnectionClosed):
            session.recv(timeout=20)
    assert gateway.wait() == 0
    ends = view.of("disconnect")
    assert addresses(ends) == addresses(view.of("connect")) and {end["code"] for end in ends} == {1012}
    assert records(redis) == [] and redis.client().keys("asgi:sluice:views:lots:*") == []
    assert gateway.says("stopped", "ends-told=30")


def leave_backlogs(gateway, view, clients_: int, messages: int) -> None:
    """Clients that send much to a view that takes its time, and break their connections."""
    view.answer = lambda question: time.sleep(0.2) if question["event"] == "receive" else None
    sockets = [clients.open_session(gateway.port, "/ws/r/") for _ in range(clients_)]
    for sock in sockets:
        sock.sendall(clients.frame(1, b"x") * messages)
    wait_until(lambda: addresses(view.of("connect")) == sorted({asked["address"] for asked in view.of("receive")}), what="each is asked about")
    before = gateway.descriptors
    for sock in sockets:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    wait_until(lambda: gateway.descriptors <= before - clients_, what="the gateway has seen them go")


def test_a_stop_has_time_left_for_ends_whatever_clients_have_left(view, start):
    gateway = start(None, grace="4s")
    leave_backlogs(gateway, view, 20, 200)
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.wait() == 0
    # They were asked about for some time, in order, and then their ends were told.
    asked = {(question["address"], message["n"]) for question in view.of("receive") for message in question["messages"]}
    assert 40 < len(asked) < 20 * 200
    assert addresses(view.of("disconnect")) == addresses(view.of("connect"))
    # All of them are counted, in one line.
    assert gateway.says("messages of clients that are gone were dropped", f"messages={20 * 200 - len(asked)}", "sessions=20")
    assert gateway.says("stopped", "ends-told=20")


def test_a_second_signal_asks_ends_only(view, start):
    gateway = start(None, grace="60s")
    leave_backlogs(gateway, view, 5, 900)
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.says("stopping")
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.wait() == 0
    assert addresses(view.of("disconnect")) == addresses(view.of("connect"))
    assert len(view.of("receive")) < 1000 and gateway.says("stopped", "ends-told=5")


def test_what_a_stop_cannot_tell_is_told_by_another_process(view, start, redis):
    layer = Layer((Host(redis),))
    first = start(layer, grace="1s")
    sessions = open_sessions(first, 10)
    view.answer = lambda question: (503, b"", {})
    sessions[0].close(4003, "early")
    first.process.send_signal(signal.SIGTERM)
    assert first.wait() == 0
    assert first.says("ends of sessions are left for another process", "count=10")
    view.answer = lambda question: None
    earlier = len(view.of("disconnect"))
    ids = {end["address"]: end["id"] for end in view.of("disconnect")}
    start(layer)
    ends = told(view, earlier + 10)[earlier:]
    assert addresses(ends) == addresses(view.of("connect")) and sorted(end["code"] for end in ends) == [1012] * 9 + [4003]
    assert not [end for end in ends if "presumed" in end]
    # The same question, so that a view which has answered it already gives the same answer.
    assert all(end["id"] == ids[end["address"]] for end in ends if end["address"] in ids)


def test_with_memory_a_stop_says_what_was_not_told(view, start):
    gateway = start(None, grace="1s")
    open_sessions(gateway, 10)
    view.answer = lambda question: (503, b"", {})
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.wait() == 0
    assert gateway.says("views were not told the ends of sessions in time", "count=10")
    assert gateway.says("stopped", "ends-not-told=10")


# What takes its time, because other processes wait for a sign of life, or a question comes every ten seconds. All of it goes on at once.

SCENES = {}


def scene(*kinds: str):
    """A test with a view, a Redis and gateways of its own, for layers of these kinds."""

    def add(function):
        SCENES.update({f"{function.__name__}-{kind}": (function, kind) for kind in kinds})
        return function

    return add


def play(function, kind: str, home: pathlib.Path) -> None:
    with contextlib.ExitStack() as stack:
        view, redis = View(), RedisServer(home / "redis")
        start = Gateways(home, view)
        for end in [view.stop, redis.stop, start.stop]:
            stack.callback(end)
        function(view, start, redis, None if kind == "memory" else layer_of(redis, kind))


@scene(*KINDS)
def a_killed_gateway(view, start, redis, layer):
    first, second = start(layer), start(layer)
    open_sessions(first, 200)
    others = open_sessions(second, 3, "s")
    # Another process takes over once it has seen Redis for a while.
    first.process.send_signal(signal.SIGKILL)
    ends = told(view, 200, HEALED)
    assert addresses(ends) == addresses(question for question in view.of("connect") if question["path"] == "/ws/r/")
    assert all(question["presumed"] is True and question["code"] == 1006 for question in ends)
    assert all(0 <= question["duration"] < 60 and question["groups"] == ["room_r"] for question in ends)
    assert second.says("telling views the ends of sessions of another process")
    wait_until(lambda: len(records(redis)) == 1, what="only the record of the living is left")
    for session in others:
        session.close()
    assert addresses(told(view, 203)) == addresses(view.of("connect"))


@scene("core")
def the_only_gateway_is_killed_and_started_again(view, start, redis, layer):
    gateway = start(layer)
    open_sessions(gateway, 5)
    gateway.stop(signal.SIGKILL)
    start(layer)
    ends = told(view, 5, HEALED)
    assert addresses(ends) == addresses(view.of("connect")) and all(end["presumed"] for end in ends)


@scene(*KINDS)
def a_gateway_that_was_only_stopped(view, start, redis, layer):
    first, second = start(layer), start(layer)
    view.answer = lambda question: {"state": {"n": 1}} if question["event"] == "connect" and "again" not in question else None
    sessions = open_sessions(first, 20)
    known = addresses(view.of("connect"))
    first.process.send_signal(signal.SIGSTOP)
    ends = told(view, 20, HEALED)
    assert addresses(ends) == known and all(end["presumed"] for end in ends)
    first.process.send_signal(signal.SIGCONT)
    again = wait_until(lambda: (found := [q for q in view.of("connect") if "again" in q]) and len(found) == 20 and found, 20)
    assert addresses(again) == known
    assert all(question["state"] == {"n": 1} and question["groups"] == ["room_r"] for question in again)
    assert first.says("this process was taken for dead")
    # They are known again, and told once more.
    for session in sessions:
        session.close(4002, "really")
    ends = told(view, 40)[20:]
    assert addresses(ends) == known and {end["code"] for end in ends} == {4002}
    wait_until(lambda: records(redis) == [], what="nothing is left in Redis")


@scene("core")
def redis_loses_everything(view, start, redis, layer):
    first, _ = start(layer), start(layer)
    open_sessions(first, 20)
    redis.client().flushall()
    wait_until(lambda: [redis.client().hlen(lot) for lot in records(redis)] == [20], what="the records are written again")
    first.process.send_signal(signal.SIGKILL)
    assert addresses(told(view, 20, HEALED)) == addresses(view.of("connect"))
    assert not [question for question in view.of("connect") if "again" in question]


@scene("memory")
def a_view_hears_who_is_there(view, start, redis, layer):
    gateway = start(layer, options="alive: 10s")
    # Also where nobody is.
    empty = wait_until(lambda: view.of("alive"), 20)[0]
    assert (empty["addresses"], empty["part"], empty["parts"], empty["interval"], empty["route"]) == ([], 1, 1, 10, "room")
    assert "address" not in empty and empty.target == "/ws/0/"
    one, other = open_sessions(gateway, 2)
    both = addresses(view.of("connect"))
    wait_until(lambda: sorted(view.of("alive")[-1]["addresses"]) == both, 20)
    one.close()
    (end,) = told(view, 1)
    wait_until(lambda: view.of("alive")[-1]["addresses"] == [address for address in both if address != end["address"]], 20)
    assert view.of("alive")[-1].target == "/ws/r/"
    other.close()


@scene("memory")
def rows_of_a_killed_gateway_expire(view, start, redis, layer):
    rows: dict[str, float] = {}

    def answer(question):
        if question["event"] == "connect":
            rows[question["address"]] = time.monotonic()
        elif question["event"] == "disconnect":
            rows.pop(question["address"], None)
        elif question["event"] == "alive":
            now = time.monotonic()
            rows.update({address: now for address in question["addresses"] if address in rows})
            for address in [address for address, seen in rows.items() if now - seen > 1.5 * question["interval"]]:
                del rows[address]
        return None

    view.answer = answer
    first = start(layer, options="alive: 10s")
    second = start(layer, options="alive: 10s")
    open_sessions(first, 3)
    (kept,) = open_sessions(second, 1)
    assert len(rows) == 4
    first.process.send_signal(signal.SIGKILL)
    wait_until(lambda: list(rows) == [view.of("connect")[-1]["address"]], 40, "only the one of the living gateway is left")
    kept.close()
    wait_until(lambda: rows == {})


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    with concurrent.futures.ThreadPoolExecutor(len(SCENES)) as pool:
        yield {name: pool.submit(play, *SCENES[name], tmp_path_factory.mktemp(name)) for name in SCENES}


@pytest.mark.parametrize("name", SCENES)
def test_what_takes_its_time(scenes, name):
    scenes[name].result(180)
