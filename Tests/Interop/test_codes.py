"""What `sluice codes` prints, and the clients of the manual and of the examples that know some of the close codes."""

import re
import subprocess

import pytest

import reference
from conftest import ROOT, SLUICE

CLIENTS = sorted(
    path
    for pattern in ("README.md", "docs/*.md", "examples/**/*.md", "examples/**/*.html", "examples/**/*.js")
    for path in ROOT.glob(pattern)
)
ADVICE = {"yes", "yes, after a while", "with a new token", "no", "as the application defines it", ""}


@pytest.fixture(scope="module")
def advice():
    """By close code, whether a client should reconnect."""
    codes = {}
    for code, _, _, advice, _ in reference.rows("Close codes"):
        assert codes.setdefault(code, advice) == advice, code
    return {int(code): advice for code, advice in codes.items() if code.isdigit()}


def run(*arguments):
    return subprocess.run([SLUICE, "codes", *arguments], capture_output=True, text=True, timeout=20)


def test_a_code_is_told_of_with_its_text_and_what_to_do():
    told = run("1013")
    assert told.returncode == 0 and told.stdout.startswith("Close codes\n  1013  the client reads too slowly: messages were dropped\n")
    assert told.stdout.count("Reconnect: yes, after a while.") == 3
    assert "Use GET to read an event stream." in run("405").stdout
    # Codes that the gateway passes on, or that only a browser reports.
    assert [(code, run(code).returncode) for code in ("1000", "1006", "1011", "4000")] == [
        ("1000", 0), ("1006", 0), ("1011", 0), ("4000", 0)]
    assert "My client cannot connect" in run("1006").stdout
    wrong = run("1005")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == 'sluice: Sluice has no code "1005"; sluice codes lists all of them\n'
    assert run("1013", "--format", "markdown").returncode == 2


def test_every_row_has_advice(advice):
    assert set(advice.values()) <= ADVICE and advice[4403] == "no"
    assert {again for _, _, _, again, _ in reference.rows("Refusals")} <= ADVICE


def test_the_clients_stop_at_the_codes_after_which_connecting_again_is_of_no_use(advice):
    final = {code for code, again in advice.items() if again in ("no", "with a new token")}
    lists = {path: re.findall(r"\bfinal = \[([\d, ]+)\]", path.read_text()) for path in CLIENTS}
    assert sum(map(len, lists.values())) >= 2
    for path, found in lists.items():
        for codes in found:
            assert {int(code) for code in codes.split(",")} == final, path
    single = {(path, int(code)) for path in CLIENTS for code in re.findall(r"\bcode === (\d{4})\b", path.read_text())}
    assert len(single) >= 2
    assert [(path, code) for path, code in single if code not in final] == []
