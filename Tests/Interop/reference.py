"""The tables of keys and consumers in docs/reference.md come from Sources/GatewayConfig, those of statuses and close codes from
Sources/Sessions/Refusals.

`make reference` writes them anew; a test compares.
"""

import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SLUICE = os.environ.get("SLUICE", str(ROOT / ".build/release/sluice"))
PAGE = ROOT / "docs/reference.md"
# The first cell of the head of each table that is written.
HEADS = "key|status|code|consumer"


def tables() -> dict[str, str]:
    """The table under each heading."""
    printed = "".join(
        subprocess.run([SLUICE, command, "--format", "markdown"], capture_output=True, text=True, timeout=30, check=True).stdout + "\n"
        for command in ("keys", "codes")
    )
    return {title: table.strip("\n") + "\n" for title, table in re.findall(r"^## (.*)\n\n((?:\|.*\n)+)", printed, re.M)}


def rows(title: str) -> list[list[str]]:
    """The cells of each row of a table, without its head."""
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in tables()[title].splitlines()[2:]]


def updated(page: str) -> str:
    """The page with the first table under each of these headings as the program prints it."""
    for title, table in tables().items():
        head, found, rest = page.partition(f"\n## {title}\n")
        if not found:
            raise SystemExit(f"docs/reference.md has no heading \"{title}\"")
        own, *others = re.split(r"(?=^## )", rest, maxsplit=1, flags=re.M)
        own, count = re.subn(rf"^\| (?:{HEADS}) \|.*\n(?:\|.*\n)*", lambda _: table, own, count=1, flags=re.M)
        if not count:
            raise SystemExit(f"docs/reference.md has no table of its own under \"{title}\"")
        page = head + found + own + "".join(others)
    return page


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text()))
