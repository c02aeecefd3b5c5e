"""What a view answers about an open session: when each view is asked, groups that it may not name, and users who are kept out."""

import json
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tokens import simple_jwt

KEY = "a signing key of more than thirty-two bytes"
TOKEN = "a-token-for-tests"
CONFIG = """
installed_apps: [broadcast, echo]
channel_layers: {default: {backend: memory}}
auth:
  site: {callback: {url: "VIEWS/me/", recheck: 1s}}
  listed: {callback: {url: "VIEWS/listed/", recheck: 1s}}
  rarely: {callback: {url: "VIEWS/rarely/", recheck: 1h}}
  once: {callback: {url: "VIEWS/once/"}}
  slow: {callback: {url: "VIEWS/slow/", recheck: 1s, timeout: 20s}}
  tokens: {jwt: {secret: {env: SIGNING_KEY}, from: [message], expiry: renew}}
applications:
  main:
    http:
      - {path: api/, publish: {groups: ["room_*"], token: {env: PUBLISH_TOKEN}, allow: [publish, disconnect]}}
    websocket:
      - {path: ws/rooms/, consumer: broadcast, group: "own_{user}", publish: nobody, shared: true, auth: site, groups_from_view: ["room_<int:room>"]}
      - {path: ws/plain/, consumer: broadcast, group: "own_{user}", publish: nobody, shared: true, auth: site}
      - {path: ws/listed/, consumer: broadcast, group: ["room_{claims.rooms}", "all_{user}"], publish: nobody, shared: true, auth: listed}
      - {path: ws/only/, consumer: broadcast, group: "room_{claims.rooms}", publish: nobody, shared: true, auth: listed}
      - {path: ws/times/, consumer: echo, auth: rarely, permission: {url: "VIEWS/may/", recheck: 1s}}
      - {path: ws/over/, consumer: echo, auth: once, permission: {url: "VIEWS/over/"}}
      - {path: ws/forbidden/, consumer: echo, auth: once, permission: {url: "VIEWS/forbidden/"}}
      - {path: ws/slow/, consumer: echo, auth: slow}
      - {path: ws/tokens/, consumer: echo, auth: tokens, permission: {url: "VIEWS/busy/"}}
"""


class Views:
    """Answers with what `answers` has for the path: an object, or a status."""

    def __init__(self):
        self.answers = {"/me/": {"id": 5, "groups": ["room_1"]}, "/rarely/": {"id": 5}, "/once/": {"id": 5}, "/forbidden/": 403}
        self.answers |= {"/may/": {}, "/over/": {}, "/listed/": {"id": 5, "rooms": [7, 8]}, "/slow/": {"id": 5}, "/busy/": {}}
        # Cleared, it holds the answers of /slow/ back.
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.asked: list[str] = []
        views = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.partition("?")[0]
                views.asked.append(path)
                if path == "/slow/":
                    views.goes_on.wait(15)
                answer = views.answers[path]
                body = b"" if isinstance(answer, int) else json.dumps(answer).encode()
                self.send_response(answer if isinstance(answer, int) else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait_for(self, path: str, count: int) -> None:
        """Waits until the view was asked so often since now."""
        count += self.asked.count(path)
        deadline = time.monotonic() + 30
        while self.asked.count(path) < count:
            assert time.monotonic() < deadline, self.asked
            time.sleep(0.01)


@pytest.fixture
def views():
    views = Views()
    yield views
    views.goes_on.set()
    views.server.shutdown()


@pytest.fixture
def gateway(start, views):
    return start(text=CONFIG.replace("VIEWS", f"http://127.0.0.1:{views.server.server_port}"), env={"PUBLISH_TOKEN": TOKEN, "SIGNING_KEY": KEY})


def order(gateway, path: str, body: dict) -> dict:
    answer = requests.post(gateway.http(path), json=body, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()


def hears(gateway, session, group: str) -> bool:
    order(gateway, "/api/", {"group": group, "message": group})
    try:
        session.recv(timeout=1)
        return True
    except TimeoutError:
        return False


def test_groups_that_a_route_does_not_take_are_passed_over_and_told_once(gateway):
    for _ in range(2):
        with connect(gateway.ws("/ws/plain/")) as session:
            assert not hears(gateway, session, "room_1")
    assert len([line for line in gateway.log if "passes over" in line and "groups_from_view" in line]) == 1


def close_of(session) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as closed:
        session.recv(timeout=30)
    return closed.value.rcvd.code, closed.value.rcvd.reason


@pytest.mark.parametrize("groups", [["room_2", "secret"], "room_2", None, [1.5], {}])
def test_an_answer_that_cannot_be_used_changes_nothing(gateway, views, groups):
    with connect(gateway.ws("/ws/rooms/")) as session:
        assert hears(gateway, session, "room_1")
        views.answers["/me/"] = {"id": 5, "groups": groups}
        assert gateway.says("an upstream did not answer as expected", "auth=site", "groups")
        assert hears(gateway, session, "room_1") and not hears(gateway, session, "room_2")
        with pytest.raises(InvalidStatus) as refused:
            connect(gateway.ws("/ws/rooms/"))
        assert refused.value.response.status_code == 503
        # Where the view names no groups, what is called so is its own.
        connect(gateway.ws("/ws/plain/")).close()
        views.answers["/me/"] = {"id": 5, "groups": ["room_2"]}
        views.wait_for("/me/", 2)
        assert hears(gateway, session, "room_2")


def test_a_session_leaves_the_first_of_a_list_and_stays_open(gateway, views):
    with connect(gateway.ws("/ws/listed/")) as session:
        assert hears(gateway, session, "room_7") and hears(gateway, session, "room_8")
        for rooms in [[8], [9, 8], [9]]:
            views.answers["/listed/"] = {"id": 5, "rooms": rooms}
            views.wait_for("/listed/", 2)
            heard = [room for room in [7, 8, 9] if hears(gateway, session, f"room_{room}")]
            assert heard == sorted(rooms)
        # It is still in the group behind the list.
        views.answers["/listed/"] = {"id": 5, "rooms": []}
        views.wait_for("/listed/", 2)
        assert not hears(gateway, session, "room_9")


def test_a_session_that_is_left_in_no_group_comes_again(gateway, views):
    with connect(gateway.ws("/ws/only/")) as session:
        assert hears(gateway, session, "room_7")
        views.answers["/listed/"] = {"id": 5, "rooms": [9]}
        assert close_of(session) == (1012, "the groups of this user have changed, please reconnect")


def test_a_user_who_is_kept_out_of_a_group_does_not_get_in_by_a_view(gateway, views):
    with connect(gateway.ws("/ws/rooms/")) as session:
        order(gateway, "/api/disconnect", {"user": "5", "group": "room_3", "for": "10m", "reason": "be nice"})
        views.wait_for("/me/", 2)
        views.answers["/me/"] = {"id": 5, "groups": ["room_1", "room_3"]}
        assert close_of(session) == (4403, "be nice")


def test_each_view_is_asked_at_its_own_time(gateway, views):
    with connect(gateway.ws("/ws/times/")) as session:
        views.wait_for("/may/", 4)
        # At the handshake, and never or once at a random moment of the hour.
        assert views.asked.count("/rarely/") <= 2
        views.answers["/may/"] = 403
        assert close_of(session) == (4403, "the permission has ended")
        assert gateway.says("a view ended a session", "permission=", "/may/")


def test_a_permission_that_is_over_is_no_token(gateway, views):
    views.answers["/over/"] = {"exp": time.time() + 2}
    with connect(gateway.ws("/ws/over/")) as session:
        assert close_of(session) == (4401, "the permission has expired")


def test_a_client_that_renews_its_token_again_and_again_does_not_have_the_view_asked_as_often(gateway, views):
    token = simple_jwt(KEY, "5")
    with connect(gateway.ws("/ws/tokens/")) as session:

        def renew() -> dict:
            session.send(json.dumps({"auth": token}))
            return json.loads(session.recv(timeout=20))

        assert [renew() for _ in range(6)] == [{"auth": "ok"}] * 6
        assert all(renew()["error"].startswith("too many tokens: the next one is accepted in ") for _ in range(20))
        assert views.asked.count("/busy/") == 6
        # It goes on with the token that it had.
        session.send("hello")
        assert session.recv(timeout=20) == "hello"


def test_the_log_says_which_view_refused(gateway, views):
    with pytest.raises(InvalidStatus):
        connect(gateway.ws("/ws/forbidden/"))
    assert gateway.says("refused", "status=403", "permission=", "/forbidden/")
    views.answers["/once/"] = 401
    with pytest.raises(InvalidStatus):
        connect(gateway.ws("/ws/forbidden/"))
    assert gateway.says("refused", "status=401", "auth=once")


def test_a_view_that_is_too_slow_is_told_of(gateway, views):
    """Sessions that share a question do not fill the places of the others."""

    def open_all(cookies: list[str]) -> list:
        return [connect(gateway.ws("/ws/slow/"), additional_headers={"Cookie": f"a={cookie}"}) for cookie in cookies]

    line = "a view answers more slowly than its"
    sessions = open_all(["same"] * 30)
    views.goes_on.clear()
    views.wait_for("/slow/", 1)
    time.sleep(1.5)
    assert not any(line in said for said in list(gateway.log))
    views.goes_on.set()
    sessions += open_all([str(number) for number in range(30)])
    views.goes_on.clear()
    assert gateway.says(line, "auth=slow")
    views.goes_on.set()
    for session in sessions:
        session.send("x")
        assert session.recv(timeout=20) == "x"
        session.close()


def test_what_is_being_asked_means_nothing_once_the_route_asks_nobody(start, tmp_path, views):
    route = "{path: ws/slow/, consumer: echo, auth: slow, auth_optional: true}"
    text = CONFIG.replace("VIEWS", f"http://127.0.0.1:{views.server.server_port}").replace("{path: ws/slow/, consumer: echo, auth: slow}", route)
    file = tmp_path / "routes.yaml"
    file.write_text(text)
    gateway = start(file=file, env={"PUBLISH_TOKEN": TOKEN, "SIGNING_KEY": KEY})
    # Nobody, so the client is anonymous.
    views.answers["/slow/"] = 401
    with connect(gateway.ws("/ws/slow/")) as session:
        views.goes_on.clear()
        views.wait_for("/slow/", 1)
        file.write_text(text.replace(", auth: slow, auth_optional: true", ""))
        gateway.process.send_signal(signal.SIGHUP)
        assert gateway.says("the file was reloaded", "changed=1")
        views.answers["/slow/"] = 403
        views.goes_on.set()
        with pytest.raises(TimeoutError):
            session.recv(timeout=1)
        session.send("still here")
        assert session.recv(timeout=20) == "still here"


def test_too_many_questions_are_not_the_users_fault(gateway, views):
    token = json.dumps({"auth": simple_jwt(KEY, "5")})
    with connect(gateway.ws("/ws/tokens/")) as session:
        session.send(token)
        assert json.loads(session.recv(timeout=20)) == {"auth": "ok"}
        views.answers["/busy/"] = 429
        session.send(token)
        assert list(json.loads(session.recv(timeout=20))) == ["error"]
        session.send("still here")
        assert session.recv(timeout=20) == "still here"
    with connect(gateway.ws("/ws/tokens/")) as session:
        session.send(token)
        assert close_of(session)[0] == 1013
    views.answers["/busy/"] = 403
    with connect(gateway.ws("/ws/tokens/")) as session:
        session.send(token)
        assert close_of(session) == (4403, "this user is not allowed to use this path")
