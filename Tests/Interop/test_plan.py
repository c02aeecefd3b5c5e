"""`sluice plan --against`: exit codes, formats, wrong input."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from certificates import Authority
from conftest import ROOT, SLUICE

HEAD = "installed_apps: [echo, chat, broadcast]\nchannel_layers: {default: {backend: memory}}\n"
SECRET = "only-to-compare-0123456789abcdef"


def file(folder: pathlib.Path, name: str, *routes: str, top: str = "") -> pathlib.Path:
    path = folder / name
    path.write_text(HEAD + top + "applications: {main: {websocket: [" + ", ".join(f"{{{route}}}" for route in routes) + "]}}\n")
    return path


def plan(folder: pathlib.Path, *arguments: str, **env: str) -> subprocess.CompletedProcess:
    env = {**os.environ, **env}
    return subprocess.run([SLUICE, "plan", *map(str, arguments)], capture_output=True, text=True, cwd=folder, env=env, timeout=60)


ECHO = "path: a/, consumer: echo"


@pytest.mark.parametrize(
    "new, code",
    [
        (ECHO, 0),
        ("re_path: '^a/$', consumer: echo", 0),
        (ECHO + ", limits: {message: 2KiB}", 3),
        ("path: b/, consumer: echo", 4),
        (ECHO + ", allowed_hosts: ['*']", 4),
    ],
)
def test_the_exit_code_says_what_it_does(tmp_path, new, code):
    file(tmp_path, "routes.yaml", ECHO)
    other = file(tmp_path, "next.yaml", new)
    for format in ["text", "json", "markdown"]:
        done = plan(tmp_path, "--against", other, "--format", format)
        assert (done.returncode, done.stderr) == (code, ""), done.stdout
        assert done.stdout.endswith("\n")


def test_text_json_and_markdown_say_the_same(tmp_path):
    file(tmp_path, "routes.yaml", "path: 'chat/<slug:room>/', consumer: chat, group: 'chat_{room}'", "path: old/, consumer: echo")
    new = file(
        tmp_path,
        "next.yaml",
        "path: 'chat/<slug:room>/', consumer: chat, group: 'chat_{room}', allowed_hosts: ['*'], limits: {message: 2KiB}",
        "path: new/, consumer: echo",
        top="limits: {connections: 100}\n",
    )
    text = plan(tmp_path, "--against", new).stdout
    for line in [r"  changed  websocket /chat/<slug:room>/\n    at /chat/a/\n", r"    limits.message: 1MiB -> 2KiB\n", r"  removed  websocket /old/\n", r"    closes its clients, 1012: ", r"  added    websocket /new/\n", r"limits.connections: .* -> 100\n", r"  origin-widened: /chat/<slug:room>/: pages of "]:
        assert re.search(line, text), (line, text)
    found = json.loads(plan(tmp_path, "--against", new, "--format", "json").stdout)
    assert [(route["effect"], route["example"]) for route in found["routes"]] == [("changed", "/chat/a/"), ("added", "/new/"), ("removed", "/old/")]
    assert found["routes"][0]["changes"][-1] == {"key": "limits.message", "old": "1MiB", "new": "2KiB"}
    assert found["routes"][2]["clients"] == [{"verdict": "closes", "code": 1012, "reason": "the route of this session is gone"}]
    assert [mark["mark"] for mark in found["looser"]] == ["origin-widened"]
    assert [(setting["key"], setting["needs"]) for setting in found["settings"]] == [("limits.connections", "reload")]
    assert (found["needs"], found["proved"], found["closesSessions"], found["sameRoutes"]) == ("reload", True, True, 0)
    markdown = plan(tmp_path, "--against", new, "--format", "markdown").stdout
    assert "| changed | websocket | `/chat/<slug:room>/` | `/chat/a/` |" in markdown
    assert f"plan `{found['id']}`" in markdown and f"plan {found['id']}\n" in text


def test_the_id_changes_with_either_side(tmp_path):
    old, new = file(tmp_path, "routes.yaml", ECHO), file(tmp_path, "next.yaml", ECHO + ", limits: {message: 2KiB}")

    def identify() -> str:
        return json.loads(plan(tmp_path, "--against", new, "--format", "json").stdout)["id"]

    first = identify()
    assert re.fullmatch(r"[0-9a-f]{12}", first) and identify() == first
    new.write_text(new.read_text() + "# a comment\n")
    second = identify()
    old.write_text(old.read_text() + "# a comment\n")
    assert len({first, second, identify()}) == 3


def test_a_file_with_errors_is_told_as_by_validate(tmp_path):
    good = file(tmp_path, "routes.yaml", ECHO)
    bad = file(tmp_path, "bad.yaml", "path: a/, consumr: echo")
    validated = subprocess.run([SLUICE, "validate", "bad.yaml"], capture_output=True, text=True, cwd=tmp_path, timeout=60).stdout
    for arguments in [("routes.yaml", "--against", "bad.yaml"), ("bad.yaml", "--against", "routes.yaml")]:
        done = plan(tmp_path, *arguments)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", validated)
    assert plan(tmp_path, "--against", "missing.yaml").returncode == 1
    assert good.exists() and bad.exists()


@pytest.mark.parametrize("arguments", [["--against"], ["--against", "a.yaml", "--format", "sarif"], ["a", "b", "--against", "c"]])
def test_wrong_usage_is_2(tmp_path, arguments):
    done = plan(tmp_path, *arguments)
    assert done.returncode == 2 and "Usage" in done.stderr


def test_secrets_are_compared_and_not_printed(tmp_path):
    def users(name: str) -> str:
        return f"auth: {{users: {{jwt: {{secret: {{env: {name}}}}}}}}}\n"

    route = ECHO + ", auth: users"
    file(tmp_path, "routes.yaml", route, top=users("ONE"))
    file(tmp_path, "next.yaml", route, top=users("OTHER"))
    for format in ["text", "json", "markdown"]:
        arguments = ["--against", "next.yaml", "--format", format]
        assert plan(tmp_path, *arguments, ONE=SECRET, OTHER=SECRET).returncode == 0
        done = plan(tmp_path, *arguments, ONE=SECRET, OTHER=SECRET[::-1])
        assert done.returncode == 4 and "tokens-widened" in done.stdout and (format == "json" or "auth.users: tokens are verified with another key" in done.stdout)
        assert SECRET not in done.stdout and SECRET[::-1] not in done.stdout


def test_secrets_that_are_not_there_are_compared_by_their_names(tmp_path):
    def text(name: str, encoding: str = "") -> str:
        return f"auth: {{users: {{jwt: {{secret: {{env: {name}{encoding}}}}}}}, keys: {{jwt: {{secret: {{file: key.txt}}}}}}}}\n"

    routes = [ECHO + ", auth: users", "path: b/, consumer: echo, auth: keys"]
    file(tmp_path, "routes.yaml", *routes, top=text("ONE"))
    file(tmp_path, "next.yaml", *routes, top=text("ONE", ", encoding: hex"))
    file(tmp_path, "other.yaml", *routes, top=text("OTHER"))
    same = plan(tmp_path, "--against", "next.yaml")
    assert (same.returncode, same.stderr.count("compared by their names")) == (0, 2), same.stdout + same.stderr
    other = plan(tmp_path, "--against", "other.yaml")
    assert other.returncode == 4 and "auth.users" in other.stdout and "auth.keys" not in other.stdout
    assert "stand-in" not in other.stdout + other.stderr


def make_what_is_missing(folder: pathlib.Path, certificate: tuple[str, str]) -> None:
    """What examples name and the repository does not have."""
    for name in ["staticfiles", "tls", "site"]:
        (folder / name).mkdir(exist_ok=True)
    for name, text in zip(["fullchain.pem", "key.pem"], certificate):
        (folder / "tls" / name).write_text(text)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("authority")
    Authority(folder).issue("own", "localhost")
    return (folder / "own.pem").read_text(), (folder / "own.key").read_text()


@pytest.mark.parametrize("example", sorted(path.parent.name for path in ROOT.glob("examples/*/routes.yaml")))
def test_an_example_is_the_same_in_another_folder(example, tmp_path, certificate):
    folders = [tmp_path / "before" / example, tmp_path / "elsewhere" / "after" / example]
    for folder in folders:
        for name in [example, "web"]:
            shutil.copytree(ROOT / "examples" / name, folder.parent / name, dirs_exist_ok=True)
        make_what_is_missing(folder, certificate)
    before, after = (folder / "routes.yaml" for folder in folders)
    named = [str(path.relative_to(tmp_path)) for path in (before, after)]
    for arguments in [(before, "--against", after), (named[0], "--against", named[1]), (before, "--against", before)]:
        done = plan(tmp_path, *arguments, "--format", "json")
        assert done.returncode == 0, done.stdout + done.stderr
        found = json.loads(done.stdout)
        assert {file["effect"] for file in found["files"]} <= {"same"} and found["settings"] == []
        assert (found["old"], found["new"]) == (str(arguments[0]), str(arguments[2]))


PROJECT = """include: auth.yaml
server: {admin: "unix:run/admin.sock", tls: {bind: "127.0.0.1:1", certificate: tls/fullchain.pem, key: tls/key.pem}}
"""
PARTS = {
    "auth.yaml": "auth: {a: {jwt: {secret: {file: key.txt}}}, b: {jwt: {public_key: {file: public.pem}}}}\n",
    "public.pem": ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    "production.yaml": "limits: {connections: 100}\n",
}


def test_what_a_project_names_is_compared_as_it_is_written(tmp_path, certificate):
    folders = [tmp_path / name for name in ("before", "after")]
    for folder in folders:
        folder.mkdir()
        make_what_is_missing(folder, certificate)
        file(folder, "routes.yaml", ECHO + ", auth: a", "path: b/, consumer: echo, auth: b", top=PROJECT)
        for name, text in PARTS.items():
            (folder / name).write_text(text)
        whole = (folder / "routes.yaml").read_text().replace("]}}", "], http: [{path: s/, static: staticfiles}]}}")
        (folder / "routes.yaml").write_text(whole)
    before, after = folders
    both = ("before/routes.yaml", "--against", "after/routes.yaml")
    overlaid = (before / "routes.yaml", "-f", "before/production.yaml", "--against", after / "routes.yaml", "--against-overlay", "after/production.yaml")
    for arguments in [both, overlaid]:
        done = plan(tmp_path, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        # The names are those of the command.
        assert done.stdout.startswith(f"{arguments[0]} -> " if arguments is both else f"{before}/routes.yaml with before/production.yaml -> ")
    once = plan(tmp_path, before / "routes.yaml", "-f", "before/production.yaml", "--against", "after/routes.yaml").stdout
    assert once.startswith(f"{before}/routes.yaml with before/production.yaml -> after/routes.yaml with before/production.yaml, plan ")

    def change(name: str, old: str, new: str, arguments: tuple) -> str:
        text = (after / name).read_text()
        assert old in text
        (after / name).write_text(text.replace(old, new))
        done = plan(tmp_path, *arguments)
        (after / name).write_text(text)
        assert done.returncode in (3, 4), done.stdout + done.stderr
        return done.stdout

    assert "server.admin: unix:run/admin.sock -> unix:other.sock" in change("routes.yaml", "run/admin.sock", "other.sock", both)
    assert "static: staticfiles -> site" in change("routes.yaml", "static: staticfiles", "static: site", both)
    assert "static: staticfiles -> " + str(before / "staticfiles") in change("routes.yaml", "static: staticfiles", f"static: {before}/staticfiles", both)
    assert "limits.connections: 100 -> 50" in change("production.yaml", "100", "50", overlaid)
    assert re.search(r"changed  auth.yaml \(include\): \w+ -> \w+\n", change("auth.yaml", "key.txt", "other.txt", both))


def test_a_side_may_come_through_a_pipe(tmp_path):
    (tmp_path / "after").mkdir()
    text = file(tmp_path, "routes.yaml", ECHO).read_text()
    new = file(tmp_path / "after", "routes.yaml", ECHO)
    done = subprocess.run([SLUICE, "plan", "-", "--against", str(new)], input=text, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


SECURED = "auth: {users: {jwt: {secret: {env: NOWHERE}}}}\n"


def test_a_side_without_its_secrets_may_come_through_a_pipe(tmp_path):
    route = ECHO + ", auth: users"
    text = file(tmp_path, "routes.yaml", route, top=SECURED).read_text()
    file(tmp_path, "next.yaml", route + ", limits: {message: 2KiB}", top=SECURED)
    for source in ("plan - --against next.yaml", "plan <(cat) --against next.yaml"):
        def run(text: str) -> subprocess.CompletedProcess:
            command = f'"{SLUICE}" {source}'
            return subprocess.run(["bash", "-c", command], input=text, capture_output=True, text=True, cwd=tmp_path, timeout=60)

        done = run(text)
        assert (done.returncode, done.stderr.count("compared by their names")) == (3, 2), done.stdout + done.stderr
        assert "limits.message: 1MiB -> 2KiB" in done.stdout
        done = run(text.replace("consumer", "consumr"))
        assert done.returncode == 1 and 'unknown key "consumr"' in done.stderr and "empty" not in done.stderr, done


def test_a_fifo_that_nobody_writes_to_is_waited_for_once(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    file(tmp_path, "routes.yaml", ECHO)
    began = time.monotonic()
    done = plan(tmp_path, "fifo", "--against", "routes.yaml")
    assert done.returncode == 1 and "has not written all of it" in done.stderr, done
    assert time.monotonic() - began < 18


TLS = 'server: {tls: {bind: "%s", minimum_version: "%s", certificate: tls/fullchain.pem, key: tls/key.pem}}\n'


def test_of_a_certificate_without_its_key_all_but_the_key_is_compared(tmp_path, certificate):
    """As in the workflow of the manual, which makes a certificate for CI and keeps no key."""
    folders = [tmp_path / name for name in ("before", "after")]
    for folder in folders:
        folder.mkdir()
        make_what_is_missing(folder, certificate)
        (folder / "tls/key.pem").unlink()
        file(folder, "routes.yaml", ECHO, top=TLS % ("127.0.0.1:8443", "1.3"))
    before, after = folders

    def compare(top: str) -> tuple[int, list[str], list[str]]:
        file(after, "routes.yaml", ECHO, top=top)
        done = plan(tmp_path, before / "routes.yaml", "--against", after / "routes.yaml", "--format", "json")
        found = json.loads(done.stdout)
        return done.returncode, [row["key"] for row in found["settings"]], [row["mark"] for row in found["looser"]]

    assert compare(TLS % ("127.0.0.1:8443", "1.3")) == (0, [], [])
    assert compare(TLS % ("127.0.0.1:8443", "1.2")) == (4, ["server.tls.minimum_version"], ["encryption-weaker"])
    assert compare(TLS % ("0.0.0.0:443", "1.3")) == (4, ["server.tls.bind"], ["address-widened"])
    code, keys, _ = compare("")
    assert code in (3, 4) and "server.tls" in keys
    assert compare('server: {bind: "127.0.0.1:8443"}\n')[2] == ["encryption-off"]
    Authority(after / "tls").issue("own", "localhost")
    (after / "tls/fullchain.pem").write_bytes((after / "tls/own.pem").read_bytes())
    assert compare(TLS % ("127.0.0.1:8443", "1.3")) == (3, ["server.tls"], [])


@pytest.mark.parametrize("arguments", [["--against", "a.yaml", "--of", "b.yaml"], ["--of", "b.yaml", "-f", "c.yaml"], ["--against-overlay", "c.yaml"]])
def test_what_does_not_go_together_is_wrong_usage(tmp_path, arguments):
    done = plan(tmp_path, *arguments)
    assert done.returncode == 2 and "Usage" in done.stderr


def test_nothing_of_a_file_is_taken_for_markdown(tmp_path):
    file(tmp_path, "routes.yaml", ECHO)
    new = file(tmp_path, "next.yaml", ECHO, r"re_path: '^b\|`[<]img src=x[>]`@team/$', consumer: echo")
    markdown = plan(tmp_path, "--against", new, "--format", "markdown").stdout
    row = next(line for line in markdown.splitlines() if line.startswith("| added"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 6
    # Outside of the code spans nothing of it is left.
    assert not re.search(r"img|@", re.sub(r"`[^`]*`", "", row))


def test_a_large_file_takes_seconds(tmp_path):
    routes = [f"path: 'r{number}/<slug:room>/x{number % 7}/', consumer: chat, group: 'g{number}.{{room}}'" for number in range(2000)]
    file(tmp_path, "routes.yaml", *routes)
    new = file(tmp_path, "next.yaml", *reversed(routes[1:]), "path: 'new/<slug:x>/', consumer: echo")
    found = json.loads(plan(tmp_path, "--against", new, "--format", "json").stdout)
    assert [(route["effect"], route["example"]) for route in found["routes"]] == [("added", "/new/a/"), ("removed", "/r0/a/x0/")]
    assert (found["sameRoutes"], found["proved"]) == (1999, True)
