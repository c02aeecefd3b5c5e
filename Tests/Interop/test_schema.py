"""The schemas that editors read, and the list of keys: what `sluice schema` and `sluice keys` print."""

import functools
import json
import re
import subprocess

import jsonschema
import pytest
import yaml

import reference
from conftest import ROOT, SLUICE
from manual import PAGES, blocks_of

FIXTURES = ROOT / "Tests/GatewayConfigTests/Fixtures"
DRAFTS = [jsonschema.Draft7Validator, jsonschema.Draft202012Validator]

# Findings that a schema can make. The others follow names, patterns, files, or values from the environment.
REFUSED = {"unknown-key", "wrong-type", "missing-unit", "out-of-range"}
# Faults with these codes that no schema can tell: numbers within a time, a size or an address, and what depends on more than a range.
BEYOND = {
    "json-numbers.yaml",
    "range-code.yaml",
    "range-size.yaml",
    "range-time-huge.yaml",
    "range-time.yaml",
    "redirect-status.yaml",
    "redis-port.yaml",
    "variable-bad-value.yaml",
}


class Reader(yaml.CSafeLoader):
    """Reads scalars as YAML 1.2 does (the core schema), as the YAML language server reads them."""


Reader.yaml_implicit_resolvers = {}
for kind, pattern, first in [
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", "[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("merge", "<<", "<"),
]:
    Reader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"({pattern})$"), list(first))
Reader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))
Reader.add_constructor("tag:yaml.org,2002:float", lambda loader, node: float(node.value))


def run(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run([SLUICE, *map(str, arguments)], capture_output=True, text=True, timeout=30, cwd=ROOT)


@functools.cache
def schema(kind: str) -> dict:
    done = run("schema", kind)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@functools.cache
def validators(kind: str) -> list:
    return [draft(schema(kind)) for draft in DRAFTS]


def faults(file, kind: str) -> list[list[str]]:
    """What each draft finds."""
    value = yaml.load(file.read_text(), Reader)
    return [[f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)] for validator in validators(kind)]


def kind_of(file) -> str:
    if file.name == "app.yaml":
        return "app"
    if re.search(r"^applications:", file.read_text(), re.M):
        return "routes"
    return "part" if re.search(r"^[a-z_]+:", file.read_text(), re.M) and not re.search(r"^routes:", file.read_text(), re.M) else "include"


# Files of other programs.
OTHERS = ["examples/*/compose.yaml", "examples/kubernetes/*.yaml"]
FOREIGN = {file for pattern in OTHERS for file in ROOT.glob(pattern) if file.name != "routes.yaml"}
GOOD = [file for folder in (ROOT / "examples", FIXTURES / "good") for file in sorted(folder.rglob("*.yaml")) if file not in FOREIGN]
BROKEN = sorted((FIXTURES / "broken").glob("*.yaml"))


@pytest.mark.parametrize("kind", ["routes", "include", "app", "part"])
def test_a_schema_is_one_in_both_drafts(kind):
    for draft in DRAFTS:
        draft.check_schema(schema(kind))
    text = json.dumps(schema(kind))
    # Words that the YAML language server does not know, or that one of the drafts reads differently.
    for word in ("unevaluatedProperties", "dependencies", "dependentRequired", "$defs", "prefixItems", "$recursiveRef", "contains"):
        assert f'"{word}"' not in text.replace('"properties"', ""), word

    def mappings(node):
        if isinstance(node, dict):
            if "properties" in node and "type" in node:
                yield node
            for value in node.values():
                yield from mappings(value)
        elif isinstance(node, list):
            for value in node:
                yield from mappings(value)

    assert all(mapping["additionalProperties"] is False for mapping in mappings(schema(kind)))


@pytest.mark.parametrize("file", [ROOT / "routes.yaml", *GOOD], ids=lambda file: str(file.relative_to(ROOT)))
def test_a_good_file_fits_its_schema(file):
    assert faults(file, kind_of(file)) == [[], []]


def test_the_files_in_the_manual_fit_their_schema():
    blocks = [block for page in PAGES for block in blocks_of(page) if block.language == "yaml" and block.noted("has findings") is None]
    whole = [block for block in blocks if not block.part and re.search(r"^installed_apps:", block.text, re.M)]
    assert len(whole) >= 5
    for block in whole:
        value = yaml.load(block.text, Reader)
        for validator in validators("routes"):
            assert [error.message[:300] for error in validator.iter_errors(value)] == [], block.place


def codes_of(file) -> set[str]:
    """The errors that a fixture says it has itself; those of files that it includes are marked with their names."""
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#@") or line.startswith(f"#@ {file.name}:")]
    return set(re.findall(r"\berror\[([a-z-]+)\]", "\n".join(lines)))


def test_a_broken_file_is_refused_where_a_schema_can_tell():
    accepted, refused = set(), 0
    for file in BROKEN:
        try:
            found = faults(file, "routes")
        except yaml.YAMLError:
            continue
        assert [bool(errors) for errors in found] in ([True, True], [False, False]), file.name
        if codes_of(file) & REFUSED and not found[0]:
            accepted.add(file.name)
        refused += bool(found[0])
    assert accepted == BEYOND
    assert refused >= 90



ROUTE = "installed_apps: [echo, chat, broadcast, proxy]\napplications: {main: {websocket: [%s]}}\n"


@pytest.mark.parametrize(
    "text, is_good",
    [
        (ROUTE % "{path: x, consumer: echo}", True),
        (ROUTE % "{path: x, consumer: echo, group: g}", False),
        (ROUTE % "{path: x, consumer: chat, group: g, presence: true}", True),
        (ROUTE % "{path: x, consumer: chat, group: g, publish: nobody}", False),
        (ROUTE % "{path: x, consumer: chat}", False),
        (ROUTE % "{path: x, consumer: app.preset}", True),
        (ROUTE % "{path: x}", False),
        (ROUTE % "{path: x, re_path: x, consumer: echo}", False),
        (ROUTE % "{path: x, consumer: echo, include: more.yaml}", False),
        (ROUTE % "{path: x, include: more.yaml, group: g}", False),
        (ROUTE % '{path: x, consumer: echo, limits: {message: "${SIZE}"}, compression: "${ON:-true}"}', True),
        (ROUTE % "{path: x, consumer: echo, limits: {message: 64kb}}", False),
        (ROUTE % "{path: x, consumer: echo, limits: {handshake: 5s}}", False),
        (ROUTE % "{path: x, consumer: echo}" + "server: {threads: 256}", True),
        (ROUTE % "{path: x, consumer: echo}" + "server: {threads: 257}", False),
        (ROUTE % "{path: x, consumer: echo}" + 'server: {threads: "${THREADS}"}', True),
        (ROUTE % "{path: x, consumer: echo}" + "channel_layers: {default: {backend: redis_pubsub, config: {prefix: x}}}", True),
        (ROUTE % "{path: x, consumer: echo}" + "channel_layers: {default: {backend: redis_pubsub, config: {capacity: 5}}}", False),
        (ROUTE % "{path: x, consumer: echo}" + "channel_layers: {default: {backend: channels_redis.core.RedisChannelLayer, config: {capacity: 5}}}", True),
    ],
)
def test_what_a_schema_tells(text, is_good):
    for validator in validators("routes"):
        assert validator.is_valid(yaml.load(text, Reader)) == is_good, validator


def test_a_key_is_explained():
    done = run("keys", "send_queue")
    assert done.returncode == 0
    assert done.stdout.startswith("limits.send_queue\n  The most bytes that may wait for one slow client.")
    assert "  value    a size from 1KiB to 1GiB\n  default  1MiB\n  where    limits; " in done.stdout
    assert run("keys", "limits.send_queue").stdout == done.stdout
    assert run("keys", "auth.users.jwt.leeway").stdout.startswith("auth.NAME.jwt.leeway\n")
    every = run("keys").stdout
    assert re.search(r"^  limits\.ping +A ping is sent after this much silence", every, re.M)
    wrong = run("keys", "limits.send_queu")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == 'sluice: there is no key "limits.send_queu"; did you mean "send_queue"?\n'


def test_the_tables_of_the_reference_are_those_of_the_program():
    page = reference.PAGE.read_text()
    assert reference.updated(page) == page, "write them with: make reference"


def test_a_part_needs_nothing_and_may_remove_keys():
    part = run("schema", "part")
    validator = jsonschema.Draft7Validator(json.loads(part.stdout))
    good = ["{}", "limits: {ping: null, message: 1KiB}", "auth: {users: {jwt: {issuer: me}}, site: null}", "server: null", "include: [a.yaml, b.yaml]"]
    bad = ["lmits: {}", "limits: {ping: 25}", "applications: {main: {websocket: [{path: a}]}}", "auth: {users: {jwt: {isuer: me}}}"]
    assert [validator.is_valid(yaml.load(text, Reader)) for text in good + bad] == [True] * len(good) + [False] * len(bad)
