"""Every example is served, and does what its README says."""

import json

import requests

from clients import frame, open_session, read_frame
from conftest import ROOT

EXAMPLES = ROOT / "examples"


def said(sock) -> object:
    return json.loads(read_frame(sock)[1])


def test_echo(start):
    with open_session(start(file=EXAMPLES / "echo/routes.yaml").port, "/ws/echo/") as sock:
        sock.sendall(frame(2, b"\x00\xff"))
        assert read_frame(sock) == (2, b"\x00\xff")


def test_chat(start):
    gateway = start(file=EXAMPLES / "chat/routes.yaml")
    assert "Sluice" in requests.get(gateway.http("/")).text
    with open_session(gateway.port, "/ws/chat/lobby/", "Origin: http://localhost") as sock:
        sock.sendall(frame(1, b'{"message": "hi"}'))
        assert said(sock) == {"message": "hi"}


def test_broadcast(start):
    gateway = start(file=EXAMPLES / "broadcast/routes.yaml")
    assert "Ticker" in requests.get(gateway.http("/")).text
    assert requests.get(gateway.http("/health/ready")).status_code == 200
    watcher, publisher = open_session(gateway.port, "/ws/ticker/"), open_session(gateway.port, "/ws/ticker/publish/")
    publisher.sendall(frame(1, b"42"))
    assert read_frame(watcher) == (1, b"42")
    watcher.sendall(frame(1, b"43"))
    assert "error" in said(watcher)


def test_apps(start):
    gateway = start(file=EXAMPLES / "apps/routes.yaml")
    assert requests.get(gateway.http("/rooms/")).json() == {"rooms": ["lobby", "kitchen"]}
    moved = requests.get(gateway.http("/old/lobby/"), allow_redirects=False)
    assert (moved.status_code, moved.headers["Location"]) == (301, "/rooms/lobby/")
    with open_session(gateway.port, "/rooms/lobby/") as sock:
        sock.sendall(frame(1, b'{"message": 1}'))
        assert said(sock) == {"message": 1}
    desk, reader = open_session(gateway.port, "/support/desk/"), open_session(gateway.port, "/support/announcements/")
    desk.sendall(frame(1, b"closed on Monday"))
    assert read_frame(reader) == (1, b"closed on Monday")
    open_session(gateway.port, "/ws/echo/").close()


def test_container(start):
    gateway = start(file=EXAMPLES / "container/routes.yaml", env={"MAX_CONNECTIONS": "5"})
    assert requests.get(gateway.http("/health/live")).status_code == 200
    assert all(json.loads(line) for line in gateway.log)
    assert gateway.says('"connections":5')
