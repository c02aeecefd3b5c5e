"""Headless Chromium, driven through its DevTools protocol."""

import base64
import itertools
import json
import pathlib
import re
import shutil
import subprocess
import time

import pytest
from websockets.sync.client import connect

FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--remote-debugging-port=0", "about:blank",
]


class Browser:
    """One browser process; each page is a window of its own."""

    def __init__(self, home: pathlib.Path, *flags: str):
        program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        assert program, "this needs chromium (Debian's package)"
        self.process = subprocess.Popen(
            [program, f"--user-data-dir={home}", *flags, *FLAGS], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        for line in self.process.stderr:
            if found := re.search(r"DevTools listening on (ws://\S+)", line):
                self.socket = connect(found[1], max_size=None)
                break
        self._numbers = itertools.count(1)

    def call(self, method: str, session: str | None = None, **params):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv(timeout=30))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, url: str) -> "Page":
        target = self.call("Target.createTarget", url="about:blank", newWindow=True)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        page.go(url)
        return page

    def close(self) -> None:
        self.call("Browser.close")
        self.process.wait(20)


class Page:
    def __init__(self, browser: Browser, session: str):
        self.browser = browser
        self.session = session

    def call(self, method: str, **params):
        return self.browser.call(method, self.session, **params)

    def go(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete'")

    def run(self, script: str):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, condition: str, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.run(f"Boolean({condition})"):
                return
            # The page tells when it has drawn again; nothing changes before that.
            self.run("new Promise((done) => setTimeout(done, 30))")
        raise AssertionError(f"never true: {condition}\n{self.run('document.body.innerText')}")

    def click(self, selector: str) -> None:
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def say(self, text: str) -> None:
        self.run(
            f"document.querySelector('#text').value = {json.dumps(text)};"
            "document.querySelector('#send-form').requestSubmit()"
        )

    def heard(self) -> list[str]:
        return self.run("[...document.querySelectorAll('#log li.received')].map((line) => line.firstChild.textContent)")

    def wait_heard(self, *texts: str) -> None:
        wanted = json.dumps(list(texts))
        self.wait_for(
            "JSON.stringify([...document.querySelectorAll('#log li.received')].map((line) => line.firstChild.textContent))"
            f" === JSON.stringify({wanted})"
        )

    def screenshot(self, file: pathlib.Path, width: int, height: int, scheme: str) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        data = self.call("Page.captureScreenshot", format="png")["data"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(data))


@pytest.fixture
def browser(tmp_path):
    """A browser of the test's own, with a new profile."""
    browser = Browser(tmp_path / "profile")
    yield browser
    browser.close()
