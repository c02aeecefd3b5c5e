"""`sluice upgrade` and SIGUSR2: the process executes another program, which goes on with every connection."""

import asyncio
import contextlib
import datetime
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from clients import connect, frame, handshake, open_session, read_close, read_frame, read_head
from conftest import SLUICE
from redis_stack import free_port, wait_until
from returning import Client, Crowd

FILE = """
installed_apps: [echo, chat, broadcast]
channel_layers: {default: {backend: memory}}
applications:
  main:
    http:
      - {path: hello/, respond: hello}
      - {path: events/, events: news}
    websocket:
      - {path: ws/echo/, consumer: echo}
      - {path: "ws/chat/<slug:room>/", consumer: chat, group: "chat_{room}"}
      - {path: ws/news/, consumer: broadcast, group: news}
      - {path: ws/deflated/, consumer: echo, compression: {context_takeover: true}}
"""


def upgrade(gateway):
    """Has the process execute its program anew, and waits until that serves."""
    count = sum("NOTICE upgraded" in line for line in gateway.log)
    os.kill(gateway.process.pid, signal.SIGUSR2)
    wait_until(lambda: sum("NOTICE upgraded" in line for line in gateway.log) > count, 30)


def took(gateway) -> float:
    """How many seconds the last upgrade has taken, without the trial of the program."""
    began, over = (
        datetime.datetime.fromisoformat([line for line in gateway.log if f"NOTICE {event} " in line][-1].split()[0])
        for event in ("upgrading", "upgraded")
    )
    return (over - began).total_seconds()


def command(name: str, file: pathlib.Path) -> str:
    """`sluice upgrade FILE`, for example, which has to succeed."""
    done = subprocess.run([SLUICE, name, str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def text(sock) -> str:
    while (found := read_frame(sock))[0] == 9:
        sock.sendall(frame(10, found[1]))
    opcode, payload = found
    assert opcode == 1, (opcode, payload)
    return payload.decode()


@pytest.fixture
def gateway(start, tmp_path):
    return start(FILE)


@pytest.fixture
def file_of_echo(tmp_path) -> pathlib.Path:
    path = tmp_path / "linked.yaml"
    path.write_text(FILE)
    return path


def test_sessions_go_on_in_another_program(gateway):
    pid = gateway.process.pid
    echo = open_session(gateway.port, "/ws/echo/")
    chat = [open_session(gateway.port, "/ws/chat/a/") for _ in range(3)]
    news = [open_session(gateway.port, "/ws/news/") for _ in range(3)]
    for number in range(10):
        upgrade(gateway)
        assert gateway.process.pid == pid and gateway.process.poll() is None
        echo.sendall(frame(1, f"echo {number}".encode()))
        assert text(echo) == f"echo {number}"
        chat[number % 3].sendall(frame(1, json.dumps({"message": number}).encode()))
        assert [json.loads(text(sock)) for sock in chat] == [{"message": number}] * 3
        news[0].sendall(frame(1, f"news {number}".encode()))
        assert [text(sock) for sock in news] == [f"news {number}"] * 3
    with open_session(gateway.port, "/ws/echo/") as late:
        late.sendall(frame(1, b"late"))
        assert text(late) == "late"


def ask_for_upgrade(file, *words: str, timeout: float = 40) -> subprocess.CompletedProcess:
    return subprocess.run([SLUICE, "upgrade", str(file), *words], capture_output=True, text=True, timeout=timeout)


def test_the_command_waits_for_the_new_program(gateway, tmp_path):
    file, pid = tmp_path / "routes0.yaml", gateway.process.pid
    with open_session(gateway.port, "/ws/echo/") as sock:
        for number in range(3):
            done = ask_for_upgrade(file)
            assert done.returncode == 0, done.stderr
            assert f"process {pid} runs version" in done.stdout and "1 sessions" in done.stderr
            wait_until(lambda: sum("NOTICE upgraded" in line for line in gateway.log) == number + 1, 10)
            sock.sendall(frame(1, b"here"))
            assert text(sock) == "here"
        # Another file with the same program.
        copy = tmp_path / "other"
        shutil.copy(SLUICE, copy)
        told = json.loads(ask_for_upgrade(file, "--binary", str(copy), "--format", "json").stdout)
        assert (told["sessions"], told["closing"], told["losses"]) == (1, 0, [])
        assert os.readlink(f"/proc/{pid}/exe") == told["program"] == str(copy)
        # It is the program of the process now.
        done = ask_for_upgrade(file)
        assert f"sluice: {copy}, version " in done.stderr and os.readlink(f"/proc/{pid}/exe") == str(copy)
        sock.sendall(frame(1, b"still"))
        assert text(sock) == "still"


@pytest.mark.parametrize(
    "program, said",
    [
        ("/bin/false", "ended with exit code 1"),
        ("/nowhere/sluice", "No such file"),
        ("/etc/passwd", "/etc/passwd"),
        # It says something without end, and never that it is ready.
        ("/usr/bin/yes", "was not ready within"),
        ("/bin/true", "/bin/true was tried, and ended without a report: it has exit code 0, and did not say that it is ready; is it Sluice?"),
    ],
)
def test_a_program_that_cannot_take_over_changes_nothing(gateway, tmp_path, program, said):
    with open_session(gateway.port, "/ws/echo/") as sock:
        done = ask_for_upgrade(tmp_path / "routes0.yaml", "--binary", program)
        assert (done.returncode, done.stdout) == (1, ""), done
        assert "nothing was upgraded" in done.stderr and said in done.stderr, done.stderr
        assert len(done.stderr) < 10_000
        sock.sendall(frame(1, b"here"))
        assert text(sock) == "here"
        # The next one is not in the way of it.
        assert ask_for_upgrade(tmp_path / "routes0.yaml").returncode == 0
        sock.sendall(frame(1, b"still"))
        assert text(sock) == "still"


def test_what_is_no_program_for_this_machine_is_named(gateway, tmp_path):
    plain, foreign = tmp_path / "plain", tmp_path / "foreign"
    plain.write_text("x")
    foreign.write_text("x")
    foreign.chmod(0o755)
    for path, said in ((plain, 'its mode lets nobody execute it ("chmod +x")'), (foreign, "could not execute the program: Exec format error")):
        done = ask_for_upgrade(tmp_path / "routes0.yaml", "--binary", str(path))
        assert (done.returncode, done.stderr) == (1, f"sluice: nothing was upgraded: {path}: {said}\n")
    done = ask_for_upgrade(tmp_path / "routes0.yaml", "--binary", "")
    assert done.returncode == 2 and '--binary "" names no program.' in done.stderr


def test_a_refused_upgrade_brings_nobody_to_the_file(gateway, tmp_path):
    file = tmp_path / "routes0.yaml"
    good = file.read_text()
    assert "      - {path: ws/echo/, consumer: echo}\n" in good
    # Also where a reload cannot serve the file: the layer keeps no history of that group.
    for more in ("", ", history: {messages: 5}"):
        file.write_text(good.replace("      - {path: ws/echo/, consumer: echo}\n", "").replace("group: news}", f"group: news{more}}}"))
        for binary in ("/bin/false", "/nowhere/sluice"):
            with open_session(gateway.port, "/ws/echo/") as sock:
                done = ask_for_upgrade(file, "--binary", binary)
                assert done.returncode == 1 and "before that" not in done.stderr, done.stderr
                sock.sendall(frame(1, b"here"))
                assert text(sock) == "here"
    assert gateway.says("nothing was upgraded; the gateway goes on as before")
    with open_session(gateway.port, "/ws/echo/") as sock:
        done = ask_for_upgrade(file)
        assert done.returncode == 0 and " 1 are closed (1012)\n" in done.stderr, done.stderr
        assert read_close(sock) == (1012, "the route of this session is gone")
    assert gateway.says("sessions are closed that the file of the new program does not keep", "closed=1")
    assert not any("the file was" in line for line in gateway.log)


def program(file) -> tuple[str, bool]:
    """What `status` says of it, in both formats."""
    answers = [
        subprocess.run([SLUICE, "status", str(file), *words], capture_output=True, text=True, timeout=20)
        for words in ([], ["--format", "json"])
    ]
    told = json.loads(answers[1].stdout)
    line = f"program   {told['program']}" + (": what lies there now is not what runs, until sluice upgrade executes it" if told["program_is_other"] else "")
    assert line in answers[0].stdout.splitlines(), answers
    return told["program"], told["program_is_other"]


def test_an_upgrade_goes_the_way_that_the_program_was_started_by(tmp_path, file_of_echo):
    """A link that leads to another version by now, as package managers and deployments use them."""
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        shutil.copy(SLUICE, tmp_path / str(number) / "sluice")
    (tmp_path / "bin").mkdir()
    link = tmp_path / "bin" / "sluice"
    link.symlink_to(tmp_path / "1" / "sluice")
    env = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    process = subprocess.Popen(["sluice", "serve", str(file_of_echo), "--bind", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True, env=env)
    try:
        while "listening on" not in process.stderr.readline():
            pass
        assert program(file_of_echo) == (str(link), False)
        link.unlink()
        link.symlink_to(tmp_path / "2" / "sluice")
        assert program(file_of_echo) == (str(link), True)
        done = ask_for_upgrade(file_of_echo)
        assert done.returncode == 0 and f"sluice: {link}, version " in done.stderr, done
        assert os.readlink(f"/proc/{process.pid}/exe") == str(tmp_path / "2" / "sluice")
        assert program(file_of_echo) == (str(link), False)
    finally:
        process.kill()
        process.communicate(timeout=30)


def test_a_connection_that_has_asked_for_nothing_delays_nothing(gateway):
    with connect(gateway.port) as silent:
        upgrade(gateway)
        assert silent.recv(1) == b""
    assert took(gateway) < 2, gateway.log


def test_a_handshake_that_is_under_way_has_five_seconds(gateway):
    begun = b"GET /ws/echo/ HTTP/1.1\r\nHost: localhost\r\n"
    with connect(gateway.port) as slow, connect(gateway.port) as never:
        for sock in (slow, never):
            sock.sendall(begun)
        os.kill(gateway.process.pid, signal.SIGUSR2)
        assert gateway.says(" upgrading ")
        time.sleep(3.5)
        slow.sendall(handshake("/ws/echo/").removeprefix(begun))
        assert read_head(slow).startswith("HTTP/1.1 101")
        head = read_head(never)
        assert head.startswith("HTTP/1.1 503") and "Retry-After: " in head, head
        assert gateway.says(" upgraded ")
        slow.sendall(frame(1, b"here"))
        assert text(slow) == "here"
    assert took(gateway) > 5, gateway.log


def test_what_is_half_read_is_read_on(gateway):
    sock = open_session(gateway.port, "/ws/echo/")
    whole = frame(1, "grüße".encode()) + frame(2, bytes(70_000)) + frame(9, b"ping")
    for cut in (1, 3, 7, 9, 13, 100, 50_000, len(whole) - 2):
        sock.sendall(whole[:cut])
        upgrade(gateway)
        sock.sendall(whole[cut:])
        assert read_frame(sock) == (1, "grüße".encode())
        assert read_frame(sock) == (2, bytes(70_000))
        assert read_frame(sock) == (10, b"ping")


def test_what_is_not_yet_sent_is_sent(gateway):
    sock = open_session(gateway.port, "/ws/echo/")
    payload = os.urandom(900_000)
    for _ in range(4):
        sock.sendall(frame(2, payload))
    wait_until(lambda: True, 1)
    upgrade(gateway)
    for _ in range(4):
        assert read_frame(sock) == (2, payload)


def test_streams_go_on(gateway):
    stream = connect(gateway.port)
    stream.sendall(b"GET /events/ HTTP/1.1\r\nHost: a\r\n\r\n")
    read_head(stream)
    news = open_session(gateway.port, "/ws/news/")
    received = b""
    for number in range(3):
        upgrade(gateway)
        news.sendall(frame(1, f"news {number}".encode()))
        while f"news {number}".encode() not in received:
            part = stream.recv(4096)
            assert part
            received += part
    assert received.count(b"data:") == 3


def test_descriptors_do_not_pile_up(gateway):
    def upgraded(upgrades: int) -> None:
        upgrade(gateway)
        # It goes on with the sessions before it has opened everything of its own.
        wait_until(lambda: sum(" started " in line for line in gateway.log) == 1 + upgrades, 30)

    sock = open_session(gateway.port, "/ws/echo/")
    upgraded(1)
    before = gateway.descriptors
    for number in range(2, 7):
        upgraded(number)
        # What it has read with may still be closed.
        wait_until(lambda: gateway.descriptors <= before, what="as many descriptors as before")
    sock.close()


def test_a_bad_file_changes_nothing(start, tmp_path):
    gateway = start(FILE)
    sock = open_session(gateway.port, "/ws/echo/")
    path = pathlib.Path(gateway.process.args[2])
    good = path.read_text()
    path.write_text(good.replace("consumer: echo", "consumer: ecko"))
    os.kill(gateway.process.pid, signal.SIGUSR2)
    assert gateway.says("nothing was upgraded", "the file has errors")
    # The command shows them as `reload` does.
    told = subprocess.run([SLUICE, "validate", str(path)], capture_output=True, text=True, timeout=40).stdout
    done = ask_for_upgrade(path)
    assert (done.returncode, done.stdout) == (1, told) and "ecko" in told, done
    assert done.stderr == "sluice: nothing was upgraded: the file has errors, and nothing has changed\n"
    done = json.loads(ask_for_upgrade(path, "--format", "json").stdout)
    assert done["code"] == "findings" and done["text"] == told and done["report"], done
    sock.sendall(frame(1, b"still here"))
    assert text(sock) == "still here"
    path.write_text(good)
    upgrade(gateway)
    sock.sendall(frame(1, b"again"))
    assert text(sock) == "again"


def test_nothing_is_lost_under_traffic(gateway):
    """A publisher counts on while the gateway is upgraded ten times; every receiver gets each number once and in order."""
    publisher = open_session(gateway.port, "/ws/news/")
    receivers = [open_session(gateway.port, "/ws/news/") for _ in range(30)]
    total = 3000
    seen = [[] for _ in receivers]

    def receive(sock, numbers):
        sock.settimeout(30)
        while len(numbers) < total:
            numbers.append(int(text(sock)))

    threads = [
        threading.Thread(target=receive, args=(sock, numbers)) for sock, numbers in zip(receivers, seen)
    ]
    own = []
    threads.append(threading.Thread(target=receive, args=(publisher, own)))
    for thread in threads:
        thread.start()

    def publish():
        for number in range(total):
            publisher.sendall(frame(1, str(number).encode()))
            time.sleep(0.002)

    sending = threading.Thread(target=publish)
    sending.start()
    for _ in range(10):
        upgrade(gateway)
    sending.join()
    for thread in threads:
        thread.join(60)
    for numbers in [*seen, own]:
        assert numbers == list(range(total))


CHANGED = """
installed_apps: [echo, chat]
channel_layers: {default: {backend: memory}}
server: {SERVER}
auth: {users: {jwt: {secret: {env: UPGRADE_SECRET}}}}
applications: {main: {websocket: [ROUTES]}}
"""


def changed(routes: str, server: str = "threads: 2") -> str:
    return CHANGED.replace("ROUTES", routes).replace("SERVER", server)


@pytest.mark.parametrize(
    "before, after, fields, code",
    [
        ('{path: a/, consumer: echo, allowed_hosts: ["*"]}', '{path: a/, consumer: echo, allowed_hosts: ["https://b.example"]}', ["Origin: https://a.example"], 4403),
        ("{path: a/, consumer: echo}", "{path: a/, consumer: echo, auth: users}", [], 4401),
        ("{path: a/, name: one, consumer: echo}", "{path: b/, name: one, consumer: echo}", [], 1012),
        ("{path: a/, consumer: chat, group: g}", "{path: a/, consumer: chat, group: h}", [], 1012),
        # A setting that a reload cannot take on: the upgrade does, and closes whom the new file refuses all the same.
        (
            '{path: a/, consumer: chat, group: g, allowed_hosts: ["*"]}',
            '{path: a/, consumer: chat, group: g, history: {messages: 5}, allowed_hosts: ["https://b.example"]}',
            ["Origin: https://a.example"],
            4403,
        ),
    ],
)
def test_an_upgrade_with_a_changed_file_keeps_nobody_whom_a_reload_would_close(start, tmp_path, before, after, fields, code):
    env = {"UPGRADE_SECRET": "a-secret-for-upgrades-0123456789"}
    gateway = start(changed(before), env=env)
    with open_session(gateway.port, "/a/", *fields) as sock:
        (tmp_path / "routes0.yaml").write_text(changed(after))
        done = subprocess.run([SLUICE, "upgrade", str(tmp_path / "routes0.yaml")], capture_output=True, text=True, timeout=60, env=os.environ | env)
        assert done.returncode == 0, done.stderr
        assert f" 0 sessions and 0 event streams go on, 1 are closed ({code})\n" in done.stderr, done.stderr
        assert read_close(sock)[0] == code
        assert not any(" ERROR " in line for line in gateway.log), gateway.log


def newer_program(folder: pathlib.Path) -> pathlib.Path:
    """A copy of the program that knows `limits.compression_memory` by another name, which the program itself cannot read."""
    program = folder / "newer"
    program.write_bytes(pathlib.Path(SLUICE).read_bytes().replace(b"compression_memory", b"compression_memorx"))
    program.chmod(0o755)
    return program


NEWER = "limits: {compression_memorx: 8MiB}\n"


def test_a_file_that_only_the_new_program_can_read_is_no_obstacle(gateway, tmp_path):
    """The new program is a copy that knows a key by another name."""
    file, program = tmp_path / "routes0.yaml", newer_program(tmp_path)
    with open_session(gateway.port, "/ws/echo/") as gone, open_session(gateway.port, "/ws/news/") as stays:
        file.write_text(file.read_text().replace("ws/echo/", "ws/gone/") + NEWER)
        assert "compression_memorx" in ask_for_upgrade(file).stdout
        done = ask_for_upgrade(file, "--binary", str(program))
        assert done.returncode == 0 and ": 1 sessions and 0 event streams go on, 1 are closed (1012)\n" in done.stderr, done.stderr
        assert gateway.says("only the new program can read the file")
        assert read_close(gone)[0] == 1012
        stays.sendall(frame(1, b"here"))
        assert text(stays) == "here"


def test_an_address_in_use_changes_nothing(start, tmp_path):
    route = "{path: a/, consumer: echo}"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        file = tmp_path / "routes0.yaml"
        gateway = start(changed(route, 'bind: "127.0.0.1:0"'), bind=None, env={"UPGRADE_SECRET": "a-secret-for-upgrades-0123456789"})
        with open_session(gateway.port, "/a/") as sock:
            file.write_text(changed(route, f'bind: ["127.0.0.1:0", "127.0.0.1:{taken.getsockname()[1]}"]'))
            done = ask_for_upgrade(file)
            assert done.returncode == 1 and "another process listens there already" in done.stderr, done.stderr
            sock.sendall(frame(1, b"here"))
            assert text(sock) == "here"


PLACES = ["0.0.0.0:{port}", "127.0.0.1:{port}"]


@pytest.mark.parametrize("before, after", [PLACES, PLACES[::-1]])
def test_who_waits_at_an_address_that_the_new_file_writes_in_another_way_is_served(start, tmp_path, before, after):
    port = free_port()
    text_of = lambda place: FILE + f"server: {{bind: '{place.format(port=port)}'}}\n"
    gateway = start(text_of(before), bind=None)
    file = tmp_path / "routes0.yaml"
    # A reload could not take the history on, so the new program is the first that listens there.
    file.write_text(text_of(after).replace("group: news}", "group: news, history: {messages: 5}}"))
    begun = b"GET /ws/echo/ HTTP/1.1\r\nHost: localhost\r\n"
    with contextlib.ExitStack() as stack:
        half = stack.enter_context(connect(port))
        half.sendall(begun)
        os.kill(gateway.process.pid, signal.SIGUSR2)
        # Nothing is accepted until the handshake under way is over.
        assert gateway.says(" upgrading ")
        time.sleep(1)
        waiting = [stack.enter_context(connect(port)) for _ in range(4)]
        for sock in waiting:
            sock.sendall(handshake("/ws/echo/"))
        half.sendall(handshake("/ws/echo/").removeprefix(begun))
        assert gateway.says(" upgraded ")
        for sock in [half, *waiting, stack.enter_context(open_session(port, "/ws/echo/"))]:
            if sock in [half, *waiting]:
                assert read_head(sock).startswith("HTTP/1.1 101")
            sock.sendall(frame(1, b"here"))
            assert text(sock) == "here"


@pytest.mark.parametrize("reader", ["both", "the new program"])
def test_addresses_that_cannot_be_had_change_nothing_where_no_reload_can_try_them(start, tmp_path, reader):
    """A history that needs the new program, or a key that only that one has."""
    route = "{path: a/, consumer: chat, group: g, history: {messages: NUMBER}}"
    env = {"UPGRADE_SECRET": "a-secret-for-upgrades-0123456789"}
    file, more, words = tmp_path / "routes0.yaml", "", []
    if reader == "the new program":
        words, more = ["--binary", str(newer_program(tmp_path))], NEWER
    taken = socket.create_server(("127.0.0.1", 0))
    port, plain = taken.getsockname()[1], tmp_path / "plain"
    plain.write_text("no socket")
    gateway = start(changed(route.replace("NUMBER", "10"), 'bind: "127.0.0.1:0"'), bind=None, env=env)
    other = start(changed(route.replace("NUMBER", "10"), f'admin: "unix:{tmp_path}/other.sock"'), env=env)
    assert other.port
    with taken, open_session(gateway.port, "/a/") as sock:

        def ask(server: str):
            file.write_text(changed(route.replace("NUMBER", "20"), server) + more)
            return ask_for_upgrade(file, *words)

        for server, place, why in (
            (f'bind: "127.0.0.1:{port}"', f"127.0.0.1:{port}", "another process listens there already"),
            (f'bind: ["127.0.0.1:0", "unix:{tmp_path}/none/a"]', f"unix:{tmp_path}/none/a", "No such file"),
            (f'bind: "127.0.0.1:0", admin: "unix:{plain}"', f"unix:{plain}", "not a socket"),
            (f'bind: "127.0.0.1:0", admin: "unix:{tmp_path}/none/a"', f"unix:{tmp_path}/none/a", "No such file"),
            (f'bind: "127.0.0.1:0", admin: "unix:{tmp_path}/other.sock"', f"unix:{tmp_path}/other.sock", f"process {other.process.pid} "),
        ):
            done = ask(server)
            assert done.returncode == 1 and f"cannot listen on {place}" in done.stderr and why in done.stderr, done
        assert plain.read_text() == "no socket"
        sock.sendall(frame(1, b'{"message": 1}'))
        assert json.loads(text(sock)) == {"message": 1}
        # Where it listens already, and where commands are answered already, it can be.
        for _ in range(2):
            done = ask(f'bind: "127.0.0.1:0", admin: "unix:{tmp_path}/own.sock"')
            assert done.returncode == 0, done
            # From here on both programs have the key.
            words = []
        assert not any(" ERROR cannot listen" in line for line in gateway.log)


def test_whoever_is_to_be_closed_is_not_handed_over(start, tmp_path):
    """An upgrade directly behind a reload, whose closes are spread over some seconds."""
    route = "{path: a/, consumer: chat, group: GROUP}"
    env = {"UPGRADE_SECRET": "a-secret-for-upgrades-0123456789"}
    gateway = start(changed(route.replace("GROUP", "g")), env=env)
    clients = [open_session(gateway.port, "/a/") for _ in range(200)]
    (tmp_path / "routes0.yaml").write_text(changed(route.replace("GROUP", "h")))
    for command in ("reload", "upgrade"):
        done = subprocess.run([SLUICE, command, str(tmp_path / "routes0.yaml")], capture_output=True, text=True, timeout=60, env=os.environ | env)
        assert done.returncode == 0, done.stderr
    assert [read_close(sock)[0] for sock in clients] == [1012] * 200
    for sock in clients:
        sock.close()


ONCE = """
installed_apps: [chat]
channel_layers: {default: {backend: memory}}
server: {threads: 1}
applications:
  main:
    http: [{path: events/, events: STREAM}]
    websocket:
      - {path: a/, consumer: chat, group: GROUP}
      - {path: b/, consumer: chat, group: kept}
"""


class Hasty(Crowd):
    """Comes back as fast as it can."""

    async def live(self) -> None:
        while True:
            _, client = await asyncio.get_running_loop().create_connection(lambda: Client(self), self.host, self.port)
            try:
                how, text = await client.end
            finally:
                client.transport.abort()
            if how != "closed":
                self.failures.append((time.monotonic(), how, text))
                await asyncio.sleep(0.05)


def test_whoever_is_closed_for_the_new_file_is_closed_once(start, tmp_path):
    """The file needs the new program, and the old one closes those whom it does not keep, over half a second."""
    file, count = tmp_path / "routes0.yaml", 300
    gateway = start(ONCE.replace("STREAM", "e").replace("GROUP", "g"))
    file.write_text(ONCE.replace("STREAM", "f").replace("GROUP", "h, history: {messages: 5}"))

    def stream() -> socket.socket:
        sock = connect(gateway.port)
        sock.sendall(b"GET /events/ HTTP/1.1\r\nHost: a\r\n\r\n")
        assert read_head(sock).startswith("HTTP/1.1 200")
        return sock

    def come_meanwhile() -> tuple[socket.socket, socket.socket]:
        assert gateway.says("sessions are closed that the file of the new program does not keep", f"closed={count + 1}")
        # A route that stays lets in as ever, and a stream, whose page would not come again, for as long as there is time.
        return stream(), open_session(gateway.port, "/b/")

    async def run() -> Crowd:
        crowd = Hasty(gateway.port, count, "/a/")
        await crowd.open_all()
        upgrade = asyncio.create_task(asyncio.to_thread(ask_for_upgrade, file))
        late, kept = await asyncio.to_thread(come_meanwhile)
        done = await upgrade
        assert done.returncode == 0 and f" {count + 1} are closed (1012)\n" in done.stderr, done.stderr
        await crowd.wait_for(lambda: len(crowd.opened) >= 2 * count, 20)
        with early, late, kept:
            for sock in (early, late):
                while sock.recv(4096):
                    pass
            kept.sendall(frame(1, b'{"message": 1}'))
            assert json.loads(text(kept)) == {"message": 1}
        await crowd.end()
        return crowd

    early = stream()
    crowd = asyncio.run(run())
    assert len(crowd.closes) == count and {code for _, code, _ in crowd.closes} == {1012}, len(crowd.closes)
    heads = [head for _, _, head in crowd.failures]
    assert heads and all(head.startswith("HTTP/1.1 503 ") and "\r\nRetry-After: " in head for head in heads), heads[:3]
    assert gateway.says("NOTICE upgraded", "closed=0")


def test_an_upgrade_that_fails_lets_everybody_in_again(start, tmp_path):
    file = tmp_path / "routes0.yaml"
    gateway = start(ONCE.replace("STREAM", "e").replace("GROUP", "g") + "shutdown: {delay: 30s}\n")
    file.write_text(ONCE.replace("STREAM", "e").replace("GROUP", "h, history: {messages: 5}"))
    with open_session(gateway.port, "/a/") as gone, connect(gateway.port) as half:
        half.sendall(b"GET /b/ HTTP/1.1\r\nHost: localhost\r\n")
        os.kill(gateway.process.pid, signal.SIGUSR2)
        assert read_close(gone)[0] == 1012
        assert gateway.says("sessions are closed that")
        os.kill(gateway.process.pid, signal.SIGTERM)
        assert gateway.says("nothing was upgraded; what was done before it failed stays as it is")
        open_session(gateway.port, "/a/").close()


def limit(gateway, files: int) -> None:
    """The most open files of the process, which it cannot raise."""
    resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (files, files))


def still_there(socks: list[socket.socket]) -> None:
    for sock in socks:
        sock.sendall(frame(1, b"here"))
        assert text(sock) == "here"


def test_without_descriptors_nothing_is_upgraded_and_the_log_says_why(gateway):
    socks = [open_session(gateway.port, "/ws/echo/") for _ in range(20)]
    count = gateway.descriptors
    limit(gateway, 10)
    os.kill(gateway.process.pid, signal.SIGUSR2)
    assert gateway.says("nothing was upgraded; the gateway goes on as before", "the limit on open files is 10,", "16 more", f"prlimit --pid {gateway.process.pid} ")
    said = next(line for line in gateway.log if "the limit on open files is 10" in line)
    assert abs(int(re.search(r"10, (\d+) are open", said)[1]) - count) < 6, (said, count)
    still_there(socks)
    for sock in socks:
        sock.close()


def test_a_program_that_would_not_have_enough_descriptors_is_not_executed(start, tmp_path):
    file = tmp_path / "routes0.yaml"
    gateway = start(FILE + "server: {threads: 1}\n")
    socks = [open_session(gateway.port, "/ws/echo/") for _ in range(60)]
    assert gateway.descriptors < 180
    # It could have its own, but not those of the sessions beside them.
    file.write_text(FILE + "server: {threads: 20}\n")
    limit(gateway, 200)
    done = ask_for_upgrade(file)
    assert done.returncode == 1 and f"the limit on open files is 200, and 62 of them would be handed over" in done.stderr, done.stderr
    assert f"prlimit --pid {gateway.process.pid} " in done.stderr
    still_there(socks)
    for sock in socks:
        sock.close()


def test_a_stop_with_a_delay_during_an_upgrade_goes_on_serving(start, tmp_path):
    gateway = start(text=FILE + "shutdown: {delay: 30s}\n")
    file = tmp_path / "routes0.yaml"
    with (
        open_session(gateway.port, "/ws/echo/") as sock, open_session(gateway.port, "/ws/deflated/") as gone, connect(gateway.port) as half,
    ):
        file.write_text(file.read_text().replace("ws/deflated/", "ws/inflated/"))
        # The upgrade waits for it.
        half.sendall(b"GET /ws/echo/ HTTP/1.1\r\nHost: localhost\r\n")
        os.kill(gateway.process.pid, signal.SIGUSR2)
        assert gateway.says("the file was reloaded")
        os.kill(gateway.process.pid, signal.SIGTERM)
        # What was done before is not hidden.
        done = "the gateway is stopping; before that, the file was reloaded, which has closed 1 sessions (1012: 1)"
        assert gateway.says("nothing was upgraded; what was done before it failed stays as it is", done)
        assert gateway.says("the file was reloaded", 'for="an upgrade"', "closed-1012=1")
        assert read_close(gone)[0] == 1012
        assert json.loads(ask_for_upgrade(file, "--format", "json").stdout)["code"] == "not-serving"
        with open_session(gateway.port, "/ws/echo/") as late:
            late.sendall(frame(1, b"late"))
            assert text(late) == "late"
        sock.sendall(frame(1, b"here"))
        assert text(sock) == "here"
        os.kill(gateway.process.pid, signal.SIGTERM)
        os.kill(gateway.process.pid, signal.SIGTERM)
        assert gateway.wait() == 0


def test_a_hangup_during_an_upgrade_is_a_reload_behind_it(start, tmp_path):
    gateway = start(FILE)
    file = tmp_path / "routes0.yaml"
    slow = subprocess.Popen([SLUICE, "upgrade", str(file), "--binary", "/usr/bin/yes"], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: "upgrade" in subprocess.run([SLUICE, "status", str(file)], capture_output=True, text=True).stdout, 10)
    file.write_text(file.read_text() + "        - {path: more/, consumer: echo}\n".replace("        ", "      "))
    os.kill(gateway.process.pid, signal.SIGHUP)
    assert gateway.says("NOTICE the file is reloaded once what is under way is over", "asked-by=SIGHUP", "an upgrade has been under way for")
    assert slow.wait(40) == 1
    assert gateway.says("the file was reloaded", "asked-by=SIGHUP")
    open_session(gateway.port, "/more/").close()
    # Once each; and nothing says that the file was not reloaded.
    assert [sum(said in line for line in gateway.log) for said in ("the file is", "the file was")] == [1, 1], gateway.log


GIVEN_UP = "NOTICE nothing was upgraded; the upgrade was given up, because the gateway stops"


def test_an_upgrade_that_a_stop_ends_says_so(start):
    gateway = start(FILE + "shutdown: {delay: 30s}\n")
    with connect(gateway.port) as half:
        # The upgrade waits for it.
        half.sendall(b"GET /ws/echo/ HTTP/1.1\r\nHost: localhost\r\n")
        os.kill(gateway.process.pid, signal.SIGUSR2)
        assert gateway.says(" upgrading ")
        os.kill(gateway.process.pid, signal.SIGTERM)
        assert gateway.says(GIVEN_UP, 'error="the gateway is stopping"')
        assert not any(" ERROR " in line or "as before" in line for line in gateway.log), gateway.log
    os.kill(gateway.process.pid, signal.SIGTERM)
    assert gateway.wait() == 0


def test_a_gateway_that_nobody_buries_has_ended_all_the_same(start, tmp_path):
    gateway = start(FILE)
    with connect(gateway.port) as half:
        half.sendall(b"GET /ws/echo/ HTTP/1.1\r\nHost: localhost\r\n")
        asked = subprocess.Popen([SLUICE, "upgrade", str(tmp_path / "routes0.yaml")], stderr=subprocess.PIPE, text=True)
        assert "can take over" in asked.stderr.readline()
        gateway.process.kill()
        _, err = asked.communicate(timeout=15)
        # This process is its parent, and has not asked for its end.
        assert pathlib.Path(f"/proc/{gateway.process.pid}/stat").read_text().split(") ")[1].startswith("Z")
        assert asked.returncode == 1 and err == "sluice: the gateway has ended; its log says why\n", err


def test_a_stop_at_any_moment_of_an_upgrade_ends_the_process(start):
    """A signal that nobody was told of yet is the other program's: none is lost between the two."""
    chance = random.Random(int(os.environ.get("SEED", 17)))
    for _ in range(int(os.environ.get("STOPS", 6))):
        gateway = start(FILE)
        os.kill(gateway.process.pid, signal.SIGUSR2)
        assert gateway.says(" upgrading ")
        # Around the moment when the program is executed.
        time.sleep(chance.uniform(0.08, 0.25))
        os.kill(gateway.process.pid, signal.SIGTERM)
        assert gateway.wait() == 0, gateway.log
        # The one program or the other has taken it.
        assert any(GIVEN_UP in line or "NOTICE upgraded" in line for line in gateway.log), gateway.log


def test_a_stop_during_the_trial_of_a_program_ends_the_upgrade(start, tmp_path):
    gateway = start(FILE)
    slow = subprocess.Popen(
        [SLUICE, "upgrade", str(tmp_path / "routes0.yaml"), "--binary", "/usr/bin/yes"], stderr=subprocess.PIPE, text=True
    )

    def is_tried() -> bool:
        # A thread may be gone by now.
        with contextlib.suppress(OSError):
            return any((thread / "children").read_text() for thread in pathlib.Path(f"/proc/{gateway.process.pid}/task").iterdir())

    wait_until(is_tried, 10, "the program is tried")
    os.kill(gateway.process.pid, signal.SIGTERM)
    assert gateway.wait(5) == 0
    assert any(GIVEN_UP in line for line in gateway.log), gateway.log
    assert "the gateway is stopping" in slow.communicate(timeout=15)[1] and slow.returncode == 1


def test_a_session_that_ends_during_an_upgrade_has_its_last_line(start):
    gateway = start("logging: {sessions: true, level: info}\n" + FILE)
    with open_session(gateway.port, "/ws/echo/") as sock:
        # The close frame is answered, and the connection ended two seconds later.
        sock.sendall(frame(1, b"here") + frame(8, b"\x03\xe8bye"))
        assert text(sock) == "here"
        assert read_close(sock)[0] == 1000
        upgrade(gateway)
        assert not any("a session ended" in line for line in gateway.log)
        assert gateway.says("a session ended", "code=1000", "reason=bye", "ended-by=client", "messages-in=1 ")


TOKEN = "0123456789abcdef0123456789abcdef"


def asked(place, timeout: float = 20) -> dict:
    """The status, from a Unix socket or an address of the loopback. Whatever goes wrong with the connection is raised."""
    with socket.socket(socket.AF_UNIX if isinstance(place, str) else socket.AF_INET) as sock:
        sock.settimeout(timeout)
        sock.connect(place)
        sock.sendall(f"GET /status HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    return json.loads(answer.split(b"\r\n\r\n", 1)[1])


@pytest.fixture
def commanded(start, tmp_path, tmp_path_factory):
    """A gateway with a socket for commands in a folder of its own, and an address for them: itself, its file, and both places."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    runtime, file = tmp_path_factory.mktemp("r"), tmp_path / "routes.yaml"
    file.write_text(FILE + "server: {admin: {address: '127.0.0.1:%d', token: {env: ADMIN}}}\n" % port)
    gateway = start(file=file, env={"RUNTIME_DIRECTORY": str(runtime), "ADMIN": TOKEN})
    (place,) = map(str, runtime.iterdir())
    return gateway, file, place, ("127.0.0.1", port)


def test_commands_that_come_while_the_program_changes_wait_for_the_new_one(commanded):
    gateway, file, place, address = commanded
    env = {**os.environ, "RUNTIME_DIRECTORY": str(pathlib.Path(place).parent)}
    stop, failed, answers, inode = threading.Event(), [], [], os.stat(place).st_ino

    def ask(how):
        while not stop.is_set():
            try:
                how()
                answers.append(how)
            except Exception as error:
                failed.append(repr(error))

    def command():
        subprocess.run([SLUICE, "status", str(file), "--timeout", "20s"], capture_output=True, check=True, timeout=60, env=env)

    hows = [command, lambda: asked(place), lambda: asked(address)]
    asking = [threading.Thread(target=ask, args=[how]) for how in hows]
    for thread in asking:
        thread.start()
    for _ in range(4):
        upgrade(gateway)
    stop.set()
    for thread in asking:
        thread.join()
    assert failed == [] and all(how in answers for how in hows)
    # It has the sockets of before, and no others.
    assert os.stat(place).st_ino == inode and os.listdir(env["RUNTIME_DIRECTORY"]) == [os.path.basename(place)]
    assert asked(place)["upgrades"] == asked(address)["upgrades"] == 4
    gateway.stop()
    assert os.listdir(env["RUNTIME_DIRECTORY"]) == []


def test_who_says_nothing_to_the_socket_holds_nothing_up(commanded):
    gateway, _, place, _ = commanded
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(place)
        asked(place)
        began = time.monotonic()
        upgrade(gateway)
        assert time.monotonic() - began < 5
        silent.settimeout(5)
        assert silent.recv(1) == b""


def test_an_upgrade_that_fails_leaves_the_sockets_for_commands(commanded, tmp_path):
    gateway, file, place, address = commanded
    env = {**os.environ, "RUNTIME_DIRECTORY": str(pathlib.Path(place).parent)}
    inode, program = os.stat(place).st_ino, tmp_path / "program"
    shutil.copy(SLUICE, program)
    ask = [SLUICE, "upgrade", str(file), "--format", "json", "--binary"]
    assert subprocess.run([*ask, "/bin/false"], capture_output=True, timeout=40, env=env).returncode == 1
    # It can be tried, and not be executed any more.
    slow = subprocess.Popen([*ask, str(program)], stdout=subprocess.PIPE, env=env)
    assert gateway.says(" upgrading ", f"program={program}")
    program.chmod(0)
    told = json.loads(slow.communicate(timeout=40)[0])
    assert slow.returncode == 1 and "could not be executed" in told["error"], told
    for _ in range(3):
        assert asked(place)["upgrades"] == asked(address)["upgrades"] == 0
    upgrade(gateway)
    assert os.stat(place).st_ino == inode
    assert asked(place)["upgrades"] == asked(address)["upgrades"] == 1


def test_a_new_place_for_commands_takes_that_of_the_old_one(commanded):
    gateway, file, place, address = commanded
    inode, own = os.stat(place).st_ino, str(file.parent / "own.sock")
    file.write_text(FILE + f"server: {{admin: 'unix:{own}'}}\n")
    upgrade(gateway)
    assert asked(own)["upgrades"] == asked(place)["upgrades"] == 1
    assert os.stat(place).st_ino == inode
    with pytest.raises(ConnectionRefusedError):
        asked(address)
    # Somebody has put something else there.
    os.unlink(own)
    pathlib.Path(own).write_text("mine")
    file.write_text(FILE + "server: {admin: false}\n")
    upgrade(gateway)
    assert not os.path.exists(place) and pathlib.Path(own).read_text() == "mine"
    with open_session(gateway.port, "/ws/echo/") as sock:
        sock.sendall(frame(1, b"here"))
        assert text(sock) == "here"
