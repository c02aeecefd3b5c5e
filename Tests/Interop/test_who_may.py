"""Whom a Django project lets in: rooms with members, and tokens of every kind that DRF knows, before and while a socket is open."""

import json
import pathlib
import threading
import time

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import serve

from wsgi import SECRET, Project
from clients import connect as connect_raw, handshake, read_head

FOLDER = pathlib.Path(__file__).parent / "members_project"
SET_UP = """
from django.contrib.auth.models import User
from members_site.models import Membership, Room
for name in ["anna", "ben", "carl", "dora"]: User.objects.create_user(name, f"{name}@example.com")
for name in ["one", "two"]: Room.objects.create(name=name)
"""
CONFIG = """
installed_apps: [echo, chat, broadcast, proxy]
channel_layers: {default: {backend: memory}}
auth:
  Token: {callback: {url: "DJANGO/api/me/", from: [header, {query: t}, {cookie: t}, subprotocol], scheme: Token, headers: []}}
  Knox: {callback: {url: "DJANGO/api/me/", from: [header, {query: t}, {cookie: t}, subprotocol], scheme: Knox}}
  Bearer: {callback: {url: "DJANGO/api/me/", from: [header, {query: t}, {cookie: t}, subprotocol]}}
  site: {callback: {url: "DJANGO/api/me/"}}
  room: {callback: {url: "DJANGO/api/rooms/{room}/me/"}}
  jwt: {jwt: {secret: {env: SIGNING_KEY}, schemes: [Bearer, JWT], from: [header, {query: t}, message]}}
  any: {callback: {url: "DJANGO/api/any/{rest}?q={rest}", headers: [X-Key]}}
  lasting: {callback: {url: "DJANGO/api/me/", recheck: 1s}}
  kept: {callback: {url: "DJANGO/api/rooms/{room}/me/", cache: 1h, cache_refusals: 1h}}
  kept-fresh: {callback: {url: "DJANGO/api/rooms/{room}/me/", recheck: 1s}}
  slow: {callback: {url: "DJANGO/odd/slow/"}}
  busy: {callback: {url: "DJANGO/odd/busy/"}}
  nothing: {callback: {url: "DJANGO/odd/nothing/"}}
  created: {callback: {url: "DJANGO/odd/created/"}}
  login: {callback: {url: "DJANGO/odd/login/"}}
  form: {callback: {url: "DJANGO/odd/form/"}}
  slash: {callback: {url: "DJANGO/api/me"}}
  secure: {callback: {url: "DJANGO/odd/secure/"}}
  host: {callback: {url: "DJANGO/api/me/"}}
  csrf: {callback: {url: "DJANGO/odd/csrf/"}}
applications:
  main:
    websocket:
      - {path: ws/Token/, consumer: chat, group: "t_{user}", identity: true, auth: Token}
      - {path: ws/Knox/, consumer: chat, group: "k_{user}", identity: true, auth: Knox}
      - {path: ws/Bearer/, consumer: chat, group: "b_{user}", identity: true, auth: Bearer}
      - {path: ws/jwt/, consumer: chat, group: "j_{user}", identity: true, auth: jwt}
      - {path: "ws/room/<int:room>/", consumer: chat, group: "room_{room}", identity: true, auth: room}
      - {path: "ws/kept/<int:room>/", consumer: echo, auth: kept}
      - path: ws/may/
        auth: jwt
        permission: {url: "DJANGO/api/rooms/{room}/may/", recheck: 1s}
        routes:
          - {path: "<int:room>/", consumer: echo}
          - {path: "site/<int:room>/", consumer: echo, auth: site}
          - {path: "role/<int:room>/", consumer: chat, group: "role_{room}_{claims.role}", auth: site}
      - {path: "ws/roles/<int:room>/", consumer: chat, group: ["all_{room}", "only_{claims.role}"], auth: kept-fresh}
      - {path: "ws/owners/", consumer: chat, group: only_owner, shared: true}
      - {path: "ws/guests/", consumer: chat, group: only_guest, shared: true}
      - {path: ws/optional/, consumer: echo, auth: Token, auth_optional: true}
      - {path: ws/lasting/, consumer: echo, auth: lasting}
      - {path: "ws/any/<path:rest>", consumer: echo, auth: any}
      - {path: ws/other/, consumer: echo, auth: site, permission: {url: "DJANGO/odd/other/"}}
      - {path: ws/proxied/, consumer: proxy, to: "ws://127.0.0.1:BACKEND", auth: Bearer}
ODD
    http:
      - {path: "sse/<int:room>/", events: "room_{room}", auth: site, shared: true, permission: {url: "DJANGO/api/rooms/{room}/may/", recheck: 1s}}
"""
ODD = ["slow", "busy", "nothing", "created", "login", "form", "slash", "secure", "host", "csrf"]


@pytest.fixture(scope="module")
def django(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("members"), FOLDER, "members_site", SET_UP, "/asked/")
    yield project
    project.stop()


@pytest.fixture(scope="module")
def tokens(django):
    return django.get("/tokens/", name="anna")


@pytest.fixture
def backend():
    """A server behind `consumer: proxy`, which notes what it was asked for."""
    asked = []

    def note(_, request):
        asked.append((request.path, request.headers))

    with serve(lambda session: None, "127.0.0.1", 0, process_request=note) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.asked = asked
        yield server
        server.shutdown()


@pytest.fixture
def gateway(start, django, backend):
    odd = "\n".join(f"      - {{path: ws/{name}/, consumer: echo, auth: {name}}}" for name in ODD)
    text = CONFIG.replace("ODD\n", odd + "\n").replace("DJANGO", django.url("")).replace(
        "BACKEND", str(backend.socket.getsockname()[1])
    )
    # Of the environment no proxy is used.
    nowhere = "http://127.0.0.1:1"
    env = {"SIGNING_KEY": SECRET, "HTTP_PROXY": nowhere, "http_proxy": nowhere, "ALL_PROXY": nowhere}
    return start(text=text, env=env)


def shown(place: str, token: str, scheme: str, path: str):
    """Path, fields and subprotocols of a client that shows its token in a place."""
    match place:
        case "header":
            return path, {"Authorization": f"{scheme} {token}"}, None
        case "query":
            return f"{path}?t={token}", {}, None
        case "cookie":
            return path, {"Cookie": f"t={token}"}, None
        case _:
            return path, {}, [f"bearer.{token}"]


def open_at(gateway, path: str, headers: dict = {}, subprotocols=None):
    return connect(gateway.ws(path), additional_headers=headers, subprotocols=subprotocols, proxy=None)


def refused(gateway, path: str, headers: dict = {}, subprotocols=None):
    with pytest.raises(InvalidStatus) as caught:
        open_at(gateway, path, headers, subprotocols)
    return caught.value.response


def whoami(session) -> str:
    session.send('{"message": "me"}')
    return json.loads(session.recv(timeout=20))["user"]


def cookie(django, name: str) -> dict:
    session = requests.Session()
    assert session.get(django.url("/in/"), params={"name": name}, timeout=20).ok
    return {"Cookie": "; ".join(f"{item.name}={item.value}" for item in session.cookies)}


def member(django, name: str, room: int, role: str = "member") -> None:
    django.get("/change/", name=name, room=room, role=role)


def closed(session) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        session.recv(timeout=20)
    return caught.value.rcvd.code, caught.value.rcvd.reason


# Tokens that only the project can read.


@pytest.mark.parametrize("place", ["header", "query", "cookie", "subprotocol"])
@pytest.mark.parametrize("scheme", ["Token", "Knox", "Bearer"])
def test_a_token_of_any_kind_from_any_place(gateway, django, tokens, scheme, place):
    path, headers, subprotocols = shown(place, tokens[scheme], scheme, f"/ws/{scheme}/")
    with open_at(gateway, path, headers, subprotocols) as session:
        assert whoami(session) == "1"
        assert session.subprotocol == (subprotocols or [None])[0]
    last = django.asked()[-1]
    assert last["Authorization"] == f"{scheme} {tokens[scheme]}"
    assert (last["X-Forwarded-Method"], last["X-Forwarded-Uri"]) == ("GET", f"/ws/{scheme}/")
    assert ("Cookie" in last) == (place == "cookie" and scheme != "Token")
    path, headers, subprotocols = shown(place, "nonsense", scheme, f"/ws/{scheme}/")
    assert refused(gateway, path, headers, subprotocols).status_code == 401


def test_two_places_with_different_tokens(gateway, django, tokens):
    before = len(django.asked())
    token = tokens["Token"]
    for path, more in [("/ws/Token/?t=x", {}), ("/ws/Token/", {"Cookie": "t=x"}), ("/ws/Token/?t=a&t=b", {})]:
        answer = refused(gateway, path, {"Authorization": f"Token {token}"} | more)
        assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith("Token ")
    answer = refused(gateway, "/ws/jwt/?t=x", {"Authorization": f"JWT {tokens['Bearer']}"})
    assert answer.status_code == 401 and b"different tokens" in answer.body
    assert len(django.asked()) == before
    with open_at(gateway, f"/ws/Token/?t={token}", {"Authorization": f"Token {token}", "Cookie": f"t={token}"}) as session:
        assert whoami(session) == "1"


def test_an_optional_token(gateway):
    """Nobody in particular may come in, and so may a token that the view does not know; one that is no token may not."""
    for path, headers in [("/ws/optional/", {}), ("/ws/optional/?t=unknown", {}), ("/ws/optional/", {"Authorization": "Basic x"})]:
        open_at(gateway, path, headers).close()
    for path, headers in [("/ws/optional/?t=a&t=b", {}), ("/ws/optional/?t=a", {"Cookie": "t=b"}), ("/ws/optional/?t=a%20b", {})]:
        assert refused(gateway, path, headers).status_code == 401


def test_schemes(gateway, tokens):
    for scheme in ["Bearer", "JWT", "jwt"]:
        with open_at(gateway, "/ws/jwt/", {"Authorization": f"{scheme} {tokens['Bearer']}"}) as session:
            assert whoami(session) == "1"
    # Nobody is told by a view what the gateway can say; a view that is asked anyway tells it itself, and the log does.
    answer = refused(gateway, "/ws/Token/", {"Authorization": f"Bearer {tokens['Token']}"})
    assert answer.status_code == 401
    assert answer.body == b'a token is needed: Authorization has the scheme "Bearer", and "Token" is expected\n'
    refused(gateway, "/ws/Knox/", {"Authorization": "Token x", "Cookie": "a=b"})
    assert gateway.says("refused", "detail=", "the scheme", "Token", "Knox", "is expected")


@pytest.mark.parametrize("token", ["a%0D%0AX-Sluice-User:%201", "a%20b", "a,b", 'a"b', "a%00b", "%C3%A9", "%ZZ%"])
def test_a_token_becomes_no_other_field(gateway, django, token):
    sock = connect_raw(gateway.port)
    with sock:
        sock.sendall(handshake(f"/ws/Token/?t={token}"))
        assert " 401 " in read_head(sock), gateway.log
    assert not any("X-Sluice-User" in question for question in django.asked() if question["path"] == "/api/me/")


def test_a_token_goes_no_further(gateway, backend, tokens):
    token = tokens["Bearer"]
    for path, told in [(f"/ws/proxied/?a=1&t={token}&b=2", "/ws/proxied/?a=1&b=2"), (f"/ws/proxied/?t={token}", "/ws/proxied/")]:
        open_at(gateway, path).close()
        assert backend.asked[-1][0] == told
    open_at(gateway, "/ws/proxied/", {}, ["v1", f"bearer.{token}"]).close()
    assert backend.asked[-1][1]["Sec-WebSocket-Protocol"] == "v1"
    assert backend.asked[-1][1]["X-Sluice-User"] == "1"


# Who and whether.


def test_a_view_is_asked_about_a_room(gateway, django):
    member(django, "anna", 1)
    anna, ben = cookie(django, "anna"), cookie(django, "ben")
    with open_at(gateway, "/ws/room/1/", anna) as session:
        assert whoami(session) == "1"
    assert django.asked()[-1]["path"] == "/api/rooms/1/me/"
    answer = refused(gateway, "/ws/room/1/", ben)
    assert (answer.status_code, json.loads(answer.body)) == (403, {"detail": "you are no member"})
    assert refused(gateway, "/ws/room/7/", anna).status_code == 404
    assert refused(gateway, "/ws/room/1/").status_code == 401


def test_permission_beside_a_token(gateway, django, tokens):
    member(django, "anna", 1)
    bearer = {"Authorization": f"Bearer {tokens['Bearer']}"}
    with open_at(gateway, "/ws/may/1/?a=1&t=" + tokens["Bearer"], bearer | {"X-Sluice-User": "9", "Cookie": "a=b"}) as session:
        session.send("in")
        assert session.recv(timeout=20) == "in"
    asked = django.asked()[-1]
    assert (asked["path"], asked["X-Sluice-User"], asked["X-Forwarded-Uri"]) == ("/api/rooms/1/may/", "1", "/ws/may/1/?a=1")
    assert json.loads(asked["X-Sluice-Claims"])["token_type"] == "access"
    assert not {"Authorization", "Cookie"} & set(asked)
    answer = refused(gateway, "/ws/may/2/", bearer)
    assert (answer.status_code, json.loads(answer.body)) == (403, {"detail": "you are no member"})
    assert refused(gateway, "/ws/may/9/", bearer).status_code == 404
    before = len(django.asked())
    assert refused(gateway, "/ws/may/1/", {"Authorization": "Bearer x"}).status_code == 401
    assert len(django.asked()) == before


def test_permission_beside_a_token_in_a_message(gateway, django, tokens):
    member(django, "anna", 1)
    for room, answer in [(1, '{"auth":"ok"}'), (2, None), (9, None)]:
        with open_at(gateway, f"/ws/may/{room}/") as session:
            session.send(json.dumps({"auth": tokens["Bearer"]}))
            if answer:
                assert session.recv(timeout=20) == answer
            else:
                assert closed(session)[0] == 4403


def test_permission_for_a_stream(gateway, django):
    member(django, "anna", 1)
    anna = cookie(django, "anna")
    assert requests.get(gateway.http("/sse/2/"), headers=anna, timeout=20).status_code == 403
    with requests.get(gateway.http("/sse/1/"), headers=anna, stream=True, timeout=20) as answer:
        assert answer.status_code == 200
        django.get("/change/", name="anna", room=1)
        assert any(b'"code":4403' in line for line in answer.iter_lines())


def test_permission_for_what_users_publish(start, django):
    text = """
installed_apps: [chat]
channel_layers: {default: {backend: memory}}
auth: {site: {callback: {url: "DJANGO/api/me/"}}}
applications:
  main:
    http:
      - path: pub/<int:room>/
        auth: site
        permission: {url: "DJANGO/api/rooms/{room}/may/"}
        publish: {groups: ["talk_{room}"]}
      - {path: busy/, auth: site, permission: {url: "DJANGO/odd/busy/"}, publish: {groups: [busy]}}
"""
    gateway = start(text=text.replace("DJANGO", django.url("")))
    member(django, "anna", 1)
    anna = cookie(django, "anna")

    def publish(path: str, group: str):
        body = {"group": group, "message": "hello"}
        return requests.post(gateway.http(path), json=body, headers=anna, timeout=20)

    answer = publish("/pub/1/?a=1", "talk_1")
    assert answer.status_code == 200, answer.text
    asked = django.asked()[-1]
    assert (asked["X-Forwarded-Method"], asked["X-Forwarded-Uri"], asked["X-Sluice-User"]) == ("POST", "/pub/1/?a=1", "1")
    assert [publish(f"/pub/{room}/", f"talk_{room}").status_code for room in [2, 9]] == [403, 404]
    answer = publish("/busy/", "busy")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")


def test_a_permission_may_add_what_is_known(gateway, django):
    member(django, "carl", 1, "owner")
    with open_at(gateway, "/ws/may/role/1/", cookie(django, "carl")) as session:
        session.send('{"message": 1}')
        assert json.loads(session.recv(timeout=20)) == {"message": 1}
        # Another role is another group.
        member(django, "carl", 1, "guest")
        assert closed(session) == (1012, "the groups of this user have changed, please reconnect")
    # The claim is missing.
    member(django, "carl", 1)
    assert refused(gateway, "/ws/may/role/1/", cookie(django, "carl")).status_code == 403


def test_a_permission_names_nobody_else(gateway, django):
    assert refused(gateway, "/ws/other/", cookie(django, "anna")).status_code == 503
    assert gateway.says("an upstream did not answer as expected", "another user", "/odd/other/")


# Places in a URL.


def test_a_capture_cannot_lead_elsewhere(gateway, django):
    for rest, path in [("a/b", "a/b"), ("a%20b", "a%20b"), ("%3Fx=1", "%3Fx%3D1"), ("a%23b", "a%23b"), ("%252e%252e", "%252e%252e")]:
        open_at(gateway, f"/ws/any/{rest}", {"X-Key": "k", "X-Other": "o"}).close()
        asked = django.asked()[-1]
        assert asked["path"].startswith(f"/api/any/{path}?q=")
        assert asked["X-Forwarded-Uri"] == f"/ws/any/{rest}"
        assert asked["X-Key"] == "k" and "X-Other" not in asked
    before = len(django.asked())
    for rest in ["..", "a/../b", "%2e%2e/x", "a/.", "a%2F..%2Fb", "..%5Cx", "a//b", "..;/x"]:
        sock = connect_raw(gateway.port)
        with sock:
            sock.sendall(handshake(f"/ws/any/{rest}"))
            assert " 400 " in read_head(sock), rest
    assert len(django.asked()) == before


# Answers that are none.


@pytest.mark.parametrize(
    "route, status, line",
    [
        ("nothing", 503, "answered 204"), ("created", 503, "answered 201 without a JSON object"),
        ("login", 503, "the page for logging in, /accounts/login/"), ("form", 503, "answered with the page for logging in"),
        ("slash", 503, "APPEND_SLASH"), ("secure", 503, "SECURE_SSL_REDIRECT"),
    ],
)
def test_an_answer_that_lets_nobody_in(gateway, django, route, status, line):
    assert refused(gateway, f"/ws/{route}/", {"Cookie": "a=b"}).status_code == status
    assert gateway.says("an upstream did not answer as expected", line, "hint=" if route not in ["nothing", "created"] else "auth=")


def test_a_host_that_django_does_not_allow(gateway):
    sock = connect_raw(gateway.port)
    with sock:
        sock.sendall(handshake("/ws/host/", host="chat.test"))
        assert " 503 " in read_head(sock)
    assert gateway.says("ALLOWED_HOSTS does not have the Host", "chat.test", "host: upstream")


def test_the_page_for_csrf_is_named(gateway):
    answer = refused(gateway, "/ws/csrf/")
    assert answer.status_code == 403 and b"CSRF verification failed" in answer.body
    assert gateway.says("refused", "its check of CSRF failed")


def test_too_many_questions(gateway):
    answer = refused(gateway, "/ws/busy/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")


# How often a view is asked.


def test_the_same_question_at_the_same_time_is_one(gateway, django):
    before = sum(question["path"] == "/odd/slow/" for question in django.asked())
    threads = [threading.Thread(target=lambda: open_at(gateway, "/ws/slow/", {"Cookie": "a=b"}).close()) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    after = sum(question["path"] == "/odd/slow/" for question in django.asked())
    # All of them came within the second that the view takes, unless this machine was busy.
    assert 1 <= after - before < 8


def test_answers_are_kept_for_a_place_and_a_client(gateway, django):
    member(django, "anna", 1)
    anna, ben = cookie(django, "anna"), cookie(django, "ben")
    before = len(django.asked())
    for _ in range(3):
        open_at(gateway, "/ws/kept/1/", anna).close()
        assert refused(gateway, "/ws/kept/1/", ben).status_code == 403
        assert refused(gateway, "/ws/kept/2/", anna).status_code == 403
        assert refused(gateway, "/ws/kept/9/", anna).status_code == 404
    assert len(django.asked()) == before + 4


# While a socket is open.


def test_a_membership_that_ends(gateway, django, tokens):
    member(django, "anna", 1)
    with open_at(gateway, "/ws/may/1/", {"Authorization": f"Bearer {tokens['Bearer']}"}) as session:
        before = len(django.asked())
        while len(django.asked()) < before + 2:
            time.sleep(0.05)
        session.send("still in")
        assert session.recv(timeout=20) == "still in"
        django.get("/change/", name="anna", room=1)
        begun = time.monotonic()
        assert closed(session) == (4403, "the permission has ended")
        assert time.monotonic() - begun < 5
    assert gateway.says("a view ended a session", "code=4403", "/ws/may/1/")


def test_groups_that_change(gateway, django):
    member(django, "carl", 2, "owner")
    with (
        open_at(gateway, "/ws/roles/2/", cookie(django, "carl")) as session,
        open_at(gateway, "/ws/owners/") as owners,
        open_at(gateway, "/ws/guests/") as guests,
    ):

        def hears(sender, text: str) -> bool:
            sender.send(json.dumps({"message": text}))
            assert json.loads(sender.recv(timeout=20)) == {"message": text}
            try:
                return json.loads(session.recv(timeout=0.5)) == {"message": text}
            except TimeoutError:
                return False

        assert hears(owners, "1") and not hears(guests, "2")
        member(django, "carl", 2, "guest")
        deadline = time.monotonic() + 20
        while hears(owners, "3"):
            assert time.monotonic() < deadline
        while not hears(guests, "4"):
            assert time.monotonic() < deadline
        # Its first group is what it was.
        session.send('{"message": "5"}')
        assert json.loads(session.recv(timeout=20)) == {"message": "5"}


def test_a_login_that_ends(gateway, django):
    session = requests.Session()
    session.get(django.url("/in/"), params={"name": "ben"}, timeout=20)
    headers = {"Cookie": "; ".join(f"{item.name}={item.value}" for item in session.cookies)}
    with open_at(gateway, "/ws/lasting/", headers) as socket:
        assert session.get(django.url("/out/"), timeout=20).ok
        assert closed(socket) == (4401, "the login has ended")


def test_a_user_that_is_deleted(gateway, django):
    member(django, "dora", 1)
    with open_at(gateway, "/ws/may/site/1/", cookie(django, "dora")) as session:
        django.get("/delete/", name="dora")
        assert closed(session)[0] == 4403


def test_a_view_that_is_away_ends_nothing(start, tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("away"), FOLDER, "members_site", SET_UP, "/asked/")
    text = """
installed_apps: [echo]
auth: {site: {callback: {url: "DJANGO/api/me/", recheck: 1s}}}
applications: {main: {websocket: [{path: ws/, consumer: echo, auth: site}]}}
"""
    gateway = start(text=text.replace("DJANGO", project.url("")))
    with open_at(gateway, "/ws/", cookie(project, "anna")) as session:
        project.stop()
        assert gateway.says("an upstream did not answer as expected", "status=503")
        session.send("still in")
        assert session.recv(timeout=20) == "still in"
