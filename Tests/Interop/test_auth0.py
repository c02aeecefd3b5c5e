"""Tokens as Auth0, Keycloak, Cognito and Entra issue them, with the files of the manual, and with a set of keys that changes and fails."""

import base64
import concurrent.futures
import re
import time
import uuid

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from conftest import ROOT
from manual import blocks_of
from test_auth import KeyServer, jwk

ISSUER = "https://example.eu.auth0.com/"
API = "https://chat.example.com/"
USER = "auth0|64b0c7d1e2f3a4b5c6d7e8f9"
ROOMS = "https://chat.example.com/rooms"
PUBLISHER = "fedcba9876543210"
PUBLISH = '    http: [{path: api/publish/, publish: {groups: ["*"], token: {env: PUBLISH_TOKEN}}}]\n    websocket:\n'
# The longest pause between two readings of a set, and how long a token is tried until one has to have happened.
PAUSE, PATIENCE = 5, 30


@pytest.fixture(scope="module")
def keys():
    return {name: rsa.generate_private_key(65537, 2048) for name in ("one", "two", "three")}


@pytest.fixture
def key_server():
    server = KeyServer()
    yield server
    server.stop()


def published(keys: dict, *names: str) -> list[dict]:
    """A set as Auth0 and Keycloak publish it: with certificates, and with a key that is for encryption."""
    certificate = {"x5c": ["MIIC"], "x5t": "c2hh"}
    signing = [jwk(keys[name], name) | certificate | {"use": "sig", "alg": "RS256"} for name in names]
    return [jwk(keys["three"], "encryption") | {"use": "enc", "alg": "RSA-OAEP"}, *signing]


def manual(word: str) -> str:
    (text,) = [block.text for block in blocks_of(ROOT / "docs/authentication.md") if block.language == "yaml" and word in block.text]
    return text


def auth0_file(server: KeyServer, more: str = "") -> str:
    """The file of the manual, whose keys come from the server, with a route for publishing."""
    text = re.sub(r"jwks: \S+", f'jwks: "http://127.0.0.1:{server.port}/.well-known/jwks.json"{more}', manual("auth0:"))
    return text.replace("    websocket:\n", PUBLISH)


def token(keys: dict, name: str, header: dict = {}, **claims) -> str:
    now = int(time.time())
    issued = {
        "iss": ISSUER, "sub": USER, "aud": [API, f"{ISSUER}userinfo"], "iat": now, "exp": now + 86400,
        "azp": "Xk3vQ2", "scope": "openid profile read:rooms", "permissions": ["read:rooms", "write:rooms"], ROOMS: [7, "lobby"],
    }
    claims = {key: value for key, value in (issued | claims).items() if value is not None}
    return jwt.encode(claims, keys[name], "RS256", headers={"kid": name} | header)


def opened(gateway, path: str, token: str):
    """By a subprotocol, as a page does it."""
    return connect(gateway.ws(path), subprotocols=[f"bearer.{token}"], proxy=None)


def refusal(gateway, path: str, token: str) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused:
        opened(gateway, path, token).close()
    return refused.value.response.status_code, refused.value.response.body.decode().strip()


def publish(gateway, group: str, text: str) -> int:
    body, fields = {"group": group, "text": text}, {"Authorization": f"Bearer {PUBLISHER}"}
    answer = requests.post(gateway.http("/api/publish/"), json=body, headers=fields, timeout=20)
    assert answer.ok, answer.text
    return answer.json()["published"][0]["sessions"]


def test_tokens_of_auth0_with_the_file_of_the_manual(start, keys, key_server):
    key_server.keys = published(keys, "one")
    gateway = start(text=auth0_file(key_server), env={"PUBLISH_TOKEN": PUBLISHER})
    good = token(keys, "one")
    with opened(gateway, "/ws/me/", good) as session:
        assert publish(gateway, "user_auth0.7C64b0c7d1e2f3a4b5c6d7e8f9", "to you") == 1
        assert session.recv(timeout=20) == "to you"
    with opened(gateway, "/ws/rooms/", good) as session:
        assert [publish(gateway, f"room_{room}", f"in {room}") for room in (7, "lobby", 8)] == [1, 1, 0]
        assert [session.recv(timeout=20) for _ in range(2)] == ["in 7", "in lobby"]
    # A program has a name of its own, one API may be the only audience, and tokens of RFC 9068 say what they are.
    for odd in (
        token(keys, "one", sub="Xk3vQ2@clients", gty="client-credentials"), token(keys, "one", aud=API),
        token(keys, "one", {"typ": "at+jwt"}), token(keys, "one", iat=int(time.time()) + 20),
    ):
        opened(gateway, "/ws/me/", odd).close()
    opened(gateway, "/ws/staff/", token(keys, "one", scope="openid write:staff")).close()

    another = (401, "the token is for another audience")
    assert refusal(gateway, "/ws/me/", token(keys, "one", aud="Xk3vQ2")) == another
    assert refusal(gateway, "/ws/me/", token(keys, "one", aud=["https://other.example.com/", API.rstrip("/")])) == another
    for issuer in (ISSUER.rstrip("/"), "https://other.eu.auth0.com/", None):
        assert refusal(gateway, "/ws/me/", token(keys, "one", iss=issuer)) == (401, "the token is from another issuer")
    assert gateway.says("refused", '"issuer" requires https://example.eu.auth0.com/'.replace('"', '\\"'))
    assert refusal(gateway, "/ws/me/", ".".join([good] + ["x"] * 2))[0] == 401
    assert gateway.says("refused", "it is encrypted, for its issuer only")
    assert refusal(gateway, "/ws/me/", token(keys, "three", {"kid": "encryption"})) == (401, "the key of the token is not known")

    no_right = (403, "the claims of the token do not allow this")
    assert refusal(gateway, "/ws/rooms/", token(keys, "one", permissions=["read:room"])) == no_right
    assert refusal(gateway, "/ws/rooms/", token(keys, "one", permissions=None)) == no_right
    assert refusal(gateway, "/ws/staff/", token(keys, "one", scope="openid write:staffs")) == no_right
    no_group = (403, "no valid group name can be made for this user")
    for rooms in (None, [], ["a b"], {"a": 1}):
        assert refusal(gateway, "/ws/rooms/", token(keys, "one", **{ROOMS: rooms})) == no_group
    many = token(keys, "one", **{ROOMS: [str(number) for number in range(257)]})
    assert refusal(gateway, "/ws/rooms/", many) == (403, "this user would be in too many groups")
    assert gateway.says("refused", ROOMS, "is missing")


def until(condition) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_let_in(gateway, token: str) -> bool:
    try:
        opened(gateway, "/ws/me/", token).close()
        return True
    except InvalidStatus:
        return False


def test_keys_that_rotate(start, keys, key_server):
    key_server.keys = published(keys, "one")
    gateway = start(text=auth0_file(key_server, "\n      refresh: 1s"), env={"PUBLISH_TOKEN": PUBLISHER})
    old, new = token(keys, "one"), token(keys, "two")
    begun = time.monotonic()
    assert is_let_in(gateway, old) and key_server.count == 1
    # Whatever clients send: the set is asked for at most once in five seconds.
    forged = [token(keys, "three", {"kid": name}) for name in ["one", *(str(uuid.uuid4()) for _ in range(40))]]
    with concurrent.futures.ThreadPoolExecutor(10) as clients:
        assert not any(clients.map(lambda token: is_let_in(gateway, token), forged))
        assert key_server.count <= 1 + (time.monotonic() - begun) / PAUSE
        # The new key comes beside the old one, and many clients have tokens of it at once.
        key_server.keys = published(keys, "one", "two")
        until(lambda: is_let_in(gateway, new))
        count = key_server.count
        assert all(clients.map(lambda token: is_let_in(gateway, token), [old, new] * 20))
        assert key_server.count - count <= 1 + (time.monotonic() - begun) / PAUSE
    # The old one goes.
    key_server.keys = published(keys, "two")
    until(lambda: not is_let_in(gateway, old))
    assert refusal(gateway, "/ws/me/", old) == (401, "the key of the token is not known")
    assert is_let_in(gateway, new)
    assert key_server.count <= 2 + (time.monotonic() - begun) / PAUSE


def fail(server: KeyServer, how: str) -> None:
    match how:
        case "503":
            server.status = 503
        case "a page":
            server.body = b"<!doctype html><title>Sign in</title>"
        case "no keys":
            server.keys = []
        case "half":
            server.body = b'{"keys": [{"kty": "RSA", "n": "'
        case "no answer":
            server.goes_on.clear()


FAILURES = ["503", "a page", "no keys", "half", "no answer"]


def test_a_set_that_fails_for_a_while(start, keys):
    """Five gateways at the same time, as each has to wait for some seconds."""
    servers = {how: KeyServer() for how in FAILURES}
    try:
        gateways = {}
        for how, server in servers.items():
            server.keys = published(keys, "one")
            gateways[how] = start(text=auth0_file(server), env={"PUBLISH_TOKEN": PUBLISHER})
            assert is_let_in(gateways[how], token(keys, "one"))
            fail(server, how)
        with concurrent.futures.ThreadPoolExecutor(len(FAILURES)) as clients:
            list(clients.map(lambda how: outlast(gateways[how], servers[how], how, keys), FAILURES))
    finally:
        for server in servers.values():
            server.stop()


def outlast(gateway, server: KeyServer, how: str, keys: dict) -> None:
    known, new = token(keys, "one"), token(keys, "two")
    with concurrent.futures.ThreadPoolExecutor(1) as another:
        # Somebody with an unknown key makes the set be asked for, and may wait for it; the others do not.
        def ask() -> bool:
            return is_let_in(gateway, new) or server.count >= 2

        waiting = another.submit(until, ask)
        until(lambda: server.count >= 2)
        begun = time.monotonic()
        assert all(is_let_in(gateway, known) for _ in range(5)), how
        assert time.monotonic() - begun < PAUSE, how
        waiting.result(PATIENCE)
    assert gateway.says("the key set was not read", "kept=\"the last ones\""), how
    # The key may be a new one, so nobody is told to get another token.
    assert refusal(gateway, "/ws/me/", new)[0] == 503, how
    # It works again.
    server.status, server.body, server.keys = 200, None, published(keys, "one", "two")
    server.goes_on.set()
    until(lambda: is_let_in(gateway, new))
    assert is_let_in(gateway, known), how


PERSON = "3f0a2c1e-5b7d-4e89-9a01-23456789abcd"
# The claims that differ: what each service puts into an access token.
SERVICES = {
    "keycloak": {
        "iss": "https://login.example.com/realms/chat", "aud": ["chat", "account"], "sub": PERSON, "typ": "Bearer", "azp": "page",
        "scope": "profile email rooms", "realm_access": {"roles": ["offline_access", "chat"]}, "preferred_username": "ann",
    },
    "cognito": {
        "iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab12", "sub": PERSON, "token_use": "access", "client_id": "CLIENT",
        "cognito:groups": ["chat"], "scope": "openid rooms", "username": "ann",
    },
    "entra": {
        "iss": "https://login.microsoftonline.com/TENANT/v2.0", "aud": "6e74172b-be56-4843-9ff4-e66a39bb12e3", "oid": PERSON,
        "sub": base64.urlsafe_b64encode(b"of this application").decode(), "scp": "User.Read Rooms.Read", "roles": ["chat"], "ver": "2.0",
    },
}


def services_file(server: KeyServer) -> str:
    """The entries of the manual, and a route for each row of its table."""
    entries = re.sub(r"jwks: \S+", f'jwks: "http://127.0.0.1:{server.port}/"', manual("keycloak:")).split("\n", 1)[1]
    rows = re.findall(r"^\| (Keycloak|Cognito|Entra) \| (.*) \|$", (ROOT / "docs/authentication.md").read_text(), re.M)
    routes = [
        f'      - {{path: {name.lower()}/{number}/, consumer: broadcast, publish: nobody, group: "{name}_{{user}}", auth: {name.lower()}, {need}}}'
        for name, row in rows
        for number, need in enumerate(re.findall(r"`(require: .*?)`(?=[, ]|$)", row))
    ]
    routes.append('      - {path: roles/, consumer: broadcast, publish: nobody, group: "role_{claims.realm_access.roles}", auth: keycloak}')
    return (
        "installed_apps: [broadcast]\nchannel_layers: {default: {backend: memory}}\nauth:\n" + re.sub("^", "  ", entries, flags=re.M)
        + "\napplications:\n  main:\n" + PUBLISH + "\n".join(routes)
    )


def test_tokens_of_other_services(start, keys, key_server):
    key_server.keys = published(keys, "one")
    for key in key_server.keys[1:]:
        # Entra does not say what a key is for.
        del key["alg"]
    gateway = start(text=services_file(key_server), env={"PUBLISH_TOKEN": PUBLISHER})
    now = int(time.time())

    def issued(service: str, **claims) -> str:
        return jwt.encode({"iat": now, "exp": now + 300} | SERVICES[service] | claims, keys["one"], "RS256", headers={"kid": "one"})

    for service in SERVICES:
        for number in range(2):
            with opened(gateway, f"/{service}/{number}/", issued(service)):
                assert publish(gateway, f"{service.title()}_{PERSON}", "x") == 1
    with opened(gateway, "/roles/", issued("keycloak")):
        assert [publish(gateway, f"role_{role}", "x") for role in ("chat", "offline_access", "admin")] == [1, 1, 0]
    # ID tokens are for the page, not for a server.
    for service in SERVICES:
        assert refusal(gateway, f"/{service}/0/", issued(service, aud="page"))[0] == 401
    assert refusal(gateway, "/keycloak/0/", issued("keycloak", realm_access={"roles": ["chatter"]}))[0] == 403
    assert refusal(gateway, "/entra/0/", issued("entra", scp="User.Read"))[0] == 403
    assert refusal(gateway, "/cognito/1/", issued("cognito", **{"cognito:groups": ["other"]}))[0] == 403
