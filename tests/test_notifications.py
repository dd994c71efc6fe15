"""Notifications, with real programs and a real server: what is told, how often, and that nobody waits."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner
from commandline import Project, until
from written_sweeps import Written, some_params, usual

from sweeptui import doctor
from sweeptui.cli import main
from sweeptui.cli.notify import notify
from sweeptui.core.errors import UserError
from sweeptui.core.notifying import NotifyConfig
from sweeptui.core.state import SweepStatus
from sweeptui.notices import channels, notifier
from sweeptui.notices.checks import findings
from sweeptui.notices.notifier import LOG, Notifier
from sweeptui.notices.settings import settings

SECRET = "T00/B00/hunter2"
HOOK = """\
import json, os, sys
event = json.load(sys.stdin)
assert os.environ["SWEEPTUI_EVENT"] == event["event"] and os.environ["SWEEPTUI_SWEEP"] == event["sweep"]
with open(sys.argv[1], "a") as file:
    file.write(json.dumps(event) + "\\n")
"""


class Server:
    """A webhook's server on this machine. `answers`: its next status codes, then 200."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.hold = threading.Event()
        self.hold.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append({"path": self.path, "body": json.loads(body)})
                outer.hold.wait(60)
                self.send_response(outer.answers.pop(0) if outer.answers else 200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/{SECRET}"

    @property
    def texts(self) -> list[str]:
        return [each["body"]["text"] for each in self.got]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    monkeypatch.setenv("MY_HOOK", server.url)
    yield server
    server.hold.set()
    server.server.shutdown()
    server.server.server_close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "RETRIES_S", (0.01, 0.01))


def write_hook(folder: Path) -> tuple[list[str], Path]:
    (folder / "hook.py").write_text(HOOK)
    told = folder / "told.jsonl"
    return [sys.executable, "-S", str(folder / "hook.py"), str(told)], told


def events(told: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []


def test_a_real_sweep_tells_of_its_best_and_its_end_and_not_again(tmp_path: Path) -> None:
    project = Project(tmp_path)
    command, told = write_hook(tmp_path)
    recipe = project.recipe(notify={"command": command, "pause_s": 0})
    config = {"XDG_CONFIG_HOME": str(tmp_path / "none")}
    project.run("run", recipe, "--sweep-name", "s", "--headless", **config)
    found = events(told)
    assert found[-1]["event"] == "ended"
    assert {each["event"] for each in found} <= {"best", "ended"}
    assert found[-1]["message"].startswith("s is finished: all 2 trials are done; the best is -")
    assert found[-1]["best"]["id"] in ("trial_0001", "trial_0002")
    project.run("continue", "s", "--headless", **config)
    assert events(told) == found, "nothing new came of it"
    # As after a crash between the end and its being told.
    (tmp_path / "train_dir/sweeps/s" / notifier.MARK).unlink()
    project.run("continue", "s", "--headless", **config)
    assert [each["event"] for each in events(told)[len(found) :]] == ["ended"]


def test_a_breaker_is_told_as_such(tmp_path: Path) -> None:
    project = Project(tmp_path)
    command, told = write_hook(tmp_path)
    recipe = project.recipe("crash", notify={"command": command}, max_trials=9, breaker_failures=2)
    project.run("run", recipe, "--headless", code=4, XDG_CONFIG_HOME=str(tmp_path / "none"))
    [event] = events(told)
    assert event["event"] == "breaker"
    assert "2 trials in a row failed with crashed" in event["message"]


def test_a_webhook_is_tried_again_and_its_url_is_nowhere(server: Server, tmp_path: Path) -> None:
    sweep = usual(tmp_path, 4)
    server.answers = [500, 503]
    telling = Notifier(NotifyConfig(webhook_env="MY_HOOK"), sweep.folder)
    telling.begin(sweep.store.state)
    telling.changed(_end(sweep), sweep.store.state)
    telling.close()
    assert len(server.got) == 3
    assert server.got[0]["path"].endswith(SECRET)
    assert set(server.got[0]["body"]) == {"text"}
    assert server.texts[0] == server.texts[2]
    assert not (sweep.folder / LOG).exists()

    server.answers = [404]
    telling = Notifier(NotifyConfig(webhook_env="MY_HOOK"), sweep.folder)
    telling.begin(sweep.store.state)
    sweep.done(some_params(__import__("random").Random(1)), 9.0)
    telling.changed([], sweep.store.state)
    telling.close()
    assert len(server.got) == 4, "what would not help is not tried again"
    assert "webhook: best was not delivered: the server answered 404" in (sweep.folder / LOG).read_text()
    server.server.server_close()
    for path in sweep.folder.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()


def _end(sweep: Written) -> list[Any]:
    with sweep.store.transaction() as tx:
        tx.set_sweep(status=SweepStatus.RUNNING)
    with sweep.store.transaction() as tx:
        tx.set_sweep(status=SweepStatus.FINISHED, reason="all <b>trials</b> are done")
    return tx.changes


def test_a_silent_server_holds_nobody_up_and_what_comes_meanwhile_is_told_together(
    server: Server, tmp_path: Path
) -> None:
    sweep, rng = usual(tmp_path, 4), __import__("random").Random(1)
    server.hold.clear()
    telling = Notifier(NotifyConfig(webhook_env="MY_HOOK", pause_s=0), sweep.folder)
    telling.begin(sweep.store.state)
    for score in range(2, 40):
        number = sweep.done(some_params(rng), float(score))
        telling.changed([], sweep.store.state)  # it would not return if it waited for the server
        if score == 2:
            until(lambda: len(server.got) == 1)
    server.hold.set()
    until(lambda: len(server.got) == 2)
    telling.close()
    assert len(server.got) == 2, "37 bests were told as one"
    assert f"39.0 by trial_{number:04d}" in server.texts[1]


def test_bests_wait_for_each_other_and_go_with_the_end(server: Server, tmp_path: Path) -> None:
    sweep, rng = usual(tmp_path, 4), __import__("random").Random(1)
    telling = Notifier(NotifyConfig(webhook_env="MY_HOOK", pause_s=1e6), sweep.folder)
    telling.begin(sweep.store.state)
    sweep.done(some_params(rng), 2.0)
    telling.changed([], sweep.store.state)
    until(lambda: len(server.got) == 1)
    until(lambda: telling._told_best > 0)
    sweep.done(some_params(rng), 3.0)
    telling.changed([], sweep.store.state)
    telling.changed(_end(sweep), sweep.store.state)
    telling.close()
    assert len(server.got) == 2
    assert "all &lt;b&gt;trials&lt;/b&gt; are done; the best is 3.0" in server.texts[1]


def test_a_hanging_program_is_ended_with_all_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "CLOSE_S", 0.5)
    sweep = usual(tmp_path, 4)
    pids = tmp_path / "pids"
    script = f"sleep 600 & echo $$ $! > {pids}.partial; mv {pids}.partial {pids}; wait"
    telling = Notifier(NotifyConfig(command=["sh", "-c", script]), sweep.folder)
    telling.begin(sweep.store.state)
    telling.changed(_end(sweep), sweep.store.state)
    until(pids.exists)
    telling.close()
    found = [int(pid) for pid in pids.read_text().split()]
    until(lambda: not any(psutil.pid_exists(p) and psutil.Process(p).status() != "zombie" for p in found))
    telling._thread.join(60)
    assert not (sweep.folder / notifier.MARK).exists(), "it was not told, so the next run tells it"


def test_a_program_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "TIMEOUT_S", 0.2)
    send = channels.channels(NotifyConfig(command=["sleep", "600"]))["command"]
    with pytest.raises(channels.Undelivered, match=r"took longer than 0.2 s"):
        send({"event": "best", "sweep": "s", "message": "m"})


def test_the_users_file_holds_where_the_recipe_is_silent(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[keys]\nkill = "K"\n[notify]\nbell = true\non = ["ended"]\ncommand = "say done"\n')
    found = settings(NotifyConfig(bell=False), path)
    assert (found.bell, found.on, found.command) == (False, ["ended"], ["say", "done"])
    assert settings(None, tmp_path / "absent") == NotifyConfig()
    path.write_text("[notify]\nurl = 'x'\n")
    with pytest.raises(UserError, match=r"notify.url is not a field"):
        settings(None, path)
    path.write_text("[notify\n")
    with pytest.raises(UserError, match=r"cannot be read"):
        settings(None, path)


def test_the_command_tries_each_way(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command, told = write_hook(tmp_path)
    folder = tmp_path / "config"
    (folder / "sweeptui").mkdir(parents=True)
    file = folder / "sweeptui" / "config.toml"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    assert main(["notify"]) == 2
    assert "says nothing of notifications" in capsys.readouterr().err
    file.write_text(f"[notify]\ncommand = {json.dumps(command)}\nwebhook_env = 'MY_HOOK'\n")
    assert main(["notify"]) == 0
    first, *checked = capsys.readouterr().out.splitlines()
    assert first == "command, webhook, on best, ended, breaker, disk"
    assert checked == [f"command: runs {command[0]}", "webhook: the variable MY_HOOK has a URL"]
    assert main(["notify", "--test"]) == 0
    assert capsys.readouterr().out == "command: delivered\nwebhook: delivered\n"
    assert server.texts == ["sweeptui can reach you"]
    assert events(told)[0]["event"] == "test"
    monkeypatch.delenv("MY_HOOK")
    assert main(["notify", "--test"]) == 1
    assert "webhook: not delivered: webhook_env: the variable MY_HOOK has no URL in it\n" in capsys.readouterr().out


def test_the_desktop_is_told_by_its_own_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    send = channels.channels(NotifyConfig(desktop=True))["desktop"]
    event = {"event": "best", "sweep": "s", "message": "--a new best"}
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(channels.Undelivered, match="notify-send is not installed"):
        send(event)
    program = tmp_path / "notify-send"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/said\n')
    program.chmod(0o755)
    send(event)
    assert (tmp_path / "said").read_text().splitlines() == ["--app-name=sweeptui", "--", "sweeptui: s", "--a new best"]


# -- what can be said without sending any


def test_what_would_not_arrive_is_said_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    hook = tmp_path / "hook"
    hook.write_text("#!/bin/sh\n", encoding="utf-8")
    kept = tmp_path / "kept"

    def said(**given: Any) -> tuple[str, bool]:
        [found] = findings(NotifyConfig(**given))
        assert SECRET not in f"{found}"
        return found.message, bool(found.fix)

    assert said(command=["nowhere", SECRET]) == ("nowhere is not found", True)
    assert said(command=[str(hook), SECRET])[0].endswith("is there, but is not executable")
    hook.chmod(0o700)
    assert said(command=["hook", SECRET]) == (f"runs {hook}", False)
    assert said(webhook_env="HOOK_URL") == ("webhook_env: the variable HOOK_URL has no URL in it", True)
    for url, wrong in (
        (f"https://hooks.example.com/{SECRET}", ""),
        (f"http://127.0.0.1:80/{SECRET}", ""),
        (f"http://hooks.example.com/{SECRET}", "whoever is on the way reads it"),
        (f"https://hooks.example.com:port/{SECRET}", "cannot be parsed"),
        (f"https:///{SECRET}", "cannot be parsed"),
        (f"https://hooks.example.com/{SECRET} x", "cannot be parsed"),
        (f"hooks.example.com/{SECRET}", "has no URL in it"),
    ):
        monkeypatch.setenv("HOOK_URL", url)
        message, bad = said(webhook_env="HOOK_URL")
        assert wrong in message
        assert bad is bool(wrong)
    kept.write_text(f"https://hooks.example.com/{SECRET}\n", encoding="utf-8")
    kept.chmod(0o644)
    assert said(webhook_file=str(kept)) == (f"the file {kept} can be read by others", True)
    kept.chmod(0o600)
    assert said(webhook_file=str(kept)) == (f"the file {kept} has a URL", False)
    program = channels.desktop_program()
    assert said(desktop=True) == (f"{program} is not installed", True)
    (tmp_path / program).write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / program).chmod(0o700)
    assert said(desktop=True)[1] is (sys.platform != "darwin")


def test_the_doctor_and_notify_say_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.toml"
    monkeypatch.setattr("sweeptui.folders.config_path", lambda: path)
    for module in ("sweeptui.notices.settings", "sweeptui.doctor", "sweeptui.cli.notify"):
        monkeypatch.setattr(f"{module}.config_path", lambda: path)

    def told() -> dict[str, tuple[str, str]]:
        return {check.name: (check.status, check.message) for check in doctor._notifications()}

    assert told() == {"notifications": ("ok", f"none are set in {path}")}
    path.write_text('[notify]\ncommand = ["no-such-program"]\nwebhook_env = "HOOK_URL"\n', encoding="utf-8")
    monkeypatch.setenv("HOOK_URL", f"https://hooks.example.com/{SECRET}")
    assert told() == {
        "notify command": ("warn", "no-such-program is not found"),
        "notify webhook": ("ok", "the variable HOOK_URL has a URL"),
    }
    result = CliRunner().invoke(notify, [])
    assert result.output.splitlines() == [
        "command, webhook, on best, ended, breaker, disk",
        "command: no-such-program is not found; install it, or write its whole path",
        "webhook: the variable HOOK_URL has a URL",
    ]
    path.write_text('[notify]\ncomand = ["x"]\n', encoding="utf-8")
    assert told()["notifications"][0] == "fail"
