"""Six apps with consumers on Daphne, and the same with views behind Sluice: the pages send and hear the same."""

import json
import threading

import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from redis_stack import RedisGateway, wait_until
from views import FOLDER, SECRET, House
from wsgi import SECRET as DJANGO_SECRET

both = pytest.mark.parametrize("stage", ["before", "after"])


class Page:
    """What a page does: it is logged in, has one socket, and sends and hears JSON."""

    def __init__(self, site: "Site", name: str, path: str):
        self.site, self.name, self.query = site, name, ""
        self.session = requests.Session()
        if path == "/ws/taxi/":
            answer = self.session.post(site.url("http", "/api/token/"), {"username": name, "password": "pw"}, timeout=20)
            self.session.headers["Authorization"] = f"Bearer {answer.json()['access']}"
            self.query = f"?token={answer.json()['access']}"
        elif name:
            self.session.post(site.url("http", "/login/"), {"username": name}, timeout=20).raise_for_status()
        cookies = "; ".join(f"{item.name}={item.value}" for item in self.session.cookies)
        self.socket = connect(
            site.url("ws", path + self.query), proxy=None, open_timeout=20, origin=site.url("http", ""), max_size=None,
            additional_headers={"Cookie": cookies} if cookies else {},
        )  # fmt: skip
        site.pages.append(self)

    def tell(self, frame) -> None:
        self.socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    def hear(self, seconds: float = 20):
        frame = self.socket.recv(timeout=seconds)
        return json.loads(frame) if isinstance(frame, str) else frame

    def post(self, path: str, data: dict) -> requests.Response:
        answer = self.session.post(self.site.url("http", path), data, timeout=20)
        assert answer.ok, answer.text
        return answer

    def close(self) -> None:
        self.socket.close()
        self.session.close()


class Site:
    def __init__(self, house: House, stage: str, port: int):
        self.house, self.stage, self.port, self.pages = house, stage, port, []
        # Whoever is no page.
        self.office = requests.Session()

    def url(self, scheme: str, path: str) -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def page(self, path: str, name: str = "") -> Page:
        return Page(self, name, path)

    def refused(self, path: str) -> int:
        with pytest.raises(InvalidStatus) as caught:
            self.page(path)
        return caught.value.response.status_code


@pytest.fixture
def site(house, start, stage):
    if stage == "before":
        port = house.daphne.port
    else:
        env = {"REDIS_URL": house.redis.url(), "WEB": house.gunicorn.url(""), "SLUICE_SECRET": SECRET, "DJANGO_SECRET_KEY": DJANGO_SECRET}
        port = start(text=(FOLDER / "routes.yaml").read_text(), env=env, kind=RedisGateway).port
    site = Site(house, stage, port)
    yield site
    for page in site.pages:
        page.close()
    site.office.close()


# Many rooms over one socket, joined and left by command.


def said(name: str, message: str) -> dict:
    return {"msg_type": 0, "room": 1, "username": name, "message": message}


@both
def test_rooms_are_joined_and_left_by_command(site):
    anna, ben = site.page("/ws/chat/", "anna"), site.page("/ws/chat/", "ben")
    came, left = {"msg_type": 4, "room": 1, "username": "ben"}, {"msg_type": 5, "room": 1, "username": "ben"}
    anna.tell({"command": "join", "room": 1})
    assert anna.hear() == {"join": "1", "title": "the garden"}
    ben.tell({"command": "send", "room": 1, "message": "from outside"})
    assert ben.hear() == {"error": "ROOM_ACCESS_DENIED"}
    ben.tell({"command": "join", "room": 1})
    # Who joins is announced to those who are in, and not to oneself.
    assert ben.hear() == {"join": "1", "title": "the garden"}
    assert anna.hear() == came
    for number in range(10):
        [anna, ben][number % 2].tell({"command": "send", "room": 1, "message": f"message {number}"})
        frame = said(["anna", "ben"][number % 2], f"message {number}")
        assert anna.hear() == ben.hear() == frame
    # Who leaves hears it too, because the announcement comes before leaving; and nothing after it.
    ben.tell({"command": "leave", "room": 1})
    assert anna.hear() == left
    anna.tell({"command": "send", "room": 1, "message": "alone"})
    heard = [ben.hear(), ben.hear()]
    assert sorted(heard, key=str) == sorted([{"leave": "1"}, left], key=str)
    assert anna.hear() == said("anna", "alone")
    ben.tell({"command": "leave", "room": 1})
    assert ben.hear() == {"error": "ROOM_ACCESS_DENIED"}


@both
def test_a_room_that_one_may_not_enter(site):
    anna = site.page("/ws/chat/", "anna")
    for room, error in [(2, "ROOM_ACCESS_DENIED"), (99, "ROOM_INVALID"), ("1", "ROOM_INVALID")]:
        anna.tell({"command": "join", "room": room})
        assert anna.hear() == {"error": error}
    anna.tell({"command": "dance"})
    assert anna.hear() == {"error": "COMMAND_UNKNOWN"}


@both
def test_who_closes_the_page_has_left_the_rooms(site):
    anna, ben = site.page("/ws/chat/", "anna"), site.page("/ws/chat/", "ben")
    for page in [anna, ben]:
        page.tell({"command": "join", "room": 1})
        page.hear()
    anna.hear()
    ben.tell({"command": "send", "room": 1, "message": "bye"})
    ben.close()
    # The announcement comes after what was said before it.
    assert [anna.hear(), anna.hear()] == [said("ben", "bye"), {"msg_type": 5, "room": 1, "username": "ben"}]


@both
def test_chat_needs_a_user(site):
    assert site.refused("/ws/chat/") in (401, 403)


# Taxi: groups that are bare ids, and sessions that others put into them.


@both
def test_riders_and_drivers(site):
    anna, ben, dan = (site.page("/ws/taxi/", name) for name in ["anna", "ben", "dan"])
    anna.tell({"type": "create.trip", "data": {"start": "station"}})
    asked = anna.hear()
    trip = asked["data"]["id"]
    assert asked == {"type": "echo.message", "data": {"id": trip, "rider": "anna", "driver": None, "start": "station", "status": "REQUESTED"}}
    assert dan.hear() == asked
    ben.tell({"type": "update.trip", "data": {"id": trip, "status": "STARTED"}})
    assert ben.hear() == {"type": "error", "data": "only its driver may do this"}
    for status in ["STARTED", "NEAR", "COMPLETED"]:
        dan.tell({"type": "update.trip", "data": {"id": trip, "status": status}})
        told = {"type": "echo.message", "data": asked["data"] | {"driver": "dan", "status": status}}
        assert anna.hear() == dan.hear() == told
    anna.tell({"type": "create.trip", "data": {}})
    assert anna.hear() == {"type": "error", "data": "start is missing"}
    ben.tell({"type": "dance"})
    assert ben.hear() == {"type": "error", "data": "unknown type"}


@both
def test_a_session_is_put_into_a_trip_from_the_outside(site):
    anna, ben = site.page("/ws/taxi/", "anna"), site.page("/ws/taxi/", "ben")
    anna.tell({"type": "create.trip", "data": {"start": "harbour"}})
    trip = anna.hear()["data"]["id"]
    anna.post(f"/api/trips/{trip}/invite/", {"name": "ben"})
    assert ben.hear() == anna.hear()
    dan = site.page("/ws/taxi/", "dan")
    dan.tell({"type": "update.trip", "data": {"id": trip, "status": "STARTED"}})
    assert ben.hear()["data"]["driver"] == "dan"
    # A page that comes back is in the groups of its open trips.
    anna.hear(), anna.close()
    anna = site.page("/ws/taxi/", "anna")
    dan.tell({"type": "update.trip", "data": {"id": trip, "status": "NEAR"}})
    assert anna.hear()["data"]["status"] == "NEAR"
    anna.close(), ben.close()
    names = lambda: {row["user_id"] for row in site.house.rows("cabs.OpenSocket")}  # noqa: E731
    wait_until(lambda: names() == {4}, 20, "only dan has an open socket")


# A whiteboard: what is drawn is saved, cursors go to the others.


@both
def test_what_is_drawn_is_there_for_who_comes_later(site):
    board = f"/ws/board/{10 if site.stage == 'before' else 11}/"
    anna = site.page(board, "anna")
    assert anna.hear() == {"type": "board", "strokes": []}
    anna.tell({"type": "undo"})
    assert anna.hear() == {"type": "error", "text": "nothing to undo"}
    drawn = []
    for number in range(3):
        anna.tell({"type": "stroke", "points": [[number, 0], [0.5, -1]]})
        drawn.append(anna.hear())
    assert [stroke["points"][0][0] for stroke in drawn] == [0, 1, 2]
    ben = site.page(board, "ben")
    assert ben.hear() == {"type": "board", "strokes": drawn}
    ben.tell({"type": "undo"})
    assert ben.hear() == {"type": "error", "text": "nothing to undo"}
    anna.tell({"type": "undo"})
    assert anna.hear() == ben.hear() == {"type": "gone", "id": drawn[-1]["id"]}


@both
def test_cursors_go_to_all_tabs_but_the_one_that_moves_it(site):
    board = f"/ws/board/{20 if site.stage == 'before' else 21}/"
    tab, other_tab, ben = (site.page(board, name) for name in ["anna", "anna", "ben"])
    for page in [tab, other_tab, ben]:
        page.hear()
    asked = len(site.house.rows("house.Answer"))
    for number in range(5):
        tab.tell({"type": "cursor", "x": number, "y": 0.5})
    tab.tell(b"\x00a picture\xff")
    for page in [other_tab, ben]:
        assert [page.hear() for _ in range(5)] == [{"type": "cursor", "user": "anna", "x": number, "y": 0.5} for number in range(5)]
        assert page.hear() == b"\x00a picture\xff"
    # The next that the tab hears is of somebody else.
    ben.tell({"type": "cursor", "x": 7, "y": 7})
    assert tab.hear() == other_tab.hear() == {"type": "cursor", "user": "ben", "x": 7, "y": 7}
    # The view was asked about the picture, and about no cursor.
    if site.stage == "after":
        assert len(site.house.rows("house.Answer")) == asked + 1


# JSON-RPC: no group, no user.


@both
def test_calls_and_their_answers(site):
    page = site.page("/ws/rpc/")

    def call(method: str, *params, **more):
        page.tell({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)} | more)
        answer = page.hear()
        assert answer["jsonrpc"] == "2.0"
        return answer.get("result", answer.get("error", {}).get("code"))

    assert call("add", 1, 2) == 3
    assert call("add", params={"a": "x", "b": "y"}) == "xy"
    assert call("dance") == -32601
    assert call("add", 1) == -32602
    page.tell("{")
    assert page.hear() == {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}}
    page.tell([])
    assert page.hear()["error"]["code"] == -32600
    # A notification has no answer; the next one is of the next call.
    page.tell({"jsonrpc": "2.0", "method": "notes.save", "params": [site.stage]})
    assert site.stage in call("notes.list")


@both
def test_answers_come_in_the_order_of_the_calls(site):
    page = site.page("/ws/rpc/")
    for number in range(100):
        page.tell({"jsonrpc": "2.0", "id": number, "method": "add", "params": [number, number]})
    assert [page.hear() for _ in range(100)] == [{"jsonrpc": "2.0", "id": number, "result": 2 * number} for number in range(100)]


# Notifications: a count at the beginning, and nothing lost between it and the first event.


@both
def test_the_unread_count_and_what_comes_after_it(site):
    name = "anna" if site.stage == "before" else "ben"
    office = site.office

    def notify(text: str) -> dict:
        return office.post(site.url("http", "/api/notices/"), {"name": name, "text": text}, timeout=20).json()

    first = notify("before the page")
    page, tab = site.page("/ws/notices/", name), site.page("/ws/notices/", name)
    assert page.hear() == tab.hear() == {"unread": 1, "last": first["id"]}
    second = notify("while it is open")
    assert page.hear() == tab.hear() == {"notice": second}
    page.tell({"read": first["id"]})
    assert page.hear() == tab.hear() == {"unread": 1}
    # Somebody else's notice cannot be marked.
    other = office.post(site.url("http", "/api/notices/"), {"name": "carl", "text": "for carl"}, timeout=20).json()
    page.tell({"read": other["id"]})
    assert page.hear() == tab.hear() == {"unread": 1}


@both
def test_no_notice_is_lost_between_the_count_and_the_events(site):
    """Notices are made all the time while pages connect. Each page has all: those that it was told were counted, and the rest as events."""
    name, made, stop = "dan" if site.stage == "before" else "carl", [], threading.Event()

    def make() -> None:
        office = site.office
        while not stop.is_set():
            made.append(office.post(site.url("http", "/api/notices/"), {"name": name, "text": "x"}, timeout=20).json()["id"])

    maker = threading.Thread(target=make)
    maker.start()
    try:
        wait_until(lambda: len(made) > 3, 20, "notices are made")
        pages = [site.page("/ws/notices/", name) for _ in range(15)]
    finally:
        stop.set()
        maker.join()
    for page in pages:
        hello = page.hear()
        assert set(hello) == {"unread", "last"}, hello
        missing = {pk for pk in made if pk > hello["last"]}
        while missing:
            missing.discard(page.hear()["notice"]["id"])


# Presence in the database: a row for each socket.


@both
def test_who_is_there_is_a_row_for_each_socket(site):
    room = f"room-{site.stage}"
    path = f"/ws/presence/{room}/"

    def rows() -> int:
        return sum(row["room"] == room for row in site.house.rows("presence.Present"))

    anna = site.page(path, "anna")
    assert anna.hear() == {"present": ["anna"]}
    ben, other_tab = site.page(path, "ben"), site.page(path, "ben")
    both_are_there = {"present": ["anna", "ben"]}
    assert [anna.hear(), anna.hear(), ben.hear(), ben.hear(), other_tab.hear()] == [both_are_there] * 5
    assert rows() == 3
    # One tab less: the same user is still there. Each is told before it goes: a consumer that is to send to a socket that has just closed
    # may never be told of the end.
    other_tab.close()
    assert [anna.hear(), ben.hear()] == [both_are_there] * 2
    ben.close()
    assert anna.hear() == {"present": ["anna"]}
    anna.close()
    wait_until(lambda: rows() == 0, 20, "no row is left")


# In a browser: the same page before and after.


def log_in(page, name: str) -> None:
    page.run(f"fetch('/login/', {{method: 'POST', body: new URLSearchParams({{username: '{name}'}})}}).then((answer) => answer.status)")


LOG = "[...document.querySelectorAll('#log li')].map((line) => line.textContent).join()"


@both
def test_many_rooms_in_a_browser(site, browser):
    ben = site.page("/ws/chat/", "ben")
    page = browser.open(site.url("http", "/healthz/"))
    log_in(page, "anna")
    page.go(site.url("http", "/pages/chat/"))
    page.wait_for("find('state').textContent === 'open'")
    page.click("#join")
    page.wait_for(f"{LOG} === 'in the garden'")
    ben.tell({"command": "join", "room": 1})
    page.wait_for(f"{LOG} === 'in the garden,ben came'")
    page.run("find('text').value = 'hello'; find('form').requestSubmit()")
    page.wait_for(f"{LOG}.endsWith(',anna: hello')")
    assert [ben.hear(), ben.hear()][1] == said("anna", "hello")
    ben.close()
    page.wait_for(f"{LOG}.endsWith(',ben left')")
    page.click("#leave")
    page.wait_for(f"{LOG}.includes('out of 1')")


@both
def test_a_whiteboard_in_a_browser(site, browser):
    ben = site.page("/ws/board/1/", "ben")
    known = ben.hear()["strokes"]
    page = browser.open(site.url("http", "/healthz/"))
    log_in(page, "anna")
    page.go(site.url("http", "/pages/board/"))
    page.wait_for("state.textContent === 'open'")
    page.run("""for (const [kind, x] of [['pointerdown', 10], ['pointermove', 20], ['pointerup', 30]])
        canvas.dispatchEvent(new PointerEvent(kind, {clientX: x, clientY: 60}))""")
    cursor, stroke = ben.hear(), ben.hear()
    assert (cursor["type"], cursor["user"], stroke["type"], len(stroke["points"])) == ("cursor", "anna", "stroke", 2)
    page.wait_for(f"strokes.size === {len(known) + 1} && !cursors.anna")
    ben.tell({"type": "cursor", "x": 5, "y": 6})
    ben.tell(b"picture")
    page.wait_for("cursors.ben?.[1] === 6 && pictures[0] === 7")
    page.click("#undo")
    page.wait_for(f"strokes.size === {len(known)}")
    assert ben.hear() == {"type": "gone", "id": stroke["id"]}


@both
def test_notices_in_a_browser(site, browser):
    page = browser.open(site.url("http", "/healthz/"))
    log_in(page, "anna")
    page.go(site.url("http", "/pages/notices/"))
    page.wait_for("unread.textContent")
    count = int(page.run("unread.textContent"))
    site.office.post(site.url("http", "/api/notices/"), {"name": "anna", "text": "the news"}, timeout=20)
    page.wait_for(f"unread.textContent === '{count + 1}' && document.querySelector('#notices li').textContent === 'the news'")
    page.run("document.querySelector('#notices li').click()")
    page.wait_for(f"unread.textContent === '{count}'")
