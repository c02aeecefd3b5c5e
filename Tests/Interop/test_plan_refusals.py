"""What a plan for a running gateway knows besides the routes: addresses in use, certificates, the command line, and who is coming in."""

import hashlib
import json
import pathlib
import signal
import socket
import ssl
import subprocess

import pytest

from certificates import Authority
from clients import handshake, open_session, read_close
from conftest import SLUICE
from redis_stack import wait_until
from test_admin import curl, only_socket

ROUTES = """
installed_apps: [echo, proxy, chat]
channel_layers: {default: {backend: memory}}
applications: {main: {websocket: [%s]}}
"""
ECHO = "{path: echo/, consumer: echo}"


class Scene:
    """A gateway, its file, and its socket for commands."""

    def __init__(self, start, folder, runtime, text: str, bind: str | None = "127.0.0.1:0"):
        self.file, self.runtime = folder / "routes.yaml", runtime
        self.file.write_text(text)
        self.gateway = start(file=self.file, env={"RUNTIME_DIRECTORY": str(runtime)}, bind=bind)

    def ask(self, what: str, body: dict | None = None) -> tuple[int, dict]:
        return curl(only_socket(self.runtime), "-X", "POST", *(["-d", json.dumps(body)] if body else []), f"http://a/{what}")

    def status(self) -> dict:
        return curl(only_socket(self.runtime), "http://a/status")[1]

    def plan(self, text: str | None = None) -> dict:
        if text is not None:
            self.file.write_text(text)
        code, body = self.ask("plan")
        assert code == 200, body
        return {**body, "json": json.loads(body["rendered"]["json"]), "text": body["rendered"]["text"]}


@pytest.fixture
def scene(start, tmp_path, tmp_path_factory):
    return lambda text, **options: Scene(start, tmp_path, tmp_path_factory.mktemp("r"), text, **options)


def server(*bind: str, more: str = "") -> str:
    return "server: {bind: [" + ", ".join(f'"{address}"' for address in bind) + f"]{more}}}\n"


def test_an_address_in_use_is_told_before_a_reload_is_refused(scene, tmp_path):
    scene = scene(server("127.0.0.1:0") + ROUTES % ECHO, bind=None)
    with socket.create_server(("127.0.0.1", 0)) as taken, open_session(scene.gateway.port, "/echo/") as client:
        port, path = taken.getsockname()[1], tmp_path / "new.sock"
        # Without the route its client would be closed, if the file were served.
        text = server("127.0.0.1:0", f"unix:{path}", f"127.0.0.1:{port}") + ROUTES % ECHO.replace("echo/", "other/")
        plan = scene.plan(text)
        reason = f"cannot listen on 127.0.0.1:{port}: another process listens there already"
        assert (plan["exitCode"], plan["refused"], plan["json"]["refused"]) == (1, reason, reason)
        assert "clients" not in plan["json"] and "clients:" not in plan["text"]
        assert f"a reload is refused: {reason}\n" in plan["text"] and f"**A reload is refused:** `{reason}`" in plan["rendered"]["markdown"]
        assert not path.exists()
        done = subprocess.run([SLUICE, "plan", str(scene.file)], capture_output=True, text=True, timeout=60, env={"RUNTIME_DIRECTORY": str(scene.runtime)})
        assert done.returncode == 1 and reason in done.stdout, done
        code, body = scene.ask("reload", {"plan": plan["id"]})
        assert (code, body["code"], body["error"]) == (409, "cannot", f"{reason}; nothing has changed")
        taken.close()
        plan = scene.plan()
        assert (plan["exitCode"], plan["refused"], plan["json"]["refused"]) == (4, None, None)
        assert sum(row["count"] for row in plan["json"]["clients"]["close"]) == 1 and not path.exists()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        assert scene.ask("reload")[0] == 200 and path.is_socket()
        assert read_close(client)[0] == 1012


def test_what_a_layer_lacks_is_a_refusal(scene):
    chat = '{path: chat/, consumer: chat, group: chat%s}'
    scene = scene(ROUTES % f"{chat % ''}, {{path: other/, consumer: echo}}")
    with open_session(scene.gateway.port, "/chat/"), open_session(scene.gateway.port, "/other/") as gone:
        plan = scene.plan(ROUTES % (chat % ", history: {messages: 5}"))
        assert plan["exitCode"] == 1 and 'needs "sluice upgrade" or a restart' in plan["refused"]
        # The upgrade that takes it on keeps the one, and closes the other.
        counts = 'by "sluice upgrade", clients: 0 stay, 1 change, 1 is closed'
        assert f"\n{counts}\n  1 with 1012: the route of this session is gone\n" in plan["text"], plan["text"]
        assert f"\n\n{counts}: 1 with 1012 (the route of this session is gone)\n\n" in plan["rendered"]["markdown"]
        assert [(row["code"], row["count"]) for row in plan["json"]["clients"]["close"]] == [(1012, 1)]
        done = subprocess.run([SLUICE, "upgrade", str(scene.file)], capture_output=True, text=True, timeout=60, env={"RUNTIME_DIRECTORY": str(scene.runtime)})
        assert done.returncode == 0 and "1 sessions and 0 event streams go on, 1 are closed (1012)" in done.stderr, done
        assert read_close(gone)[0] == 1012


@pytest.mark.parametrize("key", ["site.key", "{file: site.key}"])
def test_what_was_served_before_has_the_certificate_of_today(scene, tmp_path, key):
    authority = Authority(tmp_path)
    authority.issue("site", "localhost")
    tls = server("127.0.0.1:0", more=f", tls: {{certificate: site.pem, key: {key}}}") + ROUTES % ECHO
    scene = scene(tls, bind=None)
    scene.file.write_text(tls.replace("path: echo/", "path: other/"))
    assert scene.ask("reload")[0] == 200
    authority.issue("site", "localhost")
    code, body = scene.ask("reload", {"previous": True})
    assert code == 200, body
    assert ssl.get_server_certificate(("127.0.0.1", scene.gateway.port)) == (tmp_path / "site.pem").read_text()
    # A renewal is no reload that is undone.
    authority.issue("site", "localhost")
    assert scene.ask("reload", {"previous": True})[0] == 200
    assert scene.status()["served_from"] == "file"


def test_renewed_certificates_are_told_and_damaged_ones_are_a_refusal(scene, tmp_path):
    authority = Authority(tmp_path)
    authority.issue("site", "localhost")
    tls = server("127.0.0.1:0", more=", tls: {certificate: site.pem, key: site.key}") + ROUTES % ECHO
    scene = scene(tls, bind=None)
    assert scene.plan()["exitCode"] == 0
    authority.issue("site", "localhost")
    plan = scene.plan()
    (row,) = plan["json"]["settings"]
    assert (plan["exitCode"], row["key"], row["needs"]) == (3, "server.tls", "reload")
    assert row["old"] != row["new"] and all(row[side].startswith("localhost until 20") for side in ("old", "new"))
    # Renewed beside a file that is refused: what is served is not what was read with the file.
    scene.file.write_text("[")
    scene.gateway.process.send_signal(signal.SIGHUP)
    assert scene.gateway.says("the certificates were reloaded")
    # A command says so.
    authority.issue("site", "localhost")
    for isOther, end in [(True, "nothing has changed but the certificates, which were renewed"), (False, "nothing has changed")]:
        code, body = scene.ask("reload")
        assert (code, body["code"], body["certificates_renewed"]) == (422, "findings", isOther)
        assert body["error"] == f"the file has errors, and {end}"
    assert scene.plan(tls)["exitCode"] == 0
    # They are no reload that "previous" undoes.
    before = scene.status()
    scene.plan(tls.replace("path: echo/", "path: other/"))
    assert scene.ask("reload")[0] == 200
    authority.issue("site", "localhost")
    assert scene.ask("reload")[0] == 200
    assert scene.ask("reload", {"previous": True})[0] == 200
    after = scene.status()
    assert (before["served_from"], after["served_from"]) == ("file", "previous")
    # The file is that of then, its certificate that of today.
    then, now = ({pathlib.Path(row["path"]).name: row["sha256"] for row in status["files"]} for status in (before, after))
    assert (now["routes.yaml"], now.keys()) == (then["routes.yaml"], then.keys())
    assert now["site.pem"] == hashlib.sha256((tmp_path / "site.pem").read_bytes()).hexdigest() != then["site.pem"]
    scene.file.write_text(tls)
    assert scene.ask("reload")[0] == 200
    # A key that is not that of the certificate.
    authority.issue("other", "localhost")
    (tmp_path / "site.key").write_bytes((tmp_path / "other.key").read_bytes())
    for said in ("the key does not belong to the certificate", "there is no such file"):
        code, body = scene.ask("plan")
        assert (code, body["code"]) == (422, "findings") and said in body["text"]
        (tmp_path / "site.key").unlink(missing_ok=True)
    # Without TLS, and with it.
    authority.issue("site", "localhost")
    (row,) = [row for row in scene.plan(server("127.0.0.1:0") + ROUTES % ECHO)["json"]["settings"] if row["key"] == "server.tls"]
    assert row["old"].startswith("localhost until") and row["new"] == "none"


def test_what_the_command_line_says_in_place_of_the_file_is_told(scene):
    scene = scene(server("127.0.0.1:1") + ROUTES % ECHO)
    assert scene.plan()["json"]["withoutEffect"] == []
    plan = scene.plan(server("127.0.0.1:2") + ROUTES % ECHO)
    assert (plan["exitCode"], plan["json"]["settings"]) == (0, [])
    assert plan["json"]["withoutEffect"] == [{"key": "server.bind", "value": "127.0.0.1:2", "because": "--bind 127.0.0.1:0"}]
    assert "  no effect  server.bind: 127.0.0.1:2, because the gateway was started with --bind 127.0.0.1:0\n" in plan["text"]
    code, body = scene.ask("reload")
    assert (code, body["without_effect"][0]["key"]) == (200, "server.bind")
    assert scene.gateway.says("a setting of the file has no effect", "setting=server.bind")
    assert scene.plan()["json"]["withoutEffect"] == []


def test_who_waits_for_an_upstream_is_counted_as_coming_in(scene):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        proxy = f'{{path: proxy/, consumer: proxy, to: "ws://127.0.0.1:{silent.getsockname()[1]}/"}}'
        scene = scene(ROUTES % proxy)
        with socket.create_connection(("127.0.0.1", scene.gateway.port), timeout=20) as client:
            client.sendall(handshake("/proxy/"))
            upstream = silent.accept()[0]
            wait_until(lambda: scene.plan()["json"]["clients"]["arriving"] == 1)
            plan = scene.plan(ROUTES % f"{proxy}, {ECHO}")
            assert "clients: 0 stay, 0 change, 0 are closed, 1 more is coming in, and judged then\n" in plan["text"]
            assert scene.ask("reload")[1]["arriving"] == 1
            upstream.close()


def test_a_text_that_is_no_id_of_a_plan_is_told_from_an_old_one(scene):
    scene = scene(ROUTES % ECHO)
    code, body = scene.ask("reload", {"plan": "zzz"})
    assert (code, body["code"]) == (400, "bad-request") and body["error"].startswith('"zzz" is no ID of a plan: "sluice plan" prints it')
    assert scene.ask("reload", {"plan": "0" * 12})[1]["code"] == "not-as-planned"
    done = subprocess.run([SLUICE, "reload", str(scene.file), "--plan", "zzz"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and '--plan zzz is no ID of a plan: "sluice plan" prints it' in done.stderr
