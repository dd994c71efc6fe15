"""Acting on the sweep: what keys, palette and command line do, what they ask first, and how it is taken back.

Forms and lists are imported where they are opened: the first frame does not wait for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sweeptui.app import wording
from sweeptui.app.actions import BY_ID, Action
from sweeptui.app.dialogs import KILL_CHOICES, Ask, Choice
from sweeptui.app.keymap import keymap_of
from sweeptui.app.undo import Given, taking_back
from sweeptui.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeptui.app.cockpit import Cockpit
    from sweeptui.app.commandline import Prepared
    from sweeptui.app.screens.edit import Edited
    from sweeptui.app.snapshot import Snapshot
    from sweeptui.core.trial import Trial


SLOTS, TRIALS = "max_parallel_jobs", "max_trials"
REASONS = 3
"""So many are named of why trials are left out."""
Submit = Callable[..., None]


class Steering:
    """One for each cockpit."""

    def __init__(self, app: Cockpit, submit: Submit) -> None:
        """`submit` enters a command in the sweep's journal, and calls back with its number."""
        self._app = app
        self._submit = submit
        self._given: list[Given] = []
        """What was asked for from this window and can still be taken back, oldest first."""
        self._limits: dict[str, int] = {}
        """Limits that were set from here and that the snapshot does not have yet."""
        self.history: list[str] = []
        """Lines that were given to the command line, oldest first."""

    # -- what an action does

    def refusal(self, action: Action, trials: Sequence[Trial] | None = None) -> str:
        """Why an action does not apply now; empty where it does. One on several trials applies if it does to any."""
        app = self._app
        if action.changes and (why := self._fixed()):
            return why
        if action.id == "undo":
            return "" if self._given else "nothing was asked for from this window: there is nothing to undo"
        if action.on is None:
            return action.refusal(app.snapshot, app.selected)
        first = ""
        for trial in (app.targets() if trials is None else trials) or (None,):
            why = action.refusal(app.snapshot, trial)
            if not why:
                return ""
            first = first or why
        return first

    def _fixed(self) -> str:
        """Why nothing can be changed from this window now; empty where it can."""
        snapshot = self._app.snapshot
        if snapshot is not None and snapshot.past is not None:
            key = keymap_of(self._app).first(BY_ID["time_now"])
            return f"this is the past, and nothing in it can be changed: {key} goes back to now"
        return self._app.read_only

    def act(self, id_: str) -> None:
        """Do what a key asks for: say why not, or ask first."""
        action = BY_ID[id_]
        if action.on is not None:
            self.act_on(action, self._app.targets())
        elif why := self.refusal(action):
            self._app.notify(why, severity="warning", markup=False)
        else:
            action.run(self._app)

    def act_on(self, action: Action, trials: Sequence[Trial]) -> None:
        """Do it with those of the trials that it applies to."""
        app = self._app
        if why := self.refusal(action, trials):
            app.notify(why, severity="warning", markup=False)
            return
        assert action.on is not None
        whys = [(trial, action.refusal(app.snapshot, trial)) for trial in trials]
        chosen = [trial for trial, why in whys if not why]
        left_out = _left_out([(trial, why) for trial, why in whys if why], len(trials))
        do = action.on

        def answered(choice: str | None) -> None:
            if choice == "yes":
                do(app, chosen)

        if action.question is None or app.snapshot is None:
            if left_out:
                app.notify(f"{action.label or action.id}: {left_out}", severity="warning", markup=False)
            do(app, chosen)
            return
        question = action.question(app.snapshot, chosen) + (
            f" {left_out[0].upper()}{left_out[1:]}." if left_out else ""
        )
        app.push_screen(Ask(question, _kill_choices(len(chosen)), "no"), answered)

    # -- commands

    def command(self, verb: str, **args: Any) -> None:
        """Ask for something to be done with the sweep; the answer comes as a toast."""
        if why := self._fixed():
            self._app.notify(why, severity="warning", markup=False)
            return
        given = Given(verb, args, self._app.snapshot, {key: self.limit(key) for key in (SLOTS, TRIALS)})
        self._given.append(given)
        self._submit(verb, given.entered, **args)
        if verb == "set":
            self._limits.update(args)

    def limit(self, key: str) -> int:
        """A limit as it was last set from here, else as the sweep has it."""
        snapshot = self._app.snapshot
        if snapshot is None:
            return 1
        return self._limits.get(key, snapshot.slots if key == SLOTS else snapshot.max_trials)

    def shown(self, snapshot: Snapshot) -> None:
        """A newer snapshot is shown: it has what was set before it was taken."""
        current = {SLOTS: snapshot.slots, TRIALS: snapshot.max_trials}
        self._limits = {key: value for key, value in self._limits.items() if current[key] != value}

    def refused(self, number: int) -> None:
        """A command was: there is nothing of it to take back, and limits are what the sweep says."""
        self._given = [given for given in self._given if given.id != number]
        self._limits.clear()

    def undo(self) -> None:
        """Take the last command back, where it can be."""
        app = self._app
        assert app.snapshot is not None
        given = self._given.pop()
        try:
            verb, args = taking_back(given, app.snapshot)
        except UserError as error:
            app.notify(wording.line(str(error)), severity="warning", markup=False)
            return
        self._submit(verb, **args)
        if verb == "set":
            self._limits.update(args)

    def stop(self, *, kill: bool) -> None:
        """End the sweep, once that was confirmed."""
        snapshot = self._app.snapshot
        running = 0 if snapshot is None else len(snapshot.running)
        what = "are killed" if kill else "finish"
        question = f"End the sweep? Nothing new is started; {running} running trials {what}."

        def answered(choice: str | None) -> None:
            if choice == "yes":
                self.command("stop", kill=kill)

        self._app.push_screen(Ask(question, (Choice("yes", "Yes, end it", "y"), KILL_CHOICES[1]), "no"), answered)

    # -- forms

    def change_slots(self, by: int) -> None:
        self.command("set", max_parallel_jobs=max(1, self.limit(SLOTS) + by))

    def ask_max_trials(self) -> None:
        from sweeptui.app.screens.number import AskNumber  # noqa: PLC0415

        snapshot = self._app.snapshot
        assert snapshot is not None
        made = snapshot.searched

        now = self.limit(TRIALS)

        def answered(number: int | None) -> None:
            if number is not None and number != now:
                self.command("set", max_trials=number)

        note = f"{made} made so far: with {made} or less, no more are made."
        self._app.push_screen(AskNumber("How many trials in all?", TRIALS, now, note), answered)

    def edit(self) -> None:
        """Requeue the selected trial with other parameters: a new trial."""
        from sweeptui.app.screens.edit import Edit  # noqa: PLC0415

        snapshot, trial = self._app.snapshot, self._app.selected
        assert snapshot is not None
        assert trial is not None

        def answered(edited: Edited | None) -> None:
            if edited is not None:
                self.command("requeue", trials=[trial.number], params=dict(edited.changed))

        self._app.push_screen(Edit.of_trial(snapshot, trial), answered)

    def inject(self) -> None:
        """Make a trial by hand, starting from the center, the best trial or the selected one."""
        from sweeptui.app.screens.edit import Edit  # noqa: PLC0415

        snapshot = self._app.snapshot
        assert snapshot is not None

        def answered(edited: Edited | None) -> None:
            if edited is not None:
                self.command("inject", params=dict(edited.changed), **{"from": edited.source})

        self._app.push_screen(Edit.new(snapshot, self._app.selected), answered)

    # -- finding an action

    def show_palette(self) -> None:
        from sweeptui.app.screens.palette import Palette  # noqa: PLC0415

        self._app.push_screen(Palette(self._app.keymap, self.refusal), self._chosen)

    def show_help(self) -> None:
        from sweeptui.app.screens.palette import Help  # noqa: PLC0415

        self._app.push_screen(Help(self._app.keymap, self.refusal), self._chosen)

    def _chosen(self, id_: str | None) -> None:
        if id_ is not None:
            self._app.action_act(id_)

    def show_prompt(self, text: str = "") -> None:
        from sweeptui.app.screens.prompt import Prompt  # noqa: PLC0415

        self._app.push_screen(Prompt(self._app, self.history, text), self._entered)

    def _entered(self, prepared: Prepared | None) -> None:
        if prepared is not None:
            self.history = [*[line for line in self.history if line != prepared.line], prepared.line]
            prepared.run()


def _left_out(refused: Sequence[tuple[Trial, str]], count: int) -> str:
    """Which of `count` trials an action does not apply to, by what they are; empty where it applies to all."""
    if not refused:
        return ""
    whys = Counter(why.removeprefix(f"{trial.id} is ").partition(":")[0] for trial, why in refused)
    alike: dict[str, list[str]] = {}
    for why, _ in whys.most_common(REASONS):
        what, _, state = why.removesuffix(")").partition(" (")
        alike.setdefault(what, []).extend([state] if state else [])
    said = ", ".join(f"{what} ({', '.join(states)})" if states else what for what, states in alike.items())
    said += ", ..." if len(whys) > REASONS else ""
    return f"{len(refused)} of the {count} are left out: {said}"


def _kill_choices(count: int) -> tuple[Choice, ...]:
    if count == 1:
        return KILL_CHOICES
    return (Choice("yes", f"Yes, kill {count}", "y"), KILL_CHOICES[1])
