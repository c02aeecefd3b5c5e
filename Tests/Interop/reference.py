"""The tables of keys and consumers in docs/reference.md come from Sources/GatewayConfig, those of statuses and close codes from
Sources/Sessions/Refusals, and so do the lists of close codes in clients of the manual and of the examples.

`make reference` writes them anew; tests compare.
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


# Pages that may have a client which knows some of the close codes.
CLIENTS = sorted(
    path
    for pattern in ("README.md", "docs/*.md", "examples/**/*.md", "examples/**/*.html", "examples/**/*.js")
    for path in ROOT.glob(pattern)
)
# The list of the codes after which a client stops.
FINAL = re.compile(r"\bfinal = \[([\d, ]+)\]")


def final_codes() -> list[int]:
    """The close codes after which connecting again is of no use."""
    rows_ = rows("Close codes")
    return sorted({int(code) for code, _, _, again, _ in rows_ if code.isdigit() and again in ("no", "with a new token")})


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text()))
    final = f"final = {final_codes()}"
    for client in CLIENTS:
        text = client.read_text()
        if FINAL.search(text):
            client.write_text(FINAL.sub(final, text))
