"""`consumer: view`: the secret is changed while sessions are open and messages flow."""

import asyncio
import json

import pytest

from redis_stack import wait_until
from test_view_kills import Crowd, admitted, closed, journal, refused, routes, session
from views import SyncProject

OLD, NEW = "the secret that was there all the time", "the secret that takes its place"
BOTH = "secret: [{env: NEW_SECRET}, {env: OLD_SECRET}]"


class Changing(SyncProject):
    """gunicorn, whose workers read the secrets in a file when they begin."""

    def __init__(self, home, *others):
        *others, env = others
        self.file = home.parent / "secrets"
        self.file.write_text(OLD)
        super().__init__(home, *others, env | {"SLUICE_SECRETS": str(self.file)})

    def know(self, *secrets: str) -> None:
        self.file.write_text("\n".join(secrets))
        self.reload()


@pytest.fixture
def web(house):
    web = house.server(Changing)
    web.know(OLD)
    return web


@pytest.fixture
def gateway_with(start, web):
    """`gateway_with(secret)` asks the view and signs with these secrets."""

    def begin(secret: str):
        text = routes(web.url(""), "timeout: 20s", handshake="20s").replace("secret: {env: SLUICE_SECRET}", secret)
        return start(text=text, env={"OLD_SECRET": OLD, "NEW_SECRET": NEW})

    return begin


def test_a_secret_is_changed_under_open_sessions(house, web, gateway_with):
    """The file has both; the view knows the old one, then both, then the new one. Each message is handled once, and no question is refused."""
    gateway = gateway_with(BOTH)
    crowd = Crowd(gateway, "changed")
    crowd.go_on = True

    def change() -> None:
        try:
            for secrets in [[OLD], [OLD, NEW], [NEW]]:
                web.know(*secrets)
                heard = crowd.heard
                wait_until(lambda: crowd.heard > heard + 200, 60, "messages are handled")
        finally:
            crowd.go_on = False

    asyncio.run(crowd.run(20, 10, ahead=2, meanwhile=change))
    assert crowd.closed == [] and len(crowd.addresses) == 20
    for address, entries in journal(house, crowd.addresses).items():
        assert [row["n"] for row in entries] == list(range(1, len(entries) + 1)) and len(entries) >= crowd.sent[address] >= 10, address
    wait_until(lambda: house.addresses("journal.Going") >= set(crowd.addresses), 60, "every end is reported")
    assert not any("did not" in line for line in gateway.log), "\n".join(gateway.log)
    # The old one is taken out of the file last.
    with session(gateway_with("secret: {env: NEW_SECRET}"), "changed") as one:
        assert list(json.loads(one.recv(timeout=20))) == ["hello"]


def test_in_the_wrong_order_the_log_says_what_to_compare(house, web, gateway_with):
    """The view has the new secret alone, of which the file says nothing. When it knows the old one again, it is told of the end, too."""
    gateway = gateway_with("secret: {env: OLD_SECRET}")
    with session(gateway, "wrong") as one:
        address = json.loads(one.recv(timeout=20))["hello"]
        web.know(NEW)
        one.send("hello")
        assert closed(one)[0] == 1011
    for event in ["receive", "disconnect"]:
        assert gateway.says("the view did not accept the signature", "compare the secret of the route with the view's", f"event={event}")
    assert refused(gateway, "wrong").status_code == 503
    assert address not in house.addresses("journal.Going")
    web.know(NEW, OLD)
    wait_until(lambda: address in house.addresses("journal.Going"), 60, "its end is reported")
    with wait_until(lambda: admitted(gateway, "wrong"), 20, "clients come in again") as one:
        assert list(json.loads(one.recv(timeout=20))) == ["hello"]
        one.send("hello")
        assert json.loads(one.recv(timeout=20))["n"] == 1
    # What was refused was not handled.
    assert journal(house, [address])[address] == []
