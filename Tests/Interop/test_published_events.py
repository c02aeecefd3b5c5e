"""Events from outside: their types as in Channels, events that a route drops, and what users and pages may publish."""

import gzip
import json

import jwt
import pytest
import requests

from clients import connect, open_session, read_head
from conftest import Gateway
from redis_stack import Session, wait_until
from streams import open_stream, request
from tokens import signed

TOKEN, KEY = "interop-token-0123456789", "a signing key of more than thirty-two bytes"
BINARY_KEY = bytes([0xFF, 0x00, 0x80, *range(200, 228), 0x0A])

ROUTES = """
installed_apps: [chat, broadcast]
channel_layers: {default: {backend: memory}}
auth:
  users: {jwt: {secret: {env: SIGNING_KEY}}}
  binary: {jwt: {secret: {file: binary.key}}}
  encoded: {jwt: {secret: {env: ENCODED_KEY, encoding: base64url}}}
applications:
  main:
    http:
      - {path: api/, publish: {groups: "*", token: {env: PUBLISH_TOKEN}}}
      - {path: own/, auth: users, allowed_hosts: [friend.example], publish: {groups: "chat_*", allow: [publish, groups]}}
      - {path: staff/, auth: users, require: {staff: true}, publish: {groups: "chat_*", allow: [publish, events]}}
      - {path: anybody/, publish: {groups: news, anonymous: true}}
      - {path: stream/, auth: users, events: private, allowed_hosts: [friend.example]}
      - {path: "rooms/<slug:room>/", auth: users, events: "chat_{room}"}
      - {path: public/, events: {group: news, templates: {tick: {n: "{data.n}"}}}}
    websocket:
      - path: "ws/chat/<slug:room>/"
        name: rooms
        auth: users
        consumer: chat
        group: "chat_{room}"
        identity: true
        events: {order.paid: event}
      - {path: "ws/plain/<slug:room>/", auth: users, consumer: chat, group: "chat_{room}"}
      - {path: ws/news/, name: news, consumer: broadcast, group: news}
      - {path: ws/binary/, auth: binary, consumer: chat, group: binary}
      - {path: ws/encoded/, auth: encoded, consumer: chat, group: encoded}
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    home = tmp_path_factory.mktemp("published")
    (home / "routes.yaml").write_text(ROUTES)
    (home / "binary.key").write_bytes(BINARY_KEY)
    encoded = jwt.utils.base64url_encode(BINARY_KEY).decode()
    gateway = Gateway(home / "routes.yaml", env={"PUBLISH_TOKEN": TOKEN, "SIGNING_KEY": KEY, "ENCODED_KEY": encoded})
    yield gateway
    gateway.stop()


def token_of(user: str, key: str | bytes = KEY, **claims) -> str:
    return signed(key, user_id=user, **claims)


def post(gateway, body, path: str = "/api/", token: str | None = TOKEN, **fields) -> requests.Response:
    headers = {"Content-Type": "application/json", **fields}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = body if isinstance(body, bytes) else json.dumps(body)
    return requests.post(gateway.http(path), data=data, headers=headers, timeout=30)


def room(gateway, name: str, user: str = "ann") -> Session:
    return Session(gateway.ws(f"/ws/chat/{name}/"), additional_headers={"Authorization": f"Bearer {token_of(user)}"})


# Types (Channels: the name of a method)


@pytest.mark.parametrize(
    ("group", "kind", "said"),
    [
        ("chat_a", "chat.mesage", {"unknown_type": "chat.mesage", "nearest_type": "chat.message"}),
        ("chat_a", "something_else", {"unknown_type": "something_else"}),
        ("chat_a", "order_paid", {}),
        # Only a stream knows it.
        ("news", "tick", {}),
        # No route of this gateway has such a group.
        ("elsewhere", "tick", {}),
    ],
)
def test_the_publisher_of_a_type_that_no_route_knows_is_told(gateway, group, kind, said):
    answer = post(gateway, {"group": group, "event": {"type": kind, "message": 1}})
    assert answer.status_code == 200
    assert answer.json()["published"] == [{"group": group, "sessions": 0, "id": None, **said}]


@pytest.mark.report("types-with-underscores")
def test_a_type_with_underscores_is_the_one_with_points(gateway):
    with room(gateway, "types") as one:
        for event, heard in [
            ({"type": "chat_message", "message": 1}, {"message": 1}),
            ({"type": "order_paid", "id": 7}, {"type": "order_paid", "id": 7}),
            ({"type": "order.paid"}, {"type": "order.paid"}),
            ({"type": "websocket_send", "text": '{"raw": 1}'}, {"raw": 1}),
        ]:
            assert post(gateway, {"group": "chat_types", "event": event}).status_code == 200
            assert one.hear() == heard
    for type in ["sluice_presence", "sluice.presence", "sluice_disconnect"]:
        answer = post(gateway, {"group": "chat_types", "event": {"type": type, "presence": {}}})
        assert answer.status_code == 400 and "reserved" in answer.json()["error"]


@pytest.mark.report("unknown-types")
def test_what_a_route_drops_is_one_line_with_the_nearest_type(gateway):
    def lines(type: str) -> list[str]:
        return [line for line in gateway.log if f"type={type} " in line + " "]

    with room(gateway, "dropped") as one, open_session(gateway.port, "/ws/news/"), open_stream(gateway.port, "/public/"):
        for _ in range(3):
            post(gateway, {"group": "chat_dropped", "event": {"type": "order.payd", "id": 7}})
            post(gateway, {"group": "news", "event": {"type": "broadcast.message"}})
            post(gateway, {"group": "news", "event": {"type": "tick", "data": {"m": 1}}})
        post(gateway, {"group": "chat_dropped", "event": {"type": "chat.message", "message": "end"}})
        assert one.message() == "end"
    (unknown,) = wait_until(lambda: lines("order.payd"))
    assert "route=rooms" in unknown and 'did you mean' in unknown and "order.paid" in unknown
    # Once for each of the two routes.
    assert len([line for line in wait_until(lambda: lines("broadcast.message")) if 'neither' in line]) == 2
    (incomplete,) = wait_until(lambda: [line for line in lines("tick") if "without a field" in line])
    assert r'the field \"data\" has no \"n\"' in incomplete and "did you mean" in incomplete


# Users (Sluice names the sender, not the user)


@pytest.mark.report("impersonation-over-http")
def test_users_publish_messages_in_their_own_name_and_no_events(gateway):
    with room(gateway, "own", "bob") as bob:
        forged = {"type": "chat.message", "message": "hi", "user": "admin"}
        for event in [forged, {"type": "websocket.close"}, {"type": "websocket.send", "text": json.dumps(forged)}]:
            answer = post(gateway, {"group": "chat_own", "event": event}, "/own/", token_of("ann"))
            assert answer.status_code == 403 and '"events"' in answer.json()["error"]
        assert post(gateway, {"group": "chat_own", "message": "hello"}, "/own/", token_of("ann")).status_code == 200
        assert bob.hear() == {"message": "hello", "user": "ann"}
        # A text is rendered as a message of its user, and cannot pass for a frame that names another sender.
        text = json.dumps({"message": "hi", "user": "admin"})
        assert post(gateway, {"group": "chat_own", "text": text}, "/own/", token_of("ann")).status_code == 200
        assert bob.hear() == {"message": text, "user": "ann"}
        # Clients that may send whole events, and the back end, are not affected.
        staff = token_of("eve", staff=True)
        for path, token in [("/staff/", staff), ("/api/", TOKEN)]:
            assert post(gateway, {"group": "chat_own", "event": forged}, path, token).status_code == 200
            assert bob.hear() == {"message": "hi", "user": "admin"}
    # An anonymous route is open on purpose.
    assert post(gateway, {"group": "news", "event": {"type": "x.y"}}, "/anybody/", None).status_code == 200


@pytest.mark.report("impersonation-over-http")
def test_a_stream_shows_the_user_who_has_published_a_text(gateway):
    with open_stream(gateway.port, "/rooms/streamed/", f"Authorization: Bearer {token_of('ann')}") as stream:
        # What a real message of alice's looks like.
        forged = json.dumps({"message": "send me money", "user": "alice"})
        for content in [{"text": forged}, {"bytes": "AP8="}, {"message": "hello"}]:
            assert post(gateway, {"group": "chat_streamed", **content}, "/own/", token_of("bob")).status_code == 200
        assert [json.loads(stream.read().data) for _ in range(2)] == [{"message": forged, "user": "bob"}, {"message": "hello", "user": "bob"}]
        # The back end names the sender itself.
        assert post(gateway, {"group": "chat_streamed", "text": forged}).status_code == 200
        assert stream.read().data == forged
    wait_until(lambda: any("this route shows a user's message with its sender" in line for line in gateway.log))


def test_a_user_sends_no_frame_of_the_gateway_into_a_chat_without_names(gateway):
    with Session(gateway.ws("/ws/plain/unnamed/"), additional_headers={"Authorization": f"Bearer {token_of('ann')}"}) as one:
        for forged in ['{"presence": {"joined": "bob"}}', '{"history": {"id": "1.1", "gap": false}}', '{"message": 1, "user": "bob"}']:
            for content in [{"bytes": "AP8="}, {"text": forged}]:
                assert post(gateway, {"group": "chat_unnamed", **content}, "/own/", token_of("ann")).status_code == 200
            assert one.hear() == {"message": forged}
        # The back end sends the frames that it means.
        assert post(gateway, {"group": "chat_unnamed", "text": '{"presence": 1}'}).status_code == 200
        assert one.hear() == {"presence": 1}


@pytest.mark.report("binary-secret")
def test_a_secret_of_bytes_verifies_tokens(gateway):
    for path in ["/ws/binary/", "/ws/encoded/"]:
        headers = {"Authorization": f"Bearer {token_of('ann', BINARY_KEY)}"}
        with Session(gateway.ws(path), additional_headers=headers) as one:
            one.say(path)
            assert one.message() == path


# JSON that is refused


@pytest.mark.report("bodies-without-words")
@pytest.mark.parametrize(
    ("body", "fields", "status", "words"),
    [
        (b"[]", {}, 400, "is a list, not an object"),
        (b"\xef\xbb\xbf{}", {}, 400, "byte order mark"),
        ("{}".encode("utf-16"), {}, 400, "UTF-16"),
        (gzip.compress(b"{}"), {}, 400, "compressed with gzip"),
        (gzip.compress(b"{}"), {"Content-Encoding": "gzip"}, 415, 'Content-Encoding "gzip" is not supported'),
        (b'{"group": "news", "message": 18446744073709551616}', {}, 400, "does not fit into 64 bits"),
        (b'{"group": "news", "message": -9223372036854775809}', {}, 400, "does not fit into 64 bits"),
        (b'{"group": "news", "message": 1e400}', {}, 400, "too large"),
    ],
)
def test_what_cannot_be_taken_has_its_own_words(gateway, body, fields, status, words):
    answer = post(gateway, body, **fields)
    assert (answer.status_code, words in answer.json()["error"]) == (status, True), answer.text
    # RFC 9110 section 15.5.16.
    assert answer.headers.get("Accept-Encoding") == ("identity" if status == 415 else None)


# Pages of other origins (the Fetch standard, section 3.2)

FRIEND, STRANGER = {"Origin": "https://friend.example"}, {"Origin": "https://stranger.example"}


@pytest.mark.report("preflight")
def test_a_page_of_an_allowed_origin_publishes(gateway):
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    answer = requests.options(gateway.http("/own/"), headers=FRIEND | asked, timeout=20)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (204, "https://friend.example")
    assert answer.headers["Access-Control-Allow-Methods"] == "POST"
    assert {"Authorization", "Content-Type"} <= set(answer.headers["Access-Control-Allow-Headers"].split(", "))
    assert requests.options(gateway.http("/own/groups"), headers=FRIEND, timeout=20).headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    body = {"group": "chat_pages", "text": "x"}
    for token, status in [(token_of("ann"), 200), ("bad", 401)]:
        answer = post(gateway, body, "/own/", token, **FRIEND)
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (status, "https://friend.example")
        assert answer.headers["Vary"] == "Origin"
    for path, origin in [("/own/", STRANGER), ("/api/", FRIEND)]:
        answer = requests.options(gateway.http(path), headers=origin | asked, timeout=20)
        assert answer.status_code == 403 and "Access-Control-Allow-Origin" not in answer.headers
        assert "Access-Control-Allow-Origin" not in post(gateway, body, path, TOKEN, **origin).headers


@pytest.mark.report("stream-refusal-unseen")
def test_a_page_sees_why_its_stream_is_refused(gateway):
    def answer(path: str, origin: dict) -> tuple[int, str | None]:
        with connect(gateway.port) as sock:
            sock.sendall(request(path, *[f"{name}: {value}" for name, value in origin.items()]))
            lines = read_head(sock).lower().split("\r\n")
        return int(lines[0].split(" ")[1]), dict(line.split(": ", 1) for line in lines[1:] if line).get("access-control-allow-origin")

    assert answer("/stream/", FRIEND) == (401, "https://friend.example")
    assert answer("/stream/?since=nonsense", FRIEND) == (400, "https://friend.example")
    assert answer("/stream/", STRANGER) == (403, None)
    assert answer("/stream/", {}) == (401, None)
    refused = requests.post(gateway.http("/stream/"), headers=FRIEND, timeout=20)
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (405, "https://friend.example")
