"""From runs to a table: what docs/benchmarks.md shows."""

import pathlib
import re
import statistics

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/benchmarks.md"
BEGIN, END = "<!-- bench: make bench writes what follows -->", "<!-- bench ends -->"
# Per cent of a processor. Connecting and ending, which no run counts, take some.
CROWDED = 50


def row(workload, peer: str, target, ours: list[dict] = (), theirs: list[dict] = (), reason: str = "") -> dict:
    """A row of the table.

    Args:
        peer: empty for a target of our own figure.
        ours, theirs: the runs, in the order of the turns.
        reason: why there are no figures.
    """
    return {
        "workload": workload.key,
        "title": workload.title,
        "unit": workload.unit,
        "peer": peer,
        "target": {"sign": target.sign, "value": target.value} if target else None,
        "ours": list(ours),
        "theirs": list(theirs),
        "reason": reason,
    }


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def median(runs: list[dict]) -> float:
    return statistics.median(run["figure"] for run in runs)


def is_lower_bound(runs: list[dict]) -> bool:
    """Whether the generator was the limit in most of them."""
    return sum(bool(run.get("is_lower_bound")) for run in runs) * 2 > len(runs)


def is_faulty(runs: list[dict]) -> bool:
    """Whether something was lost or wrong in most of them."""
    return sum(run.get("is_good") is False for run in runs) * 2 > len(runs)


def ratio(one: dict) -> float | None:
    """Ours to the peer's: the median of the ratios of each turn."""
    pairs = [mine["figure"] / other["figure"] for mine, other in zip(one["ours"], one["theirs"]) if other["figure"]]
    return statistics.median(pairs) if pairs else None


def processor_ratio(one: dict) -> float | None:
    """The server's time for each operation, ours to the peer's."""
    pairs = [
        mine["server"]["us_per_operation"] / other["server"]["us_per_operation"]
        for mine, other in zip(one["ours"], one["theirs"])
        if mine.get("server", {}).get("us_per_operation") and other.get("server", {}).get("us_per_operation")
    ]
    return statistics.median(pairs) if pairs else None


def verdict(one: dict) -> str:
    target = one["target"]
    if not target or one["reason"]:
        return ""
    value = ratio(one) if one["peer"] else median(one["ours"])
    if value is None:
        return ""
    is_met = value >= target["value"] if target["sign"] == "≥" else value <= target["value"]
    # Where the generator was the limit, a figure of ours that falls short proves nothing, and one of the peer's that we beat neither.
    is_open = target["sign"] == "≥" and is_lower_bound(one["theirs"] if is_met else one["ours"])
    # Nor does one with losses in it: behind each the generator waits for a second.
    is_open = is_open or is_faulty(one["ours"]) or is_faulty(one["theirs"])
    return "open" if is_open else "yes" if is_met else "**no**"


def cells(one: dict) -> list[str]:
    target = f"{one['target']['sign']} {number(one['target']['value'])}" if one["target"] else ""
    if one["reason"]:
        return [one["title"], one["peer"], "", f"not measured: {one['reason']}", "", "", target, ""]
    ours_bound, theirs_bound = is_lower_bound(one["ours"]), is_lower_bound(one["theirs"])
    ours = f"{'≥ ' if ours_bound else ''}{number(median(one['ours']))} {one['unit']}"
    if not one["peer"]:
        return [one["title"], "", ours, "", "", "", f"{target} {one['unit']}", verdict(one)]
    theirs = f"{'≥ ' if theirs_bound else ''}{number(median(one['theirs']))} {one['unit']}"
    sign = {(True, False): "≥ ", (False, True): "≤ ", (True, True): "≈ "}.get((ours_bound, theirs_bound), "")
    value, time = ratio(one), processor_ratio(one)
    return [
        one["title"],
        one["peer"],
        ours,
        theirs,
        "" if value is None else f"{sign}{number(value)}",
        "" if time is None else number(time),
        target,
        verdict(one),
    ]


def fault(run: dict) -> str:
    """What was wrong in a run."""
    counts = {**run.get("integrity", {}), **run}
    names = ("lost", "duplicated", "out_of_order", "unexpected", "failed", "lost_connections")
    words = [f"{counts[name]:,} {name.replace('_', ' ')}" for name in names if counts.get(name)]
    if run.get("integrity"):
        words[-1:] = [f"{words[-1]} of {run['integrity']['expected']:,} deliveries"] if words else []
    return ", ".join(words) + (f" ({run['problem']})" if run.get("problem") else "")


def others(found: dict) -> float:
    """What neither server nor generator used of a processor, in per cent: the median of all runs."""
    shares = [
        run["machine_percent"] - run["server"]["percent"] - run["generator_percent"]
        for one in found["rows"]
        for run in one["ours"] + one["theirs"]
        if "machine_percent" in run and run.get("server", {}).get("percent") and run["generator_percent"]
    ]
    return statistics.median(shares) if shares else 0


def notes(found: dict) -> list[str]:
    """What has to be known beside the figures."""
    said = []
    for one in found["rows"]:
        for name, runs in (("Sluice", one["ours"]), (one["peer"], one["theirs"])):
            bad = [run for run in runs if run.get("is_good") is False]
            if not bad:
                continue
            note = f"{one['title']}, {name}: {fault(bad[0])} in {len(bad)} of {len(runs)} runs"
            if note not in said:
                said.append(note)
    if said:
        said.append("behind a loss the generator waits for a second, so a figure with losses says little, and a target beside it is open")
    if (share := others(found)) > CROWDED:
        said.append(f"the machine was not quiet: other work took {share:.0f} % of a processor, so these are rough figures")
    if any(is_lower_bound(runs) for one in found["rows"] for runs in (one["ours"], one["theirs"])):
        said.append(
            "≥, ≤ and ≈: the generator had no time left, so that the server (ours, the peer's, or both) may do more than this; "
            "a target that such a figure of ours does not reach, or that is reached beside such a figure of the peer's, is open"
        )
    return said


def markdown(found: dict) -> str:
    lines = [
        f"{found['date']}, {found['machine']}; `{found['command']}`, {found['minutes']} minutes.",
        "",
        "| workload | peer | Sluice | peer's | ratio | CPU each | target | met |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += ["| " + " | ".join(cells(one)) + " |" for one in found["rows"]]
    lines += ["", *(f"- {note}" for note in notes(found)), "- " + "; ".join(found["versions"])]
    return "\n".join(lines) + "\n"


def put_into_manual(text: str, file: pathlib.Path = PAGE) -> None:
    old = file.read_text()
    new, count = re.subn(f"(?s)({re.escape(BEGIN)}\n).*?({re.escape(END)})", lambda found: f"{found[1]}\n{text}\n{found[2]}", old)
    if count != 1:
        raise SystemExit(f"{file} needs the lines {BEGIN} and {END}, once")
    file.write_text(new)
