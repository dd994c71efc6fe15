"""What a report says in words and rows: the summary, the best configuration, failures, versions, how to do it again."""

from __future__ import annotations

import json
import shlex
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from sweeptui.core.analysis.best import as_overrides, as_patch, as_yaml, training_command
from sweeptui.core.analysis.forms import as_form
from sweeptui.core.ansi import sanitize
from sweeptui.core.errors import UserError
from sweeptui.core.objectives import value_of
from sweeptui.core.trial import TrialStatus
from sweeptui.core.wording import cost, duration, number
from sweeptui.writeup.figure import Table

if TYPE_CHECKING:
    from sweeptui.core.config import SweepTool
    from sweeptui.core.trial import Trial
    from sweeptui.writeup.content import Content

MAX_TRIALS = 100
"""Rows of the table of the best trials."""
MAX_IDS = 12
HIDDEN = "(not in this report)"


@dataclass(frozen=True, slots=True)
class Form:
    """The best configuration, in one form in which it is used again."""

    title: str
    text: str


def plain(text: Any) -> str:
    """Foreign text on one line, with nothing in it that reorders or hides."""
    return " ".join(sanitize(str(text), colour=False).split())


def when(at: float | None) -> str:
    return "–" if at is None else time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))  # noqa: RUF001


def headline(content: Content) -> str:
    """The sweep in one sentence."""
    scored, total = len(content.order), len(content.trials)
    best = content.best
    tried = f"{total} {'trial' if total == 1 else 'trials'}, {scored} with a score"
    if content.front:
        names = " and ".join(each.name for each in content.objectives)
        return f"{tried}; {len(content.front)} of them are beaten by no other in {plain(names)}."
    if best is None:
        return f"{tried}; so there is no best configuration yet."
    return f"{tried}; the best is {best.trial.id} with {plain(content.metric)} {best.score!r}."


def summary(content: Content) -> list[tuple[str, str]]:
    """Facts about the sweep, by name."""
    state, tool = content.state, content.tool
    failed = content.counted(TrialStatus.FAILED)
    total = len(content.trials)
    others = ", ".join(f"{count} {status}" for status in TrialStatus if (count := content.counted(status)))
    facts = [
        ("State", content.label + (f": {plain(state.reason)}" if state.reason else "")),
        ("Searched for", ", ".join(plain(f"{each.name} ({each.goal})") for each in content.objectives)),
        ("Recipe", plain(content.recipe)),
        ("Method", plain(tool.protein_config.method)),
        ("Scheduler", plain(tool.scheduler)),
        ("Trials", f"{total} of {tool.max_trials} ({others})" if others else f"0 of {tool.max_trials}"),
        ("Failed", _share(failed, total)),
        ("Cost of all trials", cost(content.spent, tool.cost_unit)),
        # It is added up where a run ends; of one that goes on, when it began says more.
        ("Time it was run", duration(state.run_s) if state.run_s and state.status.ended else ""),
        ("Started", when(state.started_at or state.created_at)),
        ("Ended", when(state.ended_at)),
    ]
    if state.replicates:
        facts.append(("Replicates", f"{len(state.replicates)}, none of them counted here; see `sweeptui validate`"))
    if tool.warm_start:
        facts.append(("Warm start", plain(tool.warm_start)))
    return [(name, said) for name, said in facts if said and said != "–"]  # noqa: RUF001


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.0f} %)" if part else "none"


def tiles(content: Content) -> list[tuple[str, str, str]]:
    """The numbers at the top: what, how much, and what stands below."""
    state = content.state
    best = content.best
    found = []
    if content.front:
        found.append(("Pareto front", str(len(content.front)), "trials"))
    elif best is not None:
        found.append(("Best", number(best.score, 5), best.trial.id))
    else:
        found.append(("Best", "–", "no trial has a score"))  # noqa: RUF001
    failed = content.counted(TrialStatus.FAILED)
    found.append(("Trials", str(len(content.trials)), f"{len(content.order)} with a score"))
    found.append(("Failed", str(failed), f"in {len(content.failures)} groups" if failed else "nothing went wrong"))
    found.append(("Cost", cost(content.spent, content.tool.cost_unit), f"{duration(state.run_s)} run"))
    return found


def best_table(content: Content) -> Table | None:
    """The best configuration beside what was searched, and which of its values lie at an end of that."""
    best = content.best
    if best is None:
        return None
    rows: list[tuple[str, ...]] = []
    for name, value in best.trial.params.items():
        how = content.state.config.get("protein_config", {}).get("parameters", {}).get(name, {})
        low, high = how.get("min"), how.get("max")
        if low is None or high is None:
            rows.append((plain(name), plain(_exact(value)), _choices(how), ""))
        else:
            at_end = isinstance(value, int | float) and (value <= low or value >= high)
            searched = f"{number(low)} to {number(high)}"
            rows.append((plain(name), plain(_exact(value)), searched, "at the end of its range" if at_end else ""))
    return Table(("parameter", "value", "searched", ""), rows, numeric=frozenset({1}))


def _choices(how: dict[str, Any]) -> str:
    choices = how.get("values") or ()
    return plain(", ".join(map(str, choices)))


def _exact(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def forms(content: Content, trial: Trial) -> list[Form]:
    """A configuration in each form in which it is used again; numbers keep every digit that they have."""
    found = []
    try:
        command = training_command(content.tool, content.state.name, content.folder, trial)
        if command:  # an imported sweep has none
            found.append(Form("Command", f"cd {shlex.quote(content.tool.working_dir or '.')}\n{shlex.join(command)}"))
    except UserError:
        pass  # the recipe's command has a placeholder that stands for nothing here; the other forms are whole
    scores = [f"{each.name} {value_of(trial, content.objectives, k)!r}" for k, each in enumerate(content.objectives)]
    said = "" if len(content.objectives) == 1 else ", ".join(scores)
    found += [
        Form("YAML", as_yaml(trial.params).rstrip()),
        Form("JSON", json.dumps(dict(trial.params), indent=2, ensure_ascii=False)),
        Form("Overrides", "\n".join(shlex.quote(word) for word in as_overrides(trial.params))),
        Form("Hydra patch", as_patch(content.state.name, trial, said=plain(said)).rstrip()),
        Form("Python", as_form("python", content.state.name, trial).rstrip()),
    ]
    with suppress(UserError):  # two parameters that would be one variable
        found.append(Form("Environment", as_form("env", content.state.name, trial).rstrip()))
    return [
        Form(form.title, "\n".join(sanitize(line, colour=False) for line in form.text.split("\n"))) for form in found
    ]


def trial_table(content: Content, rows: int = MAX_TRIALS) -> Table:
    """The best trials, with their scores, costs and parameters."""
    several = len(content.objectives) > 1
    head = ("rank", "trial", *((each.name for each in content.objectives) if several else ("score",)), "cost")
    names = [content.names[name] for name in content.params]
    found = []
    for each in content.order[:rows]:
        values = content.values(each.trial)
        params = [_cell(each.trial.params.get(name)) for name in content.params]
        found.append(
            (
                str(each.rank),
                each.trial.id,
                *(number(value, 6) for value in values),
                cost(each.trial.cost, content.tool.cost_unit),
                *params,
            )
        )
    head = tuple(map(plain, (*head, *names)))
    return Table(head, found, numeric=frozenset({0, *range(2, len(head))}))


def _cell(value: Any) -> str:
    if value is None:
        return "–"  # noqa: RUF001
    return number(value) if isinstance(value, float) else plain(value)


def failed_ids(trials: tuple[Trial, ...]) -> str:
    """The newest of them by name, and how many more there are."""
    shown = ", ".join(trial.id for trial in trials[-MAX_IDS:])
    more = len(trials) - MAX_IDS
    return f"{shown} and {more} more" if more > 0 else shown


def versions(content: Content, made_with: dict[str, Any]) -> list[tuple[str, str]]:
    """What the sweep was started in; of one that has not kept it, what this report was made in."""
    kept = content.surroundings
    found = kept or made_with
    rows = [
        ("sweeptui", str(found.get("sweeptui", ""))),
        ("Python", str(found.get("python", ""))),
        ("System", f"{found.get('platform', '')}, {found.get('cpus', '?')} CPUs"),
        *((name, str(version)) for name, version in dict(found.get("packages", {})).items()),
    ]
    if commit := found.get("commit"):
        rows.append(("Commit", f"{commit}{', with changes that were not committed' if found.get('changed') else ''}"))
    return [(plain(name), plain(said)) for name, said in rows]


def as_recipe(content: Content) -> str:
    """The sweep's configuration as a recipe file; values of environment variables are left out."""
    tool = content.tool
    usual = type(tool)(protein_config=tool.protein_config).to_json()
    config = {name: value for name, value in tool.to_json().items() if value != usual[name] and name != "sweep_name"}
    # First what is run and what is searched, as one would write it.
    config = {name: config[name] for name in ("train_command", "eval_command") if name in config} | {
        **config,
        "protein_config": _search(tool),
    }
    if "env" in config:
        config["env"] = dict.fromkeys(config["env"], HIDDEN)
    return sanitize(yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=1000), colour=False).rstrip()


def _search(tool: SweepTool) -> dict[str, Any]:
    """What is searched and how, without the settings that are as they always are."""
    search: dict[str, Any] = tool.to_json()["protein_config"]
    usual = type(tool.protein_config.settings)().model_dump(mode="json")
    settings = {name: value for name, value in search.pop("settings", {}).items() if value != usual[name]}
    return {**search, **({"settings": settings} if settings else {})}


def again(content: Content) -> list[Form]:
    """What to do to get the same again."""
    name = content.state.name
    return [
        Form("The same sweep, from the same seed", f"sweeptui {name}.yaml --sweep-name {name}-again"),
        Form(f"{name}.yaml", as_recipe(content)),
    ]
