"""examples/notifications end to end: Django issues tokens, the gateway verifies them, and no user misses a notification."""

import json
import os
import subprocess
import sys

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from browser import Browser
from conftest import ROOT, SLUICE
from redis_stack import free_port, wait_until

EXAMPLE = ROOT / "examples/notifications"
SECRETS = {"SIGNING_KEY": "a signing key of more than thirty-two bytes", "PUBLISH_TOKEN": "the-token-of-the-example"}


class Site:
    """The project under gunicorn, and the gateway in front of it."""

    def __init__(self, start, home):
        self.port, back = free_port(), free_port()
        self.env = {
            **os.environ, **SECRETS, "DEBUG": "1", "DATABASE": str(home / "db.sqlite3"), "PYTHONDONTWRITEBYTECODE": "1",
            "PUBLISH_URL": f"http://127.0.0.1:{self.port}/internal/publish/", "WEB": f"http://127.0.0.1:{back}",
            "BIND": f"127.0.0.1:{self.port}",
        }  # fmt: skip
        self.manage("migrate", "--verbosity", "0")
        for user in ["ann", "bob"]:
            self.env["DJANGO_SUPERUSER_PASSWORD"] = "pw"
            self.manage("createsuperuser", "--noinput", "--username", user, "--email", f"{user}@example.com")
        self.log = (home / "gunicorn.log").open("w")
        command = ["-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{back}", "--threads", "4", "--worker-tmp-dir", str(home)]
        self.web = subprocess.Popen(
            [sys.executable, *command, "--no-control-socket"], cwd=EXAMPLE, env=self.env, stdout=self.log, stderr=self.log
        )
        self.gateway = start(file=EXAMPLE / "routes.yaml", env=self.env, bind=f"127.0.0.1:{self.port}")
        wait_until(lambda: self.post("/api/token/").status_code == 400, 40, "gunicorn answers")

    def manage(self, *arguments: str) -> None:
        subprocess.run([sys.executable, "manage.py", *arguments], cwd=EXAMPLE, env=self.env, check=True, timeout=60)

    def post(self, path: str, body: dict | None = None, token: str | None = None) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.post(self.gateway.http(path), json=body or {}, headers=headers, timeout=20)

    def log_in(self, user: str) -> str:
        return self.post("/api/token/", {"username": user, "password": "pw"}).json()["access"]

    def listen(self, token: str, since: str | None = None):
        url = self.gateway.ws("/ws/notifications/") + ("" if since is None else f"?since={since}")
        return connect(url, subprotocols=[f"bearer.{token}"], compression=None, proxy=None, open_timeout=20)

    def stop(self) -> None:
        self.web.terminate()
        self.web.wait(15)
        self.log.close()


@pytest.fixture
def site(start, tmp_path):
    site = Site(start, tmp_path)
    yield site
    site.stop()


def notifications(socket, count: int) -> list[dict]:
    """Frames with a notification. Other frames only contain the client's position."""
    frames = []
    while len(frames) < count:
        frame = json.loads(socket.recv(timeout=20))
        if "notification" in frame:
            frames.append(frame)
        else:
            assert frame["history"]["gap"] is False
    return frames


def texts(frames: list[dict]) -> list[str]:
    return [frame["notification"]["text"] for frame in frames]


def test_who_was_away_finds_everything_once(site):
    ann, bob = site.log_in("ann"), site.log_in("bob")

    def send(text: str) -> None:
        answer = site.post("/api/notifications/", {"to": "bob", "text": text}, ann)
        assert answer.status_code == 201, answer.text

    send("before the first login")
    with site.listen(bob, since="") as first, site.listen(bob) as plain, site.listen(ann, since="") as other:
        send("while it is open")
        frames = notifications(first, 2)
        assert texts(frames) == ["before the first login", "while it is open"]
        assert texts(notifications(plain, 2)) == texts(frames)
    last = frames[-1]["id"]
    for number in range(5):
        send(f"missed {number}")
    with site.listen(bob, since=last) as again:
        send("and on")
        assert texts(notifications(again, 6)) == [*(f"missed {number}" for number in range(5)), "and on"]
    stored = requests.get(site.gateway.http("/api/notifications/"), headers={"Authorization": f"Bearer {bob}"}, timeout=20).json()
    assert len(stored) == 8


def test_tokens_are_those_of_django(site):
    for token in ["nonsense", site.log_in("ann") + "x"]:
        with pytest.raises(InvalidStatus) as refused:
            site.listen(token)
        assert refused.value.response.status_code == 401
    with pytest.raises(InvalidStatus) as refused:
        connect(site.gateway.ws("/ws/notifications/"), proxy=None)
    assert refused.value.response.status_code == 401


def test_logging_out_closes_every_window(site):
    ann, bob = site.log_in("ann"), site.log_in("bob")
    with site.listen(ann) as one, site.listen(ann) as two, site.listen(bob) as other:
        assert site.post("/api/logout/", token=ann).status_code == 204
        for socket in [one, two]:
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(timeout=20)
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4403, "logged out")
        assert other.ping().wait(10)


def test_from_the_command_line(site):
    bob = site.log_in("bob")
    with site.listen(bob) as socket:
        event = {"type": "notification", "notification": {"text": "from a script"}}
        command = [SLUICE, "send", "routes.yaml", "user_2", "--event", json.dumps(event)]
        done = subprocess.run(command, cwd=EXAMPLE, env=site.env, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0 and done.stdout.startswith("user_2: 1 session, id "), (done.stdout, done.stderr)
        assert texts(notifications(socket, 1)) == ["from a script"]


def test_the_page_is_served(site):
    assert "app.js" in requests.get(site.gateway.http("/"), timeout=20).text
    assert requests.get(site.gateway.http("/page/app.js"), timeout=20).status_code == 200


def test_the_examples_own_tests(tmp_path):
    done = subprocess.run(
        [sys.executable, "manage.py", "test"], cwd=EXAMPLE, capture_output=True, text=True, timeout=120,
        env={**os.environ, **SECRETS, "DEBUG": "1", "DATABASE": str(tmp_path / "db.sqlite3"), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


LISTED = "JSON.stringify([...document.querySelectorAll('#notifications li')].map((line) => line.lastChild.textContent))"


def test_the_page_in_a_browser(site, tmp_path):
    ann = site.log_in("ann")

    def send(text: str) -> None:
        assert site.post("/api/notifications/", {"to": "bob", "text": text}, ann).status_code == 201

    def log_in(page) -> None:
        page.run("for (const name of ['username', 'password']) document.forms.login.elements[name].value = {username: 'bob', password: 'pw'}[name]")
        page.run("document.forms.login.requestSubmit()")
        page.wait_for("document.querySelector('#state').textContent === 'logged in as bob'")

    browser = Browser(tmp_path / "profile")
    try:
        page = browser.open(site.gateway.http("/page/"))
        log_in(page)
        send("one")
        page.wait_for(f"{LISTED} === '[\"one\"]'")
        # After a reconnect, only new notifications.
        page.go("about:blank")
        send("two")
        page.go(site.gateway.http("/page/"))
        log_in(page)
        page.wait_for(f"{LISTED} === '[\"two\"]'")
        page.click("#logout")
        page.wait_for("document.querySelector('#state').textContent === 'logged out'")
        assert page.run("document.querySelector('#login').hidden") is False
    finally:
        browser.close()
