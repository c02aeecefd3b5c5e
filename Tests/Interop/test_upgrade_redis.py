"""A gateway on Redis executes another program: the others see the same process, with the same sessions."""

import dataclasses
import json
import pathlib
import signal
import subprocess
import threading
import time

import jwt
import pytest
import requests
from asgiref.sync import async_to_sync

from clients import frame, open_session, read_close
from conftest import SLUICE
from redis_stack import Host, Layer, RedisGateway, RedisServer, Session, chat, routes, wait_until
from test_redis_groups import address_of
from test_upgrade import GIVEN_UP, NEWER, command, newer_program, text, upgrade

MORE = """
      - {path: "ws/kept/<slug:room>/", consumer: chat, group: "kept_{room}", history: {messages: 10000}}
      - {path: "ws/here/<slug:room>/", consumer: chat, group: "here_{room}", presence: true}
"""


@pytest.fixture
def begin(start):
    """Starts gateways on a layer, with routes for histories and presence: `begin(layer)`."""
    return lambda layer: start(text=routes(layer) + MORE.lstrip("\n"), kind=RedisGateway)


def test_addresses_survive(layer, begin):
    gateway = begin(layer)
    with gateway.session("direct") as session:
        address = address_of(session, layer, "direct")
        for number in range(3):
            upgrade(gateway)
            # Over pub/sub, what is sent before has no receiver.
            wait_until(lambda: layer.joined("chat_direct") == 1)
            assert address_of(session, layer, "direct") == address
            async_to_sync(layer.make().send)(address, chat(number))
            assert session.message() == number


@pytest.mark.parametrize("layout", ["core", "pubsub"])
@pytest.mark.parametrize("room", ["plain", "kept"])
@pytest.mark.parametrize("sender", ["another", "itself"])
def test_nothing_that_is_sent_meanwhile_is_lost(redis, begin, layout, room, sender):
    """Queues wait in Redis; the messages of subscriptions wait in the connection; and what its own clients send waits for the layer."""
    layer = Layer((Host(redis),), layout, capacity=20000)
    one, two = begin(layer), begin(layer)
    path = "/ws/kept/a/" if room == "kept" else "/ws/chat/a/"
    ours = [open_session(one.port, path) for _ in range(3)]
    theirs = open_session(two.port, path)
    publisher = theirs if sender == "another" else ours[0]
    total = 400
    seen = [[] for _ in [*ours, theirs]]

    def receive(sock, numbers):
        sock.settimeout(30)
        while len(numbers) < total:
            numbers.append(json.loads(text(sock))["message"])

    threads = [threading.Thread(target=receive, args=pair) for pair in zip([*ours, theirs], seen)]
    for thread in threads:
        thread.start()

    def publish():
        for number in range(total):
            publisher.sendall(frame(1, json.dumps({"message": number}).encode()))
            time.sleep(0.005)

    sending = threading.Thread(target=publish)
    sending.start()
    for _ in range(3):
        upgrade(one)
    sending.join()
    for thread in threads:
        thread.join(60)
    for numbers in seen:
        assert numbers == list(range(total))


def test_other_numbers_of_threads_lose_no_event_and_no_address(layer, begin, start, tmp_path):
    """Sessions of several threads meet on one, and those that come later are on threads that were not there meanwhile."""
    file = tmp_path / "threads.yaml"

    def threads(number: int):
        file.write_text(routes(layer, f"server: {{threads: {number}}}") + MORE.lstrip("\n"))
        return file

    one, two = start(file=threads(3), kind=RedisGateway), begin(layer)
    direct = [one.session(f"direct{number}") for number in range(6)]
    addresses = [address_of(session, layer, f"direct{number}") for number, session in enumerate(direct)]
    paths = [f"/ws/{kind}/{room}/" for kind in ("chat", "kept") for room in range(4)]
    # Two of each group are likely to be on different threads.
    readers = [open_session(one.port, path) for path in paths for _ in range(2)]
    writers = [open_session(two.port, path) for path in paths]
    total = 300
    seen = [[] for _ in readers]

    def receive(sock, numbers):
        sock.settimeout(30)
        while len(numbers) < total:
            numbers.append(json.loads(text(sock))["message"])

    receiving = [threading.Thread(target=receive, args=pair) for pair in zip(readers, seen)]

    def publish():
        for number in range(total):
            for sock in writers:
                sock.sendall(frame(1, json.dumps({"message": number}).encode()))
            time.sleep(0.005)

    for thread in [*receiving, sending := threading.Thread(target=publish)]:
        thread.start()
    for number in (1, 2):
        command("upgrade", threads(number))
        time.sleep(0.2)
    sending.join()
    for thread in receiving:
        thread.join(60)
    assert all(numbers == list(range(total)) for numbers in seen)
    for number, (session, address) in enumerate(zip(direct, addresses)):
        wait_until(lambda: layer.joined(f"chat_direct{number}") == 1)
        assert address_of(session, layer, f"direct{number}") == address
        async_to_sync(layer.make().send)(address, chat(number))
        assert session.message() == number
    later = [one.session(f"later{number}") for number in range(6)]
    assert not set(addresses) & {address_of(session, layer, f"later{number}") for number, session in enumerate(later)}


def test_a_session_of_a_replaced_layer_that_answers_no_close_keeps_nothing_of_that(redis, start, tmp_path):
    """The layer of the name is another one by now, and the upgrade goes on with this one."""
    layer = Layer((Host(redis),), "core")
    file = tmp_path / "replaced.yaml"

    def of(backend: str):
        file.write_text(
            f"""
installed_apps: [chat]
channel_layers: {{default: {backend}}}
applications:
  main:
    http: [{{path: health/ready, health: ready}}]
    websocket: [{{path: ws/, consumer: chat, group: room, history: {{messages: 9}}}}]
"""
        )
        return file

    gateway = start(file=of(layer.yaml), kind=RedisGateway)
    silent = open_session(gateway.port, "/ws/")
    command("reload", of("{backend: memory}"))
    assert read_close(silent)[0] == 1012
    session = open_session(gateway.port, "/ws/")
    for number in range(3):
        session.sendall(frame(1, json.dumps({"message": number}).encode()))
        assert json.loads(text(session))["message"] == number
    command("upgrade", file)
    late = open_session(gateway.port, "/ws/?since=")
    assert json.loads(text(late))["history"]["gap"] is False
    assert [json.loads(text(late))["message"] for _ in range(3)] == [0, 1, 2]


def test_nobody_is_told_to_have_left(layer, begin):
    one, two = begin(layer), begin(layer)
    ours = open_session(one.port, "/ws/here/a/")
    theirs = open_session(two.port, "/ws/here/a/")
    for sock in (ours, theirs):
        wait_until(lambda: json.loads(text(sock))["presence"]["count"] == 2)
    for _ in range(3):
        upgrade(one)
    time.sleep(3)
    # What was told meanwhile would come first.
    theirs.sendall(frame(1, b'{"message": "now"}'))
    heard = []
    while not heard or "message" not in heard[-1]:
        heard.append(json.loads(text(theirs)))
    assert heard == [{"message": "now"}]
    heard = []
    while not heard or "message" not in heard[-1]:
        heard.append(json.loads(text(ours)))
    assert heard == [{"message": "now"}]
    ours.close()
    wait_until(lambda: json.loads(text(theirs))["presence"]["count"] == 1)


def test_those_whom_only_the_new_program_closes_have_left(layer, begin, tmp_path):
    """It alone can read the file, so that the program before hands over whom it would have closed."""
    one, two = begin(layer), begin(layer)
    theirs = open_session(two.port, "/ws/here/a/")
    ours = open_session(one.port, "/ws/here/a/")
    wait_until(lambda: json.loads(text(theirs))["presence"]["count"] == 2)
    file = pathlib.Path(one.process.args[2])
    file.write_text(file.read_text().replace("ws/here/", "ws/gone/") + NEWER)
    done = subprocess.run([SLUICE, "upgrade", str(file), "--binary", str(newer_program(tmp_path))], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert read_close(ours)[0] == 1012
    assert json.loads(text(theirs))["presence"]["count"] == 1


def test_a_gateway_that_was_upgraded_leaves_nothing_behind(layer, begin):
    gateway = begin(layer)
    with gateway.session("a"):
        upgrade(gateway)
    assert gateway.stop() == 0
    host = layer.hosts[0]
    assert [key for key in host.client().keys("*") if b"alive" in key or b"members" in key] == []


ORDERS = """
installed_apps: [chat]
channel_layers: {default: LAYER}
auth: {users: {jwt: {secret: {env: SIGNING_KEY}, from: [{query: token}]}}}
applications:
  main:
    http:
      - {path: api/, publish: {groups: "*", token: {env: PUBLISH_TOKEN}, allow: [disconnect]}}
      - {path: health/ready, health: ready}
    websocket:
      - {path: ws/, consumer: chat, group: room, auth: users}
"""


def test_orders_that_come_meanwhile_reach_everybody(layer, start):
    key, token = "0123456789abcdef0123456789abcdef", "interop-token-0123456789"
    text_of = ORDERS.replace("LAYER", layer.yaml)
    env = {"SIGNING_KEY": key, "PUBLISH_TOKEN": token}
    one, two = (start(text=text_of, kind=RedisGateway, env=env) for _ in range(2))
    wait_until(lambda: layer.joined("sluice.control") >= 2)
    users = [f"user{number}" for number in range(40)]
    clients = [open_session(one.port, f"/ws/?token={token_of(user, key)}") for user in users]
    answers = []

    def disconnect_all():
        with requests.Session() as http:
            http.headers["Authorization"] = f"Bearer {token}"
            for user in users:
                answers.append(http.post(two.http("/api/disconnect"), json={"user": user}, timeout=10).status_code)

    ordering = threading.Thread(target=disconnect_all)
    one.process.send_signal(signal.SIGUSR2)
    assert one.says("upgrading")
    ordering.start()
    assert one.says("NOTICE upgraded")
    ordering.join()
    assert answers == [200] * len(users)
    for client in clients:
        client.settimeout(20)
        assert read_close(client)[0] == 4403


def token_of(user: str, key: str) -> str:
    return jwt.encode({"user_id": user, "exp": int(time.time()) + 300}, key, algorithm="HS256")


def test_another_password_or_option_of_a_layer_closes_nobody(layer, begin, redis, tmp_path):
    redis.admit("first")

    def write(user: str, **options) -> str:
        other = dataclasses.replace(layer, yaml_hosts=[redis.url(user=user)], **options)
        return routes(other) + MORE.lstrip("\n")

    file = tmp_path / "routes0.yaml"
    gateway = begin(dataclasses.replace(layer, yaml_hosts=[redis.url(user="first")]))
    with gateway.session("one") as session:
        address = address_of(session, layer, "one")
        other = gateway.session("one")
        # The old password ends once nobody uses it any more.
        redis.admit("second")
        file.write_text(write("second"))
        told = command("reload", file)
        assert "2 stay as they are, 0 go on with other options, 0 closed" in told, told
        redis.shut_out("first")
        assert gateway.says("channel layer not available")
        wait_until(gateway.is_ready, 20, "the layer is there again")
        assert len([one for one in redis.client().client_list() if one["user"] == "second"]) >= 2
        wait_until(lambda: layer.joined("chat_one") == 1)
        async_to_sync(layer.make().send)(address, chat("direct"))
        assert session.message() == "direct"
        session.send({"message": "hello"})
        assert session.message() == other.message() == "hello"
        # What the layer was made with stays until the next program.
        file.write_text(write("second", group_expiry=7200) if layer.layout == "core" else write("second", format="json"))
        planned = subprocess.run([SLUICE, "plan", str(file)], capture_output=True, text=True, timeout=60)
        assert planned.returncode == 3 and "clients: 2 stay, 0 change, 0 are closed" in planned.stdout, planned
        told = command("reload", file)
        assert " 0 closed" in told and "channel_layers.default" in told, told
        assert gateway.says("a setting stays as it was until the process starts anew", "setting=channel_layers.default")
        upgrade(gateway)
        # That serves all of the file.
        command("plan", file)
        wait_until(lambda: layer.joined("chat_one") == 1)
        other.send({"message": "again"})
        assert session.message() == other.message() == "again"
        other.socket.close()


@pytest.mark.parametrize("layout", ["core", "pubsub"])
def test_whatever_a_server_that_hangs_does_not_take_is_told(redis, begin, layout):
    gateway = begin(Layer((Host(redis),), layout, capacity=20000))
    sock = open_session(gateway.port, "/ws/chat/a/")
    total = 20
    with redis.hung():
        for number in range(total // 2):
            sock.sendall(frame(1, json.dumps({"message": number}).encode()))
        gateway.process.send_signal(signal.SIGUSR2)
        assert gateway.says("upgrading")
        for number in range(total // 2, total):
            sock.sendall(frame(1, json.dumps({"message": number}).encode()))
        time.sleep(1)
    sock.settimeout(30)
    heard = [json.loads(text(sock)) for _ in range(total)]
    numbers = [item["message"] for item in heard if "message" in item]
    assert numbers == sorted(numbers)
    assert len(numbers) + sum("error" in item for item in heard) == total
    # It may also have been refused, as Redis took nothing.
    assert gateway.says("upgraded")


def test_a_stop_while_a_server_hangs_ends_the_upgrade(redis, begin):
    gateway = begin(Layer((Host(redis),), capacity=20000))
    sock = open_session(gateway.port, "/ws/chat/a/")
    with redis.hung():
        sock.sendall(frame(1, json.dumps({"message": "waits"}).encode()))
        gateway.process.send_signal(signal.SIGUSR2)
        assert gateway.says("upgrading")
        # The server has five seconds to take the message.
        time.sleep(0.5)
        gateway.process.send_signal(signal.SIGTERM)
        assert read_close(sock)[0] == 1012
        sock.close()
        assert gateway.wait() == 0
    assert any(GIVEN_UP in line for line in gateway.log), gateway.log


def test_a_history_goes_on_where_nobody_is(layer, begin):
    """Whoever listens records what Django sends, for two minutes after the last session has gone."""
    gateway = begin(layer)
    with Session(gateway.ws("/ws/kept/a/")) as session:
        session.say("before")
        assert session.message() == "before"
    for number in range(2):
        upgrade(gateway)
        wait_until(lambda: layer.joined("kept_a") == 1)
        async_to_sync(layer.make().group_send)("kept_a", chat(number))
        stream = f"{layer.prefix}:sluice:history:kept_a"
        wait_until(lambda: layer.hosts[0].client().xlen(stream) == number + 2)
    with Session(gateway.ws("/ws/kept/a/")) as late:
        assert late.messages(3) == ["before", 0, 1]


TWO_LAYERS = """
installed_apps: [chat]
channel_layers: LAYERS
applications:
  main:
    http:
      - {path: health/ready, health: ready}
    websocket:
      - {path: ws/moved/, consumer: chat, group: moved, channel_layer: NAME, presence: true}
      - {path: ws/kept/, consumer: chat, group: kept, channel_layer: kept, presence: true}
      - {path: ws/third/, consumer: chat, group: third, channel_layer: third MORE}
"""
# A reload does not take it on, so the new program is the first that has the other layer.
FOR_AN_UPGRADE = ", history: {messages: 5}"


@pytest.fixture
def two_layers(redis, tmp_path):
    """Writes the file: `two_layers(layer, name, more)`, in which `name` is a layer that others replace."""
    file = tmp_path / "two.yaml"
    kept = Layer((Host(redis),), prefix="kept").yaml

    def write(layer: str, name: str = "default", more: str = ""):
        layers = f"{{{name}: {layer}, kept: {kept}, third: {{backend: memory}}}}"
        file.write_text(TWO_LAYERS.replace("LAYERS", layers).replace("NAME", name).replace("MORE", more))
        return file

    return write


def traces(client, names: set[bytes]) -> list:
    """Where processes of these names have something in Redis."""
    keys = [key for key in client.keys("first*") if any(name in key for name in names)]
    shared = client.smembers("first:sluice:processes") | client.smembers("first:sluice:presence:processes")
    shared |= set(client.hkeys("first:sluice:presence:group:moved")) | set(client.zrange("first:group:moved", 0, -1))
    return keys + [member for member in shared if any(name in member for name in names)]


def hear(sock, *keys: str) -> list:
    """Frames up to one with all these keys."""
    heard = []
    while not heard or not heard[-1].keys() >= set(keys):
        heard.append(json.loads(text(sock)))
    return heard


@pytest.mark.parametrize("more", ["", FOR_AN_UPGRADE], ids=["old", "new"])
@pytest.mark.parametrize("change", ["prefix", "layout", "backend", "name"])
def test_what_was_written_elsewhere_is_removed(redis, start, two_layers, change, more):
    """By the old program or the new one, whichever has the other layer first."""
    client = redis.client()
    old = Layer((Host(redis),), prefix="first")
    new = {
        "prefix": (dataclasses.replace(old, prefix="second").yaml,),
        "layout": (dataclasses.replace(old, layout="pubsub").yaml,),
        "backend": ("{backend: memory}",),
        "name": (old.yaml, "other"),
    }[change]
    gateway = start(file=two_layers(old.yaml), kind=RedisGateway)
    moved, kept = (open_session(gateway.port, f"/ws/{name}/") for name in ("moved", "kept"))
    for sock in (moved, kept):
        hear(sock, "presence")
    wait_until(lambda: client.hkeys("first:sluice:presence:group:moved"))
    names = client.smembers("first:sluice:processes") | client.smembers("first:sluice:presence:processes")
    assert len(names) == 2 and len(traces(client, names)) >= 6
    command("upgrade", two_layers(*new, more=more))
    assert read_close(moved)[0] == 1012
    moved.close()
    wait_until(lambda: not traces(client, names), 10)
    assert gateway.says("what this process had in a channel layer was removed", "host=") and not gateway.count("WARNING")
    # Nobody has left the other layer.
    kept.sendall(frame(1, b'{"message": "here"}'))
    assert hear(kept, "message") == [{"message": "here"}]
    with open_session(gateway.port, "/ws/moved/") as late:
        hear(late, "presence")
    kept.close()


@pytest.mark.parametrize("by", ["reload", "upgrade"])
def test_what_cannot_be_removed_is_told(redis, start, two_layers, tmp_path, by):
    away = RedisServer(tmp_path / "away")
    away.admit("hidden-word")
    old = Layer((Host(away),), prefix="first", yaml_hosts=[away.url(user="hidden-word")])
    try:
        gateway = start(file=two_layers(old.yaml), kind=RedisGateway)
        moved, kept = (open_session(gateway.port, f"/ws/{name}/") for name in ("moved", "kept"))
        hear(kept, "presence")
    finally:
        away.stop()
    new = dataclasses.replace(old, hosts=(Host(redis),), yaml_hosts=None).yaml
    command(by, two_layers(new, more=FOR_AN_UPGRADE if by == "upgrade" else ""))
    assert read_close(moved)[0] == 1012
    moved.close()
    # Nobody waits for it.
    kept.sendall(frame(1, b'{"message": "here"}'))
    assert hear(kept, "message") == [{"message": "here"}]
    assert gateway.says("WARNING what this process had in a channel layer", f":{away.port}/0", "memberships in 1d, presence in 1d")
    kept.close()
    assert not any("hidden-word" in line for line in gateway.log)
