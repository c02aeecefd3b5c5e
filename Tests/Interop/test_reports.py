"""Every report in `reports.py` has a test that names it."""

import pathlib
import re

import pytest

from conftest import ROOT
from reports import REPORTS

# How a test names a report, by the kind of its file.
MARKS = {
    ".py": r'^@pytest\.mark\.report\("([\w-]+)"\)',
    ".swift": r'\.bug\(id: "([\w-]+)"\)',
    ".yaml": r"^# report: ([\w-]+)$",
}


@pytest.fixture(scope="module")
def named() -> dict[str, list[pathlib.Path]]:
    """By report, the files whose tests name it."""
    files: dict[str, list[pathlib.Path]] = {}
    for file in sorted((ROOT / "Tests").glob("*Tests/**/*")) + sorted((ROOT / "Tests/Interop").glob("test_*.py")):
        if file.suffix in MARKS:
            for report in re.findall(MARKS[file.suffix], file.read_text(errors="replace"), re.M):
                files.setdefault(report, []).append(file)
    return files


def test_every_report_has_a_test(named):
    assert [f"{name} ({REPORTS[name]})" for name in REPORTS if name not in named] == []


def test_every_test_names_a_report_that_is_there(named):
    assert {name: files for name, files in named.items() if name not in REPORTS} == {}
