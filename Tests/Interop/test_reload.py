"""The file of a running gateway changes, and SIGHUP has it read again: what becomes of the clients, the addresses and the settings."""

import asyncio
import json
import pathlib
import re
import signal
import socket
import threading

import pytest
import requests
from websockets.asyncio.client import connect as ws_connect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import serve

from clients import frame, handshake, open_session, read_close, read_frame, status_of
from redis_stack import wait_until
from streams import open_stream

CONFIG = """
installed_apps: [echo, chat, broadcast, proxy]
channel_layers: {{default: {{backend: memory}}}}
{settings}
auth: {{users: {{jwt: {{secret: "{secret}"}}}}}}
applications:
  main:
    http:
      - {{path: health/live, health: live}}
      - {{path: version/, respond: "{version}"}}
      - {{path: publish/, publish: {{groups: ["*"], anonymous: true}}}}
      - {{path: sse/, events: news}}
    websocket:
{routes}
"""
SECRET = "k" * 64
ROUTES = [
    '{path: ws/echo/, consumer: echo, compression: true}',
    '{path: "ws/chat/<slug:room>/", consumer: chat, group: "chat_{room}", presence: true}',
    '{path: ws/news/, consumer: broadcast, group: news, history: {messages: 100}}',
]


def text(routes=ROUTES, version: str = "one", settings: str = "") -> str:
    lines = "\n".join(f"      - {route}" for route in routes)
    return CONFIG.format(routes=lines, version=version, settings=settings, secret=SECRET)


class Reloading:
    """A gateway and its file."""

    def __init__(self, start, tmp_path: pathlib.Path, first: str, **options):
        self.file = tmp_path / "changing.yaml"
        self.file.write_text(first)
        self.gateway = start(file=self.file, **options)

    def hang_up(self, *texts: str) -> str:
        """Sends SIGHUP, and waits for the next line with these texts."""
        before = len(self.gateway.log)
        self.gateway.process.send_signal(signal.SIGHUP)
        found: list[str] = []

        def is_there() -> bool:
            found[:] = [line for line in self.gateway.log[before:] if all(text in line for text in texts)]
            return bool(found)

        try:
            wait_until(is_there)
        except AssertionError:
            raise AssertionError(f"no line with {texts}, exit code {self.gateway.process.poll()}: {self.gateway.log[before:]}") from None
        return found[0]

    def change(self, content: str) -> dict:
        """Writes the file, and returns the facts of the line about its reload."""
        self.file.write_text(content)
        line = self.hang_up("the file was reloaded")
        return dict(re.findall(r"([\w-]+)=(\S+)", line))

    def refuse(self, content: str, *texts: str) -> str:
        self.file.write_text(content)
        return self.hang_up("the file was not reloaded", *texts)


@pytest.fixture
def reloading(start, tmp_path):
    return lambda first=text(), **options: Reloading(start, tmp_path, first, **options)


def test_clients_of_unchanged_routes_stay_over_ten_reloads(reloading):
    scene = reloading()
    gateway = scene.gateway
    with (
        connect(gateway.ws("/ws/echo/")) as echo,
        connect(gateway.ws("/ws/chat/lobby/"), compression=None) as chat,
        connect(gateway.ws("/ws/news/?since="), compression=None) as news,
    ):
        assert json.loads(chat.recv())["presence"]
        position = json.loads(news.recv())
        stream = open_stream(gateway.port, "/sse/")
        for number in range(10):
            facts = scene.change(text(version=f"v{number}"))
            assert (facts["stayed"], facts["changed"], facts["closed"]) == ("4", "0", "0"), facts
            assert facts["asked-by"] == "SIGHUP"
            assert requests.get(gateway.http("/version/"), timeout=10).text == f"v{number}"
            echo.send("hello" * 100)
            assert echo.recv() == "hello" * 100
            chat.send(json.dumps({"message": number}))
            assert json.loads(chat.recv()) == {"message": number}
            event = {"group": "news", "event": {"type": "broadcast.message", "text": f"n{number}"}}
            requests.post(gateway.http("/publish/"), json=event, timeout=10).raise_for_status()
            assert f"n{number}" in news.recv()
            assert f"n{number}" in stream.read().data
        # The history is that of before, and nobody seems to have left.
        with connect(gateway.ws("/ws/news/?since="), compression=None) as late:
            while "n9" not in late.recv(timeout=10):
                pass
        chat.send(json.dumps({"presence": "list"}))
        assert json.loads(chat.recv())["presence"]["count"] == 1
    assert position


def test_memory_is_back_where_it_was_after_ten_reloads(reloading):
    scene = reloading()

    async def run() -> None:
        sessions = [await ws_connect(scene.gateway.ws("/ws/chat/lobby/"), compression=None) for _ in range(300)]
        for number in range(3):
            scene.change(text(version=f"a{number}"))
        before = scene.gateway.resident_kib
        for number in range(10):
            facts = scene.change(text(version=f"b{number}"))
            assert facts["closed"] == "0"
        assert scene.gateway.resident_kib - before < 4096
        for session in sessions:
            session.transport.abort()

    asyncio.run(run())


def test_a_bad_file_changes_nothing_and_the_log_says_why(reloading):
    scene = reloading()
    with connect(scene.gateway.ws("/ws/echo/")) as echo:
        scene.refuse(text(routes=["{path: ws/, consumr: echo}"]), "the file has errors")
        assert scene.gateway.says('unknown key "consumr"', "changing.yaml:")
        scene.refuse("a: [", "the file has errors")
        echo.send("still here")
        assert echo.recv() == "still here"
    assert scene.change(text(version="two"))["closed"] == "0"


def test_what_becomes_of_each_client_is_what_its_route_says(reloading):
    routes = [
        "{path: gone/, consumer: echo}",
        "{path: moved/, consumer: chat, group: old}",
        '{path: origin/, consumer: echo, allowed_hosts: ["*"]}',
        "{path: closed/, consumer: echo}",
        "{path: limited/, consumer: echo}",
        "{path: same/, consumer: echo}",
        '{path: "any/<slug:x>/", consumer: echo}',
    ]
    after = [
        "{path: moved/, consumer: chat, group: new}",
        "{path: origin/, consumer: echo, allowed_hosts: [good.example]}",
        "{path: closed/, consumer: echo, auth: users}",
        "{path: limited/, consumer: echo, limits: {message: 8B}}",
        "{name: renamed, path: same/, consumer: echo}",
        "{path: any/x/, consumer: chat, group: g}",
        '{path: "any/<slug:x>/", consumer: echo}',
    ]
    scene = reloading(text(routes))
    port = scene.gateway.port
    origins = [["Origin: https://good.example"], ["Origin: https://bad.example"], []]
    good, bad, none = [open_session(port, "/origin/", *origin) for origin in origins]
    gone, moved, closed, limited, same, taken, other = [
        open_session(port, path)
        for path in ("/gone/", "/moved/", "/closed/", "/limited/", "/same/", "/any/x/", "/any/y/")
    ]
    facts = scene.change(text(after))
    assert (facts["stayed"], facts["changed"], facts["closed"]) == ("2", "2", "6"), facts
    assert (facts["closed-1012"], facts["closed-4401"], facts["closed-4403"]) == ("3", "1", "2"), facts
    assert read_close(gone) == (1012, "the route of this session is gone")
    assert read_close(moved) == (1012, "the groups of this route have changed, please reconnect")
    assert read_close(taken) == (1012, "another consumer serves this path now, please reconnect")
    assert read_close(closed)[0] == 4401
    assert read_close(bad)[0] == read_close(none)[0] == 4403
    with_rules = [good, limited, same, other]
    for sock in with_rules:
        sock.sendall(frame_of("hello"))
        assert read_text(sock) == "hello"
    limited.sendall(frame_of("nine bytes"))
    assert read_close(limited)[0] == 1009
    assert status_of(port, handshake("/gone/")) == 404
    for sock in [gone, moved, closed, limited, same, taken, other, good, bad, none]:
        sock.close()


def test_a_proxied_session_stays_with_its_upstream(reloading):
    def answer(socket):
        for message in socket:
            socket.send(f"upstream: {message}")

    server = serve(answer, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    to = server.socket.getsockname()[1]
    proxy = f'{{path: ws/, consumer: proxy, to: "ws://127.0.0.1:{to}/"'
    scene = reloading(text([proxy + "}"]))
    with connect(scene.gateway.ws("/ws/")) as client:
        assert scene.change(text([proxy + ", connect_timeout: 9s}"]))["changed"] == "1"
        client.send("hello")
        assert client.recv() == "upstream: hello"
        assert scene.change(text(["{path: ws/, consumer: echo}"]))["closed-1012"] == "1"
        with pytest.raises(ConnectionClosed) as end:
            client.recv()
        assert end.value.rcvd.code == 1012
    server.shutdown()


def test_addresses_move_without_a_gap(start, tmp_path):
    ports = [free_port(), free_port()]
    bind = [f'server: {{bind: "127.0.0.1:{port}"}}' for port in ports]
    scene = Reloading(start, tmp_path, text(settings=bind[0]), bind=None)
    with connect(f"ws://127.0.0.1:{ports[0]}/ws/echo/") as echo:
        scene.change(text(settings=bind[1]))
        assert status_of(ports[1], handshake("/ws/echo/")) == 101
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", ports[0]), timeout=5)
        echo.send("hello")
        assert echo.recv() == "hello"
    # All addresses of the machine, with the same port.
    scene.change(text(settings=f'server: {{bind: "0.0.0.0:{ports[1]}"}}'))
    assert status_of(ports[1], handshake("/ws/echo/")) == 101
    path = tmp_path / "sluice.sock"
    scene.change(text(settings=f'server: {{bind: ["127.0.0.1:{ports[0]}", "unix:{path}"]}}'))
    assert path.is_socket() and status_of(ports[0], handshake("/ws/echo/")) == 101
    scene.change(text(settings=bind[0]))
    assert not path.exists()


def test_a_port_in_use_and_a_missing_certificate_change_nothing(start, tmp_path):
    port = free_port()
    first = text(settings=f'server: {{bind: "127.0.0.1:{port}"}}')
    scene = Reloading(start, tmp_path, first, bind=None)
    with socket.create_server(("127.0.0.1", 0)) as taken, connect(f"ws://127.0.0.1:{port}/ws/echo/") as echo:
        other = taken.getsockname()[1]
        wanted = f'server: {{bind: ["127.0.0.1:{other}", "127.0.0.1:{port}"]}}'
        scene.refuse(text(version="two", settings=wanted), "cannot listen on")
        missing = f'server: {{bind: "127.0.0.1:{port}", tls: {{certificate: no.pem, key: no.pem}}}}'
        scene.refuse(text(version="two", settings=missing), "the file has errors")
        assert requests.get(f"http://127.0.0.1:{port}/version/", timeout=10).text == "one"
        echo.send("hello")
        assert echo.recv() == "hello"


def test_a_refused_reload_leaves_the_socket_files_as_they_are(start, tmp_path):
    port, path = free_port(), tmp_path / "s.sock"

    def bind(mode: str, *more: str) -> str:
        return text(settings="server: {bind: [" + ", ".join([f'"127.0.0.1:{port}"', f'{{address: "unix:{path}", mode: "{mode}"}}', *more]) + "]}")

    scene = Reloading(start, tmp_path, bind("0600"), bind=None)
    stale = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(stale))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        other = f'"127.0.0.1:{taken.getsockname()[1]}"'
        for more in ([f'"unix:{stale}"', other], [f'"unix:{tmp_path}/none/s.sock"'], [f'{{address: "unix:{tmp_path}/g.sock", group: no-such-group}}']):
            scene.refuse(bind("0666", *more), "cannot listen on")
            assert path.stat().st_mode & 0o777 == 0o600
            assert sorted(tmp_path.glob("*.sock")) == [path, stale]
    scene.change(bind("0666"))
    assert path.stat().st_mode & 0o777 == 0o666


def test_settings_change_and_what_cannot_is_named(reloading):
    scene = reloading(text(settings="logging: {level: notice}"))
    scene.change(
        text(settings="logging: {level: info, sessions: true}\nlimits: {connections: 2}\nserver: {threads: 9}")
    )
    assert scene.gateway.says("a setting stays as it was", "server.threads")
    first, second = [open_session(scene.gateway.port, "/ws/echo/") for _ in range(2)]
    assert scene.gateway.says("a session began")
    assert status_of(scene.gateway.port, handshake("/ws/echo/")) == 503
    for sock in (first, second):
        sock.close()


def test_the_environment_is_that_of_the_start_and_the_command_line_stays(reloading):
    scene = reloading(text(version="${VERSION}"), env={"VERSION": "of the start"})
    port = scene.gateway.port
    facts = scene.change(text(version="${VERSION} again", settings='server: {bind: "127.0.0.1:1"}'))
    assert facts["closed"] == "0"
    assert requests.get(f"http://127.0.0.1:{port}/version/", timeout=10).text == "of the start again"


def test_a_reload_and_a_stop_at_once_end_the_gateway(reloading):
    scene = reloading()
    with connect(scene.gateway.ws("/ws/echo/")):
        for _ in range(3):
            scene.gateway.process.send_signal(signal.SIGHUP)
        assert scene.gateway.stop() == 0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def frame_of(text: str) -> bytes:
    return frame(1, text.encode())


def read_text(sock: socket.socket) -> str:
    return read_frame(sock)[1].decode()
