"""Refusals that a page can read: what a real browser sees with `refusals: http` and with `refusals: close`."""

import socket
import time

from clients import connect, frame, handshake, open_session, read_close, read_head
from tokens import signed

CONFIG = """
installed_apps: [echo, chat]
channel_layers: {default: {backend: memory}}
auth:
  api: {jwt: {secret: {env: SIGNING_KEY}, from: [subprotocol]}}
limits: {per_user: {handshakes: 2/h}}
applications:
  main:
    http:
      - {path: page/, respond: {body: "<title>x</title>", headers: {Content-Type: text/html}}}
    websocket:
      refusals: REFUSALS
      routes:
        - {path: ws/open/, consumer: echo}
        - {path: ws/mine/, consumer: chat, group: "user_{user}", auth: api}
        - {path: ws/staff/, consumer: echo, auth: api, require: {staff: true}}
        - {path: ws/kept/, consumer: chat, group: kept, history: {messages: 3}}
        - {path: ws/friends/, consumer: echo, auth: api, allowed_hosts: ["http://127.0.0.1:1"]}
        - {path: ws/away/, consumer: chat, group: away, channel_layer: default}
"""

# Each attempt is what the page is told of it: whether it was opened, the code, the reason, whether the close was clean.
VISIT = """
window.visit = (path, protocols = []) => new Promise((done) => {
  let opened = false
  const socket = new WebSocket(`ws://${location.host}${path}`, protocols)
  socket.onopen = () => { opened = true; if (path === "/ws/open/") socket.close(4000, "bye") }
  socket.onclose = ({code, reason, wasClean}) => done([opened, code, reason, wasClean])
}); 0
"""

ORIGIN = "Pages of this origin are not allowed here."


def serve(start, refusals: str):
    return start(text=CONFIG.replace("REFUSALS", refusals), env={"SIGNING_KEY": KEY})


KEY = "a secret of sixty-four bytes, which is enough for all of HS256-512"


def token(user: str, **claims) -> str:
    return "bearer." + signed(KEY, user_id=user, exp=claims.pop("exp", int(time.time()) + 600), **claims)


def visits(page) -> dict:
    """What a page sees of each kind of refusal."""
    def visit(path: str, *protocols: str):
        return page.run(f"visit({path!r}, {list(protocols)!r})")

    seen = {
        "open": visit("/ws/open/"),
        "nowhere": visit("/ws/nowhere/"),
        "nowhere, with subprotocols": visit("/ws/nowhere/", "v1", "v2"),
        "no token": visit("/ws/mine/"),
        "expired": visit("/ws/mine/", token("5", exp=1)),
        "not staff": visit("/ws/staff/", token("6")),
        "no id": visit("/ws/kept/?since=x"),
        "foreign": visit("/ws/friends/", token("7")),
    }
    for _ in range(2):
        visit("/ws/staff/", token("8"))
    seen["too often"] = visit("/ws/staff/", token("8"))
    return seen


def test_a_page_sees_1006_for_every_refusal_by_http(browser, start):
    gateway = serve(start, "http")
    page = browser.open(gateway.http("/page/"))
    page.run(VISIT)
    seen = visits(page)
    assert seen.pop("open") == [True, 4000, "bye", True]
    assert seen == {name: [False, 1006, "", False] for name in seen}
    assert gateway.says("refused", "status=401") and gateway.says("refused", "status=429")
    assert not any("code=44" in line for line in gateway.log)


def test_a_page_reads_the_code_and_the_reason_of_a_refusal_by_close(browser, start):
    gateway = serve(start, "close")
    page = browser.open(gateway.http("/page/"))
    page.run(VISIT)
    nothing = "There is nothing at this path."
    assert visits(page) == {
        "open": [True, 4000, "bye", True],
        "nowhere": [True, 4404, nothing, True],
        "nowhere, with subprotocols": [True, 4404, nothing, True],
        "no token": [True, 4401, "a token is needed", True],
        "expired": [True, 4401, "the token has expired", True],
        "not staff": [True, 4403, "the claims of the token do not allow this", True],
        "no id": [True, 4400, '"since" must be the id of a frame (EPOCH.OFFSET), or empty.', True],
        "foreign": [True, 4403, ORIGIN, True],
        "too often": [True, 4429, "This user connects too often; try again later.", True],
    }
    assert gateway.says("refused", "status=401", "code=4401") and gateway.says("refused", "status=404", "code=4404")


def refusal(port: int, path: str, *fields: str) -> tuple[int, str]:
    with open_session(port, path, *fields) as sock:
        return read_close(sock)


def test_a_page_of_another_site_cannot_tell_who_is_logged_in(start):
    gateway = serve(start, "close")
    foreign = "Origin: http://evil.test"
    tokens = [(), (f"Sec-WebSocket-Protocol: {token('5')}",), (f"Sec-WebSocket-Protocol: {token('5', exp=1)}",)]
    for path in ("/ws/open/", "/ws/mine/", "/ws/staff/", "/ws/kept/?since=x", "/ws/nowhere/", "/%ff"):
        for shown in tokens:
            assert refusal(gateway.port, path, foreign, *shown) == (4403, ORIGIN), path
    # None of them counts as a handshake of the user.
    for _ in range(2):
        assert refusal(gateway.port, "/ws/staff/", tokens[1][0])[0] == 4403
    assert refusal(gateway.port, "/ws/staff/", tokens[1][0])[0] == 4429


def test_a_client_that_never_answers_the_close_frame_does_not_stay(start):
    gateway = serve(start, "close")
    silent = [connect(gateway.port) for _ in range(20)]
    for sock in silent:
        sock.sendall(handshake("/ws/nowhere/"))
        assert read_head(sock).startswith("HTTP/1.1 101")
        assert read_close(sock)[0] == 4404
    begun = time.monotonic()
    for sock in silent:
        sock.settimeout(20)
        try:
            assert sock.recv(1) == b""
        except ConnectionResetError:
            pass
        sock.close()
    assert 3 < time.monotonic() - begun < 12
    polite = open_session(gateway.port, "/ws/nowhere/")
    assert read_close(polite)[0] == 4404
    polite.sendall(frame(8, b"\x11\x34"))
    begun = time.monotonic()
    assert polite.recv(1) == b"" and time.monotonic() - begun < 2
    polite.shutdown(socket.SHUT_RDWR)
    polite.close()
