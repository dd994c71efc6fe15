"""Steering from the cockpit: forms, limits, undo, the command line, the palette, and keys of one's own."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from app_sweep import Sweep, busy_sweep, frame, toasts, until, widths
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from sweeptui.app import commandline, keymap
from sweeptui.app.actions import ACTIONS, BY_ID, key_name
from sweeptui.app.cockpit import Cockpit
from sweeptui.app.dialogs import Ask
from sweeptui.app.keymap import Keymap
from sweeptui.app.screens.edit import Edit
from sweeptui.app.screens.number import AskNumber
from sweeptui.app.screens.palette import Help, Palette
from sweeptui.app.screens.prompt import Prompt
from sweeptui.cli.about import keys
from sweeptui.core.errors import UserError
from sweeptui.core.trial import Stage, TrialStatus

DONE, BEST, FAILED, PAUSED, KILLED, RUNNING, QUEUED = 1, 5, 6, 7, 8, 9, 10
"""Trials of `busy_sweep`."""
LEARNING_RATE = "trainer.algorithm.learning_rate"
SIZES = [(80, 24), (120, 40), (200, 60), (40, 12)]
READ_ONLY = "this window is read-only"


@pytest.fixture(autouse=True)
def _still(monkeypatch):
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.delenv("NO_COLOR", raising=False)


@asynccontextmanager
async def cockpit(sweep: Sweep, size=(120, 40), select=None, **options: Any):
    app = Cockpit(sweep.folder, None, utf8=True, clock=sweep.clock, **options)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.snapshot is not None, "the first snapshot")
        if select is not None:
            app.table.select(select)
            await until(pilot, lambda: app.snapshot.focus and app.snapshot.focus.trial == select, "focus")
        yield app, pilot


def screen(app) -> str:
    return "\n".join(frame(app))


async def command(sweep: Sweep, pilot) -> Any:
    """The command that was given, which is answered."""
    await until(pilot, sweep.command, "the command")
    given = sweep.command()
    sweep.answer(given, "done", "it is done")
    return given.verb, dict(given.args), given.id


async def press(pilot, *keys: str) -> None:
    await pilot.press(*keys)
    await pilot.pause()


async def write(pilot, text: str) -> None:
    """As fast as a clipboard."""
    pilot.app.focused.insert_text_at_cursor(text)
    await pilot.pause()


# -- limits


async def test_slots_go_up_and_down_by_a_key(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep) as (_, pilot):
        await press(pilot, "+", "+", "-")
        given = [await command(sweep, pilot) for _ in range(3)]
        assert [(verb, args) for verb, args, _ in given] == [("set", {"max_parallel_jobs": n}) for n in (3, 4, 3)]


async def test_the_last_slot_stays(tmp_path):
    sweep = busy_sweep(tmp_path)
    with sweep.store.transaction() as tx:
        tx.set_sweep(config={**sweep.store.state.config, "max_parallel_jobs": 1})
    async with cockpit(sweep) as (app, pilot):
        await press(pilot, "-")
        assert toasts(app) == ["there is one slot left: pause the sweep instead"]


async def test_max_trials_is_asked_for(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        await press(pilot, "m")
        assert isinstance(app.screen, AskNumber)
        assert "10 made so far: with 10 or less, no more are made." in screen(app)
        await press(pilot, "backspace", "backspace", "enter")
        assert "max_trials is ''; it must be a whole number of at least 1" in screen(app)
        await write(pilot, "4x")
        assert "max_trials is '4x'" in screen(app)
        await press(pilot, "enter", "up", "backspace", "up", "pageup")
        assert app.screen.input.value == "15"
        await press(pilot, "enter")
        assert (await command(sweep, pilot))[:2] == ("set", {"max_trials": 15})
        await press(pilot, "m", "escape")
        await press(pilot, "m", "enter")
        await pilot.pause(0.4)
        assert sweep.command() is None, "left, or as it was"


# -- forms


async def test_a_trial_is_requeued_with_other_parameters(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=FAILED) as (app, pilot):
        await press(pilot, "R")
        assert isinstance(app.screen, Edit)
        assert "Requeue trial_0006 with other parameters" in screen(app)
        assert "trial 11 of 12; trial_0006 stays as it is" in screen(app)
        await press(pilot, "enter")
        assert "nothing is changed; change a parameter" in screen(app)
        await until(pilot, lambda: app.screen.fields[0].input.has_focus)
        await press(pilot, "home", "ctrl+k")
        await write(pilot, "5")
        assert f"{LEARNING_RATE} is 5; it must be a number from 0.0001 to 0.01" in screen(app)
        await press(pilot, "enter")
        assert isinstance(app.screen, Edit), "what is not in the space is not entered"
        await press(pilot, "backspace")
        assert "is empty; give it a number from 0.0001 to 0.01" in screen(app)
        await write(pilot, "5e-3")
        assert "• learning_rate" in screen(app)
        assert "was 0.0049" in screen(app)
        await press(pilot, "enter")
        verb, args, _ = await command(sweep, pilot)
        assert (verb, args) == ("requeue", {"trials": [FAILED], "params": {LEARNING_RATE: 0.005}})


async def test_a_trial_is_made_by_hand(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        await press(pilot, "i")
        best = sweep.store.state.trials[BEST].params
        assert app.screen.fields[0].value == best[LEARNING_RATE], "it begins with the best"
        await press(pilot, "f2")
        assert app.screen.fields[0].value == pytest.approx(0.00505)
        await press(pilot, "f4")
        assert app.screen.fields[0].value == sweep.store.state.trials[RUNNING].params[LEARNING_RATE]
        await press(pilot, "f3", "tab", "down", "up", "home", "ctrl+k")
        await write(pilot, "0.25")
        await press(pilot, "enter")
        verb, args, _ = await command(sweep, pilot)
        assert (verb, args) == ("inject", {"params": {"trainer.algorithm.clip_coef": 0.25}, "from": BEST})
        await press(pilot, "i", "f2", "enter")
        verb, args, _ = await command(sweep, pilot)
        assert (verb, args) == ("inject", {"params": {}, "from": "center"})
        await press(pilot, "i", "escape")
        await press(pilot, "i")
        await pilot.click("#cancel")
        assert not isinstance(app.screen, Edit)


async def test_before_the_first_score_it_begins_at_the_center(tmp_path):
    sweep = Sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        await press(pilot, "i")
        assert app.screen.fields[0].value == pytest.approx(0.00505)
        assert "trial 1 of 12" in screen(app)
        assert "start from" not in screen(app)


async def test_a_full_sweep_takes_no_trial_by_hand(tmp_path):
    sweep = busy_sweep(tmp_path)
    sweep.trial()
    sweep.trial()
    async with cockpit(sweep, select=DONE) as (app, pilot):
        await press(pilot, "i", "R")
        assert toasts(app) == ["all 12 trials of the sweep are made: raise max_trials first"] * 2


async def test_only_the_evaluation_is_repeated(tmp_path):
    sweep = busy_sweep(tmp_path)
    sweep.set(DONE, TrialStatus.TRAINED)
    sweep.start(DONE, stage=Stage.EVAL)
    sweep.end(DONE, 190.0)
    async with cockpit(sweep, select=DONE) as (app, pilot):
        await press(pilot, "E")
        assert (await command(sweep, pilot))[:2] == ("evaluate", {"trials": [DONE]})
        app.table.select(FAILED)
        await press(pilot, "E")
        assert "trial_0006 was not evaluated yet: there is no evaluation to repeat" in toasts(app)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("keys", ["R", "i", "m", "?", ":", "ctrl+p"])
async def test_forms_fit_their_terminal(tmp_path, size, keys):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, size=size, select=RUNNING) as (app, pilot):
        await press(pilot, keys)
        assert widths(app) == {size[0]}
        if keys == "i" and size[0] >= 80:  # on a smaller one the button is a Tab away
            assert "learning_rate" in screen(app)
            assert "Queue it" in screen(app)


# -- undo


async def test_what_is_queued_is_taken_back(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=FAILED) as (app, pilot):
        await press(pilot, "ctrl+z")
        assert toasts(app) == ["nothing was asked for from this window: there is nothing to undo"]
        await press(pilot, "r")
        await command(sweep, pilot)
        sweep.set(FAILED, TrialStatus.PENDING, failure=None)
        await until(pilot, lambda: app.snapshot.trial(FAILED).status is TrialStatus.PENDING)
        await press(pilot, "ctrl+z")
        assert (await command(sweep, pilot))[:2] == ("unqueue", {"trials": [FAILED]})


async def test_a_trial_made_by_hand_is_taken_back_until_it_begins(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=FAILED) as (app, pilot):
        for begins in (False, True):
            await press(pilot, "i", "f2", "enter")
            _, _, number = await command(sweep, pilot)
            made = sweep.trial({"method": "user", "command": number})
            if begins:
                sweep.start(made)
            await until(
                pilot, lambda made=made, begins=begins: (trial := app.snapshot.trial(made)) and trial.attempt == begins
            )
            await press(pilot, "ctrl+z")
            if begins:
                assert toasts(app)[-1] == f"trial_{made:04d} has begun, or is over: kill it to end it"
            else:
                assert (await command(sweep, pilot))[:2] == ("unqueue", {"trials": [made]})
        await press(pilot, "ctrl+z")
        assert toasts(app)[-1] == "nothing was asked for from this window: there is nothing to undo"


async def test_a_trial_killed_in_the_queue_is_queued_again_and_a_running_one_is_not(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=QUEUED) as (app, pilot):
        await press(pilot, "x", "y")
        await command(sweep, pilot)
        sweep.set(QUEUED, TrialStatus.KILLED)
        await until(pilot, lambda: app.snapshot.trial(QUEUED).status is TrialStatus.KILLED)
        await press(pilot, "ctrl+z")
        assert (await command(sweep, pilot))[:2] == ("requeue", {"trials": [QUEUED]})
        app.table.select(RUNNING)
        await press(pilot, "x", "y")
        await command(sweep, pilot)
        await press(pilot, "ctrl+z")
        # What became of the kill itself may be said before, or after.
        await until(pilot, lambda: "kill of trial_0009 cannot be taken back: it was not in the queue" in toasts(app))


async def test_limits_and_pauses_are_taken_back_one_by_one(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        await press(pilot, "+", "+", "P", "p")
        for _ in range(4):
            await command(sweep, pilot)
        sweep.set(RUNNING, TrialStatus.PAUSED, paused_from=TrialStatus.TRAINING)
        await until(pilot, lambda: app.snapshot.trial(RUNNING).status is TrialStatus.PAUSED)
        await press(pilot, *["ctrl+z"] * 4)
        taken_back = [(await command(sweep, pilot))[:2] for _ in range(4)]
        assert taken_back == [
            ("resume", {"trials": [RUNNING]}),
            ("resume", {}),
            ("set", {"max_parallel_jobs": 3}),
            ("set", {"max_parallel_jobs": 2}),
        ]


# -- the command line


@pytest.mark.parametrize(
    ("line", "verb", "args"),
    [
        ("requeue 1 5-6", "requeue", {"trials": [1, 5, 6]}),
        ("requeue trial_0003 learning_rate=0.001", "requeue", {"trials": [3], "params": {LEARNING_RATE: 0.001}}),
        ("inject clip_coef=0.2 from=best", "inject", {"params": {"trainer.algorithm.clip_coef": 0.2}, "from": BEST}),
        ("inject clip_coef=0.2", "inject", {"params": {"trainer.algorithm.clip_coef": 0.2}, "from": "center"}),
        ("set max_trials 40", "set", {"max_trials": 40}),
        ("set slots=3", "set", {"max_parallel_jobs": 3}),
        ("pause 9 10", "pause", {"trials": [9, 10]}),
        ("resume 7", "resume", {"trials": [7]}),
        ("unqueue 10", "unqueue", {"trials": [10]}),
        ("pause-sweep", "pause", {}),
        ("requeue state:failed 1", "requeue", {"trials": [1, 6]}),
        (
            'requeue reason:"out of memory" clip_coef=0.2',
            "requeue",
            {"trials": [6], "params": {"trainer.algorithm.clip_coef": 0.2}},
        ),
    ],
)
async def test_a_line_gives_a_command(tmp_path, line, verb, args):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        await press(pilot, ":")
        await write(pilot, line)
        await press(pilot, "enter")
        assert not isinstance(app.screen, Prompt)
        assert (await command(sweep, pilot))[:2] == (verb, args)


async def test_a_line_asks_as_its_key_does(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=DONE) as (app, pilot):
        await press(pilot, ":")
        await write(pilot, "kill 1-10")
        await press(pilot, "enter")
        assert isinstance(app.screen, Ask)
        assert "Kill 3 trials (#7, #9, #10)? Their results so far do not count." in screen(app)
        await press(pilot, "y")
        assert (await command(sweep, pilot))[:2] == ("kill", {"trials": [7, 9, 10]})
        await press(pilot, ":")
        await write(pilot, "stop kill")
        await press(pilot, "enter")
        assert "End the sweep? Nothing new is started; 2 running trials are killed." in screen(app)
        await press(pilot, "y")
        assert (await command(sweep, pilot))[:2] == ("stop", {"kill": True})


async def test_a_line_sorts_and_filters(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        for line in ("sort score", "filter state:done score>300"):
            await press(pilot, ":")
            await write(pilot, line)
            await press(pilot, "enter")
        assert [trial.number for trial in app.table.shown] == [5, 4, 2]
        await press(pilot, ":")
        await write(pilot, "sort score up")
        await press(pilot, "enter")
        assert [trial.number for trial in app.table.shown] == [2, 4, 5]


async def test_a_line_goes_to_a_trial(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        for line, cursor in (("3", 3), ("goto best", BEST), ("goto 7", 7), ("goto newest", QUEUED)):
            await press(pilot, ":")
            await write(pilot, line)
            await press(pilot, "enter")
            assert app.table.cursor == cursor


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "write a command; Tab shows what there is"),
        ("kil 3", "kil is not a command; did you mean 'kill'?"),
        ("kill 99", "there is no trial 99; there are 10"),
        ("kill 90-99", "there are no trials from 90 to 99; there are 10"),
        ("kill 1", "trial_0001 is over already (done)"),
        ('kill "a', "a quote is open; close it"),
        ("set", "write set max_trials 40, or set slots 4"),
        ("set max_trial 40", "max_trial is not a limit; did you mean 'max_trials'?"),
        ("set slots 0", "max_parallel_jobs is '0'; it must be a whole number of at least 1"),
        ("requeue 1 lr=3", "lr is not a parameter of this sweep; "),
        ("requeue 1 clip_coef=3", "trainer.algorithm.clip_coef is 3; it must be a number from 0.1 to 0.4"),
        ("inject from=99", "there is no trial 99; there are 10"),
        ("goto", "write goto and one trial"),
        ("undo 3", "undo takes nothing more; leave out '3'"),
        ("kill state:nowhere", "no state is called nowhere"),
        ("kill score>9999", "score>9999 finds no trial; write numbers (3 7-9), best, or a query"),
        ("filter score>", "score> needs"),
        ("sort scor down up", "write sort and a column"),
        ("sort nothing", "no field is called nothing"),
        ("stop now", "write stop, or stop kill"),
    ],
)
async def test_a_line_that_is_no_command_is_one_sentence(tmp_path, line, sentence):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep) as (app, _):
        with pytest.raises(UserError) as caught:
            commandline.prepare(app, line)
        assert str(caught.value).startswith(sentence)


async def test_a_wrong_line_stays_and_is_mended(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        await press(pilot, ":")
        await write(pilot, "goto 33")
        await press(pilot, "enter")
        assert "✗ there is no trial 33; there are 10" in screen(app)
        await press(pilot, "backspace", "enter")
        assert app.table.cursor == 3
        await press(pilot, ":", "up", "escape")
        assert not isinstance(app.screen, Prompt)


async def test_lines_are_completed_and_remembered(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        await press(pilot, ":")
        await write(pilot, "req")
        await press(pilot, "tab")
        assert app.screen.input.value == "requeue "
        assert "requeue [TRIAL...] [PARAMETER=VALUE...]" in screen(app)
        await write(pilot, "3 cl")
        await press(pilot, "tab")
        assert app.screen.input.value == "requeue 3 clip_coef="
        await write(pilot, "0.2")
        await press(pilot, "enter")
        await command(sweep, pilot)
        await press(pilot, ":")
        await write(pilot, "goto ")
        await press(pilot, "tab")
        assert app.screen.input.value == "goto newest"
        await press(pilot, "tab")
        assert app.screen.input.value == "goto best"
        await press(pilot, "shift+tab", "shift+tab")
        assert app.screen.input.value == "goto 1", "the last one"
        await press(pilot, "up")
        assert app.screen.input.value == "requeue 3 clip_coef=0.2"
        await press(pilot, "down")
        assert app.screen.input.value == "goto 1"


@given(st.text(max_size=40))
def test_no_line_is_too_strange(line):
    class Window:
        snapshot, read_only = None, ""

    for ask in (commandline.prepare, commandline.completions):
        try:
            ask(Window(), line)
        except UserError as error:
            said = str(error)
            assert said
        except AttributeError as error:  # it would have done something with the cockpit
            assert isinstance(error.obj, Window)


# -- finding actions


async def test_the_palette_finds_and_does(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=FAILED) as (app, pilot):
        await press(pilot, "ctrl+p")
        assert isinstance(app.screen, Palette)
        await write(pilot, "pause sweep")
        assert frame(app)[next(i for i, line in enumerate(frame(app)) if "pause sweep" in line and "│" in line) + 2]
        await press(pilot, "enter")
        assert (await command(sweep, pilot))[:2] == ("pause", {})


async def test_what_does_not_apply_says_why_and_stays(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        await press(pilot, "ctrl+p")
        await write(pilot, "try the trial again")
        assert "trial_0009 is training: only a trial that is over can be tried again" in screen(app)
        await press(pilot, "enter")
        if isinstance(app.screen, Palette):
            assert toasts(app) == ["trial_0009 is training: only a trial that is over can be tried again"]
        await press(pilot, "escape")


async def test_the_help_does_what_is_chosen(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        await press(pilot, "?")
        assert isinstance(app.screen, Help)
        await press(pilot, "enter")
        assert (await command(sweep, pilot))[:2] == ("pause", {"trials": [RUNNING]})
        await press(pilot, "?", "j", "k", "q")
        assert not isinstance(app.screen, Help)


async def test_a_read_only_window_changes_nothing(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=FAILED, read_only=READ_ONLY) as (app, pilot):
        for action in ACTIONS:
            if action.changes:
                app.action_act(action.id)
        refused = []
        for line in ("requeue 1", "set slots 3", "stop", "unqueue 10"):
            try:
                commandline.prepare(app, line).run()
            except UserError as error:
                refused.append(str(error))
        assert set(refused) == {READ_ONLY}
        await pilot.pause(0.4)
        assert set(toasts(app)) == {READ_ONLY}
        assert sweep.command() is None


# -- keys


def config(folder: Path, text: str) -> Keymap:
    path = folder / "config.toml"
    path.write_text(text)
    return keymap.load(path)


async def test_a_key_of_ones_own(tmp_path):
    sweep = busy_sweep(tmp_path)
    own = config(tmp_path, '[keys]\nkill = "K"\nrequeue = ["x", "ctrl+r"]\nquit = "shift+q"\nhelp = ","\n')
    assert not own.problems
    async with cockpit(sweep, select=FAILED, keymap=own) as (app, pilot):
        await press(pilot, "x")
        assert (await command(sweep, pilot))[:2] == ("requeue", {"trials": [FAILED]})
        await press(pilot, "r")
        await pilot.pause(0.3)
        assert sweep.command() is None
        await press(pilot, "ctrl+r")
        assert (await command(sweep, pilot))[0] == "requeue"
        app.table.select(RUNNING)
        await press(pilot, "K")
        assert isinstance(app.screen, Ask)
        await press(pilot, "escape")
        assert " K kill " in frame(app)[-1]
        await press(pilot, ",")
        assert isinstance(app.screen, Help)
        await press(pilot, "escape", "Q")
        assert app._exit


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[keys]\nkil = "K"', "keys.kil is not an action; did you mean 'kill'?"),
        ("[keys]\nkill = 3", "keys.kill is 3; it must be a key such as 'K', '?' or 'ctrl+k', or a list of keys"),
        ("[keys]\nkill = []", "keys.kill is []; it must be a key"),
        ('[keys]\nkill = "ctrl+nothing"', "keys.kill is 'ctrl+nothing', which is no key; "),
        ('[keys]\nkill = "entr"', "keys.kill is 'entr', which is no key; "),
        ('[keys]\nkill = "r"', "keys.kill is 'r', the key of requeue; choose another, or give requeue one"),
        ('[keys]\nkill = "K"\npause = "K"', "keys.kill and keys.pause are both 'K'; give each a key of its own"),
        ('[theme]\nx = "K"', "theme is not a setting; choose one of keys"),
        ("keys = 3", "keys is 3; it must be a table: [keys]"),
        ("[keys", "cannot be read: "),
    ],
)
async def test_a_mistake_in_the_file_is_one_sentence_and_the_default_holds(tmp_path, text, problem):
    own = config(tmp_path, text)
    [found] = own.problems
    assert problem in found
    assert "config.toml" in found
    assert own.own == {}
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, keymap=own) as (app, _):
        assert toasts(app) == [found]


def test_no_key_has_two_meanings_in_one_pane() -> None:
    taken: dict[tuple[str, str], str] = {}
    for action in ACTIONS:
        for key in action.keys:
            assert taken.setdefault((action.pane, key), action.id) == action.id
    assert len(BY_ID) == len(ACTIONS)


def test_keys_are_called_as_keyboards_call_them() -> None:
    names = {"question_mark": "?", "ctrl+z": "Ctrl+Z", "shift+tab": "Shift+Tab", "K": "K", "plus": "+", "colon": ":",
             "slash": "/", "space": "Space", "f5": "F5", "pagedown": "PgDn", "ctrl+up": "Ctrl+↑"}  # fmt: skip
    assert {key: key_name(key) for key in names} == names


def test_the_page_about_the_keys_is_what_the_registry_says() -> None:
    page = (Path(__file__).parent.parent / "docs" / "keys.md").read_text()
    assert page == keymap.markdown(), "write it again: sweeptui keys --markdown > docs/keys.md"


def test_keys_are_printed_with_ones_own(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(keymap, "config_path", lambda: tmp_path / "config.toml")
    (tmp_path / "config.toml").write_text('[keys]\nkill = "K"\npause = 3\n')
    done = CliRunner().invoke(keys)
    assert re.search(r"^  K +kill +Kill the trial$", done.output, re.MULTILINE)
    assert "keys.pause is 3" in done.stderr
    assert done.exit_code == 0
