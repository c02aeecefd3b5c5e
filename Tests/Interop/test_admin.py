"""Commands for a running gateway: how it is found, who may ask, and what is left of it when clients are hostile, slow or gone."""

import contextlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import socketserver
import stat
import subprocess
import termios
import threading
import time

import pytest

from clients import open_session, read_close
from conftest import DEFAULT, SLUICE
from redis_stack import wait_until

TOKEN = "0123456789abcdef0123456789abcdef"


def sluice(*arguments, env: dict | None = None, timeout: float = 30, cwd=None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [SLUICE, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, cwd=cwd, env={**os.environ, **(env or {})}
    )


def status(*arguments, **options) -> dict:
    done = sluice("status", *arguments, "--format", "json", **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def curl(place: str, *arguments: str) -> tuple[int, dict]:
    done = subprocess.run(
        ["curl", "-s", "-S", "--unix-socket", place, "-w", "\n%{http_code}", *arguments], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    body, code = done.stdout.rsplit("\n", 1)
    return int(code), json.loads(body)


@pytest.fixture
def file(tmp_path) -> pathlib.Path:
    path = tmp_path / "routes.yaml"
    path.write_text(DEFAULT.replace("LIMITS", ""))
    return path


@pytest.fixture
def runtime(tmp_path_factory) -> pathlib.Path:
    """A run-time directory for one gateway; a socket's path has to be short."""
    return tmp_path_factory.mktemp("r")


def only_socket(runtime: pathlib.Path) -> str:
    (place,) = runtime.glob("*.sock")
    return str(place)


def test_a_gateway_is_found_by_its_file(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    gateway = start(file=file, env=env)
    place = only_socket(runtime)
    assert pathlib.Path(place).name.startswith("routes-")
    assert stat.S_IMODE(os.stat(place).st_mode) == 0o600
    with open_session(gateway.port, "/ws/echo/"), open_session(gateway.port, "/ws/chat/a/"), open_session(gateway.port, "/ws/chat/b/"):
        told = status(file, env=env)
        sessions = {row["route"]: (row["protocol"], row["consumer"], row["sessions"]) for row in told["routes"]}
        assert sessions["ws/echo/"] == ("websocket", "echo", 1)
        assert sessions["ws/chat/<slug:room>/"] == ("websocket", "chat", 2)
        assert (told["sessions"], told["state"], told["pid"]) == (3, "serving", gateway.process.pid)
        assert told["file"] == str(file)
        assert told["under_way"] is None
        text = sluice("status", file, env=env).stdout
        assert f"process {gateway.process.pid}: serving" in text
        assert f"commands  unix:{place}" in text
        assert "ws/chat/<slug:room>/  websocket  chat" in text
    gateway.stop()
    assert list(runtime.iterdir()) == []


def test_the_path_may_be_written_in_any_way(start, file, runtime, tmp_path):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    (tmp_path / "current").symlink_to(tmp_path)
    gateway = start(file=tmp_path / "current/routes.yaml", env=env)
    for path in (tmp_path / "current/routes.yaml", file, tmp_path / "x/../routes.yaml"):
        assert status(path, env=env)["pid"] == gateway.process.pid
    done = subprocess.run([SLUICE, "status"], capture_output=True, text=True, cwd=tmp_path, timeout=30, env={**os.environ, **env})
    assert done.returncode == 0, done.stderr
    gateway.stop()
    assert list(runtime.iterdir()) == []


def test_two_gateways_do_not_meet(start, file, runtime, tmp_path):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    other = tmp_path / "other.yaml"
    other.write_text(file.read_text())
    first, second = start(file=file, env=env), start(file=other, env=env)
    assert status(file, env=env)["pid"] == first.process.pid
    assert status(other, env=env)["pid"] == second.process.pid
    # Two of one file: each can be told from the other.
    third = start(file=file, env=env)
    assert third.says("another gateway of the same file runs", f"pid={first.process.pid}", f"--pid {third.process.pid}")
    done = sluice("drain", file, env=env)
    assert done.returncode == 1
    assert done.stderr == (
        f"sluice: say which with --pid: 2 gateways run with the file, process {first.process.pid} and process {third.process.pid}\n"
    )
    lines = sluice("status", file, "--format", "json", env=env).stdout.splitlines()
    assert [json.loads(line)["pid"] for line in lines] == [first.process.pid, third.process.pid]
    assert sluice("drain", file, "--pid", third.process.pid, env=env).returncode == 0
    assert third.wait() == 0
    assert status(file, env=env)["pid"] == first.process.pid
    done = sluice("status", file, "--pid", third.process.pid, env=env)
    assert done.returncode == 1
    assert f"process {third.process.pid} is no gateway of {file}" in done.stderr


@pytest.mark.parametrize("place", ["socket", "loopback"])
def test_a_command_for_one_file_does_nothing_to_the_gateway_of_another(start, file, runtime, tmp_path, place):
    """Two files may say the same address."""
    env = {"RUNTIME_DIRECTORY": str(runtime), "ADMIN": TOKEN}
    before = file.read_text()
    port = free_port()
    text = with_loopback(before, port) if place == "loopback" else before + "\nserver: {admin: 'unix:a.sock'}\n"
    address = f"127.0.0.1:{port}" if place == "loopback" else f"unix:{tmp_path}/a.sock"
    file.write_text(text)
    staging, link = tmp_path / "staging.yaml", tmp_path / "link.yaml"
    staging.write_text(text)
    gateway = start(file=file, env=env)
    sentence = f"the gateway at {address} serves {file}, not {staging}"
    for command in (["status"], ["plan"], ["reload"], ["config", "--running"], ["upgrade"], ["drain"]):
        done = sluice(*command, staging, env=env)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"sluice: {sentence}\n"), command
    assert json.loads(sluice("drain", staging, "--format", "json", env=env).stdout) == {"error": sentence, "code": "other-file"}
    # The same file by another name is the same.
    link.symlink_to(file)
    elsewhere = {**env, "RUNTIME_DIRECTORY": "/nowhere"}
    assert status(link, env=elsewhere)["pid"] == gateway.process.pid
    assert status(file, env=elsewhere)["pid"] == gateway.process.pid
    if place == "socket":
        # A process that is named is meant.
        assert status(staging, "--pid", gateway.process.pid, env=env)["file"] == str(file)


def shell(folder: pathlib.Path, runtime: pathlib.Path) -> dict:
    """For a command in a folder, as a shell calls it that has come there by this name."""
    return {"cwd": folder, "env": {"RUNTIME_DIRECTORY": str(runtime), "PWD": str(folder)}}


@pytest.mark.parametrize("how", ["moved", "linked"])
def test_a_gateway_reads_the_file_that_has_its_name_by_then(start, file, runtime, tmp_path, how):
    """A deployment puts another folder in the place of the one that the gateway was started in."""
    site = tmp_path / "site"
    text = file.read_text()
    for number in (1, 2, 3):
        folder = tmp_path / f"r{number}"
        folder.mkdir()
        (folder / "routes.yaml").write_text(f"include: more.yaml\n{text}".replace("ws/news/, consumer", f"ws/{number}/, consumer"))
        (folder / "more.yaml").write_text(f"limits: {{connections: {number}0}}\n")
        (folder / "over.yaml").write_text(f"shutdown: {{grace: {number}s}}\n")

    def put(number: int) -> None:
        if how == "moved":
            if site.exists():
                site.rename(tmp_path / f"old{number}")
            (tmp_path / f"r{number}").rename(site)
        else:
            site.unlink(missing_ok=True)
            site.symlink_to(tmp_path / f"r{number}")

    def served() -> tuple:
        told = status(**shell(site, runtime))
        assert told["file"] == f"{site}/routes.yaml"
        routes = [row["route"] for row in told["routes"]]
        return next(route for route in routes if route[3:4].isdigit()), told["connection_limit"], told["grace"]

    put(1)
    gateway = start(file="routes.yaml", arguments=("-f", "over.yaml"), **shell(site, runtime))
    assert served() == ("ws/1/", 10, "1s")
    put(2)
    done = sluice("plan", **shell(site, runtime))
    assert "added    websocket /ws/2/" in done.stdout, done
    assert sluice("reload", **shell(site, runtime)).returncode == 0
    assert served() == ("ws/2/", 20, "2s")
    put(3)
    done = sluice("upgrade", **shell(site, runtime))
    assert done.returncode == 0, done
    assert served() == ("ws/3/", 30, "3s")
    (site / "more.yaml").write_text("limits: {connections: 40}\n")
    assert sluice("reload", **shell(site, runtime)).returncode == 0
    assert served() == ("ws/3/", 40, "3s")
    site.rename(tmp_path / "gone")
    done = sluice("reload", site / "routes.yaml", env={"RUNTIME_DIRECTORY": str(runtime)})
    assert done.returncode == 1 and f'"{site}/routes.yaml" cannot be read: there is no such file' in done.stdout, done
    gateway.stop()
    assert list(runtime.iterdir()) == []


def test_a_second_gateway_is_told_of_the_first_one(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    gateway = start(file=file, env=env)
    done = sluice("serve", file, "--bind", f"127.0.0.1:{gateway.port}", env=env)
    assert done.returncode == 1
    assert done.stderr.endswith(
        f'another process listens there already\nHint: a gateway of {file} runs already (process {gateway.process.pid}): "sluice reload {file}" has it serve what the file says now\n'
    )
    # Where it listens is what a command says, too.
    assert status(file, env=env)["listening"] == [f"http://127.0.0.1:{gateway.port}"]
    assert f"\nlistening http://127.0.0.1:{gateway.port}\n" in sluice("status", file, env=env).stdout


def test_where_no_gateway_runs_one_sentence_says_so(file, runtime, tmp_path):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    for command in ("status", "drain"):
        done = sluice(command, file, env=env)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"sluice: no gateway of {file} was found: nothing listens on {runtime}/routes-")
        assert f".sock; looked for it in {runtime}, /run/sluice, " in done.stderr
        # It may run all the same.
        assert "RUNTIME_DIRECTORY or TMPDIR is found with the same variable" in done.stderr
        assert done.stderr.endswith(f'; if none runs, "sluice serve {file}" starts one\n')
    done = sluice("status", tmp_path / "none.yaml", env=env)
    assert done.returncode == 1
    assert done.stderr.startswith(f"sluice: there is no file {tmp_path}/none.yaml, and nothing listens on {runtime}/none-")
    file.write_text(file.read_text() + "\nserver: {admin: false}\n")
    # Nobody can know.
    assert sluice("status", file, env=env).stderr == (
        f"sluice: whether a gateway of {file} runs is not known: it would take no commands, because server.admin is false; SIGHUP and SIGTERM reach one that runs\n"
    )
    assert json.loads(sluice("status", file, "--format", "json", env=env).stdout)["code"] == "no-commands"
    file.write_text("server: {admin: {address: '127.0.0.1:1', token: {env: NOT_SET}}}\n")
    done = sluice("status", file, env=env)
    assert done.returncode == 1
    assert "where else it may be is not known" in done.stderr and '"NOT_SET" is not set' in done.stderr


def test_a_gateway_without_commands_has_no_socket(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    file.write_text(file.read_text() + "\nserver: {admin: false}\n")
    start(file=file, env=env)
    assert list(runtime.iterdir()) == []


def test_a_socket_that_was_left_is_replaced(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    killed = start(file=file, env=env)
    place = only_socket(runtime)
    killed.process.kill()
    killed.wait()
    assert only_socket(runtime) == place
    assert "nothing listens on" in sluice("status", file, env=env).stderr
    gateway = start(file=file, env=env)
    assert only_socket(runtime) == place
    assert status(file, env=env)["pid"] == gateway.process.pid


def test_a_socket_whose_file_is_removed_is_made_anew(start, file, runtime, tmp_path):
    """By whoever cleans up, or by another service that has the same folder and stops."""
    (tmp_path / "link").symlink_to(tmp_path)
    linked = tmp_path / "link" / "routes.yaml"
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    gateway = start(file=linked, env=env)
    names = sorted(runtime.iterdir())
    assert len(names) == 2
    before = gateway.descriptors
    for place in names:
        place.unlink()
    assert gateway.says("the socket for commands is there again")
    assert sorted(runtime.iterdir()) == names
    for path in (linked, file):
        assert status(path, env=env)["pid"] == gateway.process.pid
    wait_until(lambda: gateway.descriptors <= before, 10)
    shutil.rmtree(runtime)
    assert gateway.says("do not find this gateway", f'reason="is not there"')
    runtime.mkdir()
    wait_until(lambda: sorted(runtime.iterdir()) == names, 10)
    wait_until(lambda: sluice("status", file, env=env).returncode == 0, 10)
    gateway.stop()
    assert list(runtime.iterdir()) == []


def test_a_written_socket_that_is_in_use_is_an_error(start, file, runtime, tmp_path):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    file.write_text(file.read_text() + "\nserver: {admin: 'unix:a.sock'}\n")
    gateway = start(file=file, env=env)
    # Relative to the file, wherever the gateway was started.
    place = tmp_path / "a.sock"
    assert stat.S_IMODE(os.stat(place).st_mode) == 0o600
    done = sluice("serve", file, "--bind", "127.0.0.1:0", env=env)
    assert done.returncode == 1
    assert done.stderr.endswith(
        f"sluice: cannot listen on unix:{place}, where commands are to come: process {gateway.process.pid} of the user {os.getuid()} listens there already\n"
    )
    # The file may say something else by now, or nothing that can be read.
    for text in ("server: {admin: 'unix:b.sock'}", "server: {admin: [", "\t", file.read_text()):
        file.write_text(text)
        assert status(file, env=env)["pid"] == gateway.process.pid
    assert status(file, env={"RUNTIME_DIRECTORY": "/nowhere"})["pid"] == gateway.process.pid
    gateway.stop()
    assert not place.exists()
    assert list(runtime.iterdir()) == []


def test_curl_is_enough(start, file, runtime):
    gateway = start(file=file, env={"RUNTIME_DIRECTORY": str(runtime)})
    place = only_socket(runtime)
    code, body = curl(place, "http://a/status")
    assert (code, body["pid"]) == (200, gateway.process.pid)
    assert curl(place, "http://a/status?x=1")[0] == 200
    code, body = curl(place, "http://a/")
    assert (code, body["code"]) == (404, "unknown")
    code, body = curl(place, "-X", "POST", "http://a/status")
    assert (code, body["error"]) == (405, "/status takes GET")
    code, body = curl(place, "-X", "POST", "-d", "[", "http://a/drain")
    assert (code, body["code"]) == (400, "bad-request")
    code, body = curl(place, "-X", "POST", "-d", r'{"binary": "/bin/sluice\u0000x"}', "http://a/upgrade")
    assert (code, body["error"]) == (400, r'"binary" has a control character: /bin/sluice\u{0}x')
    code, body = curl(place, "-X", "POST", "-d", "x" * 100_000, "http://a/drain")
    assert (code, body["error"]) == (413, "the body is too large")
    code, body = curl(place, "-X", "POST", "-d", '{"grace": "1s"}', "http://a/drain")
    assert code == 200
    assert (body["sessions"], body["closed"], body["cut"]) == (0, 0, 0)
    assert gateway.wait() == 0
    assert gateway.says("a drain begins", f"asked-by=\"uid {os.getuid()}, pid ", "sessions=0", "grace=1s")
    assert gateway.says("drained", "cut=0")


def test_a_drain_counts_those_whom_it_cuts_off(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    gateway = start(file=file, env=env)
    clients = [open_session(gateway.port, "/ws/echo/") for _ in range(20)]
    # They never answer.
    told = json.loads(sluice("drain", file, "--grace", "1s", "--format", "json", env=env).stdout)
    assert (told["sessions"], told["closed"], told["cut"]) == (20, 0, 20)
    assert gateway.wait() == 0
    for client in clients:
        client.close()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def with_loopback(text: str, port: int) -> str:
    return text + "\nserver: {admin: {address: '127.0.0.1:%d', token: {env: ADMIN}}}\n" % port


def test_a_loopback_address_has_a_token(start, file, runtime):
    port, elsewhere = free_port(), {"RUNTIME_DIRECTORY": "/nowhere", "ADMIN": TOKEN}
    file.write_text(with_loopback(file.read_text(), port))
    gateway = start(file=file, env={"RUNTIME_DIRECTORY": str(runtime), "ADMIN": TOKEN})
    assert status(file, env=elsewhere)["pid"] == gateway.process.pid
    done = sluice("status", file, env={**elsewhere, "ADMIN": TOKEN[::-1]})
    assert (done.returncode, done.stderr) == (1, "sluice: the token is another one\n")
    assert gateway.says("somebody who may not give orders has tried to", "asked-by=token")
    plain = subprocess.run(["curl", "-s", "-i", f"http://127.0.0.1:{port}/status"], capture_output=True, text=True, timeout=30).stdout
    assert plain.startswith("HTTP/1.1 401 ") and r"needs the token of server.admin, as \"Authorization: Bearer TOKEN\"" in plain
    gateway.stop()
    done = sluice("status", file, env=elsewhere)
    assert done.stderr == f"sluice: no gateway runs: nothing listens on 127.0.0.1:{port}\n"


def test_with_the_token_no_line_of_a_foreign_file_is_read(start, file, runtime, tmp_path_factory):
    port, other = free_port(), tmp_path_factory.mktemp("foreign") / "secret.yaml"
    file.write_text(with_loopback(file.read_text(), port))
    gateway = start(file=file, env={"RUNTIME_DIRECTORY": str(runtime), "ADMIN": TOKEN})
    other.write_text("the-password: hunter2hunter2\n")
    link, beside, good = (file.parent / name for name in ("link.yaml", "beside.yaml", "good.yaml"))
    link.symlink_to(other)
    beside.write_text(other.read_text())
    good.write_text(file.read_text())

    def ask(name: pathlib.Path, *more: str, key: str = "file") -> tuple[int, str]:
        command = ["curl", "-s", "-w", "\n%{http_code}", *more, "-d", json.dumps({key: str(name)})]
        body, _, code = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.rpartition("\n")
        return int(code), body

    bearer = ["-H", f"Authorization: Bearer {TOKEN}", f"http://127.0.0.1:{port}/plan"]
    for name in (other, link, file.parent / ".." / other.parent.name / other.name, file.parent / "missing.yaml"):
        code, body = ask(name, *bearer)
        assert code == 403 and json.loads(body)["code"] == "foreign-file" and "password" not in body, (name, body)
    code, body = ask(beside, *bearer)
    assert code == 422 and json.loads(body)["code"] == "findings" and "password" not in body and "sluice validate" in body
    assert ask(good, *bearer)[0] == 200
    # It would be executed as the user of the gateway.
    code, body = ask("/bin/true", *bearer[:-1], bearer[-1].replace("/plan", "/upgrade"), key="binary")
    assert code == 403 and json.loads(body)["code"] == "foreign-program", body
    # At most four lines in a while; the first ones are about files.
    assert gateway.says("somebody who may not give orders has tried to", "asked-by=token", "refusal=foreign-file")
    # Whoever has the socket is the user of the gateway.
    code, body = ask(other, "--unix-socket", only_socket(runtime), "http://a/plan")
    assert code == 422 and "the-password" in body


def test_a_gateway_at_a_loopback_address_is_found_whatever_its_file_says(start, file, runtime):
    """By a socket beside the address, which is named after the file: the system vouches for who asks, so nothing there has the token."""
    port, env = free_port(), {"RUNTIME_DIRECTORY": str(runtime)}
    before = file.read_text()
    file.write_text(with_loopback(before, port))
    gateway = start(file=file, env={**env, "ADMIN": TOKEN})
    (place,) = runtime.iterdir()
    assert stat.S_ISSOCK(place.lstat().st_mode) and stat.S_IMODE(place.lstat().st_mode) == 0o600
    for text in (with_loopback(before, free_port()), before + "\nserver: {admin: false}\n", "server: [", file.read_text()):
        file.write_text(text)
        # The variable of the token is not here, and not needed.
        assert status(file, env=env)["pid"] == gateway.process.pid
    file.write_text(with_loopback(before.replace("hello/, respond: hello", "hello/, respond: there"), free_port()))
    done = sluice("reload", file, env=env)
    assert done.returncode == 0, done.stderr
    assert 'needs "sluice upgrade" or a restart: server.admin stays' in done.stdout
    # The address is still there for those who have the token.
    bearer = ["curl", "-s", "-H", f"Authorization: Bearer {TOKEN}", f"http://127.0.0.1:{port}/status"]
    told = json.loads(subprocess.run(bearer, capture_output=True, timeout=30).stdout)
    assert told["pid"] == gateway.process.pid
    gateway.stop()
    assert list(runtime.iterdir()) == []


def test_what_a_dead_gateway_has_left_leads_to_nobody(start, file, runtime, tmp_path):
    """Also where another gateway has its address by now."""
    env, other = {"RUNTIME_DIRECTORY": str(runtime)}, tmp_path / "other.yaml"
    file.write_text(file.read_text() + "\nserver: {admin: 'unix:a.sock'}\n")
    # Each of them has two names: by its path as it is written, and by where that leads.
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "routes.yaml").symlink_to(file)
    other.write_text(file.read_text())
    killed = start(file=tmp_path / "one" / "routes.yaml", env=env)
    assert status(file, env=env)["pid"] == killed.process.pid
    left = set(runtime.iterdir())
    assert len(left) == 2
    killed.process.kill()
    killed.wait()
    gateway = start(file=other, env=env)
    assert left < set(runtime.iterdir())
    file.write_text("server: {admin: 'unix:b.sock'}")
    for path in (file, tmp_path / "one" / "routes.yaml"):
        assert "nothing listens on" in sluice("status", path, env=env).stderr
    assert status(other, env=env)["pid"] == gateway.process.pid


@pytest.mark.parametrize("place", ["unix:a.sock", "loopback"])
def test_without_a_folder_the_address_of_the_file_is_left(file, runtime, tmp_path, place):
    closed = tmp_path / "closed"
    closed.write_text("")
    port = free_port()
    file.write_text(with_loopback(file.read_text(), port) if place == "loopback" else file.read_text() + f"\nserver: {{admin: '{place}'}}\n")
    env = {"RUNTIME_DIRECTORY": str(closed), "XDG_RUNTIME_DIR": str(closed), "TMPDIR": str(closed), "ADMIN": TOKEN}
    command = [SLUICE, "serve", str(file), "--bind", "127.0.0.1:0"]
    if os.getuid() != 0:
        pytest.skip("only root can take every folder away")
    command = ["setpriv", "--reuid=4712", "--regid=4712", "--clear-groups", *command]
    pathlib.Path("/tmp/sluice-4712").exists() or os.mkdir("/tmp/sluice-4712", 0o700)
    os.chown(tmp_path, 4712, 4712)
    for folder in (tmp_path, *tmp_path.parents):
        os.chmod(folder, os.stat(folder).st_mode | 0o5)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **env})
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "listening on" in line:
            break
    try:
        assert any("commands find this gateway only while its file says where" in line and str(closed) in line for line in lines), lines
        assert status(file, env={**env, "RUNTIME_DIRECTORY": "/nowhere"})["pid"] == process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        os.rmdir("/tmp/sluice-4712")
    assert process.returncode == 0, lines


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_another_user_is_refused(start, file, runtime):
    gateway = start(file=file, env={"RUNTIME_DIRECTORY": str(runtime)})
    place = only_socket(runtime)
    stranger = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "curl", "-s", "--unix-socket", place, "http://a/status"]
    for folder in (runtime, *runtime.parents):
        if not os.stat(folder).st_mode & 1:
            os.chmod(folder, os.stat(folder).st_mode | 1)
    # It runs, and a second one is not wanted.
    asking = [*stranger[:4], SLUICE, "status", str(file), "--format", "json"]
    done = subprocess.run(asking, capture_output=True, timeout=30, env={**os.environ, "RUNTIME_DIRECTORY": str(runtime)})
    told = json.loads(done.stdout)
    # As where none runs; the code tells them apart.
    assert done.returncode == 1 and told["code"] == "foreign-user" and f"the gateway of {file} runs as another user" in told["error"]
    # By the mode of the file, and by whom the system says it is where the mode has been changed.
    assert subprocess.run(stranger, capture_output=True, timeout=30).returncode == 7
    os.chmod(place, 0o666)
    done = subprocess.run(stranger, capture_output=True, timeout=30)
    assert done.returncode == 0, done
    refused = json.loads(done.stdout)
    assert refused["code"] == "foreign-user"
    assert refused["error"].endswith("only that user and root may ask")
    assert gateway.says("somebody who may not give orders has tried to", 'asked-by="uid 65534, pid ')


def test_silent_connections_give_way_to_commands(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    gateway = start(file=file, env=env)
    place = only_socket(runtime)
    # When it has answered once, everything has been opened.
    assert status(file, env=env)["sessions"] == 0
    before = gateway.descriptors
    silent = []
    for _ in range(1000):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(place)
        silent.append(sock)
    began = time.monotonic()
    assert status(file, env=env)["sessions"] == 0
    assert time.monotonic() - began < 3
    assert gateway.descriptors <= before + 20
    # The last of them are closed when their time is over.
    wait_until(lambda: gateway.descriptors <= before, 10)
    for sock in silent:
        sock.close()


def test_who_has_no_token_keeps_no_command_out(start, file, runtime):
    port = free_port()
    file.write_text(with_loopback(file.read_text(), port))
    env = {"RUNTIME_DIRECTORY": str(runtime), "ADMIN": TOKEN}
    start(file=file, env=env)
    is_over = threading.Event()

    def storm():
        while not is_over.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as sock:
                sock.sendall(b"GET /status HTTP/1.1\r\n\r\n" if os.urandom(1)[0] & 1 else b"")

    storms = [threading.Thread(target=storm) for _ in range(3)]
    for thread in storms:
        thread.start()
    done = [sluice("reload", file, env=env) for _ in range(5)]
    is_over.set()
    for thread in storms:
        thread.join()
    assert [command.returncode for command in done] == [0] * 5, done


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else, and is not bound by the limit")
def test_without_a_thread_a_reload_and_an_upgrade_are_refused(file, runtime, tmp_path):
    """A limit on threads, as of a service or a container, that is reached once the gateway serves."""
    user = 61123
    for path in (runtime, tmp_path, file):
        os.chown(path, user, user)
    path = file.parent
    while path != path.parent and not os.stat(path).st_mode & 0o001:
        path.chmod(os.stat(path).st_mode | 0o011)
        path = path.parent
    os.chmod(runtime, 0o700)
    env = {**os.environ, "RUNTIME_DIRECTORY": str(runtime)}
    somebody = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups"]
    process = subprocess.Popen([*somebody, SLUICE, "serve", str(file), "--bind", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True, env=env)

    def limit(*options: str) -> str:
        return subprocess.check_output([*somebody, "prlimit", "--pid", str(process.pid), *options], text=True)

    log = []
    reading = threading.Thread(target=lambda: log.extend(process.stderr), daemon=True)
    reading.start()
    try:
        wait_until(lambda: sluice("status", file, env=env).returncode == 0, 20)
        soft = limit("--output", "SOFT", "--noheadings", "--nproc").strip()
        limit("--nproc=1:")
        for name in ("reload", "upgrade", "reload"):
            refused = sluice(name, file, env=env)
            assert refused.returncode == 1 and "the system has no thread for it" in refused.stderr, refused
        limit(f"--nproc={soft}:")
        done = sluice("reload", file, env=env)
        assert done.returncode == 0, done.stderr
    finally:
        process.terminate()
        process.wait(20)
    reading.join(10)
    assert sum("ERROR the file was not reloaded" in line for line in log) == 2
    assert sum("ERROR nothing was upgraded" in line for line in log) == 1


def test_plans_that_nobody_waits_for_keep_no_reload_waiting(start, file, runtime):
    def rows(name: str) -> str:
        return "".join(f'      - {{path: "ws/{name}{number}/<slug:room>/", consumer: echo}}\n' for number in range(150))

    text = "installed_apps: [echo]\napplications:\n  main:\n    websocket:\n"
    file.write_text(text + rows("a"))
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    start(file=file, env=env)
    place = only_socket(runtime)
    file.write_text(text + rows("b"))
    for _ in range(30):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(place)
            sock.sendall(b"POST /plan HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
            time.sleep(0.01)
    began = time.monotonic()
    done = sluice("reload", file, env=env)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 10
    # And plans are made again, once those that were under way have ended.
    wait_until(lambda: sluice("plan", file, env=env).returncode == 0, 20)


def test_slow_heads_and_garbage_do_no_harm(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    gateway = start(file=file, env=env)
    place = only_socket(runtime)
    for bytes_ in (b"GET /status HTTP/1.1\r\n", b"\x16\x03\x01\x00\xa5" * 100, b"POST /drain HTTP/1.1\r\nContent-Length: 9\r\n\r\n{", b"x" * 200_000):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(place)
            try:
                sock.sendall(bytes_)
                while sock.recv(65536):
                    pass
            except ConnectionError:
                pass
    assert status(file, env=env)["pid"] == gateway.process.pid


def test_a_client_that_stops_reading_is_let_go(start, file, runtime, tmp_path):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    rows = "\n".join(f"        - {{path: ws/{'x' * 100}{number}/, consumer: echo}}" for number in range(4000))
    text = "installed_apps: [echo]\napplications:\n  main:\n    websocket:\n      routes:\n" + rows + "\n"
    file.write_text(text)
    gateway = start(file=file, env=env)
    place = only_socket(runtime)
    before = gateway.descriptors
    silent = []
    for _ in range(30):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(place)
        sock.sendall(b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n")
        silent.append(sock)
    assert len(status(file, env=env)["routes"]) == 4000
    began = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - began < 5
    for sock in silent:
        sock.close()
    assert before > 0


def test_a_drain_says_what_goes_before_its_grace(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    file.write_text(file.read_text() + "\nshutdown: {delay: 1s}\n")
    gateway = start(file=file, env=env)
    done = sluice("drain", file, "--grace", "2s", env=env)
    assert done.returncode == 0
    assert done.stderr == "sluice: for 1s the gateway goes on serving, and is not ready (shutdown.delay); the grace begins then\n"
    assert gateway.wait() == 0


def test_drain_waits_for_the_sessions_and_counts_them(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    gateway = start(file=file, env=env)
    place = only_socket(runtime)
    socks = [open_session(gateway.port, "/ws/echo/") for _ in range(5)]
    drain = subprocess.Popen(
        [SLUICE, "drain", str(file), "--grace", "3s"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
    )
    assert gateway.says("a drain begins")
    code, body = curl(place, "-X", "POST", "http://a/drain")
    assert (code, body["code"]) == (409, "busy")
    assert "a drain has been under way for" in body["error"]
    told = status(file, env=env)
    assert (told["state"], told["under_way"]["name"]) == ("stopping", "drain")
    assert told["grace"] == "3s" and 0 < told["grace_left_seconds"] <= 3
    # Four of them answer the close frame.
    for sock in socks[:4]:
        assert read_close(sock)[0] == 1012
        sock.close()
    out, err = drain.communicate(timeout=30)
    assert drain.returncode == 0, err
    assert "5 sessions are closed within 3s" in err
    assert "drained: " in out
    assert gateway.wait() == 0
    assert gateway.says("drained", "sessions=5")
    assert list(runtime.iterdir()) == []


@contextlib.contextmanager
def draining(gateway, file, env):
    """While a drain waits for a session. Yields its process."""
    with open_session(gateway.port, "/ws/echo/") as sock:
        drain = subprocess.Popen([SLUICE, "drain", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **env})
        assert gateway.says("a drain begins")
        yield drain
        assert read_close(sock)[0] == 1012
    assert drain.wait(30) == 0


def test_signals_find_what_a_command_has_begun(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    gateway = start(file=file, env=env)
    with draining(gateway, file, env) as drain:
        for number, said in [
            (signal.SIGUSR2, "NOTICE nothing was upgraded; the upgrade was given up, because the gateway stops"),
            (signal.SIGHUP, "NOTICE the file is not reloaded, because the gateway stops"),
        ]:
            gateway.process.send_signal(number)
            assert gateway.says(said, f"asked-by={number.name}", "a drain has been under way for", f"uid {os.getuid()}, pid {drain.pid} asked for it")
        assert not any(" ERROR " in line for line in gateway.log), gateway.log


def test_a_gateway_that_dies_meanwhile_is_reported(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    gateway = start(file=file, env=env)
    with open_session(gateway.port, "/ws/echo/"):
        drain = subprocess.Popen([SLUICE, "drain", str(file)], stderr=subprocess.PIPE, text=True, env={**os.environ, **env})
        assert gateway.says("a drain begins")
        gateway.process.kill()
        _, err = drain.communicate(timeout=30)
    assert drain.returncode == 1
    assert "the gateway has closed the connection without an answer" in err


def test_a_gateway_that_stands_still_is_given_up_soon_and_asked_for_nothing(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    gateway = start(file=file, env=env)
    pid = gateway.process.pid
    gateway.process.send_signal(signal.SIGSTOP)
    try:
        for command in ("status", "reload"):
            begun = time.monotonic()
            done = sluice(command, file, "--timeout", "1s", env=env)
            assert time.monotonic() - begun < 4
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr == (
                f'sluice: process {pid} accepts connections, and has not answered for 1s: it is stopped ("kill -CONT {pid}" lets it go on)\n'
            )
        told = json.loads(sluice("reload", file, "--timeout", "1s", "--format", "json", env=env).stdout)
        assert told["code"] == "no-answer" and told["error"].startswith(f"process {pid} accepts")
    finally:
        gateway.process.send_signal(signal.SIGCONT)
    assert status(file, env=env)["state"] == "serving"
    assert not any("reload" in line or "drain" in line for line in gateway.log)


@pytest.mark.parametrize("is_dumb", [False, True])
def test_what_takes_long_is_waited_for_while_there_are_signs_of_life(start, file, runtime, is_dumb):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    gateway = start(file=file, env=env)
    shown, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (24, 30))
    env["TERM"] = "dumb" if is_dumb else "xterm"
    with open_session(gateway.port, "/ws/echo/"):
        # The client does not answer the close frame.
        command = [SLUICE, "drain", str(file), "--grace", "3500ms", "--timeout", "1s"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=terminal, text=True, env={**os.environ, **env}, timeout=30)
    os.close(terminal)
    assert done.returncode == 0 and done.stdout.startswith("drained: "), done
    text = ""
    with contextlib.suppress(OSError):
        # A terminal whose other end is closed reports an error behind the last of it.
        while read := os.read(shown, 65536):
            text += read.decode()
    os.close(shown)
    assert "sluice: 1 session is closed within 3500ms" in text
    if is_dumb:
        # A line that stays, and nothing that the terminal would show as it is.
        assert re.fullmatch(r"sluice: .*\r\ndrain under way: 1 session, \S+s of the grace left\r\n", text), text
    else:
        # It does not reach the last column, behind which there would be another line.
        lines = text.split("\r\x1b[K")[1:]
        assert lines[0].startswith("drain under way: 1 session, ") and all(len(line) <= 29 for line in lines) and len(lines[0]) == 29, text
        assert text.endswith("\r\x1b[K")


def test_a_gateway_that_stands_still_meanwhile_is_given_up(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    gateway = start(file=file, env=env)
    with open_session(gateway.port, "/ws/echo/"):
        command = [SLUICE, "drain", str(file), "--timeout", "1s", "--format", "json"]
        drain = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **env})
        assert gateway.says("a drain begins")
        gateway.process.send_signal(signal.SIGSTOP)
        out, _ = drain.communicate(timeout=30)
        gateway.process.send_signal(signal.SIGCONT)
    told = json.loads(out)
    assert (drain.returncode, told["code"]) == (1, "no-answer")
    assert told["error"].endswith("; what it was asked for (/drain) may be done once it goes on")


def test_every_failure_is_json_where_json_was_asked_for(start, file, runtime, tmp_path):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    broken = tmp_path / "broken.yaml"
    broken.write_text("applications: 1")

    def failure(*arguments) -> dict:
        done = sluice(*arguments, "--format", "json", env=env)
        assert (done.returncode, done.stderr) == (1, ""), done
        told = json.loads(done.stdout)
        assert told["error"] and " " not in told["code"]
        return told

    for command in ("status", "reload", "plan", "upgrade", "drain"):
        assert failure(command, file)["code"] == "no-gateway"
    for command in (["config", broken], ["plan", broken, "--against", file], ["plan", file, "--against", broken]):
        told = failure(*command)
        assert told["code"] == "findings" and told["report"]["errors"] and told["text"]
    start(file=file, env=env)
    assert failure("upgrade", file, "--binary", "/bin/false")["code"] == "refused"
    assert failure("status", file, "--pid", "1")["code"] == "no-gateway"
    assert failure("reload", file, "--previous")["code"] == "no-previous"
    start(file=file, env=env)
    assert failure("plan", file)["code"] == "several-gateways"
    assert len(sluice("status", file, "--format", "json", env=env).stdout.splitlines()) == 2


def test_a_gateway_that_does_not_know_a_command_is_told_by_its_version(file, runtime):
    done = ask_stand_in(Older, file, runtime, "config", file, "--running")
    assert done.returncode == 1
    assert done.stderr.startswith("sluice: the running gateway is of version 0.0.1, which does not know /config: ")


@pytest.mark.parametrize("command", [["status"], ["reload"], ["plan"], ["config", "--running"], ["upgrade"], ["drain"]])
@pytest.mark.parametrize("answer", [{}, {"version": "1", "pid": 1, "closed": "0"}, []])
def test_an_answer_that_is_none_is_no_success(file, runtime, command, answer):
    class Vague(Older):
        def do_GET(self):
            self.tell(answer)

        do_POST = do_GET

    env = {"RUNTIME_DIRECTORY": str(runtime)}
    name, *more = command
    with standing_in(Vague, file, env):
        done = sluice(name, file, *more, env=env)
        assert (done.returncode, done.stdout) == (1, ""), done
        assert done.stderr.startswith(f"sluice: what unix:{only_socket(runtime)} answers is not understood: "), done
        told = json.loads(sluice(name, file, *more, "--format", "json", env=env).stdout)
        assert told["code"] == "failed" and "is not understood" in told["error"]


def test_a_terminal_obeys_nothing_that_a_gateway_says(file, runtime):
    odd = "\x1b[2J\x9b1m\u202e\x07"

    class Hostile(Older):
        def do_GET(self):
            self.tell({"version": odd, "pid": 1, "state": odd, "file": odd, "hash": odd, "routes": [{"route": odd}], "delay": odd, "sessions": 1, "started": "now"})

        def do_POST(self):
            self.tell(*answers[self.path])

    refused = {"error": odd, "code": odd, "text": f"1: {odd}\n2: {odd}\n"}
    good = {
        "/plan": {"exitCode": 0, "rendered": {"text": odd + "\n", "json": json.dumps({"a": odd}, ensure_ascii=False), "markdown": odd}},
        "/config": {"yaml": odd + "\n", "json": {odd: odd}},
        "/reload": {"hash": odd, "seconds": 1, "stayed": 0, "changed": 0, "closed": {odd: odd}, "text": odd, "routes": [{"route": odd}], "needs_upgrade": [{"key": odd}]},
        "/drain": {"closed": 1, "cut": 0, "seconds": 1, "more": odd},
    }
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    commands = {"/plan": ["plan"], "/config": ["config", "--running"], "/reload": ["reload"], "/drain": ["drain"], "/upgrade": ["upgrade"], "/status": ["status"]}
    with standing_in(Hostile, file, env):
        for answers in ({path: (body, 200) for path, body in good.items()}, {path: (refused, 422) for path in commands}):
            for path, (name, *more) in commands.items():
                if path not in answers and path != "/status":
                    continue
                for format in ([], ["--format", "json"]):
                    done = sluice(name, file, *more, *format, env=env)
                    assert done.returncode == (0 if path == "/status" or answers[path][1] == 200 else 1), done
                    said = done.stdout + done.stderr
                    assert not any(letter in said for letter in odd if letter not in "[2J1m"), (path, said)
                    if format:
                        # It says the same all the same.
                        json.loads(done.stdout)
                    elif path != "/drain":
                        assert r"\u{1b}[2J\u{9b}1m\u{202e}\u{7}" in said, (path, said)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_command_asks_nothing_of_another_user(start, file, tmp_path_factory):
    """Root may command the gateway of another user, whose file the socket is then; nobody else may be taken for it."""
    runtime = tmp_path_factory.mktemp("r")
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    for folder in (runtime, *runtime.parents, file.parent, *file.parents):
        os.chmod(folder, os.stat(folder).st_mode | 0o5)
    os.chown(runtime, 4713, 4713)
    become = ["setpriv", "--reuid=4713", "--regid=4713", "--clear-groups"]
    process = subprocess.Popen(
        [*become, SLUICE, "serve", str(file), "--bind", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True, env={**os.environ, **env}
    )
    try:
        for line in process.stderr:
            if "listening on" in line:
                break
        place = only_socket(runtime)
        assert status(file, env=env)["pid"] == process.pid
        own = subprocess.run([*become, SLUICE, "status", str(file)], capture_output=True, text=True, timeout=30, env={**os.environ, **env})
        assert own.returncode == 0, own
        # Somebody else listens there than the owner of the file.
        os.chown(place, 0, 0)
        sentence = f"on {place} the process {process.pid} of the user 4713 listens, whose file that user does not own: nothing was asked of it"
        for command in ("status", "reload", "drain"):
            done = sluice(command, file, env=env)
            assert (done.returncode, done.stdout, done.stderr) == (1, "", f"sluice: {sentence}\n")
            told = json.loads(sluice(command, file, "--format", "json", env=env).stdout)
            assert told == {"error": sentence, "code": "foreign-user"}
        os.chmod(place, 0o666)
        other = ["setpriv", "--reuid=4714", "--regid=4714", "--clear-groups", SLUICE, "drain", str(file)]
        done = subprocess.run(other, capture_output=True, text=True, timeout=30, env={**os.environ, **env})
        assert done.returncode == 1 and "which is neither root nor the user 4714 of this command" in done.stderr, done
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.mark.parametrize("began, said", [("later", ""), ("at first", "does not say what came of the upgrade")])
def test_an_upgrade_by_a_program_that_does_not_count_them_is_not_waited_for_without_end(file, runtime, began, said):
    """As after a way back to an older version."""

    class Upgraded(Older):
        started = "at first"

        def do_POST(self):
            Upgraded.started = began
            self.tell({"to": "0.0.1", "sessions": 1, "streams": 0, "closing": 0, "losses": [], "upgrades": 3})

    done = ask_stand_in(Upgraded, file, runtime, "upgrade", file)
    assert (done.returncode, said in done.stderr) == (1 if said else 0, True), done


@contextlib.contextmanager
def standing_in(handler, file, env: dict):
    """Something that answers in the place of a gateway of the file."""
    place = next(word for word in sluice("status", file, env=env).stderr.split() if word.endswith(".sock;")).rstrip(";")
    server = socketserver.ThreadingUnixStreamServer(place, handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        os.unlink(place)


def ask_stand_in(handler, file, runtime, *arguments) -> subprocess.CompletedProcess:
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    with standing_in(handler, file, env):
        return sluice(*arguments, env=env)


class Older(http.server.BaseHTTPRequestHandler):
    """A gateway of an older version."""

    started: str | None = None

    def do_GET(self):
        if self.path == "/status":
            self.tell({"version": "0.0.1", "pid": 1, "started": self.started})
        else:
            self.tell({"error": "there is nothing at this path", "code": "unknown"}, 404)

    def tell(self, answer: dict, code: int = 200):
        body = json.dumps(answer).encode()
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_):
        pass


def test_a_gateway_runs_where_there_is_no_place_for_its_socket(file, runtime):
    """In a container that is read-only, for example."""
    place = runtime / "file"
    place.write_text("")
    env = {**os.environ, "RUNTIME_DIRECTORY": str(place), "XDG_RUNTIME_DIR": str(place), "TMPDIR": str(place)}
    command = [SLUICE, "serve", str(file), "--bind", "127.0.0.1:0"]
    if os.getuid() == 0:
        # Root may write everywhere else; this user may not.
        command = ["setpriv", "--reuid=4711", "--regid=4711", "--clear-groups", *command]
        pathlib.Path("/tmp/sluice-4711").exists() or os.mkdir("/tmp/sluice-4711", 0o700)
        for folder in (file.parent, *file.parents):
            os.chmod(folder, os.stat(folder).st_mode | 0o5)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "listening on" in line:
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0, lines
    if os.getuid() == 0:
        assert any("cannot reach this gateway: there is no place for its socket" in line for line in lines), lines
        os.rmdir("/tmp/sluice-4711")


def test_a_second_drain_promises_nothing(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    gateway = start(file=file, env=env)
    with draining(gateway, file, env):
        done = sluice("drain", file, "--grace", "1s", env=env)
        assert done.returncode == 1 and done.stderr.startswith("sluice: a drain has been under way for"), done


@pytest.mark.parametrize("command", ["status", "reload", "upgrade", "drain"])
def test_a_gateway_keeps_its_files(command, file):
    done = sluice(command, file, "-f", "production.yaml")
    assert done.returncode == 2
    assert done.stderr.endswith("Hint: a gateway keeps the files that it was started with: name only the first one, without -f\n")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_file_that_the_user_of_the_gateway_cannot_read(file, runtime):
    """Root asks, and can read it."""
    env = {**os.environ, "RUNTIME_DIRECTORY": str(runtime)}
    os.chown(runtime, 4712, 4712)
    for folder in (file.parent, *file.parent.parents, *runtime.parents):
        os.chmod(folder, os.stat(folder).st_mode | 0o5)
    command = ["setpriv", "--reuid=4712", "--regid=4712", "--clear-groups", SLUICE, "serve", str(file), "--bind", "127.0.0.1:0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env)
    try:
        assert any("listening on" in line for line in process.stderr)
        os.chmod(file, 0o600)
        done = sluice("reload", file, env=env)
        assert done.returncode == 1
        assert "cannot be read: Permission denied: the user 4712 may not read it" in done.stdout
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_wrong_usage_is_said(file):
    done = sluice("drain", file, "--grace", "soon")
    assert done.returncode == 2
    assert "--grace soon is not a time from 0s to 1h, such as 30s." in done.stderr


def test_reload_serves_what_the_file_says_and_previous_undoes_it(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    gateway = start(file=file, env=env)
    before = file.read_text()
    done = sluice("reload", file, "--previous", env=env)
    assert (done.returncode, done.stderr) == (1, "sluice: nothing has been reloaded since the start\n")
    first = status(file, env=env)["hash"]
    with open_session(gateway.port, "/ws/echo/") as stays, open_session(gateway.port, "/ws/news/") as gone:
        file.write_text(before.replace("{path: ws/news/, consumer", "{path: ws/later/, consumer"))
        done = sluice("reload", file, env=env)
        assert done.returncode == 0, done.stderr
        assert ": 1 stay as they are, 0 go on with other options, 1 closed (1012: 1)\n" in done.stdout
        assert "ws/news/  1         closes 1012: the route of this session is gone" in done.stdout
        assert read_close(gone)[0] == 1012
        assert status(file, env=env)["hash"] != first
        open_session(gateway.port, "/ws/later/").close()
        stays.sendall(b"\x81\x80\0\0\0\0")
        assert stays.recv(2) == b"\x81\x00"
    assert gateway.says("the file was reloaded", f'asked-by="uid {os.getuid()}, pid ')
    told = json.loads(sluice("reload", file, "--previous", "--format", "json", env=env).stdout)
    assert told["hash"] == first == status(file, env=env)["hash"]
    open_session(gateway.port, "/ws/news/").close()
    assert gateway.says("what is served is not what the file says", f"hash={first}")
    assert "\nserved    what was served before (reload --previous), not what the file says" in sluice("status", file, env=env).stdout
    # Undoing that is what the file said; and an upgrade says that it undoes.
    assert sluice("reload", file, "--previous", env=env).returncode == 0
    assert status(file, env=env)["served_from"] == "file"
    assert sluice("reload", file, "--previous", env=env).returncode == 0
    assert 'which undoes "sluice reload --previous"\n' in sluice("upgrade", file, env=env).stderr
    told = status(file, env=env)
    assert told["hash"] != first and told["served_from"] == "file"


HISTORY = """
installed_apps: [broadcast]
channel_layers: {default: {backend: memory}}
applications: {main: {websocket: [{path: ws/news/, consumer: broadcast, group: news%s}]}}
"""


def test_an_undo_has_the_layer_that_was_made_for_it(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    file.write_text(HISTORY % ", history: {messages: 5}")
    start(file=file, env=env)
    place = only_socket(runtime)

    def ask(what: str, *more: str) -> tuple[int, dict]:
        return curl(place, "-X", "POST", *more, f"http://a/{what}")

    file.write_text(HISTORY % "")
    assert ask("reload")[0] == 200
    # The layer still has the history, and only that one.
    file.write_text(HISTORY % ", history: {messages: 6}")
    code, body = ask("reload")
    assert (code, body["code"]) == (409, "needs-upgrade") and "history of news: 6 messages" in body["error"]
    assert ask("reload", "-d", '{"previous": true}')[0] == 200
    file.write_text(HISTORY % ", history: {messages: 5}")
    assert ask("plan")[1]["exitCode"] == 0


def test_an_undo_outlives_an_upgrade(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    other = file.parent / "limits.yaml"
    other.write_text("limits: {connections: 50}\n")
    before = "include: limits.yaml\n" + file.read_text()
    file.write_text(before)
    gateway = start(file=file, env=env)
    first = status(file, env=env)["hash"]
    file.write_text(before.replace("{path: ws/news/, consumer", "{path: ws/later/, consumer"))
    other.write_text("limits: {connections: 60}\n")
    assert sluice("reload", file, env=env).returncode == 0
    second = status(file, env=env)["hash"]
    for _ in range(2):
        assert sluice("upgrade", file, env=env).returncode == 0
    assert status(file, env=env)["hash"] == second
    done = sluice("reload", file, "--previous", env=env)
    assert done.returncode == 0, done.stderr
    told = status(file, env=env)
    assert (told["hash"], told["connection_limit"]) == (first, 50)
    open_session(gateway.port, "/ws/news/").close()
    # And back: what was undone is the previous one now, though no file says so any more.
    other.unlink()
    assert sluice("reload", file, "--previous", env=env).returncode == 0
    assert status(file, env=env)["hash"] == second
    # An upgrade that takes another file on can be undone, too.
    file.write_text(before.replace("include: limits.yaml\n", "server: {threads: 1}\n"))
    assert sluice("upgrade", file, env=env).returncode == 0
    assert status(file, env=env)["hash"] not in (first, second)
    assert sluice("reload", file, "--previous", env=env).returncode == 0
    assert status(file, env=env)["hash"] == second
    assert gateway.process.poll() is None


def test_reload_shows_the_findings_of_a_refused_file(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    start(file=file, env=env)
    first = status(file, env=env)["hash"]
    for text in (file.read_text().replace("consumer: echo", "consumr: echo"), "\t", ""):
        file.write_text(text)
        done = sluice("reload", file, env=env)
        assert done.returncode == 1
        assert done.stdout == sluice("validate", file, env=env).stdout
        assert done.stderr == "sluice: the file has errors, and nothing has changed\n"
        done = sluice("reload", file, "--format", "json", env=env)
        assert done.returncode == 1
        assert json.loads(done.stdout)["report"] == json.loads(sluice("validate", file, "--format", "json", env=env).stdout)
        assert status(file, env=env)["hash"] == first


def test_a_reload_can_insist_on_a_plan(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    start(file=file, env=env)
    place = only_socket(runtime)
    text = file.read_text()
    file.write_text(text.replace("hello/, respond: hello", "hello/, respond: there"))
    code, plan = curl(place, "-X", "POST", "http://a/plan")
    assert (code, plan["exitCode"]) == (200, 3)
    assert plan["id"] in plan["rendered"]["text"]
    file.write_text(text.replace("hello/, respond: hello", "hello/, respond: again"))
    done = sluice("reload", file, "--plan", plan["id"], env=env)
    assert done.returncode == 1
    assert done.stderr.startswith(
        'sluice: the file, or what is served, has changed since that plan, and nothing was reloaded; run "sluice plan" and read it: now it is '
    )
    now = done.stderr.split()[-1]
    assert curl(place, "-X", "POST", "http://a/plan")[1]["id"] == now
    assert sluice("reload", file, "--plan", now, env=env).returncode == 0
    assert curl(place, "-X", "POST", "http://a/plan")[1]["exitCode"] == 0


def test_an_undo_brings_no_revoked_secret_back(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    secret = file.parent / "token"
    secret.write_text("first-token-of-a-publisher")
    before = file.read_text().replace("    http:\n", "    http:\n      - {path: api/, publish: {groups: [news], token: {file: token}}}\n")
    file.write_text(before)
    gateway = start(file=file, env=env)

    def publish(token: str) -> int:
        place = f"http://127.0.0.1:{gateway.port}/api/"
        command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Authorization: Bearer {token}", "-d", "", place]
        return int(subprocess.run(command, capture_output=True, text=True, timeout=30).stdout)

    first = status(file, env=env)["hash"]
    secret.write_text("other-token-of-a-publisher")
    assert sluice("reload", file, env=env).returncode == 0
    # Other secrets are nothing to undo.
    done = sluice("reload", file, "--previous", env=env)
    assert (done.returncode, done.stderr) == (1, "sluice: nothing has been reloaded since the start\n")
    file.write_text(before.replace("ws/news/, consumer", "ws/later/, consumer"))
    assert sluice("reload", file, env=env).returncode == 0
    secret.write_text("third-token-of-a-publisher")
    assert sluice("reload", file, env=env).returncode == 0
    done = sluice("reload", file, "--previous", env=env)
    assert done.returncode == 0 and "the file still says something else: the next reload, SIGHUP or upgrade serves the file\n" in done.stdout
    assert status(file, env=env)["hash"] == first
    assert [publish(f"{word}-token-of-a-publisher") for word in ("first", "other", "third")] == [401, 401, 415]
    # Also after an upgrade, and forward again.
    assert sluice("upgrade", file, env=env).returncode == 0
    secret.write_text("last-token-of-a-publisher")
    done = sluice("reload", file, "--previous", env=env)
    assert done.returncode == 0, done
    assert status(file, env=env)["hash"] == first
    assert [publish(f"{word}-token-of-a-publisher") for word in ("first", "third", "last")] == [401, 401, 415]
    done = sluice("reload", file, "--previous", env=env)
    assert done.returncode == 0 and "the file still says" not in done.stdout
    assert status(file, env=env)["served_from"] == "file"


def test_what_only_a_restart_brings_is_said(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    gateway = start(file=file, env=env)
    before = file.read_text()
    file.write_text(with_loopback(before, free_port()))
    for command in ("plan", "reload", "upgrade"):
        done = sluice(command, file, env={**env, "ADMIN": TOKEN})
        assert done.returncode == 1, done
        said = done.stdout + done.stderr
        assert 'the environment variable "ADMIN" is not set in the gateway, whose environment is that of its start\n' in said, said
        assert " set it where the gateway is started, and restart it, or write {file: PATH}\n" in said
    # A signal has only the log.
    file.write_text(before.replace("consumer: echo", "consumr: echo", 1))
    gateway.process.send_signal(signal.SIGHUP)
    assert gateway.says('unknown key "consumr"', r'hint="did you mean \"consumer\"?"')


def test_the_way_back_from_an_upgrade_is_said(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    file.write_text(HISTORY % ", history: {messages: 5}")
    start(file=file, env=env)
    file.write_text(HISTORY % ", history: {messages: 6}")
    done = sluice("reload", file, env=env)
    assert done.returncode == 1 and done.stderr.endswith(' needs "sluice upgrade" or a restart; nothing has changed\n'), done
    assert sluice("upgrade", file, env=env).returncode == 0
    done = sluice("reload", file, "--previous", env=env)
    assert done.returncode == 1
    assert done.stderr.startswith("sluice: what was served before needs another process (channel_layers.default: history of news: 5 messages, 1h): ")
    assert done.stderr.endswith('write the earlier file back, and run "sluice upgrade", which serves the file; nothing has changed\n')


def test_an_upgrade_to_a_file_without_commands_is_none_that_failed(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    gateway = start(file=file, env=env)
    file.write_text(file.read_text() + "\nserver: {admin: false}\n")
    began = time.monotonic()
    done = sluice("upgrade", file, env=env)
    assert (done.returncode, done.stdout.split(";")[-1]) == (0, " it takes no more commands, because server.admin is false\n"), done
    assert time.monotonic() - began < 10
    assert gateway.says("upgraded", "sessions=0")
    with open_session(gateway.port, "/ws/echo/") as sock:
        sock.sendall(b"\x81\x80\0\0\0\0")
        assert sock.recv(2) == b"\x81\x00"
    assert list(runtime.iterdir()) == []


def test_another_address_for_commands_needs_a_restart(start, file, runtime):
    env = {"RUNTIME_DIRECTORY": str(runtime)}
    gateway = start(file=file, env=env)
    file.write_text(file.read_text() + "\nserver: {admin: 'unix:other.sock'}\n")
    done = sluice("reload", file, env=env)
    assert done.returncode == 0, done.stderr
    assert f"needs \"sluice upgrade\" or a restart: server.admin stays a socket named after the file, the file says unix:{file.parent}/other.sock" in done.stdout
    assert status(file, env=env)["pid"] == gateway.process.pid
