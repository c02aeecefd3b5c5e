"""The manual is correct: every YAML block is validated, every command is run, every link is followed."""

import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as trees

import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from browser import Browser
from certificates import Authority
from conftest import ROOT, SLUICE
from manual import OTHERS, PAGES, Reader, anchors_of, blocks_of, commands_of, links_of, prose_of
from redis_stack import RedisServer, free_port, wait_until

README = PAGES[0]
DOCS = {page.name: page for page in PAGES[1:]}
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
YAML = [block for block in BLOCKS if block.language == "yaml"]

# The mapping around a part of a file, if the part does not name one itself.
FRAME = {
    "installed_apps": "installed_apps: [echo, chat, broadcast, proxy, view]\n",
    "channel_layers": "channel_layers: {default: {backend: memory}}\n",
    "auth": 'auth: {users: {jwt: {secret: {env: TOKEN_SECRET}}}, site: {callback: {url: "http://127.0.0.1:8001/me/"}}}\n',
    "applications": "applications: {main: {websocket: [{path: ws/frame/, consumer: echo}]}}\n",
}


def framed(block) -> str:
    """A complete file: the part below its key, with everything around it that is required."""
    text, *keys = block.text, *([] if block.part == "top level" else block.part.split("."))
    for depth, key in reversed(list(enumerate(keys))):
        text = f"{key}:\n" + re.sub(r"^(?=.)", "  ", text, flags=re.M)
    return text + "".join(section for key, section in FRAME.items() if not re.search(rf"^{key}:", text, re.M))


def run(*arguments, **options) -> subprocess.CompletedProcess:
    return subprocess.run([SLUICE, *map(str, arguments)], capture_output=True, text=True, timeout=60, **options)


@pytest.fixture(scope="module")
def validated(tmp_path_factory) -> dict:
    """The findings of every block, from one run of `validate`."""
    folder = tmp_path_factory.mktemp("blocks")
    for name in ("page", "static", "staticfiles", "examples/web", "tls", "dist"):
        (folder / name).mkdir(parents=True)
    (folder / "dist/index.html").touch()
    (folder / "publish-token").write_text("only-to-validate-0123456789abcdef")
    (folder / "publish-token").chmod(0o600)
    Authority(folder / "tls").issue("site", "127.0.0.1")
    (folder / "tls/site.pem").rename(folder / "tls/fullchain.pem")
    (folder / "tls/site.key").rename(folder / "tls/key.pem")
    secrets = {name: "only-to-validate-0123456789abcdef" for block in YAML for name in re.findall(r"\{env: (\w+)\}", block.text)}
    secrets["TOKEN_SECRET"] = "only-to-validate-0123456789abcdef"
    secrets["REDIS_URL"] = "redis://127.0.0.1:6379/0"
    for number, block in enumerate(YAML):
        (folder / f"{number}.yaml").write_text(framed(block) if block.part else block.text)
    # Those that others include.
    for block in YAML:
        if (name := block.file) and "/" not in name and name != "routes.yaml":
            (folder / name).write_text(block.text)
    names = [f"{number}.yaml" for number in range(len(YAML))]
    done = run("validate", "--format", "json", *names, cwd=folder, env={**os.environ, **secrets})
    found = json.loads(done.stdout)["files"]
    assert len(found) == len(YAML), done.stderr
    return {block: report for block, report in zip(YAML, found)}


@pytest.mark.parametrize("block", YAML, ids=lambda block: block.place)
def test_a_yaml_block_is_good(block, validated):
    findings = validated[block]["findings"]
    if block.noted("has findings") is not None:
        assert validated[block]["errors"], block.place
        return
    if re.match(r"# (?!routes\.yaml)[\w./-]+\.ya?ml\n", block.text):
        # A file of another program: only its YAML can be judged here.
        findings = [finding for finding in findings if finding["code"].startswith("yaml")]
    else:
        assert block.part or re.search(r"^applications:", block.text, re.M), f"{block.place} is no whole file, and does not say what it is a part of"
    assert findings == [], "\n".join(f"{finding['code']}: {finding['message']}" for finding in findings)


def test_python_compiles():
    for block in BLOCKS:
        if block.language == "python":
            compile(block.text, block.place, "exec")


def test_the_example_is_routes_yaml():
    (example,) = [block.text for block in blocks_of(DOCS["start.md"]) if block.text.startswith("# What Sluice serves")]
    assert example == (ROOT / "routes.yaml").read_text()


def test_the_file_of_one_who_comes_from_channels(tmp_path):
    text = DOCS["django.md"].read_text().split("## Move setting by setting")[1]
    file = tmp_path / "routes.yaml"
    file.write_text(re.search(r"```yaml\n(.*?)```", text, re.S)[1])
    done = run("validate", "--strict", file)
    assert done.returncode == 0, done.stdout + done.stderr


@functools.cache
def help_of(*command: str) -> str:
    done = run(*command, "--help")
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


@pytest.mark.parametrize("page", PAGES + OTHERS, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_option_exists(page):
    for command in commands_of(page):
        words = command.split()[1:]
        if words[0] == "help":
            continue
        parts = {"bench": ("echo", "fanout", "connect", "idle", "publish", "events"), "token": ("make", "check")}
        names = words[:2] if len(words) > 1 and words[1] in parts.get(words[0], ()) else words[:1]
        text = help_of(*names)
        if "|" in " ".join(words[:2]):
            continue
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", command):
            assert re.search(rf"{option}\b(?!-)", text), f"{option} in {command}"


def test_the_commands_are_all_there():
    named = {command.split()[1] for page in PAGES for command in commands_of(page)}
    assert {"serve", "validate", "routes", "explain"} <= named
    known = set(re.findall(r"^  ([a-z]+) {2,}", run("help").stdout.split("SUBCOMMANDS:")[1], re.M))
    assert named - {"help"} == known - {"help"}


def test_every_make_target_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in PAGES:
        named = set(re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(), re.M))
        assert named <= targets, page


def test_every_script_exists():
    for page in PAGES:
        for name in re.findall(r"Tests/[\w/]+\.(?:py|sh|md)", page.read_text()):
            assert (ROOT / name).exists(), f"{page}: {name}"


def test_every_key_is_in_the_reference():
    """Each key that is declared, or that the configuration reader asks for, appears in code in the reference, or beside CONFIG."""
    keys = {
        key
        for folder in ("Reading", "Keys")
        for file in (ROOT / "Sources/GatewayConfig" / folder).glob("*.swift")
        for key in re.findall(r'\b(?:value|entry|required|integer|duration|byteCount|truth|Key)\(\s*"([a-z_]+)"', file.read_text())
    }
    assert len(keys) > 100
    code = " ".join(re.findall(r"`([^`\n]+)`", DOCS["reference.md"].read_text() + DOCS["django.md"].read_text()))
    assert [key for key in sorted(keys) if not re.search(rf"\b{key}\b", code)] == []


def test_every_example_is_named():
    for folder in (ROOT / "examples").iterdir():
        assert f"](examples/{folder.name})" in README.read_text(), folder.name
        assert f"](../examples/{folder.name})" in DOCS["README.md"].read_text(), folder.name


def test_every_construct_of_a_consumer_is_shown_by_a_test():
    """The table of what becomes of a consumer has for each one how many have it, the lines here, and tests that exist."""
    table = DOCS["django.md"].read_text().split("## Coming from Django Channels\n")[1].split("\n## ")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines() if line.startswith("| ")][1:]
    # The 25 constructs of the survey, and those that stand apart from the one that they belong to.
    assert len(rows) >= 25
    for construct, count, here, tests in rows:
        assert re.fullmatch(r"\d+(, \d+)*|of these \d+|–", count.strip()) and here.strip(), construct
        named = re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", tests)
        assert named, construct
        for file, test in named:
            source = ROOT / "Tests/Interop" / file
            assert source.exists() and (not test or f"def {test}(" in source.read_text()), (construct, file, test)


def test_every_page_is_found_from_both_indices():
    for name in DOCS:
        if name != "README.md":
            assert f"](docs/{name})" in README.read_text(), name
            assert f"]({name})" in DOCS["README.md"].read_text(), name


@pytest.mark.parametrize("page", PAGES + OTHERS, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    if page == README:
        assert "docs/authentication.md" in links_of(page)
    for link in links_of(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors_of(target), link


@pytest.mark.parametrize("page", PAGES + OTHERS, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_rows_of_a_table_have_as_many_cells_as_its_head(page):
    """Markdown drops surplus cells of a table row, and a "|" in code begins a cell."""
    for table in re.findall(r"(?:^\|.*\n)+", prose_of(page), re.M):
        rows = [len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()]
        assert len(set(rows)) == 1, table[:200]


def test_the_readme_fits_on_two_screens():
    assert README.read_text().count("\n") <= 120


def test_a_drawing_is_well_formed_and_says_what_it_shows():
    drawings = list((ROOT / "docs/images").glob("*.svg"))
    assert len(drawings) >= 5
    for file in drawings:
        root = trees.parse(file).getroot()
        assert [child.tag.split("}")[1] for child in root][:2] == ["title", "desc"], file
        assert any(file.name in page.read_text() for page in PAGES), file


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server.port
    server.stop()


@pytest.fixture
def reader(tmp_path, redis_port):
    reader = Reader(tmp_path, redis_port)
    yield reader
    reader.close()


FOLLOWED_ALONE = {"start.md", "django.md", "chat.md"}
SHELL = [page for page in PAGES + OTHERS if any(block.language == "sh" for block in blocks_of(page)) and page.name not in FOLLOWED_ALONE]


@pytest.mark.parametrize("page", SHELL, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_can_be_followed(page, reader):
    reader.follow(page)


def test_the_first_chat(reader, tmp_path):
    reader.follow(DOCS["start.md"])
    browser = Browser(tmp_path / "profile")
    try:
        first, second = (browser.open(reader.url("/")) for _ in range(2))
        for page in (first, second):
            page.wait_for("socket?.readyState === 1")
        first.say("hello <b>you</b>")
        second.wait_for("document.querySelector('#log').innerText === 'hello <b>you</b>'")
        # The gateway stops and starts: the pages say so, keep what was typed, and connect again without being loaded again.
        serve, send = [block for block in blocks_of(DOCS["start.md"]) if block.text.startswith(("sluice serve", "sluice send"))][-2:]
        reader.end(reader.running.pop("8000"))
        for page in (first, second):
            page.wait_for("document.querySelector('#state').innerText.startsWith('not connected')")
        first.say("not lost")
        assert first.run("document.querySelector('#text').value") == "not lost"
        reader.start(serve)
        for page in (first, second):
            page.wait_for("socket.readyState === 1")
        reader.run(send)
        for page in (first, second):
            page.wait_for("document.querySelector('#log').innerText.endsWith('doors open at 8')")
        # Another room, and what is none.
        for name, text in {"kitchen": "room: kitchen", "my room": "not connected", "küche": "not connected", "": "room: lobby"}.items():
            first.run(f"location.hash = {json.dumps(name)}")
            first.wait_for(f"document.querySelector('#state').innerText.startsWith('{text}')")
        file = browser.open((reader.cwd / "page/index.html").as_uri())
        file.wait_for("document.querySelector('#state').innerText.includes('instead of the file')")
        for block in BLOCKS:
            if block.language == "js":
                assert first.run(f"typeof new Function({json.dumps(block.text)})") == "function", block.place
        # The list of users that the cookbook keeps.
        (list_of_users,) = [block.text for block in blocks_of(DOCS["chat.md"]) if block.language == "js"]
        first.go("about:blank")
        first.run(list_of_users.replace("let users", "var users"))
        first.run("presence({users: ['ann', 'bob'], count: 2}); presence({joined: 'eve', count: 3}); presence({left: 'bob', count: 2})")
        assert first.run("[...users].join()") == "ann,eve"
    finally:
        browser.close()


def test_the_chat_cookbook(reader, tmp_path):
    reader.follow(DOCS["chat.md"])
    texts = lambda: [output.read_text() for output in reader.outputs.values()]
    # The results of the back end's requests: bob has his message; alice has seen the topic change, and was disconnected.
    wait_until(lambda: any('{"from":"alice","text":"hi bob"}' in text for text in texts()), 10, "bob hears")
    wait_until(lambda: any('{"topic":"cakes"}' in text and "4403" in text and "be nice" in text for text in texts()), 10, "alice is told")
    # The page has the client of the page about histories, word for word, and shows what there is.
    (client,) = [block.text for block in BLOCKS if block.page == DOCS["history.md"] and block.text.startswith("let id")]
    (source,) = [block.text for block in BLOCKS if block.page == DOCS["chat.md"] and block.file == "page/index.html"]
    assert client in source
    made = subprocess.run(
        ["bash", "-c", f"{reader.begin(BLOCKS[0])}.venv/bin/python client.py carol"], capture_output=True, text=True, timeout=20, check=True
    )
    browser = Browser(tmp_path / "profile")
    try:
        page = browser.open(reader.url(f"/#{made.stdout.strip()}"))
        page.wait_for("document.querySelector('#online').innerText === 'here: carol'")
        page.say("hello")
        page.wait_for("document.querySelector('#log').innerText === 'alice: hi\\nthe topic is cakes\\ncarol: hello'")
        page.go(reader.url("/"))
        page.wait_for("document.querySelector('#state').innerText.startsWith('not connected')")
    finally:
        browser.close()


def test_django_from_a_fresh_startproject(reader):
    reader.follow(DOCS["django.md"])
    browser = requests.Session()
    login = browser.get(reader.url("/admin/login/?next=/chat/lobby/"), timeout=20)
    assert "csrfmiddlewaretoken" in login.text
    (style,) = re.findall(r'href="(/static/admin/css/base[^"]*\.css)"', login.text)
    assert browser.get(reader.url(style), timeout=20).headers["Content-Type"].startswith("text/css")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', login.text)[1]
    form = {"username": "ann", "password": "pw", "csrfmiddlewaretoken": token, "next": "/chat/lobby/"}
    page = browser.post(reader.url("/admin/login/"), data=form, timeout=20)
    assert "new WebSocket" in page.text and page.url == reader.url("/chat/lobby/")
    address = reader.url("/ws/chat/lobby/").replace("http", "ws")
    with pytest.raises(Exception, match="401"):
        connect(address, proxy=None)
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    with connect(address, additional_headers={"Cookie": cookies}, origin=reader.url(""), proxy=None) as socket:
        socket.send('{"message": "hi"}')
        assert json.loads(socket.recv(20)) == {"message": "hi", "user": "ann"}
        sent = browser.post(
            reader.url("/chat/lobby/announce/"), data={"message": "doors open"}, headers={"X-CSRFToken": browser.cookies["csrftoken"]}, timeout=20
        )
        assert sent.status_code == 204, sent.text
        assert json.loads(socket.recv(20)) == {"message": "doors open", "user": "the house"}
        browser.post(reader.url("/admin/logout/"), headers={"X-CSRFToken": browser.cookies["csrftoken"]}, timeout=20)
        with pytest.raises(ConnectionClosed, match="4403"):
            socket.recv(20)
    # A token with the name, under the key that the page exports.
    code = (
        "import os, jwt; from django.contrib.auth.models import User; from rooms.tokens import NamedTokens;"
        "token = NamedTokens.get_token(User.objects.get()).access_token; key = os.environ['DJANGO_SECRET_KEY'];"
        "print('named', jwt.decode(str(token), key, ['HS256'])['username'])"
    )
    made = subprocess.run(["bash", "-c", f'{reader.begin(BLOCKS[0])}python manage.py shell -c "{code}"'], capture_output=True, text=True, timeout=30)
    assert made.stdout.endswith("named ann\n"), made.stdout + made.stderr


@pytest.mark.skipif(not shutil.which("nginx"), reason="needs nginx")
@pytest.mark.parametrize("name", ["docs/operate.md", "examples/behind-nginx/nginx.conf"])
def test_a_session_through_nginx_with_its_file(name, start, tmp_path):
    """nginx accepts the file in the manual, with the test's ports and certificates, and a session works through it."""
    gateway, ports = start(), {number: free_port() for number in ("443", "80", "8000")}
    text = (ROOT / name).read_text()
    authority = Authority(tmp_path)
    authority.issue("site", "127.0.0.1")
    if name.endswith(".md"):
        (text,) = [block.text for block in BLOCKS if block.language == "nginx"]
        text = text.replace("/etc/letsencrypt/live/example.com/fullchain.pem", str(tmp_path / "site.pem"))
        text = text.replace("/etc/letsencrypt/live/example.com/privkey.pem", str(tmp_path / "site.key"))
    is_secure = "ssl_certificate" in text
    text = re.sub(r"server 127.0.0.1:800[02];", f"server 127.0.0.1:{gateway.port};", text)
    text = re.sub(r"listen (\d+)", lambda found: f"listen 127.0.0.1:{ports[found[1]]}", text)
    folders = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    file = tmp_path / "nginx.conf"
    file.write_text(f"pid {tmp_path}/pid;\ndaemon off;\nevents {{}}\nhttp {{\n{folders}access_log off;\n{text}\n}}\n")
    command = ["nginx", "-p", str(tmp_path), "-c", str(file), "-e", "stderr"]
    done = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        host = f"127.0.0.1:{ports['443' if is_secure else '8000']}"

        def opened():
            with contextlib.suppress(ConnectionError):
                secrecy = {"ssl": authority.client()} if is_secure else {}
                origin = f"http{'s' if is_secure else ''}://{host}"
                return connect(f"ws{'s' if is_secure else ''}://{host}/ws/echo/", origin=origin, proxy=None, **secrecy)

        with wait_until(opened) as socket:
            socket.send("hello")
            assert socket.recv(20) == "hello"
    finally:
        server.terminate()
        server.wait(20)


@pytest.mark.skipif(not shutil.which("haproxy"), reason="needs haproxy")
def test_a_session_through_haproxy_with_its_file(start, tmp_path):
    """What a client writes into X-Forwarded-* does not get through the file in the manual."""
    websocket = "websocket: [{path: ws/echo/, consumer: echo}]"
    gateway = start(text=f"installed_apps: [echo]\nserver: {{trusted_proxies: [127.0.0.1]}}\napplications: {{main: {{{websocket}}}}}\n")
    authority, port = Authority(tmp_path), free_port()
    authority.issue("site", "127.0.0.1")
    (tmp_path / "both.pem").write_text((tmp_path / "site.pem").read_text() + (tmp_path / "site.key").read_text())
    (text,) = [block.text for block in BLOCKS if block.language == "haproxy"]
    text = text.replace("/etc/haproxy/site.pem", str(tmp_path / "both.pem"))
    text = text.replace("bind :443", f"bind 127.0.0.1:{port}").replace("127.0.0.1:8000", f"127.0.0.1:{gateway.port}")
    file = tmp_path / "haproxy.cfg"
    file.write_text(text)
    server = subprocess.Popen(["haproxy", "-db", "-f", str(file)], stderr=subprocess.DEVNULL)

    def opened(origin: str):
        with contextlib.suppress(ConnectionError):
            fields = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"}
            return connect(f"wss://127.0.0.1:{port}/ws/echo/", origin=origin, additional_headers=fields, proxy=None, ssl=authority.client())

    try:
        with wait_until(lambda: opened(f"https://127.0.0.1:{port}")) as socket:
            socket.send("hello")
            assert socket.recv(20) == "hello"
        with pytest.raises(Exception, match="403"):
            opened("http://evil.example")
    finally:
        server.terminate()
        server.wait(20)
