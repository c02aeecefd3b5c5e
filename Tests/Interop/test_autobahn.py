"""RFC 6455 and RFC 7692 conformance: all cases of the Autobahn suite's fuzzing client, against echo routes."""

import json
import os
import pathlib
import subprocess

import pytest

from conftest import ARTEFACTS

WSTEST = pathlib.Path(os.environ.get("WSTEST", ""))
GOOD = {"OK", "INFORMATIONAL"}
# 1 to 7, 9 and 10 have 301 cases; 11 has none in the suite's fuzzing client, 12 and 13 are compression.
LEAST_CASES = 301
COMPRESSION_CASES = {"12.*": 90, "13.*": 126}
# Messages in each case of compression. The suite itself uses AUTOBAHN_MESSAGES=1000.
MESSAGES = os.environ.get("AUTOBAHN_MESSAGES", "100")

COMPRESSED = """
installed_apps: [echo]
compression: true
limits: {message: 32MiB, send_queue: 32MiB}
applications:
  main:
    websocket:
      - {path: ws/alone/, consumer: echo}
      - {path: ws/kept/, consumer: echo, compression: {context_takeover: true}}
"""


@pytest.fixture(autouse=True)
def suite():
    if not WSTEST.is_file():
        reason = "the Autobahn suite needs Python 2.7: set PYTHON27 to one"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


class Run:
    """The suite's client with some of its cases."""

    def __init__(self, url: str, cases: str, name: str, folder: pathlib.Path, command: list, excluded: tuple = ()):
        self.name = name
        self.reports = ARTEFACTS / name
        spec = {
            "outdir": str(self.reports),
            "servers": [{"agent": "sluice", "url": url, "options": {"version": 18}}],
            "cases": [cases],
            "exclude-cases": list(excluded),
            "exclude-agent-cases": {},
        }
        file = folder / f"{name}.json"
        file.write_text(json.dumps(spec))
        self.process = subprocess.Popen(
            [*command, "-m", "fuzzingclient", "-s", str(file)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "MESSAGES": MESSAGES},
        )

    def results(self) -> dict:
        """Waits for the end. Every case must pass strictly."""
        try:
            _, errors = self.process.communicate(timeout=1800)
        finally:
            self.process.kill()
        assert self.process.returncode == 0, errors.decode()
        results = json.loads((self.reports / "index.json").read_text())["sluice"]
        bad = {
            case: (result["behavior"], result["behaviorClose"])
            for case, result in results.items()
            if result["behavior"] not in GOOD or result["behaviorClose"] not in GOOD
        }
        print(f"{self.name}: {len(results)} cases, {len(bad)} not OK or INFORMATIONAL")
        assert bad == {}
        return results


def test_every_case_passes_strictly(start, tmp_path):
    gateway = start(limits="limits: {message: 32MiB, send_queue: 32MiB}")
    run = Run(gateway.ws("/ws/echo/"), "*", "autobahn-reports", tmp_path, [WSTEST], ("12.*", "13.*"))
    assert len(run.results()) >= LEAST_CASES


@pytest.mark.parametrize("path", ["alone", "kept"])
def test_every_case_of_compression_passes_strictly(start, tmp_path, path):
    gateway = start(text=COMPRESSED)
    command = [WSTEST.with_name("python"), pathlib.Path(__file__).with_name("wstest_messages.py")]
    runs = [
        Run(gateway.ws(f"/ws/{path}/"), cases, f"autobahn-reports-{path}-{cases[:2]}", tmp_path, command)
        for cases in COMPRESSION_CASES
    ]
    for run, cases in zip(runs, COMPRESSION_CASES.values()):
        results = run.results()
        assert len(results) == cases
        assert {result["behavior"] for result in results.values()} == {"OK"}
