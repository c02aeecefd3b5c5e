"""Django and the gateway in one group: both directions, every layout, serializer, encryption and number of shards."""

import asyncio
import json

import pytest
import requests
from asgiref.sync import async_to_sync

from clients import handshake, status_of
from conftest import ROOT
from redis_stack import EXAMPLE, MATRIX, Host, Layer, RedisGateway, Session, chat

MESSAGES = ["hi", "", "é😀\u2028\u0000\"\\", 7, -1.5, None, True, [1, [2, {"a": []}]], {"k": "v"}, 2**63 - 1, "x" * 70_000]


@pytest.fixture(params=MATRIX)
def alias(request):
    return request.param


def test_a_view_reaches_the_gateway(django, matrix, layer_gateway, alias):
    gateway = layer_gateway(matrix[alias])
    with gateway.session("lobby") as session, gateway.session("lobby") as other, gateway.session("kitchen") as elsewhere:
        for message in MESSAGES:
            django.push("lobby", message, alias)
            assert session.message() == message
        assert other.messages(len(MESSAGES)) == MESSAGES
        django.push("kitchen", "soup", alias)
        assert elsewhere.message() == "soup"


def test_the_gateway_reaches_a_consumer_whose_socket_stays(daphne, matrix, layer_gateway, alias):
    gateway = layer_gateway(matrix[alias])
    with gateway.session("both") as ours, daphne.session("both", alias) as theirs:
        for message in MESSAGES:
            ours.say(message)
            assert theirs.message() == message
            assert ours.message() == message
        theirs.say("still here")
        assert (ours.message(), theirs.message()) == ("still here", "still here")


def address_of(session, layer: Layer, room: str) -> str:
    """The address of this session, from an event of the route."""
    async_to_sync(layer.make().group_send)(f"chat_{room}", {"type": "who.is.there"})
    return session.hear()["me"]


def test_direct_sends_reach_one_session(django, daphne, matrix, layer_gateway, alias):
    layer = matrix[alias]
    gateway = layer_gateway(layer)
    with gateway.session("direct") as first, daphne.session("other", alias) as consumer:
        address = address_of(first, layer, "direct")
        with gateway.session("direct") as second:
            django.call(["send", address, chat("for you alone")], alias=alias)
            assert first.message() == "for you alone"
            # From a consumer, which has its own process and connections.
            consumer.send({"to": address, "message": "from a consumer"})
            assert first.message() == "from a consumer"
            assert second.silent()


@pytest.mark.parametrize("layout", ["core", "pubsub"])
def test_direct_sends_reach_sessions_on_every_shard(redis_servers, layer_gateway, layout):
    """channels_redis puts a direct message on the shard of the full name, which with several hosts is not where it reads itself."""
    hosts = [Host(redis_servers[0], db) for db in range(3)] if layout == "core" else [Host(s) for s in redis_servers]
    layer = Layer(tuple(hosts), layout, prefix=f"shards-{layout}:")
    gateway = layer_gateway(layer)
    sessions, shards = [], set()
    for number in range(40):
        session = gateway.session(f"room{number}")
        sessions.append(session)
        address = address_of(session, layer, f"room{number}")
        shards.add(layer.host_of(address if layout == "core" else layer.prefix + address))
        async_to_sync(layer.make().send)(address, chat(number))
        assert session.message() == number
        if len(shards) == 3 and number > 10:
            break
    assert len(shards) == 3
    for session in sessions:
        session.socket.close()


def test_django_adds_a_session_to_a_group(daphne, matrix, layer_gateway):
    """Core only: in pub/sub a process can add only its own channels."""
    layer = matrix["core-msgpack-plain-1"]
    gateway = layer_gateway(layer)
    with gateway.session("somewhere") as session, daphne.session("vip", "core-msgpack-plain-1") as consumer:
        address = address_of(session, layer, "somewhere")
        consumer.send({"add": address})
        consumer.say("welcome")
        assert (session.message(), consumer.message()) == ("welcome", "welcome")


@pytest.mark.parametrize("alias", ["core-msgpack-plain-1", "core-json-encrypted-3", "pubsub-msgpack-plain-3"])
def test_one_process_is_heard_in_order(matrix, layer_gateway, alias):
    layer = matrix[alias]
    gateway = layer_gateway(layer)

    async def send(count: int) -> None:
        sender = layer.make()
        for number in range(count):
            await sender.group_send("chat_order", chat(number))

    with gateway.session("order") as session:
        asyncio.run(send(1000))
        assert session.messages(1000) == list(range(1000))


@pytest.mark.parametrize("alias", ["core-msgpack-plain-1", "core-json-encrypted-3", "pubsub-msgpack-plain-3"])
def test_the_gateway_is_heard_in_order(matrix, daphne, layer_gateway, alias):
    """Includes messages of one instant: their scores may be equal, and then their first bytes decide."""
    gateway = layer_gateway(matrix[alias])
    with gateway.session("burst") as ours, daphne.session("burst", alias) as theirs:
        for number in range(1000):
            ours.say(number)
        assert theirs.messages(1000) == list(range(1000))
        assert ours.messages(1000) == list(range(1000))


def test_equal_scores_come_in_the_order_of_their_first_bytes(matrix, layer_gateway):
    import msgpack

    layer = matrix["core-msgpack-plain-1"]
    gateway = layer_gateway(layer)
    with gateway.session("ties") as session:
        (name,) = layer.members("chat_ties")
        queue = layer.prefix + name[: name.index("!") + 1]
        entries = {
            number.to_bytes(8, "big") + b"rand" + msgpack.packb(chat(number) | {"__asgi_channel__": [name]}): 1e9
            for number in reversed(range(50))
        }
        layer.host_of(name[: name.index("!") + 1]).client().zadd(queue, entries)
        assert session.messages(50) == list(range(50))


@pytest.mark.parametrize("layout", ["core", "pubsub"])
def test_names(redis_servers, layer_gateway, layout):
    layer = Layer((Host(redis_servers[0], 4),), layout, prefix=f"names-{layout}:")
    gateway = layer_gateway(layer)
    longest = "r" * (99 - len("chat_"))
    with gateway.session(longest) as session:
        async_to_sync(layer.make().group_send)("chat_" + longest, chat("99"))
        assert session.message() == "99"
    for room in [longest + "r", "%C3%A9t%C3%A9", "%D9%A3", "lobby%0A", "lob-by", "a%20b", ""]:
        assert status_of(gateway.port, handshake(f"/ws/chat/{room}/")) == 404, room
    if layout == "core":
        with pytest.raises(TypeError):
            async_to_sync(layer.make().group_send)("chat_r" + longest, chat("100"))


def test_two_projects_with_two_prefixes_do_not_meet(redis_servers, layer_gateway):
    one, two = (Layer((Host(redis_servers[0], 5),), prefix=prefix) for prefix in ("one", "two"))
    with layer_gateway(one).session("lobby") as first, layer_gateway(two).session("lobby") as second:
        first.say("one")
        assert first.message() == "one"
        assert second.silent()


def test_one_gateway_with_two_layers(redis_servers, start):
    layers = {name: Layer((Host(redis_servers[0], 6),), name, prefix=f"two-{name}:") for name in ("core", "pubsub")}
    gateway = start(
        kind=RedisGateway,
        text=f"""
installed_apps: [chat]
channel_layers:
  default: {layers["core"].yaml}
  fast: {layers["pubsub"].yaml}
applications:
  main:
    http:
      - {{path: health/ready, health: ready}}
    websocket:
      - {{path: "ws/core/", consumer: chat, group: news}}
      - {{path: "ws/pubsub/", consumer: chat, group: news, channel_layer: fast}}
"""
    )
    with Session(gateway.ws("/ws/core/")) as core, Session(gateway.ws("/ws/pubsub/")) as pubsub:
        for name, session in (("core", core), ("pubsub", pubsub)):
            async_to_sync(layers[name].make().group_send)("news", chat(name))
            assert session.message() == name
        assert core.silent() and pubsub.silent()


def test_events_of_a_route(redis_servers, start):
    """`events` makes frames from any event of Django. Events that the route does not know are counted and ignored."""
    layer = Layer((Host(redis_servers[0], 6),), prefix="events:")
    gateway = start(
        kind=RedisGateway,
        text=f"""
installed_apps: [chat]
channel_layers: {{default: {layer.yaml}}}
applications:
  main:
    http:
      - {{path: health/ready, health: ready}}
    websocket:
      - path: ws/
        consumer: chat
        group: news
        events:
          order.paid: {{paid: "{{id}}", total: "{{total}}"}}
          raw.event: event
"""
    )
    send = async_to_sync(layer.make().group_send)
    with Session(gateway.ws("/ws/")) as session:
        send("news", {"type": "unknown.event"})
        send("news", {"type": "order.paid", "id": 7, "total": "9.50"})
        assert session.hear() == {"paid": 7, "total": "9.50"}
        send("news", {"type": "raw.event", "a": [1]})
        assert session.hear() == {"type": "raw.event", "a": [1]}
        send("news", {"type": "websocket.send", "text": json.dumps({"message": "as it is"})})
        assert session.message() == "as it is"
        send("news", {"type": "websocket.close", "code": 4001})
        with pytest.raises(Exception) as closed:
            session.hear()
        assert closed.value.rcvd.code == 4001


def test_the_example_in_front_of_django(django, redis_servers, start):
    """examples/django works as its README says: the page and the API through the gateway, and the push to its sessions."""
    gateway = start(
        file=EXAMPLE / "routes.yaml", kind=RedisGateway,
        env={"REDIS_URL": redis_servers[1].url(), "WEB": django.http("")},
    )
    assert "room-name" in requests.get(gateway.http("/chat/lobby/"), timeout=20).text
    assert "WebSocket" in requests.get(gateway.http("/static/notices/room.js"), timeout=20).text
    with gateway.session("lobby") as session:
        answer = requests.post(gateway.http("/api/notices/"), json={"room": "lobby", "text": "doors open"}, timeout=20)
        assert answer.status_code == 201, answer.text
        assert session.message() == "doors open"
    refused = requests.post(gateway.http("/api/notices/"), json={"room": "lob-by", "text": "x"}, timeout=20)
    assert refused.status_code == 400 and "room" in refused.json()
    assert requests.get(gateway.http("/no/such/page/"), timeout=20).status_code == 404


def test_the_example_behind_nginx(redis_servers, start):
    gateway = start(
        file=ROOT / "examples/behind-nginx/routes.yaml", kind=RedisGateway, env={"REDIS_URL": redis_servers[1].url()}
    )
    assert requests.get(gateway.http("/health/ready"), timeout=20).status_code == 200
    with gateway.session("lobby") as session:
        session.say("hi")
        assert session.message() == "hi"
