"""The tutorial's page in a browser: one tab through the gateway, one on Daphne, one room."""

from redis_stack import EXAMPLE, RedisGateway, plain, routes


def write(page, text: str) -> None:
    page.run(f"document.querySelector('#chat-message-input').value = {text!r}")
    page.click("#chat-message-submit")


def wait_log(page, *lines: str) -> None:
    text = "".join(line + "\n" for line in lines)
    page.wait_for(f"document.querySelector('#chat-log').value.endsWith({text!r})")


def test_a_tab_through_the_gateway_and_one_on_daphne(browser, django, daphne, redis_servers, start):
    text = routes(plain(redis_servers)).replace(
        "    http:\n", f"    http:\n      - {{path: static/, static: {str(EXAMPLE / 'notices/static')!r}}}\n"
    )
    text = text.replace("    websocket:", f"      - {{path: '', proxy: {django.http('')!r}}}\n    websocket:")
    gateway = start(text=text, kind=RedisGateway)
    ours = browser.open(gateway.http("/chat/browser/"))
    theirs = browser.open(daphne.http("/chat/browser/"))
    for page in (ours, theirs):
        page.wait_for("document.body.dataset.state === 'open'")
    write(ours, "from the gateway é😀")
    wait_log(theirs, "from the gateway é😀")
    wait_log(ours, "from the gateway é😀")
    write(theirs, "from Daphne <b>")
    wait_log(ours, "from the gateway é😀", "from Daphne <b>")
    wait_log(theirs, "from the gateway é😀", "from Daphne <b>")
    django.push("browser", "from a view")
    for page in (ours, theirs):
        wait_log(page, "from Daphne <b>", "from a view")
    write(ours, "")
    for page in (ours, theirs):
        wait_log(page, "from a view", "")
        assert page.run("document.body.dataset.state") == "open"
