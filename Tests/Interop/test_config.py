"""One configuration in several files: `include` of settings, files for `-f`, and what `sluice config` prints of them."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import requests
import yaml

from conftest import ROOT, SLUICE

BASE = """
installed_apps: [echo]
include: settings/limits.yaml
server: {bind: "127.0.0.1:0"}
applications:
  main:
    http:
      - {path: who/, respond: base}
      - {path: files/, static: files}
    websocket: [{path: ws/, consumer: echo}]
"""
SHIPPED = sorted(file for file in [ROOT / "routes.yaml", *(ROOT / "examples").glob("*/routes.yaml"), *(ROOT / "examples").glob("*/*/routes.yaml")] if ".venv" not in file.parts)
SECRETS = {"SIGNING_KEY": "0123456789abcdef0123456789abcdef", "PUBLISH_TOKEN": "0123456789abcdef", "SLUICE_SECRET": "0123456789abcdef0123456789abcdef"}


def sluice(*arguments, cwd: pathlib.Path = ROOT, env: dict | None = None, **options) -> subprocess.CompletedProcess:
    return subprocess.run([SLUICE, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, env={**os.environ, **(env or {})}, timeout=30, **options)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "settings").mkdir()
    (tmp_path / "files").mkdir()
    (tmp_path / "env/files").mkdir(parents=True)
    (tmp_path / "files/a.txt").write_text("of the base")
    (tmp_path / "env/files/a.txt").write_text("of production")
    (tmp_path / "routes.yaml").write_text(BASE)
    (tmp_path / "settings/limits.yaml").write_text("limits: {message: 1KiB, ping: 20s}\n")
    (tmp_path / "env/production.yaml").write_text(
        "applications: {main: {http: [{path: who/, respond: production}, {path: files/, static: files}]}}\nlimits: {message: 2KiB}\n"
    )
    return tmp_path


def test_a_gateway_serves_what_its_files_say_together(start, folder):
    base = start(file=folder / "routes.yaml", bind=None)
    assert requests.get(base.http("/who/"), timeout=10).text == "base"
    assert requests.get(base.http("/files/a.txt"), timeout=10).text == "of the base"
    production = start(file=folder / "routes.yaml", bind=None, arguments=("-f", folder / "env/production.yaml"))
    assert requests.get(production.http("/who/"), timeout=10).text == "production"
    # The name of a folder is relative to the file that says it.
    assert requests.get(production.http("/files/a.txt"), timeout=10).text == "of production"


@pytest.fixture
def runtime(tmp_path_factory) -> dict:
    return {"RUNTIME_DIRECTORY": str(tmp_path_factory.mktemp("r"))}


def test_a_running_gateway_names_all_its_files(start, folder, runtime):
    file, over = folder / "routes.yaml", folder / "env/production.yaml"
    start(file=file, bind=None, arguments=("-f", over), env=runtime)
    told = json.loads(sluice("status", file, "--format", "json", env=runtime).stdout)["files"]
    assert [(pathlib.Path(row["path"]).name, row["use"]) for row in told] == [
        ("routes.yaml", "configuration"), ("limits.yaml", "include"), ("production.yaml", "overlay"),
    ]
    text = sluice("status", file, env=runtime).stdout
    for row in told:
        assert f"{row['sha256'][:12]} {row['path']} ({row['use']})" in text
    over.write_text(over.read_text().replace("2KiB", "3KiB"))
    done = sluice("plan", file, env=runtime)
    assert done.returncode == 3, done
    assert re.search(rf"^files\n  changed  {over} \(overlay\): {told[2]['sha256'][:12]} -> [0-9a-f]{{12}}\n  same     {file} ", done.stdout, re.M), done.stdout
    told = json.loads(sluice("plan", file, "--format", "json", env=runtime).stdout)["files"]
    assert [row["effect"] for row in told] == ["same", "same", "changed"]
    assert f"- file changed: `{over} (overlay): " in sluice("plan", file, "--format", "markdown", env=runtime).stdout


def test_the_configuration_of_a_running_gateway_is_the_one_that_it_serves(start, folder, runtime):
    file, over = folder / "routes.yaml", folder / "env/production.yaml"
    token = "0123456789abcdef-not-shown"
    over.write_text(over.read_text() + "logging: {level: info}\nserver: {threads: 2, admin: {address: 'localhost:0', token: {env: ADMIN}}}\n")
    start(file=file, bind="127.0.0.1:0", arguments=("-f", over), env={**runtime, "ADMIN": token, "LIMIT": "7KiB"})

    def running(*words: str) -> str:
        done = sluice("config", file, "--running", *words, env=runtime)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    first = running()
    assert first.startswith(f"# {file} with {over}, as it is in force\n") and token not in first
    assert re.search(rf"message: 2KiB +# {over}:2\n", first) and re.search(r"bind: .*127.0.0.1:0.* +# --bind\n", first)
    assert re.search(r"ping: 20s +# .*limits.yaml:1\n", first)
    # What the files say now is not of interest, nor whether they are there.
    text = over.read_text()
    over.write_text("limits: {message: 5KiB}")
    (folder / "settings/limits.yaml").unlink()
    assert running() == first
    (folder / "settings/limits.yaml").write_text("limits: {ping: 25s}")
    over.write_text(text.replace("threads: 2", "threads: 1").replace("2KiB", '"${LIMIT}"').replace("level: info", "level: notice"))
    done = sluice("reload", file, env=runtime)
    assert done.returncode == 0 and 'needs "sluice upgrade" or a restart: server.threads stays 2' in done.stdout, done
    second = running()
    assert "# server.threads is that of the start, until the process starts anew\n" in second
    assert re.search(r"threads: 2 ", second) and re.search(r"ping: 25s +# .*limits.yaml:1\n", second)
    assert re.search(rf"message: 7KiB +# {over}:2, \$\{{LIMIT\}} of the environment\n", second), second
    told = json.loads(running("--format", "json"))
    assert told["kept"] == ["server.threads"] and told["configuration"]["server"]["threads"] == 2
    assert told["origins"]["/limits/message"]["variable"] == "LIMIT" and told["origins"]["/server/bind"] == {"source": "option", "option": "--bind"}
    assert "grace: 10s" in running("--defaults") and "grace" not in second
    assert sluice("reload", file, "--previous", env=runtime).returncode == 0
    assert running() == first
    done = sluice("config", file, "-f", over, "--running", env=runtime)
    assert done.returncode == 2 and "-f cannot be used with --running" in done.stderr


def test_every_command_takes_the_files(folder):
    over = ("-f", "env/production.yaml")
    assert sluice("validate", "routes.yaml", *over, cwd=folder).stdout.startswith("routes.yaml with env/production.yaml: good (")
    assert "env/production.yaml:1" in sluice("routes", *over, cwd=folder).stdout
    assert "env/production.yaml:1" in sluice("explain", "/who/", *over, cwd=folder).stdout
    assert "env/production.yaml:1" not in sluice("explain", "/who/", cwd=folder).stdout
    for command in (["serve"], ["token", "make"], ["token", "check"], ["send"], ["disconnect"], ["config"]):
        assert re.search(r"-f, --overlay <file>", sluice(*command, "--help").stdout), command


def test_a_mistake_is_told_where_it_is_by_validate_and_serve(folder):
    (folder / "env/production.yaml").write_text("server:\n  treads: 3\nlimits: {pong: null}\n")
    for command in ("validate", "serve"):
        done = sluice(command, "routes.yaml", "-f", "env/production.yaml", cwd=folder)
        said = done.stdout + done.stderr
        assert done.returncode == 1, said
        assert "--> env/production.yaml:2:3" in said and 'did you mean "threads"?' in said, said
        assert "--> env/production.yaml:3:10" in said, said
    for command in ("validate", "serve", "routes", "config"):
        done = sluice(command, "-f", "prodution.yaml", cwd=folder)
        assert done.returncode == 1 and '"prodution.yaml" cannot be read: there is no such file' in done.stdout + done.stderr


def test_a_part_alone_is_told_to_be_one(folder):
    done = sluice("validate", "settings/limits.yaml", cwd=folder)
    assert done.returncode == 1
    assert done.stdout.count("error[") == 1 and "it is no whole configuration" in done.stdout
    assert '"sluice validate routes.yaml -f settings/limits.yaml"' in done.stdout


def test_files_of_a_config_map_and_of_a_pipe(start, folder):
    """Kubernetes mounts each file as a link into a folder that is itself a link. A program may also write one into a pipe."""
    mounted = folder / "mounted"
    (mounted / "..2026").mkdir(parents=True)
    (mounted / "..data").symlink_to("..2026")
    for name, text in {"routes.yaml": BASE.replace("settings/", "").replace("static: files", "respond: x"), "limits.yaml": "limits: {message: 1KiB}\n", "over.yaml": "logging: {format: json}\n"}.items():
        (mounted / "..2026" / name).write_text(text)
        (mounted / name).symlink_to(f"..data/{name}")
    done = sluice("config", mounted / "routes.yaml", "-f", mounted / "over.yaml", cwd=folder)
    assert done.returncode == 0 and yaml.safe_load(done.stdout)["limits"] == {"message": "1KiB"}
    done = sluice("config", mounted / "routes.yaml", "-f", "-", cwd=folder, input="limits: {message: 3KiB}\n")
    assert yaml.safe_load(done.stdout)["limits"] == {"message": "3KiB"} and "# -:1" in done.stdout
    done = subprocess.run(
        ["bash", "-c", f'"{SLUICE}" config {mounted}/routes.yaml -f <(echo "limits: {{message: 4KiB}}")'], capture_output=True, text=True, timeout=30
    )
    assert yaml.safe_load(done.stdout)["limits"] == {"message": "4KiB"}, done.stderr


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """The shipped files in a folder of their own, as what is printed is saved beside them."""
    folder = tmp_path_factory.mktemp("shipped")
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns(".venv", "__pycache__", "*.sqlite3*"))
    shutil.copy(ROOT / "routes.yaml", folder)
    return folder


@pytest.mark.parametrize("file", [file.relative_to(ROOT) for file in SHIPPED], ids=str)
def test_what_is_printed_of_a_shipped_file_is_good_and_says_the_same(file, copied):
    def run(*arguments):
        return sluice(*arguments, cwd=copied, env=SECRETS)

    printed = run("config", file)
    assert printed.returncode == 0, printed.stderr
    assert not any(secret in printed.stdout for secret in SECRETS.values())
    # Beside the file, because names of files are relative to it.
    beside = file.parent / "printed.yaml"
    (copied / beside).write_text(printed.stdout)
    assert run("validate", "--strict", beside).returncode == 0

    def without_place(text):
        return re.sub(r" +\S*:\d+$", "", text, flags=re.M)

    assert without_place(run("routes", beside).stdout).split() == without_place(run("routes", file).stdout).split()
    assert yaml.safe_load(run("config", beside).stdout) == yaml.safe_load(printed.stdout)


def test_the_files_of_the_example_are_put_together():
    environments = ROOT / "examples/environments"
    done = sluice("config", "routes.yaml", "-f", "production.yaml", "-f", "staging.yaml", cwd=environments)
    said = yaml.safe_load(done.stdout)
    assert said["limits"] == {"message": "64KiB", "ping": {"interval": "25s", "timeout": "20s"}, "connections": 500}
    assert said["auth"]["users"]["jwt"] == {"secret": {"env": "SIGNING_KEY"}, "from": ["header"], "issuer": "https://id.example.com"}
    assert said["logging"] == {"level": "debug"}
    assert re.search(r"connections: 500 +# staging\.yaml:2\n", done.stdout)
    assert re.search(r"issuer: https://id\.example\.com +# production\.yaml:\d+\n", done.stdout)
    assert re.search(r"message: 64KiB +# limits\.yaml:3\n", done.stdout)


def test_the_origins_are_data_too(folder):
    (folder / "env/production.yaml").write_text('server: {bind: "127.0.0.1:${PORT}", threads: "${THREADS:-2}"}\n')
    done = sluice("config", "-f", "env/production.yaml", "--format", "json", "--defaults", cwd=folder, env={"PORT": "0"})
    said = json.loads(done.stdout)
    assert said["configuration"]["server"]["bind"] == "127.0.0.1:0"
    origins = said["origins"]
    assert origins["/server/bind"] == {"source": "file", "path": "env/production.yaml", "line": 1, "column": 16, "variable": "PORT", "is_default": False}
    assert origins["/server/threads"]["is_default"] is True
    assert origins["/limits/message"]["path"] == "settings/limits.yaml"
    assert origins["/limits/keep_alive"] == {"source": "default"}
    assert [file["path"] for file in said["files"]] == ["routes.yaml", "settings/limits.yaml", "env/production.yaml"]
    assert re.fullmatch(r"[0-9a-f]{64}", said["sha256"]) and all(re.fullmatch(r"[0-9a-f]{64}", file["sha256"]) for file in said["files"])


def test_no_secret_is_printed_and_none_has_to_be_there(tmp_path):
    (tmp_path / "routes.yaml").write_text("""
installed_apps: [chat]
channel_layers: {default: {backend: redis, config: {hosts: ["${REDIS_URL}", "redis://:hunter2@one/0"], symmetric_encryption_keys: [hunter2]}}}
auth: {users: {jwt: {secret: "${KEY}"}}}
applications: {main: {websocket: [{path: a/, consumer: chat, group: a, auth: users}]}}
""")
    (tmp_path / "over.yaml").write_text('auth: {users: {jwt: {secret: hunter2hunter2hunter2hunter2hunter2}}}\n')
    for overlay in ((), ("-f", "over.yaml")):
        for format in ("yaml", "json"):
            for env in ({}, {"REDIS_URL": "redis://:hunter2@two:1/0", "KEY": "hunter2" * 8}):
                done = sluice("config", *overlay, "--format", format, cwd=tmp_path, env=env)
                assert done.returncode == 0, done.stderr
                assert "hunter2" not in done.stdout + done.stderr
                assert "redis://:***@one/0" in done.stdout
                assert ("redis://:***@two:1/0" if env else "${REDIS_URL}") in done.stdout


def test_a_broken_configuration_is_not_printed():
    done = sluice("config", ROOT / "Tests/GatewayConfigTests/Fixtures/broken/ten-faults.yaml")
    assert (done.returncode, done.stdout) == (1, "") and len(re.findall(r"^error\[", done.stderr, re.M)) == 10
    assert sluice("config", "--format", "xml").returncode == 2
