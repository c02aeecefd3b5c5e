"""What `sluice codes` prints, and the clients of the manual and of the examples that know some of the close codes."""

import json
import re
import socket
import subprocess

import pytest

import reference
from clients import handshake
from conftest import SLUICE, Gateway

CLIENTS = reference.CLIENTS
ADVICE = {"yes", "yes, after a while", "with a new token", "no", "as the application defines it", ""}


@pytest.fixture(scope="module")
def advice():
    """By close code, whether a client should reconnect."""
    codes = {}
    for code, _, _, advice, _ in reference.rows("Close codes"):
        assert codes.setdefault(code, advice) == advice, code
    return {int(code): advice for code, advice in codes.items() if code.isdigit()}


def run(*arguments):
    return subprocess.run([SLUICE, "codes", *arguments], capture_output=True, text=True, timeout=20)


def test_a_code_is_told_of_with_its_text_and_what_to_do():
    told = run("1013")
    assert told.returncode == 0 and told.stdout.startswith("Close codes\n  1013  the client reads too slowly: messages were dropped\n")
    assert told.stdout.count("Reconnect: yes, after a while.") == 5
    assert "Use GET to read an event stream." in run("405").stdout
    # Codes that the gateway passes on, or that only a browser reports.
    assert [(code, run(code).returncode) for code in ("1000", "1006", "1011", "4000")] == [
        ("1000", 0), ("1006", 0), ("1011", 0), ("4000", 0)]
    assert "My client cannot connect" in run("1006").stdout
    wrong = run("1005")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == 'sluice: Sluice has no code "1005"; sluice codes lists all of them\n'
    assert run("1013", "--format", "markdown").returncode == 2


def test_every_row_has_advice(advice):
    assert set(advice.values()) <= ADVICE and advice[4403] == "no"
    assert {again for _, _, _, _, again, _ in reference.rows("Refusals")} <= ADVICE


def test_a_refusal_that_becomes_a_close_has_a_code_of_the_table(advice):
    closes = {(status, close) for status, close, *_ in reference.rows("Refusals") if close}
    assert {close for _, close in closes} == {"4400", "4401", "4403", "4404", "4429", "4503", "by the status"}
    assert {int(close) for _, close in closes if close.isdigit()} <= advice.keys()
    assert all(close == f"4{status}" for status, close in closes if status in {"400", "401", "403", "404", "429", "503"})
    assert "With refusals: close: 4404." in run("404").stdout


def test_the_clients_stop_at_the_codes_after_which_connecting_again_is_of_no_use(advice):
    final = {code for code, again in advice.items() if again in ("no", "with a new token")}
    assert reference.final_codes() == sorted(final)
    lists = {path: reference.FINAL.findall(path.read_text()) for path in CLIENTS}
    assert sum(map(len, lists.values())) >= 2
    for path, found in lists.items():
        for codes in found:
            assert {int(code) for code in codes.split(",")} == final, path
    single = {(path, int(code)) for path in CLIENTS for code in re.findall(r"\bcode === (\d{4})\b", path.read_text())}
    assert len(single) >= 2
    assert [(path, code) for path, code in single if code not in final] == []


ROUTES = """
installed_apps: [echo, proxy]
server: {bind: "127.0.0.1:0"}
channel_layers: {default: {backend: memory}}
logging: {format: json, level: debug}
limits: {handshake: 300ms}
auth:
  users: {jwt: {secret: {env: SECRET}}}
applications:
  main:
    http:
      - {path: "files/", static: FOLDER}
      - {path: "up/", proxy: {to: "http://127.0.0.1:MUTE", body: 1KiB, read_timeout: 200ms}}
      - {path: "down/", proxy: {to: "http://127.0.0.1:1"}}
      - {path: "api/", publish: {groups: ["g_*"], token: {env: SECRET}, body: 1KiB}}
      - {path: "mine/", auth: users, publish: {groups: ["g_*"]}}
      - {path: "events/", events: news}
    websocket:
      - {path: ws/echo/, consumer: echo}
      - {path: ws/me/, consumer: echo, auth: users}
      - {path: "ws/up/<path:rest>", consumer: proxy, to: "ws://127.0.0.1:MUTE"}
      - {path: ws/down/, consumer: proxy, to: "ws://127.0.0.1:1"}
"""
SECRET = "0123456789abcdef0123456789abcdef"


def plain(method, path, *fields, body=""):
    length = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *length, *fields, "", body]).encode()


def publish(path, body, *fields):
    return plain("POST", path, f"Authorization: Bearer {SECRET}", "Content-Type: application/json", *fields, body=body)


def refusals():
    """Requests that are refused."""
    evil = "Origin: https://evil.example"
    yield from (
        b"GET / HTTP", b"\x16\x03\x01\x00\x05", plain("CONNECT", "a:443"), plain("GET", "*"), plain("GET", "/%zz"),
        plain("GET", "/nothing"), plain("GET", "/ws/echo/"), plain("PUT", "/files/put", body="x"), plain("PUT", "/files/a.txt", body="x"),
        plain("GET", "/files/a.txt", 'If-Match: "other"'), plain("GET", "/files/a.txt", "Range: bytes=100-"),
        plain("GET", "/up/a/../b"), plain("POST", "/up/large", body="x" * 2000), plain("TRACE", "/up/trace", body="x"),
        plain("GET", "/up/late"), plain("GET", "/down/x"), plain("PUT", "/events/", body="x"),
        plain("OPTIONS", "/events/", evil), plain("OPTIONS", "/events/", evil, evil), plain("GET", "/events/", evil),
        plain("OPTIONS", "/api/", evil), publish("/api/other", "{}"),
        publish("/api", "{}"), plain("GET", "/api/", f"Authorization: Bearer {SECRET}"), publish("/api/", "x" * 2000),
        publish("/api/", "{}").replace(b"application/json", b"text/plain"), publish("/api/", "{"),
        publish("/api/", '{"group": "h", "message": 1}'), plain("POST", "/api/", body="{}"),
        publish("/api/", "{}").replace(SECRET.encode(), b"wrong"), plain("POST", "/mine/", body="{}"), publish("/mine/", "{}"),
        plain("POST", "/api/", f"Authorization: Bearer {SECRET}", "Content-Length: 2"),
        handshake("/ws/nothing/"), handshake("/ws/me/"), handshake("/ws/echo/", evil), handshake("/ws/up/../x"),
        handshake("/ws/up/late"), handshake("/ws/down/"), handshake("/ws/echo/", leave_out="Sec-WebSocket-Key"),
    )


def answer_of(sock):
    """The status, and the text in the body."""
    with sock.makefile("rb") as stream:
        status = stream.readline().split(b" ")[1].decode()
        fields = dict(line.lower().split(b": ", 1) for line in iter(stream.readline, b"\r\n"))
        body = stream.read(int(fields[b"content-length"])).decode()
    return status, json.loads(body)["error"] if body.startswith("{") else body.removesuffix("\n")


def test_the_lines_about_refusals_have_the_levels_of_their_rows(tmp_path):
    """In both directions: a refusal has a line at the level of its row, or none, and each line has a row."""
    (tmp_path / "a.txt").write_text("0123456789")
    rows = [(status, re.escape(text.strip("`")), level) for status, _, text, _, _, level in reference.rows("Refusals")]
    rows = [(status, re.compile(re.sub("WHY|STATUS|METHOD", ".*", text)), level) for status, text, level in rows]

    def level_of(status, text):
        """The one of the row that says most of the text."""
        fitting = [(len(pattern.pattern), level) for code, pattern, level in rows if code == status and pattern.fullmatch(text)]
        assert fitting, (status, text)
        return max(fitting)[1]

    with socket.create_server(("127.0.0.1", 0)) as mute:
        file = tmp_path / "routes.yaml"
        file.write_text(ROUTES.replace("FOLDER", str(tmp_path)).replace("MUTE", str(mute.getsockname()[1])))
        gateway = Gateway(file, bind=None, env={"SECRET": SECRET})
        refused = {}
        try:
            for request in refusals():
                with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as client:
                    client.sendall(request)
                    path = request.split(b" ")[1].decode() if request.count(b" ") > 1 else None
                    refused["127.0.0.1:%d" % client.getsockname()[1]] = (path, *answer_of(client))
        finally:
            gateway.stop()
    lines = [json.loads(line) for line in gateway.log]
    for peer, (path, status, text) in refused.items():
        found = {line["level"] for line in lines if line.get("peer") == peer}
        if not found:
            # What failed is the upstream, and the line names no client.
            found = {line["level"] for line in lines if (line.get("path"), line.get("status")) == (path, int(status)) and "upstream" in line}
        level = level_of(status, text)
        assert found == ({level} if level else set()), (path, status, text)
    told = [line for line in lines if line["message"] == "refused"]
    assert len(told) > 20 and all(level_of(str(line["status"]), line["reason"]) == line["level"] for line in told)
