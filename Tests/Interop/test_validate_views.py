"""`validate --connect` asks the views and the servers of `auth` in a file, and says in words what is wrong with them."""

import contextlib
import http.server
import json
import os
import re
import socket
import subprocess
import threading

import pytest
import requests

from conftest import SLUICE
from redis_stack import closed_port
from test_view_side import EXAMPLE, SECRET, Gunicorn, manage
from views import signed

ROUTE = """
      - path: ws/{name}/<int:room>/
        consumer: view
        url: "{url}"
        secret: {{env: SLUICE_SECRET}}
        timeout: 1s
"""


class Views(http.server.ThreadingHTTPServer):
    """Answers each path with what stands for it, and keeps what was asked."""

    def __init__(self, answers: dict, address=("127.0.0.1", 0), family=socket.AF_INET):
        self.address_family, self.answers, self.asked = family, answers, []
        # The names of those that do not look who asks.
        self.credulous: set[str] = set()
        self.never = threading.Event()
        super().__init__(address, Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def server_bind(self):
        if self.address_family == socket.AF_UNIX:
            self.socket.bind(self.server_address)
            self.server_name, self.server_port = "localhost", 80
        else:
            super().server_bind()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}/{{room}}/"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        name = self.path.split("/")[1]
        status, fields, text = self.server.answers[name]
        if status in (200, 204) and name not in self.server.credulous and not self.is_signed(body):
            status, fields, text = 401, {}, ""
        else:
            self.server.asked.append((self.path, dict(self.headers), body))
        if status is None:
            self.server.never.wait(20)
            return
        self.send_response(status)
        for name, value in {"Content-Length": len(text), **fields}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST

    def is_signed(self, body: bytes) -> bool:
        """True also for a question that has no signature at all, as over a Unix socket."""
        given = self.headers.get("X-Sluice-Signature")
        if given is None:
            return True
        wanted = signed(SECRET, self.headers["X-Sluice-Id"], self.path, body, int(self.headers["X-Sluice-Time"]))
        return given == wanted["X-Sluice-Signature"]

    def address_string(self):
        return "client"

    def log_message(self, *_):
        pass


JSON, HTML = {"Content-Type": "application/json"}, {"Content-Type": "text/html"}
# What the view answers, and what is said about it: a part of the message, and of the hint.
FAULTS = {
    "unauthorised": ((401, JSON, '{"error": "no signature fits"}'), '401: "no signature fits"', "the clocks of the two machines"),
    "csrf": ((403, HTML, "<h1>CSRF verification failed. Request aborted.</h1>"), "check of CSRF failed", "@csrf_exempt"),
    "rest": ((403, JSON, '{"detail": "Authentication credentials were not provided."}'), "403", "authentication_classes = []"),
    "missing": ((404, HTML, "<p>The requested resource was not found on this server.</p>"), "404", "urls.py"),
    "none": ((404, {}, ""), "404", "urls.py"),
    "method": ((405, {}, ""), "405", 'a method "post"'),
    "slash": ((301, {"Location": "/slash/1//"}, ""), "APPEND_SLASH", 'write the "/"'),
    "https": ((301, {"Location": "https://127.0.0.1/https/1/"}, ""), "SECURE_SSL_REDIRECT", "SECURE_PROXY_SSL_HEADER"),
    "login": ((302, {"Location": "/accounts/login/?next=/login/1/"}, ""), "the page for logging in", "let no login stand before"),
    "host": ((400, HTML, "<h1>Bad Request (400)</h1>"), "ALLOWED_HOSTS", "host: upstream"),
    "html": ((200, HTML, "<html>Welcome</html>"), "200 with text/html", "JsonResponse"),
    "rubbish": ((200, JSON, '{"dot": []}'), 'did you mean "do"?', ""),
    "raised": ((500, HTML, "<title>KeyError at /raised/</title> Django Version: 5"), "KeyError at /raised/", "the log of Django"),
    "busy": ((503, {}, ""), "503", "try again"),
    "slow": ((None, {}, ""), "in time", "look whether a worker"),
}  # fmt: skip


@pytest.fixture
def views():
    with contextlib.ExitStack() as stack:

        def serve(answers: dict, *more) -> Views:
            server = Views(answers, *more)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            stack.callback(server.never.set)
            return server

        yield serve


def validate(tmp_path, routes: str, *more: str, secret: str = SECRET, layer: str = "memory") -> tuple[int, str]:
    file = tmp_path / "routes.yaml"
    file.write_text(
        f"installed_apps: [view, echo]\nchannel_layers: {{default: {{backend: {layer}}}}}\napplications:\n  main:\n    websocket:\n{routes}\n"
    )
    command = [SLUICE, "validate", "--connect", str(file), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "SLUICE_SECRET": secret})
    assert done.stderr == ""
    return done.returncode, done.stdout


def findings(tmp_path, routes: str, **options) -> list[dict]:
    code, text = validate(tmp_path, routes, "--format", "json", **options)
    found = json.loads(text)["findings"]
    assert code == (1 if found else 0)
    return found


def test_a_view_that_answers(tmp_path, views):
    server = views({"good": (204, {}, ""), "json": (200, JSON, "{}")})
    socket_path = str(tmp_path / "app.sock")
    local = views({"local": (204, {}, "")}, socket_path, socket.AF_UNIX)
    routes = ROUTE.format(name="good", url=server.url("good") + "?key=1") + ROUTE.format(name="json", url=server.url("json"))
    routes += ROUTE.format(name="local", url=f"unix:{socket_path}:/local/{{room}}/").replace("secret: {env: SLUICE_SECRET}", "unsigned: true")
    code, text = validate(tmp_path, routes)
    assert code == 0 and text.endswith("routes; no Redis layer to try; asked 3 views)\n")
    asked = {path: (fields, json.loads(body), body) for path, fields, body in server.asked}
    assert set(asked) == {"/good/1/?key=1", "/json/1/"}
    fields, question, body = asked["/good/1/?key=1"]
    assert question["event"] == "check" and question["route"] == "ws/good/<int:room>/" and question["id"] == fields["X-Sluice-Id"]
    wanted = signed(SECRET, fields["X-Sluice-Id"], "/good/1/?key=1", body, int(fields["X-Sluice-Time"]))
    assert fields["X-Sluice-Signature"] == wanted["X-Sluice-Signature"]
    ((path, fields, _),) = local.asked
    assert path == "/local/1/" and "X-Sluice-Signature" not in fields


def test_what_is_wrong_is_said_in_words(tmp_path, views):
    server = views({name: answer for name, (answer, _, _) in FAULTS.items()})
    routes = "".join(ROUTE.format(name=name, url=server.url(name)) for name in FAULTS)
    gone = closed_port()
    routes += ROUTE.format(name="gone", url=f"http://127.0.0.1:{gone}/")
    found = findings(tmp_path, routes)
    expected = {**{name: fault[1:] for name, fault in FAULTS.items()}, "gone": ("refused", f"listen at 127.0.0.1:{gone},")}
    assert len(found) == len(expected)
    for finding, (name, (text, hint)) in zip(found, expected.items()):
        assert finding["code"] == "view-disagrees" and finding["severity"] == "error", finding
        assert (tmp_path / "routes.yaml").read_text().splitlines()[finding["line"] - 1] == f"      - path: ws/{name}/<int:room>/"
        assert text in finding["message"], (name, finding)
        assert hint in (finding["hint"] or ""), (name, finding)


def test_a_view_that_believes_everybody_is_warned_of(tmp_path, views):
    server = views({"good": (204, {}, ""), "credulous": (204, {}, ""), "json": (200, JSON, "{}")})
    server.credulous = {"credulous", "json"}
    code, text = validate(tmp_path, "".join(ROUTE.format(name=name, url=server.url(name)) for name in server.answers), "--format", "json")
    found = json.loads(text)["findings"]
    assert code == 0 and [(one["severity"], one["code"]) for one in found] == [("warning", "view-disagrees")] * 2
    assert "/credulous/" in found[0]["message"] and "204 to a question with a wrong signature" in found[0]["message"]
    assert "200 to a question" in found[1]["message"] and "X-Sluice-Signature" in found[1]["hint"]


def test_a_view_of_grip_is_not_asked(tmp_path, views):
    server = views({"grip": (400, {}, "no events"), "good": (204, {}, "")})
    grip = ROUTE.format(name="grip", url=server.url("grip")) + "        protocol: websocket-over-http\n"
    code, text = validate(tmp_path, grip + ROUTE.format(name="good", url=server.url("good")))
    assert code == 0 and text.endswith("asked 1 view; 1 view of websocket-over-http was not asked)\n"), text
    assert [path for path, _, _ in server.asked] == ["/good/1/"]


def test_the_host_is_one_that_clients_ask_for(tmp_path, views):
    server = views({"good": (204, {}, "")})
    route = ROUTE.format(name="good", url=server.url("good")) + '        allowed_hosts: ["https://chat.example.org"]\n'
    assert findings(tmp_path, route) == []
    assert findings(tmp_path, route + "        host: upstream\n") == []
    hosts = [fields["Host"] for _, fields, _ in server.asked]
    assert hosts == ["chat.example.org", f"127.0.0.1:{server.server_port}"]


# What a callback answers about a client without a cookie, and what is said about it.
CALLBACKS = {
    "nobody": ((401, JSON, '{"detail": "no"}'), None, None),
    "forbidden": ((403, JSON, '{"detail": "Authentication credentials were not provided."}'), None, None),
    "throttled": ((429, {"Retry-After": "5"}, ""), None, None),
    "guest": ((200, JSON, '{"user": "guest"}'), None, None),
    "missing": ((404, HTML, "<p>The requested resource was not found on this server.</p>"), "404", "urls.py"),
    "bare": ((404, {}, ""), "404", "urls.py"),
    "slash": ((301, {"Location": "/slash/me//"}, ""), "APPEND_SLASH", 'write the "/"'),
    "login": ((302, {"Location": "/accounts/login/?next=/login/me/"}, ""), "the page for logging in", "answer 401"),
    "moved": ((302, {"Location": "/elsewhere/"}, ""), "302 to /elsewhere/", "without a redirect"),
    "host": ((400, HTML, "<h1>Bad Request (400)</h1>"), "ALLOWED_HOSTS", "allowed_hosts"),
    "html": ((200, HTML, "<html>Welcome</html>"), "200 without a JSON object", "JsonResponse"),
    "empty": ((204, {}, ""), "204, which names no user", "401 where nobody is logged in"),
    "nil": ((200, JSON, '{"id": null}'), '"id" is null', "401 where nobody is logged in"),
    "other": ((200, JSON, '{"pk": 5}'), 'it has "pk"', "user: NAME"),
    "method": ((405, {}, ""), "405", "with GET"),
    "raised": ((500, HTML, "<title>KeyError at /raised/</title> Django Version: 5"), "KeyError at /raised/", "the log of Django"),
    "broken": ((500, {}, ""), "500", "the log of the server"),
    "slow": ((None, {}, ""), "in time", "look whether a worker"),
}  # fmt: skip


def authenticated(tmp_path, auth: str, routes: str) -> tuple[int, dict]:
    file = tmp_path / "routes.yaml"
    file.write_text(f"installed_apps: [echo]\nauth:\n{auth}\napplications:\n  main:\n    websocket:\n{routes}\n")
    done = subprocess.run([SLUICE, "validate", "--connect", "--format", "json", str(file)], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)["findings"]


def test_a_callback_is_asked_about_a_client_without_a_cookie(tmp_path, views):
    server = views({name: answer for name, (answer, _, _) in CALLBACKS.items()})
    server.credulous = set(CALLBACKS)
    gone, socket_path = closed_port(), tmp_path / "none.sock"
    urls = {name: f"http://127.0.0.1:{server.server_port}/{name}/me/" for name in CALLBACKS}
    urls |= {"gone": f"http://127.0.0.1:{gone}/me/", "socket": f"unix:{socket_path}:/me/", "name": "http://no-such-host.invalid/me/"}
    auth = "".join(f"  {name}: {{callback: {{url: '{url}', timeout: 1s}}}}\n" for name, url in urls.items())
    # Two routes with one callback ask it once.
    routes = "".join(f"      - {{path: {path}/{name}/, consumer: echo, auth: {name}}}\n" for name in urls for path in ("a", "b"))
    code, found = authenticated(tmp_path, auth, routes)
    expected = {name: (text, hint) for name, (_, text, hint) in CALLBACKS.items() if text}
    expected |= {"gone": ("refused", f"listen at 127.0.0.1:{gone},"), "socket": ("No such file", f"unix:{socket_path}")}
    expected |= {"name": ('"no-such-host.invalid" cannot be resolved', "getent hosts no-such-host.invalid")}
    assert code == 1 and [one["message"].split('"')[1] for one in found] == list(expected)
    for finding, (name, (text, hint)) in zip(found, expected.items()):
        assert (finding["code"], finding["severity"]) == ("auth-disagrees", "error"), finding
        assert (tmp_path / "routes.yaml").read_text().splitlines()[finding["line"] - 1].startswith(f"  {name}: ")
        assert finding["message"].startswith(f'the callback of auth "{name}", {urls[name]}: '), finding
        assert text in finding["message"], (name, finding)
        assert hint in (finding["hint"] or ""), (name, finding)
    assert sorted(path for path, _, _ in server.asked) == sorted(f"/{name}/me/" for name in CALLBACKS)
    for path, fields, _ in server.asked:
        assert fields["X-Forwarded-Uri"] == f"/a{path.removesuffix('me/')}" and fields["X-Forwarded-Proto"] == "https"
        assert "Cookie" not in fields and "Authorization" not in fields


def test_a_permission_and_a_key_set_are_asked(tmp_path, views):
    page = '<h1>Page not found</h1> You\'re seeing this because you have <code>DEBUG = True</code>. {} match any of these.'
    answers = {
        "may": (204, {}, ""), "not": (403, {}, ""), "gone": (404, JSON, '{"detail": "no such room"}'),
        "page": (404, HTML, "<p>The requested resource was not found on this server.</p>"), "debug": (404, HTML, page),
        "raises": (500, {}, ""), "keys": (200, JSON, '{"keys": []}'), "html": (200, HTML, "<html>"),
    }  # fmt: skip
    server = views(answers)
    server.credulous = set(answers)
    auth = "".join(
        f"  {name}: {{jwt: {{jwks: 'http://127.0.0.1:{server.server_port}/{name}/set.json'}}}}\n" for name in ("keys", "html")
    )
    names = ["may", "not", "gone", "page", "debug", "raises"]
    routes = "".join(
        f"      - {{path: '{name}/<int:room>/', consumer: echo, auth: html, permission: {{url: '{server.url(name)}'}}}}\n" for name in names
    )
    code, found = authenticated(tmp_path, auth, routes + "      - {path: x/, consumer: echo, auth: keys}\n")
    name = re.compile(r"http://[^/]+/(\w+)/")
    said = {name.search(one["message"])[1]: (one["severity"], one["message"], one["hint"] or "") for one in found}
    assert code == 1 and set(said) == {"page", "debug", "raises", "keys", "html"}, found
    assert said["page"][0] == "warning" and "/page/1/" in said["page"][1] and "urls.py" in said["page"][2]
    assert said["debug"][0] == "error" and "urls.py" in said["debug"][2]
    assert said["raises"][0] == "warning" and "without a user" in said["raises"][1]
    assert said["html"][0] == said["keys"][0] == "error"
    asked = {path: fields for path, fields, _ in server.asked}
    assert set(asked) == {f"/{name}/1/" for name in names} | {"/keys/set.json", "/html/set.json"}
    assert not [name for name in asked["/may/1/"] if name.lower().startswith("x-sluice")]


def test_it_says_that_django_was_not_tried(tmp_path, views):
    code, text = validate(tmp_path, "      - {path: ws/, consumer: echo}", "--django", "site.settings")
    # A layer in memory is out of Django's reach, which is a finding.
    assert code == 1 and text.endswith("no Redis layer to try, so Django was not tried\n")


def test_a_real_project(tmp_path):
    env = {"DEBUG": "1", "SLUICE_SECRET": SECRET, "DATABASE": str(tmp_path / "db.sqlite3"), "PYTHONDONTWRITEBYTECODE": "1"}
    manage(env, "migrate", "--verbosity", "0")
    web = Gunicorn(tmp_path, EXAMPLE, "config.wsgi", DEBUG="1")
    try:
        route = "      - {{path: 'ws/<slug:room>/', consumer: view, url: '{url}', secret: {{env: SLUICE_SECRET}}}}"
        good = route.format(url=web.url("/ws/rooms/{room}/"))
        assert findings(tmp_path, good) == []
        (finding,) = findings(tmp_path, good, secret="another secret of that length")
        assert "401" in finding["message"] and "SLUICE_SECRETS" in finding["message"], finding
        (finding,) = findings(tmp_path, route.format(url=web.url("/ws/nothing/{room}/")))
        assert "404" in finding["message"] and "urls.py" in finding["hint"], finding
    finally:
        web.stop()


def test_no_proxy_passes_on_what_only_sluice_may_say(start, views):
    server = views({"x": (204, {}, "")})
    gateway = start(
        text=f"""
installed_apps: [proxy]
applications:
  main:
    http: [{{path: "", proxy: "http://127.0.0.1:{server.server_port}"}}]
    websocket: [{{path: x/, consumer: proxy, to: "ws://127.0.0.1:{server.server_port}"}}]
"""
    )
    forged = {"X-Sluice-Signature": "v1=0", "X-Sluice-Id": "1", "X-Sluice-Time": "1", "X-Sluice-User": "1", "X-Kept": "1", "X_Sluice_Id": "2"}
    assert requests.post(gateway.http("/x/"), b"{}", headers=forged, timeout=20).status_code == 204
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    assert requests.get(gateway.http("/x/"), headers=forged | upgrade | {"Content-Length": "0"}, timeout=20).status_code in (204, 502)
    for _, fields, _ in server.asked:
        names = [name.lower() for name in fields]
        assert "x-kept" in names and not [name for name in names if "sluice" in name], fields
    assert len(server.asked) == 2
