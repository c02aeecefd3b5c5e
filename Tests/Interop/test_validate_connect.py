"""`validate --connect` tries the layers of a file, and a Django project with them."""

import contextlib
import dataclasses
import json
import socket
import subprocess
import sys
import threading

import pytest

from conftest import SLUICE
from redis_stack import KEY, PROJECT, Host, Layer, RedisServer, closed_port, free_port, routes


@pytest.fixture
def try_it(tmp_path):
    """Runs `validate --connect` with a gateway's layer, and with Django's if there is one."""

    def run(layer: Layer, django: dict[str, Layer] | None = None, *more: str, text: str | None = None):
        file = tmp_path / "routes.yaml"
        file.write_text(text or routes(layer))
        command = [SLUICE, "validate", "--connect", "--format", "json", str(file), *more]
        environment = {"LAYER_KEY": KEY, "PATH": "/usr/bin:/bin", "PYTHONPATH": f"{PROJECT}:{PROJECT.parents[2] / 'examples/django'}"}
        if django is not None:
            command += ["--django", "interop_site.settings", "--python", sys.executable]
            environment["CHANNEL_LAYERS"] = json.dumps({alias: layer.django for alias, layer in django.items()})
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, env=environment)
        report = json.loads(done.stdout)
        assert done.returncode == (1 if report["findings"] else 0), done.stderr
        # No output of a library at the end.
        assert done.stderr == ""
        run.hints = [finding.get("hint") for finding in report["findings"]]
        return [(finding["code"], finding["line"], finding["message"]) for finding in report["findings"]]

    return run


@pytest.fixture(params=["core", "pubsub"])
def layer(request, redis_servers) -> Layer:
    return Layer((Host(redis_servers[2], 9),), request.param, prefix="trial:")


def test_layers_that_carry_events(layer, try_it, redis_servers):
    assert try_it(layer) == []
    assert try_it(dataclasses.replace(layer, encrypted=True, format="json")) == []
    assert redis_servers[2].client(9).keys("*") == []


def test_a_redis_that_is_not_there(try_it, redis):
    layer = Layer((Host(redis),))
    redis.stop()
    ((code, line, message),) = try_it(layer)
    assert (code, line) == ("layer-unreachable", 3)
    assert f"127.0.0.1:{redis.port}" in message and "refused" in message.lower()


@pytest.mark.report("redis-two-addresses")
def test_a_name_with_two_addresses_that_refuse(try_it, redis):
    redis.stop()
    host = f"redis://localhost:{redis.port}"
    for _ in range(3):
        ((code, _, message),) = try_it(Layer((Host(redis),), yaml_hosts=[host]))
        assert code == "layer-unreachable" and "refused" in message.lower()


@pytest.mark.report("redis-cluster")
def test_a_cluster_is_named(try_it, tmp_path):
    # The port of its bus; by default 10,000 above the other one, for which not every free port leaves room.
    bus = ["--cluster-port", str(free_port())]
    server = RedisServer(tmp_path / "cluster", "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", *bus)
    try:
        layer = Layer((Host(server),))
        ((code, _, message),) = try_it(layer)
        assert code == "layer-unreachable" and "this server is a Redis Cluster" in message
        assert "redis_pubsub" in try_it.hints[0]
        layer = dataclasses.replace(layer, layout="pubsub")
        assert try_it(layer) == []
        with_history = routes(layer).replace('group: "chat_{room_name}"', 'group: "chat_{room_name}"\n        history: {messages: 1}')
        ((_, _, message),) = try_it(layer, text=with_history)
        assert "history and presence do not support" in message
    finally:
        server.stop()


def answer_once(listener: socket.socket, *answers: bytes) -> None:
    """Accepts connections, and answers each request with the next of the given answers."""

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    for answer in answers:
                        if not connection.recv(4096):
                            break
                        connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()


@pytest.mark.report("redis-sentinel-master")
def test_the_master_behind_a_sentinel_is_named(try_it, redis_servers):
    refusing = closed_port()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        master = b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%d\r\n" % (len(str(refusing)), refusing)
        answer_once(listener, b"+PONG\r\n", master)
        sentinels = [["127.0.0.1", listener.getsockname()[1]]]
        layer = Layer((Host(redis_servers[0]),), yaml_hosts=[{"master_name": "main", "sentinels": sentinels}])
        ((_, _, message),) = try_it(layer)
    assert f'the master "main" at 127.0.0.1:{refusing}: ' in message and "refused" in message.lower()


@pytest.mark.report("redis-tls-port")
@pytest.mark.parametrize("answer", [b"", bytes([0x15, 3, 1, 0, 2, 2, 40])])
def test_a_port_that_expects_tls_is_named(try_it, redis_servers, answer):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answer_once(listener, answer)
        layer = Layer((Host(redis_servers[0]),), yaml_hosts=[f"redis://127.0.0.1:{listener.getsockname()[1]}"])
        ((_, _, message),) = try_it(layer)
    assert ("the server speaks TLS" if answer else "it may expect TLS") in message and "rediss://" in message


def test_a_django_project_that_agrees(layer, try_it, redis_servers):
    assert try_it(layer, {"default": layer}) == []
    encrypted = dataclasses.replace(layer, encrypted=True, format="json")
    assert try_it(encrypted, {"default": encrypted}) == []
    assert redis_servers[2].client(9).keys("*specific*") == []


def test_what_a_django_project_does_otherwise(layer, try_it, redis_servers):
    other_layout = "pubsub" if layer.layout == "core" else "core"
    for change, said in [
        ({"prefix": "another"}, 'prefix is "another" in Django and "trial:" in this configuration'),
        ({"format": "json"}, 'serializer_format is "json" in Django and "msgpack" in this configuration'),
        ({"encrypted": True}, "symmetric_encryption_keys differ from those of Django"),
        ({"layout": other_layout}, "backend is "),
        ({"hosts": (*layer.hosts, Host(redis_servers[2], 10))}, "number of hosts is 2 in Django and 1 in this configuration"),
    ]:
        ((code, line, message),) = try_it(layer, {"default": dataclasses.replace(layer, **change)})
        assert (code, line) == ("django-disagrees", 3) and said in message, message
    found = try_it(layer, {"default": dataclasses.replace(layer, hosts=(Host(redis_servers[1], 3),))})
    assert try_it.hints[0] == (
        f"Django reaches redis://127.0.0.1:{redis_servers[1].port}/3, this file redis://127.0.0.1:{redis_servers[2].port}/9"
    )
    # One mistake is one finding.
    assert [message.split(": ", 1)[1] for _, _, message in found] == [
        "no event from Django reached Sluice, and none from Sluice reached Django",
    ]
    ((_, _, message),) = try_it(layer, {"main": layer})
    assert 'has no "default"' in message


def test_a_project_that_cannot_be_run(layer, try_it, tmp_path):
    ((code, _, message),) = try_it(layer, None, "--django", "no.such.settings", "--python", sys.executable)
    assert code == "django-disagrees" and "ModuleNotFoundError" in message
    assert "in the project's folder" in try_it.hints[0]
    (tmp_path / "mysite").mkdir()
    (tmp_path / "mysite/settings.py").touch()
    ((_, _, message),) = try_it(layer, None, "--django", "mysite.setings", "--python", sys.executable)
    assert 'there is no settings module "mysite.setings"' in message
    assert try_it.hints == ['did you mean "mysite.settings"?']
    ((code, _, message),) = try_it(layer, None, "--django", "no.such.settings", "--python", "no-such-python")
    assert code == "django-disagrees" and "no-such-python" in message


def test_a_difference_is_told_at_its_key(layer, try_it):
    text = f"""
installed_apps: [chat]
channel_layers:
  default:
    backend: {"redis" if layer.layout == "core" else "redis_pubsub"}
    config:
      hosts: {json.dumps([host for host in json.loads(layer.yaml)["config"]["hosts"]])}
      prefix: "another:"
applications: {{main: {{websocket: [{{path: a/, consumer: chat, group: a}}]}}}}
"""
    ((code, line, _),) = try_it(layer, {"default": layer}, text=text)
    assert (code, line) == ("django-disagrees", 8)


def test_nothing_is_tried_of_a_file_with_errors(layer, try_it):
    ((code, _, _),) = try_it(layer, text=routes(layer).replace("consumer: chat", "consumer: chatt"))
    assert code == "unknown-name"
    done = subprocess.run([SLUICE, "validate", "--django", "x", "routes.yaml"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and "--connect" in done.stderr


def test_a_layer_of_one_process_is_no_layer_for_django(layer, try_it):
    memory = routes(layer).replace(layer.yaml, '{"backend": "memory"}')
    assert try_it(layer, text=memory) == []
    ((code, line, message),) = try_it(layer, {"default": layer}, text=memory)
    assert (code, line) == ("django-disagrees", 3) and "keeps its messages in this process" in message


def test_a_prefix_of_another_length(try_it, redis_servers):
    layer = Layer((Host(redis_servers[2], 9),), prefix="trial:")
    longer = routes(layer).replace('"prefix"', '"random_prefix_length": 20, "prefix"')
    ((_, _, message),) = try_it(layer, {"default": layer}, text=longer)
    assert "random_prefix_length is 12 in Django and 20 in this configuration" in message
