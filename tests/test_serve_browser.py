"""`sweeptui serve` in a real browser: what the page loads, what keys do, and what other pages cannot."""

from __future__ import annotations

import pytest
from aiohttp import web
from app_sweep import busy_sweep
from chromium import BINARY, Chromium, Page
from served import ESCAPES, Served, eventually

pytestmark = pytest.mark.skipif(BINARY is None, reason="Chromium is not installed (Debian: apt-get install chromium)")

DRAWN = "document.body?.classList.contains('-first-byte')"
REBOUND = "rebound.example"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    # No name leads anywhere, but one that was rebound to this machine.
    rules = f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
    browser = Chromium(tmp_path_factory.mktemp("chromium") / "profile", rules)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return busy_sweep(tmp_path_factory.mktemp("sweep"))


@pytest.fixture(scope="module")
def served(sweep):
    served = Served(sweep.folder)
    yield served
    served.close()


@pytest.fixture
async def page(chromium, served):
    async with Page(chromium) as page:
        yield page
    await eventually(lambda: not served.tabs(), "the end of the closed tabs' processes")


def text(page: Page) -> str:
    return ESCAPES.sub("", page.drawn)


async def shows(page: Page, what: str) -> None:
    """Wait until it has been drawn since the last time that something was waited for."""
    await page.until(lambda: what in text(page), what)
    page.drawn = ""


async def test_the_page_loads_from_its_server_only_and_a_key_moves_the_cursor(page, served):
    await page.go(served.url)
    await page.until(DRAWN)
    await shows(page, "trial_0010")
    assert await page.evaluate("location.href") == f"{served.base}/", "the token is gone from the address"
    assert await page.evaluate("document.cookie") == "", "no script can read the cookie"
    assert await page.evaluate("document.fonts.check(\"16px 'Roboto Mono'\")")
    assert await page.evaluate("document.activeElement.className") == "xterm-helper-textarea"
    before = await page.picture()

    await page.press("ArrowUp")
    await shows(page, "trial_0009 train")
    await page.press("g")
    await shows(page, "trial_0001 train")
    await page.press("ArrowDown")
    await shows(page, "trial_0002 train")
    assert await page.picture() != before

    ours = (f"{served.base}/", f"ws://{served.host}/ws")
    assert [url for url in page.requests if not url.startswith(ours)] == []
    assert f"{served.base}/static/textual.js" in page.requests
    assert all(answer["status"] == 200 for answer in page.responses.values())
    # (A software WebGL, which a machine without a screen has, is warned of.)
    assert [said for said in page.complaints if "WebGL" not in said] == [], "the policy keeps nothing of ours out"


async def test_the_policy_keeps_out_what_is_not_ours(page, served):
    await page.go(served.url)
    await page.until(DRAWN)
    await page.evaluate("""
        const script = document.createElement("script");
        script.textContent = "window.ran = true";
        document.head.append(script);
        const image = new Image();
        image.src = "http://evil.example/x.png";
        fetch("http://evil.example/").catch(() => {});
    """)
    await eventually(lambda: len([c for c in page.complaints if "Content Security Policy" in c]) >= 3, "the complaints")
    assert await page.evaluate("window.ran") is None


async def test_closing_tabs_and_quitting(chromium, page, served):
    await page.go(served.url)
    await page.until(DRAWN)
    async with Page(chromium) as second:
        await second.go(f"{served.base}/")
        await second.until(DRAWN)
        assert len(served.tabs()) == 2
    await eventually(lambda: len(served.tabs()) == 1, "the end of the closed tab's process")
    await shows(page, "trial_0010")
    await page.press("q")
    await page.until("document.body.classList.contains('-closed')")
    assert "The sweep does not mind" in await page.evaluate("document.body.innerText")
    await eventually(lambda: not served.tabs(), "the end of its process")
    await page.evaluate("document.getElementById('again').click()")
    await page.until(lambda: bool(served.tabs()))


async def test_a_wrong_token_and_a_rebound_name_are_refused(page, served):
    await page.go(f"{served.base}/?token=wrong")
    assert page.responses[f"{served.base}/?token=wrong"]["status"] == 403
    rebound = served.url.replace("127.0.0.1", REBOUND)
    await page.go(rebound)
    assert page.responses[rebound]["status"] == 403
    await page.until("document.body?.innerText.includes('Open the URL that `sweeptui serve` printed')")
    assert served.tabs() == []


async def test_another_page_cannot_open_a_websocket_frame_or_script_the_cockpit(page, served):
    """Not even one on this machine, whose requests the browser gives our cookie: same host, another port."""
    await page.go(served.url)
    await page.until(DRAWN)
    await page.go("about:blank")
    await eventually(lambda: not served.tabs(), "the end of the tab")

    async def evil(_request: web.Request) -> web.Response:
        return web.Response(
            content_type="text/html",
            text=f"""<!doctype html><title>evil</title><iframe src="{served.base}/"></iframe><script>
            window.said = [];
            const socket = new WebSocket("ws://{served.host}/ws?width=80&height=24");
            socket.onopen = () => {{ said.push("open"); socket.send('["stdin", "x"]'); }};
            socket.onerror = () => said.push("refused");
            fetch("{served.base}/").then(r => r.text()).then(t => said.push(t)).catch(() => said.push("unread"));
            </script>""",
        )

    app = web.Application()
    app.router.add_get("/", evil)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        [(_, port)] = runner.addresses
        await page.go(f"http://127.0.0.1:{port}/")
        await page.until("window.said?.length === 2")
        assert sorted(await page.evaluate("window.said")) == ["refused", "unread"]
        assert served.tabs() == [], "the frame did not load the cockpit, either"
    finally:
        await runner.cleanup()


async def test_a_link_elsewhere_leads_to_the_cockpit(page, served):
    """The browser keeps a strict cookie back from a navigation that another site began."""
    link = f"<a href='{served.url}'>the sweep</a>"
    await page.go(f"data:text/html,{link}")
    await page.until("!!document.querySelector('a')")
    await page.evaluate("document.querySelector('a').click()")
    await page.until(DRAWN)
    assert await page.evaluate("location.href") == f"{served.base}/"


async def test_read_only_refuses_a_kill(page, served, sweep):
    await page.go(served.url)
    await page.until(DRAWN)
    await shows(page, "trial_0010")
    await page.press("x")
    await shows(page, "this page is read-only")
    await page.press("g")
    await shows(page, "trial_0001 train")
    assert sweep.command() is None


async def test_an_allowed_kill_goes_to_the_journal(page, tmp_path):
    sweep = busy_sweep(tmp_path)
    served = Served(sweep.folder, "--allow-actions")
    try:
        await page.go(served.url)
        await page.until(DRAWN)
        await shows(page, "trial_0010")
        await page.press("x")
        await shows(page, "Kill trial_0010?")
        await page.press("y")
        await eventually(sweep.command, "the command")
        command = sweep.command()
        assert (command.verb, command.args) == ("kill", {"trials": [10]})
        assert command.actor.endswith("(browser)")
        sweep.answer(command, "done", "trial_0010 is killed")
        await shows(page, "trial_0010 is killed")
    finally:
        served.close()
