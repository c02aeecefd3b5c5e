"""Paths that do not lead to an ordinary file: pipes, devices, folders and files that are too large. On the command line a pipe is allowed."""

import os
import subprocess

import pytest

from conftest import SLUICE

GOOD = "installed_apps: [echo]\napplications: {main: {websocket: [{path: ws/, consumer: echo}]}}\n"
INCLUDING = "installed_apps: [echo]\napplications: {main: {websocket: [{path: ws/, include: fifo.yaml}]}}\n"
SECURED = GOOD + "server: {tls: {certificate: fifo, key: fifo}}\n"


def sluice(*arguments, **options) -> subprocess.CompletedProcess:
    return subprocess.run([SLUICE, *map(str, arguments)], capture_output=True, text=True, timeout=30, **options)


@pytest.mark.parametrize("command", ["validate", "serve"])
@pytest.mark.parametrize("text", [INCLUDING, SECURED], ids=["include", "certificate"])
def test_a_fifo_where_a_file_is_named_is_a_finding_at_once(command, text, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "fifo.yaml").symlink_to("fifo")
    (tmp_path / "routes.yaml").write_text(text)
    done = sluice(command, tmp_path / "routes.yaml", *(["--bind", "127.0.0.1:0"] if command == "serve" else []))
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "cannot be read: it is a pipe (FIFO), and a file is needed" in said, said
    assert "routes.yaml:" in said


@pytest.mark.parametrize("path, said", [
    ("/dev/zero", "it is a device"), ("/dev/full", "it is a device"), ("/", "it is a folder"), ("{socket}", "it is a socket"),
    ("{huge}", "it is larger than 8 MiB"), ("/dev/null", "it is a device"),
])
def test_what_is_no_file_is_no_configuration(path, said, tmp_path):
    import socket

    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(1 << 40)
    place = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        done = sluice("validate", path.format(socket=place, huge=huge))
    assert done.returncode == 1 and said in done.stdout, done.stdout


def test_a_configuration_may_come_through_a_pipe(tmp_path):
    for name in ("-", "/dev/stdin"):
        done = sluice("validate", name, input=GOOD)
        assert (done.returncode, done.stdout.startswith(f"{name}: good")) == (0, True), done.stdout
    with (tmp_path / "routes.yaml").open("w+") as file:
        file.write(GOOD)
        file.seek(0)
        assert sluice("validate", "-", stdin=file).returncode == 0
    done = subprocess.run(["bash", "-c", f'"{SLUICE}" validate <(cat)'], input=GOOD, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout
    wrong = sluice("validate", "-", input=GOOD.replace("consumer", "consumr"))
    assert wrong.returncode == 1 and " --> -:2:" in wrong.stdout, wrong.stdout


@pytest.mark.parametrize("command", ["config -", "routes -", "explain - /ws/", "config <(cat)"])
def test_a_configuration_from_a_pipe_needs_no_secrets_to_be_shown(command):
    text = GOOD.replace("echo}", "echo, auth: users}") + "auth: {users: {jwt: {secret: {env: NOWHERE}}}}\n"

    def run(text: str) -> subprocess.CompletedProcess:
        return subprocess.run(["bash", "-c", f'"{SLUICE}" {command}'], input=text, capture_output=True, text=True, timeout=30)

    done = run(text)
    assert done.returncode == 0 and "users" in done.stdout and "not all secrets" in done.stderr, done
    done = run(text.replace("consumer", "consumr"))
    assert done.returncode == 1 and 'unknown key "consumr"' in done.stderr and "empty" not in done.stderr, done


def test_a_pipe_that_stays_open_is_given_up():
    reading, writing = os.pipe()
    os.write(writing, GOOD.encode())
    done = sluice("validate", "-", stdin=reading)
    os.close(reading)
    os.close(writing)
    assert done.returncode == 1 and "has not written all of it and closed it in time" in done.stdout, done.stdout


def test_a_pipe_that_never_ends_is_given_up_at_the_largest_size():
    done = subprocess.run(
        ["bash", "-c", f'cat /dev/zero | "{SLUICE}" validate -'], capture_output=True, text=True, timeout=30)
    assert "it is larger than 8 MiB" in done.stdout, done.stdout


def test_a_line_of_twenty_thousand_strange_keys_is_shown_in_a_thousand_findings(tmp_path):
    keys = ", ".join(f"strange{number}: 1" for number in range(20_000))
    file = tmp_path / "routes.yaml"
    file.write_text(GOOD.replace("consumer: echo", f"consumer: echo, {keys}"))
    done = sluice("validate", file)
    print(f"{len(done.stdout)} bytes of text for 20,000 findings in one line of {file.stat().st_size} bytes")
    assert done.returncode == 1
    assert done.stdout.count("error[unknown-key]") == 1000 and len(done.stdout) < 600_000
    assert done.stdout.endswith(f"... and 19000 more findings are not shown\n\n20000 errors, 0 warnings in {file}\n")
