"""The ratios as a picture: one bar for each peer of a workload."""

import pathlib

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402

import report  # noqa: E402

# By verdict; a missed target is red.
COLORS = {"": "#8899aa", "yes": "#2a8f6a", "open": "#d9a441"}


def draw(found: dict, file: pathlib.Path) -> None:
    rows = [(one, report.ratio(one)) for one in found["rows"] if one["peer"] and not one["reason"]]
    rows = [(one, value) for one, value in rows if value]
    figure, axes = pyplot.subplots(figsize=(10, 1.2 + 0.34 * max(1, len(rows))), layout="constrained")
    for place, (one, value) in enumerate(reversed(rows)):
        met = report.verdict(one)
        axes.barh(place, value - 1, left=1, height=0.6, color=COLORS.get(met, "#c0503c"))
        axes.annotate(
            f" {report.number(value)} ", (value, place), va="center", ha="left" if value >= 1 else "right", fontsize=8
        )
        if one["target"]:
            axes.plot([one["target"]["value"]] * 2, [place - 0.42, place + 0.42], color="black", linewidth=1.5)
    axes.set_yticks(range(len(rows)), [f"{one['title']} — {one['peer']}" for one, _ in reversed(rows)], fontsize=8)
    axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("ratio, logarithmic; black: target (green: met, yellow: open)")
    axes.set_title(f"{found['machine']}, {found['date']}", fontsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
