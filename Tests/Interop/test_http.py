"""The HTTP side of the port."""

import os

import pytest
import requests

from clients import connect, frame, handshake, read_frame, read_head, status_of

SITE = """
installed_apps: [echo]
applications:
  main:
    http:
      - {path: hello/, respond: hello}
      - {path: made/, respond: {status: 201, json: {a: 1}, headers: {X-Note: "yes"}}}
      - {path: "old/<str:x>/", redirect: {to: "/new/{x}/", status: 308}}
      - {path: health/live, health: live}
      - {path: health/ready, health: ready}
      - {path: files/, static: site}
      - {path: "", static: site}
    websocket:
      - {path: ws/echo/, consumer: echo}
"""


@pytest.fixture
def site(start, tmp_path):
    folder = tmp_path / "site"
    (folder / "sub").mkdir(parents=True)
    (folder / "index.html").write_text("<h1>front</h1>")
    (folder / "sub/index.html").write_text("<h1>below</h1>")
    (folder / "app.js").write_text("let a = 1")
    (folder / "style.css").write_text("a {}")
    (folder / "ü b.txt").write_text("named")
    (folder / ".secret").write_text("no")
    (tmp_path / "outside.txt").write_text("no")
    os.symlink(tmp_path / "outside.txt", folder / "link.txt")
    os.symlink(folder / "app.js", folder / "inside.js")
    file = tmp_path / "site.yaml"
    file.write_text(SITE)
    return start(file=file)


def test_files_come_with_their_types(site):
    for path, kind in [("/", "text/html"), ("/app.js", "javascript"), ("/style.css", "text/css"), ("/inside.js", "javascript")]:
        answer = requests.get(site.http(path))
        assert answer.status_code == 200
        assert kind in answer.headers["Content-Type"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert requests.get(site.http("/%C3%BC%20b.txt")).text == "named"
    assert requests.get(site.http("/sub/")).text == "<h1>below</h1>"
    assert requests.get(site.http("/files/app.js")).text == "let a = 1"


def test_a_folder_without_its_slash_is_sent_to_it(site):
    for path in ["/sub", "/files/sub"]:
        answer = requests.get(site.http(path), allow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (301, path + "/")


def test_conditions_and_ranges(site):
    first = requests.get(site.http("/app.js"))
    again = requests.get(site.http("/app.js"), headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    part = requests.get(site.http("/app.js"), headers={"Range": "bytes=4-6"})
    assert (part.status_code, part.text) == (206, "a =")
    assert requests.head(site.http("/app.js")).headers["Content-Length"] == "9"
    assert requests.post(site.http("/app.js")).status_code == 405


@pytest.mark.parametrize(
    "path",
    ["/../outside.txt", "/%2e%2e/outside.txt", "/..%2foutside.txt", "/sub/../../outside.txt", "/link.txt", "/.secret",
     "/%00", "/sub/%2e%2e%2f%2e%2e%2foutside.txt", "/nothing"],
)
def test_nothing_outside_is_served(site, path):
    request = f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    assert status_of(site.port, request) in (400, 404)


def test_fixed_answers_redirects_and_health(site):
    assert requests.get(site.http("/hello/")).text == "hello"
    made = requests.get(site.http("/made/"))
    assert (made.status_code, made.json(), made.headers["X-Note"]) == (201, {"a": 1}, "yes")
    moved = requests.get(site.http("/old/a%20b/?q=1"), allow_redirects=False)
    assert (moved.status_code, moved.headers["Location"]) == (308, "/new/a%20b/?q=1")
    assert requests.get(site.http("/health/live")).status_code == 200
    assert requests.get(site.http("/health/ready")).status_code == 200
    assert requests.get(site.http("/nothing/")).status_code == 404


def test_a_socket_path_asks_for_an_upgrade(site):
    answer = requests.get(site.http("/ws/echo/"))
    assert (answer.status_code, answer.headers["Upgrade"]) == (426, "websocket")


def test_requests_on_one_connection_and_then_a_socket(site):
    with connect(site.port) as sock:
        sock.sendall(b"GET /hello/ HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
        for _ in range(3):
            head = read_head(sock)
            assert head.startswith("HTTP/1.1 200")
            assert sock.recv(5) == b"hello"
        sock.sendall(handshake("/ws/echo/"))
        assert read_head(sock).startswith("HTTP/1.1 101")
        sock.sendall(frame(1, b"over here"))
        assert read_frame(sock) == (1, b"over here")
