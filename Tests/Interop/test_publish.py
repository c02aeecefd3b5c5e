"""The publish API: events from outside, access to it, and queries about groups."""

import asyncio
import base64
import concurrent.futures
import json
import os
import socket
import subprocess
import time

import pytest
import requests
from asgiref.sync import async_to_sync
from websockets.exceptions import ConnectionClosed

from certificates import Authority
from clients import connect, open_session, read_frame, read_head
from conftest import ROOT, SLUICE
from redis_stack import RedisGateway, Session, wait_until
from tokens import simple_jwt

TOKEN, OLD_TOKEN = "interop-token-0123456789", "interop-token-9876543210"
ALL = "[publish, groups]"

ROUTES = """
installed_apps: [chat, broadcast]
channel_layers: {default: LAYER}
EXTRA
applications:
  main:
    http:
      - {path: health/ready, health: ready}
      - path: api/publish/
        publish:
          groups: ["chat_*", "user_*", news]
          token: [{env: PUBLISH_TOKEN}, {env: OLD_PUBLISH_TOKEN}]
          allow: ALLOW
          body: 64KiB
      - {path: open, publish: {groups: "news", anonymous: true}}
      - {path: "teams/<slug:team>/publish/", publish: {groups: "team.{team}.*", token: {env: PUBLISH_TOKEN}}}
    websocket:
      - {path: "ws/chat/<slug:room>/", consumer: chat, group: "chat_{room}", events: {order.paid: event}}
      - {path: "ws/team/<slug:team>/<slug:room>/", consumer: chat, group: "team.{team}.{room}"}
      - {path: ws/news/, consumer: broadcast, group: news, publish: nobody}
"""
ENV = {"PUBLISH_TOKEN": TOKEN, "OLD_PUBLISH_TOKEN": OLD_TOKEN}


def routes(layer: str = "{backend: memory}", allow: str = ALL, extra: str = "server: {threads: 3}") -> str:
    return ROUTES.replace("LAYER", layer).replace("ALLOW", allow).replace("EXTRA", extra)


@pytest.fixture
def gateway(start):
    return start(text=routes(), env=ENV)


def post(gateway, body, path: str = "/api/publish/", token: str | None = TOKEN, **fields) -> requests.Response:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {}), **fields}
    data = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return requests.post(gateway.http(path), data=data, headers=headers, timeout=30)


def get(gateway, path: str, token: str | None = TOKEN) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.get(gateway.http(path), headers=headers, timeout=30)


def line(group: str, sessions: int, id=None) -> dict:
    return {"group": group, "sessions": sessions, "id": id}


def session(gateway, room: str) -> Session:
    return Session(gateway.ws(f"/ws/chat/{room}/"))


# Publishing


def test_a_message_reaches_a_group_on_all_reactors(gateway):
    sessions = [session(gateway, "lobby") for _ in range(12)]
    with session(gateway, "kitchen") as elsewhere:
        answer = post(gateway, {"group": "chat_lobby", "message": {"n": 1.5}})
        assert (answer.status_code, answer.json()) == (200, {"published": [line("chat_lobby", 12)]})
        assert answer.headers["Content-Type"] == "application/json"
        assert [one.message() for one in sessions] == [{"n": 1.5}] * 12
        assert elsewhere.silent()
    for one in sessions:
        one.socket.close()


def test_an_event_is_what_django_would_send(gateway):
    with session(gateway, "lobby") as one:
        event = {"type": "order.paid", "id": 7, "lines": [{"a": None}], "who": "é"}
        assert post(gateway, {"group": "chat_lobby", "event": event}).status_code == 200
        assert one.hear() == event
        post(gateway, {"group": "chat_lobby", "event": {"type": "websocket.send", "text": json.dumps({"message": 2})}})
        assert one.message() == 2
        post(gateway, {"group": "chat_lobby", "event": {"type": "websocket.close", "code": 4000, "reason": "go"}})
        assert close_of(one) == (4000, "go")


def test_texts_and_bytes_reach_a_broadcast(gateway):
    with open_session(gateway.port, "/ws/news/") as sock:
        post(gateway, {"group": "news", "text": "héllo"})
        post(gateway, {"group": "news", "bytes": base64.b64encode(b"\x00\xff").decode()})
        assert [read_frame(sock), read_frame(sock)] == [(1, "héllo".encode()), (2, b"\x00\xff")]


def test_many_groups_and_batches_in_their_order(gateway):
    with session(gateway, "a") as a, session(gateway, "b") as b:
        answer = post(gateway, {"groups": ["chat_a", "chat_b", "user_7"], "message": 1}).json()
        assert answer == {"published": [line("chat_a", 1), line("chat_b", 1), line("user_7", 0)]}
        items = [{"group": "chat_b", "message": n} for n in range(300)] + [{"groups": ["chat_a", "chat_b"], "message": "end"}]
        answer = post(gateway, {"batch": items}).json()
        assert [one["group"] for one in answer["published"]] == ["chat_b"] * 300 + ["chat_a", "chat_b"]
        assert b.messages(302) == [1, *range(300), "end"]
        assert a.messages(2) == [1, "end"]


def test_requests_in_a_row_keep_their_order(gateway):
    with session(gateway, "a") as a, session(gateway, "a") as other, requests.Session() as http:
        for n in range(100):
            http.post(gateway.http("/api/publish/"), json={"group": "chat_a", "message": n}, headers={"Authorization": f"Bearer {TOKEN}"})
        assert a.messages(100) == list(range(100)) == other.messages(100)


def test_an_event_that_a_route_does_not_know_is_ignored(gateway):
    with session(gateway, "a") as a:
        published = {**line("chat_a", 1), "unknown_type": "who.knows"}
        assert post(gateway, {"group": "chat_a", "event": {"type": "who.knows"}}).json() == {"published": [published]}
        assert a.is_open() and a.silent()


# Access


@pytest.mark.parametrize("token", [None, "", "wrong-token-0123456789", TOKEN[:-1], TOKEN + "0", TOKEN.upper()])
def test_without_the_token_nothing_is_published(gateway, token):
    with session(gateway, "a") as a:
        answer = post(gateway, {"group": "chat_a", "message": 1}, token=token)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="sluice"')
        assert set(answer.json()) == {"error"}
        assert get(gateway, "/api/publish/groups", token).status_code == 401
        assert get(gateway, "/api/publish/nothing", token).status_code == 401
        assert a.silent()


def test_each_of_the_tokens_opens_the_route(gateway):
    assert post(gateway, {"group": "chat_a", "message": 1}, token=OLD_TOKEN).status_code == 200
    # Schemes are case-insensitive (RFC 9110 section 11.1).
    answer = post(gateway, {"group": "chat_a", "message": 1}, token=None, Authorization=f"bearer  {TOKEN}")
    assert answer.status_code == 200
    for field in [f"Basic {TOKEN}", TOKEN, f"Bearer{TOKEN}"]:
        assert post(gateway, {"group": "chat_a", "message": 1}, token=None, Authorization=field).status_code == 401


@pytest.mark.parametrize("group, status", [
    ("chat_", 200), ("chat_a.b", 200), ("news", 200), ("newsy", 403), ("xchat_a", 403), ("user_1", 200), ("team.a.b", 403),
    ("sluice.control", 400), ("a b", 400), ("", 400), ("x" * 100, 400), ("chat_" + "x" * 94, 200),
])  # fmt: skip
def test_only_groups_that_a_pattern_allows(gateway, group, status):
    assert post(gateway, {"group": group, "message": 1}).status_code == status


def test_one_group_that_is_not_allowed_stops_the_whole_request(gateway):
    with session(gateway, "a") as a:
        answer = post(gateway, {"batch": [{"group": "chat_a", "message": 1}, {"group": "secret", "message": 2}]})
        assert answer.status_code == 403
        assert '"secret"' in answer.json()["error"]
        assert a.silent()


def test_patterns_may_use_what_the_path_captures(gateway):
    with Session(gateway.ws("/ws/team/red/a/")) as red, Session(gateway.ws("/ws/team/blue/a/")) as blue:
        assert post(gateway, {"group": "team.red.a", "message": 1}, "/teams/red/publish/").json()["published"] == [line("team.red.a", 1)]
        assert post(gateway, {"group": "team.blue.a", "message": 1}, "/teams/red/publish/").status_code == 403
        assert red.message() == 1
        assert blue.silent()


def test_an_anonymous_route_takes_no_token(gateway):
    assert post(gateway, {"group": "news", "text": "x"}, "/open", token=None).status_code == 200
    assert post(gateway, {"group": "news", "text": "x"}, "/open/", token=None).status_code == 200
    assert post(gateway, {"group": "chat_a", "text": "x"}, "/open", token=None).status_code == 403
    # By default only publishing is allowed.
    assert get(gateway, "/open/groups", token=None).status_code == 403
    # A page of another site can send this type without a preflight request, but not JSON.
    assert post(gateway, '{"group": "news", "text": "x"}', "/open", token=None, **{"Content-Type": "text/plain"}).status_code == 415


# Refusals


def test_methods_and_paths(gateway):
    answer = get(gateway, "/api/publish/")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    answer = post(gateway, {}, "/api/publish/groups")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert get(gateway, "/api/publish/nothing").status_code == 404
    assert get(gateway, "/api/publish/publish").status_code == 404
    assert get(gateway, "/api/publish/groups/more").status_code == 404
    assert get(gateway, "/opengroups", token=None).status_code == 404
    answer = post(gateway, {"user": "1"}, "/api/publish/disconnect")
    assert answer.status_code == 403 and '"disconnect"' in answer.json()["error"]


BAD = [
    b"", b"{", b"[]", b"null", b'{"group": "chat_a"}', b'{"group": "chat_a", "message": 1} 2', b'{"group": "chat_a", "message": NaN}',
    b'{"group": "chat_a", "message": "\xff"}', b'{"group": "chat_a", "message": "\xed\xa0\x80"}', b'{"group": "chat_a", "message": "a\x00b"}',
    b'{"group": "chat_a", "message": ' + b"[" * 30_000, b'{"group": "chat_a", "message": ' + b'{"a":' * 10_000,
    b'{"group": "chat_a", "message": 1, "mesage": 2}', b'{"group": "chat_a", "group": "chat_a", "message": 1}',
    b'{"group": "chat_a", "event": {"type": "sluice.disconnect", "user": "1"}}',
    b'{"group": "chat_a", "event": {"type": "a", "__asgi_channel__": ["x"]}}',
    b'{"group": "chat_a", "bytes": "?"}', b'{"batch": [{"group": "chat_a", "message": 1}, {}]}',
    "{}".encode("utf-16"),
]  # fmt: skip


@pytest.mark.parametrize("body", BAD, ids=range(len(BAD)))
def test_what_is_wrong_is_400_with_a_sentence(gateway, body):
    with session(gateway, "a") as a:
        answer = post(gateway, body)
        assert answer.status_code == 400, answer.text
        assert 10 < len(answer.json()["error"]) < 300
        post(gateway, {"group": "chat_a", "message": "good"})
        assert a.message() == "good"


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/json", "", None])
def test_the_body_is_json_by_its_type(gateway, kind):
    fields = {} if kind is None else {"Content-Type": kind}
    data = b'{"group": "chat_a", "message": 1}'
    headers = {"Authorization": f"Bearer {TOKEN}", **fields}
    assert requests.post(gateway.http("/api/publish/"), data=data, headers=headers, timeout=20).status_code == 415
    assert post(gateway, {"group": "chat_a", "message": 1}, **{"Content-Type": "Application/JSON; charset=utf-8"}).status_code == 200


def test_too_large_is_413(gateway):
    assert post(gateway, {"group": "chat_a", "message": "x" * 60_000}).status_code == 200
    assert post(gateway, {"group": "chat_a", "message": "x" * 66_000}).status_code == 413
    names = [f"chat_{n}" for n in range(1001)]
    assert post(gateway, {"groups": names[:1000], "message": 1}).status_code == 200
    assert post(gateway, {"groups": names, "message": 1}).status_code == 413


HEAD = f"POST /api/publish/ HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAuthorization: Bearer {TOKEN}\r\n"


def test_a_chunked_body_without_an_end_is_413(gateway):
    with connect(gateway.port) as sock:
        sock.sendall((HEAD + "Transfer-Encoding: chunked\r\n\r\n").encode())
        part = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
        try:
            for _ in range(64):
                sock.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert read_head(sock).split(" ")[1] == "413"


def test_a_body_that_trickles_is_given_up(start):
    gateway = start(text=routes(extra="limits: {handshake: 700ms}"), env=ENV)
    with connect(gateway.port) as sock:
        sock.sendall((HEAD + "Content-Length: 40\r\n\r\n{").encode())
        assert read_head(sock).split(" ")[1] == "408"
    assert post(gateway, {"group": "chat_a", "message": 1}).status_code == 200


def test_a_body_that_breaks_off_publishes_nothing(gateway):
    with session(gateway, "a") as a:
        for rest in [b'{"group": "chat_a", "message": 1}', b'{"gro']:
            with connect(gateway.port) as sock:
                sock.sendall((HEAD + "Content-Length: 400\r\n\r\n").encode() + rest)
                sock.shutdown(socket.SHUT_WR)
                sock.recv(1000)
        with connect(gateway.port) as sock:
            body = b'{"group": "chat_a", "message": "in pieces"}'
            sock.sendall((HEAD + "Transfer-Encoding: chunked\r\n\r\n").encode())
            for byte in body:
                sock.sendall(b"1\r\n" + bytes([byte]) + b"\r\n")
            sock.sendall(b"0\r\n\r\n")
            assert read_head(sock).split(" ")[1] == "200"
        assert a.message() == "in pieces"


def test_many_at_once_are_all_answered(gateway):
    with session(gateway, "a") as a, concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda n: post(gateway, {"group": "chat_a", "message": n}).status_code, range(400)))
        assert answers == [200] * 400
        assert sorted(a.messages(400)) == list(range(400))


# Idempotency


def test_the_same_key_publishes_once(gateway):
    with session(gateway, "a") as a:
        body = {"group": "chat_a", "message": 1, "idempotency_key": "k1"}
        first, second = post(gateway, body), post(gateway, body)
        assert first.text == second.text and second.status_code == 200
        assert "Idempotent-Replayed" not in first.headers and second.headers["Idempotent-Replayed"] == "true"
        assert post(gateway, {**body, "message": 2}).status_code == 422
        # With the key as a member of the request the body differs, but the key is the same.
        plain = {"group": "chat_a", "message": 3}
        assert [post(gateway, plain, **{"Idempotency-Key": '"k2"'}).status_code for _ in range(3)] == [200] * 3
        assert post(gateway, plain, **{"Idempotency-Key": "k2"}).headers["Idempotent-Replayed"] == "true"
        assert post(gateway, body, **{"Idempotency-Key": "other"}).status_code == 400
        assert post(gateway, plain, **{"Idempotency-Key": "x" * 256}).status_code == 400
        assert a.messages(2) == [1, 3]
        assert a.silent()


def test_the_same_key_at_the_same_time_publishes_once(gateway):
    with session(gateway, "a") as a, concurrent.futures.ThreadPoolExecutor(16) as pool:
        for n in range(20):
            answers = list(pool.map(lambda _: post(gateway, {"group": "chat_a", "message": n, "idempotency_key": f"k{n}"}), range(16)))
            assert {(one.status_code, one.text) for one in answers} == {(200, answers[0].text)}
            assert sum("Idempotent-Replayed" not in one.headers for one in answers) == 1
        assert a.messages(20) == list(range(20))
        assert a.silent()


def test_who_hangs_up_finds_the_answer_with_the_key(gateway):
    with session(gateway, "a") as a:
        body = b'{"group": "chat_a", "message": 1, "idempotency_key": "gone"}'
        for _ in range(5):
            with connect(gateway.port) as sock:
                sock.sendall((HEAD + f"Content-Length: {len(body)}\r\n\r\n").encode() + body)
        assert post(gateway, body).status_code == 200
        assert a.messages(1) == [1]
        assert a.silent()


# Presence


def test_groups_are_told_with_their_sessions(gateway):
    sessions = [session(gateway, room) for room in ["a", "a", "b", "c"]]
    with Session(gateway.ws("/ws/team/red/a/")):
        told = get(gateway, "/api/publish/groups").json()
        # Only groups that the route may name.
        assert told == {"groups": [{"group": "chat_a", "sessions": 2}, {"group": "chat_b", "sessions": 1}, {"group": "chat_c", "sessions": 1}], "next": None}
        page = get(gateway, "/api/publish/groups/?limit=2").json()
        assert [one["group"] for one in page["groups"]] == ["chat_a", "chat_b"]
        rest = get(gateway, f"/api/publish/groups?limit=2&after={page['next']}").json()
        assert ([one["group"] for one in rest["groups"]], rest["next"]) == (["chat_c"], None)
        assert get(gateway, "/api/publish/groups?prefix=chat_b").json()["groups"] == [{"group": "chat_b", "sessions": 1}]
        assert requests.head(gateway.http("/api/publish/groups"), headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20).status_code == 200
        for query in ["limit=0", "limit=1001", "limit=x", "prefx=a", "prefix=a&prefix=b", "prefix=%ff"]:
            assert get(gateway, f"/api/publish/groups?{query}").status_code == 400, query
    for one in sessions:
        one.socket.close()
    wait_until(lambda: get(gateway, "/api/publish/groups").json()["groups"] == [], what="they have left")


# Through Redis


@pytest.fixture
def pair(layer, start):
    return [start(text=routes(layer.yaml), env=ENV, kind=RedisGateway) for _ in range(2)]


def test_two_processes_hear_it_once_and_so_does_a_django_consumer(layer, pair):
    one, other = pair
    with session(one, "a") as near, session(other, "a") as far, session(other, "a") as second:
        answer = post(one, {"group": "chat_a", "message": {"n": [1, None]}})
        assert (answer.status_code, answer.json()) == (200, {"published": [line("chat_a", 1)]})
        # From a process without members of the group.
        assert post(one, {"group": "chat_b", "message": 0}).json() == {"published": [line("chat_b", 0)]}
        items = [{"group": "chat_a", "message": n} for n in range(300)]
        assert post(other, {"batch": items}).json() == {"published": [line("chat_a", 2)] * 300}
        for client in [near, far, second]:
            assert client.messages(301) == [{"n": [1, None]}, *range(300)]
            assert client.silent()


def test_a_process_without_sessions_publishes_to_the_others(pair):
    with session(pair[1], "a") as far:
        for n in range(20):
            assert post(pair[0], {"group": "chat_a", "message": n}).json() == {"published": [line("chat_a", 0)]}
        assert far.messages(20) == list(range(20))


def test_channels_redis_receives_what_is_published(layer, pair):
    django = layer.make()

    @async_to_sync
    async def receive():
        channel = await django.new_channel()
        await django.group_add("chat_a", channel)
        answer = await asyncio.to_thread(post, pair[0], {"group": "chat_a", "event": {"type": "order.paid", "id": 7, "l": [1.5, {"a": "é"}]}})
        return answer.json(), await asyncio.wait_for(django.receive(channel), 20)

    answer, event = receive()
    assert answer == {"published": [line("chat_a", 0)]}
    assert event == {"type": "order.paid", "id": 7, "l": [1.5, {"a": "é"}]}


def test_without_redis_it_is_503_and_tried_again_with_the_same_key(redis, layer, pair):
    body = {"group": "chat_a", "message": 1, "idempotency_key": "again"}
    redis.stop()
    wait_until(lambda: not pair[0].is_ready(), what="Redis is gone")
    answer = post(pair[0], body)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json()["published"][0]["error"] == "the message was not sent: the channel layer is not available"
    redis.start()
    wait_until(lambda: all(one.is_ready() for one in pair), what="Redis is back")
    with session(pair[1], "a") as far:
        answer = post(pair[0], body)
        assert answer.status_code == 200 and "Idempotent-Replayed" not in answer.headers
        assert far.message() == 1


# sluice send


def send(*arguments: str, input: str | None = None, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [SLUICE, "send", *map(str, arguments)], input=input, capture_output=True, text=True, cwd=ROOT, timeout=60,
        env={**os.environ, **ENV, **env},
    )


@pytest.fixture
def file(gateway, tmp_path):
    """The same configuration, with the gateway's real port."""
    path = tmp_path / "send.yaml"
    path.write_text(routes(extra=f"server: {{bind: '127.0.0.1:{gateway.port}'}}"))
    return path


def test_send_finds_everything_in_the_file(gateway, file):
    with session(gateway, "a") as a:
        done = send(file, "chat_a", '{"n": 1}')
        assert (done.returncode, done.stdout, done.stderr) == (0, "chat_a: 1 session\n", "")
        assert a.message() == {"n": 1}
        assert send(file, "chat_a", "-", input="[2]").returncode == 0
        assert a.message() == [2]
        assert send(file, "chat_a", "--event", '{"type": "order.paid", "id": 7}').returncode == 0
        assert a.hear() == {"type": "order.paid", "id": 7}
        done = send(file, "chat_a", "--event", '{"type": "order.payed"}')
        warning = 'no route of this gateway delivers events of type "order.payed" to "chat_a": did you mean "order.paid"?'
        assert (done.returncode, done.stdout, done.stderr) == (0, "chat_a: 1 session\n", f"sluice: warning: {warning}\n")
        for _ in range(2):
            assert send(file, "chat_a", "3", "--idempotency-key", "three").returncode == 0
        assert a.message() == 3
        assert a.silent()
    with open_session(gateway.port, "/ws/news/") as news:
        assert send(file, "news", "--text", "doors open").stdout == "news: 1 session\n"
        assert read_frame(news) == (1, b"doors open")


def test_send_to_an_address_of_its_own(gateway, file, tmp_path):
    url = gateway.http("/api/publish/")
    assert send("chat_a", "1", "--url", url, "--token-env", "MINE", MINE=TOKEN).returncode == 0
    done = send("chat_a", "1", "--url", url, "--token-env", "MINE", MINE="wrong-token-0123456789")
    assert (done.returncode, done.stderr) == (1, "sluice: 401: the token is not valid for this route\n")
    done = send("chat_a", "1", "--url", gateway.http("/nowhere"), "--token-env", "MINE", MINE=TOKEN)
    assert (done.returncode, done.stderr) == (1, (
        f"sluice: 404: {gateway.http('/nowhere')} is not the URL of a publish route: give the URL of the \"publish\" route with --url\n"))
    done = send("chat_a", "1", "--url", url.rstrip("/"), "--token-env", "MINE", MINE=TOKEN)
    assert (done.returncode, done.stderr) == (1, 'sluice: 404: there is nothing at this path: add a "/" at its end\n')
    done = send(file, "chat_a", "1", "--url", gateway.http("/nowhere"))
    assert done.stderr == f"sluice: 404: {gateway.http('/nowhere')} is not the URL of a publish route: in the configuration it is {url}\n"
    # The gateway takes a client that leaves with its answer for no fault.
    assert not any("ends too early" in line for line in gateway.log)
    assert TOKEN not in send(file, "chat_a", "1", "--url", "no url").stderr
    for port in ["0", "65536", "99999999999999999999"]:
        done = send(file, "chat_a", "1", "--url", f"http://127.0.0.1:{port}/p/")
        assert done.returncode == 2 and f"The URL has the port {port}; a port is 1 to 65535." in done.stderr
    # Options replace values that the file does not have.
    open_port = tmp_path / "open_port.yaml"
    open_port.write_text(routes(extra="server: {bind: '127.0.0.1:0'}").replace("api/publish/", "<slug:api>/publish/"))
    assert send(open_port, "chat_a", "1").stderr == 'sluice: the path of the "publish" route is not known: give --url\n'
    done = send(open_port, "chat_a", "1", "--url", url)
    assert (done.returncode, done.stdout) == (0, "chat_a: 0 sessions\n"), done.stderr
    assert done.stderr == 'sluice: nobody is in the group "chat_a" at the moment\n'


def test_send_over_a_unix_socket(start, tmp_path):
    path = tmp_path / "s.sock"
    text = routes(extra=f"server: {{bind: 'unix:{path}'}}")
    file = tmp_path / "unix.yaml"
    file.write_text(text)
    start(file=file, env=ENV, bind=f"unix:{path}")
    done = send(file, "chat_a", "1")
    assert (done.returncode, done.stdout) == (0, "chat_a: 0 sessions\n"), done.stderr


def test_send_says_in_a_sentence_what_is_wrong(gateway, file, tmp_path):
    done = send(file, "secret", "1")
    assert (done.returncode, done.stderr) == (1, 'sluice: no "publish" route of the configuration allows the group "secret"\n')
    gateway.stop()
    done = send(file, "chat_a", "1")
    assert done.returncode == 1
    assert done.stderr == f"sluice: http://127.0.0.1:{gateway.port}/api/publish/ cannot be reached: Connection refused; " \
        "is the gateway running? If it was started with --bind, give its URL with --url\n"
    (tmp_path / "none.yaml").write_text("installed_apps: [echo]\napplications: {main: {websocket: [{path: ws/, consumer: echo}]}}\n")
    done = send(tmp_path / "none.yaml", "chat_a", "1")
    assert (done.returncode, done.stderr) == (1, 'sluice: the application "main" has no "publish" route\n')


@pytest.mark.parametrize("arguments", [
    ["chat_a"], ["a", "b", "c", "d"], ["chat_a", "{"], ["chat_a", "1", "--text", "--event"], ["chat_a", "1", "--token-env", "NOT_SET_ANYWHERE"],
    ["chat_a", "1", "--idempotency-key", "a b"], ["chat_my room", "1"], ["chat_a", "1", "--url", "ws://127.0.0.1:8000/ws/"],
])  # fmt: skip
def test_wrong_usage_of_send_is_2(file, arguments):
    done = send(*arguments)
    assert done.returncode == 2, done.stderr
    assert "Usage: sluice send " in done.stderr


@pytest.mark.parametrize("token", ["", f"{TOKEN}\r", f"{TOKEN} x"])
def test_what_is_no_token_is_neither_sent_nor_shown(file, token):
    done = send(file, "chat_a", "1", "--token-env", "MINE", MINE=token)
    assert done.returncode == 2 and "MINE does not hold a valid token" in done.stderr
    assert TOKEN not in done.stderr


# Users

KEY = "a signing key of more than thirty-two bytes"

USERS = """
installed_apps: [chat, broadcast]
channel_layers: {default: LAYER}
server: {threads: 3}
auth: {users: {jwt: {secret: {env: SIGNING_KEY}}}}
applications:
  main:
    http:
      - {path: health/ready, health: ready}
      - {path: api/publish/, publish: {groups: "*", token: {env: PUBLISH_TOKEN}, allow: [publish, disconnect, presence]}}
      - {path: own/publish/, auth: users, publish: {groups: ["user_{user}", "team_{claims.team}.*"], allow: [publish, groups]}}
      - {path: both/publish/, auth: users, require: {role: admin}, publish: {groups: "*", token: {env: PUBLISH_TOKEN}}}
    websocket:
      - {path: ws/me/, auth: users, consumer: broadcast, publish: nobody, group: "user_{user}"}
      - {path: "ws/room/<slug:room>/", auth: users, consumer: chat, group: "room_{room}", presence: true}
"""


def token_of(user: str, **claims) -> str:
    return simple_jwt(KEY, user, **claims)


def user_session(gateway, user: str, path: str = "/ws/me/") -> Session:
    return Session(gateway.ws(path), additional_headers={"Authorization": f"Bearer {token_of(user)}"})


def close_of(session) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            session.socket.recv(timeout=20)
    return closed.value.rcvd.code, closed.value.rcvd.reason


@pytest.fixture
def with_users(start):
    def begin(layer: str = "{backend: memory}", **options):
        return start(text=USERS.replace("LAYER", layer), env={**ENV, "SIGNING_KEY": KEY}, **options)

    return begin


def test_users_publish_with_their_own_tokens_to_their_own_groups(with_users):
    gateway = with_users()
    ann = token_of("ann", team="red")
    with user_session(gateway, "ann") as session:
        assert post(gateway, {"group": "user_ann", "text": "x"}, "/own/publish/", ann).json() == {"published": [line("user_ann", 1)]}
        assert session.socket.recv(timeout=20) == "x"
        assert post(gateway, {"group": "team_red.a", "text": "x"}, "/own/publish/", ann).status_code == 200
        for group in ["user_bob", "team_blue.a", "team_.a"]:
            assert post(gateway, {"group": group, "text": "x"}, "/own/publish/", ann).status_code == 403, group
        assert get(gateway, "/own/publish/groups", ann).json()["groups"] == [{"group": "user_ann", "sessions": 1}]
        assert get(gateway, "/own/publish/groups", token_of("bob")).json()["groups"] == []
    # Keys of different users are independent.
    for user in ["ann", "bob"]:
        answer = post(gateway, {"group": f"user_{user}", "text": "x", "idempotency_key": "k"}, "/own/publish/", token_of(user))
        assert answer.status_code == 200 and "Idempotent-Replayed" not in answer.headers


def test_tokens_that_are_not_good_are_refused(with_users):
    gateway = with_users()
    tampered = token_of("ann")[:-2] + "xx"
    for token, status in [
        (None, 401), ("", 401), (TOKEN, 401), (tampered, 401), (token_of("ann", exp=time.time() - 1), 401), (token_of("ann", aud="x"), 401),
    ]:  # fmt: skip
        answer = post(gateway, {"group": "user_ann", "text": "x"}, "/own/publish/", token)
        assert answer.status_code == status, token
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ") and set(answer.json()) == {"error"}
    body = {"group": "user_ann", "text": "x"}
    assert post(gateway, body, "/both/publish/", token_of("ann")).status_code == 403
    assert post(gateway, body, "/both/publish/", token_of("ann", role="admin")).status_code == 200
    assert post(gateway, body, "/both/publish/", TOKEN).status_code == 200


def disconnect(gateway, body, token: str | None = TOKEN) -> requests.Response:
    return post(gateway, body, "/api/publish/disconnect", token)


def test_a_user_is_disconnected(with_users):
    gateway = with_users()
    sessions = [user_session(gateway, "5") for _ in range(6)] + [user_session(gateway, "5", "/ws/room/a/")]
    with user_session(gateway, "6") as other:
        answer = disconnect(gateway, {"user": "5", "reason": "please log in again"})
        assert (answer.status_code, answer.json()) == (200, {"user": "5", "sessions": 7})
        assert [close_of(one) for one in sessions] == [(4403, "please log in again")] * 7
        assert disconnect(gateway, {"user": 5}).json() == {"user": "5", "sessions": 0}
        assert other.is_open()
        for body in [{}, {"user": ""}, {"user": [5]}, {"user": "5", "reson": "x"}, {"user": "5", "reason": "x" * 124}]:
            assert disconnect(gateway, body).status_code == 400, body
        assert disconnect(gateway, {"user": "6"}, token=None).status_code == 401
        assert disconnect(gateway, {"user": "6"}).json() == {"user": "6", "sessions": 1}
        assert close_of(other) == (4403, "disconnected by an operator")


def test_a_user_is_disconnected_in_every_process_and_by_django(layer, with_users):
    one, other = (with_users(layer.yaml, kind=RedisGateway) for _ in range(2))
    wait_until(lambda: layer.joined("sluice.control") == 2, what="both listen")
    near, far, unconcerned = user_session(one, "5"), user_session(other, "5"), user_session(other, "6")
    assert disconnect(one, {"user": "5", "reason": "gone"}).json() == {"user": "5", "sessions": 1}
    assert close_of(near) == close_of(far) == (4403, "gone")
    near, far = user_session(one, "5"), user_session(other, "5")
    async_to_sync(layer.make().group_send)("sluice.control", {"type": "sluice.disconnect", "user": 5})
    assert close_of(near) == close_of(far) == (4403, "disconnected by an operator")
    # An event that is not a control event does nothing.
    for event in [{"type": "sluice.disconnect"}, {"type": "sluice.disconnect", "user": None}, {"type": "chat.message", "message": 1}]:
        async_to_sync(layer.make().group_send)("sluice.control", event)
    assert unconcerned.is_open()
    # The control group cannot be published to from outside.
    assert post(one, {"group": "sluice.control", "event": {"type": "a"}}).status_code == 400
    unconcerned.socket.close()


def test_an_order_arrives_after_an_outage(redis, layer, with_users):
    gateway = with_users(layer.yaml, kind=RedisGateway)
    wait_until(lambda: layer.joined("sluice.control") == 1, what="it listens")
    redis.stop()
    wait_until(lambda: not gateway.is_ready(), what="Redis is gone")
    answer = disconnect(gateway, {"user": "5"})
    assert (answer.status_code, answer.json()["sessions"]) == (503, 0)
    redis.start()
    wait_until(gateway.is_ready, what="Redis is back")
    wait_until(lambda: layer.joined("sluice.control") == 1, what="it listens again")
    with user_session(gateway, "5") as session:
        async_to_sync(layer.make().group_send)("sluice.control", {"type": "sluice.disconnect", "user": "5"})
        assert close_of(session)[0] == 4403


def test_who_is_there_is_told(with_users):
    gateway = with_users()
    sessions = [user_session(gateway, user, "/ws/room/a/") for user in ["ann", "ann", "bob"]]
    wait_until(lambda: get(gateway, "/api/publish/presence?group=room_a").json() == {"users": ["ann", "bob"], "anonymous": 0, "count": 2})
    assert get(gateway, "/api/publish/presence?group=room_b").json() == {"users": [], "anonymous": 0, "count": 0}
    for query, status in [("", 400), ("?group=a%20b", 400), ("?group=sluice.control", 400), ("?group=room_a&x=1", 400)]:
        assert get(gateway, f"/api/publish/presence{query}").status_code == status, query
    assert get(gateway, "/own/publish/presence?group=user_ann", token_of("ann")).status_code == 403
    for one in sessions:
        one.socket.close()


def test_presence_of_a_layer_without_it_is_404(start):
    gateway = start(text=routes(allow="[presence]"), env=ENV)
    assert get(gateway, "/api/publish/presence?group=chat_a").status_code == 404


# History


def test_history_is_told_and_gone_through(start):
    text = routes(allow="[publish, history]").replace('group: "chat_{room}",', 'group: "chat_{room}", history: {messages: 50},')
    gateway = start(text=text, env=ENV)
    ids = [post(gateway, {"group": "chat_a", "message": n}).json()["published"][0]["id"] for n in range(5)]
    assert len(set(ids)) == 5 and None not in ids
    post(gateway, {"group": "chat_a", "event": {"type": "broadcast.message", "bytes": "x"}})
    told = get(gateway, "/api/publish/history?group=chat_a").json()
    assert [one["id"] for one in told["events"][:5]] == ids
    assert told["events"][0]["event"] == {"type": "chat.message", "message": 0}
    assert (told["gap"], told["more"]) == (False, False)
    page = get(gateway, f"/api/publish/history?group=chat_a&since={ids[1]}&limit=2").json()
    assert ([one["event"]["message"] for one in page["events"]], page["id"], page["more"]) == ([2, 3], ids[3], True)
    assert get(gateway, "/api/publish/history?group=chat_a&since=1.1").json()["gap"] is True
    for query, status in [("group=chat_a&since=x", 400), ("group=news", 404), ("group=secret", 403), ("", 400)]:
        assert get(gateway, f"/api/publish/history?{query}").status_code == status, query
    # With the same key comes the same id.
    body = {"group": "chat_a", "message": 9, "idempotency_key": "k"}
    assert post(gateway, body).json() == post(gateway, body).json()
    with session(gateway, "a") as late:
        assert late.messages(5) == [0, 1, 2, 3, 4]


def test_history_is_that_of_all_processes(layer, start):
    text = routes(layer.yaml, allow="[publish, history]").replace('group: "chat_{room}",', 'group: "chat_{room}", history: {messages: 50},')
    one, other = (start(text=text, env=ENV, kind=RedisGateway) for _ in range(2))
    with session(other, "a") as far:
        ids = [post(gateway, {"group": "chat_a", "message": n}).json()["published"][0]["id"] for n, gateway in enumerate([one, other, one])]
        assert far.messages(3) == [0, 1, 2]
    for gateway in [one, other]:
        told = get(gateway, "/api/publish/history?group=chat_a").json()["events"]
        assert [(event["id"], event["event"]["message"]) for event in told] == list(zip(ids, range(3)))


@pytest.fixture
def secure(start, tmp_path):
    """A gateway that speaks TLS only, and the file of the authority that signed its certificate."""
    authority = Authority(tmp_path)
    authority.issue("site", "localhost")
    gateway = start(text=routes(allow="[publish, disconnect]", extra="server: {tls: {certificate: site.pem, key: site.key}}"), env=ENV)
    return gateway, authority.file


@pytest.mark.parametrize("command, told", [(["send", "chat_a", "1"], "chat_a: 0 sessions"), (["disconnect", "--user", "5"], "user 5: 0 sessions")])
def test_commands_over_tls_say_whom_to_trust(secure, tmp_path, command, told):
    gateway, authority = secure
    host = f"localhost:{gateway.secure_port}"

    def run(url: str, *options) -> subprocess.CompletedProcess:
        return subprocess.run(
            [SLUICE, *command, "--token-env", "PUBLISH_TOKEN", "--url", url, *map(str, options)],
            capture_output=True, text=True, cwd=tmp_path, timeout=60, env={**os.environ, **ENV},
        )

    url = f"https://{host}/api/publish/"
    for options in (["--cacert", authority], ["--insecure"]):
        done = run(url, *options)
        assert (done.returncode, done.stdout) == (0, told + "\n"), done.stderr
    advice = " (--cacert names one to trust, --insecure trusts any)\n"
    for where, options, words in [
        (url, [], "is not trusted" + advice),
        (url.replace("localhost", "127.0.0.1"), ["--cacert", authority], "is for another name" + advice),
        (url, ["--cacert", tmp_path / "nowhere.pem"], "nowhere.pem: "),
        (url, ["--cacert", tmp_path / "site.key"], "site.key: "),
    ]:
        done = run(where, *options)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
        assert words in done.stderr, done.stderr
    assert run(url, "--insecure", "--cacert", authority).returncode == 2
