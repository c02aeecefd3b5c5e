"""A server that nobody reaches: each line about it says at which address, and what to do, whoever has asked."""

import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from redis_stack import closed_port

ROUTES = """
installed_apps: [view, proxy, echo]
channel_layers: {default: {backend: memory}}
auth:
  port: {callback: {url: "http://127.0.0.1:PORT/api/me/"}}
  file: {callback: {url: "unix:NONE:/api/me/"}}
  name: {callback: {url: "http://no-such-host.invalid/api/me/"}}
applications:
  main:
    http:
      - {path: "proxy/port/", proxy: "http://127.0.0.1:PORT"}
      - {path: "proxy/file/", proxy: "unix:OTHER"}
      - {path: "proxy/name/", proxy: "http://no-such-host.invalid"}
    websocket:
      - {path: view/port/, consumer: view, url: "http://127.0.0.1:PORT/ws/", secret: {env: SLUICE_SECRET}}
      - {path: view/file/, consumer: view, url: "unix:NONE:/ws/", unsigned: true}
      - {path: view/name/, consumer: view, url: "http://no-such-host.invalid/ws/", secret: {env: SLUICE_SECRET}}
      - {path: auth/port/, consumer: echo, auth: port}
      - {path: auth/file/, consumer: echo, auth: file}
      - {path: auth/name/, consumer: echo, auth: name}
      - {path: to/port/, consumer: proxy, to: "ws://127.0.0.1:PORT"}
      - {path: to/name/, consumer: proxy, to: "ws://no-such-host.invalid"}
"""
PLACES = {
    "port": ('reason="Connection refused"', "start the server that should listen at 127.0.0.1:{port},"),
    "file": ('reason="No such file or directory"', "gunicorn --bind unix:{file}"),
    "name": ("cannot be resolved", "getent hosts no-such-host.invalid"),
}


@pytest.fixture(scope="module")
def port():
    return closed_port()


def test_each_line_names_the_address_and_what_to_do(start, tmp_path, port):
    text = ROUTES.replace("PORT", str(port)).replace("NONE", str(tmp_path / "none.sock")).replace("OTHER", str(tmp_path / "other.sock"))
    gateway = start(text=text, env={"SLUICE_SECRET": "0123456789abcdef0123456789abcdef"})
    for asker in ("view", "auth", "to", "proxy"):
        for place, (reason, hint) in PLACES.items():
            if (asker, place) == ("to", "file"):
                continue
            if asker == "proxy":
                assert requests.get(gateway.http(f"/proxy/{place}/"), timeout=20).status_code == 502
            else:
                with pytest.raises(InvalidStatus) as refused:
                    connect(gateway.ws(f"/{asker}/{place}/"), proxy=None, open_timeout=20)
                assert refused.value.response.status_code == (502 if asker == "to" else 503)
            who = f"auth={place}" if asker == "auth" else f"route={asker}/{place}/"
            hint = hint.format(port=port, file=tmp_path / ("other.sock" if asker == "proxy" else "none.sock"))
            assert gateway.says("an upstream did not answer as expected", who, reason, hint), gateway.log
    # The line about a view that is away has it, too.
    assert gateway.says("a view does not answer", "route=view/port/", f"should listen at 127.0.0.1:{port},")
