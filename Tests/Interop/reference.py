"""The tables of keys in docs/reference.md come from the declaration in Sources/GatewayConfig/Keys.

`make reference` writes them anew; a test compares.
"""

import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SLUICE = os.environ.get("SLUICE", str(ROOT / ".build/release/sluice"))
PAGE = ROOT / "docs/reference.md"


def tables() -> dict[str, str]:
    """The table under each heading."""
    done = subprocess.run([SLUICE, "keys", "--format", "markdown"], capture_output=True, text=True, timeout=30, check=True)
    return {title: table.strip("\n") + "\n" for title, table in re.findall(r"^## (.*)\n\n((?:\|.*\n)+)", done.stdout, re.M)}


def updated(page: str) -> str:
    """The page with the first table under each of these headings as the program prints it."""
    for title, table in tables().items():
        head, found, rest = page.partition(f"\n## {title}\n")
        if not found:
            raise SystemExit(f"docs/reference.md has no heading \"{title}\"")
        own, *others = re.split(r"(?=^## )", rest, maxsplit=1, flags=re.M)
        own, count = re.subn(r"^\| key \|.*\n(?:\|.*\n)*", lambda _: table, own, count=1, flags=re.M)
        if not count:
            raise SystemExit(f"docs/reference.md has no table of keys under \"{title}\"")
        page = head + found + own + "".join(others)
    return page


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text()))
