"""A running gateway meets files that are none: pipes, devices, folders and scripts where its file, an include or a program should be."""

import json
import os
import pathlib
import signal
import threading
import time

import pytest

from clients import frame, open_session, read_frame
from conftest import DEFAULT
from test_admin import curl, only_socket


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    os.mkfifo(tmp_path / "fifo", 0o700)
    (tmp_path / "script").write_text("#!/bin/sh\nexec false\n")
    (tmp_path / "script").chmod(0o755)
    with open(tmp_path / "huge", "wb") as huge:
        huge.truncate(1 << 40)
    return tmp_path


@pytest.fixture
def scene(start, folder, tmp_path_factory):
    runtime = tmp_path_factory.mktemp("r")
    file = folder / "routes.yaml"
    file.write_text(DEFAULT.replace("LIMITS", ""))
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    return start(file=file, env=env), file, env, only_socket(runtime)


def answers(gateway) -> bool:
    with open_session(gateway.port, "/ws/echo/") as sock:
        sock.sendall(frame(1, b"here"))
        return read_frame(sock)[1] == b"here"


STRANGE = [
    ("fifo", "it is a pipe (FIFO), and a file is needed"), ("/dev/zero", "it is a device, and a file is needed"),
    ("/", "it is a folder"), ("huge", "it is larger than 8 MiB"),
]


def test_what_is_no_file_is_refused_at_once(scene, folder):
    gateway, file, _, place = scene
    good = file.read_text()
    for name, said in STRANGE:
        began = time.monotonic()
        for text in (None, good.replace("installed_apps", f"include: {name}\ninstalled_apps")):
            file.unlink()
            if text is None:
                file.symlink_to(folder / name)
            else:
                file.write_text(text)
            for order, more in [("reload", []), ("plan", []), ("plan", ["-d", json.dumps({"file": str(folder / name)})])]:
                code, body = curl(place, "-X", "POST", *more, f"http://a/{order}")
                assert (code, body["code"]) == (422, "findings") and said in body["text"], body
        assert time.monotonic() - began < 5
    assert answers(gateway)
    file.unlink()
    file.write_text(good.replace("hello/, respond: hello", "hello/, respond: there"))
    assert curl(place, "-X", "POST", "http://a/reload")[0] == 200


def test_a_program_that_is_no_program_is_refused_at_once(scene, folder):
    gateway, _, _, place = scene
    for name, said in [
        ("fifo", "it is a pipe (FIFO), and the file of a program is needed"),
        ("/dev/zero", "it is a device, and the file of a program is needed"),
        ("/tmp", "it is a folder, and the file of a program is needed"),
        ("script", 'it is a script (it begins with "#!"), and a program is needed'),
    ]:
        began = time.monotonic()
        code, body = curl(place, "-X", "POST", "-d", json.dumps({"binary": str(folder / name)}), "http://a/upgrade")
        assert (code, body["code"]) == (409, "refused") and f"{folder / name}: {said}" in body["error"], body
        assert time.monotonic() - began < 5
    assert curl(place, "http://a/status")[1]["under_way"] is None and answers(gateway)


def test_a_file_that_came_through_a_pipe_is_not_waited_for(start, folder, tmp_path_factory):
    pipe = folder / "fifo"
    writer = threading.Thread(target=lambda: pipe.write_text(DEFAULT.replace("LIMITS", "")))
    writer.start()
    gateway = start(file=pipe, env={"RUNTIME_DIRECTORY": str(tmp_path_factory.mktemp("r"))})
    writer.join()
    gateway.process.send_signal(signal.SIGHUP)
    assert gateway.says("it is a pipe (FIFO), and a file is needed")
    assert gateway.says("the file was not reloaded; what was served before stays")
    assert answers(gateway)
