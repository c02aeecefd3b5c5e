"""The manual's client, in a real browser."""

import re

import pytest
import requests

from conftest import ROOT
from redis_stack import Session
from tokens import signed

KEY = "a-key-of-this-test-that-is-long-enough"
ROUTES = """
installed_apps: [chat]
channel_layers: {default: {backend: memory}}
auth: {users: {jwt: {secret: {env: JWT_KEY}}}}
applications:
  main:
    http:
      - {path: "", respond: {body: "<title>history</title>", headers: {Content-Type: text/html}}}
      - {path: publish/, publish: {groups: [room, mine], token: {env: PUBLISH_KEY}, allow: [publish, disconnect]}}
    websocket:
      - {path: ws/, consumer: chat, group: room, history: {messages: 3}, events: {stop: event}}
      - {path: ws/mine/, consumer: chat, group: mine, history: {messages: 3}, auth: users}
"""


@pytest.fixture
def gateway(start):
    return start(text=ROUTES, env={"JWT_KEY": KEY, "PUBLISH_KEY": KEY})


def open_page(browser, gateway, path: str, token: str = ""):
    """A page with the connected client. Its sockets and its pauses are recorded, so that the test can drop the sockets."""
    (client,) = re.findall(r"```js\n(let id = .*?)```", (ROOT / "docs/history.md").read_text(), re.S)
    assert client.count("\n") <= 12
    page = browser.open(gateway.http("/"))
    page.run(
        "window.sockets = []; const Real = WebSocket; WebSocket = function (...all) { const s = new Real(...all); sockets.push(s); return s };"
        "window.pauses = []; const later = setTimeout; setTimeout = (what, pause, ...rest) => { if (what === connect) pauses.push(pause); return later(what, pause, ...rest) }"
    )
    page.run(
        client.replace("let id", "var id") + "; window.heard = []; window.gaps = 0; window.ends = []; window.states = [];"
        f"var chat = {{url: '{gateway.ws(path)}', token: '{token}', received: (frame) => heard.push(frame.message), missed: () => gaps++, ended: (code) => ends.push(code), connected: (yes) => states.push(yes)}};"
        "connect(chat)"
    )
    return page


def drop(page) -> None:
    page.run("sockets.at(-1).close()")
    page.wait_for("sockets.at(-1).readyState === 3")


def test_the_client_of_the_manual_resumes(browser, gateway):
    page = open_page(browser, gateway, "/ws/")
    heard = lambda *messages: page.wait_for(f"JSON.stringify(heard) === '{str(list(messages)).replace(' ', '')}'")
    with Session(gateway.ws("/ws/")) as sender:
        page.wait_for("id !== ''")
        sender.say(1)
        heard(1)
        drop(page)
        for number in (2, 3):
            sender.say(number)
        heard(1, 2, 3)
        assert page.run("[sockets.length, gaps].join()") == "2,0"
        drop(page)
        for number in (4, 5, 6, 7):
            sender.say(number)
        sender.messages(7)
        page.wait_for("sockets.length === 3 && sockets.at(-1).readyState === 1")
        page.wait_for("heard.at(-1) === 7")
        # Three events are kept: the page was back before the fourth, or was told of the gap.
        missed = page.run("7 - heard.length")
        assert (missed, page.run("gaps")) in [(0, 0), (1, 1), (2, 1), (3, 1)]
        page.wait_for("states.join() === 'true,false,true,false,true'")
        assert page.run("chat.socket === sockets.at(-1)")
        # The pauses differ, and stay within what the page says.
        pauses = page.run("pauses")
        assert len(set(pauses)) == 2 and all(500 <= pause <= 1000 for pause in pauses)


def test_the_client_of_the_manual_shows_its_token_and_stops_at_a_final_code(browser, gateway):
    good = signed(KEY, sub="ann")
    page = open_page(browser, gateway, "/ws/mine/", good)
    page.wait_for("id !== ''")
    disconnect = {"user": "ann", "reason": "be nice"}
    answer = requests.post(gateway.http("/publish/disconnect"), json=disconnect, headers={"Authorization": f"Bearer {KEY}"}, timeout=20)
    assert answer.json()["sessions"] == 1
    page.wait_for("ends.length === 1")
    assert page.run("[ends, sockets.length, pauses.length].join()") == "4403,1,0"
    # With a new token it connects again. Without one the handshake is refused, and it keeps trying, ever more rarely.
    page.run("connect(chat)")
    page.wait_for("sockets.at(-1).readyState === 1")
    page.run("chat.token = ''")
    drop(page)
    page.wait_for("pauses.length === 2")
    assert page.run("ends.length === 1 && pauses[1] >= 1000 && pauses[1] <= 2000")
