"""The README's client, in a real browser."""

import re

import pytest

from browser import Browser
from conftest import ROOT
from redis_stack import Session

ROUTES = """
installed_apps: [chat]
channel_layers: {default: {backend: memory}}
applications:
  main:
    http:
      - {path: "", respond: {body: "<title>history</title>", headers: {Content-Type: text/html}}}
    websocket:
      - {path: ws/, consumer: chat, group: room, history: {messages: 3}, events: {stop: event}}
"""


@pytest.fixture
def browser(tmp_path):
    browser = Browser(tmp_path / "profile")
    yield browser
    browser.close()


def test_the_client_of_the_readme_resumes(browser, start):
    (client,) = re.findall(r"```js\n(let id = .*?)```", (ROOT / "README.md").read_text(), re.S)
    assert client.count("\n") <= 12
    gateway = start(text=ROUTES)
    page = browser.open(gateway.http("/"))
    # Every socket is kept, so that it can be dropped.
    page.run("window.sockets = []; const Real = WebSocket; WebSocket = function (url) { const s = new Real(url); sockets.push(s); return s }")
    page.run(client.replace("let id", "var id") + f"; window.heard = []; window.gaps = 0; connect('{gateway.ws('/ws/')}', (frame) => heard.push(frame.message), () => gaps++)")
    heard = lambda *messages: page.wait_for(f"JSON.stringify(heard) === '{str(list(messages)).replace(' ', '')}'")
    with Session(gateway.ws("/ws/")) as sender:
        page.wait_for("id !== ''")
        sender.say(1)
        heard(1)
        page.run("sockets.at(-1).close()")
        page.wait_for("sockets.at(-1).readyState === 3")
        for number in (2, 3):
            sender.say(number)
        heard(1, 2, 3)
        assert page.run("[sockets.length, gaps].join()") == "2,0"
        page.run("sockets.at(-1).close()")
        page.wait_for("sockets.at(-1).readyState === 3")
        for number in (4, 5, 6, 7):
            sender.say(number)
        sender.messages(7)
        page.wait_for("sockets.length === 3 && sockets.at(-1).readyState === 1")
        page.wait_for("heard.at(-1) === 7")
        # Three are kept: either it was back before the fourth, or it was told.
        missed = page.run("7 - heard.length")
        assert (missed, page.run("gaps")) in [(0, 0), (1, 1), (2, 1), (3, 1)]
