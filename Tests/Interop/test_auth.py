"""Tokens from a real DRF, and sessions of a real Django, in front of the gateway."""

import base64
import contextlib
import http.server
import json
import pathlib
import signal
import socket
import struct
import subprocess
import threading
import time

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import serve

import tokens
from browser import Browser
from conftest import SLUICE
from wsgi import SECRET, Project
from clients import connect as connect_raw, frame, handshake, read_close, read_frame, read_head

PROJECT = pathlib.Path(__file__).parent / "auth_project"

CONFIG = """
installed_apps: [echo, chat, broadcast, proxy]
channel_layers: {default: {backend: memory}}
limits: {handshake: LIMIT}
logging: {level: debug}
auth:
  simple:
    jwt:
      secret: {env: SIGNING_KEY}
      from: [header, {cookie: access}, {query: token}, subprotocol]
  patient: {jwt: {secret: {env: SIGNING_KEY}, leeway: 30s}}
  rsa: {jwt: {public_key: {file: rsa.pem}, audience: sluice, issuer: "https://drf.test/"}}
  another: {jwt: {public_key: {file: rsa.pem}, audience: another}}
  keys: {jwt: {jwks: "http://127.0.0.1:KEYS/jwks.json", algorithms: [RS256, ES256]}}
  late: {jwt: {secret: {env: SIGNING_KEY}, from: [header, message]}}
  renewed: {jwt: {secret: {env: SIGNING_KEY}, from: [header, message], expiry: renew}}
  kept: {jwt: {secret: {env: SIGNING_KEY}, expiry: keep}}
  aged: {jwt: {secret: {env: SIGNING_KEY}, expiry: keep, max_age: 5s}}
  django: {callback: {url: "http://127.0.0.1:DJANGO/api/me/", headers: [Cookie, Authorization, X-Api-Key], user: id}}
  cached: {callback: {url: "http://127.0.0.1:DJANGO/api/me/", cache: 1h}}
  slow: {callback: {url: "http://127.0.0.1:DJANGO/odd/slow/", timeout: 200ms}}
  redirect: {callback: {url: "http://127.0.0.1:DJANGO/odd/redirect/"}}
  list: {callback: {url: "http://127.0.0.1:DJANGO/odd/list/"}}
  page: {callback: {url: "http://127.0.0.1:DJANGO/odd/page/"}}
  nameless: {callback: {url: "http://127.0.0.1:DJANGO/odd/nameless/"}}
  failing: {callback: {url: "http://127.0.0.1:DJANGO/odd/failing/"}}
  long: {callback: {url: "http://127.0.0.1:DJANGO/odd/long/"}}
  nobody: {callback: {url: "http://127.0.0.1:1/"}}
applications:
  main:
    websocket:
ROUTES
      - {path: ws/staff/, consumer: echo, auth: django, require: {staff: true}}
      - {path: ws/optional/, consumer: chat, group: room, shared: true, identity: true, auth: simple, auth_optional: true}
      - {path: ws/optional-django/, consumer: echo, auth: django, auth_optional: true}
      - {path: ws/news/, consumer: broadcast, group: news, publish: authenticated, auth: simple, auth_optional: true}
      - {path: ws/room/, consumer: chat, group: room, shared: true, identity: true, auth: simple}
      - {path: ws/v1/, consumer: echo, auth: simple, subprotocols: [v1]}
      - {path: ws/open/, consumer: echo}
      - {path: ws/renewed-room/, consumer: chat, group: room, shared: true, identity: true, auth: renewed}
      - {path: ws/late-room/, consumer: chat, group: room, shared: true, identity: true, auth: late}
"""
NAMES = [
    "simple", "patient", "rsa", "another", "keys", "late", "renewed", "kept", "aged", "django", "cached", "slow", "redirect", "list", "page",
    "nameless", "failing", "long", "nobody",
]
# A client finds out its user by the messages of a group that only this user can join.
ROUTES = "\n".join(
    f'      - {{path: ws/{name}/, consumer: chat, group: "{name}_{{user}}", identity: true, auth: {name}}}' for name in NAMES
)


class Django(Project):
    """Two users, whose passwords are their names."""

    def __init__(self, home: pathlib.Path, simple_jwt: dict):
        users = (
            "from django.contrib.auth.models import User\n"
            "User.objects.create_user('anna', password='anna')\n"
            "User.objects.create_user('boss', password='boss', is_staff=True)\n"
        )
        super().__init__(home, PROJECT, "auth_site", users, "/asked/", {"SIMPLE_JWT": json.dumps(simple_jwt)})

    def tokens(self, name: str = "anna") -> dict:
        answer = requests.post(self.url("/api/token/"), json={"username": name, "password": name}, timeout=20)
        assert answer.ok, answer.text
        return answer.json()

    def access(self, name: str = "anna") -> str:
        return self.tokens(name)["access"]

    def short(self, seconds: float, name: str = "anna") -> str:
        bearer = {"Authorization": f"Bearer {self.access(name)}"}
        return requests.get(self.url("/api/short/"), params={"seconds": seconds}, headers=bearer, timeout=20).json()["access"]

    def login(self, name: str = "anna") -> requests.Session:
        session = requests.Session()
        assert session.get(self.url("/login/"), params={"name": name}, timeout=20).ok
        return session


ONE_CALL_BACK = """
installed_apps: [chat]
channel_layers: {default: {backend: memory}}
auth: {site: {callback: {url: "URL", MORE}}}
applications:
  main:
    websocket:
      - {path: ws/, consumer: chat, group: "user_{user}", identity: true, auth: site}
"""


@pytest.fixture
def answering():
    """Starts servers that answer with a JSON object made by a function from the fields of the request."""
    running = []

    def begin(answer) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = json.dumps(answer(self.headers)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/me/"

    yield begin
    for server in running:
        server.shutdown()
        server.server_close()


class KeyServer:
    """Answers with a key set, or with another answer for a test, as soon as it `goes_on`."""

    def __init__(self):
        self.status, self.keys, self.count = 200, [], 0
        self.body: bytes | None = None
        self.goes_on = threading.Event()
        self.goes_on.set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.count += 1
                outer.goes_on.wait(60)
                body = json.dumps({"keys": outer.keys}).encode() if outer.body is None else outer.body
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.goes_on.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def rsa_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem(key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public_pem(key) -> str:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


@pytest.fixture(scope="module")
def django(tmp_path_factory):
    server = Django(tmp_path_factory.mktemp("auth") / "hs", {})
    yield server
    server.stop()


@pytest.fixture(scope="module")
def django_rsa(tmp_path_factory, rsa_key):
    server = Django(
        tmp_path_factory.mktemp("auth") / "rs",
        {
            "ALGORITHM": "RS256", "SIGNING_KEY": private_pem(rsa_key), "VERIFYING_KEY": public_pem(rsa_key),
            "AUDIENCE": "sluice", "ISSUER": "https://drf.test/",
        },
    )
    yield server
    server.stop()


@pytest.fixture
def key_server():
    server = KeyServer()
    yield server
    server.stop()


@pytest.fixture
def served(start, django, rsa_key, key_server, tmp_path):
    (tmp_path / "rsa.pem").write_text(public_pem(rsa_key))
    text = CONFIG.replace("ROUTES", ROUTES).replace("DJANGO", str(django.port)).replace("KEYS", str(key_server.port))

    def begin(limit="10s", **options):
        return start(text=text.replace("LIMIT", limit), env={"SIGNING_KEY": SECRET}, **options)

    return begin


def open_as(gateway, name: str, token: str | None = None, **options):
    headers = options.pop("headers", {})
    headers = list(headers.items()) if isinstance(headers, dict) else list(headers)
    if token is not None:
        headers.append(("Authorization", f"Bearer {token}"))
    return connect(gateway.ws(f"/ws/{name}/"), additional_headers=headers, proxy=None, **options)


def whoami(session) -> str:
    session.send('{"message": "me"}')
    answer = json.loads(session.recv(timeout=20))
    assert answer["message"] == "me", answer
    return answer["user"]


def user(gateway, name: str, token: str | None = None, **options) -> str:
    with open_as(gateway, name, token, **options) as session:
        return whoami(session)


def refusal(gateway, name: str, token: str | None = None, **options):
    """Status, challenge and body of the refusal."""
    with pytest.raises(InvalidStatus) as caught:
        open_as(gateway, name, token, **options)
    response = caught.value.response
    return response.status_code, response.headers.get("WWW-Authenticate", ""), response.body.decode()


def invalid(gateway, name: str, token: str) -> str:
    """Why a token is refused. The same words are in the challenge and in the body."""
    status, challenge, body = refusal(gateway, name, token)
    assert status == 401
    assert challenge == f'Bearer realm="sluice", error="invalid_token", error_description="{body.strip()}"'
    return body.strip()


def part(value: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def claims(**more) -> dict:
    return {"user_id": "1", "token_type": "access", "exp": int(time.time()) + 300, "jti": "x", **more}


def signed(**more) -> str:
    return tokens.signed(SECRET, **claims(**more))


def closed(session) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            session.recv(timeout=20)
    return caught.value.rcvd.code, caught.value.rcvd.reason


# Tokens of a real DRF.


def test_tokens_as_drf_issues_them(served, django, django_rsa):
    gateway = served()
    assert user(gateway, "simple", django.access()) == "1"
    assert user(gateway, "simple", django.access("boss")) == "2"
    assert user(gateway, "rsa", django_rsa.access("boss")) == "2"
    # A refresh token, signed with the same key, must not be accepted.
    assert invalid(gateway, "simple", django.tokens()["refresh"]) == "the token is not an access token (token_type)"
    # Each is accepted only by the authenticator that has its key.
    assert invalid(gateway, "rsa", django.access()) == "the algorithm of the token is not accepted"
    assert invalid(gateway, "simple", django_rsa.access()) == "the algorithm of the token is not accepted"


def test_a_token_is_needed(served):
    gateway = served()
    assert refusal(gateway, "simple") == (401, 'Bearer realm="sluice"', "a token is needed\n")
    assert refusal(gateway, "simple", headers={"Authorization": "Basic YTpi"})[0] == 401
    assert refusal(gateway, "simple", headers={"Authorization": "Bearer"})[0] == 401
    with open_as(gateway, "open") as session:
        session.send("still open")
        assert session.recv(timeout=20) == "still open"


def test_expired(served, django):
    gateway = served()
    assert invalid(gateway, "simple", django.short(-1)) == "the token has expired"
    assert invalid(gateway, "simple", django.short(0)) == "the token has expired"


def test_tampered(served, django):
    gateway = served()
    head, body, signature = django.access().split(".")
    read = json.loads(base64.urlsafe_b64decode(body + "=="))
    assert invalid(gateway, "simple", f"{head}.{part(read | {'user_id': '2'})}.{signature}") == "the signature of the token is wrong"
    assert invalid(gateway, "simple", f"{head}.{body}.{signature[::-1]}").startswith("the signature of the token is")
    assert invalid(gateway, "simple", f"{head}.{body}.") == "the signature of the token is wrong"
    assert invalid(gateway, "simple", f"{head}.{body}") == "the token is not a JWT: it does not have three parts"
    assert invalid(gateway, "simple", jwt.encode(claims(), "x" * 40, "HS256")) == "the signature of the token is wrong"


def test_wrong_audience_and_issuer(served, django_rsa, rsa_key):
    gateway = served()
    assert invalid(gateway, "another", django_rsa.access()) == "the token is for another audience"
    pem = private_pem(rsa_key)
    assert invalid(gateway, "rsa", jwt.encode(claims(aud="sluice", iss="https://evil.test/"), pem, "RS256")) == (
        "the token is from another issuer"
    )
    assert invalid(gateway, "rsa", jwt.encode(claims(iss="https://drf.test/"), pem, "RS256")) == "the token is for another audience"
    # The token has an audience, and the authenticator names none.
    assert invalid(gateway, "simple", signed(aud="sluice")) == "the token is for another audience"


def test_alg_none(served):
    gateway = served()
    for name in ["none", "None", "nOnE"]:
        for signature in ["", "AAAA"]:
            token = f"{part({'alg': name, 'typ': 'JWT'})}.{part(claims())}.{signature}"
            for route in ["simple", "rsa", "keys"]:
                assert invalid(gateway, route, token) == "the algorithm of the token is not accepted"


def test_hs_rs_confusion(served, rsa_key, key_server):
    """A public key is not secret: everyone can sign with it as if it were a shared secret."""
    key_server.keys = [jwk(rsa_key, "one")]
    gateway = served()
    import hashlib
    import hmac

    pem = public_pem(rsa_key)
    for secret in [pem.encode(), pem.strip().encode()]:
        for headers in [{"alg": "HS256"}, {"alg": "HS256", "kid": "one"}]:
            body = f"{part(headers)}.{part(claims(aud='sluice', iss='https://drf.test/'))}"
            mac = hmac.new(secret, body.encode(), hashlib.sha256).digest()
            token = f"{body}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
            for route in ["rsa", "keys"]:
                assert invalid(gateway, route, token) == "the algorithm of the token is not accepted"


def test_clock_skew(served, django):
    gateway = served()
    now = int(time.time())
    assert invalid(gateway, "simple", signed(iat=now + 20)) == "the token was issued in the future"
    assert invalid(gateway, "simple", signed(nbf=now + 20)) == "the token is not valid yet"
    assert user(gateway, "patient", signed(iat=now + 20, nbf=now + 20)) == "1"
    assert user(gateway, "patient", django.short(-10)) == "1"
    assert invalid(gateway, "patient", signed(iat=now + 90)) == "the token was issued in the future"
    assert invalid(gateway, "patient", django.short(-40)) == "the token has expired"


def jwk(key, name: str | None) -> dict:
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    made = json.loads(algorithm.to_jwk(key.public_key()))
    made.pop("key_ops", None)
    return made | ({"kid": name} if name else {})


def test_keys_by_their_names(served, django_rsa, rsa_key, key_server):
    other, curve = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
    key_server.keys = [{"kty": "oct", "kid": "s", "k": "AAAA"}, jwk(rsa_key, "one"), jwk(curve, "two")]
    gateway = served()

    def token(key, name, algorithm="RS256"):
        return jwt.encode(claims(), key, algorithm, headers={"kid": name} if name else None)

    assert user(gateway, "keys", token(rsa_key, "one")) == "1"
    assert user(gateway, "keys", token(curve, "two", "ES256")) == "1"
    assert user(gateway, "keys", token(rsa_key, None)) == "1"
    assert invalid(gateway, "keys", token(other, "one")) == "the signature of the token is wrong"
    assert invalid(gateway, "keys", token(rsa_key, "two")) == "the key of the token is not known"
    assert invalid(gateway, "keys", token(other, "three")) == "the key of the token is not known"
    # Unknown key names do not cause a reading each time.
    count = key_server.count
    for number in range(20):
        assert invalid(gateway, "keys", token(other, f"no-{number}")) == "the key of the token is not known"
    assert key_server.count == count


def test_keys_change_and_their_server_fails(served, rsa_key, key_server):
    new = rsa.generate_private_key(65537, 2048)
    old_token = jwt.encode(claims(), rsa_key, "RS256", headers={"kid": "old"})
    new_token = jwt.encode(claims(), new, "RS256", headers={"kid": "new"})
    key_server.status = 503
    gateway = served()
    status, _, body = refusal(gateway, "keys", old_token)
    assert status == 503 and "try again later" in body
    assert gateway.says("the key set was not read")
    key_server.status, key_server.keys = 200, [jwk(rsa_key, "old")]

    def until(token, accepted):
        # A new attempt comes some seconds after the last one.
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(InvalidStatus):
                if user(gateway, "keys", token) == "1":
                    assert accepted
                    return
            assert time.monotonic() < deadline
            time.sleep(0.2)

    until(old_token, True)
    key_server.status = 500
    assert user(gateway, "keys", old_token) == "1"
    key_server.status, key_server.keys = 200, [jwk(new, "new")]
    until(new_token, True)
    assert invalid(gateway, "keys", old_token) == "the key of the token is not known"


def test_a_server_of_keys_that_hangs_does_not_hold_up_everybody(start, answering, rsa_key):
    asked, released = [], threading.Event()

    def keys(_):
        asked.append(None)
        if len(asked) > 1:
            released.wait(60)
        return {"keys": [jwk(rsa_key, "one")]}

    server = answering(keys)
    gateway = start(text=f"""
installed_apps: [chat]
channel_layers: {{default: {{backend: memory}}}}
auth: {{keys: {{jwt: {{jwks: "{server}", refresh: 1s}}}}}}
applications: {{main: {{websocket: [{{path: ws/keys/, consumer: chat, group: "user_{{user}}", identity: true, auth: keys}}]}}}}
""")
    token = jwt.encode(claims(), rsa_key, "RS256", headers={"kid": "one"})
    while len(asked) < 2:
        assert user(gateway, "keys", token) == "1"
    # No client waits for the reading: all continue with the known keys.
    for _ in range(3):
        assert user(gateway, "keys", token) == "1"
    assert len(asked) == 2
    released.set()


def test_a_token_may_not_be_long_or_twice(served):
    gateway = served()
    assert invalid(gateway, "simple", signed(x="x" * 8000)) == "the token is too long"
    token = signed()
    twice = [("Authorization", f"Bearer {token}")] * 2
    assert refusal(gateway, "simple", headers=twice)[::2] == (401, "there is more than one token\n")


# Places for tokens.


def test_each_source(served, django):
    gateway = served()
    token = django.access()
    assert user(gateway, "simple", token) == "1"
    assert user(gateway, "simple", headers={"Cookie": f"a=b; access={token}; c=d"}) == "1"
    with connect(gateway.ws(f"/ws/simple/?a=1&token={token}"), proxy=None) as session:
        assert whoami(session) == "1"
    with open_as(gateway, "simple", subprotocols=[f"bearer.{token}"]) as session:
        assert session.subprotocol == f"bearer.{token}"
        assert whoami(session) == "1"
    with open_as(gateway, "v1", subprotocols=[f"bearer.{token}", "v1"]) as session:
        assert session.subprotocol == "v1"
    # A token in a place that is not in `from` is ignored.
    assert refusal(gateway, "patient", headers={"Cookie": f"access={token}"})[0] == 401
    # The first place decides.
    assert refusal(gateway, "simple", "nonsense", headers={"Cookie": f"access={token}"})[0] == 401


def test_a_token_in_the_url_is_never_logged(served, django):
    gateway = served()
    for token in [django.access(), "a-token-that-is-not-one"]:
        with contextlib.suppress(InvalidStatus):
            connect(gateway.ws(f"/ws/simple/?token={token}"), proxy=None).close()
        requests.get(gateway.http(f"/ws/simple/?token={token}"), timeout=20)
        requests.get(gateway.http(f"/nowhere/?token={token}"), timeout=20)
    gateway.stop()
    log = "\n".join(gateway.log)
    assert "refused" in log and "token=" not in log and "a-token-that" not in log and "eyJ" not in log


def test_a_subprotocol_in_a_real_browser(served, django, tmp_path):
    gateway = served()
    browser = Browser(tmp_path / "profile")
    try:
        page = browser.open("about:blank")
        page.go(gateway.http("/nothing"))
        who = """new Promise((done) => {
            const socket = new WebSocket(`ws://${location.host}/ws/simple/`, ["bearer.TOKEN"]);
            socket.onopen = () => socket.send('{"message": "me"}');
            socket.onmessage = (event) => done(event.data);
            socket.onclose = (event) => done("closed " + event.code);
        })"""
        assert json.loads(page.run(who.replace("TOKEN", django.access()))) == {"message": "me", "user": "1"}
        assert page.run(who.replace("TOKEN", django.short(-1))) == "closed 1006"
    finally:
        browser.close()


def test_the_first_message(served, django):
    gateway = served()
    with open_as(gateway, "room", django.access("boss")) as other, open_as(gateway, "late-room") as session:
        session.send('{"message": "too early"}')
        assert json.loads(session.recv(timeout=20)) == {"error": 'send {"auth": "TOKEN"} first'}
        session.send(b"\x00")
        assert "error" in json.loads(session.recv(timeout=20))
        other.send('{"message": "not for those who have shown nothing"}')
        other.recv(timeout=20)
        session.send(json.dumps({"auth": django.access()}))
        # Messages directly after the token wait for the result.
        session.send('{"message": "hello"}')
        assert json.loads(session.recv(timeout=20)) == {"auth": "ok"}
        assert json.loads(session.recv(timeout=20)) == {"message": "hello", "user": "1"}
        assert json.loads(other.recv(timeout=20)) == {"message": "hello", "user": "1"}
    with open_as(gateway, "late") as session:
        session.send(json.dumps({"auth": django.access()}))
        assert json.loads(session.recv(timeout=20)) == {"auth": "ok"}
        assert whoami(session) == "1"
    # A header works as well.
    assert user(gateway, "late", django.access()) == "1"


def test_a_bad_first_message_or_none(served, django):
    gateway = served(limit="1s")
    with open_as(gateway, "late") as session:
        session.send(json.dumps({"auth": django.short(-1)}))
        assert closed(session) == (4401, "the token has expired")
    with open_as(gateway, "late") as session:
        assert closed(session) == (4401, "no token arrived in time")


def test_a_first_message_that_cannot_be_checked_in_time(start):
    """The server of the keys hangs. The client is not at fault: it is told so, and can leave."""
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        gateway = start(text=f"""
installed_apps: [echo]
limits: {{handshake: 500ms}}
auth: {{late: {{jwt: {{jwks: "http://127.0.0.1:{hanging.getsockname()[1]}/", from: [message]}}}}}}
applications: {{main: {{websocket: [{{path: ws/late/, consumer: echo, auth: late}}]}}}}
""")
        with open_as(gateway, "late") as session:
            session.send(json.dumps({"auth": f"{part({'alg': 'RS256'})}.{part(claims())}.AAAA"}))
            assert closed(session) == (1013, "authentication is temporarily unavailable")


# The expiry of a token.


def test_an_expired_token_closes_the_session(served, django):
    gateway = served()
    for route in ["simple", "late"]:
        with open_as(gateway, route, django.short(2)) as session:
            assert whoami(session) == "1"
            assert closed(session) == (4401, "the token has expired")


def test_a_session_may_outlast_its_token(served, django):
    gateway = served()
    short = django.short(2)
    with open_as(gateway, "kept", short) as kept, open_as(gateway, "aged", short) as aged, open_as(gateway, "simple", short) as ended:
        assert closed(ended) == (4401, "the token has expired")
        assert whoami(kept) == "1" and whoami(aged) == "1"
        assert closed(aged) == (4401, "the session has reached its greatest age")
        assert whoami(kept) == "1"


def test_a_token_is_renewed(served, django):
    gateway = served()
    first = django.short(4)
    with open_as(gateway, "renewed", first) as session, open_as(gateway, "renewed", first) as not_renewed:
        assert json.loads(session.recv(timeout=20)) == {"auth": "expiring"}
        # An invalid token changes nothing.
        session.send(json.dumps({"auth": "nonsense"}))
        assert json.loads(session.recv(timeout=20)) == {"error": "the token is not a JWT: it does not have three parts"}
        session.send(json.dumps({"auth": django.access()}))
        assert json.loads(session.recv(timeout=20)) == {"auth": "ok"}
        # The first token expires for the session that has no other.
        assert json.loads(not_renewed.recv(timeout=20)) == {"auth": "expiring"}
        assert closed(not_renewed) == (4401, "the token has expired")
        assert whoami(session) == "1"
    with open_as(gateway, "renewed", django.short(4)) as session:
        assert json.loads(session.recv(timeout=20)) == {"auth": "expiring"}
        session.send(json.dumps({"auth": django.access("boss")}))
        assert closed(session) == (4401, "the token belongs to another user")
    # User names that only look alike.
    with open_as(gateway, "renewed-room", signed(user_id="\u00e9", exp=int(time.time()) + 4)) as session:
        assert json.loads(session.recv(timeout=20)) == {"auth": "expiring"}
        session.send(json.dumps({"auth": signed(user_id="e\u0301")}))
        assert closed(session) == (4401, "the token belongs to another user")
    with open_as(gateway, "renewed", django.short(2)) as session:
        assert json.loads(session.recv(timeout=20)) == {"auth": "expiring"}
        assert closed(session) == (4401, "the token has expired")


# Sessions of a real Django, through the callback.


def cookie(session: requests.Session) -> dict:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in session.cookies.items())}


def test_session_cookies(served, django):
    gateway = served()
    anna, boss = django.login("anna"), django.login("boss")
    assert user(gateway, "django", headers=cookie(anna)) == "1"
    assert user(gateway, "django", headers=cookie(boss)) == "2"
    # Every authentication class of DRF, as Django has them.
    assert user(gateway, "django", django.access("boss")) == "2"
    kept = cookie(anna)
    assert anna.get(django.url("/logout/"), timeout=20).ok
    status, challenge, body = refusal(gateway, "django", headers=kept)
    assert (status, json.loads(body)) == (401, {"detail": "Authentication credentials were not provided."})
    assert challenge == 'Bearer realm="api"'
    status, _, body = refusal(gateway, "django", "nonsense")
    assert status == 401 and json.loads(body)["code"] == "token_not_valid"


def test_what_the_call_back_is_told(served, django):
    gateway = served()
    session = django.login()
    assert user(gateway, "django", headers=cookie(session) | {"X-Api-Key": "k", "X-Forwarded-For": "6.6.6.6", "X-Other": "o"}) == "1"
    assert django.asked()[-1] == {
        "Host": f"127.0.0.1:{gateway.port}", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Api-Key": "k",
    }


def test_claims_are_required(served, django):
    gateway = served()
    with open_as(gateway, "staff", headers=cookie(django.login("boss"))) as session:
        session.send("staff")
        assert session.recv(timeout=20) == "staff"
    status, challenge, body = refusal(gateway, "staff", headers=cookie(django.login("anna")))
    assert (status, body) == (403, "this user is not allowed to use this path\n")
    assert 'error="insufficient_scope"' in challenge
    assert gateway.says("refused", 'staff', "the answer of", "true is required")


def test_an_identity_is_remembered_for_a_short_time(served, django):
    gateway = served()
    session = django.login()
    before = len(django.asked())
    for _ in range(5):
        assert user(gateway, "cached", headers=cookie(session)) == "1"
    assert len(django.asked()) == before + 1
    assert user(gateway, "cached", headers=cookie(django.login("boss"))) == "2"
    assert len(django.asked()) == before + 2
    for _ in range(2):
        assert user(gateway, "django", headers=cookie(session)) == "1"
    assert len(django.asked()) == before + 4


def test_what_is_remembered_holds_for_one_host(start, answering):
    """A server of several sites has different users for each, and the cookie of one site means nothing to another."""
    server = answering(lambda headers: {"user": headers["Host"]})
    gateway = start(text=ONE_CALL_BACK.replace("URL", server).replace("MORE", "cache: 1h"))

    def user_at(host: str) -> str:
        sock = connect_raw(gateway.port)
        sock.sendall(handshake("/ws/", "Cookie: a=b", host=host) + frame(1, b'{"message": 1}'))
        assert read_head(sock).startswith("HTTP/1.1 101")
        with sock:
            return json.loads(read_frame(sock)[1])["user"]

    assert [user_at(host) for host in ["one.test", "other.test", "one.test"]] == ["one.test", "other.test", "one.test"]


def test_what_a_call_back_says_of_the_end(start, answering):
    ends = iter([int(time.time()) + 300, time.time() - 1, "2099-01-01T00:00:00Z"])
    gateway = start(text=ONE_CALL_BACK.replace("URL", answering(lambda _: {"user": "a", "exp": next(ends)})).replace(", MORE", ""))

    def answer() -> str:
        sock = connect_raw(gateway.port)
        sock.sendall(handshake("/ws/"))
        with sock:
            return read_head(sock).split(" ", 2)[1]

    assert answer() == "101"
    # The identity has expired already.
    assert answer() == "401"
    # An `exp` that is not a number is an error.
    assert answer() == "503"
    gateway.stop()
    assert gateway.says("the exp of the answer is not a number")


@pytest.mark.parametrize(
    "route, reason",
    [
        ("slow", "did not answer in time"), ("redirect", "the server answered 302"), ("list", "without a JSON object"),
        ("page", "without a JSON object"), ("nameless", "the answer does not name a user"), ("failing", "the server answered 500"),
        ("long", "longer than 16 KiB"), ("nobody", "refused"),
    ],
)
def test_a_call_back_that_does_not_answer(served, route, reason):
    gateway = served()
    status, _, body = refusal(gateway, route, headers={"Cookie": "a=b"})
    assert status == 503 and "try again later" in body
    gateway.stop()
    assert gateway.says("an upstream did not answer as expected", reason), gateway.log


def test_a_call_back_is_waited_for_no_longer_than_a_hand_shake(served):
    gateway = served(limit="100ms")
    assert refusal(gateway, "slow", headers={"Cookie": "a=b"})[0] == 503
    gateway.stop()
    assert gateway.says("an upstream did not answer as expected", "the client left before the answer arrived"), gateway.log


# Anonymous clients.


def test_clients_without_an_identity(served, django):
    gateway = served()
    with open_as(gateway, "optional") as nobody, open_as(gateway, "room", django.access()) as somebody:
        nobody.send('{"message": 1, "user": "1"}')
        assert json.loads(nobody.recv(timeout=20)) == {"message": 1}
        assert json.loads(somebody.recv(timeout=20)) == {"message": 1}
        somebody.send('{"message": 2, "user": "2"}')
        for session in [nobody, somebody]:
            assert json.loads(session.recv(timeout=20)) == {"message": 2, "user": "1"}
    # If there is a token, it must be valid.
    assert invalid(gateway, "optional", django.short(-1)) == "the token has expired"
    # Only Django can judge cookies.
    with open_as(gateway, "optional-django", headers={"Cookie": "csrftoken=x"}) as session:
        session.send("x")
        assert session.recv(timeout=20) == "x"


def test_only_those_who_are_known_publish(served, django):
    gateway = served()
    with open_as(gateway, "news") as nobody, open_as(gateway, "news", django.access()) as somebody:
        nobody.send("rumour")
        assert "error" in json.loads(nobody.recv(timeout=20))
        somebody.send("news")
        assert nobody.recv(timeout=20) == "news"
        assert somebody.recv(timeout=20) == "news"


def test_a_user_that_is_no_name_of_a_group(served):
    gateway = served()
    for name in ["a b", "a/b", "\u00e9", "a\r\nb", "x" * 95]:
        status, _, body = refusal(gateway, "simple", signed(user_id=name))
        assert (status, body) == (403, "no valid group name can be made for this user\n")


# Clients that leave, and storms of clients.


def test_clients_that_go_while_they_are_asked_for(served):
    gateway = served()
    for _ in range(10):
        sock = connect_raw(gateway.port)
        sock.sendall(handshake("/ws/slow/", "Cookie: a=b"))
        sock.close()
    for _ in range(20):
        sock = connect_raw(gateway.port)
        sock.sendall(handshake("/ws/late/"))
        assert read_head(sock).startswith("HTTP/1.1 101")
        sock.sendall(frame(1, b'{"auth": "a.b.c"}') + frame(8, struct.pack("!H", 1000)))
        sock.close()
    assert user(gateway, "simple", signed()) == "1"
    assert gateway.stop() == 0


def test_a_stop_while_clients_are_asked_for(served):
    gateway = served()
    sock = connect_raw(gateway.port)
    sock.sendall(handshake("/ws/slow/", "Cookie: a=b"))
    late = connect_raw(gateway.port)
    late.sendall(handshake("/ws/late/"))
    assert read_head(late).startswith("HTTP/1.1 101")
    gateway.process.send_signal(signal.SIGTERM)
    assert read_head(sock).startswith("HTTP/1.1 503")
    assert read_close(late)[0] == 1012
    sock.close()
    late.close()
    assert gateway.stop() == 0


def test_frames_behind_the_hand_shake_wait(served, django):
    """Messages that a client sends before it is authenticated are read afterwards."""
    gateway = served()
    sock = connect_raw(gateway.port)
    bearer = f"Authorization: Bearer {django.access()}"
    sock.sendall(handshake("/ws/simple/", bearer) + frame(1, b'{"message": 1}') + frame(1, b'{"message": 2}'))
    assert read_head(sock).startswith("HTTP/1.1 101")
    assert [json.loads(read_frame(sock)[1])["message"] for _ in range(2)] == [1, 2]
    sock.close()


def test_django_goes_away_and_comes_back_under_the_gateway(served, start, tmp_path_factory):
    server = Django(tmp_path_factory.mktemp("auth") / "gone", {})
    session = server.login()
    text = CONFIG.replace("ROUTES", ROUTES).replace("DJANGO", str(server.port)).replace("KEYS", "1").replace("LIMIT", "10s")
    gateway = start(text=text, env={"SIGNING_KEY": SECRET})
    with open_as(gateway, "django", headers=cookie(session)) as kept:
        assert whoami(kept) == "1"
        server.stop()
        assert refusal(gateway, "django", headers=cookie(session))[0] == 503
        # Accepted sessions stay open.
        assert whoami(kept) == "1"


def test_a_server_behind_is_told_who_it_is(start):
    """The upstream also gets no such fields from clients, and does not see the token among the subprotocols."""
    heads = []

    def told(session):
        heads.append(session.request.headers)
        session.send(session.request.headers.get("X-Sluice-User", "nobody"))

    with serve(told, "127.0.0.1", 0) as upstream:
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        port = upstream.socket.getsockname()[1]
        text = f"""
installed_apps: [proxy]
auth: {{simple: {{jwt: {{secret: {{env: SIGNING_KEY}}}}}}}}
applications:
  main:
    websocket:
      - {{path: ws/known/, consumer: proxy, to: "ws://127.0.0.1:{port}", auth: simple}}
      - {{path: ws/open/, consumer: proxy, to: "ws://127.0.0.1:{port}"}}
"""
        gateway = start(text=text, env={"SIGNING_KEY": SECRET})
        forged = {"X-Sluice-User": "2"}
        with open_as(gateway, "known", signed(), headers=forged) as session:
            assert session.recv(timeout=20) == "1"
        token = signed(user_id="anna b\r\nX-Admin: 1")
        with open_as(gateway, "known", headers=forged, subprotocols=[f"bearer.{token}"]) as session:
            assert session.subprotocol == f"bearer.{token}"
            assert session.recv(timeout=20) == "anna%20b%0D%0AX-Admin%3A%201"
        assert heads[-1].get("Sec-WebSocket-Protocol") is None and heads[-1].get("X-Admin") is None
        assert refusal(gateway, "known")[0] == 401 and len(heads) == 2
        with open_as(gateway, "open", headers=forged) as session:
            assert session.recv(timeout=20) == "nobody"
        upstream.shutdown()


def test_a_user_is_disconnected(start, django):
    """All sessions of the user and no session of another user, on the request of an authorised client."""
    text = """
installed_apps: [chat]
channel_layers: {default: {backend: memory}}
server: {threads: 3}
auth: {simple: {jwt: {secret: {env: SIGNING_KEY}, from: [header, message]}}}
applications:
  main:
    http:
      - path: api/publish/
        auth: simple
        require: {user_id: "2"}
        publish: {groups: ["room_*"], allow: [publish, disconnect]}
    websocket:
      - {path: ws/mine/, consumer: chat, group: "room_{user}", identity: true, auth: simple}
"""
    gateway = start(text=text, env={"SIGNING_KEY": SECRET})

    def order(token, body):
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.post(gateway.http("/api/publish/disconnect"), json=body, headers=bearer, timeout=20)

    boss, anna = django.access("boss"), django.access("anna")
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(open_as(gateway, "mine", boss)) for _ in range(3)]
        annas = [stack.enter_context(open_as(gateway, "mine", anna)) for _ in range(5)]
        late = stack.enter_context(open_as(gateway, "mine"))
        late.send(json.dumps({"auth": anna}))
        assert json.loads(late.recv(timeout=20)) == {"auth": "ok"}
        assert order(None, {"user": "1"}).status_code == 401
        assert order(django.short(-1, "boss"), {"user": "1"}).status_code == 401
        assert order(anna, {"user": "2"}).status_code == 403
        answer = order(boss, {"user": "1", "reason": "you have left"})
        assert answer.status_code == 200 and answer.json()["sessions"] == 6, answer.text
        for session in [*annas, late]:
            assert closed(session) == (4403, "you have left")
        for session in others:
            assert whoami(session) == "2"
    assert order(boss, {"user": "1"}).json()["sessions"] == 0


def test_commands_show_who_may_come_in(tmp_path):
    file = tmp_path / "routes.yaml"
    file.write_text(
        'installed_apps: [echo]\nauth: {site: {callback: {url: "http://127.0.0.1:8001/me/"}}}\napplications:\n  main:\n    websocket:\n'
        "      - {path: ws/a/, consumer: echo, auth: site, require: {role: [admin, staff]}}\n"
        "      - {path: ws/b/, consumer: echo, auth: site, auth_optional: true}\n"
    )

    def say(*arguments):
        return subprocess.run([SLUICE, *arguments], capture_output=True, text=True, timeout=20, check=True).stdout

    table = say("routes", str(file))
    assert "site, role = admin or staff" in table and "site (optional)" in table
    assert "auth       site, role = admin or staff\n" in say("explain", str(file), "/ws/a/")


def test_a_user_is_disconnected_whose_session_is_about_to_open(start):
    """The client is authenticated, and the upstream has not answered yet."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        text = f"""
installed_apps: [proxy]
channel_layers: {{default: {{backend: memory}}}}
auth: {{simple: {{jwt: {{secret: {{env: SIGNING_KEY}}, from: [{{query: token}}]}}}}}}
applications:
  main:
    http:
      - {{path: api/, publish: {{groups: "*", allow: [disconnect], token: {{env: TOKEN}}}}}}
    websocket:
      - {{path: ws/known/, consumer: proxy, to: "ws://127.0.0.1:{silent.getsockname()[1]}", auth: simple}}
"""
        gateway = start(text=text, env={"SIGNING_KEY": SECRET, "TOKEN": "t" * 32})

        def disconnect(user):
            answer = requests.post(
                gateway.http("/api/disconnect"), json={"user": user}, timeout=20,
                headers={"Authorization": "Bearer " + "t" * 32})
            return answer.json()["sessions"]

        with connect_raw(gateway.port) as client:
            client.sendall(handshake(f"/ws/known/?token={signed()}"))
            asked, _ = silent.accept()
            with asked:
                assert disconnect("2") == 0
                assert disconnect("1") == 1
                head = read_head(client)
                assert head.startswith("HTTP/1.1 403 "), head
                # The connection to the upstream is closed, too.
                asked.settimeout(20)
                while asked.recv(4096):
                    pass
