"""`sweeptui serve`, seen from the network: who gets in, what is sent, which processes live."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from subprocess import DEVNULL, PIPE

import aiohttp
import pytest
from aiohttp import web
from app_sweep import busy_sweep, toasts, until
from served import Served, Visitor, eventually
from textual_serve.app_service import AppService

from sweeptui import cli
from sweeptui.app.cockpit import Cockpit
from sweeptui.web.security import Gate, Hosts, is_loopback
from sweeptui.web.server import ASSETS, CockpitServer

READ_ONLY = "this page is read-only"
STAY_AWAY = 403
FAULT = """
import sys

if "--browser-tab" in sys.orig_argv:
    from sweeptui.app.cockpit import Cockpit

    def broken(app):
        raise RuntimeError("no such\x1b[2J row")

    Cockpit.go_to_best = broken
"""
"""What a tab's process is made to run before all else."""


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    # Nothing in a path may ever be read as a command.
    return busy_sweep(tmp_path_factory.mktemp("a b'; $(touch pwned) `id`"))


@pytest.fixture(scope="module")
def served(sweep):
    served = Served(sweep.folder)
    yield served
    code, out, err = served.close()
    assert (code, out) == (0, ""), (code, out, err)


@pytest.fixture
async def visitor(served):
    async with Visitor(served) as visitor:
        yield visitor


def test_url_is_printed_once_and_the_rest_is_for_people(sweep):
    served = Served(sweep.folder)
    code, out, err = served.close()
    assert (code, out) == (0, "")
    assert served.url.startswith("http://127.0.0.1:")
    assert len(served.token) >= 43, "256 bits"
    assert served.token not in err
    assert "--allow-actions" in err


async def test_token_is_exchanged_for_a_cookie_and_leaves_the_address(served, visitor):
    status, headers, body = await visitor.get(f"/?token={served.token}")
    assert (status, headers["Location"], body) == (303, "/", "")
    cookie = headers["Set-Cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", "Path=/")), cookie
    assert served.token not in cookie
    status, headers, page = await visitor.get("/")
    assert status == 200
    assert "ppo-calm-otter" in page
    assert served.token not in page


async def test_page_names_no_file_of_another_server_and_runs_no_inline_script(served, visitor):
    await visitor.come_in()
    _, headers, page = await visitor.get("/")
    assert "http:" not in page.replace("http-equiv", "")
    assert "https:" not in page
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["connect-src"] == f"'self' ws://{served.host} wss://{served.host}"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    nonce = policy["style-src"].removeprefix("'self' 'nonce-").removesuffix("'")
    assert f'data-nonce="{nonce}"' in page
    assert nonce not in (await visitor.get("/"))[2], "each page has its own"


async def test_every_answer_is_kept_out_of_caches_frames_and_referrers(served, visitor):
    answers = [await visitor.get("/")]
    await visitor.come_in()
    answers += [await visitor.get(path) for path in ("/", "/static/page.js", "/nothing", f"/?token={served.token}")]
    assert [status for status, _, _ in answers] == [STAY_AWAY, 200, 200, 404, 303]
    for status, headers, _ in answers:
        assert headers["Cache-Control"] == "no-store", status
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", ASSETS)
async def test_all_files_of_the_page_are_here(visitor, name):
    await visitor.come_in()
    status, headers, body = await visitor.get(f"/static/{name}")
    assert status == 200
    assert headers["Content-Type"].startswith(ASSETS[name][1])
    assert len(body) > 100


@pytest.mark.parametrize("path", ["/static/", "/static/server.py", "/static/..%2fserver.py", "/download/x", "/x"])
async def test_there_is_nothing_else(visitor, path):
    await visitor.come_in()
    assert (await visitor.get(path))[0] == 404


@pytest.mark.parametrize("path", ["/", "/static/textual.js", "/static/nothing", "/download/x", "/ws"])
async def test_without_the_cookie_there_is_nothing_to_see(served, visitor, path):
    for cookie in ("", f"sweeptui_{served.host.rpartition(':')[2]}={served.token}", "sweeptui=1"):
        status, headers, body = await visitor.get(path, Cookie=cookie)
        assert status == STAY_AWAY
        assert "ppo-calm-otter" not in body
        assert "Set-Cookie" not in headers


@pytest.mark.parametrize("token", ["", "x", "%00", "%ff%fe", "A" * 43])
async def test_a_wrong_token_lets_nobody_in(visitor, token):
    status, headers, body = await visitor.get(f"/?token={token}")
    assert status == STAY_AWAY
    assert "Set-Cookie" not in headers
    assert "Open the URL" in body


@pytest.mark.parametrize("path", ["/", "/static/textual.js", "/ws"])
async def test_a_foreign_host_is_refused_even_with_the_cookie(served, visitor, path):
    await visitor.come_in()
    port = served.host.rpartition(":")[2]
    for host in (
        f"rebound.example:{port}",
        "rebound.example",
        "127.0.0.1",
        f"127.0.0.1.:{port}",
        f"10.0.0.1:{port}",
        "",
    ):
        status, _, _ = await visitor.get(path, Host=host)
        assert status in (STAY_AWAY, 400), host
        status, headers, _ = await visitor.get(f"/?token={served.token}", Host=host)
        assert status in (STAY_AWAY, 400)
        assert "Set-Cookie" not in headers


@pytest.mark.parametrize("path", ["/", "/static/textual.js", "/ws"])
async def test_a_foreign_origin_is_refused_even_with_the_cookie(served, visitor, path):
    await visitor.come_in()
    for origin in (
        "http://evil.example",
        "null",
        "http://127.0.0.1:1",
        f"http://{served.host}.evil.example",
        "file://",
    ):
        assert (await visitor.get(path, Origin=origin))[0] == STAY_AWAY, origin


async def test_a_websocket_needs_the_cookie_and_says_where_it_comes_from(served, visitor):
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await visitor.tab()
    assert refused.value.status == STAY_AWAY
    await visitor.come_in()
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await visitor.tab(Origin=origin)
        assert refused.value.status == STAY_AWAY
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await visitor.session.ws_connect(f"ws://{served.host}/ws")
    assert refused.value.status == STAY_AWAY
    assert served.tabs() == [], "no process was started for any of them"


async def test_a_link_on_another_page_leads_in_by_a_step(visitor):
    """Browsers keep a strict cookie back from a navigation that another site began."""
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    status, _, body = await visitor.get("/", **link)
    assert status == 200
    assert 'content="0;url=/"' in body
    assert "ppo-calm-otter" not in body
    framed = {**link, "Sec-Fetch-Dest": "iframe"}
    assert (await visitor.get("/", **framed))[0] == STAY_AWAY


async def test_keys_move_the_cursor_and_each_tab_has_its_own(served, visitor):
    await visitor.come_in()
    first, second = await visitor.tab(), await visitor.tab("width=90&height=24")
    await first.shows("✔ done")  # whatever the server's locale
    await second.shows("Log trial_0010")
    await first.press("\x1b[A")
    await first.shows("trial_0009 train")
    await second.press("g")
    await second.shows("trial_0001 train")
    assert len(served.tabs()) == 2
    await first.socket.close()
    await eventually(lambda: len(served.tabs()) == 1, "the end of the closed tab's process")
    await second.press("\x1b[B")
    await second.shows("trial_0002")
    await second.socket.close()
    await eventually(lambda: not served.tabs(), "the end of all processes")


async def test_quitting_closes_the_tab_only(served, visitor):
    await visitor.come_in()
    tab = await visitor.tab()
    await tab.shows("Log trial_0010")
    await tab.press("q")
    await tab.ends()
    await eventually(lambda: not served.tabs(), "the end of its process")
    assert served.process.poll() is None


async def test_a_cockpit_that_dies_closes_its_tab(served, visitor):
    await visitor.come_in()
    tab = await visitor.tab()
    await tab.shows("Log trial_0010")
    [process] = served.tabs()
    process.kill()
    await tab.ends()


async def test_a_fault_in_a_tab_ends_that_tab_with_a_sentence_and_a_traceback(tmp_path):
    sweep = busy_sweep(tmp_path)
    faulty = tmp_path / "faulty"
    faulty.mkdir()
    (faulty / "sitecustomize.py").write_text(FAULT)
    served = Served(sweep.folder, "--allow-actions", PYTHONPATH=str(faulty))
    async with Visitor(served) as visitor:
        await visitor.come_in()
        first, second = await visitor.tab(), await visitor.tab()
        await first.shows("Log trial_0010")
        await second.shows("Log trial_0010")
        await first.press("b")
        await first.ends()
        await eventually(lambda: len(served.tabs()) == 1, "the end of its process")
        await second.press("k")
        await second.shows("Log trial_0009")
    code, out, err = served.close()
    assert (code, out) == (0, "")
    [said] = [line for line in err.splitlines() if "fault" in line]
    kept = sweep.folder / "cockpit.log"
    assert said == (
        f"error: the screen ended by a fault of its own, RuntimeError: no such row; its traceback is in {kept}"
    )
    assert "in broken" in kept.read_text()


async def test_a_cockpit_that_hangs_is_ended_with_its_tab(served, visitor):
    await visitor.come_in()
    tab = await visitor.tab()
    await tab.shows("Log trial_0010")
    [process] = served.tabs()
    process.suspend()
    await tab.socket.close()
    await eventually(lambda: not served.tabs(), "the end of the process that was stopped")


@pytest.mark.parametrize("message", ["{", '["resize", {"width": "9", "height": 9}]', "[" * 5000])
async def test_what_no_page_says_closes_the_tab(served, visitor, message):
    await visitor.come_in()
    tab = await visitor.tab()
    await tab.socket.send_str(message)
    assert await tab.ends() == aiohttp.WSCloseCode.UNSUPPORTED_DATA
    await eventually(lambda: not served.tabs(), "the end of its process")


async def test_absurd_sizes_are_bounded(served, visitor):
    await visitor.come_in()
    tab = await visitor.tab("width=99999999&height=-1")
    await tab.socket.send_str(json.dumps(["resize", {"width": 10**12, "height": 10**12}]))
    await tab.socket.send_str(json.dumps(["resize", {"width": 100, "height": 30}]))
    await tab.shows("Log trial_0010")  # a key that comes before the trials moves nothing
    await tab.press("g")
    await tab.shows("Log trial_0001")
    await tab.socket.close()
    await eventually(lambda: not served.tabs(), "the end of its process")


STARTING = """
import threading
from textual.app import App
from sweeptui.app.browser import TabDriver

read = threading.Event()

class Driver(TabDriver):
    def on_meta(self, *packet):
        super().on_meta(*packet)
        read.set()

class Starting(App):
    def compose(self):
        assert read.wait(60), "the page was never resized"
        return ()

    def on_key(self):
        with open("size", "w") as file:
            print(*self.size, file=file)
        self.exit()

Starting(driver_class=Driver).run()
"""


def test_a_page_that_is_resized_while_its_cockpit_starts_has_its_last_size(tmp_path):
    app = tmp_path / "starting.py"
    app.write_text(STARTING)
    resize = json.dumps({"type": "resize", "width": 100, "height": 30}).encode()
    packets = b"".join(AppService.encode_packet(*packet) for packet in ((b"M", resize), (b"D", b"x")))
    env = {**os.environ, "COLUMNS": "80", "ROWS": "24"}
    with subprocess.Popen([sys.executable, str(app)], stdin=PIPE, stdout=DEVNULL, cwd=tmp_path, env=env) as process:
        process.stdin.write(packets)
        process.stdin.flush()  # and not closed: that is a page that is gone
        assert process.wait(60) == 0
    assert (tmp_path / "size").read_text() == "100 30\n"


async def test_read_only_refuses_every_change(sweep, visitor):
    await visitor.come_in()
    tab = await visitor.tab()
    await tab.shows("Log trial_0010")
    for key in "xprP":
        await tab.press(key)
        await tab.shows(READ_ONLY)
    await tab.socket.close()
    assert sweep.command() is None


async def test_read_only_holds_for_what_has_no_key_too(sweep):
    app = Cockpit(sweep.folder, read_only="nothing is changed from here")
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.snapshot is not None, "the first snapshot")
        app.command("stop", kill=True)
        await until(pilot, lambda: "nothing is changed from here" in toasts(app), "the refusal")
    assert sweep.command() is None


async def test_actions_go_to_the_journal_where_they_are_allowed(tmp_path):
    sweep = busy_sweep(tmp_path)
    served = Served(sweep.folder, "--allow-actions")
    try:
        async with Visitor(served) as visitor:
            await visitor.come_in()
            tab = await visitor.tab()
            await tab.shows("Log trial_0010")
            await tab.press("k")
            await tab.shows("trial_0009")
            await tab.press("x")
            await tab.shows("Kill trial_0009?")
            await tab.press("y")
            await eventually(sweep.command, "the command")
            command = sweep.command()
            assert (command.verb, command.args) == ("kill", {"trials": [9]})
            assert command.actor.endswith("(browser)")
            await tab.socket.close()
    finally:
        served.close()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
async def test_the_server_takes_its_tabs_with_it(sweep, signum):
    served = Served(sweep.folder)
    async with Visitor(served) as visitor:
        await visitor.come_in()
        tabs = [await visitor.tab(), await visitor.tab()]
        for tab in tabs:
            await tab.shows("Log trial_0010")
        code, _, err = await asyncio.to_thread(served.close, signum)
        assert code == 0, err
        assert "Traceback" not in err
        assert served.tabs() == []
        for tab in tabs:
            await tab.ends()


async def test_tabs_end_even_when_the_server_is_killed(sweep):
    served = Served(sweep.folder)
    async with Visitor(served) as visitor:
        await visitor.come_in()
        tab = await visitor.tab()
        await tab.shows("Log trial_0010")
        assert len(served.tabs()) == 1
        served.close(signal.SIGKILL)
        await eventually(lambda: not served.tabs(), "the end of the process that nobody reads")


async def test_the_browser_is_given_a_token_that_is_good_once(sweep, tmp_path):
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {tmp_path}/part\nmv {tmp_path}/part {tmp_path}/url\n')
    browser.chmod(0o755)
    served = Served(sweep.folder, "--open", BROWSER=str(browser))
    try:
        await eventually((tmp_path / "url").exists, "the browser")
        ticket = (tmp_path / "url").read_text().removeprefix(served.base)
        assert served.token not in ticket
        async with Visitor(served) as visitor:
            assert (await visitor.get(ticket))[0] == 303
            assert (await visitor.get("/"))[0] == 200
            assert (await visitor.get(ticket))[0] == STAY_AWAY
    finally:
        served.close()


DELIVERING = """
import io
from textual.app import App

class Delivering(App):
    BINDINGS = [("d", "deliver", "")]

    def action_deliver(self):
        file = io.StringIO("<script>lr: 1e-3")
        self.deliver_text(file, save_filename='a"b.html', open_method="browser", mime_type="text/html")

Delivering().run()
"""


async def test_a_file_from_the_cockpit_is_downloaded_and_never_shown(tmp_path):
    app = tmp_path / "delivering.py"
    app.write_text(DELIVERING)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    gate = Gate(Hosts("127.0.0.1", port), port)
    runner = web.AppRunner(CockpitServer([sys.executable, str(app)], "s", gate).application())
    await runner.setup()
    await web.SockSite(runner, listener).start()
    base = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            async with session.get(f"{base}/?token={gate.token}") as answer:
                assert answer.status == 200
            async with session.ws_connect(f"{base}/ws", headers={"Origin": base}) as page:
                await page.receive()
                await page.send_str('["stdin", "d"]')
                while (message := await page.receive()).type is not aiohttp.WSMsgType.TEXT:
                    pass
                verb, key = message.json()
                assert verb == "deliver_file_start"
                async with session.get(f"{base}/download/{key}") as answer:
                    assert answer.headers["Content-Type"] == "application/octet-stream"
                    assert answer.headers["Content-Disposition"] == 'attachment; filename="a%22b.html"'
                    assert await answer.text() == "<script>lr: 1e-3"
                async with session.get(f"{base}/download/{key}") as answer:
                    assert answer.status == 404
    finally:
        await runner.cleanup()


def serve(root, *options):
    argv = [sys.executable, "-m", "sweeptui", "serve", "ppo-calm-otter", "--root", str(root), *options]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, env={**os.environ})


def test_a_taken_port_is_one_sentence(sweep):
    root = sweep.folder.parents[2]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = serve(root, "--port", str(port))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: port {port} of 127.0.0.1 is taken: choose another with --port, or --port 0 for any that is free\n"
    )


def test_an_address_that_is_not_ours_and_a_sweep_that_is_not_there_are_one_sentence(sweep, tmp_path):
    for done in (serve(sweep.folder.parents[2], "--host", "203.0.113.7", "--port", "0"), serve(tmp_path)):
        assert (done.returncode, done.stdout) == (2, "")
        [line] = done.stderr.splitlines()
        assert line.startswith("error: ")


def test_without_the_extra_it_says_what_to_install(sweep, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "textual_serve", None)
    for name in [name for name in sys.modules if name.startswith(("sweeptui.web", "textual_serve."))]:
        monkeypatch.delitem(sys.modules, name)
    assert cli.main(["serve", "ppo-calm-otter", "--root", str(sweep.folder.parents[2])]) == 2
    assert capsys.readouterr().err == "error: serve needs aiohttp and textual-serve: pip install 'sweeptui[web]'\n"


async def test_other_machines_only_on_demand_and_with_a_warning(sweep):
    served = Served(sweep.folder, "--host", "0.0.0.0")
    try:
        port = served.host.rpartition(":")[2]
        served.host, served.base = f"127.0.0.1:{port}", f"http://127.0.0.1:{port}"
        async with Visitor(served) as visitor:
            assert (await visitor.get(f"/?token={served.token}"))[0] == 303
            assert (await visitor.get("/", Host=f"10.1.2.3:{port}"))[0] == 200, "an address cannot be rebound"
            assert (await visitor.get("/", Host=f"rebound.example:{port}"))[0] == STAY_AWAY
    finally:
        _, _, err = served.close()
    assert err.startswith("warning: 0.0.0.0 can be reached from other machines")


def test_hosts():
    assert "127.0.0.1:80" not in Hosts("127.0.0.1", 80), "browsers leave the ordinary port out"
    assert "127.0.0.1" in Hosts("127.0.0.1", 80)
    ours = Hosts("127.0.0.1", 8000)
    assert all(host in ours for host in ("127.0.0.1:8000", "localhost:8000", "LOCALHOST:8000"))
    assert not any(host in ours for host in ("localhost", "localhost:8001", "127.0.0.2:8000", "x@127.0.0.1:8000", ""))
    assert "[::1]:8000" in Hosts("::1", 8000)
    wild = Hosts("0.0.0.0", 8000)
    assert all(host in wild for host in ("192.0.2.7:8000", "[2001:db8::1]:8000", f"{socket.gethostname()}:8000"))
    assert not any(host in wild for host in ("192.0.2.7", "192.0.2.7:8001", "a.example:8000", "[::1", "1.2.3.4:x"))
    tunnel = Hosts("127.0.0.1", 8000, ["localhost:9000", "sweeps.example"])
    assert all(host in tunnel for host in ("localhost:9000", "sweeps.example", "sweeps.example:8000"))


def test_loopback():
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "192.0.2.1", "example.org", "localhost.example.org"))
