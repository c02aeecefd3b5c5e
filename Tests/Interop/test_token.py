"""`sluice token`, against PyJWT and a gateway."""

import json
import subprocess
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from conftest import SLUICE

SECRET = "a secret of more than the thirty-two bytes that HS256 wants"

ROUTES = """
installed_apps: [echo]
channel_layers: {default: {backend: memory}}
auth:
  users: {jwt: {secret: {env: SIGNING_KEY}, audience: sluice, issuer: "https://here.test/"}}
  issued: {jwt: {public_key: {file: rsa.pem}}}
applications:
  main:
    websocket:
      - {path: "ws/<int:room>/", consumer: echo, auth: users, require: {room: [7]}}
"""


@pytest.fixture
def folder(tmp_path):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (tmp_path / "rsa.pem").write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    (tmp_path / "rsa.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (tmp_path / "routes.yaml").write_text(ROUTES)
    return tmp_path


def token(folder, *arguments, stdin=None, code=0) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [SLUICE, "token", *arguments], capture_output=True, text=True, cwd=folder, env={"SIGNING_KEY": SECRET}, input=stdin, timeout=30
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    return done


def test_a_token_is_what_other_libraries_take(folder):
    made = token(folder, "make", "--user", "5", "--claim", "room=7", "--claim", 'tags=["a"]', "--claim", "team=ann@b", "--for", "15m")
    claims = jwt.decode(made.stdout.strip(), SECRET, ["HS256"], audience="sluice", issuer="https://here.test/")
    assert (claims["user_id"], claims["room"], claims["tags"], claims["team"]) == ("5", 7, ["a"], "ann@b")
    assert claims["exp"] - claims["iat"] == 900 and abs(claims["iat"] - time.time()) < 60
    assert made.stderr == ""


def test_a_gateway_takes_it(folder, start):
    gateway = start(file=folder / "routes.yaml", env={"SIGNING_KEY": SECRET})
    made = token(folder, "make", "--user", "5", "--claim", "room=7").stdout.strip()
    with connect(gateway.ws("/ws/7/"), additional_headers={"Authorization": f"Bearer {made}"}) as client:
        client.send("hello")
        assert client.recv(5) == "hello"
    ended = token(folder, "make", "--user", "5", "--claim", "exp=1")
    assert ended.stderr.startswith('sluice: warning: "users" refuses this token: exp: the token has expired: Thu, 01 Jan 1970')
    with pytest.raises(InvalidStatus) as refused:
        connect(gateway.ws("/ws/7/"), additional_headers={"Authorization": f"Bearer {ended.stdout.strip()}"})
    assert refused.value.response.status_code == 401


def test_a_token_is_checked_by_every_authenticator(folder):
    mine = token(folder, "make", "--user", "5").stdout.strip()
    told = token(folder, "check", mine).stdout
    assert "auth             users  (routes.yaml:5)\n" in told
    assert "signature   ok   made with the secret\n" in told and "user        ok   5, from the claim user_id\n" in told
    assert "algorithm   no   the algorithm of the token is not accepted (its alg is HS256, and RS256 is accepted)\n" in told
    assert told.count("accepted    yes\n") == told.count("accepted    no\n") == 1
    foreign = jwt.encode({"sub": "9", "exp": time.time() + 60}, (folder / "rsa.key").read_bytes(), "RS256")
    assert "signature   ok   made with the public key\n" in token(folder, "check", "routes.yaml", foreign, "--auth", "issued").stdout
    assert token(folder, "check", "-", "--auth", "users", stdin=f"Bearer {mine}\n").stdout.endswith("accepted    yes\n")
    forged = mine.rpartition(".")[0] + "." + "A" * 43
    assert "signature   no   the signature of the token is wrong\n" in token(folder, "check", forged, code=1).stdout
    # Control characters of a foreign token do not reach the terminal.
    hostile = jwt.encode({"sub": "\x1b[2J", "exp": time.time() + 60}, SECRET)
    assert "\x1b" not in token(folder, "check", hostile, code=1).stdout


def test_a_key_set_is_fetched(folder):
    (folder / "remote.yaml").write_text(
        'installed_apps: [echo]\nauth: {far: {jwt: {jwks: "http://127.0.0.1:1/keys.json"}}}\n'
        "applications: {main: {http: [{path: a/, respond: a}]}}\n"
    )
    foreign = jwt.encode({"sub": "9", "exp": time.time() + 60}, (folder / "rsa.key").read_bytes(), "RS256")
    done = token(folder, "check", "remote.yaml", foreign, code=1)
    assert "signature   no   not checked: the key set was not read\n" in done.stdout
    assert "the key set was not read" in done.stderr and "127.0.0.1:1" in done.stderr


def test_only_who_has_the_secret_can_make_one(folder):
    refused = token(folder, "make", "--auth", "issued", "--user", "5", code=1)
    assert refused.stdout == ""
    assert '"issued" knows only public keys, which verify tokens and cannot sign them' in refused.stderr


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["make"], "A token needs a user: --user 5."),
        (["make", "--user", "5", "--claim", "user_id=6"], "The claim user_id names the user: give it or --user, not both."),
        (["make", "--user", "5", "--for", "1"], "--for 1 is not a time from 1s to 3650d, such as 15m or 1h."),
        (["make", "--user", "5", "--claim", "a=1", "--claim", "a=2"], "--claim a is given twice; a list is written a='[1, 2]'."),
        (["make", "--user", "5", "--claim", "a=[1"], "the value of a begins like JSON and is not JSON"),
        (["make", "--user", "5", "--claim", "a"], "a claim is written NAME=VALUE, such as room=7"),
        (["make", "--auth", "user", "--user", "5"], 'routes.yaml has no authenticator "user": did you mean "users"?\n'),
        (["check", "a b"], "A token is one word, without spaces."),
        (["check"], "Missing expected argument"),
        (["check", "routes.yaml"], "routes.yaml is a file, and the token is missing: sluice token check routes.yaml TOKEN"),
        ([], "sluice token"),
    ],
)
def test_wrong_usage(folder, arguments, sentence):
    done = subprocess.run([SLUICE, "token", *arguments], capture_output=True, text=True, cwd=folder, env={"SIGNING_KEY": SECRET}, timeout=30)
    assert sentence in done.stderr + done.stdout
    assert done.returncode == (2 if arguments else 0)


def test_a_file_without_authenticators(folder):
    (folder / "none.yaml").write_text("installed_apps: [echo]\napplications: {main: {http: [{path: a/, respond: a}]}}\n")
    assert "none.yaml has no authenticator; write one such as" in token(folder, "make", "none.yaml", "--user", "5", code=1).stderr
