"""`sluice bench`: each workload once, and its messages when it cannot run."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading

import pytest

from certificates import Authority
from conftest import SLUICE

# It measures.
pytestmark = pytest.mark.alone

SHORT = ["--connections", "10", "--seconds", "0.3", "--warm-up", "0.1"]


TOKEN = {"BENCH_TOKEN": "0123456789abcdef0123456789abcdef"}
PUBLISHING = """
installed_apps: [echo, broadcast]
channel_layers: {default: {backend: memory}}
SERVER
applications:
  main:
    http:
      - {path: api/publish/, publish: {groups: [news, kept], token: {env: BENCH_TOKEN}}}
      - {path: events/news/, events: news}
      - {path: events/kept/, events: kept}
    websocket:
      - {path: ws/echo/, consumer: echo}
      - {path: ws/news/, consumer: broadcast, group: news}
      - {path: ws/kept/, consumer: broadcast, group: kept, history: {messages: 100, seconds: 1h}}
"""


def bench(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [SLUICE, "bench", *map(str, arguments)], capture_output=True, text=True, timeout=30, env={**os.environ, **TOKEN}
    )


@pytest.fixture
def publishing(start):
    return start(text=PUBLISHING.replace("SERVER", ""), env=TOKEN)


@pytest.fixture
def secure(start, tmp_path):
    """A gateway that speaks TLS, and the file of the authority that signed its certificate."""
    authority = Authority(tmp_path)
    authority.issue("site", "localhost")
    server = "server: {tls: {certificate: site.pem, key: site.key}}"
    return start(text=PUBLISHING.replace("SERVER", server), env=TOKEN), authority.file


@pytest.mark.parametrize(
    "workload, path",
    [
        (["echo"], "/ws/echo/"),
        (["echo", "--in-flight", "8", "--size", "5", "--binary"], "/ws/echo/"),
        (["echo", "--size", "100000", "--threads", "2"], "/ws/echo/"),
        (["fanout", "--window", "4", "--publishers", "2"], "/ws/news/"),
        (["fanout", "--json", "--rate", "200", "--threads", "2"], "/ws/chat/lobby/"),
        (["echo", "--compress", "--size", "1000"], "/ws/deflated/"),
        (["fanout", "--compress", "--size", "1000"], "/ws/news/deflated/"),
        (["connect"], "/ws/echo/"),
        (["idle"], "/ws/echo/"),
    ],
)
def test_a_workload(gateway, workload, path):
    done = bench(*workload, *SHORT, "--pid", gateway.process.pid, "--format", "json", gateway.ws(path))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["workload"], result["is_good"], result["is_interrupted"]) == (workload[0], True, False)
    assert result["compressed"] == ("--compress" in workload)
    assert result["operations"] > 0 and result["per_second"] > 0
    times = [result["latency_us"][name] for name in ["p50", "p90", "p99", "p99.9", "max"]]
    assert 0 < times[0] and times == sorted(times)
    assert result["server"]["resident_after_bytes"] > 0
    if workload[0] == "fanout":
        counts = result["integrity"]
        assert counts["published"] > 0 and counts["expected"] == 10 * counts["published"]
        assert (counts["lost"], counts["duplicated"], counts["out_of_order"]) == (0, 0, 0)


@pytest.mark.parametrize(
    "workload, path",
    [
        (["echo"], "/ws/echo/"),
        (["echo", "--in-flight", "4", "--size", "100000", "--threads", "2"], "/ws/echo/"),
        (["fanout", "--window", "4"], "/ws/news/"),
        (["connect"], "/ws/echo/"),
        (["idle"], "/ws/echo/"),
        (["publish", "--group", "news", "--token-env", "BENCH_TOKEN", "--in-flight", "4"], "/api/publish/"),
        (["events", "--group", "news", "--token-env", "BENCH_TOKEN", "--publish", "URL/api/publish/"], "/events/news/"),
    ],
)
def test_a_workload_over_tls(secure, workload, path):
    gateway, authority = secure
    base = f"://localhost:{gateway.secure_port}"
    url = ("https" if workload[0] in ("publish", "events") else "wss") + base + path
    arguments = [argument.replace("URL", f"https{base}") for argument in workload]
    done = bench(*arguments, *SHORT, "--cacert", authority, "--format", "json", url)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["is_good"], result["opened"] >= 10) == (True, True)
    assert result["operations"] > 0
    if workload[0] != "connect":
        assert result["opened_per_second"] > 0


@pytest.mark.parametrize("listen", ["ws://HOST/ws/news/", "http://HOST/events/news/", ""])
def test_publishing(publishing, listen):
    host = f"127.0.0.1:{publishing.port}"
    listeners = ["--listen", listen.replace("HOST", host), "--listeners", "7"] if listen else []
    arguments = ["--group", "news", "--token-env", "BENCH_TOKEN", "--in-flight", "3", *listeners]
    done = bench("publish", *SHORT, *arguments, "--pid", publishing.process.pid, "--format", "json", publishing.http("/api/publish/"))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["workload"], result["is_good"], result["refused"], result["unanswered"]) == ("publish", True, {}, 0)
    assert (result["in_flight"], result["size_bytes"], result["listeners"]) == (3, 64, 7 if listen else 0)
    assert result["operations"] > 0 and 0 < result["latency_us"]["p50"] <= result["latency_us"]["max"]
    assert ("deliveries" in result, "integrity" in result) == (bool(listen), bool(listen))
    if listen:
        counts = result["integrity"]
        assert counts["expected"] == 7 * counts["published"] > 0
        assert (counts["lost"], counts["duplicated"], counts["out_of_order"]) == (0, 0, 0)
        assert result["deliveries"]["operations"] > 0 < result["deliveries"]["latency_us"]["p50"]


@pytest.mark.parametrize("group, pace", [("news", ["--window", "4", "--publishers", "2"]), ("kept", ["--rate", "200", "--threads", "2"])])
def test_event_streams(publishing, group, pace):
    arguments = ["--group", group, "--token-env", "BENCH_TOKEN", "--publish", publishing.http("/api/publish/"), *pace]
    # The second run begins with what the first one has left in the history.
    for _ in range(2):
        done = bench("events", *SHORT, *arguments, "--format", "json", publishing.http(f"/events/{group}/"))
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        counts = result["integrity"]
        assert result["is_good"] and counts["expected"] == 10 * counts["published"] > 0
        assert (counts["lost"], counts["duplicated"], counts["out_of_order"]) == (0, 0, 0)


def test_refusals_are_told(publishing):
    url, streams = publishing.http("/api/publish/"), publishing.http("/events/news/")
    for arguments, words in [
        (["publish", "--group", "news", url], "401 Unauthorized: "),
        (["publish", "--group", "other", "--token-env", "BENCH_TOKEN", url], "403 Forbidden: "),
        (["publish", "--template", "{body}", "--token-env", "BENCH_TOKEN", url], "400 Bad Request: "),
        (["publish", "--group", "news", publishing.http("/nope/")], "404 Not Found"),
        (["events", "--group", "news", "--publish", url, streams], "401 Unauthorized: "),
        (["events", "--group", "news", "--token-env", "BENCH_TOKEN", "--publish", url, publishing.http("/nope/")], "404 Not Found"),
    ]:
        done = bench(*arguments, *SHORT)
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert done.stderr.splitlines()[-1].startswith("sluice: http://") and words in done.stderr


@contextlib.contextmanager
def listening(serve):
    """A server that calls `serve` with each connection, in a thread of its own. Yields its host."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@contextlib.contextmanager
def answering(*answers: bytes):
    """A server that gives each connection these answers, one for each request, and then ends it."""

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            for answer in answers or (b"",):
                connection.recv(1 << 16)
                connection.sendall(answer)
            # To close with a request unread would reset the connection, perhaps before the client has read the answers.
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 16):
                pass

    with listening(serve) as host:
        yield host


@contextlib.contextmanager
def ending(most: int):
    """A server that accepts so many requests of each connection, and ends it with its last answer, as nginx does. Yields its host, and
    what was answered on each connection."""
    served: list[int] = []

    def serve(connection: socket.socket) -> None:
        number = len(served)
        served.append(0)
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as requests:
            while served[number] < most:
                length = 0
                while (line := requests.readline()) not in (b"\r\n", b""):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                if not line:
                    return
                requests.read(length)
                served[number] += 1
                last = b"Connection: close\r\n" if served[number] == most else b""
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + last + b"\r\nok")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 16):
                pass

    with listening(serve) as host:
        yield host, served


@pytest.mark.parametrize("in_flight", [1, 4])
def test_connections_that_end_after_a_number_of_requests_are_reopened(in_flight):
    with ending(most=20) as (host, served):
        done = bench("publish", *SHORT, "--in-flight", in_flight, "--template", "{body}", "--format", "json", f"http://{host}/")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["opened"], result["failed"], result["lost_connections"], result["unanswered"]) == (10, 0, 0, 0)
    assert result["reopened_connections"] > 0 < result["operations"]
    assert max(served) == 20


@pytest.mark.parametrize("pace", [["--window", "4"], ["--rate", "200"]])
def test_publishers_of_events_that_are_ended_go_on(publishing, pace):
    # Nobody gets what this server accepts, so the run is not good: but it goes on with other connections.
    with ending(most=3) as (host, served):
        arguments = ["--template", "{body}", "--publish", f"http://{host}/", *pace]
        done = bench("events", *SHORT, "--seconds", "2.5", *arguments, "--format", "json", publishing.http("/events/news/"))
    result = json.loads(done.stdout)
    assert (done.returncode, result["lost_connections"]) == (1, 0), done.stderr
    assert result["reopened_connections"] > 1 and result["integrity"]["published"] > 4
    assert f"none came to the streams of {publishing.http('/events/news/')}" in done.stderr


def test_a_route_that_passes_nothing_on_is_told(gateway):
    done = bench("fanout", gateway.ws("/ws/echo/"), *SHORT)
    assert (done.returncode, "none came to the subscribers: a route for this load" in done.stdout) == (1, True), done.stdout + done.stderr


ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


@pytest.mark.parametrize(
    "answers, words",
    [
        ([], "closed a connection"),
        ([b"SSH-2.0-OpenSSH_9\r\n"], "does not speak HTTP"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"], "its Content-Length is not valid"),
        ([ACCEPTED], "closed a connection"),
        ([ACCEPTED, b"", b""], "unanswered   10 requests"),
        ([ACCEPTED, ACCEPTED, ACCEPTED], "closed a connection"),
        ([ACCEPTED, b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nlate"], "503 Busy: late"),
        ([ACCEPTED * 2], "although nothing was asked"),
        ([b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"], "Connection: close"),
        ([b"HTTP/1.1 101 Switching Protocols\r\n\r\n"], "switched protocols"),
        ([ACCEPTED[:20]], "closed a connection"),
    ],
)
def test_a_server_of_rubbish_ends_a_publish_run(answers, words):
    with answering(*answers) as host:
        done = bench("publish", *SHORT, "--template", "{body}", f"http://{host}/")
    assert done.returncode == 1 and words in done.stdout + done.stderr, done.stderr


@pytest.mark.parametrize(
    "answer, words",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n", "no event stream"),
        (STREAM, "ended an event stream"),
        (STREAM + b"data: x\n\n", "ended an event stream"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", "503 Busy"),
    ],
)
def test_a_server_of_rubbish_ends_a_run_of_streams(publishing, answer, words):
    with answering(answer) as host:
        arguments = ["--group", "news", "--token-env", "BENCH_TOKEN", "--publish", publishing.http("/api/publish/")]
        done = bench("events", *SHORT, *arguments, f"http://{host}/")
    assert done.returncode == 1 and words in done.stdout + done.stderr, done.stderr


def test_a_server_that_is_silent_is_given_up(secure):
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        for arguments in [
            ["echo", "--insecure", f"wss://{host}/"],
            ["publish", "--template", "{body}", f"http://{host}/"],
            ["events", "--template", "{body}", "--publish", f"http://{host}/", f"http://{host}/"],
        ]:
            done = bench(*arguments, *SHORT, "--timeout", "0.5")
            assert (done.returncode, done.stdout) == (1, ""), done.stderr
            assert "did not answer" in done.stderr


def test_a_certificate_that_is_not_trusted_is_one_sentence(secure, tmp_path):
    gateway, authority = secure
    by_name, by_address = (f"wss://{host}:{gateway.secure_port}/ws/echo/" for host in ("localhost", "127.0.0.1"))
    for arguments, words in [
        ([by_name], "the certificate of the server is not trusted: "),
        (["--cacert", authority, by_address], "the certificate of the server is for another name ("),
        (["--cacert", tmp_path / "nowhere.pem", by_name], "nowhere.pem: "),
        (["--cacert", tmp_path / "site.key", by_name], "site.key: "),
        ([f"ws://localhost:{gateway.secure_port}/ws/echo/"], "sluice: ws://"),
    ]:
        done = bench("echo", *SHORT, *arguments)
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert done.stderr.count("\n") == 1 and words in done.stderr, done.stderr


def test_text_names_its_figures(gateway):
    done = bench("echo", *SHORT, gateway.ws("/ws/echo/"))
    assert done.returncode == 0
    for word in ["per second", "p99.9", "max", "generator"]:
        assert word in done.stdout


def test_what_cannot_be_measured_is_one_sentence(gateway):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"ws://127.0.0.1:{free.getsockname()[1]}/"
        for url, words in [
            (gateway.ws("/nope/"), "404"),
            (nobody, "Connection refused"),
            (nobody.replace("ws:", "wss:"), "Connection refused"),
            (gateway.ws("/ws/echo/").replace("ws:", "wss:"), "the server does not speak TLS"),
        ]:
            done = bench("echo", *SHORT, url)
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
            assert done.stderr.startswith("sluice: ") and words in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["echo"],
        ["echo", "http://127.0.0.1/"],
        ["echo", "--connections", "0", "ws://a/"],
        ["echo", "--template", "x", "ws://a/"],
        ["fanout", "--size", "8", "ws://a/"],
        ["fanout", "--rate", "1", "--window", "1", "ws://a/"],
        ["echo", "--insecure", "--cacert", "a.pem", "wss://a/"],
        ["publish", "http://a/"],
        ["publish", "--group", "news", "ws://a/"],
        ["publish", "--group", "a b", "http://a/"],
        ["publish", "--group", "news", "--template", "{body}", "http://a/"],
        ["publish", "--template", "x", "http://a/"],
        ["publish", "--group", "news", "--token-env", "NOT_SET", "http://a/"],
        ["publish", "--group", "news", "--listeners", "1", "http://a/"],
        ["publish", "--group", "news", "--listen", "ws://a/", "--size", "8", "http://a/"],
        ["publish", "--group", "news", "--listen", "ws://a/", "--connections", "5000", "http://a/"],
        ["events", "--group", "news", "http://a/"],
        ["events", "--group", "news", "--publish", "ws://a/", "http://a/"],
        ["swim", "ws://a/"],
    ],
)
def test_wrong_usage_is_2(arguments):
    done = bench(*arguments)
    assert (done.returncode, "Usage" in done.stderr) == (2, True), done.stderr


def test_a_signal_prints_what_was_measured(gateway):
    running = subprocess.Popen(
        [SLUICE, "bench", "echo", "--connections", "5", "--seconds", "60", "--warm-up", "0", "--format", "json", gateway.ws("/ws/echo/")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert "1 s:" in running.stderr.readline()
        running.send_signal(signal.SIGINT)
        output, _ = running.communicate(timeout=20)
    finally:
        running.kill()
    result = json.loads(output)
    assert (running.returncode, result["is_interrupted"]) == (0, True)
    assert result["operations"] > 0
