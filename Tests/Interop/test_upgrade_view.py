"""Sessions of `consumer: view` go on when the process executes another program: what is under way with the view is finished before."""

import json
import re
import subprocess
import threading
import time

import pytest

from clients import frame, open_session, read_close, read_frame
from conftest import SLUICE
from redis_stack import wait_until
from test_upgrade import text, upgrade
from test_view import serve, view  # noqa: F401


def answering(view):  # noqa: F811
    def answer(question):
        if question["event"] == "connect":
            return {"user": question["captures"]["room"], "state": {"count": 0}}
        if question["event"] == "receive":
            count = question["state"]["count"] + len(question["messages"])
            said = [message.get("text") for message in question["messages"]]
            return {"state": {"count": count}, "do": [{"send": {"text": f"{count} {said[-1]}"}}]}
        return None

    view.answer = answer


@pytest.fixture
def gateway(view, serve):  # noqa: F811
    answering(view)
    return serve()


def on(redis) -> str:
    return f"{{backend: redis, config: {{hosts: ['redis://127.0.0.1:{redis.port}']}}}}"


def test_state_numbers_and_address_go_along(gateway, view):  # noqa: F811
    sock = open_session(gateway.port, "/ws/room/ann/")
    connected = view.next("connect")
    for number in range(1, 6):
        sock.sendall(frame(1, f"m{number}".encode()))
        assert text(sock) == f"{number} m{number}"
        question = view.next("receive")
        assert question["address"] == connected["address"]
        assert question["user"] == "ann" and question["groups"] == ["room_ann"]
        assert [message["n"] for message in question["messages"]] == [number]
        upgrade(gateway)
    sock.sendall(frame(8, b"\x03\xe8"))
    assert read_frame(sock)[0] == 8
    ended = view.next("disconnect")
    assert ended["address"] == connected["address"] and ended["code"] == 1000
    assert not [question for question in view.asked if question["event"] == "disconnect"][1:]


def test_what_a_client_sends_meanwhile_is_asked_about_once_and_in_order(gateway, view):  # noqa: F811
    sock = open_session(gateway.port, "/ws/room/bob/")
    total = 400

    def send():
        for number in range(1, total + 1):
            sock.sendall(frame(1, f"m{number}".encode()))
            time.sleep(0.005)

    sending = threading.Thread(target=send)
    sending.start()
    for _ in range(4):
        upgrade(gateway)
    sending.join()
    assert [text(sock) for _ in range(total)] == [f"{number} m{number}" for number in range(1, total + 1)]
    assert len(view.of("connect")) == 1


def test_a_slow_view_is_waited_for(gateway, view):  # noqa: F811
    quick = view.answer

    def slow(question):
        if question["event"] == "receive":
            time.sleep(1)
        return quick(question)

    view.answer = slow
    sock = open_session(gateway.port, "/ws/room/eve/")
    sock.sendall(frame(1, b"first"))
    wait_until(lambda: view.of("receive"))
    upgrade(gateway)
    assert text(sock) == "1 first"
    sock.sendall(frame(1, b"second"))
    assert text(sock) == "2 second"
    assert len(view.of("receive")) == 2


def test_those_who_wait_in_vain_are_counted_and_told_to_come_back(view, serve):  # noqa: F811
    answering(view)
    gateway = serve(options="timeout: 60s", handshake="60s")
    quick, is_mute = view.answer, threading.Event()

    def mute(question):
        if question["event"] == "receive":
            is_mute.wait(30)
        return quick(question)

    view.answer = mute
    waiting = [open_session(gateway.port, f"/ws/room/w{number}/") for number in range(3)]
    others = [open_session(gateway.port, f"/ws/room/o{number}/") for number in range(2)]
    for sock in waiting:
        sock.sendall(frame(1, b"hello"))
    wait_until(lambda: len(view.of("receive")) == 3)
    done = subprocess.run([SLUICE, "upgrade", gateway.process.args[2]], capture_output=True, text=True, timeout=60)
    is_mute.set()
    assert done.returncode == 0, done.stderr
    assert "2 sessions and 0 event streams go on, 0 are closed" in done.stderr
    assert "3 of the sessions wait for a view or for a first token now" in done.stderr
    for sock in waiting:
        code, reason = read_close(sock)
        assert code == 1012
        assert 0 < float(re.fullmatch(r"restarting; retry in ([0-9.]+)s", reason)[1]) < 20
    assert gateway.says("WARNING sessions are closed by the upgrade", "count=3"), gateway.log
    for sock in others:
        sock.sendall(frame(1, b"still here"))
        assert text(sock) == "1 still here"


def test_state_in_redis_goes_along(redis, view, serve):  # noqa: F811
    answering(view)
    test_state_numbers_and_address_go_along(serve(layer=on(redis)), view)
    wait_until(lambda: records(redis) == [], what="nothing is left in Redis")


def test_records_in_redis_stay_those_of_the_process(redis, view, serve):  # noqa: F811
    answering(view)
    gateway, other = serve(layer=on(redis)), serve(layer=on(redis))
    socks = [open_session(gateway.port, f"/ws/room/r{number}/") for number in range(5)]
    connected = [view.next("connect")["address"] for _ in socks]
    (lot,) = records(redis)
    for _ in range(2):
        upgrade(gateway)
        assert records(redis) == [lot] and redis.client().hlen(lot) == 5
    # It is the process's still: what changes and what ends is written there.
    socks[0].close()
    assert view.next("disconnect")["address"] in connected
    wait_until(lambda: redis.client().hlen(lot) == 4, what="the record is removed")
    # Two signs of life of each process: nobody takes anything over.
    time.sleep(2.5)
    assert len(view.of("disconnect")) == 1 and not any("another process" in line for line in gateway.log + other.log)
    for sock in socks[1:]:
        sock.close()
    wait_until(lambda: len(view.of("disconnect")) == 5, what="all are told")
    assert sorted(question["address"] for question in view.of("disconnect")) == sorted(connected)
    wait_until(lambda: records(redis) == [], what="nothing is left in Redis")


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_an_end_that_nobody_was_told_of_is_told_by_the_other_program(kind, redis, view, serve):  # noqa: F811
    answering(view)
    quick, isAway = view.answer, threading.Event()
    isAway.set()

    def away(question):
        while question["event"] == "disconnect" and isAway.is_set():
            time.sleep(0.05)
        return quick(question)

    gateway = serve(layer=on(redis) if kind == "redis" else "{backend: memory}")
    gone, there = open_session(gateway.port, "/ws/room/gone/"), open_session(gateway.port, "/ws/room/there/")
    address = {question["captures"]["room"]: question["address"] for question in (view.next("connect"), view.next("connect"))}["gone"]
    view.answer = away
    gone.close()
    wait_until(lambda: view.of("disconnect"))
    upgrade(gateway)
    isAway.clear()
    wait_until(lambda: len(view.of("disconnect")) == 2, 10, "it is told again")
    assert [question["address"] for question in view.of("disconnect")] == [address] * 2
    assert len({question["id"] for question in view.of("disconnect")}) == 1
    assert [question["code"] for question in view.of("disconnect")] == [1006] * 2
    there.sendall(frame(1, b"here"))
    assert text(there) == "1 here"


def records(redis) -> list[str]:
    return [key.decode() for key in redis.client().keys("asgi:sluice:views:records:*")]
