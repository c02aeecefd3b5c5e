"""Thousands of generated route tables: Sluice's router and Django's, under Channels' URLRouter, must agree."""

import json
import random
import subprocess

import django
from channels.routing import URLRouter
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.urls import path, re_path

from conftest import SLUICE

if not settings.configured:
    settings.configure()
    django.setup()

TABLES = 1200
PATHS_PER_TABLE = 24
LITERALS = ["a", "b", "ab", "ws", "a/", "ws/", "1", "x-y", "."]
CONVERTERS = ["int", "str", "slug", "uuid", "path"]
UUID = "01234567-89ab-cdef-0123-456789abcdef"
WORDS = ["a", "b", "ab", "ws", "1", "007", "x-y", "_", ".", "A", UUID, "a.b", "0", "aa", "1a"]


def random_path_pattern(rng: random.Random, is_prefix: bool) -> str:
    parts, names = [], iter("pqrst")
    for _ in range(rng.randint(0 if not is_prefix else 1, 3)):
        if rng.random() < 0.5:
            parts.append(rng.choice(LITERALS))
        else:
            kind = rng.choice(CONVERTERS)
            name = next(names)
            parts.append(f"<{name}>" if kind == "str" and rng.random() < 0.5 else f"<{kind}:{name}>")
        parts.append(rng.choice(["/", "", "-", "/"]))
    return "".join(parts)


def random_regex(rng: random.Random, depth: int = 2) -> str:
    def atom(level: int) -> str:
        kind = rng.randint(0, 9 if level else 6)
        if kind < 3:
            return rng.choice(["a", "b", "1", "/", "x"])
        if kind == 3:
            return rng.choice([r"\w", r"\d", ".", "[ab]", "[^/]", "[a-z0-9]", r"[^\d]"])
        if kind < 7:
            return rng.choice(["ws", "a/", "ab"])
        inner = "|".join(sequence(level - 1) for _ in range(rng.randint(1, 2)))
        return f"(?:{inner})"

    def sequence(level: int) -> str:
        text = ""
        for _ in range(rng.randint(1, 3)):
            piece = atom(level)
            # Repetitions inside repetitions take Python's matcher exponential time, so only single characters get them.
            is_single = len(piece) == 1 or piece[0] in "[\\"
            quantifier = rng.choice(["", "", "*", "+", "?", "{1,2}", "*?", "+?"] if is_single else ["", "?", "??"])
            text += f"(?:{piece}){quantifier}" if quantifier and not is_single and piece[0] != "(" else piece + quantifier
        return text

    body = ""
    for name in "uv"[: rng.randint(0, 2)]:
        body += f"{sequence(0)}(?P<{name}>{sequence(depth - 1)})"
    body += sequence(depth)
    return rng.choice(["^", "", "^"]) + body + rng.choice(["$", "", "/$", r"\Z"])


def random_pattern(rng: random.Random, is_prefix: bool) -> tuple[str, str]:
    if rng.random() < 0.55:
        return "path", random_path_pattern(rng, is_prefix)
    text = random_regex(rng)
    return "re_path", "^" + text.strip("^").removesuffix("$").removesuffix(r"\Z") + "/" if is_prefix else text


def random_table(rng: random.Random) -> list[list[tuple[str, str]]]:
    routes = []
    for _ in range(rng.randint(1, 4)):
        prefixes = [random_pattern(rng, True)] if rng.random() < 0.3 else []
        routes.append([*prefixes, random_pattern(rng, False)])
    return routes


def random_request(rng: random.Random, table: list[list[tuple[str, str]]]) -> str:
    if rng.random() < 0.5:
        text = "".join(text for _, text in rng.choice(table))
        for kind, sample in [("int", "7"), ("str", "a b"), ("slug", "a-1"), ("uuid", UUID), ("path", "x/y")]:
            for name in "pqrst":
                text = text.replace(f"<{kind}:{name}>", sample).replace(f"<{name}>", "s")
        text = "".join(c for c in text if c not in "^$?*+()[]|\\{}<>" or rng.random() < 0.1)
        if rng.random() < 0.4 and text:
            index = rng.randrange(len(text))
            text = text[:index] + rng.choice("ab1/-x") + text[index + rng.randint(0, 1) :]
        return text.replace("Pu", "").replace("Pv", "")
    return "".join(rng.choice(WORDS) + rng.choice(["/", "", "/", "-"]) for _ in range(rng.randint(0, 4)))


def django_router(table):
    """None if Django refuses the table."""

    def endpoint(index):
        async def application(scope, receive, send):
            scope["found"].append((index, scope["url_route"]["kwargs"]))

        return application

    routes = []
    for index, patterns in enumerate(table):
        application = endpoint(index)
        for kind, text in reversed(patterns):
            make = path if kind == "path" else re_path
            application = URLRouter([make(text, application)]) if application is not None else application
        routes.append(application)
    # Each entry is a router of its own; an outer one tries them in order, as it would its routes.
    return routes


def ask_django(routers, request):
    for router in routers:
        found: list = []
        scope = {"type": "websocket", "path": "/" + request, "found": found}
        try:
            # Nothing in it waits, so one step is all of it.
            router(scope, None, None).send(None)
        except StopIteration:
            pass
        except ValueError as error:
            if "No route found" not in str(error):
                raise
            continue
        index, kwargs = found[0]
        return {"route": index, "captures": {name: str(value) for name, value in kwargs.items()}}
    return None


def random_prefix_table(rng: random.Random) -> list[list[tuple[str, str]]]:
    """One nested route behind a regular expression that may end in several places."""
    prefix = "".join(rng.choice(["a", "b", "[ab]", "(?:ab)", "/"]) + rng.choice(["", "", "?", "*", "+", "{2,3}", "*?"]) for _ in range(rng.randint(1, 3)))
    if rng.random() < 0.3:
        prefix = rng.choice(["(?:{})*", "(?:{}|a)", "(?P<u>{})", "(?:{}|ab/)"]).format(prefix)
    rest = rng.choice(["", "a", "b", "a/", "b/", "^a", "^b/?$", "(?P<v>[ab]+)$", "ab$"])
    return [[("re_path", rng.choice(["^", "^", ""]) + prefix + rng.choice(["", "/", "/?", "/*"])), ("re_path", rest)]]


def random_prefix_request(rng: random.Random, table) -> str:
    return "".join(rng.choice("aabb/") for _ in range(rng.randint(0, 7))).lstrip("/")


def test_the_routers_agree():
    compared, matched, refused = compare(random_table, random_request)
    assert compared > 20_000
    assert matched > 3_000
    assert refused < TABLES / 4


def test_the_routers_agree_about_prefixes():
    compared, matched, refused = compare(random_prefix_table, random_prefix_request)
    assert compared > 5_000
    assert matched > 500


def compare(random_table, random_request) -> tuple[int, int, int]:
    rng = random.Random(20260)
    questions = []
    while len(questions) < TABLES:
        table = random_table(rng)
        try:
            routers = django_router(table)
        except ImproperlyConfigured:
            continue
        requests = [random_request(rng, table) for _ in range(PATHS_PER_TABLE)]
        requests = [request for request in requests if "\n" not in request and request.isascii()]
        questions.append((table, routers, requests))
    lines = "".join(
        json.dumps({"routes": [[list(pattern) for pattern in route] for route in table], "paths": requests}) + "\n"
        for table, _, requests in questions
    )
    done = subprocess.run([SLUICE, "match-table"], input=lines, capture_output=True, text=True, timeout=300, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == TABLES
    compared = matched = refused = 0
    differences = []
    for (table, routers, requests), answer in zip(questions, answers):
        if "fault" in answer:
            refused += 1
            assert answer["fault"] == "ambiguous prefix", (table, answer)
            continue
        for request, match in zip(requests, answer["matches"]):
            expected = ask_django(routers, request)
            compared += 1
            matched += expected is not None
            if match != expected:
                differences.append((table, request, expected, match))
    print(f"router: {compared} paths compared, {matched} matched, {refused} of {TABLES} tables refused as ambiguous")
    assert differences[:5] == []
    return compared, matched, refused
