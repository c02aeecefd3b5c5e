"""`consumer: view` when the view is away, slow or talks rubbish, when answers are lost, and when gunicorn, the gateway or Redis are killed."""

import asyncio
import collections
import concurrent.futures
import json
import random
import signal
import threading
import time

import pytest
from websockets.asyncio.client import connect as async_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from conftest import Gateway
from hostile_views import HostileView, Middlebox, answer
from redis_stack import RedisGateway, RedisServer, wait_until
from views import SECRET, House, SyncProject

ROUTES = """
installed_apps: [view]
channel_layers: {default: LAYER}
limits: {handshake: HANDSHAKE}
shutdown: {grace: GRACE}
applications:
  main:
    http: [{path: health/ready, health: ready}]
    websocket:
      - path: ws/journal/<slug:room>/
        consumer: view
        url: URL/ws/journal/{room}/
        secret: {env: SLUICE_SECRET}
        on: [connect, receive, disconnect]
        group: journal_{room}
        events: {journal.told: {told: "{text}"}}
        OPTIONS
"""
MEMORY = "{backend: memory}"


def routes(url: str, options: str = "", layer: str = MEMORY, handshake: str = "3s", grace: str = "10s") -> str:
    return ROUTES.replace("HANDSHAKE", handshake).replace("GRACE", grace).replace("LAYER", layer).replace("OPTIONS", options).replace("URL", url)


def redis_layer(redis: RedisServer) -> str:
    return json.dumps({"backend": "channels_redis.core.RedisChannelLayer", "config": {"hosts": [redis.url()]}})


@pytest.fixture
def servers():
    """Hostile views and boxes. They end after the gateways, which still report to them who has gone."""
    servers = []
    yield servers
    for server in servers:
        server.close()


@pytest.fixture
def gateway_to(servers, start):
    """`gateway_to(url, options)` is a gateway whose view is there."""

    def begin(url: str, options: str = "", layer: str = MEMORY, **more) -> Gateway:
        kind = Gateway if layer == MEMORY else RedisGateway
        return start(text=routes(url, options, layer, **more), env={"SLUICE_SECRET": SECRET}, kind=kind)

    return begin


@pytest.fixture
def view(servers):
    def begin(say=lambda question: answer({})) -> HostileView:
        servers.append(HostileView(say))
        return servers[-1]

    return begin


@pytest.fixture
def box_to(servers):
    def begin(to: int, lose=lambda number: False, port: int = 0) -> Middlebox:
        servers.append(Middlebox(to, lose, port))
        return servers[-1]

    return begin


def session(gateway: Gateway, room: str = "a"):
    return connect(gateway.ws(f"/ws/journal/{room}/"), proxy=None, open_timeout=20, max_size=None)


def refused(gateway: Gateway, room: str = "a"):
    with pytest.raises(InvalidStatus) as caught:
        session(gateway, room)
    return caught.value.response


def admitted(gateway: Gateway, room: str):
    """A session; `None` where the route asks nothing for a moment."""
    try:
        return session(gateway, room)
    except InvalidStatus as error:
        assert (error.response.status_code, error.response.headers["Retry-After"]) == (503, "1")


def closed(socket) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            socket.recv(timeout=40)
    return caught.value.rcvd.code, caught.value.rcvd.reason


# What is no answer.

RUBBISH = {
    "no HTTP": b"hello\r\n\r\n",
    "half a head": None,
    "half a body": answer({"do": []}).replace(b"Length: 10", b"Length: 100"),
    "HTML": answer("<html>", "200 OK", "text/html"),
    "no JSON": answer("{"),
    "a list": answer([]),
    "an unknown member": answer({"doo": []}),
    "an unknown action": answer({"do": [{"sennd": {"text": "x"}}]}),
    "two actions in one": answer({"do": [{"join": "a", "leave": "a"}]}),
    "a wrong type": answer({"do": {"send": {"text": "x"}}}),
    "no base64": answer({"do": [{"send": {"bytes": "!"}}]}),
    "a close code": answer({"do": [{"close": {"code": 1006, "reason": ""}}]}),
    "a large state": answer({"state": "x" * 4097}),
    "more than a mebibyte": answer({"do": [{"send": {"text": "x" * 1_200_000}}]}),
    "a redirect": answer("", "302 Found", "text/html", "Location: /accounts/login/"),
    "500": answer("<h1>Server Error (500)</h1>", "500 Internal Server Error", "text/html"),
    "an endless head": b"HTTP/1.1 200 OK\r\n" + b"X-Field: x\r\n" * 100_000,
}


class Rubbish:
    """A view that answers rubbish to one kind of question in one room, and the gateway that asks it."""

    def __init__(self, home):
        self.view = HostileView(self.say)
        file = home / "routes.yaml"
        file.write_text(routes(self.view.url()))
        self.gateway = Gateway(file, env={"SLUICE_SECRET": SECRET})

    def say(self, question: dict) -> bytes | None:
        event, _, number = question["captures"]["room"].partition("-")
        return list(RUBBISH.values())[int(number)] if event == question["event"] else answer({})

    def asked(self, event: str, *rooms: str) -> list[dict]:
        return [question for question in self.view.asked(event) if question["captures"]["room"] in rooms]

    def stop(self) -> None:
        self.gateway.stop()
        self.view.close()


@pytest.fixture(scope="module")
def rubbish(tmp_path_factory):
    rubbish = Rubbish(tmp_path_factory.mktemp("rubbish"))
    yield rubbish
    rubbish.stop()


each = pytest.mark.parametrize("number", range(len(RUBBISH)), ids=RUBBISH)


@each
def test_rubbish_in_place_of_an_answer_to_connect(rubbish, number):
    bad, good = f"connect-{number}", f"good-{number}"
    assert refused(rubbish.gateway, bad).status_code == 503
    # Who was not refused by the view is reported as gone. If no answer came at all, five times, others wait for a second.
    with wait_until(lambda: admitted(rubbish.gateway, good), 20, "another client is let in") as other:
        assert other.ping().wait(10)
        first = rubbish.asked("connect", bad)[0]["address"]
        wait_until(lambda: first in [question["address"] for question in rubbish.asked("disconnect", bad)], 20, "its end is reported")


@each
def test_rubbish_in_place_of_an_answer_to_a_message(rubbish, number):
    bad, good = f"receive-{number}", f"fine-{number}"
    with session(rubbish.gateway, bad) as one, session(rubbish.gateway, good) as other:
        one.send("hello")
        assert closed(one)[0] == 1011
        other.send("hello")
        wait_until(lambda: rubbish.asked("receive", good), 20, "the other one is asked about")
        assert other.ping().wait(10)
    # It may have been handled, so it is not asked a second time.
    assert len(rubbish.asked("receive", bad)) == len(rubbish.asked("receive", good)) == 1
    wait_until(lambda: len(rubbish.asked("disconnect", bad, good)) == 2, 20, "both ends are reported")


def test_a_member_that_is_wrong_is_named(gateway_to, view):
    bad = view(lambda question: answer({"do": [{"sennd": {"text": "x"}}]} if question["event"] == "receive" else {}))
    gateway = gateway_to(bad.url())
    with session(gateway) as one:
        one.send("hello")
        assert closed(one)[0] == 1011
    assert gateway.says("sennd", "send"), gateway.log


# The view is away, slow or overloaded.


def away_for_long(home) -> None:
    """Its session waits for half a minute, and is closed."""
    file, bad = home / "routes.yaml", HostileView()
    file.write_text(routes(bad.url(), grace="1s"))
    gateway = Gateway(file, env={"SLUICE_SECRET": SECRET})
    try:
        with session(gateway) as one:
            bad.close()
            one.send("hello")
            begun = time.monotonic()
            assert closed(one)[0] == 1013
            assert 20 < time.monotonic() - begun < 40
        refusal = refused(gateway)
        assert (refusal.status_code, refusal.headers.get("Retry-After")) == (503, "1")
    finally:
        gateway.stop()


def fails_for_long(home) -> None:
    """A message that the view raises an error for is asked about for half a minute. The log says so from the first error on."""
    file = home / "routes.yaml"
    bad = HostileView(lambda question: answer({}) if question["event"] != "receive" else answer("<h1>Server Error (500)</h1>", "500 X", "text/html"))
    file.write_text(routes(bad.url(), "retry: true", grace="1s"))
    gateway = Gateway(file, env={"SLUICE_SECRET": SECRET})
    try:
        with session(gateway) as one:
            begun = time.monotonic()
            one.send("hello")
            said = ("did not answer as expected", "event=receive", 'reason="the server answered 500"', "route=ws/journal", "the log of Django")
            assert gateway.says(*said), gateway.log
            assert time.monotonic() - begun < 5
            assert closed(one) == (1013, "the application fails to handle a message; try again later")
            assert 20 < time.monotonic() - begun < 40
        ids = {question["id"] for question in bad.asked("receive")}
        assert len(ids) == 1 and gateway.says(f"id={ids.pop()}")
        assert gateway.says("code=1013", "the application fails to handle a message"), gateway.log
        # Each attempt has a line, but not each in a run of many.
        lines = [line for line in gateway.log if "the server answered 500" in line]
        assert len(lines) <= len(bad.asked("receive")) < 20
    finally:
        gateway.stop()
        bad.close()


@pytest.fixture(scope="module", autouse=True)
def aside(tmp_path_factory):
    """These go on beside the other tests of this file."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield {test: pool.submit(test, tmp_path_factory.mktemp("aside")) for test in (away_for_long, fails_for_long)}


def test_a_view_that_is_away_and_comes_back(gateway_to, house, box_to):
    """gunicorn is restarted: sessions stay, and their messages are handled when it is there again."""
    box = box_to(house.gunicorn.port)
    gateway = gateway_to(box.url())
    with session(gateway) as one:
        one.recv(timeout=20)
        port = box.port
        box.close()
        for number in range(5):
            one.send(f"while it is away {number}")
        assert gateway.says("did not answer as expected", "receive"), gateway.log
        box_to(house.gunicorn.port, port=port)
        assert [json.loads(one.recv(timeout=40))["text"] for _ in range(5)] == [f"while it is away {number}" for number in range(5)]


def test_a_view_that_never_answers_beside_one_that_does(start, view):
    never, good = view(lambda question: threading.Event().wait(60) or None), view(lambda question: answer({"do": [{"send": {"text": "ok"}}]}))
    text = routes(never.url(), "timeout: 1s", grace="1s")
    other = text.split("websocket:\n")[1].replace("ws/journal/<", "ws/good/<").replace(never.url(), good.url())
    gateway = start(text=text + other, env={"SLUICE_SECRET": SECRET})
    with connect(gateway.ws("/ws/good/a/"), proxy=None) as one:
        one.recv(timeout=20)
        assert refused(gateway).status_code == 503
        for _ in range(50):
            one.send("hello")
            assert one.recv(timeout=20) == "ok"


@pytest.mark.parametrize("options, code", [("timeout: 1s", 1011), ("timeout: 1s\n        retry: true", None)])
def test_a_slow_answer(gateway_to, view, options, code):
    """After the time for an answer the view may have done its work. Only `retry: true` lets it be asked again, with the same id."""
    slow = view()
    too_late = threading.Event()

    def say(question):
        if question["event"] == "receive" and question["attempt"] == 1:
            too_late.wait(20)
        return answer({"do": [{"send": {"text": "done"}}]} if question["event"] == "receive" else {})

    slow.say = say
    with session(gateway_to(slow.url(), options)) as one:
        one.send("hello")
        if code:
            assert closed(one) == (1011, "a message may not have been handled")
        else:
            assert one.recv(timeout=20) == "done"
            first, again = slow.asked("receive")[:2]
            assert (first["id"], first["attempt"], again["attempt"]) == (again["id"], 1, 2)
            assert first["messages"] == again["messages"]
    too_late.set()


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_a_view_that_asks_for_time(gateway_to, view, status):
    """Nothing was handled, so it is asked again after the time that it says."""
    times = []

    def say(question):
        if question["event"] != "receive":
            return answer({})
        times.append(time.monotonic())
        return answer("", status, "text/plain", "Retry-After: 2") if len(times) == 1 else answer({"do": [{"send": {"text": "done"}}]})

    with session(gateway_to(view(say).url())) as one:
        one.send("hello")
        assert one.recv(timeout=20) == "done"
    assert times[1] - times[0] > 1.9


@pytest.mark.parametrize("on_failure", ["reply", "close"])
def test_other_ways_to_fail(gateway_to, view, on_failure):
    bad = view(lambda question: answer("", "503 Service Unavailable", "text/plain") if question["event"] == "receive" else answer({}))
    with session(gateway_to(bad.url(), f"on_failure: {on_failure}")) as one:
        one.send("hello")
        if on_failure == "close":
            assert closed(one)[0] == 1011
        else:
            assert list(json.loads(one.recv(timeout=20))) == ["error"]
            assert one.ping().wait(10)


def test_an_answer_that_is_lost_after_the_view_has_committed(gateway_to, house, box_to):
    """With `retry: true`, the question comes again, and the view gives its first answer."""
    box = box_to(house.gunicorn.port, lose=lambda number: number in (2, 4, 5))
    with session(gateway_to(box.url(), "retry: true"), "lost") as one:
        address = json.loads(one.recv(timeout=20))["hello"]
        for number in range(1, 6):
            one.send(f"message {number}")
            assert json.loads(one.recv(timeout=20)) == {"n": number, "text": f"message {number}"}
    assert box.lost == 3
    entries = [row for row in house.rows("journal.Entry") if row["address"] == address]
    assert [(row["n"], row["text"]) for row in entries] == [(number, f"message {number}") for number in range(1, 6)]


def test_without_retry_a_session_is_told_that_it_is_not_known(gateway_to, house, box_to):
    box = box_to(house.gunicorn.port, lose=lambda number: number == 2)
    with session(gateway_to(box.url()), "unknown") as one:
        address = json.loads(one.recv(timeout=20))["hello"]
        one.send("hello")
        assert closed(one) == (1011, "a message may not have been handled")
    assert len([row for row in house.rows("journal.Entry") if row["address"] == address]) == 1
    wait_until(lambda: address in house.addresses("journal.Going"), 20, "its end is reported")


# A crowd: many sessions, with messages that the view writes down.


class Crowd:
    """Sessions in one task each, which send numbered messages and wait for the answer to each one."""

    def __init__(self, gateway: Gateway, room: str):
        self.gateway, self.room = gateway, room
        self.addresses, self.sent, self.closed = [], collections.Counter(), []
        self.heard = 0
        # At most so many come at a time; they send when `begin` is set, and on and on while `go_on`.
        self.door, self.begin, self.go_on = asyncio.Semaphore(20), asyncio.Event(), False
        self.begin.set()

    async def connect(self):
        """Tries again as a page does, because the answer about a client may be lost, too."""
        while True:
            try:
                return await async_connect(
                    self.gateway.ws(f"/ws/journal/{self.room}/"), proxy=None, compression=None, open_timeout=60, ping_interval=None
                )
            except InvalidStatus as error:
                assert error.response.status_code == 503
                await asyncio.sleep(0.3)

    async def one(self, messages: int, ahead: int = 1) -> None:
        async with self.door:
            socket = await self.connect()
            address = json.loads(await asyncio.wait_for(socket.recv(), 60))["hello"]
            self.addresses.append(address)
        async with socket:
            await self.begin.wait()
            sent = heard = 0
            try:
                while heard < messages or self.go_on:
                    while sent < heard + ahead and (sent < messages or self.go_on):
                        sent += 1
                        await socket.send(f"message {sent}")
                    assert json.loads(await asyncio.wait_for(socket.recv(), 90))["n"] == heard + 1
                    heard += 1
                    self.heard += 1
            except ConnectionClosed as error:
                self.closed.append(error.rcvd and (error.rcvd.code, error.rcvd.reason))
            self.sent[address] = heard

    async def run(self, sessions: int, messages: int, ahead: int = 1, meanwhile=None) -> None:
        tasks = [asyncio.create_task(self.one(messages, ahead)) for _ in range(sessions)]
        if not self.begin.is_set():
            while len(self.addresses) < sessions and not any(task.done() for task in tasks):
                await asyncio.sleep(0.05)
            self.begin.set()
        if meanwhile:
            await asyncio.to_thread(meanwhile)
        await asyncio.gather(*tasks)


def journal(house: House, room_addresses: list[str]) -> dict[str, list[dict]]:
    entries = collections.defaultdict(list)
    for row in house.rows("journal.Entry"):
        entries[row["address"]].append(row)
    return {address: entries[address] for address in room_addresses}


def test_every_message_once_and_in_order(gateway_to, house, box_to):
    """100 sessions send 10,000 messages, answers are lost, and workers are killed. The journal has each message once, in its order."""
    chance = random.Random(16)
    box = box_to(house.gunicorn.port, lose=lambda number: chance.random() < 0.02)
    gateway = gateway_to(box.url(), "retry: true\n        batch: 5\n        in_flight: 4")
    crowd = Crowd(gateway, "fuzz")

    def kill_workers() -> None:
        for number in range(1, 5):
            wait_until(lambda: crowd.heard >= 2000 * number, 60, f"{2000 * number} messages are answered")
            house.gunicorn.kill_workers()

    asyncio.run(crowd.run(100, 100, ahead=8, meanwhile=kill_workers))
    assert crowd.closed == [] and len(crowd.addresses) == 100 and set(crowd.sent.values()) == {100}
    assert box.lost > 10
    for address, entries in journal(house, crowd.addresses).items():
        assert [(row["n"], row["text"]) for row in entries] == [(number, f"message {number}") for number in range(1, 101)], address
        # Ids have a counter: later messages came with later questions.
        counts = [int(row["question"].rpartition("-")[2]) for row in entries]
        assert counts == sorted(counts), address

    # Also those of clients that were refused because the answer about them was lost.
    came = house.addresses("journal.Coming")
    assert came >= set(crowd.addresses)
    wait_until(lambda: house.addresses("journal.Going") >= came, 60, "every end is reported")
    ends = [row for row in house.rows("journal.Going") if row["address"] in set(crowd.addresses)]
    # The state is that of the last answer.
    assert {json.dumps(row["state"]) for row in ends} == {'{"last": 100}'}


def test_gunicorn_is_restarted_under_a_thousand_sessions(gateway_to, house):
    """Nobody is closed, and no message is lost or handled twice."""
    gateway = gateway_to(house.gunicorn.url(""), "retry: true", handshake="20s")
    crowd = Crowd(gateway, "thousand")
    crowd.go_on = True
    crowd.begin.clear()

    def restart() -> None:
        try:
            restarted()
        finally:
            crowd.go_on = False

    def restarted() -> None:
        port = house.gunicorn.port
        house.running.pop(SyncProject).stop()

        class SamePort(SyncProject):
            def server(self, site, home):
                return [argument.replace(":0", f":{port}") for argument in super().server(site, home)]

        house.running[SyncProject] = house.server(SamePort)

    asyncio.run(crowd.run(1000, 3, meanwhile=restart))
    assert crowd.closed == [] and len(crowd.addresses) == 1000
    for address, entries in journal(house, crowd.addresses).items():
        assert [row["n"] for row in entries] == list(range(1, crowd.sent[address] + 1)), address
    # With a layer in memory, a stop forgets those that it cannot tell in its time.
    wait_until(lambda: house.addresses("journal.Going") >= set(crowd.addresses), 60, "every end is reported")


# The gateway is killed; Redis is cut off.


def test_a_gateway_that_is_killed(gateway_to, house):
    """Another process on the same Redis reports who was there."""
    layer = redis_layer(house.redis)
    victim, witness = (gateway_to(house.gunicorn.url(""), layer=layer) for _ in range(2))
    sockets = [session(victim, "killed") for _ in range(20)]
    addresses = {json.loads(socket.recv(timeout=20))["hello"] for socket in sockets}
    stays = session(witness, "killed")
    alive = json.loads(stays.recv(timeout=20))["hello"]
    for socket in sockets:
        socket.send("before")
        socket.recv(timeout=20)
    # What has changed is written to Redis a moment later.
    client = house.redis.client()
    noted = lambda: [value for lot in client.keys("asgi:sluice:views:records:*") for value in client.hvals(lot)]  # noqa: E731
    wait_until(lambda: sum(b"last" in value for value in noted()) == 20, 20, "the states are noted")
    victim.process.kill()
    gone = lambda: house.addresses("journal.Going")  # noqa: E731
    wait_until(lambda: addresses <= gone(), 120, "another process reports them")
    ends = lambda: {row["address"]: row for row in house.rows("journal.Going")}  # noqa: E731
    rows = ends()
    for row in [rows[address] for address in addresses]:
        assert (row["presumed"], row["groups"], row["state"]) == (True, ["journal_killed"], {"last": 1})
    assert alive not in rows
    stays.close()
    wait_until(lambda: alive in gone(), 20, "it has gone")
    assert ends()[alive]["presumed"] is False


def test_redis_is_cut_off_and_comes_back(gateway_to, house, redis):
    """Sessions stay. What cannot be published is said to whom it concerns, and afterwards all is as before."""
    gateway = gateway_to(house.gunicorn.url(""), layer=redis_layer(redis))
    with session(gateway, "cut") as one, session(gateway, "cut") as two:
        for socket in [one, two]:
            socket.recv(timeout=20)
        one.send("tell before")
        assert json.loads(two.recv(timeout=20)) == {"told": "before"}
        redis.stop()
        two.send("no word to anybody")
        assert json.loads(two.recv(timeout=20))["text"] == "no word to anybody"
        assert one.ping().wait(10) and two.ping().wait(10)
        redis.start()
        wait_until(gateway.is_ready, 30, "the gateway is ready again")
        told = []
        two.send("tell after")
        while {"told": "after"} not in told:
            told.append(json.loads(one.recv(timeout=20)))


@pytest.mark.parametrize("test", [away_for_long, fails_for_long])
def test_what_takes_half_a_minute(aside, test):
    aside[test].result(120)


def test_nobody_is_forgotten(house):
    """At the end of this file, each session that came has gone."""
    came = house.addresses("journal.Coming")
    wait_until(lambda: came <= house.addresses("journal.Going"), 60, "each one has gone")
