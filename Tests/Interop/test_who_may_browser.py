"""Whom a Django project lets in, as a page sees it: every kind of token in every place where a page can put it, for every kind of
visitor, with both kinds of refusal. A browser cannot set a header, so a client in Python does that."""

import json

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from browser import Browser
from conftest import Gateway
from test_who_may import FOLDER, SET_UP, member, shown
from wsgi import SECRET, Project

# What verifies it: three views, the view that knows sessions, and Sluice itself with the tokens of Simple JWT.
KINDS = {
    "Token": 'callback: {url: "DJANGO/api/me/", scheme: Token, PLACES, headers: []',
    "Knox": 'callback: {url: "DJANGO/api/me/", scheme: Knox, PLACES, headers: []',
    "Bearer": 'callback: {url: "DJANGO/api/me/", PLACES, headers: []',
    "site": 'callback: {url: "DJANGO/api/me/"',
    "jwt": "jwt: {secret: {env: SIGNING_KEY}, PLACES",
}
PLACES = "from: [header, {query: t}, {cookie: t}, subprotocol]"
CONFIG = """
installed_apps: [broadcast, chat]
channel_layers: {default: {backend: memory}}
auth:
AUTH
applications:
  main:
    http:
      - {path: page/, respond: {body: "<title>x</title>", headers: {Content-Type: text/html}}}
      - {path: api/publish/, publish: {groups: ["*"], token: {env: PUBLISH_TOKEN}}}
    websocket:
      - path: http/
        routes:
ROUTES
      - path: close/
        refusals: close
        routes:
ROUTES
"""
AUTH = """
  KIND: {HOW}}
  KIND-mail: {HOW, user: email}}
  KIND-again: {HOWRECHECK}}
"""
ROUTES = """
          - path: KIND/<int:room>/
            consumer: chat
            group: "in_KIND_{room}"
            identity: true
            auth: KIND
            permission: {url: "DJANGO/api/rooms/{room}/may/"}
          - {path: KIND/mail/, consumer: chat, group: "mail_KIND_{user|escaped}", identity: true, auth: KIND-mail}
          - {path: KIND/rooms/, consumer: broadcast, publish: nobody, group: "room_KIND_{claims.rooms}", envelope: true, auth: KIND}
          - {path: KIND/login/, consumer: chat, group: "mine_KIND_{user}", auth: KIND-again}
          - path: KIND/membership/<int:room>/
            consumer: chat
            group: "still_KIND_{room}"
            auth: KIND
            permission: {url: "DJANGO/api/rooms/{room}/may/", recheck: 1s}
"""
PUBLISHER = "fedcba9876543210"

# `visit` tells what a page is told of one attempt: the first message, or else the code, the reason, and whether it was ever open.
# `hold` keeps a socket, and `held` tells what came of each.
SCRIPT = """
const open = ({path, cookie, subprotocols}) => {
  if (cookie) document.cookie = `${cookie}; path=/`
  return new WebSocket(`ws://${location.host}${path}`, subprotocols)
}
const forget = ({cookie}) => { if (cookie) document.cookie = `${cookie.split("=")[0]}=; path=/; max-age=0` }
window.visit = (attempt) => new Promise((done) => {
  let opened = false
  const socket = open(attempt)
  socket.onopen = () => { opened = true; socket.send('{"message": "me"}') }
  socket.onmessage = ({data}) => { done(JSON.parse(data)); socket.close() }
  socket.onclose = ({code, reason}) => done([code, reason, opened])
}).finally(() => forget(attempt))
window.visitAll = async (attempts) => {
  const seen = []
  for (const attempt of attempts) seen.push(await visit(attempt))
  return seen
}
let sockets = []
window.holdAll = async (attempts) => {
  sockets.forEach((socket) => { socket.onclose = null; socket.close() })
  sockets = []
  window.held = attempts.map(() => [])
  for (const [number, attempt] of attempts.entries()) await new Promise((done) => {
    const socket = open(attempt)
    sockets.push(socket)
    socket.onopen = done
    socket.onmessage = ({data}) => held[number].push(JSON.parse(data))
    socket.onclose = ({code, reason}) => { held[number].push([code, reason]); done() }
  }).finally(() => forget(attempt))
}; 0
"""


@pytest.fixture(scope="module")
def django(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("members"), FOLDER, "members_site", SET_UP, "/asked/")
    for name, room in [("anna", 1), ("anna", 2), ("carl", 1), ("dora", 1)]:
        member(project, name, room)
    yield project
    project.stop()


@pytest.fixture(scope="module")
def gateway(django, tmp_path_factory):
    auth, routes = "", ""
    for kind, how in KINDS.items():
        again = ", recheck: 1s" if how.startswith("callback") else ""
        auth += AUTH.replace("HOW", how.replace("PLACES", PLACES)).replace("RECHECK", again).replace("KIND", kind)
        routes += ROUTES.replace("KIND", kind)
    file = tmp_path_factory.mktemp("gateway") / "routes.yaml"
    file.write_text(CONFIG.replace("AUTH", auth).replace("ROUTES", routes).replace("DJANGO", django.url("")))
    gateway = Gateway(file, env={"SIGNING_KEY": SECRET, "PUBLISH_TOKEN": PUBLISHER})
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def page(gateway, tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("browser") / "profile")
    page = browser.open(gateway.http("/page/"))
    page.run(SCRIPT)
    yield page
    browser.close()


@pytest.fixture(scope="module")
def tokens(django):
    """For each visitor, what it has of each kind."""

    def of(name: str, **options) -> dict:
        made = django.get("/tokens/", name=name, **options)
        return made | {"jwt": made["Bearer"]}

    made = {
        "member": of("anna"), "stranger": of("ben"), "nowhere": of("anna"), "expired": of("anna", seconds=-60),
        "logged out": of("carl"), "deleted": of("dora"), "unknown": dict.fromkeys(KINDS, "nonsense"), "nobody": dict.fromkeys(KINDS),
    }
    # TokenAuthentication's never expire.
    del made["expired"]["Token"]
    django.get("/revoke/", name="carl")
    django.get("/delete/", name="dora")
    return made


def places(kind: str) -> list[str]:
    return ["cookie"] if kind == "site" else ["header", "query", "cookie", "subprotocol"]


def attempt(path: str, kind: str, place: str, token: str | None) -> dict:
    """What a page, or a client in Python, does in order to show its token there."""
    if token is None:
        return {"path": path, "headers": {}, "cookie": None, "subprotocols": []}
    path, headers, subprotocols = shown(place, token, "Bearer" if kind == "jwt" else kind, path)
    cookie = headers.pop("Cookie", None)
    if kind == "site":
        cookie = f"sessionid={token}"
    return {"path": path, "headers": headers, "cookie": cookie, "subprotocols": subprotocols or []}


def visit(gateway, attempt: dict):
    """As `visit` of the page, with a header; a status in place of 1006."""
    try:
        with connect(gateway.ws(attempt["path"]), additional_headers=attempt["headers"], proxy=None) as session:
            session.send('{"message": "me"}')
            return json.loads(session.recv(timeout=20))
    except InvalidStatus as refusal:
        return refusal.response.status_code
    except ConnectionClosed as closed:
        return [closed.rcvd.code, closed.rcvd.reason, True]


def visits(gateway, page, path: str, tokens: dict) -> dict:
    """What came of showing each token in each of its places."""
    tried = {
        (kind, place): attempt(path.replace("KIND", kind), kind, place, token)
        for kind, token in tokens.items()
        for place in places(kind)
    }
    seen = {case: visit(gateway, one) for case, one in tried.items() if case[1] == "header"}
    in_page = [case for case in tried if case[1] != "header"]
    return seen | dict(zip(in_page, page.run(f"visitAll({json.dumps([tried[case] for case in in_page])})")))


def hold(page, path: str, tokens: dict, cases: list) -> None:
    attempts = [attempt(path.replace("KIND", kind), kind, place, tokens[kind]) for kind, place in cases]
    page.run(f"holdAll({json.dumps(attempts)})")
    assert page.run("held") == [[]] * len(cases)


def heard_all(page, expected: list) -> None:
    page.wait_for(f"held.flat().length >= {sum(map(len, expected))}")
    assert page.run("held") == expected


NO_LOGIN = (401, "a valid login or token is needed")
NOT_ALLOWED = (403, "this user has no permission for this path")
NOTHING = (404, "there is nothing at this path for this user")
# Whether each visitor is let in, or else how it is refused; and where that depends on the kind of its token.
OUTCOMES = {
    "member": ("1", {}),
    "stranger": (NOT_ALLOWED, {}),
    "nowhere": (NOTHING, {}),
    "expired": (NO_LOGIN, {"jwt": (401, "the token has expired")}),
    # Nobody can take back an access token of Simple JWT: whoever logs out keeps what it allows until it expires.
    "logged out": (NO_LOGIN, {"Bearer": "3", "jwt": "3"}),
    # Sluice does not look users up, but the view of `permission` does.
    "deleted": (NO_LOGIN, {"jwt": NOT_ALLOWED}),
    "unknown": (NO_LOGIN, {"jwt": (401, "the token is not a JWT: it does not have three parts")}),
    "nobody": (NO_LOGIN, {"jwt": (401, "a token is needed")}),
}


def told(outcome: str | tuple[int, str], place: str, refusals: str):
    """What a visitor sees of its outcome."""
    if isinstance(outcome, str):
        return {"message": "me", "user": outcome}
    status, reason = outcome
    if refusals == "close":
        return [4000 + status, reason, True]
    return status if place == "header" else [1006, "", False]


@pytest.mark.parametrize("refusals", ["http", "close"])
@pytest.mark.parametrize("visitor", OUTCOMES)
def test_a_visitor(gateway, page, tokens, visitor, refusals):
    usual, others = OUTCOMES[visitor]
    seen = visits(gateway, page, f"/{refusals}/KIND/{9 if visitor == 'nowhere' else 1}/", tokens[visitor])
    assert seen == {(kind, place): told(others.get(kind, usual), place, refusals) for kind, place in seen}
    assert {kind for kind, _ in seen} == set(tokens[visitor]) >= {"Knox", "Bearer", "site", "jwt"}


def publish(gateway, group: str) -> int:
    """How many sessions heard it."""
    body = {"group": group, "message": f"for {group}"}
    answer = requests.post(gateway.http("/api/publish/"), json=body, headers={"Authorization": f"Bearer {PUBLISHER}"}, timeout=20)
    assert answer.ok, answer.text
    return answer.json()["published"][0]["sessions"]


def test_a_user_with_an_address_for_a_name_hears_what_is_for_its_group(gateway, page, tokens):
    seen = visits(gateway, page, "/close/KIND/mail/", tokens["member"])
    assert seen == dict.fromkeys(seen, {"message": "me", "user": "anna@example.com"})
    cases = [case for case in seen if case[1] != "header"]
    hold(page, "/http/KIND/mail/", tokens["member"], cases)
    for kind in KINDS:
        assert publish(gateway, f"mail_{kind}_anna.40example.2Ecom") == sum(case[0] == kind for case in cases)
    heard_all(page, [[{"message": f"for mail_{kind}_anna.40example.2Ecom"}] for kind, _ in cases])


def test_a_user_hears_of_each_of_its_rooms(gateway, page, tokens):
    """The list is a claim of a token, or a member of what a view answers."""
    cases = [(kind, place) for kind in KINDS for place in places(kind) if place != "header"]
    hold(page, "/close/KIND/rooms/", tokens["member"], cases)
    groups = {kind: [f"room_{kind}_{room}" for room in (1, 2)] for kind in KINDS}
    for kind in KINDS:
        assert publish(gateway, f"room_{kind}_3") == 0
        for group in groups[kind]:
            assert publish(gateway, group) == sum(case[0] == kind for case in cases)
    heard_all(page, [[{"group": group, "message": f"for {group}"} for group in groups[kind]] for kind, _ in cases])
    # Who is in no room is in no group, and there is nothing to hear.
    seen = visits(gateway, page, "/close/KIND/rooms/", tokens["stranger"])
    assert seen == dict.fromkeys(seen, [4403, "no valid group name can be made for this user", True])


def test_a_page_is_told_why_its_socket_ends(gateway, page, django):
    """With both kinds of refusals alike: the socket was open."""
    ben = django.get("/tokens/", name="ben")
    ben["jwt"] = ben["Bearer"]
    short = django.get("/tokens/", name="ben", seconds=3)["Bearer"]
    member(django, "ben", 1)
    logins = [(kind, "cookie") for kind in KINDS if kind != "jwt"]
    memberships = [(kind, places(kind)[-1]) for kind in KINDS]
    ended = []
    for refusals in ("http", "close"):
        attempts = [attempt(f"/{refusals}/{kind}/login/", kind, place, ben[kind]) for kind, place in logins]
        attempts += [attempt(f"/{refusals}/{kind}/membership/1/", kind, place, ben[kind]) for kind, place in memberships]
        attempts += [attempt(f"/{refusals}/jwt/1/", "jwt", "query", short)]
        ended += attempts
    page.run(f"holdAll({json.dumps(ended)})")
    assert page.run("held") == [[]] * len(ended)
    django.get("/revoke/", name="ben")
    django.get("/change/", name="ben", room=1)
    # Simple JWT's token still holds, so the view that is asked again knows the user.
    ends = [None if kind == "Bearer" else [4401, "the login has ended"] for kind, _ in logins]
    ends += [[4403, "the permission has ended"]] * len(memberships) + [[4401, "the token has expired"]]
    expected = [[end] if end else [] for end in ends] * 2
    page.wait_for(f"JSON.stringify(held) === {json.dumps(json.dumps(expected, separators=(',', ':')))}")
