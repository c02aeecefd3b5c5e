"""What goes along when the process executes another program: compression, histories, presence, rates, answers, proxied sessions."""

import json
import os
import signal
import socket
import subprocess
import zlib

import pytest
import requests

from clients import connect, frame, handshake, open_session, read_close, read_frame, read_head, read_raw
from conftest import SLUICE
from redis_stack import wait_until
from test_upgrade import NEWER, command, newer_program, text, upgrade
from tokens import simple_jwt

TOKEN = "interop-token-0123456789"
ENV = {"PUBLISH_TOKEN": TOKEN}

FILE = """
installed_apps: [echo, chat, broadcast, proxy]
channel_layers: {default: BACKEND}
server: {threads: 2}
applications:
  main:
    http:
      - {path: publish/, publish: {groups: "*", token: {env: PUBLISH_TOKEN}}}
      - {path: events/, events: {group: kept, history: {messages: 100}}}
      - {path: ws/news/, events: news}
    websocket:
      - {path: ws/echo/, consumer: echo}
      - {path: ws/packed/, consumer: echo, compression: {context_takeover: true, threshold: 1B}}
      - {path: ws/news/, consumer: broadcast, group: news}
      - {path: ws/news/packed/, consumer: broadcast, group: news, compression: {threshold: 1B, client_context_takeover: true}}
      - {path: ws/kept/, consumer: broadcast, group: kept, history: {messages: 100}}
      - {path: "ws/here/<slug:room>/", consumer: chat, group: "here_{room}", presence: true, subscribe: ["here_*"]}
      - {path: ws/slow/, consumer: echo, limits: {rate: {messages: 3/h, over: reply}}}
      - {path: ws/through/, consumer: proxy, to: "ws://127.0.0.1:UPSTREAM/ws/echo/"}
"""


@pytest.fixture
def gateway(start):
    upstream = start()
    return start(FILE.replace("BACKEND", "{backend: memory}").replace("UPSTREAM", f"{upstream.port}"), env=ENV)


class Packed:
    """A client that compresses with a context of its own."""

    def __init__(self, port: int, path: str):
        self.sock = connect(port)
        self.sock.sendall(handshake(path, "Sec-WebSocket-Extensions: permessage-deflate"))
        self.head = read_head(self.sock)
        assert "permessage-deflate" in self.head, self.head
        self.packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.unpacker = zlib.decompressobj(-15)

    def pack(self, message: bytes) -> bytes:
        packed = self.packer.compress(message) + self.packer.flush(zlib.Z_SYNC_FLUSH)
        return frame(0x41, packed[:-4])

    def read(self) -> bytes:
        first, payload = read_raw(self.sock)
        if first == 0x81:
            return payload
        assert first == 0xC1, first
        if "server_no_context_takeover" in self.head:
            self.unpacker = zlib.decompressobj(-15)
        return self.unpacker.decompress(payload + b"\x00\x00\xff\xff")


def test_compressed_messages_refer_to_what_came_before(gateway):
    client = Packed(gateway.port, "/ws/packed/")
    message = b"the same words again and again, which take almost nothing the second time" * 5
    first = client.pack(message)
    client.sock.sendall(first)
    assert client.read() == message
    for number in range(5):
        upgrade(gateway)
        again = client.pack(message)
        assert len(again) < len(first) / 2
        # Cut in two by the upgrade.
        client.sock.sendall(again[:5])
        upgrade(gateway)
        client.sock.sendall(again[5:])
        assert client.read() == message


def test_a_group_is_heard_packed_and_plain(gateway):
    packed, plain = Packed(gateway.port, "/ws/news/packed/"), open_session(gateway.port, "/ws/news/")
    for number in range(3):
        message = f"{number} " + "the same words " * 20
        packed.sock.sendall(packed.pack(message.encode()))
        assert packed.read() == message.encode()
        assert text(plain) == message
        upgrade(gateway)
        plain.sendall(frame(1, message.encode()))
        assert packed.read() == message.encode()
        assert text(plain) == message


def test_histories_and_positions_go_along(gateway):
    sender = open_session(gateway.port, "/ws/kept/")
    numbered = open_session(gateway.port, "/ws/kept/?since=")
    for number in range(5):
        sender.sendall(frame(1, f"kept {number}".encode()))
        assert text(sender) == f"kept {number}"
    got = [json.loads(text(numbered)) for _ in range(6)]
    position = got[-1]["position"] if "position" in got[-1] else None
    upgrade(gateway)
    sender.sendall(frame(1, b"kept 5"))
    assert text(sender) == "kept 5"
    after = json.loads(text(numbered))
    late = open_session(gateway.port, "/ws/kept/")
    assert [text(late) for _ in range(6)] == [f"kept {number}" for number in range(6)]
    stream = connect(gateway.port)
    stream.sendall(b"GET /events/ HTTP/1.1\r\nHost: a\r\n\r\n")
    received = b""
    while received.count(b"\ndata:") < 6:
        received += stream.recv(4096)
    ids = [line[4:] for line in received.decode().splitlines() if line.startswith("id: ")]
    assert len({one.split(".")[0] for one in ids}) == 1
    assert [int(one.split(".")[1]) for one in ids][-6:] == [1, 2, 3, 4, 5, 6], (ids, position, after)


def test_what_was_handed_over_takes_no_memory_once_it_goes_on(gateway):
    sender = open_session(gateway.port, "/ws/kept/")
    block = os.urandom(400_000)
    for _ in range(100):
        sender.sendall(frame(2, block))
        assert read_frame(sender) == (2, block)
    before = gateway.resident_kib
    upgrade(gateway)
    late = open_session(gateway.port, "/ws/kept/")
    assert read_frame(late) == (2, block)
    late.close()
    # The history is there once, and not in the record as well.
    assert gateway.resident_kib < before + 20_000


def test_presence_goes_along_and_nobody_is_told_to_have_left(gateway):
    one = open_session(gateway.port, "/ws/here/a/")
    two = open_session(gateway.port, "/ws/here/a/")
    assert json.loads(text(one))["presence"]["count"] in (1, 2)
    for sock in (one, two):
        sock.sendall(frame(1, b'{"presence": "list"}'))
    wait_until(lambda: json.loads(text(two))["presence"].get("count") == 2)
    upgrade(gateway)
    two.sendall(frame(1, b'{"message": "first after it"}'))
    for sock in (one, two):
        heard = []
        # Before it may come what was asked for before the upgrade.
        while not heard or "message" not in heard[-1]:
            heard.append(json.loads(text(sock)))
        assert all("left" not in item.get("presence", {}) for item in heard)
        assert heard[-1] == {"message": "first after it"}
    three = open_session(gateway.port, "/ws/here/a/")
    assert json.loads(text(three))["presence"]["count"] == 3
    assert json.loads(text(one))["presence"]["count"] == 3
    two.close()
    assert json.loads(text(one))["presence"]["count"] == 2


def test_groups_that_a_client_has_asked_for_go_along(gateway):
    one = open_session(gateway.port, "/ws/here/a/")
    text(one)
    one.sendall(frame(1, b'{"subscribe": "here_b"}'))
    assert json.loads(text(one)) == {"subscribed": "here_b"}
    upgrade(gateway)
    two = open_session(gateway.port, "/ws/here/b/")
    two.sendall(frame(1, b'{"message": "to b"}'))
    assert json.loads(text(one)) == {"message": "to b"}
    one.sendall(frame(1, b'{"unsubscribe": "here_b"}'))
    assert json.loads(text(one)) == {"unsubscribed": "here_b"}


def test_rates_are_no_better_afterwards(gateway):
    sock = open_session(gateway.port, "/ws/slow/")
    for number in range(3):
        sock.sendall(frame(1, b"a"))
        assert text(sock) == "a"
    upgrade(gateway)
    sock.sendall(frame(1, b"a"))
    assert "too many messages" in text(sock)


def test_a_user_and_a_lost_signal_change_nothing(start, tmp_path):
    """Whoever has started the process ignores SIGCHLD, as some managers of services do; and what a user has used stays used."""
    key = "interop-key-of-users-0123456789ab"
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        gateway = start(
            f"""
installed_apps: [echo]
limits: {{per_user: {{messages: 1/h burst 2}}, rate: {{over: reply}}}}
auth: {{users: {{jwt: {{secret: "{key}", from: [{{query: token}}]}}}}}}
applications: {{main: {{websocket: [{{path: ws/, consumer: echo, auth: users}}]}}}}
"""
        )
    finally:
        signal.signal(signal.SIGCHLD, before)
    path = f"/ws/?token={simple_jwt(key, 'ada')}"
    sock = open_session(gateway.port, path)
    for _ in range(2):
        sock.sendall(frame(1, b"a"))
        assert text(sock) == "a"
    command("upgrade", tmp_path / "routes0.yaml")
    again = open_session(gateway.port, path)
    for client in (sock, again):
        client.sendall(frame(1, b"a"))
        assert "too many messages" in text(client)


def test_a_reload_reaches_every_socket_behind_an_upgrade_to_fewer_threads(start, tmp_path):
    file = tmp_path / "fewer.yaml"

    def write(threads: int, more: str = ""):
        file.write_text(
            f"""
installed_apps: [echo]
server: {{threads: {threads}, trusted_proxies: [127.0.0.1], bind: [{{address: "127.0.0.1:0"{more}}}]}}
applications: {{main: {{http: [{{path: hello/, respond: hello}}]}}}}
"""
        )
        return file

    gateway = start(file=write(3), bind=None)

    def answers() -> set[int]:
        return {requests.get(gateway.http("/hello/"), headers={"Connection": "close"}, timeout=5).status_code for _ in range(20)}

    assert answers() == {200}
    command("upgrade", write(1))
    assert answers() == {200}
    command("reload", write(1, ", proxy_protocol: true"))
    assert answers() == {400}


def test_a_repeated_request_gets_the_same_answer(gateway):
    receiver = open_session(gateway.port, "/ws/news/")

    def publish():
        return requests.post(
            gateway.http("/publish/"),
            json={"group": "news", "event": {"type": "broadcast.message", "text": "once"}},
            headers={"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": '"k"'},
            timeout=20,
        )

    first = publish()
    assert first.status_code == 200, first.text
    assert text(receiver) == "once"
    upgrade(gateway)
    second = publish()
    assert second.headers.get("Idempotent-Replayed") == "true" and second.text == first.text
    receiver.sendall(frame(1, b"next"))
    assert text(receiver) == "next"


def test_proxied_sessions_keep_both_ends(gateway):
    sock = open_session(gateway.port, "/ws/through/")
    for number in range(5):
        whole = frame(1, f"through {number}".encode())
        sock.sendall(whole[:4])
        upgrade(gateway)
        sock.sendall(whole[4:])
        assert text(sock) == f"through {number}"
    sock.sendall(frame(8, b"\x03\xe8"))
    assert read_frame(sock) == (8, b"\x03\xe8")


def test_requests_wait_and_are_answered(gateway):
    """A request that comes while the program is executed is answered by the next one."""
    upgrade(gateway)
    for _ in range(5):
        with connect(gateway.port) as sock:
            sock.sendall(b"POST /publish/ HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
            assert read_head(sock).startswith("HTTP/1.1 401")


def test_a_session_and_a_stream_at_one_path_go_on_both(gateway):
    session = open_session(gateway.port, "/ws/news/")
    stream = connect(gateway.port)
    stream.sendall(b"GET /ws/news/ HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
    assert read_head(stream).startswith("HTTP/1.1 200")
    upgrade(gateway)
    session.sendall(frame(1, b"for both"))
    assert text(session) == "for both"
    heard = b""
    while b"for both" not in heard:
        heard += (more := stream.recv(4096))
        assert more, heard


def test_one_that_owes_the_answer_to_its_close_is_told_once_and_disturbs_nobody(start, tmp_path):
    file = tmp_path / "routes.yaml"
    file.write_text(FILE.replace("BACKEND", "{backend: memory}").replace("UPSTREAM", "1").replace("threads: 2", "threads: 1"))
    gateway = start(file=file, env=ENV)
    mute = open_session(gateway.port, "/ws/here/a/")
    text(mute)
    file.write_text(file.read_text().replace("here_{room}", "room_{room}").replace("here_*", "room_*"))
    gateway.process.send_signal(signal.SIGHUP)
    assert read_close(mute)[0] == 1012
    # Nothing else begins before that.
    assert gateway.says("the file was reloaded")
    others = [open_session(gateway.port, "/ws/here/a/") for _ in range(3)]
    upgrade(gateway)
    others[0].sendall(frame(1, b'{"message": "here"}'))
    for sock in others:
        while "message" not in (heard := json.loads(text(sock))):
            pass
        assert heard == {"message": "here"}
    mute.settimeout(20)
    # The end, and no second frame.
    assert mute.recv(100) == b""


ROUTES = """
installed_apps: [broadcast, chat]
channel_layers: {{default: {{backend: memory}}}}
applications:
  main:
    websocket:
{}
"""


def routes(*lines: str) -> str:
    return ROUTES.format("\n".join(f"      - {line}" for line in lines))


def may_publish(sock, message: str) -> bool:
    sock.sendall(frame(1, message.encode()))
    return "clients cannot publish" not in text(sock)


VIEW = "{{name: {}, path: ws/view/, consumer: broadcast, group: news, publish: nobody}}"
SPEAK = "{{name: {}, path: ws/speak/, consumer: broadcast, group: news, history: {{messages: {}}}}}"


# A history of another length is nothing that a reload can have.
@pytest.mark.parametrize("names", [("speak", "view"), ("seen", "spoken")], ids=["swapped", "others"])
def test_the_names_of_routes_give_no_rights(start, tmp_path, names):
    gateway, file = start(routes(VIEW.format("view"), SPEAK.format("speak", 5))), tmp_path / "routes0.yaml"
    view, speak = open_session(gateway.port, "/ws/view/"), open_session(gateway.port, "/ws/speak/")
    file.write_text(routes(VIEW.format(names[0]), SPEAK.format(names[1], 6)))
    command("upgrade", file)
    assert not may_publish(view, "from the viewer")
    assert may_publish(speak, "from the speaker")
    assert text(view) == "from the speaker"


def test_a_route_in_front_of_another_one_takes_its_sessions(start, tmp_path):
    everything = '{{path: "ws/<slug:topic>/", consumer: broadcast, group: "news_{{topic}}", history: {{messages: {}}}}}'
    gateway, file = start(routes(everything.format(5))), tmp_path / "routes0.yaml"
    official, other = open_session(gateway.port, "/ws/official/"), open_session(gateway.port, "/ws/other/")
    assert may_publish(official, "as anybody")
    stricter = "{path: ws/official/, consumer: broadcast, group: news_official, publish: nobody, history: {messages: 6}}"
    file.write_text(routes(stricter, everything.format(6)))
    command("upgrade", file)
    assert not may_publish(official, "once more")
    assert may_publish(other, "still")


@pytest.mark.parametrize("after", ["presence: true", "subscribe: [room_b]"])
def test_the_new_program_knows_what_was_served_before(start, tmp_path, after):
    """It alone can read the file: it is a copy that knows a key by another name."""
    gateway = start(routes("{path: ws/, consumer: chat, group: room, subscribe: [room_*]}"))
    file, program = tmp_path / "routes0.yaml", newer_program(tmp_path)
    sock = open_session(gateway.port, "/ws/")
    sock.sendall(frame(1, json.dumps({"subscribe": "room_a"}).encode()))
    assert "subscribed" in text(sock)
    file.write_text(routes(f"{{path: ws/, consumer: chat, group: room, {after}}}") + NEWER)
    done = subprocess.run([SLUICE, "upgrade", str(file), "--binary", str(program)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and " 0 sessions and 0 event streams go on, 1 are closed (1012)\n" in done.stderr, done.stderr
    assert read_close(sock)[0] == 1012
