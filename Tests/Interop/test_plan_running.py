"""`sluice plan` for a running gateway: what it predicts is what a reload then counts, and what the clients see."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest

from clients import frame, open_session, read_close, read_frame, ready
from conftest import SLUICE
from tokens import signed

SECRET = "only-to-predict-0123456789abcdef"
ENV = {"PLAN_SECRET": SECRET}

CHAT = 'path: "chat/<slug:room>/", consumer: chat, group: "chat_{room}"'
NEWS = "path: news/, consumer: broadcast, group: news, publish: nobody"
STAFF = "path: staff/, consumer: chat, group: staff, auth: users"
ECHO = "path: echo/, consumer: echo"
FEED = "path: feed/, events: news"
WEBSOCKET = [CHAT, NEWS, STAFF, ECHO]


def text(webSocket: list[str], http: list[str] = [FEED], top: str = "") -> str:
    def routes(all: list[str]) -> str:
        return "".join(f"      - {{{route}}}\n" for route in all)

    return (
        "installed_apps: [echo, chat, broadcast]\n"
        "channel_layers: {default: {backend: memory}}\n"
        "auth: {users: {jwt: {secret: {env: PLAN_SECRET}}}}\n"
        f"{top}applications:\n  main:\n    websocket:\n{routes(webSocket)}    http:\n{routes(http)}"
    )


def changed(route: str, *more: str, all: list[str] = WEBSOCKET) -> list[str]:
    """The routes with one replaced; without it where nothing replaces it."""
    return [new for old in all for new in ([old] if old != route else more)]


# Twelve edits of different kinds, and the exit code of the plan.
EDITS = {
    "nothing": (text(WEBSOCKET), 0),
    "the notation": (text(changed(CHAT, 're_path: "^chat/(?P<room>[-a-zA-Z0-9_]+)/$", consumer: chat, group: "chat_{room}"')), 0),
    "a route more": (text(["path: more/, consumer: echo", *WEBSOCKET]), 3),
    "a limit": (text(changed(CHAT, CHAT + ", limits: {message: 2KiB}")), 3),
    "a route less": (text(changed(ECHO)), 4),
    "another group": (text(changed(CHAT, CHAT.replace("chat_{room}", "room_{room}"))), 4),
    "another consumer": (text(changed(ECHO, "path: echo/, consumer: chat, group: echo")), 4),
    "an origin": (text(changed(NEWS, NEWS + ', allowed_hosts: ["https://a.example"]')), 4),
    "auth": (text(changed(CHAT, CHAT + ", auth: users")), 4),
    "auth less": (text(changed(STAFF, STAFF.replace(", auth: users", ""))), 4),
    "one room": (text(['path: chat/a/, consumer: chat, group: "chat_a"', *WEBSOCKET]), 3),
    "the stream": (text(WEBSOCKET, ["path: feed/, events: old"]), 4),
}


@pytest.fixture
def clients():
    sockets: list[tuple[str, socket.socket]] = []
    yield sockets
    for _, sock in sockets:
        sock.close()


def enter(port: int, clients: list) -> None:
    bearer = f"Authorization: Bearer {signed(SECRET, user_id=1)}"
    for path, extra in [("chat/a/", []), ("chat/b/", []), ("chat/b/", []), ("staff/", [bearer]), ("echo/", []), ("news/", [])]:
        clients.append((path, open_session(port, "/" + path, *extra)))
    clients.append(("news/", open_session(port, "/news/", "Origin: http://localhost")))
    stream = socket.create_connection(("127.0.0.1", port), timeout=20)
    stream.sendall(b"GET /feed/ HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
    assert b"200" in stream.recv(4096)
    clients.append(("feed/", stream))


def plan(file: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([SLUICE, "plan", str(file), *arguments], capture_output=True, text=True, env={**os.environ, **ENV}, timeout=60)


def counted(line: str) -> dict[str, int]:
    return {key: int(value) for key, value in re.findall(r"(stayed|changed|closed(?:-\d+)?)=(\d+)", line)}


@pytest.mark.parametrize("name", EDITS)
def test_what_is_predicted_is_counted_and_seen(start, tmp_path, clients, name):
    file = tmp_path / "routes.yaml"
    file.write_text(text(WEBSOCKET))
    gateway = start(file=file, env=ENV)
    enter(gateway.port, clients)
    file.write_text(EDITS[name][0])
    done = plan(file, "--format", "json")
    assert done.returncode == EDITS[name][1], done.stdout + done.stderr
    predicted = json.loads(done.stdout)["clients"]
    assert predicted["stay"] + predicted["change"] + sum(row["count"] for row in predicted["close"]) == len(clients)

    gateway.process.send_signal(signal.SIGHUP)
    line = gateway.line("the file was reloaded")
    assert line, gateway.log
    seen = counted(line)
    assert (seen["stayed"], seen["changed"]) == (predicted["stay"], predicted["change"])
    codes: dict[str, int] = {}
    for row in predicted["close"]:
        codes[f"closed-{row['code']}"] = codes.get(f"closed-{row['code']}", 0) + row["count"]
    assert {key: count for key, count in seen.items() if key.startswith("closed-")} == codes

    assert ended(clients, sum(codes.values())) == codes


def test_a_plan_needs_a_gateway_and_a_good_file(start, tmp_path):
    file = tmp_path / "routes.yaml"
    file.write_text(text(WEBSOCKET))
    assert (plan(file).returncode, plan(file).stdout) == (1, "")
    gateway = start(file=file, env=ENV)
    for format, sign in [("text", "clients: 0 stay"), ("markdown", "Nothing changes")]:
        done = plan(file, "--format", format)
        assert done.returncode == 0 and sign in done.stdout, done.stdout + done.stderr
    file.write_text("installed_apps: [ech]\n")
    done = plan(file)
    assert done.returncode == 1 and "error[" in done.stderr and done.stdout == ""
    assert gateway.process.poll() is None


def test_a_reload_insists_on_a_plan(start, tmp_path):
    file = tmp_path / "routes.yaml"
    file.write_text(text(WEBSOCKET))
    start(file=file, env=ENV)
    file.write_text(EDITS["a limit"][0])
    planned = json.loads(plan(file, "--format", "json").stdout)["id"]

    def reload(name: str) -> subprocess.CompletedProcess:
        return subprocess.run([SLUICE, "reload", str(file), "--plan", name], capture_output=True, text=True, timeout=60)

    file.write_text(EDITS["a route less"][0])
    refused = reload(planned)
    assert refused.returncode == 1 and "has changed since that plan" in refused.stderr
    file.write_text(EDITS["a limit"][0])
    assert reload(planned).returncode == 0
    # What was planned is served now, so it is another plan.
    assert reload(planned).returncode == 1


def test_a_reload_insists_on_the_secrets_of_a_plan(start, tmp_path):
    file, secret = tmp_path / "routes.yaml", tmp_path / "signing.key"
    text_of_file = text(WEBSOCKET).replace("{env: PLAN_SECRET}", f"{{file: {secret}}}")
    file.write_text(text_of_file)
    secret.write_text("a" * 40)
    start(file=file)

    def planned() -> dict:
        return json.loads(plan(file, "--format", "json").stdout)

    def reload(name: str) -> subprocess.CompletedProcess:
        return subprocess.run([SLUICE, "reload", str(file), "--plan", name], capture_output=True, text=True, timeout=60)

    # Both plans say the same, and are not the same: neither key has been served.
    secret.write_text("b" * 40)
    first = planned()
    secret.write_text("c" * 40)
    second = planned()
    assert first["id"] != second["id"] and {**first, "id": ""} == {**second, "id": ""}
    refused = reload(first["id"])
    assert refused.returncode == 1 and "has changed since that plan" in refused.stderr
    assert reload(second["id"]).returncode == 0
    # It is what is served now.
    assert planned()["exitCode"] == 0


def ended(clients: list[tuple[str, socket.socket]], expected: int) -> dict[str, int]:
    """How the clients were ended, by the names of the log. The others answer, so they are still there."""
    left, codes = dict((sock, path) for path, sock in clients), {}
    while len(clients) - len(left) < expected:
        readable = ready(list(left), 20)
        assert readable, f"{len(clients) - len(left)} of {expected} clients were ended"
        for sock in readable:
            code = end_of_stream(sock) if left.pop(sock) == "feed/" else read_close(sock)[0]
            codes[f"closed-{code}"] = codes.get(f"closed-{code}", 0) + 1
    for sock, path in left.items():
        if path != "feed/":
            sock.sendall(frame(9, b"there?"))
            assert read_frame(sock) == (10, b"there?"), path
    return codes


def end_of_stream(sock: socket.socket) -> int:
    """A stream ends without a code; it counts as what a session would be told."""
    while sock.recv(4096):
        pass
    return 1012


def test_another_file_is_planned_for_the_running_gateway(start, tmp_path):
    file, new, over = (tmp_path / name for name in ("routes.yaml", "next.yaml", "over.yaml"))
    file.write_text(text(WEBSOCKET))
    over.write_text("limits: {connections: 77}\n")
    gateway = start(file=file, env=ENV, arguments=["-f", str(over)])
    new.write_text(text(WEBSOCKET))
    # What is laid over the one is laid over the other.
    same = plan(new, "--of", str(file))
    assert same.returncode == 0 and same.stdout.startswith(f"{file} -> {new}, plan "), same.stdout + same.stderr
    new.write_text(EDITS["a route less"][0])
    done = plan(new, "--of", str(file), "--format", "json")
    assert done.returncode == 3 and [route["effect"] for route in json.loads(done.stdout)["routes"]] == ["removed"], done.stdout
    alone = plan(new)
    assert alone.returncode == 1 and "--of RUNNING" in alone.stderr and "--against OTHER" in alone.stderr
    new.write_text("applications: [\n")
    broken = plan(new, "--of", str(file))
    assert broken.returncode == 1 and "next.yaml:" in broken.stderr and "error[" in broken.stderr
    assert plan(file).returncode == 0 and gateway.process.poll() is None
