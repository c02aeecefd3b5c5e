"""examples/dashboard in a real browser."""

import os
import subprocess

import pytest
import requests

from conftest import ARTEFACTS, ROOT, SLUICE
from streams import open_stream

EXAMPLE = ROOT / "examples/dashboard"


@pytest.fixture
def feed():
    """The example's own feed, publishing to a gateway."""
    running: list[subprocess.Popen] = []

    def begin(gateway, interval: str = "0.1") -> None:
        command = [EXAMPLE / "feed.sh", "--url", gateway.http("/publish/")]
        environment = {**os.environ, "SLUICE": SLUICE, "INTERVAL": interval}
        # A separate process session, so that the whole pipeline of the script ends with it.
        running.append(subprocess.Popen(command, env=environment, start_new_session=True))

    yield begin
    for process in running:
        os.killpg(process.pid, 15)
        process.wait(10)


RECEIVED = "Number.parseInt(document.querySelector('#counts').textContent || '0')"


def test_the_page_shows_prices_over_both(browser, start, feed):
    gateway = start(file=EXAMPLE / "routes.yaml")
    page = browser.open(gateway.http("/"))
    page.wait_for("document.body.dataset.state === 'open'")
    assert page.run("document.querySelector('#address').textContent") == gateway.http("/events/ticker/")
    feed(gateway)
    page.wait_for(f"{RECEIVED} >= 60", seconds=60)
    assert page.run("[...document.querySelectorAll('#prices h2')].map((name) => name.textContent)") == ["OAK", "ELM", "ASH"]
    assert page.run("document.querySelectorAll('#chart path.line').length") == 3
    for name, width, height in [("phone", 390, 844), ("desktop", 1280, 800)]:
        for scheme in ["light", "dark"]:
            page.screenshot(ARTEFACTS / f"screenshots/dashboard-{name}-{scheme}.png", width, height, scheme)
    page.click("input[value=websocket]")
    page.wait_for("document.body.dataset.state === 'open' && document.querySelector('#address').textContent.startsWith('ws:')")
    before = page.run(RECEIVED)
    page.wait_for(f"{RECEIVED} > {before} + 5")


def test_the_page_comes_back_after_a_restart(browser, start):
    gateway = start(file=EXAMPLE / "routes.yaml")
    page = browser.open(gateway.http("/"))
    page.wait_for("document.body.dataset.state === 'open'")
    gateway.process.kill()
    gateway.process.wait()
    page.wait_for("document.body.dataset.state === 'closed'")
    again = start(file=EXAMPLE / "routes.yaml", bind=f"127.0.0.1:{gateway.port}")
    page.wait_for("document.body.dataset.state === 'open'")
    publish(again, {"OAK": 12})
    page.wait_for("document.querySelector('#prices output')?.textContent === '12.00'")


def test_what_the_readme_says(start):
    gateway = start(file=EXAMPLE / "routes.yaml")
    with open_stream(gateway.port, "/events/ticker/") as stream:
        publish(gateway, {"OAK": 120.5})
        assert stream.read().data == '{"type":"prices","prices":{"OAK": 120.5}}'


def publish(gateway, prices) -> None:
    body = {"group": "ticker", "event": {"type": "prices", "prices": prices}}
    assert requests.post(gateway.http("/publish/"), json=body).status_code == 200
