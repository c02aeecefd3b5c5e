"""`consumer: view` over https: gunicorn with a certificate of an authority that only the route trusts."""

import json
import os
import signal
import subprocess
import threading

import pytest

from certificates import Authority
from conftest import SLUICE
from listeners import Cable
from redis_stack import wait_until
from test_view_kills import admitted, gateway_to, refused, routes, servers, session  # noqa: F401
from views import SECRET, SyncProject

# The tests' own requests go to 127.0.0.1, which is not the name in the certificate.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("authority"))
    authority.issue("view", "localhost")
    return authority


@pytest.fixture(scope="module")
def secure(house, authority):
    """Its workers have threads: sync workers keep no connection."""

    class Secure(SyncProject):
        scheme, authority = "https", False

        def server(self, site, home):
            files = ["--certfile", str(folder / "view.pem"), "--keyfile", str(folder / "view.key")]
            return [*super().server(site, home), *files, "--threads", "4", "--keep-alive", "10"]

    folder = authority.folder
    return house.server(Secure)


@pytest.fixture
def cable(servers, secure):  # noqa: F811
    """In front of the view: it counts the connections, each of which begins with a handshake."""
    servers.append(Cable(secure.port))
    return servers[-1]


def place(port: int, host: str = "localhost") -> str:
    return f"https://{host}:{port}"


def trusting(authority: Authority, more: str = "") -> str:
    return f"tls: {{ca: {authority.file}}}\n        {more}"


def journal(house, address: str) -> list[tuple[int, str]]:
    return [(row["n"], row["text"]) for row in house.rows("journal.Entry") if row["address"] == address]


def test_a_session(gateway_to, house, authority, secure):  # noqa: F811
    gateway = gateway_to(place(secure.port), trusting(authority, "timeout: 20s"), handshake="20s")
    with session(gateway) as one:
        address = json.loads(one.recv(timeout=20))["hello"]
        for number in range(1, 4):
            one.send(f"message {number}")
            assert json.loads(one.recv(timeout=20)) == {"n": number, "text": f"message {number}"}
        one.close(4001)
    wait_until(lambda: address in house.addresses("journal.Going"), 20, "its end is reported")
    assert journal(house, address) == [(number, f"message {number}") for number in range(1, 4)]
    (end,) = [row for row in house.rows("journal.Going") if row["address"] == address]
    assert (end["code"], end["state"]) == (4001, {"last": 3})
    assert not any("did not answer as expected" in line for line in gateway.log)


def test_connections_are_kept(gateway_to, house, authority, cable):  # noqa: F811
    """Hundreds of questions, and a few handshakes: hardly more than there are questions at a time."""
    gateway = gateway_to(place(cable.port), trusting(authority, "timeout: 20s"), handshake="20s")
    crowd = [session(gateway, "kept") for _ in range(10)]
    addresses = [json.loads(one.recv(timeout=20))["hello"] for one in crowd]
    for one in crowd:
        for number in range(50):
            one.send(str(number))
    for one in crowd:
        assert [json.loads(one.recv(timeout=40))["n"] for _ in range(50)] == list(range(1, 51))
    for one in crowd:
        one.close()
    wait_until(lambda: house.addresses("journal.Going") >= set(addresses), 40, "all ends are reported")
    questions, handshakes = 10 * 52, len(cable.connections)
    print(f"{questions} questions, {handshakes} handshakes")
    assert 0 < handshakes <= questions / 10


@pytest.mark.parametrize("host, trusted, words", [
    ("127.0.0.1", "view", "the certificate of the server is for another name"), ("localhost", "other", "the certificate of the server is not trusted: its authority has the name of a known one, and another key"),
    ("localhost", "system", "the certificate of the server is not trusted"),
])  # fmt: skip
def test_a_certificate_that_is_not_accepted(gateway_to, house, authority, secure, tmp_path, host, trusted, words):  # noqa: F811
    came = house.addresses("journal.Coming")
    trust = {"view": trusting(authority), "other": trusting(Authority(tmp_path)), "system": ""}[trusted]
    gateway = gateway_to(place(secure.port, host), trust)
    assert refused(gateway).status_code == 503
    assert gateway.says("an upstream did not answer as expected", place(secure.port, host), words, "tls: {ca: FILE}"), "\n".join(gateway.log)
    # The view has heard of nobody, so it is told of no end either.
    assert house.addresses("journal.Coming") == came
    file = tmp_path / "routes.yaml"
    file.write_text(routes(place(secure.port, host), trust))
    done = subprocess.run([SLUICE, "validate", "--connect", file], capture_output=True, text=True, env={**os.environ, "SLUICE_SECRET": SECRET}, timeout=60)
    said = done.stdout + done.stderr
    assert done.returncode != 0 and words.partition(":")[0] in said and "tls: {ca: FILE}" in said, said


def test_a_reload_reads_the_authorities_again(gateway_to, house, authority, secure, tmp_path):  # noqa: F811
    right, other, file = authority.file.read_bytes(), Authority(tmp_path).file.read_bytes(), tmp_path / "trusted.pem"
    file.write_bytes(other)
    gateway = gateway_to(place(secure.port), f"tls: {{ca: {file}}}\n")
    assert refused(gateway).status_code == 503

    def trust(authorities: bytes) -> None:
        file.write_bytes(authorities)
        count = sum("the file was reloaded" in line for line in gateway.log)
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: sum("the file was reloaded" in line for line in gateway.log) > count, 20, "the reload")

    trust(right)
    one = wait_until(lambda: admitted(gateway, "a"), 20, "the view is asked")
    # Nor is a connection used on that was made while others were trusted.
    trust(other)
    assert refused(gateway).status_code == 503
    one.close()


@pytest.mark.parametrize("how", ["ends", "is silent"])
def test_a_view_that_goes_away_in_the_middle_of_the_handshake(gateway_to, house, authority, cable, how):  # noqa: F811
    """Nothing was asked, so the session waits, and goes on when the view is there again. Nothing is done twice."""
    gateway, mended, cuts = gateway_to(place(cable.port), trusting(authority, "timeout: 3s")), threading.Event(), []

    def cut(sock) -> bool:
        cuts.append(sock)
        return how == "ends" or mended.wait(60)

    with wait_until(lambda: admitted(gateway, "cut"), 20, "a client is let in") as one:
        address = json.loads(one.recv(timeout=20))["hello"]
        cable.cut = cut
        cable.drop()
        one.send("hello")
        assert gateway.says("an upstream did not answer as expected", "receive"), gateway.log
        refusal = refused(gateway, "cut")
        assert refusal.status_code == 503
        assert one.ping().wait(10)
        cable.cut = lambda sock: False
        mended.set()
        assert json.loads(one.recv(timeout=40)) == {"n": 1, "text": "hello"}
        with wait_until(lambda: admitted(gateway, "cut"), 20, "another client is let in") as other:
            other.recv(timeout=20)
        assert len(cuts) >= 2
    assert journal(house, address) == [(1, "hello")]
    wait_until(lambda: address in house.addresses("journal.Going"), 20, "its end is reported")
