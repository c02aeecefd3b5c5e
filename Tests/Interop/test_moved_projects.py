"""Three Django projects with consumers on Daphne, and the same without consumers behind Sluice: one client has to work with both."""

import itertools
import json
import pathlib
import re

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from browser import Browser
from conftest import ROOT
from manual import blocks_of
from redis_stack import RedisGateway, RedisServer, wait_until
from tokens import simple_jwt
from wsgi import SECRET, ChannelsProject, Project

FOLDER = pathlib.Path(__file__).parent / "moved_projects"
USERS = """
from django.contrib.auth.models import Group, User
for name in ["anna", "ben", "carl", "dan", "dora"]: User.objects.create_user(name, password="pw")
User.objects.create_superuser("office", password="pw")
"""
SET_UP = {
    "taxi": USERS + "for name in ['dan', 'dora']: User.objects.get(username=name).groups.add(Group.objects.get_or_create(name='drivers')[0])",
    "direct": USERS,
    "rooms": USERS + """
from rooms.models import Room
for name in ["anna", "ben"]: Room.objects.get_or_create(pk=1, name="garden")[0].members.add(User.objects.get(username=name))
Room.objects.create(pk=2, name="cellar").members.add(User.objects.get(username="carl"))
""",
}
READY = {"taxi": "/healthz/", "direct": "/healthz/", "rooms": "/accounts/login/"}
RECHECK = "1s"


class Servers:
    """Each project once with Daphne and once with gunicorn, on the same database and the same Redis, started when they are asked for."""

    def __init__(self, home: pathlib.Path):
        self.home, self.redis, self.running = home, RedisServer(home / "redis"), {}

    def redis_url(self, project: str) -> str:
        return self.redis.url(list(SET_UP).index(project))

    def django(self, project: str, stage: str) -> Project:
        if (project, stage) not in self.running:
            kind = {"before": ChannelsProject, "after": Project}[stage]
            set_up = None if (self.home / project).exists() else SET_UP[project]
            env = {"REDIS_URL": self.redis_url(project)}
            self.running[project, stage] = kind(self.home / project, FOLDER, f"{project}.{stage}", set_up, READY[project], env)
        return self.running[project, stage]

    def stop(self) -> None:
        for server in self.running.values():
            server.stop()
        self.redis.stop()


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    servers = Servers(tmp_path_factory.mktemp("moved"))
    yield servers
    servers.stop()


class Page:
    """The client of a project: what its page does with HTTP and a WebSocket. Only `tell` differs before and after."""

    def __init__(self, site, name: str, path: str, post: str, query: str = "", **headers):
        self.site, self.name, self.post, self.answers = site, name, post, []
        self.session = requests.Session()
        self.session.headers.update(headers)
        self.path, self.query = path, query

    def open(self, path: str = "") -> "Page":
        cookies = "; ".join(f"{item.name}={item.value}" for item in self.session.cookies)
        self.socket = connect(
            self.site.url("ws", self.path + path + self.query), proxy=None, open_timeout=20, origin=self.site.url("http", ""),
            additional_headers={"Cookie": cookies} if cookies else {},
        )
        return self

    def tell(self, frame: dict) -> None:
        """Says something to the project: before, the page sent it through its socket. Now it posts it, and takes an error for a frame."""
        if self.site.stage == "before":
            return self.socket.send(json.dumps(frame))
        answer = self.call("POST", self.post, frame)
        if not answer.ok:
            self.answers.append(answer.json())

    def hear(self):
        return self.answers.pop() if self.answers else json.loads(self.socket.recv(timeout=20))

    def call(self, method: str, path: str, body=None) -> requests.Response:
        csrf = {"X-CSRFToken": self.session.cookies["csrftoken"]} if "csrftoken" in self.session.cookies else {}
        return self.session.request(method, self.site.url("http", path), json=body, headers=csrf, timeout=20)

    def closed(self) -> tuple[int, str]:
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                self.socket.recv(timeout=20)
        return caught.value.rcvd.code, caught.value.rcvd.reason

    def refused(self, path: str = "") -> int:
        with pytest.raises(InvalidStatus) as caught:
            self.open(path)
        return caught.value.response.status_code


class Site:
    """A project as its visitors see it: one port for everything."""

    def __init__(self, project: str, stage: str, port: int):
        self.project, self.stage, self.port, self.pages = project, stage, port, []

    def url(self, scheme: str, path: str) -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def page(self, name: str) -> Page:
        """A page of a user who has logged in; it has no socket yet."""
        page = self.logged_in(name) if self.project == "rooms" else self.with_token(self.token(name), name)
        self.pages.append(page)
        return page

    def token(self, name: str, kind: str = "access") -> str:
        answer = requests.post(self.url("http", "/api/token/"), json={"username": name, "password": "pw"}, timeout=20)
        return answer.json()[kind]

    def with_token(self, token: str, name: str = "") -> Page:
        path = {"taxi": "/taxi/", "direct": "/ws/chat/"}[self.project]
        return Page(self, name, path, "/api/messages/", f"?token={token}", Authorization=f"Bearer {token}")

    def logged_in(self, name: str) -> Page:
        page = self.stranger(name)
        login = self.url("http", "/accounts/login/")
        page.session.get(login, timeout=20).raise_for_status()
        form = {"username": name, "password": "pw", "csrfmiddlewaretoken": page.session.cookies["csrftoken"]}
        assert page.session.post(login, form, timeout=20).json()["name"] == name
        return page

    def stranger(self, name: str = "") -> Page:
        """A page of somebody who has not logged in."""
        if self.project != "rooms":
            return self.with_token("", name)
        return Page(self, name, "/ws/rooms/1/", "/api/rooms/1/messages/")


@pytest.fixture
def site(servers, start):
    """`site(project, stage)` is a project before it was moved, or after."""
    sites = []

    def open_site(project: str, stage: str) -> Site:
        django = servers.django(project, stage)
        port = django.port
        if stage == "after":
            text = (FOLDER / project / "after/routes.yaml").read_text().replace("recheck: 5m", f"recheck: {RECHECK}")
            env = {"REDIS_URL": servers.redis_url(project), "WEB": django.url(""), "DJANGO_SECRET_KEY": SECRET}
            gateway = start(text=text, env=env, kind=RedisGateway)
            port = gateway.port
        sites.append(Site(project, stage, port))
        return sites[-1]

    yield open_site
    for page in [page for site in sites for page in site.pages if hasattr(page, "socket")]:
        page.socket.close()


both = pytest.mark.parametrize("stage", ["before", "after"])


# Taxi: a group that only drivers may join, and one for each trip.


def ride(page: Page, pick_up: str) -> dict:
    """Asks for a trip; the next frame tells of it."""
    page.tell({"type": "create.trip", "data": {"pick_up": pick_up, "drop_off": "harbour"}})
    heard = page.hear()
    assert heard["type"] == "echo.message", heard
    assert (heard["data"]["rider"], heard["data"]["pick_up"]) == (page.name, pick_up), heard
    return heard


@both
def test_drivers_hear_of_trips_and_riders_of_their_own(site, stage):
    site = site("taxi", stage)
    anna, ben, dan, dora = (site.page(name).open() for name in ["anna", "ben", "dan", "dora"])
    asked = ride(anna, "station")
    assert dan.hear() == dora.hear() == asked
    trip = asked["data"]["id"]
    for status in ["STARTED", "COMPLETED", "CANCELLED"]:
        if status == "CANCELLED":
            assert anna.call("POST", f"/api/trips/{trip}/cancel/").status_code == 204
        else:
            dan.tell({"type": "update.trip", "data": {"id": trip, "status": status}})
        told = anna.hear()
        assert told == {"type": "echo.message", "data": asked["data"] | {"driver": "dan", "status": status}}
        assert dan.hear() == told
    # The next frame of all others is about this, so they heard nothing of the trip in between.
    second = ride(ben, "market")
    assert dora.hear() == dan.hear() == second
    assert ride(anna, "church")["data"]["id"] != trip


@both
def test_a_page_that_comes_back_hears_of_its_open_trips(site, stage):
    site = site("taxi", stage)
    anna, dan = site.page("anna").open(), site.page("dan").open()
    trip = ride(anna, "station")["data"]["id"]
    anna.socket.close()
    anna.open()
    dan.hear()
    dan.tell({"type": "update.trip", "data": {"id": trip, "status": "STARTED"}})
    assert anna.hear()["data"]["driver"] == "dan"
    assert [entry["status"] for entry in anna.call("GET", "/api/trips/").json() if entry["id"] == trip] == ["STARTED"]


@both
def test_only_a_driver_takes_a_trip(site, stage):
    site = site("taxi", stage)
    anna, ben, dan, dora = (site.page(name).open() for name in ["anna", "ben", "dan", "dora"])
    trip = ride(anna, "station")["data"]["id"]
    take = {"type": "update.trip", "data": {"id": trip, "status": "STARTED"}}
    ben.tell(take)
    assert ben.hear() == {"type": "error.message", "data": "only its driver may do this"}
    assert dan.hear() == dora.hear()
    dan.tell(take)
    assert dan.hear()["data"]["driver"] == anna.hear()["data"]["driver"] == "dan"
    dora.tell(take)
    assert dora.hear()["type"] == "error.message"
    anna.tell({"type": "create.trip", "data": {"pick_up": ""}})
    assert set(anna.hear()["data"]) == {"pick_up", "drop_off"}


@both
def test_a_taxi_page_needs_a_token(site, stage):
    site = site("taxi", stage)
    for page in [site.stranger(), site.with_token("x"), site.with_token(site.token("anna", "refresh"))]:
        assert page.refused() == {"before": 403, "after": 401}[stage]


@both
def test_a_driver_who_is_let_go(site, stage):
    """Before, a driver heard of every trip until the page was closed."""
    site = site("taxi", stage)
    office, anna, dan = site.page("office"), site.page("anna").open(), site.page("dan").open()

    numbers = itertools.count()

    def dan_hears() -> bool:
        number = next(numbers)
        ride(anna, f"station {number}")
        # What dan asks for comes to dan in any case, and behind it; as a driver dan gets it twice.
        dan.tell({"type": "create.trip", "data": {"pick_up": f"home {number}", "drop_off": "harbour"}})
        heard = set()
        while f"home {number}" not in heard:
            heard.add(dan.hear()["data"]["pick_up"])
        return f"station {number}" in heard

    assert dan_hears()
    assert office.call("DELETE", "/api/drivers/dan/").status_code == 204
    try:
        if stage == "after":
            wait_until(lambda: not dan_hears(), 20, "dan has left the group")
        else:
            assert dan_hears()
    finally:
        assert office.call("PUT", "/api/drivers/dan/").status_code == 204
    if stage == "after":
        wait_until(dan_hears, 20, "dan is in the group again")


def test_no_rider_joins_the_drivers(site):
    """What a page that was not changed sends through its socket is answered with an error, and reaches nobody."""
    site = site("taxi", "after")
    anna, dan = site.page("anna").open(), site.page("dan").open()
    for frame in [{"subscribe": "drivers"}, {"type": "create.trip", "data": {"pick_up": "x", "drop_off": "y"}}]:
        anna.socket.send(json.dumps(frame))
        assert list(anna.hear()) == ["error"]
    told = ride(anna, "station")
    assert dan.hear() == told


# Direct: a chat from user to user, whose groups are bare ids.


@both
def test_a_message_for_one_user(site, stage):
    site = site("direct", stage)
    anna, other_tab, ben, carl = (site.page(name).open() for name in ["anna", "anna", "ben", "carl"])
    anna.tell({"to": 2, "text": "hello"})
    told = ben.hear()
    assert told == {"id": told["id"], "from": "anna", "text": "hello"}
    assert anna.hear() == other_tab.hear() == told
    assert ben.call("POST", f"/api/inbox/{told['id']}/read/").status_code == 204
    assert anna.hear() == other_tab.hear() == {"read": told["id"]}
    assert {"id": told["id"], "sender": 1, "text": "hello", "read": True} in ben.call("GET", "/api/inbox/").json()
    # Nothing before it came to carl.
    carl.tell({"to": 3, "text": "a note"})
    assert carl.hear()["text"] == "a note"


@both
def test_a_message_for_nobody(site, stage):
    anna = site("direct", stage).page("anna").open()
    anna.tell({"to": 99, "text": "hello"})
    assert anna.hear() == {"error": "there is no such user"}


@both
def test_a_direct_page_needs_a_token(site, stage):
    site = site("direct", stage)
    for page in [site.stranger(), site.with_token("x"), site.with_token(simple_jwt(SECRET + "x", "2"))]:
        assert page.refused() == {"before": 403, "after": 401}[stage]


def test_a_user_who_is_no_number(site):
    """No token names a group that is not the number of a user."""
    site = site("direct", "after")
    for user in ["sluice.control", "02", "anna", ""]:
        assert site.with_token(simple_jwt(SECRET, user)).refused() in (401, 403)


def test_a_token_that_ends(site):
    """Before, nobody looked at a token again."""
    site = site("direct", "after")
    page = site.with_token(simple_jwt(SECRET, "1", seconds=3)).open()
    assert page.closed() == (4401, "the token has expired")


# Rooms: members in the database, and sessions.


@both
def test_members_talk(site, stage):
    site = site("rooms", stage)
    anna, ben = site.page("anna").open(), site.page("ben").open()
    anna.tell({"text": "hello"})
    assert anna.hear() == ben.hear() == {"user": "anna", "text": "hello"}
    assert {"user": "anna", "text": "hello"} in ben.call("GET", "/api/rooms/1/messages/").json()


@both
def test_who_types(site, stage):
    """The page sends this through its socket as before."""
    site = site("rooms", stage)
    anna, ben = site.page("anna").open("typing/"), site.page("ben").open("typing/")
    anna.socket.send('{"typing": "anna"}')
    assert anna.socket.recv(timeout=20) == ben.socket.recv(timeout=20) == '{"typing": "anna"}'


@both
def test_only_members_come_in(site, stage):
    site = site("rooms", stage)
    carl, anna = site.page("carl"), site.page("anna")
    for path in ["", "typing/"]:
        assert carl.refused(path) == site.stranger().refused(path) == 403
    assert carl.call("GET", "/api/rooms/1/messages/").status_code == 403
    assert anna.call("PUT", "/api/rooms/1/members/carl/").status_code == 204
    carl.open()
    assert anna.call("DELETE", "/api/rooms/1/members/carl/").status_code == 204
    assert carl.refused() == 403


@both
def test_a_membership_that_ends(site, stage):
    """Before, whoever was no member any more heard everything until the page was closed."""
    site = site("rooms", stage)
    anna, carl = site.page("anna"), site.page("carl")
    anna.call("PUT", "/api/rooms/1/members/carl/")
    anna.open(), carl.open()
    assert anna.call("DELETE", "/api/rooms/1/members/carl/").status_code == 204
    if stage == "after":
        assert carl.closed() == (4403, "the permission has ended")
    anna.tell({"text": "carl has left"})
    assert anna.hear()["text"] == "carl has left"
    if stage == "before":
        assert carl.hear()["text"] == "carl has left"


def test_who_logs_out(site):
    anna = site("rooms", "after").page("anna").open()
    page = {"csrfmiddlewaretoken": anna.session.cookies["csrftoken"]}
    anna.session.post(anna.site.url("http", "/accounts/logout/"), page, timeout=20).raise_for_status()
    # REST framework answers a session that has ended with 403.
    assert anna.closed() == (4403, "the permission has ended")


def test_both_at_once(site):
    """While a project is moved, pages on Daphne and pages on Sluice are in the same rooms."""
    anna, ben = site("rooms", "before").page("anna").open(), site("rooms", "after").page("ben").open()
    for page in [anna, ben]:
        page.tell({"text": "hello"})
        assert anna.hear() == ben.hear() == {"user": page.name, "text": "hello"}


# The manual.

MOVED = ROOT / "docs/moved.md"


@both
def test_what_changes_on_the_page(site, stage, tmp_path):
    """The function of the manual, in a browser: what is heard is the same before and after, a mistake too."""
    site = site("taxi", stage)
    tell = dict(zip(["before", "after"], (block.text for block in blocks_of(MOVED) if block.language == "js")))[stage]
    browser = Browser(tmp_path / "profile")
    try:
        page = browser.open(site.url("http", "/healthz/"))
        page.run(f"""
            const token = {json.dumps(site.token("carl"))}, heard = [], received = (frame) => heard.push(frame)
            const socket = new WebSocket(`ws://${{location.host}}/taxi/?token=${{token}}`)
            socket.onmessage = ({{data}}) => received(JSON.parse(data))
            {tell}""")
        page.wait_for("socket.readyState === 1")
        page.run("tell({type: 'create.trip', data: {pick_up: 'station', drop_off: 'harbour'}})")
        page.wait_for("heard.length === 1 && heard[0].type === 'echo.message' && heard[0].data.rider === 'carl'")
        page.run("tell({type: 'create.trip', data: {}})")
        page.wait_for("heard.length === 2 && heard[1].type === 'error.message' && heard[1].data.pick_up")
    finally:
        browser.close()


def lines_of(*names: str) -> int:
    return sum(bool(line.strip()) for name in names for line in (FOLDER / name).read_text().splitlines())


def test_the_manual_shows_what_runs_here():
    files = [file.read_text() for file in FOLDER.rglob("*.*") if file.suffix in (".py", ".yaml")]
    blocks = [block for block in blocks_of(MOVED) if block.language in ("python", "yaml")]
    assert len(blocks) == 7
    for block in blocks:
        # A comment says where the code is from; methods stand deeper in the file.
        text = re.sub(r"^# (before|after): .*\n", "", block.text)
        assert any(text in file or re.sub(r"^(?=.)", "    ", text, flags=re.M) in file for file in files), block.place


def test_the_manual_counts_the_lines():
    projects = list(SET_UP)
    before = ["before/consumers.py", "before/routing.py", "before/asgi.py"]
    rows = {
        "of Python deleted": [lines_of(*(f"{name}/{file}" for file in before), *["tokens.py"] * (name != "rooms")) for name in projects],
        "of Python added": [lines_of(f"{name}/after/views.py", f"{name}/after/urls.py") for name in projects],
        "of `routes.yaml`": [lines_of(f"{name}/after/routes.yaml") for name in projects],
    }
    for row, counts in rows.items():
        assert re.search(rf"^\| lines {row}.*?\| {' . '.join(map(str, counts))} \|$", MOVED.read_text(), re.M), (row, counts)
