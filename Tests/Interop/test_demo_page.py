"""The demo page in a real browser."""

import pytest

from browser import Browser
from certificates import Authority
from conftest import ARTEFACTS, ROOT
from redis_stack import wait_until


@pytest.fixture
def served(start):
    return start(file=ROOT / "routes.yaml")


def open_page(browser, served, room="lobby"):
    page = browser.open(served.http(f"/#{room}"))
    page.wait_for("document.body.dataset.state === 'open'")
    return page


def test_two_windows_in_one_room_see_each_other(browser, served):
    first, second = open_page(browser, served), open_page(browser, served)
    elsewhere = open_page(browser, served, "kitchen")
    first.say("hello <b>there</b>")
    second.wait_heard("hello <b>there</b>")
    second.say("hello back é😀")
    first.wait_heard("hello <b>there</b>", "hello back é😀")
    assert elsewhere.heard() == []
    for name, width, height in [("phone", 390, 844), ("desktop", 1280, 800)]:
        for scheme in ["light", "dark"]:
            first.screenshot(ARTEFACTS / f"screenshots/chat-{name}-{scheme}.png", width, height, scheme)


def test_echo_and_broadcast_tabs(browser, served):
    first, second = open_page(browser, served), open_page(browser, served)
    for page in (first, second):
        page.click("#tab-broadcast")
        page.wait_for("document.body.dataset.state === 'open' && document.querySelector('#address').textContent.endsWith('/ws/news/')")
    first.say("news")
    second.wait_heard("news")
    first.click("#tab-echo")
    first.wait_for("document.body.dataset.state === 'open' && document.querySelector('#address').textContent.endsWith('/ws/echo/')")
    first.say("again")
    first.wait_heard("again")
    assert second.heard() == ["news"]


def test_the_page_comes_back_after_a_restart(browser, start):
    served = start(file=ROOT / "routes.yaml")
    page = open_page(browser, served)
    served.stop()
    page.wait_for("document.body.dataset.state === 'closed'")
    page.wait_for("document.querySelector('#log').innerText.includes('restarting')")
    start(file=ROOT / "routes.yaml", bind=f"127.0.0.1:{served.port}")
    page.wait_for("document.body.dataset.state === 'open'")
    page.say("back again")
    page.wait_heard("back again")


@pytest.fixture
def served_by_tls(start, tmp_path):
    Authority(tmp_path).issue("site", "127.0.0.1")
    text = (ROOT / "routes.yaml").read_text().replace("examples/web", str(ROOT / "examples/web"))
    return start(text=text + "server: {tls: {certificate: site.pem, key: site.key}}\n")


def test_a_browser_that_does_not_trust_the_certificate_is_told_of_in_the_log(browser, served_by_tls):
    browser.open(f"https://127.0.0.1:{served_by_tls.secure_port}/")
    wait_until(lambda: any("the client does not trust the certificate" in line for line in served_by_tls.log))


def test_the_page_over_https(served_by_tls, tmp_path):
    """The page uses wss:// then, and the browser's Origin is this server's."""
    served = served_by_tls
    browser = Browser(tmp_path / "profile", "--ignore-certificate-errors")
    try:
        first, second = (browser.open(f"https://127.0.0.1:{served.secure_port}/#lobby") for _ in range(2))
        for page in (first, second):
            page.wait_for("document.body.dataset.state === 'open'")
        assert first.run("document.querySelector('#address').textContent").startswith("wss://")
        first.say("hello")
        second.wait_heard("hello")
        served.stop()
        first.wait_for("document.querySelector('#log').innerText.includes('restarting')")
    finally:
        browser.close()
