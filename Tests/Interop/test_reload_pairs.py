"""Random files one after the other under living clients: every reload or upgrade does what its plan has said, loses nothing of those who stay,
and what is served then is what a fresh gateway serves with the file.

`PAIRS=300 SEED=...` for more of them.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import threading

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from clients import frame, handshake
from conftest import SLUICE
from tokens import signed
from traffic import Client, Traffic

PAIRS = int(os.environ.get("PAIRS", 20))
SEED = int(os.environ.get("SEED", 17))
SECRET = "only-for-random-files-0123456789"
BEARER = f"Authorization: Bearer {signed(SECRET, user_id=1)}"

PATHS = ['a/', '"a/<slug:x>/"', '"b/<int:n>/"', '"<slug:x>/"', '"c/<path:rest>/"', 'd/e/', '"<slug:x>/e/"']
PROBES = ["a/", "a/q/", "b/1/", "b/x/", "zz/", "c/1/2/", "d/e/", "q/e/", "e/", "in/a/", "in/q/", "in/b/1/"]
CAPTURES = {"slug": "[-a-zA-Z0-9_]+", "int": "[0-9]+", "path": ".+"}


@dataclasses.dataclass
class File:
    """A file, and those that it includes."""

    text: str
    included: dict[str, str]
    # The paths of its routes as regular expressions, in their order; what serves them, and the groups that clients may subscribe to.
    routes: list[tuple[str, str, str]]

    def write(self, path: pathlib.Path) -> None:
        for name, text in self.included.items():
            (path.parent / name).write_text(text)
        path.write_text(self.text)

    def route(self, path: str) -> tuple[str, str]:
        return next(route for pattern, *route in self.routes if re.fullmatch(pattern, path))

    def __str__(self) -> str:
        return self.text + "".join(f"--- {name}\n{text}" for name, text in self.included.items())


def choice(chance, *values):
    return values[chance.randrange(len(values))]


def one_route(chance: random.Random, path: str, name: str, history: dict[str, str], upstream: int) -> tuple[str, str, str]:
    """A route, its consumer, and its `subscribe`."""
    capture = next((name for name in ("x", "n") if f":{name}>" in path), None)
    group = choice(chance, "g", "h", f"g_{{{capture}}}" if capture else "g", f"h_{{{capture}}}" if capture else "k")
    words, subscribe = [f"path: {path}", f"name: {name}"], ""
    consumer = choice(chance, "echo", "chat", "chat", "broadcast", "proxy")
    words.append(f"consumer: {consumer}")
    if consumer == "proxy":
        words.append(f'to: "ws://127.0.0.1:{upstream}"')
    elif consumer != "echo":
        words.append(f'group: "{group}"')
        if chance.random() < 0.2:
            words.append("presence: true")
        if chance.random() < 0.3:
            subscribe = choice(chance, "t_*", "u_*")
            words.append(f"subscribe: [{subscribe}]")
        if history[group[0]]:
            words.append(f"history: {history[group[0]]}")
    if consumer == "broadcast":
        words.append(f"publish: {choice(chance, 'everyone', 'nobody', 'authenticated')}")
    if chance.random() < 0.3:
        words.append(f"limits: {{message: {choice(chance, '1KiB', '2KiB', '1MiB')}}}")
    if chance.random() < 0.2:
        words.append("compression: true")
    if chance.random() < 0.3:
        words.append("allowed_hosts: " + choice(chance, '["*"]', '["https://a.example"]', "[localhost]"))
    if chance.random() < 0.25:
        words.append(choice(chance, "auth: users", "auth: users, auth_optional: true"))
    return "{" + ", ".join(words) + "}", consumer, subscribe


def expression(path: str) -> str:
    return re.sub("<(.*?):.*?>", lambda found: CAPTURES[found[1]], path.strip('"'))


def one_file(chance: random.Random, upstream: int) -> File:
    paths, names = PATHS[:], [f"r{number}" for number in range(len(PATHS))]
    chance.shuffle(paths)
    # Other routes have them in the next file.
    chance.shuffle(names)
    # Rarely another one: a reload refuses that for a group in use.
    history = {group: choice(chance, *[""] * 6, "{messages: 5}") for group in "ghk"}
    included, routes, lines = {}, [], []
    own = paths[: chance.randint(2, len(paths))]
    inner = paths[-chance.randint(1, 2) :] if chance.random() < 0.5 else []
    for path in own:
        if path in inner:
            continue
        line, *route = one_route(chance, path, names.pop(), history, upstream)
        lines.append(line)
        routes.append((expression(path), *route))
    if inner:
        # Before the others, which may lead to the same paths.
        more = [one_route(chance, path, names.pop(), history, upstream) for path in inner]
        included["more.yaml"] = "".join(f"- {line}\n" for line, *_ in more)
        lines.insert(0, "{path: in/, include: more.yaml}")
        routes = [("in/" + expression(path), *route) for path, (_, *route) in zip(inner, more)] + routes
    streams = "".join(f"      - {{path: s{n}/, events: {choice(chance, 'g', 'h')}}}\n" for n in range(3) if chance.random() < 0.7)
    server = choice(chance, "", f"limits: {{handshake: {chance.randint(5, 9)}s}}\n", f"shutdown: {{grace: {chance.randint(1, 3)}s}}\n")
    if server and chance.random() < 0.5:
        included["settings.yaml"], server = server, "include: settings.yaml\n"
    text = (
        "installed_apps: [echo, chat, broadcast, proxy]\nchannel_layers: {default: {backend: memory}}\n"
        f"auth: {{users: {{jwt: {{secret: {{env: PAIR_SECRET}}}}}}}}\n{server}"
        f"applications:\n  main:\n    websocket:\n{''.join(f'      - {line}{chr(10)}' for line in lines)}"
        f"    http:\n      - {{path: none/, respond: none}}\n{streams}"
    )
    return File(text, included, routes)


def ask(port: int, path: str, *fields: str) -> tuple[int, socket.socket, bytes]:
    """The status of a handshake, its connection, and what has come behind the head."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    if path.startswith("s"):
        lines = [f"GET /{path} HTTP/1.1", "Host: localhost", "Accept: text/event-stream", *fields, "", ""]
        sock.sendall("\r\n".join(lines).encode())
    else:
        sock.sendall(handshake("/" + path, *fields))
    head = b""
    while b"\r\n\r\n" not in head:
        part = sock.recv(4096)
        assert part, head
        head += part
    return int(head.split(b" ")[1]), sock, head.partition(b"\r\n\r\n")[2]


WAYS = [(), ("Origin: http://localhost",), (BEARER,), ("Origin: https://a.example", BEARER)]


def answers(port: int) -> dict:
    """What every probe is answered."""
    found = {}
    for path in [*PROBES, "s0/", "s1/", "s2/", "none/"]:
        for way in WAYS:
            status, sock, _ = ask(port, path, *way)
            sock.close()
            found[path, way] = status
    return found


def open_clients(port: int, file: File, number: int) -> list[Client]:
    """A client for each probe that is let in, in each way."""
    clients = []
    for path in [*PROBES, "s0/", "s1/"]:
        for way in WAYS:
            status, sock, rest = ask(port, path, *way)
            if status not in (101, 200):
                sock.close()
                continue
            is_stream = path.startswith("s")
            consumer, subscribe = ("", "") if is_stream else file.route(path)
            if subscribe:
                sock.sendall(frame(1, json.dumps({"subscribe": subscribe.replace("*", "1")}).encode()))
            # Whether a client of a broadcast may send changes.
            sends = consumer in ("echo", "chat", "proxy")
            clients.append(Client(f"{number}-{len(clients)}", sock, is_stream, sends, rest))
    return clients


def by_code(rows: list) -> dict[str, int]:
    codes: dict[str, int] = {}
    for row in rows:
        codes[str(row["code"])] = codes.get(str(row["code"]), 0) + row["count"]
    return codes


class Pairs:
    """A gateway that is brought from one file to the next."""

    def __init__(self, start, folder: pathlib.Path):
        self.chance = random.Random(SEED)
        self.start, self.env = start, {"PAIR_SECRET": SECRET}
        self.path, self.other = folder / "routes.yaml", folder / "fresh.yaml"
        self.upgrades = 0

    def run(self, *words) -> subprocess.CompletedProcess:
        return subprocess.run([SLUICE, *words], capture_output=True, text=True, timeout=60, env=os.environ | self.env)

    def good_file(self, upstream: int) -> File:
        while True:
            file = one_file(self.chance, upstream)
            file.write(self.other)
            # Some combinations are mistakes.
            if self.run("validate", str(self.other)).returncode == 0:
                return file

    def reload(self, plan: dict, count: int) -> dict[str, int]:
        """Reloads by a plan, of so many clients: how many are closed, by code."""
        done = self.run("reload", str(self.path), "--plan", plan["id"], "--format", "json")
        assert done.returncode == 0, done.stderr + done.stdout
        told, predicted = json.loads(done.stdout), plan["clients"]
        codes = by_code(predicted["close"])
        assert predicted["stay"] + predicted["change"] + sum(codes.values()) == count
        assert (told["stayed"], told["changed"], told["closed"]) == (predicted["stay"], predicted["change"], codes)
        return codes

    def upgrade(self, plan: dict, count: int) -> dict[str, int]:
        """The same with an upgrade."""
        done = self.run("upgrade", str(self.path), "--format", "json")
        assert done.returncode == 0, done.stderr + done.stdout
        told = json.loads(done.stdout)
        codes = told.get("closed", {})
        assert told["closing"] == sum(codes.values()) and told["sessions"] + told["streams"] + told["closing"] == count
        if plan.get("clients"):
            assert codes == by_code(plan["clients"]["close"])
        self.upgrades += 1
        return codes

    def bring(self, gateway, file: File, clients: list[Client]) -> bool:
        """Whether that was an upgrade."""
        file.write(self.path)
        plan = self.run("plan", str(self.path), "--format", "json")
        planned = json.loads(plan.stdout)
        is_refused = planned.get("refused") is not None
        assert plan.returncode in ((1,) if is_refused else (0, 3, 4)), plan.stderr
        is_upgrade = is_refused or self.chance.random() < 0.2
        traffic = Traffic(clients)
        traffic.start()
        assert traffic.flows(), traffic.faults()
        codes = (self.upgrade if is_upgrade else self.reload)(planned, len(clients))
        faults = traffic.finish(sum(codes.values()))
        assert not faults, "\n".join(faults[:20])
        # Streams are closed without a code.
        rest = {code: count - traffic.codes().get(int(code), 0) for code, count in codes.items()}
        streams = sum(client.is_stream and client.closed is not None for client in clients)
        assert min(rest.values(), default=0) >= 0 and sum(rest.values()) == streams, (codes, traffic.codes(), streams)
        assert traffic.count() == sum(codes.values()), (codes, traffic.codes())
        assert gateway.process.poll() is None
        return is_upgrade


def echo(connection) -> None:
    with contextlib.suppress(ConnectionClosed):
        for message in connection:
            connection.send(message)


def test_random_files_one_after_the_other(start, tmp_path):
    pairs = Pairs(start, tmp_path)
    with serve(echo, "127.0.0.1", 0, compression=None, ping_interval=None) as upstream:
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        port = upstream.socket.getsockname()[1]
        before = pairs.good_file(port)
        before.write(pairs.path)
        gateway = start(file=pairs.path, env=pairs.env)
        for number in range(PAIRS):
            clients = open_clients(gateway.port, before, number)
            after = pairs.good_file(port)
            try:
                is_upgrade = pairs.bring(gateway, after, clients)
                if is_upgrade or number % 4 == 0:
                    after.write(pairs.other)
                    fresh = start(file=pairs.other, env=pairs.env)
                    assert answers(gateway.port) == answers(fresh.port)
                    assert fresh.stop() == 0
            except BaseException as fault:
                fault.add_note(f"pair {number} of seed {SEED}\n{before}\n{after}\n" + "\n".join(gateway.log[-10:]))
                raise
            for client in clients:
                client.sock.close()
            # The clients of this round are gone before the next one is counted.
            for _ in range(500):
                if json.loads(pairs.run("status", str(pairs.path), "--format", "json").stdout)["sessions"] == 0:
                    break
            before = after
        assert gateway.stop() == 0
    assert pairs.upgrades > 0


@pytest.mark.parametrize("number", range(4))
def test_signals_in_any_order_leave_a_defined_state(start, number):
    """SIGHUP, SIGUSR1 and SIGUSR2 leave a gateway that serves, whatever order they come in; SIGTERM ends it with 0, once or twice."""
    chance = random.Random(SEED * 100 + number)
    for _ in range(int(os.environ.get("SEQUENCES", 12)) // 4):
        gateway = start(text="installed_apps: [echo]\nshutdown: {grace: 1s}\napplications: {main: {websocket: [{path: ws/, consumer: echo}]}}\n")
        status, sock, _ = ask(gateway.port, "ws/")
        assert status == 101
        for _ in range(chance.randint(2, 6)):
            gateway.process.send_signal(choice(chance, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2))
            if chance.random() < 0.5:
                # Until something of it has begun, or not.
                gateway.says("reloaded" if chance.random() < 0.5 else "upgrad")
        if chance.random() < 0.5:
            # An upgrade may be under way: then the client waits in the queue of the socket.
            status, late, _ = ask(gateway.port, "ws/")
            assert status in (101, 503), (status, gateway.log)
            late.close()
        gateway.process.send_signal(signal.SIGTERM)
        if chance.random() < 0.5:
            gateway.process.send_signal(signal.SIGTERM)
        assert gateway.wait() == 0, gateway.log
        sock.close()
