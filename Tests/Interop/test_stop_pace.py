"""A stop that clients survive: readiness goes first, close frames say when to come back, and those who come back are let in evenly."""

import asyncio
import re
import signal
import subprocess
import sys
import threading
import time

import conftest
import pytest
import requests

from clients import connect, frame, handshake, open_session, read_close, read_frame, read_head
from conftest import Gateway
from redis_stack import free_port
from returning import HINT, Crowd, peak_and_mean
from streams import Stream

STREAMS = """
installed_apps: [echo, chat]
channel_layers: {default: {backend: memory}}
LIMITS
applications:
  main:
    http:
      - {path: hello/, respond: hello}
      - {path: health/live, health: live}
      - {path: health/ready, health: ready}
      - {path: events/, events: {group: news, retry: 7s}}
    websocket:
      - {path: ws/echo/, consumer: echo}
      - {path: ws/closing/, consumer: echo, refusals: close}
"""


def hint_of(reason: str) -> float:
    return float(re.fullmatch(r"restarting; retry in (\d+\.\d)s", reason)[1])


def test_each_of_many_sessions_is_told_when_to_come_back(start):
    """Evenly, and not while nobody listens, by the rules of the manual's client."""
    gateway = start(limits="shutdown: {grace: 4s, back: 3s}")

    async def scene():
        crowd = Crowd(gateway.port, 2000)
        await crowd.open_all()
        begun = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(gateway.process.wait, 30) == 0
        ended = time.monotonic() - begun
        # Within the grace, as all of them answer.
        assert ended < 4
        again = await asyncio.to_thread(start, bind=f"127.0.0.1:{gateway.port}")
        await crowd.wait_for(lambda: len(crowd.opened) == 4000)
        await crowd.end()
        return crowd, begun, ended, again

    crowd, begun, ended, again = asyncio.run(scene())
    assert len(crowd.closes) == 2000 and {code for _, code, _ in crowd.closes} == {1012}
    assert crowd.failures == []
    times = [(at - begun, at - begun + hint_of(reason)) for at, _, reason in crowd.closes]
    # Over half of the grace; and then nobody before the whole grace and the start of the next process are over.
    assert 1 < max(at for at, _ in times) - min(at for at, _ in times) < 3
    assert min(back for _, back in times) >= 7 > ended
    peak, mean = peak_and_mean(crowd.opened[2000:])
    assert peak <= 1.5 * mean, (peak, mean)


def test_a_stop_with_a_delay_goes_on_serving_and_is_not_ready(start):
    gateway = start(limits="shutdown: {delay: 3s, grace: 5s}")
    probe = lambda name: requests.get(gateway.http(f"/health/{name}"), headers={"Connection": "close"}, timeout=20).status_code
    assert (probe("ready"), probe("live")) == (200, 200)
    with open_session(gateway.port, "/ws/echo/") as old:
        begun = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.says("stopping soon", "delay=3s", "sessions=1")
        assert (probe("ready"), probe("live")) == (503, 200)
        with open_session(gateway.port, "/ws/echo/") as new:
            for sock in (old, new):
                sock.sendall(frame(1, b"still here"))
                assert read_frame(sock) == (1, b"still here")
            assert time.monotonic() - begun < 3
            for sock in (old, new):
                code, reason = read_close(sock)
                assert code == 1012 and hint_of(reason) > 0
                sock.sendall(frame(8, b"\x03\xf4"))
            assert 3 <= time.monotonic() - begun < 5
    assert gateway.wait() == 0


def test_a_second_signal_ends_the_delay_and_a_third_one_the_stop(start):
    gateway = start(limits="shutdown: {delay: 1h, grace: 1h}")
    with open_session(gateway.port, "/ws/echo/") as session:
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.says("stopping soon")
        gateway.process.send_signal(signal.SIGTERM)
        assert read_close(session)[0] == 1012
        assert gateway.process.poll() is None
        gateway.process.send_signal(signal.SIGINT)
        assert gateway.process.wait(10) == 0


def test_event_streams_are_told_in_their_last_event(start):
    gateway = start(text=STREAMS, limits="shutdown: {grace: 4s, back: 5s}")
    with connect(gateway.port) as sock:
        sock.sendall(b"GET /events/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stream = Stream(sock, read_head(sock))
        assert stream.read_block() and stream.retry == 7000
        gateway.process.send_signal(signal.SIGTERM)
        assert stream.read_block() and 5000 <= stream.retry <= 5200
        assert not stream.read_block() and stream.events == []
    assert gateway.wait() == 0


def test_a_handshake_that_is_under_way_is_told_too(start):
    gateway = start(text=STREAMS, limits="shutdown: {grace: 4s, back: 5s}")
    with open_session(gateway.port, "/ws/echo/") as session, connect(gateway.port) as half:
        half.sendall(b"GET /ws/echo/ HTTP/1.1\r\nHost: x\r\n")
        # It is read by now, or waits in the queue.
        session.sendall(frame(1, b"x"))
        read_frame(session)
        gateway.process.send_signal(signal.SIGTERM)
        head = read_head(half)
        # 2.5 seconds more than `back` if it counted as a connection already.
        assert head.startswith("HTTP/1.1 503") and re.search(r"\r\nRetry-After: [5-8]\r\n", head)
        assert re.fullmatch(rb"The gateway is being restarted; retry in [5-7]\.\ds\.\n", half.recv(1000))


# The limit on handshakes.


def ask(port: int, request: bytes) -> tuple[int, int | None]:
    with connect(port) as sock:
        sock.sendall(request)
        head = read_head(sock)
        after = re.search(r"\r\nRetry-After: (\d+)\r\n", head)
        return int(head.split(" ")[1]), after and int(after[1])


def test_handshakes_beyond_the_limit_each_have_a_turn_of_their_own(start):
    gateway = start(text=STREAMS, limits="limits: {handshakes: 5/s}")
    stream = b"GET /events/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answers = [ask(gateway.port, request) for request in [handshake("/ws/echo/"), stream] * 12]
    good = [status for status, _ in answers if status in (101, 200)]
    late = [after for status, after in answers if status == 503]
    assert len(good) + len(late) == 24 and 5 <= len(good) <= 10
    # Not more in a second than the limit says.
    assert late == sorted(late) and max(late) >= 2 and all(late.count(second) <= 6 for second in late)
    # Plain requests and health checks, and handshakes that are no good, do not count.
    for path, status in [("hello/", 200), ("health/ready", 200)]:
        assert all(requests.get(gateway.http(f"/{path}"), timeout=20).status_code == status for _ in range(20))
    assert gateway.says("more clients connect than limits.handshakes allows", 'limit="5/s burst 5"')
    assert gateway.says("refused", "status=503", "Too many clients are connecting; retry in")
    gateway.stop()
    assert gateway.says("stopped", f"refused-handshakes={len(late)}")


def test_a_page_can_read_when_its_turn_is(start):
    gateway = start(text=STREAMS, limits="limits: {handshakes: 1/m}")
    with open_session(gateway.port, "/ws/closing/"), open_session(gateway.port, "/ws/closing/") as refused:
        code, reason = read_close(refused)
        assert code == 4503 and 55 <= int(re.fullmatch(r"Too many clients are connecting; retry in (\d+)s\.", reason)[1]) <= 121


def test_those_who_come_when_they_were_told_to_are_let_in(start):
    gateway = start(text=STREAMS, limits="limits: {handshakes: 40/s}")
    times, asked = [], []

    def come():
        while True:
            status, after = ask(gateway.port, handshake("/ws/echo/"))
            asked.append(status)
            if status == 101:
                return times.append(time.monotonic())
            time.sleep(after)

    begun = time.monotonic()
    threads = [threading.Thread(target=come) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(times) == 100
    # 40 at once, and then 40 in each second; hardly anybody has to ask a third time.
    assert max(times) - begun < 8 and len(asked) <= 100 + 60 + 40


# Two processes on one port.

SHARED = """
installed_apps: [echo]
server: {bind: "127.0.0.1:PORT", reuse_port: true, threads: 2}
shutdown: {grace: 4s}
applications:
  main:
    http: [{path: hello/, respond: hello}]
    websocket: [{path: ws/echo/, consumer: echo}]
"""


def rolling(folder) -> None:
    """Run in a network of its own, where connections in the queue of a listener that closes go to the other one."""
    port = free_port()
    file = folder / "routes.yaml"
    file.write_text(SHARED.replace("PORT", str(port)))
    running = [Gateway(file, bind=None)]
    wrong, count, over = [], [0], threading.Event()

    def knock(path: bytes):
        while not over.is_set():
            try:
                with connect(port) as sock:
                    sock.sendall(path)
                    head = read_head(sock)
                    if not head.startswith(("HTTP/1.1 101", "HTTP/1.1 200")):
                        wrong.append(head)
                    count[0] += 1
            except OSError as error:
                wrong.append(repr(error))

    requests_ = [handshake("/ws/echo/"), b"GET /hello/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"]
    threads = [threading.Thread(target=knock, args=(request,)) for request in requests_ * 2]
    for thread in threads:
        thread.start()
    told = set()
    restarts = 0
    # At least five restarts, and so many that each has clients of its own in all moments.
    while restarts < 5 or count[0] < 500 and restarts < 50:
        restarts += 1
        kept = open_session(port, "/ws/echo/")
        running.append(Gateway(file, bind=None))
        running[0].process.send_signal(signal.SIGTERM)
        code, reason = read_close(kept)
        told.add((code, hint_of(reason)))
        kept.close()
        assert running.pop(0).wait() == 0
    over.set()
    for thread in threads:
        thread.join()
    running[0].stop()
    # All of them are told to come back at once.
    assert {code for code, _ in told} == {1012} and all(hint <= 0.1 for _, hint in told)
    print(count[0], "connections", len(wrong), "wrong", wrong[:3])


@pytest.mark.parametrize("migrates", [1, 0])
def test_a_rolling_restart_refuses_and_resets_nobody(tmp_path, migrates):
    """Without `tcp_migrate_req` a connection whose handshake of TCP is under way at that moment is reset: rarely on one machine."""
    script = f"ip link set lo up && echo {migrates} > /proc/sys/net/ipv4/tcp_migrate_req && exec {sys.executable} {__file__} {tmp_path}"
    run = subprocess.run(["unshare", "--net", "sh", "-c", script], capture_output=True, text=True, timeout=120, cwd=conftest.ROOT)
    if "unshare" in run.stderr or "tcp_migrate_req" in run.stderr:
        pytest.skip("a network of its own is not allowed here, or the system is older than Linux 5.14")
    assert run.returncode == 0, run.stderr
    number, wrong = map(int, re.match(r"(\d+) connections (\d+) wrong", run.stdout).groups())
    assert number >= 500
    assert wrong == 0 if migrates else wrong <= number / 200, run.stdout


def test_without_reuse_port_a_second_process_does_not_begin(start, tmp_path):
    port = free_port()
    text = SHARED.replace("PORT", str(port)).replace("reuse_port: true, ", "")
    start(text=text, bind=None)
    second = tmp_path / "second.yaml"
    second.write_text(text)
    done = subprocess.run([conftest.SLUICE, "serve", str(second)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "cannot listen on" in done.stderr


if __name__ == "__main__":
    import pathlib

    rolling(pathlib.Path(sys.argv[1]))
