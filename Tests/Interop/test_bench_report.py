"""The table of `make bench`: ratios, verdicts, and what could not be measured."""

import pathlib
import sys
from types import SimpleNamespace

import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "Bench"))
import report  # noqa: E402

WORKLOAD = SimpleNamespace(key="echo-1", title="echo", unit="messages/s")


def runs(*figures: float, **more) -> list[dict]:
    return [{"figure": figure, **more} for figure in figures]


def target(sign: str, value: float) -> SimpleNamespace:
    return SimpleNamespace(sign=sign, value=value)


def table(*rows: dict) -> str:
    return report.markdown(
        {"date": "D", "machine": "M", "command": "C", "minutes": 1, "versions": ["V 1"], "rows": list(rows)}
    )


def test_a_ratio_is_that_of_each_turn():
    # The quotient of the medians would be 1.
    row = report.row(WORKLOAD, "other", None, runs(10, 20, 30), runs(5, 40, 20))
    assert report.ratio(row) == 1.5


@pytest.mark.parametrize(
    "sign, value, ours, bounds, verdict",
    [
        ("≥", 2, 20, (False, False), "yes"),
        ("≥", 2, 19, (False, False), "**no**"),
        ("≥", 2, 19, (True, False), "open"),
        ("≥", 2, 21, (True, False), "yes"),
        ("≥", 2, 21, (False, True), "open"),
        ("≥", 2, 21, (True, True), "open"),
        ("≥", 2, 19, (False, True), "**no**"),
        ("≤", 1, 10, (False, False), "yes"),
        ("≤", 1, 11, (False, False), "**no**"),
        ("≤", 1, 11, (True, False), "**no**"),
    ],
)
def test_a_target_is_met_or_not(sign, value, ours, bounds, verdict):
    mine, theirs = runs(ours, is_lower_bound=bounds[0]), runs(10, is_lower_bound=bounds[1])
    row = report.row(WORKLOAD, "other", target(sign, value), mine, theirs)
    assert report.verdict(row) == verdict


@pytest.mark.parametrize("ours, theirs, verdict", [((), (True, True, False), "open"), ((True, True, False), (), "open"), ((True,), (True,), "yes")])
def test_losses_prove_nothing(ours, theirs, verdict):
    def three(figure: float, bad: tuple) -> list[dict]:
        return [{"figure": figure, "is_good": not is_bad} for is_bad in (*bad, *[False] * 3)[:3]]

    assert report.verdict(report.row(WORKLOAD, "other", target("≥", 2), three(30, ours), three(10, theirs))) == verdict


def test_a_row_has_everything():
    text = table(report.row(WORKLOAD, "other", target("≥", 1.25), runs(3000, is_lower_bound=True), runs(1500)))
    assert "| echo | other | ≥ 3,000 messages/s | 1,500 messages/s | ≥ 2 |  | ≥ 1.25 | yes |" in text
    assert "the generator had no time left" in text and "V 1" in text


def test_what_is_missing_says_why():
    text = table(report.row(WORKLOAD, "other", target("≥", 2), reason="other is not installed"))
    assert "| echo | other |  | not measured: other is not installed |  |  | ≥ 2 |  |" in text


def test_losses_are_told():
    lossy = runs(5, is_good=False, problem=None, integrity={"expected": 1000, "lost": 7})
    assert "echo, other: 7 lost of 1,000 deliveries in 1 of 1 runs" in table(report.row(WORKLOAD, "other", None, runs(5), lossy))


def test_the_manual_takes_the_table(tmp_path):
    file = tmp_path / "benchmarks.md"
    file.write_text(f"a\n{report.BEGIN}\nold\n{report.END}\nb\n")
    report.put_into_manual("new\\1\n", file)
    assert file.read_text() == f"a\n{report.BEGIN}\n\nnew\\1\n\n{report.END}\nb\n"
    file.write_text("nothing")
    with pytest.raises(SystemExit):
        report.put_into_manual("new", file)
