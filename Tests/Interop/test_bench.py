"""`sluice bench`: each workload once, and its messages when it cannot run."""

import json
import signal
import socket
import subprocess

import pytest

from conftest import SLUICE

# It measures.
pytestmark = pytest.mark.alone

SHORT = ["--connections", "10", "--seconds", "0.3", "--warm-up", "0.1"]


def bench(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([SLUICE, "bench", *map(str, arguments)], capture_output=True, text=True, timeout=30)


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
            ("wss://127.0.0.1/", "TLS"),
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
