"""The README says what is."""

import re
import subprocess

from conftest import ROOT, SLUICE

README = (ROOT / "README.md").read_text()


def test_the_example_is_routes_yaml():
    (example,) = re.findall(r"```yaml\n(# What Sluice serves.*?)```", README, re.S)
    assert example == (ROOT / "routes.yaml").read_text()


def test_every_command_in_it_exists():
    commands = set(re.findall(r"^\s*(?:\$ )?sluice ([a-z]+)", README, re.M))
    assert {"serve", "validate", "routes", "explain"} <= commands
    for command in commands:
        done = subprocess.run([SLUICE, command, "--help"], capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, command


def test_every_example_is_named():
    for folder in (ROOT / "examples").iterdir():
        assert f"examples/{folder.name}" in README, folder.name


def test_the_file_of_one_who_comes_from_channels(tmp_path):
    (example,) = re.findall(r"## Coming from Django Channels.*?```yaml\n(.*?)```", README, re.S)
    file = tmp_path / "routes.yaml"
    file.write_text(example)
    done = subprocess.run([SLUICE, "validate", "--strict", str(file)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_link_leads_somewhere():
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", README, flags=re.S), re.M)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    chapters = re.findall(r"\]\(#([^)]+)\)", README)
    assert "authentication" in chapters
    assert set(chapters) <= anchors, set(chapters) - anchors
    for file in re.findall(r"\]\((?!https?:|#)([^)]+)\)", README):
        assert (ROOT / file).exists(), file
