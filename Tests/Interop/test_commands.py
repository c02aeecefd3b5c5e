"""The command line: exit codes, formats, words."""

import json
import os
import pathlib
import re
import socket
import subprocess

import pytest

from conftest import DEFAULT, ROOT, SLUICE

TEN = ROOT / "Tests/GatewayConfigTests/Fixtures/broken/ten-faults.yaml"


def sluice(*arguments: str, cwd: pathlib.Path = ROOT, env: dict | None = None) -> subprocess.CompletedProcess:
    env = {**os.environ, **(env or {})}
    return subprocess.run([SLUICE, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, env=env, timeout=30)


def test_a_good_file_is_one_line():
    done = sluice("validate", "routes.yaml")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)


def test_ten_faults_are_ten_findings_in_every_format():
    text = sluice("validate", TEN)
    assert text.returncode == 1
    assert len(re.findall(r"^error\[", text.stdout, re.M)) == 10
    assert text.stdout.endswith(f"10 errors, 0 warnings in {TEN}\n")
    assert len(json.loads(sluice("validate", "--format", "json", TEN).stdout)["findings"]) == 10
    assert len(json.loads(sluice("validate", "--format", "sarif", TEN).stdout)["runs"][0]["results"]) == 10
    assert sluice("validate", "--format", "github", TEN).stdout.count("::error file=") == 10


@pytest.mark.report("sarif-runs")
def test_several_files_are_one_document_for_programs():
    as_json = json.loads(sluice("validate", "--format", "json", "routes.yaml", TEN).stdout)
    assert (as_json["errors"], [len(file["findings"]) for file in as_json["files"]]) == (10, [0, 10])
    runs = json.loads(sluice("validate", "--format", "sarif", "routes.yaml", TEN).stdout)["runs"]
    assert [len(run["results"]) for run in runs] == [10]
    assert {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in runs[0]["results"]} == {str(TEN)}


def test_a_secret_is_not_printed(tmp_path):
    file = tmp_path / "routes.yaml"
    file.write_text(
        "installed_apps: [echo]\n"
        "channel_layers: {default: {backend: redis, config: {symmetric_encryption_keys: [hunter2]}}}\n"
        "applications: {main: {websocket: [{path: ws/, consumer: echo}]}}\n"
    )
    for format in ["text", "json", "sarif", "github"]:
        done = sluice("validate", "--format", format, file)
        assert "plain-secret" in done.stdout
        assert "hunter2" not in done.stdout + done.stderr


def test_serve_refuses_with_the_same_findings(tmp_path):
    done = sluice("serve", TEN)
    assert done.returncode == 1
    assert done.stderr == sluice("validate", TEN).stdout


def test_strict_counts_warnings(tmp_path):
    file = tmp_path / "warn.yaml"
    file.write_text("installed_apps: [echo]\napplications: {main: {websocket: [{re_path: ws/, consumer: echo}]}}\n")
    assert sluice("validate", file).returncode == 0
    assert sluice("validate", "--strict", file).returncode == 1


@pytest.mark.parametrize("arguments", [["servee"], ["validate", "--format", "xml"], ["serve", "--bind", "nowhere"], ["explain"], ["help", "nonsense"], ["bench", "echo", "http://127.0.0.1/"], ["validate", "--groups", "--format", "sarif"]])
def test_wrong_usage_is_2(arguments):
    done = sluice(*arguments)
    assert done.returncode == 2
    assert "Usage" in done.stderr


def test_a_missing_file_is_a_sentence(tmp_path):
    (tmp_path / "routes.yaml").write_text("")
    done = sluice("serve", "route.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert "there is no such file" in done.stderr
    assert 'did you mean "routes.yaml"?' in done.stderr


def test_a_port_in_use_is_a_sentence(tmp_path):
    file = tmp_path / "routes.yaml"
    file.write_text(DEFAULT.replace("LIMITS", ""))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = sluice("serve", file, "--bind", f"127.0.0.1:{taken.getsockname()[1]}")
    assert done.returncode == 1
    assert re.fullmatch(r"sluice: cannot listen on 127.0.0.1:\d+: another process listens there already\n", done.stderr)


def test_routes_and_explain():
    assert "/ws/chat/<slug:room>/" in sluice("routes", "routes.yaml").stdout
    done = sluice("explain", "routes.yaml", "/ws/chat/lobby/")
    assert done.returncode == 0
    assert 'room = "lobby"' in done.stdout
    assert "chat_lobby" in done.stdout
    assert re.search(r"routes\.yaml:\d+", done.stdout)
    assert "ping 30s + 30s" in done.stdout
    assert "tls        no: ws:// and http://" in done.stdout
    assert sluice("explain", "examples/echo/routes.yaml", "/nothing").returncode == 1


@pytest.mark.report("trailing-slash")
def test_explain_names_the_route_that_matches_with_the_slash():
    done = sluice("explain", "routes.yaml", "/ws/chat/lobby")
    assert 'websocket  404: no route; with a "/" at its end the path is one of the route "' in done.stdout
    assert "with a" not in sluice("explain", "routes.yaml", "/nothing/at/all").stdout


def test_explain_tells_what_the_gateway_answers_and_obeys_no_path(tmp_path):
    (tmp_path / "routes.yaml").write_text("""
installed_apps: [chat]
channel_layers: {default: {backend: memory}}
applications:
  main:
    http: [{path: "", proxy: "http://127.0.0.1:9/"}]
    websocket: [{path: "ws/<str:room>/", consumer: chat, group: all}]
""")
    for path in ["/../x", "/a/%2e%2e/x", "http://a/x/../y"]:
        done = sluice("explain", path, cwd=tmp_path)
        assert done.returncode == 1 and "\nanswers    400: The path has a segment" in done.stdout and "answers    proxy" not in done.stdout
    assert "answers    proxy" in sluice("explain", "/x..", cwd=tmp_path).stdout
    said = sluice("explain", "/ws/%1b[2J%0Aforged%E2%80%AE/", cwd=tmp_path).stdout
    assert 'room = "\\u{1b}[2J\\u{a}forged\\u{202e}"' in said and "path       /ws/\\u{1b}" in said
    assert not {"\x1b", "\u202e"} & set(said) and "\nforged" not in said
    done = subprocess.run([SLUICE, "explain", b"/\xff"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 1 and b"not UTF-8" in done.stderr and b"400" in done.stderr and done.stdout == b""


@pytest.mark.report("validate-in-ci")
def test_validate_without_secrets(tmp_path):
    (tmp_path / "routes.yaml").write_text("""
installed_apps: [chat]
channel_layers: {default: {backend: memory}}
server: {tls: {certificate: missing.pem, key: missing.key}}
auth: {users: {jwt: {secret: {env: NO_SUCH_KEY}}}}
applications: {main: {websocket: [{path: a/, consumer: chat, group: a, auth: users}]}}
""")
    assert "NO_SUCH_KEY" in sluice("validate", cwd=tmp_path).stdout
    done = sluice("validate", "--without-secrets", cwd=tmp_path)
    assert done.returncode == 1 and "missing.pem" in done.stdout
    assert "NO_SUCH_KEY" not in done.stdout and "missing.key\" cannot" not in done.stdout
    assert sluice("validate", "--without-secrets", "--connect", cwd=tmp_path).returncode == 2


def test_no_secret_is_needed_to_show_the_routes(tmp_path):
    text = """
installed_apps: [chat, view]
channel_layers: {default: {backend: redis, config: {hosts: ["${NO_SUCH_HOST}"]}}}
auth: {users: {jwt: {secret: {env: NO_SUCH_KEY}}}}
applications:
  main:
    http: [{path: send/, publish: {groups: "*", token: "${NO_SUCH_TOKEN}"}}]
    websocket:
      - {path: "ws/<int:room>/", consumer: view, url: "http://127.0.0.1:8001/x/{room}/", secret: {env: NO_SUCH_SECRET}, auth: users}
"""
    (tmp_path / "routes.yaml").write_text(text)
    for arguments, said in [(("explain", "/ws/5/"), "asks       POST http://127.0.0.1:8001/x/5/"), (("routes",), "/ws/<int:room>/")]:
        done = sluice(*arguments, cwd=tmp_path)
        assert done.returncode == 0 and said in done.stdout and "users" in done.stdout, done
        assert done.stderr == 'sluice: not all secrets of routes.yaml are here, so none was looked at ("sluice validate" names them)\n'
    # Another variable may change what is shown.
    (tmp_path / "routes.yaml").write_text(text.replace("127.0.0.1:8001", "${NO_SUCH_PLACE}"))
    done = sluice("explain", "/ws/5/", cwd=tmp_path)
    assert done.returncode == 1 and "NO_SUCH_PLACE" in done.stderr and "NO_SUCH_KEY" not in done.stderr
    # With everything there, nothing is said of secrets.
    done = sluice("explain", str(ROOT / "examples/echo/routes.yaml"), "/ws/echo/", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == ""


def test_explain_tells_what_a_group_keeps_and_who_publishes(tmp_path):
    (tmp_path / "routes.yaml").write_text("""
installed_apps: [chat]
channel_layers: {default: {backend: memory}}
auth: {users: {jwt: {secret: {env: KEY}}}}
applications:
  main:
    http:
      - {path: p/, publish: {groups: room, token: {env: TOKEN}}}
      - {path: e/, events: {group: room, history: {messages: 5, seconds: 90}}, auth: users}
    websocket:
      - {path: a/, consumer: chat, group: room, auth: users, identity: true, history: {messages: 20}}
      - {path: b/, consumer: chat, group: room, auth: users}
""")
    env = {"KEY": "k" * 32, "TOKEN": "t" * 32}
    said = sluice("explain", "/a/", cwd=tmp_path, env=env).stdout
    assert "\nhistory    the last 20 events, for at most 1h\n" in said
    assert "\nidentity   messages name the user who sent them\n" in said
    said = sluice("explain", "/b/", cwd=tmp_path, env=env).stdout
    assert "history" not in said and "identity" not in said
    assert "\nhistory    the last 5 events, for at most 90s\n" in sluice("explain", "/e/", cwd=tmp_path, env=env).stdout
    assert "publish room (token)" in sluice("explain", "/p/", cwd=tmp_path, env=env).stdout


def test_explain_tells_what_becomes_of_messages_and_events(tmp_path):
    (tmp_path / "routes.yaml").write_text("""
installed_apps: [chat]
channel_layers: {default: {backend: memory}}
applications:
  main:
    http:
      - {path: e/, events: {group: room, templates: {job.done: event}, deliver: {job.done: {close: 1000}}}}
    websocket:
      - path: a/
        consumer: chat
        group: room
        connect: {send: [{hello: "{channel}"}]}
        receive:
          by: type
          kinds:
            ping: {reply: {type: pong}}
            cursor: {event: {type: cursor.update, x: "{frame.x}"}, to: others, ephemeral: true}
            "n\\no": drop
          else: error
        events: {cursor.update: event}
        deliver:
          cursor.update: {to: others}
          status.update: {to: {user: "{owner_id}"}, text: "{text}"}
      - {path: b/, consumer: chat, group: room}
""")
    said = sluice("explain", "/a/", cwd=tmp_path).stdout
    assert "\nconnect    one frame to who comes\n" in said
    assert "\nreceive    by type; cursor: event cursor.update to others, not kept; n\\u{a}o: drop; ping: reply; else: error\n" in said
    assert '\ndeliver    cursor.update: to others; status.update: to the user {owner_id}, as the text "{text}"\n' in said
    said = sluice("explain", "/b/", cwd=tmp_path).stdout
    assert not any(f"\n{name} " in said for name in ["connect", "receive", "deliver"])
    assert "\ndeliver    job.done: then closed with 1000\n" in sluice("explain", "/e/", cwd=tmp_path).stdout


def test_routes_and_explain_tell_what_is_kept(tmp_path):
    (tmp_path / "routes.yaml").write_text("""
installed_apps: [chat]
channel_layers: {default: {backend: memory}}
applications:
  main:
    http:
      - {path: news/, events: {group: [news, chat_all], history: {messages: 5}}}
    websocket:
      - {path: "ws/<slug:room>/", consumer: chat, group: "chat_{room}", history: {messages: 100, seconds: 90}}
      - {path: plain/, consumer: chat, group: plain}
""")
    table = sluice("routes", cwd=tmp_path).stdout.splitlines()
    at = table[0].index("HISTORY")
    assert [line[at:].split("  ")[0].strip() for line in table[1:]] == ["5 in 1h", "100 in 90s", ""]
    done = sluice("explain", "/news/", cwd=tmp_path)
    assert "history    the last 5 events of the first group, for at most 1h\n" in done.stdout
    done = sluice("explain", "/ws/lobby/", cwd=tmp_path)
    assert "history    the last 100 events, for at most 90s\n" in done.stdout
    assert "history" not in sluice("explain", "/plain/", cwd=tmp_path).stdout


def test_groups_are_those_of_all_names_of_one_redis(tmp_path):
    (tmp_path / "routes.yaml").write_text("""
installed_apps: [chat]
channel_layers: {default: {backend: redis}, again: {backend: redis}, other: {backend: redis, config: {prefix: other}}}
applications:
  main:
    websocket:
      - {path: a/, consumer: chat, group: x}
      - {path: b/, consumer: chat, group: x, channel_layer: again}
      - {path: c/, consumer: chat, group: x, channel_layer: other}
""")
    text = sluice("validate", "--groups", cwd=tmp_path).stdout
    assert "channel layers default, again, which lead to the same groups" in text
    assert "channel layer other" in text
    groups = json.loads(sluice("validate", "--groups", "--format", "json", cwd=tmp_path).stdout)["groups"]
    assert [(row["layer"], row["meetsCount"]) for row in groups] == [("default", 1), ("again", 1), ("other", 0)]


def test_explain_tells_what_compression_a_route_has(tmp_path):
    (tmp_path / "routes.yaml").write_text("""
installed_apps: [echo]
compression: {level: 1}
applications:
  main:
    websocket:
      - {path: a/, consumer: echo, compression: {threshold: 1KiB}}
      - {path: b/, consumer: echo, compression: false}
""")
    said = sluice("explain", "/a/", cwd=tmp_path).stdout
    assert "compressed level 1, threshold 1KiB, window 15, context_takeover false" in said
    assert "compressed" not in sluice("explain", "/b/", cwd=tmp_path).stdout


def test_help_and_completion():
    assert "EXAMPLES" in sluice("serve", "--help").stdout
    assert sluice("--version").returncode == 0
    for shell in ["bash", "zsh", "fish"]:
        assert "validate" in sluice("--generate-completion-script", shell).stdout


def test_logs_can_be_json(start):
    gateway = start(limits="logging: {format: json}")
    gateway.stop()
    lines = [json.loads(line) for line in gateway.log]
    assert [line["message"].split(" ")[0] for line in lines][-2:] == ["stopping", "stopped"]


SHARING = """
installed_apps: [chat]
channel_layers: {default: {backend: memory}}
auth: {site: {callback: {url: "http://127.0.0.1:8001/me/"}}}
compression: true
applications:
  main:
    websocket:
      - {path: "ws/chat/<slug:room>/", consumer: chat, group: "chat_{room}"}
      - {path: ws/staff/, consumer: chat, group: chat_staff, auth: site}
"""


def test_groups_shows_who_shares_them_in_a_hundred_columns(tmp_path):
    (tmp_path / "routes.yaml").write_text(SHARING)
    done = sluice("validate", "--groups", cwd=tmp_path)
    assert done.returncode == 1
    assert "error[group-leak]" in done.stdout
    table = done.stdout[done.stdout.index("channel layer default") :]
    assert max(map(len, table.splitlines())) <= 100
    assert "    chat_{room}: reads and writes, everybody\n      with /ws/staff/ (chat_staff:" in table
    document = json.loads(sluice("validate", "--groups", "--format", "json", cwd=tmp_path).stdout)
    (chat, staff) = document["groups"]
    assert (chat["group"], chat["who"], chat["meets"][0]["name"]) == (
        "chat_{room}",
        {"audience": "everybody"},
        "chat_staff",
    )
    assert (staff["who"]["auth"], staff["meets"][0]["otherBy"]) == ("site", "/ws/chat/staff/")


def test_routes_shows_what_is_compressed(tmp_path):
    (tmp_path / "routes.yaml").write_text(SHARING.replace("auth: site", "auth: site, compression: false, shared: true"))
    lines = sluice("routes", cwd=tmp_path).stdout.splitlines()
    assert ["level 6" in line for line in lines] == [False, True, False]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["serve", "--port", "9000"], "--bind 127.0.0.1:9000"),
        (["serve", "-p", "9000"], "--bind 127.0.0.1:9000"),
        (["serve", "--host", "localhost"], "--bind HOST:PORT"),
        (["server"], 'did you mean "sluice serve"?'),
        (["check", "routes.yaml"], 'did you mean "sluice validate"?'),
        (["serve", "--bind", "21030"], "write 127.0.0.1:21030"),
        (["serve", "--bind", ":21030"], "write 127.0.0.1:21030"),
        (["serve", "--bind", "127.0.0.1"], "write 127.0.0.1:8000"),
        (["serve", "--bind", "127.0.0.1:99999"], "a port is a number from 1 to 65535"),
    ],
)
def test_what_other_programs_call_otherwise_has_a_hint(arguments, hint):
    done = sluice(*arguments)
    assert done.returncode == 2 and hint in done.stderr, done.stderr


def test_explain_tells_how_clients_are_refused_and_how_fast_they_may_send(tmp_path):
    (tmp_path / "routes.yaml").write_text("""
installed_apps: [echo]
limits: {rate: 20/s burst 50}
applications:
  main:
    websocket:
      refusals: close
      routes:
        - {path: ws/a/, consumer: echo, limits: {rate: {over: reply}}}
        - {path: ws/b/, consumer: echo, refusals: http, limits: {rate: none}}
""")
    told = sluice("explain", "/ws/a/", cwd=tmp_path).stdout
    assert "refusals   the handshake is accepted and closed with 4400, 4401, 4403, 4404, 4429, 4503\n" in told
    assert "rate       20/s burst 50 messages of a session; over it: reply\n" in told
    other = sluice("explain", "/ws/b/", cwd=tmp_path).stdout
    assert "refusals" not in other and "rate " not in other
    assert "websocket  4404: no route" in sluice("explain", "/ws/c/", cwd=tmp_path).stdout


def test_explain_takes_the_file_and_the_url_in_either_order():
    assert sluice("explain", "/ws/echo/", "routes.yaml").stdout == sluice("explain", "routes.yaml", "/ws/echo/").stdout != ""


def test_a_folder_in_place_of_a_file_names_the_file_in_it():
    assert 'did you mean "examples/chat/routes.yaml"?' in sluice("validate", "examples/chat").stdout
