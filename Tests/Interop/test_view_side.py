"""The view's side without a gateway: examples/view under gunicorn with sync workers, and the same in Flask. Questions are signed as the manual says."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
import requests

from conftest import ROOT
from redis_stack import wait_until
from views import SOCKETS, Asker, signed

EXAMPLE = ROOT / "examples/view"
SECRET = "the secret of the example, as long as one"


class Gunicorn:
    """gunicorn with two sync workers."""

    def __init__(self, home, folder, module: str, bind: str = "127.0.0.1:0", **env):
        self.env = {**os.environ, "SLUICE_SECRET": SECRET, "DATABASE": str(home / "db.sqlite3"), "PYTHONDONTWRITEBYTECODE": "1", **env}
        command = ["-m", "gunicorn", module, "--bind", bind, "--workers", "2", "--worker-tmp-dir", str(home), "--no-control-socket"]
        self.process = subprocess.Popen([sys.executable, *command], cwd=folder, env=self.env, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if found := re.search(r"Listening at: (?:http://127.0.0.1:(\d+)|unix:)", line):
                self.port = found[1] and int(found[1])
                break
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def manage(env: dict, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "manage.py", *arguments], cwd=EXAMPLE, env={**os.environ, **env}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    home = tmp_path_factory.mktemp("project")
    env = {"DEBUG": "1", "SLUICE_SECRET": SECRET, "DATABASE": str(home / "db.sqlite3"), "PYTHONDONTWRITEBYTECODE": "1"}
    manage(env, "migrate", "--verbosity", "0")
    manage(env, "shell", "-c", "from django.contrib.auth.models import User; from rooms.models import Room; "
           "User.objects.create_user('ann', password='pw'); Room.objects.create(slug='lobby')")  # fmt: skip
    server = Gunicorn(home, EXAMPLE, "config.wsgi", DEBUG="1")
    server.count = lambda model: int(manage(env, "shell", "--no-imports", "-c", f"from rooms.models import *; print({model}.objects.count())"))
    yield server
    server.stop()


def asker(project) -> Asker:
    return Asker(project.url("/ws/rooms/lobby/"), SECRET, user=1)


def test_the_examples_own_tests(tmp_path):
    manage({"DEBUG": "1", "SLUICE_SECRET": "x", "DATABASE": str(tmp_path / "db.sqlite3"), "PYTHONDONTWRITEBYTECODE": "1"}, "test")


def test_migrations_are_complete(tmp_path):
    manage({"DEBUG": "1", "SLUICE_SECRET": "x", "DATABASE": str(tmp_path / "db.sqlite3"), "PYTHONDONTWRITEBYTECODE": "1"},
           "makemigrations", "--check", "--dry-run")  # fmt: skip


def test_a_session(project):
    one = asker(project)
    hello, here = one.connect()
    assert hello["send"]["json"]["type"] == "hello"
    assert here["publish"]["event"]["names"] == ["ann"]
    (said,) = one.receive({"text": "hello"})
    assert said["publish"] == {"group": "room_lobby", "event": {"type": "chat.message", "message": said["publish"]["event"]["message"]}}
    assert asker(project).connect()[0]["send"]["json"]["messages"][-1]["text"] == "hello"
    assert one.ask("alive", addresses=[one.record["address"]], part=1, parts=1, interval=60) == {}
    assert one.ask("check") == {}
    (left,) = one.disconnect()
    assert left["publish"]["event"]["names"] == ["ann"]


def test_the_same_question_many_times_at_once(project):
    one, before = asker(project), project.count("Message")
    question = one.question("receive", messages=[one.message({"text": "once"})])
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda attempt: asker(project).post(question | {"attempt": attempt}), range(1, 49)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert project.count("Message") == before + 1


def test_another_worker_waits_for_the_first_attempt(house):
    """The first attempt is still running: the second one does not begin, and has the same answer."""
    question_of = Asker(house.gunicorn.url("/ws/rpc/"))
    call = {"jsonrpc": "2.0", "id": 1, "method": "notes.save", "params": ["slow", 1.5]}
    question = question_of.question("receive", messages=[question_of.message(call)])
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda attempt: Asker(house.gunicorn.url("/ws/rpc/")).post(question | {"attempt": attempt}), [1, 2])
    assert first.status_code == 200 and first.content == second.content
    assert sum(row["text"] == "slow" for row in house.rows("rpc.Note")) == 1


def is_locked(file) -> bool:
    """Whether a transaction is open that has written."""
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=0)) as connection:
            connection.execute("BEGIN IMMEDIATE")
        return False
    except sqlite3.OperationalError:
        return True


def test_a_worker_is_killed_while_it_works(house):
    """What it had written is not in the database, and neither is its answer: the next attempt does it."""
    one = Asker(house.gunicorn.url("/ws/rpc/"))
    call = {"jsonrpc": "2.0", "id": 1, "method": "notes.save", "params": ["killed", 3]}
    question = one.question("receive", messages=[one.message(call)])
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(one.post, question)
        wait_until(lambda: is_locked(house.home / "site/db.sqlite3"), 20, "it works, and has its row written")
        house.gunicorn.kill_workers()
        with pytest.raises(requests.ConnectionError):
            first.result()
    assert Asker(house.gunicorn.url("/ws/rpc/")).post(question | {"attempt": 2}).status_code == 200
    assert sum(row["text"] == "killed" for row in house.rows("rpc.Note")) == 1


def raw(project, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", project.port), timeout=20) as sock:
        sock.sendall(request)
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def request_of(question: dict, target: str, length: int | None = None, cut: int | None = None, **more) -> bytes:
    body = json.dumps(question).encode()
    fields = {"Host": "127.0.0.1", "Connection": "close", **signed(SECRET, question["id"], target, body), **more}
    fields["Content-Length"] = str(len(body) if length is None else length)
    head = f"POST {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
    return head.encode("latin-1") + body[:cut]


def test_an_answer_that_is_lost(project):
    """Whoever asked goes away before the answer comes. The same question again gets it."""
    one, before = asker(project), project.count("Message")
    question = one.question("receive", messages=[one.message({"text": "lost"})])
    with socket.create_connection(("127.0.0.1", project.port)) as sock:
        sock.sendall(request_of(question, one.target))
    wait_until(lambda: project.count("Message") == before + 1, 20, "it was handled")
    said = one.post(question | {"attempt": 2}).json()["do"][0]["publish"]["event"]["message"]["text"]
    assert (said, project.count("Message")) == ("lost", before + 1)


def test_forged_replayed_and_truncated_questions(project):
    one = asker(project)
    rows = [project.count("Message"), project.count("Answer")]
    question = lambda: one.question("receive", messages=[one.message({"text": "evil"})])  # noqa: E731

    def status(request: bytes) -> int:
        answer = raw(project, request)
        return int(answer.split()[1]) if answer else 0

    def post(**options) -> int:
        return one.post(question(), **options).status_code

    assert post(sent_at=int(time.time()) - 61) == post(sent_at=int(time.time()) + 70) == 401
    assert post(change=lambda headers, body: body[:-1] + b" }") == 401
    assert post(change=lambda headers, body: body[: len(body) // 2]) == 401
    assert post(change=lambda headers, body: headers.pop("X-Sluice-Signature") and body) == 401
    assert post(change=lambda headers, body: headers.update({"X-Sluice-Id": "1"}) or body) == 401
    # A field with `_` is not the field with `-`.
    assert post(change=lambda headers, body: headers.update({"X_Sluice_Signature": headers.pop("X-Sluice-Signature")}) or body) == 401
    # Half a body: less than the length says, or a shorter length.
    assert status(request_of(question(), one.target, cut=40)) in (0, 400, 401)
    assert status(request_of(question(), one.target, length=40)) == 401
    # For another view, or the same one written in another way.
    for target in ["/ws/rooms/lobby/history/", "/ws/rooms/lobby/?", "/ws/rooms/%6cobby/"]:
        asked = question()
        assert status(request_of(asked, one.target).replace(one.target.encode(), target.encode(), 1)) in (401, 404), target
    # A client cannot ask through the gateway's own fields either: it does not know the secret.
    assert Asker(one.url, "another secret", user=1).post(question()).status_code == 401
    assert [project.count("Message"), project.count("Answer")] == rows

    # Replayed: nothing happens a second time.
    asked = question()
    first, again = one.post(asked), one.post(asked)
    assert (first.content, project.count("Message")) == (again.content, rows[0] + 1)


def test_the_target_is_compared_as_it_was_sent(project):
    """Django sees `lobby` in both; the signature is about the bytes."""
    one = asker(project)
    for target in ["/ws/rooms/%6cobby/", "/ws/rooms/lobby/?a=%2C,&b=~%7E"]:
        question = one.question("receive", messages=[one.message({"text": "hello"})])
        assert raw(project, request_of(question, target)).split()[1] == b"200", target


def test_two_mebibytes_fit_into_djangos_default(house):
    one = Asker(house.gunicorn.url("/ws/rpc/"))
    text = "x" * (2_097_152 - 1000)
    (answer,) = one.receive(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "add", "params": ["", text]}))
    assert answer["send"]["json"]["result"] == text


def test_over_a_unix_socket(project, tmp_path):
    path = tmp_path / "view.sock"
    server = Gunicorn(tmp_path, EXAMPLE, "config.wsgi", bind=f"unix:{path}", DEBUG="1", DATABASE=project.env["DATABASE"])
    try:
        connection = http.client.HTTPConnection("127.0.0.1")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(20)
        connection.sock.connect(str(path))
        one = asker(project)
        question = one.question("receive", messages=[one.message({"text": "over a socket"})])
        body = json.dumps(question).encode()
        connection.request("POST", one.target, body, signed(SECRET, question["id"], one.target, body))
        answer = json.load(connection.getresponse())
        assert answer["do"][0]["publish"]["event"]["message"]["text"] == "over a socket"
    finally:
        server.stop()


def test_the_same_in_flask(tmp_path):
    server = Gunicorn(tmp_path, EXAMPLE / "flask", "app:app")
    try:
        one = Asker(server.url("/ws/rooms/lobby/"), SECRET)
        assert one.connect() == [{"send": {"json": {"messages": []}}}]
        question = one.question("receive", messages=[one.message("hello"), one.message("you")])
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda attempt: Asker(one.url, SECRET).post(question | {"attempt": attempt}), range(1, 17)))
        assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
        assert answers[0].json()["do"] == [{"publish": {"group": "room_lobby", "message": text}} for text in ["hello", "you"]]
        assert Asker(one.url, SECRET).connect() == [{"send": {"json": {"messages": ["hello", "you"]}}}]
        # A binary message does no harm.
        assert one.ask("receive", messages=[{"n": 3, "bytes": "AP8="}]) == {"do": []}
        for forged in [Asker(one.url, SECRET + "x"), Asker(one.url, "")]:
            refused = forged.post(forged.question("connect"))
            assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Sluice")
        for age in [-70, 70]:
            assert one.post(one.question("connect"), sent_at=int(time.time()) + age).status_code == 401
        for signature in ["", "v1=\xe9", "v2=00"]:
            change = lambda headers, body, signature=signature: headers.update({"X-Sluice-Signature": signature.encode("latin-1")}) or body  # noqa: E731
            assert one.post(one.question("connect"), change=change).status_code == 401
    finally:
        server.stop()


def test_flask_takes_some_thirty_lines():
    code = (EXAMPLE / "flask/app.py").read_text().split("app = Flask", 1)[1]
    assert sum(bool(line.strip()) and not line.strip().startswith("#") for line in code.splitlines()) <= 40


def test_one_file_is_copied():
    """`sockets.py` needs nothing but Django."""
    imported = set(re.findall(r"^\s*(?:from|import) (\w+)", SOCKETS.read_text().split('"""', 2)[2], re.M))
    assert imported - set(sys.stdlib_module_names) == {"django"}


def test_what_the_six_apps_answer(house):
    """In the order in which it is done: what is announced before joining, and before leaving."""

    def session(path: str, **record) -> Asker:
        return Asker(house.gunicorn.url(path), user=1, **record)

    chat = session("/ws/chat/")
    came = {"type": "chat.join", "room_id": 1, "username": "anna"}
    assert chat.receive({"command": "join", "room": 1}) == [
        {"publish": {"group": "room_1", "event": came}}, {"join": "room_1"}, {"send": {"json": {"join": "1", "title": "the garden"}}},
    ]  # fmt: skip
    assert chat.receive({"command": "send", "room": 1, "message": "x"}) == [{"send": {"json": {"error": "ROOM_ACCESS_DENIED"}}}]
    chat.record["groups"] = ["room_1"]
    left = {"publish": {"group": "room_1", "event": came | {"type": "chat.leave"}}}
    assert chat.receive({"command": "leave", "room": 1}) == [left, {"leave": "room_1"}, {"send": {"json": {"leave": "1"}}}]
    assert chat.disconnect() == [left]

    taxi = session("/ws/taxi/")
    asked = taxi.receive({"type": "create.trip", "data": {"start": "station"}})
    trip = asked[0]["publish"]["event"]["data"]
    assert asked[1:] == [{"join": str(trip["id"])}, {"send": {"json": {"type": "echo.message", "data": trip}}}]
    assert taxi.connect() == [{"join": str(trip["id"])}]

    board = session("/ws/board/1/")
    assert board.connect() == [{"send": {"json": {"type": "board", "strokes": []}}}]
    assert board.ask("receive", messages=[{"n": 1, "bytes": "AP8="}])["do"] == [{"publish": {"group": "board_1", "bytes": "AP8=", "to": "others"}}]

    notices = session("/ws/notices/")
    assert notices.connect() == [{"send": {"json": {"unread": 0, "last": 0}}}]
    assert notices.receive({"read": 1}) == [{"publish": {"group": "user_1", "event": {"type": "notices_count", "unread": 0}}}]

    here, tab = session("/ws/presence/hall/"), session("/ws/presence/hall/")
    assert here.connect() == tab.connect() == [{"publish": {"group": "presence_hall", "event": {"type": "presence.list", "names": ["anna"]}}}]
    assert here.disconnect()[0]["publish"]["event"]["names"] == ["anna"]
    assert tab.disconnect()[0]["publish"]["event"]["names"] == []
