"""EventSource of a real browser."""

from clients import frame, open_session, read_frame

CONFIG = """
installed_apps: [broadcast]
channel_layers: {default: {backend: memory}}
applications:
  main:
    http:
      - {path: events/, events: {group: news, retry: 200ms, heartbeat: 1s}}
      - {path: page/, respond: {body: "<title>x</title>", headers: {Content-Type: text/html}}}
      - {path: friends/, events: news, allowed_hosts: ["http://127.0.0.1:1"]}
    websocket:
      - {path: ws/, consumer: broadcast, group: news}
"""

LISTEN = """
window.got = []; window.opened = 0; window.failed = 0;
window.source = new EventSource(ADDRESS, {withCredentials: true});
source.onopen = () => opened += 1;
source.onerror = () => failed += 1;
source.onmessage = (event) => got.push(event.data);
source.addEventListener('bytes', (event) => got.push('bytes ' + event.data));
source.addEventListener('close', (event) => { got.push('close ' + event.data); source.close(); });
"""


def say(gateway, *texts: str | bytes) -> None:
    with open_session(gateway.port, "/ws/") as sock:
        for text in texts:
            sock.sendall(frame(1, text.encode()) if isinstance(text, str) else frame(2, text))
            read_frame(sock)


def listen(browser, gateway, address: str = "/events/"):
    page = browser.open(gateway.http("/page/"))
    page.run(LISTEN.replace("ADDRESS", repr(address)) + "0")
    return page


def test_a_page_gets_what_is_sent_as_it_was(browser, start):
    gateway = start(text=CONFIG)
    page = listen(browser, gateway)
    page.wait_for("opened === 1")
    texts = ["plain", "", "a\nb", "a\r\nb\rc", " space", "data: x\n\nevent: y", "é😀\u2028", ":comment", "\ufeffmark"]
    say(gateway, *texts, b"\x00\xff\n")
    page.wait_for(f"got.length === {len(texts) + 1}")
    expected = [text.replace("\r\n", "\n").replace("\r", "\n") for text in texts]
    assert page.run("got") == [*expected, "bytes AP8K"]


def test_a_page_comes_back_by_itself(browser, start):
    gateway = start(text=CONFIG)
    page = listen(browser, gateway)
    page.wait_for("opened === 1")
    gateway.process.kill()
    gateway.process.wait()
    page.wait_for("failed >= 1 && source.readyState === EventSource.CONNECTING")
    again = start(text=CONFIG, bind=f"127.0.0.1:{gateway.port}")
    page.wait_for("opened === 2")
    say(again, "back")
    page.wait_for("got.length === 1")
    assert again.stop() == 0
    page.wait_for("failed >= 2 && source.readyState === EventSource.CONNECTING")


def test_pages_of_other_servers(browser, start):
    friend, stranger = start(text=CONFIG), start(text=CONFIG)
    gateway = start(text=CONFIG.replace("http://127.0.0.1:1\"", f"http://127.0.0.1:{friend.port}\""))
    page = listen(browser, friend, gateway.http("/friends/"))
    page.wait_for("opened === 1")
    say(gateway, "for friends")
    page.wait_for("got.length === 1")
    other = listen(browser, stranger, gateway.http("/friends/"))
    other.wait_for("failed === 1 && source.readyState === EventSource.CLOSED")
    assert other.run("got") == []
