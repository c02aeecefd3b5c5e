"""examples/view end to end: the chat behind Sluice, in a browser too, and the same in Flask."""

import json
import os
import subprocess

import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from browser import Browser
from conftest import ROOT, SLUICE
from test_view_side import EXAMPLE, SECRET, Gunicorn, manage

SET_UP = """
from django.contrib.auth.models import User; from rooms.models import Room
for name in ["ann", "bob"]: User.objects.create_user(name, password="pw")
Room.objects.create(slug="lobby")
"""


class Site:
    """The project under gunicorn, and the gateway in front of it."""

    def __init__(self, start, home):
        env = {"DEBUG": "1", "SLUICE_SECRET": SECRET, "DATABASE": str(home / "db.sqlite3"), "PYTHONDONTWRITEBYTECODE": "1"}
        manage(env, "migrate", "--verbosity", "0")
        manage(env, "shell", "-c", SET_UP)
        self.web = Gunicorn(home, EXAMPLE, "config.wsgi", DEBUG="1")
        self.env = {**env, "WEB": self.web.url("")}
        self.gateway = start(file=EXAMPLE / "routes.yaml", env=self.env)

    def log_in(self, name: str) -> requests.Session:
        session = requests.Session()
        login = self.gateway.http("/accounts/login/")
        session.get(login, timeout=40).raise_for_status()
        form = {"username": name, "password": "pw", "csrfmiddlewaretoken": session.cookies["csrftoken"]}
        session.post(login, form, headers={"Referer": login}, timeout=20).raise_for_status()
        return session

    def open(self, name: str = "", path: str = "/ws/rooms/lobby/"):
        cookies = "; ".join(f"{item.name}={item.value}" for item in self.log_in(name).cookies) if name else ""
        return connect(self.gateway.ws(path), proxy=None, open_timeout=20, additional_headers={"Cookie": cookies} if name else {})


@pytest.fixture
def site(start, tmp_path):
    site = Site(start, tmp_path)
    yield site
    site.web.stop()


def hear(socket) -> dict:
    return json.loads(socket.recv(timeout=20))


def test_a_chat_that_is_saved(site):
    with site.open("ann") as ann:
        assert hear(ann) == {"type": "hello", "messages": []}
        assert hear(ann) == {"type": "here", "names": ["ann"], "change": 1}
        with site.open("bob") as bob:
            assert [hear(bob)["type"], hear(bob)] == ["hello", {"type": "here", "names": ["ann", "bob"], "change": 2}]
            assert hear(ann)["names"] == ["ann", "bob"]
            bob.send('{"text": "hello"}')
            said = hear(ann)
            assert said == hear(bob) == {"type": "message", "message": {"id": 1, "user": "bob", "text": "hello"}}
            bob.send('{"type": "typing"}')
            assert hear(ann) == {"type": "typing", "user": "bob"}
            for mistake in ["{", '{"text": ""}']:
                bob.send(mistake)
                assert list(hear(bob)) == ["error"]
        assert hear(ann) == {"type": "here", "names": ["ann"], "change": 3}
    with site.open("bob") as bob:
        assert hear(bob)["messages"] == [said["message"]]
    with site.open("bob", "/ws/rooms/lobby/history/") as history:
        history.send('{"before": 2}')
        assert hear(history) == {"messages": [said["message"]]}
        history.send('{"before": "x"}')
        assert list(hear(history)["errors"]) == ["before"]


def test_who_is_not_let_in(site):
    for name, path, status in [("", "/ws/rooms/lobby/", 401), ("ann", "/ws/rooms/cellar/", 404)]:
        with pytest.raises(InvalidStatus) as caught:
            site.open(name, path)
        assert caught.value.response.status_code == status


OTHER = "another secret, as long as the one of the view"


def test_another_secret_is_not_the_fault_of_the_client(site, start):
    site.gateway = start(file=EXAMPLE / "routes.yaml", env={**site.env, "SLUICE_SECRET": OTHER})
    with pytest.raises(InvalidStatus) as caught:
        site.open("ann")
    assert caught.value.response.status_code == 503
    assert b"signature" not in caught.value.response.body
    assert site.gateway.says("the view did not accept the signature", "compare the secret of the route with the view's")


def test_a_visitor_cannot_ask_the_view(site):
    """The proxy leads to it, and takes away the fields with which the gateway signs."""
    answer = requests.post(site.gateway.http("/ws/rooms/lobby/"), json={"event": "check"}, headers={"X-Sluice-Signature": "v1=00"}, timeout=20)
    assert (answer.status_code, list(answer.json())) == (401, ["error"])


def test_validate_asks_the_view(site):
    def validate(**env) -> subprocess.CompletedProcess:
        command = [SLUICE, "validate", "--connect", "routes.yaml"]
        return subprocess.run(command, cwd=EXAMPLE, env={**os.environ, **site.env, **env}, capture_output=True, text=True, timeout=60)

    done = validate()
    assert done.returncode == 0, done.stdout + done.stderr
    done = validate(SLUICE_SECRET=OTHER)
    assert done.returncode != 0 and "401" in done.stdout + done.stderr, done.stdout + done.stderr


def test_the_page_in_a_browser(site, tmp_path):
    browser = Browser(tmp_path / "profile")
    try:
        page = browser.open(site.gateway.http("/rooms/lobby/"))
        page.run("for (const name of ['username', 'password']) document.forms[0].elements[name].value = {username: 'ann', password: 'pw'}[name]")
        page.click("button")
        page.wait_for("document.querySelector('#state')?.textContent === 'open'")
        with site.open("bob") as bob:
            page.wait_for("find('here').textContent === 'ann, bob'")
            page.run("form.elements.text.value = 'hello'; form.dispatchEvent(new Event('input')); form.requestSubmit()")
            page.wait_for("find('messages').textContent === 'ann: hello'")
            heard = [hear(bob)["type"] for _ in range(4)]
            assert heard == ["hello", "here", "typing", "message"]
            bob.send('{"type": "typing"}')
            page.wait_for("find('typing').textContent === 'bob is typing'")
            bob.send('{"text": "<b>you</b>"}')
            page.wait_for("find('messages').lastChild.textContent === 'bob: <b>you</b>' && !find('typing').textContent")
        page.wait_for("find('here').textContent === 'ann'")
    finally:
        browser.close()


def test_flask_behind_the_gateway(start, tmp_path):
    server = Gunicorn(tmp_path, EXAMPLE / "flask", "app:app")
    try:
        gateway = start(file=EXAMPLE / "flask/routes.yaml", env={"WEB": server.url(""), "SLUICE_SECRET": SECRET})
        url = gateway.ws("/ws/rooms/lobby/")
        with connect(url, proxy=None) as one, connect(url, proxy=None) as two:
            assert hear(one) == hear(two) == {"messages": []}
            one.send("hello")
            assert hear(one) == hear(two) == {"message": "hello"}
        with connect(url, proxy=None) as late:
            assert hear(late) == {"messages": ["hello"]}
    finally:
        server.stop()


def test_its_file_is_valid():
    for file in ["routes.yaml", "flask/routes.yaml"]:
        done = subprocess.run([SLUICE, "validate", "--strict", str(EXAMPLE / file)], capture_output=True, text=True, cwd=ROOT,
                              env={**os.environ, "SLUICE_SECRET": SECRET}, timeout=60)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
