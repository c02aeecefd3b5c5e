"""The manual as data: its pages, their blocks and links, and a reader who follows a page literally."""

import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

from conftest import ROOT, SLUICE
from redis_stack import free_port, wait_until

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = [*sorted((ROOT / "examples").glob("*/README.md")), ROOT / "Tests/Fuzz/README.md"]
FENCE = re.compile(r"(?:^<!-- *(?P<note>[^\n]*?) *-->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block, with the HTML comment on the line before it."""

    page: pathlib.Path
    line: int
    language: str
    text: str
    note: str
    # Whether it directly follows the block before it.
    follows: bool

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def noted(self, word: str) -> str | None:
        """The text after `word:` in the note; empty if the word is not there."""
        found = re.fullmatch(rf"{word}(?:: *(.*))?", self.note)
        return found and (found[1] or "")

    @property
    def part(self) -> str | None:
        """The key above a part of a file."""
        found = re.match(r"# part of routes\.yaml: (.*)\n", self.text)
        return found and found[1]

    @property
    def file(self) -> str | None:
        """The name of the file in which a reader saves the block."""
        if self.language == "yaml" and (found := re.match(r"# ([\w./-]+\.ya?ml)\n", self.text)):
            return found[1]
        return self.noted("file")


def blocks_of(page: pathlib.Path) -> list[Block]:
    text, end, blocks = page.read_text(), 0, []
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start("language")) + 1
        follows = not text[end : found.start()].strip()
        blocks.append(Block(page, line, found["language"], found["text"], found["note"] or "", follows))
        end = found.end()
    return blocks


def prose_of(page: pathlib.Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)


def anchors_of(page: pathlib.Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", prose_of(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links_of(page: pathlib.Path) -> list[str]:
    return re.findall(r"\]\((?!https?:)([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose_of(page)))


def commands_of(page: pathlib.Path) -> list[str]:
    """Every `sluice ...` in code: at the beginning of a line, after `$`, `|` or `&&`, or in a span."""
    text = page.read_text().replace("\\\n", " ")
    fenced = "\n".join(re.findall(r"^```(?:sh|console|text)\n(.*?)^```$", text, re.M | re.S))
    lines = re.findall(r"(?:^\s*(?:\$ )?|\| |&& )(sluice [a-z][^|&#\n]*)", fenced, re.M)
    return lines + re.findall(r"`(sluice [a-z][^`]*)`", text)


class Reader:
    """Follows a page in a separate folder. The ports that a page names are replaced by free ones, so that tests can run side by side."""

    def __init__(self, folder: pathlib.Path, redis_port: int = 6379):
        self.folder = self.cwd = folder / "reader"
        self.ports = {"8000": free_port(), "8001": free_port(), "8002": free_port(), "6379": redis_port}
        self.running: dict[str, subprocess.Popen] = {}
        self.outputs: dict[subprocess.Popen, pathlib.Path] = {}
        tools = folder / "tools"
        tools.mkdir()
        (tools / "sluice").symlink_to(SLUICE)
        # The variables that blocks have exported, and, written after them, the folder they have gone to.
        self.state, self.place = folder / "state", folder / "place"
        self.state.write_text(f'export PATH="{tools}:{pathlib.Path(sys.executable).parent}:$PATH" HOME="{folder}"\n')
        self.folder.mkdir()
        shutil.copytree(ROOT / "examples", self.folder / "examples", ignore=shutil.ignore_patterns(".venv", "__pycache__", "*.sqlite3*"))
        for file in (ROOT / "routes.yaml", *(ROOT / "examples").glob("*/routes.yaml")):
            self.save(str(file.relative_to(ROOT)), file.read_text())

    def ported(self, text: str) -> str:
        return re.sub(r"\b(8000|8001|8002|6379)\b", lambda found: str(self.ports[found[1]]), text)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.ports['8000']}{path}"

    def save(self, name: str, text: str, how: str = "w") -> None:
        file = self.cwd / name
        file.parent.mkdir(parents=True, exist_ok=True)
        text = self.ported(text)
        # The default address of pages that do not name one.
        if re.search(r"^applications:", text, re.M) and not re.search(r"^server:", text, re.M):
            text += f'server: {{bind: "127.0.0.1:{self.ports["8000"]}"}}\n'
        with file.open(how) as open_file:
            open_file.write(text)

    def begin(self, block: Block) -> str:
        return f'set -euo pipefail\nsource "{self.state}"\ncd "{self.cwd}"\n'

    def keep(self) -> str:
        """The state that this block leaves for the next one."""
        return f'\nexport -p > "{self.state}"; pwd > "{self.place}"\n'

    def arrive(self) -> None:
        self.cwd = pathlib.Path(self.place.read_text().strip())

    def run(self, block: Block) -> str:
        script = self.begin(block) + self.ported(block.text) + self.keep()
        done = subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, timeout=60)
        if block.noted("fails") is None:
            assert done.returncode == 0, f"{block.place}\n{done.stdout}"
            self.arrive()
        else:
            assert done.returncode == 1, f"{block.place}\n{done.stdout}"
        return done.stdout

    def start(self, block: Block, text: str | None = None) -> pathlib.Path:
        """Runs a block whose last command keeps running, until it listens. The previous process on its port is stopped first, as with Ctrl-C."""
        *before, last = (text or block.text).strip().replace("\\\n", " ").split("\n")
        port = next(iter(re.findall(r"\b800[0-2]\b", last)), "8000" if last.startswith("sluice serve") else "")
        listens = re.match(r"sluice serve|gunicorn|python manage.py runserver|python3 -m http.server", last)
        if listens and port in self.running:
            self.end(self.running.pop(port))
        output = self.state.parent / f"output-{len(self.outputs)}"
        self.place.unlink(missing_ok=True)
        with output.open("w") as file:
            script = self.begin(block) + self.ported("\n".join(before)) + self.keep() + "exec " + self.ported(last)
            process = subprocess.Popen(["bash", "-c", script], stdout=file, stderr=file, stdin=subprocess.PIPE, start_new_session=True)
        self.outputs[process] = output
        self.running[port if listens else f"client {len(self.outputs)}"] = process

        def is_there() -> bool:
            assert process.poll() is None, f"{block.place}\n{output.read_text()}"
            if not listens:
                return self.place.exists() and self.place.read_text().endswith("\n")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.ports[port]), 1):
                return True
            return False

        wait_until(is_there, 20, f"{block.place} goes on")
        self.arrive()
        return output

    def end(self, process: subprocess.Popen) -> None:
        # The whole process group, since runserver and gunicorn have children. Both sides of a session may be this reader's.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.stdin.close()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def follow(self, page: pathlib.Path) -> None:
        output: str | pathlib.Path | None = None
        for block in blocks_of(page):
            if block.language == "text":
                if output is not None and block.follows:
                    self.compare(block, output)
                output = None
                continue
            output = None
            if block.noted("append") is not None:
                self.save(block.noted("append"), block.text, "a")
            elif block.file:
                self.save(block.file, block.text)
            elif block.language == "sh" and block.noted("not run") is None:
                if (server := block.noted("needs")) is not None:
                    self.start(block, server)
                output = self.start(block) if block.noted("keeps running") is not None else self.run(block)

    def compare(self, block: Block, output: str | pathlib.Path) -> None:
        pattern = re.escape(self.ported(block.text).strip()).replace("…", ".*?")
        text = lambda: (output.read_text() if isinstance(output, pathlib.Path) else output).strip()
        if isinstance(output, pathlib.Path):
            deadline = time.monotonic() + 20
            while not re.match(pattern, text(), re.S) and time.monotonic() < deadline:
                time.sleep(0.02)
            assert re.match(pattern, text(), re.S), f"{block.place}\n{text()}"
        else:
            assert re.fullmatch(pattern, text(), re.S), f"{block.place}\n{text()}"

    def close(self) -> None:
        # The last client first, so that no server waits for one.
        for process in reversed(list(self.running.values())):
            self.end(process)
