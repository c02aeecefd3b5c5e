"""The client of the manual that comes back, in a real browser: when it comes back, and when it does not."""

import json
import re

import pytest
import requests

from conftest import ROOT
from manual import PAGES, blocks_of
from tokens import signed

FILE = ROOT / "examples/web/reconnecting.js"
KEY = "a-key-of-this-test-that-is-long-enough"
ROUTES = """
installed_apps: [chat, echo]
channel_layers: {default: {backend: memory}}
auth: {users: {jwt: {secret: {env: JWT_KEY}}}}
server: {refusals: close}
LIMITS
applications:
  main:
    http:
      - {path: "", respond: {body: "<title>client</title>", headers: {Content-Type: text/html}}}
      - {path: publish/, publish: {groups: [mine], token: {env: PUBLISH_KEY}, allow: [publish, disconnect]}}
    websocket:
      - {path: ws/, consumer: echo}
      - {path: ws/mine/, consumer: chat, group: mine, auth: users}
"""


@pytest.fixture
def begin(start):
    return lambda **options: start(text=ROUTES, env={"JWT_KEY": KEY, "PUBLISH_KEY": KEY}, **options)


def open_page(browser, gateway, path: str, options: str = ""):
    """A page with the connected client, whose pauses and sockets are recorded."""
    page = browser.open(gateway.http("/"))
    page.run(
        "window.sockets = []; const Real = WebSocket; WebSocket = function (...all) { const s = new Real(...all); sockets.push(s); return s };"
        "WebSocket.OPEN = Real.OPEN; window.pauses = []; window.ends = []; window.opens = 0; window.heard = [];"
    )
    page.run(
        FILE.read_text().replace("const final", "var final")
        + f"; var socket = reconnecting(() => '{gateway.ws(path)}', {{opened: () => opens++, received: (data) => heard.push(data),"
        f" waiting: (wait, code, reason) => pauses.push({{wait, code, reason}}), ended: (...all) => ends.push(all), {options}}})"
    )
    return page


def test_the_block_of_the_manual_is_the_file_and_short():
    (block,) = [block.text for block in blocks_of(ROOT / "docs/operate.md") if block.language == "js" and "function reconnecting" in block.text]
    assert block == FILE.read_text()
    assert block.count("\n") <= 40
    assert {copy.read_text() for copy in (ROOT / "examples").glob("*/page/reconnecting.js")} == {block}


def test_clients_of_the_manual_look_for_the_same_hint():
    clients = [block.text for page in PAGES for block in blocks_of(page) if ".onclose = (" in block.text and "setTimeout" in block.text]
    assert len(clients) >= 5 and all(r"/retry in ([\d.]+)s/" in client for client in clients)


def test_it_comes_back_when_it_is_told_to(browser, begin):
    gateway = begin(limits="shutdown: {back: 2s}")
    page = open_page(browser, gateway, "/ws/")
    page.wait_for("opens === 1")
    gateway.stop()
    page.wait_for("pauses.length === 1")
    told = page.run("pauses[0]")
    assert told["code"] == 1012
    hint = float(re.fullmatch(r"restarting; retry in ([\d.]+)s", told["reason"])[1])
    # The browser's connection for HTTP keeps the process for 2.5 seconds.
    assert 4.5 <= hint <= 4.7 and 1000 * hint <= told["wait"] <= 1000 * hint + 100
    begin(bind=f"127.0.0.1:{gateway.port}")
    page.wait_for("opens === 2")
    assert page.run("pauses.length") == 1
    page.run("socket.send('again')")
    page.wait_for("heard.join() === 'again'")


def test_without_a_hint_its_pauses_grow_and_differ(browser, begin):
    gateway = begin(limits="shutdown: {grace: 0s, back: 0s}")
    page = open_page(browser, gateway, "/ws/")
    page.wait_for("opens === 1")
    gateway.stop()
    page.wait_for("pauses.length === 5")
    pauses = [pause for pause in page.run("pauses") if "retry in" not in pause["reason"]]
    assert len(pauses) >= 4 and {pause["code"] for pause in pauses} == {1006}
    for number, pause in enumerate(pauses):
        assert 250 * 2**number <= pause["wait"] <= 500 * 2**number
    page.run("socket.close()")
    assert page.run("sockets.length") <= 5


def test_it_stops_at_a_final_code(browser, begin):
    gateway = begin()
    page = open_page(browser, gateway, "/ws/mine/", f"token: () => '{signed(KEY, sub='ann')}'")
    page.wait_for("opens === 1")
    answer = requests.post(gateway.http("/publish/disconnect"), json={"user": "ann", "reason": "be nice"}, headers={"Authorization": f"Bearer {KEY}"}, timeout=20)
    assert answer.json()["sessions"] == 1
    page.wait_for("ends.length === 1")
    assert page.run("ends[0]") == [4403, "be nice"]
    assert page.run("[sockets.length, pauses.length].join()") == "1,0"


def test_it_renews_its_token_before_it_comes_back_and_gives_up_when_that_does_not_help(browser, begin):
    gateway = begin()
    good = signed(KEY, sub="ann")
    page = open_page(browser, gateway, "/ws/mine/", f"token: async () => {json.dumps(['stale', good])}[Math.min(asked++, 1)]".replace("asked", "window.asked"))
    # The variable is counted by the client, so that it has to be there first.
    page.run("socket.close(); window.asked = 0; ends = []; pauses = []; opens = 0")
    page.run(f"socket = reconnecting(() => '{gateway.ws('/ws/mine/')}', {{opened: () => opens++, received: (data) => heard.push(data), waiting: (wait, code) => pauses.push(code), ended: (...all) => ends.push(all), token: async () => ['stale', '{good}'][Math.min(asked++, 1)]}})")
    page.wait_for("heard.length === 0 && asked === 2 && socket.isOpen")
    assert page.run("[pauses.join(), ends.length].join('|')") == "4401|0"
    page.run("socket.close(); asked = 0; ends = []; pauses = []")
    page.run(f"socket = reconnecting(() => '{gateway.ws('/ws/mine/')}', {{received: () => 0, waiting: (wait, code) => pauses.push(code), ended: (...all) => ends.push(all), token: () => 'stale' + asked++}})")
    page.wait_for("ends.length === 1")
    assert page.run("[pauses.join(), ends[0][0], asked].join('|')") == "4401|4401|2"


def test_a_token_that_cannot_be_renewed_is_asked_for_again(browser, begin):
    gateway = begin()
    good = signed(KEY, sub="ann")
    page = open_page(browser, gateway, "/ws/")
    page.run("socket.close(); window.asked = 0; pauses = []; ends = []")
    page.run(f"socket = reconnecting(() => '{gateway.ws('/ws/mine/')}', {{received: () => 0, waiting: (wait, code, why) => pauses.push(why), ended: (...all) => ends.push(all), token: async () => {{ if (asked++ < 2) throw new Error('away'); return '{good}' }}}})")
    page.wait_for("socket.isOpen")
    assert page.run("[pauses.join(), ends.length, asked].join('|')") == "no token,no token|0|3"


def test_what_the_browser_cannot_make_a_socket_of_is_told(browser, begin):
    gateway = begin()
    page = open_page(browser, gateway, "/ws/")
    page.wait_for("opens === 1")
    page.run("socket.close(); ends = []; pauses = []")
    for address, token in (("() => 'ftp://a/'", "null"), ("() => { throw new Error('no room') }", "null"), (f"() => '{gateway.ws('/ws/')}'", "() => 'a='")):
        page.run(f"ends = []; socket = reconnecting({address}, {{received: () => 0, waiting: (...all) => pauses.push(all), ended: (...all) => ends.push(all), token: {token}}})")
        page.wait_for("ends.length === 1")
        assert page.run("[ends[0][0], pauses.length, socket.isOpen].join('|')") in ("1006|0|false", "1006|0|"), address
        assert "rror" in page.run("ends[0][1]")
