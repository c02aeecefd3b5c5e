"""Compares Sluice with other servers: `make bench RUNS=5 SECONDS=3 ONLY=echo`.

All servers of a workload are started, each pinned to one processor, and get the load in turn, from the generator on another
one: A B C, A B C, and so on. A ratio is the median of those of each turn, so that a slow moment of the machine falls on all.
"""

import argparse
import contextlib
import json
import pathlib
import sys
import time

import commands
import generator
import machine
import plot
import report
from peers.server import CannotRun, Server
from workloads import WORKLOADS, Contestant, Missing, Workload

HOME = pathlib.Path(__file__).resolve().parents[2] / ".build/bench"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Entry:
    """A contestant and its runs."""

    def __init__(self, contestant: Contestant):
        self.contestant = contestant
        self.server: Server | None = None
        self.runs: list[dict] = []
        self.reason = ""

    def start(self) -> None:
        try:
            self.server = self.contestant.server()
        except CannotRun as why:
            self.give_up(str(why))

    def stop(self) -> None:
        if self.server:
            self.server.stop()
        self.server = None

    def give_up(self, why: str) -> None:
        self.reason = why
        say(f"   {self.contestant.title}: {why}")

    def take_a_turn(self, workload: Workload, seconds: float) -> None:
        if self.reason:
            return
        if workload.is_fresh:
            self.start()
        if not self.server:
            return
        before = machine.busy_seconds(), time.monotonic()
        try:
            result = generator.run(self.server, self.contestant.path, [*workload.arguments, *self.contestant.arguments], seconds)
        except CannotRun as why:
            return self.give_up(str(why))
        finally:
            if workload.is_fresh:
                self.stop()
        result["machine_percent"] = round(100 * (machine.busy_seconds() - before[0]) / (time.monotonic() - before[1]))
        result["figure"] = workload.figure(result)
        if result["figure"] is None:
            return self.give_up(f"nothing was measured: {report.fault(result)}")
        self.runs.append(result)
        say(f"   {self.contestant.title}: {report.number(result['figure'])} {workload.unit}")


def compare(workload: Workload, runs: int, seconds: float) -> list[dict]:
    """The rows of a workload: one for each peer, and one for a target of our own."""
    say(f"== {workload.title}")
    if workload.needs and not generator.knows(workload.arguments[0], workload.needs):
        return [
            report.row(workload, peer.title, peer.target, reason="not in this build")
            for peer in workload.peers
        ]
    ours = Entry(workload.ours)
    entries = [ours, *(Entry(peer) for peer in workload.peers if isinstance(peer, Contestant))]
    with contextlib.ExitStack() as running:
        for entry in entries:
            running.callback(entry.stop)
            if not workload.is_fresh:
                entry.start()
        for turn in range(runs):
            say(f" turn {turn + 1} of {runs}")
            for entry in entries:
                entry.take_a_turn(workload, seconds)
    rows = []
    if workload.own_target:
        rows.append(report.row(workload, "", workload.own_target, ours.runs, reason=ours.reason))
    for entry in entries[1:]:
        rows.append(
            report.row(
                workload,
                entry.contestant.title,
                entry.contestant.target,
                ours.runs,
                entry.runs,
                f"Sluice: {ours.reason}" if ours.reason else entry.reason,
            )
        )
    rows += [
        report.row(workload, peer.title, None, reason=peer.reason)
        for peer in workload.peers
        if isinstance(peer, Missing)
    ]
    return rows


def versions() -> list[str]:
    from peers import Daphne, Nchan, Picows, Sluice, Socketify, Uvicorn
    from peers.redis import Redis

    return [peer.version() for peer in (Sluice, Picows, Socketify, Nchan, Uvicorn, Daphne, Redis)] + [
        f"Python {sys.version.split()[0]}"
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare Sluice with other servers.")
    parser.add_argument("--runs", type=int, default=5, help="turns of each workload, 1 to 50 (5)")
    parser.add_argument("--seconds", type=float, default=3, help="the measured time of a run, 0.2 to 60 (3)")
    parser.add_argument("--only", default="", help="only workloads whose name has this in it")
    parser.add_argument("--manual", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--render", action="store_true", help="measure nothing, write the last results anew")
    options = parser.parse_args()
    if not (1 <= options.runs <= 50 and 0.2 <= options.seconds <= 60):
        parser.error("--runs is 1 to 50, --seconds 0.2 to 60")

    results = HOME / "results.json"
    if options.render:
        found = json.loads(results.read_text())
    else:
        found = measure(options, parser)
        results.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    text = report.markdown(found)
    (HOME / "table.md").write_text(text)
    plot.draw(found, HOME / "ratios.svg")
    if options.manual:
        report.put_into_manual(text)
    print(text)
    say(f"written: {HOME / 'table.md'}, {HOME / 'ratios.svg'}, {results}")


def measure(options: argparse.Namespace, parser: argparse.ArgumentParser) -> dict:
    known = (*WORKLOADS, *commands.COMMANDS)
    chosen = [one for one in known if options.only in one.key]
    if not chosen:
        parser.error(f"no workload has {options.only!r} in its name: {', '.join(one.key for one in known)}")
    machine.raise_descriptor_limit()
    begun = time.time()
    rows = []
    for one in chosen:
        rows += compare(one, options.runs, options.seconds) if isinstance(one, Workload) else commands.time_it(one, options.runs)
    command = f"make bench RUNS={options.runs} SECONDS={options.seconds:g}"
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime(begun)),
        "minutes": round((time.time() - begun) / 60),
        "machine": machine.description(),
        "command": command + (f" ONLY={options.only}" if options.only else ""),
        "runs": options.runs,
        "seconds": options.seconds,
        "versions": versions(),
        "rows": rows,
    }


if __name__ == "__main__":
    main()
