"""Event streams that continue at their last position."""

import random
import threading

import pytest

from clients import connect, frame, open_session, read_frame, read_head
from listeners import Cable
from redis_stack import RedisGateway
from streams import Stream, open_stream, request

CONFIG = """
installed_apps: [broadcast]
channel_layers: {default: LAYER}
applications:
  main:
    http:
      - {path: health/ready, health: ready}
      - {path: page/, respond: {body: "<title>x</title>", headers: {Content-Type: text/html}}}
      - {path: events/, events: {group: news, retry: 200ms, history: {messages: 1000, seconds: 60}}}
      - {path: few/, events: {group: few, history: {messages: 3}}}
      - {path: small/, events: news, limits: {send_queue: 64KiB}}
      - {path: none/, events: other}
      - {path: two/, events: [news, other]}
    websocket:
      - {path: "ws/<slug:group>/", consumer: broadcast, group: "{group}"}
"""


@pytest.fixture
def gateway(start):
    return start(text=CONFIG.replace("LAYER", "{backend: memory}"))


def say(gateway, group: str, *texts: str) -> None:
    with open_session(gateway.port, f"/ws/{group}/") as sock:
        for text in texts:
            sock.sendall(frame(1, text.encode()))
            while read_frame(sock)[1].decode() != text:
                pass


def read(stream: Stream, count: int) -> list[str]:
    return [stream.read().data for _ in range(count)]


def test_a_stream_begins_with_what_is_kept(gateway):
    say(gateway, "news", "1", "2", "3")
    with open_stream(gateway.port, "/events/") as stream:
        assert read(stream, 3) == ["1", "2", "3"]
        epoch, first = stream.events[0].id.split(".")
        assert [event.id for event in stream.events] == [f"{epoch}.{int(first) + number}" for number in range(3)]
        say(gateway, "news", "4")
        assert stream.read().id == f"{epoch}.{int(first) + 3}"


def test_it_goes_on_behind_what_the_client_has_seen(gateway):
    say(gateway, "news", "1", "2", "3")
    with open_stream(gateway.port, "/events/") as stream:
        read(stream, 3)
        first, second, third = (event.id for event in stream.events)
    with open_stream(gateway.port, "/events/", f"Last-Event-ID: {first}") as stream:
        assert read(stream, 2) == ["2", "3"]
    with open_stream(gateway.port, f"/events/?since={second}") as stream:
        assert read(stream, 1) == ["3"]
    # A browser reconnects with the same URL.
    with open_stream(gateway.port, f"/events/?since={first}", f"Last-Event-ID: {third}") as stream:
        say(gateway, "news", "4")
        assert read(stream, 1) == ["4"]


def test_what_is_missing_is_said(gateway):
    say(gateway, "few", "1")
    with open_stream(gateway.port, "/few/") as stream:
        seen = stream.read().id
    say(gateway, "few", *"23456")
    for field in [f"Last-Event-ID: {seen}", "Last-Event-ID: of another server", "Last-Event-ID: 1.1"]:
        with open_stream(gateway.port, "/few/", field) as stream:
            gap = stream.read()
            assert gap.name == "gap" and gap.data == f'{{"id": "{gap.id}"}}'
            assert read(stream, 3) == ["4", "5", "6"]
    with connect(gateway.port) as sock:
        sock.sendall(request("/few/?since=nonsense"))
        assert read_head(sock).startswith("HTTP/1.1 400 ")


def test_a_client_that_has_seen_nothing_knows_where_it_is(gateway):
    with open_stream(gateway.port, "/events/") as stream:
        while not stream.last_id:
            assert stream.read_block()
        seen = stream.last_id
    say(gateway, "news", "1", "2")
    with open_stream(gateway.port, "/events/", f"Last-Event-ID: {seen}") as stream:
        assert read(stream, 2) == ["1", "2"]


def test_groups_without_a_history_have_no_ids(gateway):
    with open_stream(gateway.port, "/none/", "Last-Event-ID: 1.1") as stream:
        say(gateway, "other", "x")
        assert (stream.read().data, stream.last_id) == ("x", "")
    with open_stream(gateway.port, "/two/") as stream:
        say(gateway, "news", "kept")
        seen = stream.read().id
        say(gateway, "other", "not kept")
        assert (stream.read().data, stream.last_id) == ("not kept", seen)


def test_a_long_history_is_sent_as_it_is_taken(gateway):
    texts = [f"{number} " + "x" * 4000 for number in range(800)]
    say(gateway, "news", *texts)
    with open_stream(gateway.port, "/small/") as stream:
        assert read(stream, 800) == texts


def test_dropped_again_and_again_a_client_has_everything_once(gateway):
    count = 2000
    publishing = threading.Thread(target=lambda: say(gateway, "news", *map(str, range(count))))
    with open_stream(gateway.port, "/events/") as first:
        while not first.last_id:
            first.read_block()
        seen = first.last_id
    publishing.start()
    got: list[int] = []
    dice = random.Random(7)
    while len(got) < count:
        with open_stream(gateway.port, "/events/", f"Last-Event-ID: {seen}") as stream:
            for _ in range(min(dice.randrange(1, 200), count - len(got))):
                event = stream.read()
                assert event.name == "message"
                got.append(int(event.data))
            seen = stream.last_id
    publishing.join()
    assert got == list(range(count))


LISTEN = """
window.got = []; window.opened = 0; window.gaps = 0;
window.source = new EventSource('/events/');
source.onopen = () => opened += 1;
source.onmessage = (event) => got.push(event.data);
source.addEventListener('gap', () => gaps += 1);
0
"""


def test_a_browser_whose_connection_is_cut_misses_nothing(browser, gateway):
    cable = Cable(gateway.port)
    page = browser.open(f"http://127.0.0.1:{cable.port}/page/")
    page.run(LISTEN)
    page.wait_for("opened === 1")
    sent = []
    for round in range(1, 5):
        text = [f"{round}.{number}" for number in range(20)]
        say(gateway, "news", *text[:10])
        cable.drop()
        say(gateway, "news", *text[10:])
        sent += text
        page.wait_for(f"opened === {round + 1} && got.length >= {len(sent)}")
    assert page.run("[got, gaps]") == [sent, 0]
    cable.close()


def test_with_redis_a_browser_misses_nothing_over_a_restart(browser, start, redis):
    text = CONFIG.replace("LAYER", f'{{backend: redis, config: {{hosts: ["{redis.url()}"]}}}}')
    gateway = start(text=text, kind=RedisGateway)
    other = start(text=text, kind=RedisGateway)
    page = browser.open(gateway.http("/page/"))
    page.run(LISTEN)
    page.wait_for("opened === 1")
    say(other, "news", "before")
    page.wait_for("got.length === 1")
    gateway.process.kill()
    gateway.process.wait()
    say(other, "news", "meanwhile")
    start(text=text, kind=RedisGateway, bind=f"127.0.0.1:{gateway.port}")
    page.wait_for("got.length >= 2", seconds=30)
    say(other, "news", "after")
    page.wait_for("got.length >= 3")
    assert page.run("[got, gaps]") == [["before", "meanwhile", "after"], 0]
