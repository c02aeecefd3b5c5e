"""Every way to a Redis server: sockets, TLS, sentinels, users and databases, in every form that `hosts` accepts."""

import contextlib
import pathlib
import shutil
import subprocess

import pytest
import redis as redis_py
from asgiref.sync import async_to_sync

from conftest import ROOT, SLUICE
from redis_stack import KEY, Host, Layer, RedisServer, chat, closed_port, free_port, routes, wait_until
from test_redis_failures import send, send_until_heard


def talk(gateway, layer: Layer) -> None:
    """In both directions, and between two sessions."""
    with gateway.session("lobby") as session, gateway.session("lobby") as other:
        send(layer, "lobby", "from Django")
        assert session.message() == other.message() == "from Django"
        session.say("from here")
        assert session.message() == other.message() == "from here"


def refusal(tmp_path, layer: Layer) -> str:
    """The error message if a required layer is not available."""
    file = tmp_path / "refused.yaml"
    file.write_text(routes(layer))
    command = [SLUICE, "serve", str(file), "--bind", "127.0.0.1:0", "--require-layers"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=ROOT)
    assert done.returncode == 1, done.stderr
    return done.stderr


# Forms


@pytest.mark.parametrize("layout", ["core", "pubsub"])
@pytest.mark.parametrize("form", ["pair", "address", "mapping", "options"])
def test_the_forms_of_a_host(redis, layer_gateway, layout, form):
    redis.admit("gateway")
    forms = {
        "pair": ["127.0.0.1", redis.port],
        "address": {"address": redis.url(user="gateway")},
        "mapping": {
            "host": "127.0.0.1", "port": redis.port, "db": 0, "username": "gateway", "password": {"env": "PASSWORD"},
            "socket_timeout": None, "health_check_interval": 30,
        },
        "options": f"redis://127.0.0.1:{redis.port}?db=0&username=gateway&password=gateway&max_connections=10",
    }
    layer = Layer((Host(redis),), layout, yaml_hosts=[forms[form]])
    gateway = layer_gateway(layer, env={"PASSWORD": "gateway"})
    talk(gateway, layer)
    names = {client["user"] for client in redis.client().client_list() if client["cmd"] != "client|list"}
    assert ("gateway" in names) == (form != "pair")


@pytest.mark.parametrize("layout", ["core", "pubsub"])
def test_a_unix_socket_with_a_user_and_a_database(tmp_path, layer_gateway, layout):
    path = tmp_path / "redis.sock"
    redis = RedisServer(tmp_path / "redis", "--unixsocket", str(path))
    try:
        redis.admit("gateway")
        url = f"unix://gateway:gateway@{path}?db=3"
        layer = Layer((Host(redis, 3),), layout, yaml_hosts=[url])
        gateway = layer_gateway(layer)
        talk(gateway, layer)
        gateway.stop()
        assert refusal(tmp_path, Layer((Host(redis),), layout, yaml_hosts=[f"unix://gateway:wrong@{path}"])).count("WRONGPASS") == 1
    finally:
        redis.stop()


def test_a_server_of_an_older_version(tmp_path, layer_gateway):
    """Without `BZMPOP` messages are taken with `BZPOPMIN`, even if the rest cannot be read at once."""
    for number, missing in enumerate([["BZMPOP"], ["BZMPOP", "ZPOPMIN"]]):
        options = [part for name in missing for part in ("--rename-command", name, "")]
        redis = RedisServer(tmp_path / str(number), *options)
        try:
            layer = Layer((Host(redis),))
            gateway = layer_gateway(layer)
            talk(gateway, layer)
            with gateway.session("order") as session:
                for message in range(20):
                    send(layer, "order", message)
                assert session.messages(20) == list(range(20))
            assert gateway.stop() == 0
        finally:
            redis.stop()


# Keys


def test_keys_are_changed_without_a_break(redis, layer_gateway):
    """New keys are added in front, one process after the other. Processes with both keys read the messages of all."""
    old, both = (Layer((Host(redis),), encrypted=True, keys=keys) for keys in (("old",), ("new", "old")))
    gateway = layer_gateway(both)
    with gateway.session("lobby") as session, layer_gateway(old).session("lobby") as late:
        send(old, "lobby", "with the old one")
        assert session.message() == late.message() == "with the old one"
        send(both, "lobby", "with the new one")
        assert session.message() == "with the new one"
        late.say("from one that is late")
        assert session.message() == late.message() == "from one that is late"
        # A message that is encrypted with an unknown key is ignored.
        session.say("from one that is not")
        assert session.message() == "from one that is not"
        assert late.silent()


# TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> pathlib.Path:
    """A certificate authority, and a certificate of it for localhost."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=30)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for name in ("authority", "stranger"):
        openssl("req", "-x509", *curve, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}")
    openssl("req", *curve, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost")
    openssl(
        "x509", "-req", "-in", "server.csr", "-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial",
        "-out", "server.pem", "-days", "2", "-extfile", "names",
    )
    return folder


@pytest.fixture
def tls_redis(certificates, tmp_path):
    """A server with TLS on a second port, `tls_port`."""
    port = free_port()
    server = RedisServer(
        tmp_path / "tls", "--tls-port", str(port), "--tls-cert-file", str(certificates / "server.pem"),
        "--tls-key-file", str(certificates / "server.key"), "--tls-ca-cert-file", str(certificates / "authority.pem"),
        "--tls-auth-clients", "optional",
    )
    server.tls_port = port
    yield server
    server.stop()


def with_tls(server, **options) -> Layer:
    return Layer((Host(server),), yaml_hosts=[{"address": f"rediss://localhost:{server.tls_port}/0"} | options])


def test_tls_with_an_authority_and_a_certificate_of_our_own(tls_redis, certificates, layer_gateway):
    tls_redis.client().config_set("tls-auth-clients", "yes")
    ours = {"ssl_certfile": str(certificates / "server.pem"), "ssl_keyfile": str(certificates / "server.key")}
    layer = with_tls(tls_redis, ssl_ca_certs=str(certificates / "authority.pem"), **ours)
    talk(layer_gateway(layer), layer)


def test_tls_that_is_not_checked(tls_redis, layer_gateway):
    hosts = [{"host": "127.0.0.1", "port": tls_redis.tls_port, "ssl": True, "ssl_cert_reqs": "none"}]
    layer = Layer((Host(tls_redis),), yaml_hosts=hosts)
    talk(layer_gateway(layer), layer)


@pytest.mark.report("redis-tls-reason")
def test_tls_that_fails_says_why(tls_redis, certificates, tmp_path):
    stranger, authority = (str(certificates / f"{name}.pem") for name in ("stranger", "authority"))
    assert "the server's certificate is not trusted" in refusal(tmp_path, with_tls(tls_redis, ssl_ca_certs=stranger))
    for port, host, words in [
        (tls_redis.port, "localhost", "the server does not speak TLS on this port"),
        (tls_redis.tls_port, "127.0.0.1", "the server's certificate is for another name"),
    ]:
        hosts = [{"address": f"rediss://{host}:{port}", "ssl_ca_certs": authority}]
        said = refusal(tmp_path, Layer((Host(tls_redis),), yaml_hosts=hosts))
        assert words in said and said.count("\n") == 1, said
    tls_redis.client().config_set("tls-auth-clients", "yes")
    said = refusal(tmp_path, with_tls(tls_redis, ssl_ca_certs=authority))
    # The server may also reset the connection before its answer has been read.
    assert "requires a client certificate" in said, said
    (tmp_path / "empty.pem").write_text("")
    said = refusal(tmp_path, with_tls(tls_redis, ssl_ca_certs=authority, ssl_certfile=str(tmp_path / "empty.pem")))
    assert "file" in said and said.count("\n") == 1, said


# Sentinels


@pytest.fixture
def sentinel(tmp_path):
    """A master with a replica, and a sentinel that knows them: `(servers, port)`. Users may not ask for the role."""
    user = ["gateway", "on", ">gateway", "~*", "&*", "+@all", "-role", "-info"]
    servers = [
        RedisServer(tmp_path / name, "--user", *user, "--repl-diskless-sync-delay", "0") for name in ("master", "replica")
    ]
    servers[1].client().replicaof("127.0.0.1", servers[0].port)
    port = free_port()
    file = tmp_path / "sentinel.conf"
    file.write_text(
        f"port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {servers[0].port} 1\n"
        "sentinel down-after-milliseconds main 2000\n"
    )
    process = subprocess.Popen(
        [shutil.which("redis-server"), str(file), "--sentinel", "--logfile", str(tmp_path / "sentinel.log")],
        stdout=subprocess.DEVNULL,
    )
    try:
        client = redis_py.Redis(port=port, decode_responses=True)

        def knows_a_replica() -> bool:
            with contextlib.suppress(redis_py.ConnectionError):
                return any(replica["flags"] == "slave" for replica in client.sentinel_slaves("main"))
            return False

        wait_until(knows_a_replica, 20, "the sentinel knows the replica")
        wait_until(lambda: servers[1].client().info("replication")["master_link_status"] == "up", 10)
        yield servers, port
    finally:
        process.terminate()
        process.wait(10)
        for server in servers:
            server.stop()


def test_a_fail_over_is_followed(sentinel, layer_gateway):
    servers, port = sentinel
    hosts = [
        {"master_name": "main", "sentinels": [["127.0.0.1", closed_port()], ["127.0.0.1", port]], "username": "gateway",
         "password": {"env": "PASSWORD"}}
    ]
    layers = [Layer((Host(server),), yaml_hosts=hosts) for server in servers]
    gateway = layer_gateway(layers[0], env={"PASSWORD": "gateway"})
    with gateway.session("lobby") as session:
        send(layers[0], "lobby", "from the first master")
        assert session.message() == "from the first master"
        redis_py.Redis(port=port).execute_command("SENTINEL", "FAILOVER", "main")
        wait_until(lambda: servers[1].client().info("replication")["role"] == "master", 30)
        wait_until(lambda: servers[0].client().info("replication")["role"] == "slave", 30)
        wait_until(lambda: layers[1].joined("chat_lobby") == 1 and gateway.is_ready(), 30)
        send_until_heard(layers[1], session, "lobby")
        session.say("from here")
        assert session.message() == "from here"
    # No attempt has left a connection behind.
    clients = [client for server in servers for client in server.client().client_list() if client["user"] == "gateway"]
    assert len(clients) == 2, clients
