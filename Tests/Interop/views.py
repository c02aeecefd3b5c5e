"""Questions to a view without a gateway, signed as the manual says; and the six apps of `view_projects` with all that they need."""

import contextlib
import hashlib
import hmac
import itertools
import json
import os
import pathlib
import secrets
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest
import requests

from conftest import ROOT
from redis_stack import RedisServer, wait_until
from wsgi import ChannelsProject, Project

FOLDER = pathlib.Path(__file__).parent / "view_projects"
SOCKETS = ROOT / "examples/view/rooms/sockets.py"
SECRET = "the secret of the six apps, between the gateway and their views"


def signed(secret: str, id: str, target: str, body: bytes, sent_at: int | None = None) -> dict:
    """The fields of a question, computed from its description and not with `sockets.py`."""
    sent_at = int(time.time()) if sent_at is None else sent_at
    text = f"1\n{sent_at}\n{id}\nPOST\n{target}\n".encode() + body
    return {
        "Content-Type": "application/json", "X-Sluice-Version": "1", "X-Sluice-Id": id, "X-Sluice-Time": str(sent_at),
        "X-Sluice-Signature": "v1=" + hmac.new(secret.encode(), text, hashlib.sha256).hexdigest(),
    }  # fmt: skip


class Asker:
    """One session as a view sees it: `asker.ask("connect")` is the answer of the view."""

    def __init__(self, url: str, secret: str = SECRET, user: int | None = None, session=None, **record):
        self.url, self.secret, self.session = url, secret, session or requests.Session()
        self.target = requests.Request("POST", url).prepare().path_url
        address = f"specific.test!{secrets.token_hex(16)}"
        self.record = {"route": "test", "address": address, "path": self.target, "query": "", "captures": {},
                       "user": None if user is None else str(user), "claims": None, "groups": [], "state": None, **record}  # fmt: skip
        self.ids, self.numbers = (f"{secrets.token_hex(16)}-{n}" for n in itertools.count(1)), itertools.count(1)

    def question(self, event: str, **members) -> dict:
        return {"version": 1, "event": event, "id": next(self.ids), "attempt": 1, "time": time.time(), **self.record, **members}

    def post(self, question: dict, sent_at: int | None = None, change=lambda headers, body: body) -> requests.Response:
        body = json.dumps(question).encode()
        headers = signed(self.secret, question["id"], self.target, body, sent_at)
        return self.session.post(self.url, change(headers, body), headers=headers, timeout=60)

    def ask(self, event: str, **members):
        answer = self.post(self.question(event, **members))
        assert answer.status_code in (200, 204), (answer.status_code, answer.text)
        said = answer.json() if answer.content else {}
        self.record["state"] = said.get("state", self.record["state"])
        return said

    def connect(self) -> list:
        return self.ask("connect", subprotocols=[], client="127.0.0.1").get("do", [])

    def message(self, content) -> dict:
        return {"n": next(self.numbers), "text": content if isinstance(content, str) else json.dumps(content)}

    def receive(self, *contents) -> list:
        return self.ask("receive", messages=[self.message(content) for content in contents]).get("do", [])

    def disconnect(self) -> list:
        return self.ask("disconnect", code=1001, reason="", duration=1.5).get("do", [])


SET_UP = """
from django.contrib.auth.models import Group, User
from multichat.models import Room
for name in ["anna", "ben", "carl", "dan"]: User.objects.create_user(name, password="pw")
User.objects.get(username="dan").groups.add(Group.objects.create(name="drivers"))
Room.objects.create(title="the garden")
Room.objects.create(title="the office", staff_only=True)
"""


class SyncProject(Project):
    """gunicorn with sync workers: each one answers one question at a time."""

    workers = 2

    def server(self, site: str, home: pathlib.Path) -> list[str]:
        return ["gunicorn", f"{site}.wsgi", "--bind", "127.0.0.1:0", "--workers", str(self.workers), "--worker-tmp-dir", str(home), "--no-control-socket"]

    def worker_ids(self) -> set[int]:
        listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True).stdout
        return {int(worker) for worker in listed.split()}

    def kill_workers(self) -> None:
        """Kills them wherever they are; others take their places."""
        for worker in self.worker_ids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)

    def reload(self) -> None:
        """As `systemctl reload` does: new workers with new settings, and the old ones end when they have answered."""
        old = self.worker_ids()
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not old & self.worker_ids(), 60, "the old workers have ended")


class House:
    """The six apps: a database, a Redis, Daphne with their consumers, gunicorn with their views. What is not asked for is not started."""

    def __init__(self, home: pathlib.Path, env: dict = {}):
        """`env` says where the database is; unless it does, that is a file."""
        self.home, self.redis, self.running, self.env = home, RedisServer(home / "redis"), {}, env
        self.code = home / "code"
        shutil.copytree(FOLDER, self.code, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(SOCKETS, self.code / "house/sockets.py")

    def server(self, kind: type[Project]) -> Project:
        if kind not in self.running:
            path = f"{self.code}{os.pathsep}{FOLDER.parent / 'moved_projects'}"
            env = {"REDIS_URL": self.redis.url(), "PYTHONPATH": path, **self.env}
            set_up = None if (self.home / "site").exists() else SET_UP
            self.running[kind] = kind(self.home / "site", self.code, "house", set_up, "/healthz/", env)
        return self.running[kind]

    @property
    def daphne(self) -> Project:
        return self.server(ChannelsProject)

    @property
    def gunicorn(self) -> Project:
        return self.server(SyncProject)

    def rows(self, model: str) -> list[dict]:
        return self.server(SyncProject).get(f"/api/rows/{model}/")["rows"]

    def addresses(self, model: str) -> set[str]:
        """Those in the rows of a model, without asking the servers, which have work to do."""
        table = model.lower().replace(".", "_")
        with contextlib.closing(sqlite3.connect(self.home / "site/db.sqlite3", timeout=20)) as database:
            return {address for (address,) in database.execute(f"SELECT address FROM {table}")}

    def stop(self) -> None:
        for server in self.running.values():
            server.stop()
        self.redis.stop()


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("house"))
    yield house
    house.stop()
