"""One back end with django-grip, and one client, behind pushpin and behind Sluice: neither notices which of them it is."""

import pathlib
import socket
import struct
import time

import pytest
import requests
from gripcontrol import GripPubControl, WebSocketMessageFormat, parse_grip_uri
from pubcontrol import Item
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

import clients
import grip
from conftest import Gateway
from wsgi import Project

FOLDER = pathlib.Path(__file__).parent / "grip_project"

ROUTES = """
installed_apps: [view]
channel_layers: {default: {backend: memory}}
applications:
  main:
    http:
      - path: grip/publish/
        publish: {protocol: grip, groups: ["room_*"], secret: {env: GRIP_KEY}}
    websocket:
      - path: ws/<slug:room>/
        consumer: view
        protocol: websocket-over-http
        url: http://127.0.0.1:PORT/ws/{room}/
        secret: {env: GRIP_KEY}
        headers: [Cookie]
        groups_from_view: ["room_<slug:room>"]
      - path: rude/<slug:room>/
        consumer: view
        protocol: websocket-over-http
        url: http://127.0.0.1:PORT/rude/{room}/
        secret: {env: GRIP_KEY}
"""


class Site:
    """A back end behind a gateway."""

    def __init__(self, home: pathlib.Path, publish: int, path: str):
        self.publish = f"http://127.0.0.1:{publish}{path}?iss=site&key={grip.KEY}"
        self.backend = Project(home / "site", FOLDER, "grip_site", "", "/healthz/", {"GRIP_URL": self.publish})

    def ws(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    def asked(self, *kinds: str, count: int = 1) -> list[dict]:
        """The questions that have one of these events, or all; waits until there are so many."""
        deadline = time.monotonic() + 20
        while True:
            found = [q for q in self.backend.asked() if not kinds or any(e[0] in kinds for e in q["events"])]
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.05)

    def shout(self, channel: str, text: str, **options) -> None:
        assert requests.get(self.backend.url("/shout/"), params={"channel": channel, "text": text, **options}, timeout=20).ok

    def stop(self) -> None:
        self.gateway.stop()
        self.backend.stop()


class BehindPushpin(Site):
    def __init__(self, home: pathlib.Path):
        ports = grip.free_ports(2)
        super().__init__(home, ports[1], "")
        self.gateway = grip.Pushpin(home / "pushpin", self.backend.port, ports)
        self.port = self.gateway.port


class BehindSluice(Site):
    def __init__(self, home: pathlib.Path):
        (port,) = grip.free_ports(1)
        super().__init__(home, port, "/grip")
        file = home / "routes.yaml"
        file.write_text(ROUTES.replace("PORT", str(self.backend.port)))
        self.gateway = Gateway(file, f"127.0.0.1:{port}", {"GRIP_KEY": grip.KEY})
        self.port = self.gateway.port


@pytest.fixture(scope="module", params=[BehindPushpin, BehindSluice])
def site(request, tmp_path_factory):
    assert not grip.is_missing(), "install Debian's package pushpin: make need-test"
    site = request.param(tmp_path_factory.mktemp("grip"))
    yield site
    site.stop()


@pytest.fixture(scope="module")
def sluice(tmp_path_factory):
    site = BehindSluice(tmp_path_factory.mktemp("sluice"))
    yield site
    site.stop()


def come_and_go(site: Site, path: str) -> None:
    """A client that is let in, and goes without a word."""
    sock = clients.open_session(site.port, path)
    assert clients.read_frame(sock) == (1, b"hello")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def events_of(site: Site, room: str) -> list[list]:
    return [event for question in site.backend.asked() if question["path"].endswith(f"/{room}/") for event in question["events"]]


def test_a_client_is_let_in_and_greeted(site):
    with connect(site.ws("/ws/open/"), additional_headers={"Cookie": "sessionid=abc"}) as ws:
        assert ws.recv(timeout=20) == "hello"
        (question,) = [q for q in site.asked("OPEN") if q["path"] == "/ws/open/"]
        assert question["events"] == [["OPEN", None]]
        assert question["signed"] and question["meta"] == {} and question["cookie"] == "sessionid=abc"
        assert question["id"]


def test_messages_come_back_as_they_were_sent(site):
    with connect(site.ws("/ws/echo/")) as ws:
        assert ws.recv(timeout=20) == "hello"
        for sent, got in [("hé", "hé"), ("", ""), (b"abc\r\n\0", b"\0\n\rcba"), ("x" * 20_000, "x" * 20_000)]:
            ws.send(sent)
            assert ws.recv(timeout=20) == got
        ids = {q["id"] for q in site.asked() if q["path"] == "/ws/echo/"}
        assert len(ids) == 1
    assert [e[0] for e in events_of(site, "echo")][:5] == ["OPEN", "TEXT", "TEXT", "BINARY", "TEXT"]


def test_what_is_published_reaches_those_who_have_subscribed(site):
    with connect(site.ws("/ws/pub/")) as ws, connect(site.ws("/ws/other/")) as other:
        assert ws.recv(timeout=20) == other.recv(timeout=20) == "hello"
        site.shout("room_pub", "one")
        assert ws.recv(timeout=20) == "one"
        site.shout("room_pub", "two", binary="1")
        assert ws.recv(timeout=20) == b"two"
        other.send("join pub")
        assert other.recv(timeout=20) == "join pub"
        site.shout("room_pub", "three")
        assert ws.recv(timeout=20) == other.recv(timeout=20) == "three"
        ws.send("leave pub")
        assert ws.recv(timeout=20) == "leave pub"
        site.shout("room_pub", "four")
        assert other.recv(timeout=20) == "four"
        ws.send("still here")
        assert ws.recv(timeout=20) == "still here"


def test_a_view_publishes_while_it_is_asked(site):
    with connect(site.ws("/ws/tell/")) as ws:
        assert ws.recv(timeout=20) == "hello"
        ws.send("tell everybody")
        assert {ws.recv(timeout=20), ws.recv(timeout=20)} == {"everybody", "tell everybody"}


def test_messages_of_several_formats_and_channels_in_one_request(site):
    with connect(site.ws("/ws/many/")) as ws:
        assert ws.recv(timeout=20) == "hello"
        base = site.publish.split("?")[0]
        headers = {}
        if "/grip" in base:
            client = GripPubControl([parse_grip_uri(site.publish)]).clients[0]
            headers["Authorization"] = client._gen_auth_header()
        items = [
            {"channel": "room_many", "id": "1", "formats": {"ws-message": {"content": "a"}}},
            {"channel": "room_many", "id": "2", "prev-id": "1", "http-stream": {"content": "b\n"}, "ws-message": {"content": "b"}},
            {"channel": "room_many", "http-stream": {"content": "c\n"}},
            {"channel": "room_nobody", "ws-message": {"content-bin": "AA=="}},
            {"channel": "room_many", "ws-message": {"action": "close", "code": 4009, "reason": "enough"}},
        ]
        answer = requests.post(f"{base}/publish/", json={"items": items}, headers=headers, timeout=20)
        assert (answer.status_code, answer.text) == (200, "Published\n")
        assert [ws.recv(timeout=20), ws.recv(timeout=20)] == ["a", "b"]
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv(timeout=20)
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4009, "enough")


def test_what_a_view_keeps_comes_back(site):
    with connect(site.ws("/ws/meta/")) as ws:
        assert ws.recv(timeout=20) == "hello"
        for sent, got in [("count", "count 1"), ("count", "count 2"), ("x", "x 2"), ("forget", "forget"), ("count", "count 1")]:
            ws.send(sent)
            assert ws.recv(timeout=20) == got
    metas = [q["meta"] for q in site.asked("CLOSE", "TEXT", count=6) if q["path"] == "/ws/meta/"]
    assert metas[0] == {"room": "meta"} and metas[2] == {"room": "meta", "count": "2"}


@pytest.mark.parametrize("said, code", [("close 4001", 4001), ("close 1000", 1000)])
def test_a_view_closes(site, said, code):
    with connect(site.ws("/ws/close/")) as ws:
        assert ws.recv(timeout=20) == "hello"
        ws.send(said)
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv(timeout=20)
        assert closed.value.rcvd.code == code


def test_a_client_says_goodbye(site):
    with connect(site.ws("/ws/bye/")) as ws:
        assert ws.recv(timeout=20) == "hello"
        ws.close(4002)
    site.asked("CLOSE", "DISCONNECT")
    deadline = time.monotonic() + 20
    while ["CLOSE", "\x0f\xa2"] not in events_of(site, "bye"):
        assert time.monotonic() < deadline, events_of(site, "bye")
        time.sleep(0.05)


def test_a_client_goes_without_a_word(site):
    come_and_go(site, "/ws/gone/")
    deadline = time.monotonic() + 20
    while ["DISCONNECT", None] not in events_of(site, "gone"):
        assert time.monotonic() < deadline, events_of(site, "gone")
        time.sleep(0.05)


def test_a_client_is_refused(site):
    with pytest.raises(InvalidStatus) as refused:
        connect(site.ws("/ws/closed/"))
    assert refused.value.response.status_code == 403


# What is Sluice's own.


def test_a_view_that_fails_at_the_end_is_asked_once(sluice):
    come_and_go(sluice, "/rude/x/")
    assert sluice.asked("DISCONNECT")
    # The next question of another session comes behind a second one of the first, if there were any.
    with connect(sluice.ws("/rude/y/")) as ws:
        assert ws.recv(timeout=20) == "hello"
    time.sleep(2)
    assert events_of(sluice, "x").count(["DISCONNECT", None]) == 1


def test_a_channel_outside_of_the_declaration_fails_alone(sluice):
    with connect(sluice.ws("/ws/mine/")) as ws:
        assert ws.recv(timeout=20) == "hello"
        ws.send("join not/a/group")
        assert ws.recv(timeout=20) == "join not/a/group"
        ws.send("on")
        assert ws.recv(timeout=20) == "on"
    assert sluice.gateway.says("not carried out", "join", "room_not/a/group")


def test_a_control_message_that_does_not_exist_ends_its_session_and_no_other(sluice):
    with connect(sluice.ws("/ws/wrong/")) as ws, connect(sluice.ws("/ws/right/")) as other:
        assert ws.recv(timeout=20) == other.recv(timeout=20) == "hello"
        ws.send("wrong")
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv(timeout=20)
        assert closed.value.rcvd.code == 1011
        other.send("on")
        assert other.recv(timeout=20) == "on"
    assert sluice.gateway.says("no-such")


def test_only_who_has_the_key_publishes(sluice):
    body = {"items": [{"channel": "room_x", "ws-message": {"content": "x"}}]}
    url = sluice.publish.split("?")[0] + "/publish/"
    assert requests.post(url, json=body, timeout=20).status_code == 401
    wrong = GripPubControl([parse_grip_uri(sluice.publish.replace(grip.KEY, "another-key-of-sixteen-bytes"))])
    with pytest.raises(ValueError, match="401"):
        wrong.publish("room_x", Item(WebSocketMessageFormat("x")), blocking=True)
    right = GripPubControl([parse_grip_uri(sluice.publish)])
    right.publish("room_x", Item(WebSocketMessageFormat("x")), blocking=True)
    with pytest.raises(ValueError, match="403"):
        right.publish("other_x", Item(WebSocketMessageFormat("x")), blocking=True)
    assert sluice.gateway.says("refused", "the signature of the token is wrong")
