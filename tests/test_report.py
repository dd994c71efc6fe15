"""`sweeptui report`: what is in the page and in the Markdown, of sweeps of every kind, and which files it writes."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import plotly.graph_objects
import pytest
import yaml
from scipy import stats
from written_sweeps import PARAMETERS, Written, some_params, usual

from sweeptui.cli import main
from sweeptui.core.config import SweepTool
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import TrialStatus
from sweeptui.surroundings import surroundings
from sweeptui.writeup import charts, facts, figure, spaces
from sweeptui.writeup.content import Content, curve, gather
from sweeptui.writeup.html import html
from sweeptui.writeup.markdown import markdown
from sweeptui.writeup.thinning import by_rank, by_stretches

HOSTILE = "</script><script>window.owned=1</script><img src=x onerror=owned()>|`@org/team` \u202e\x1b]0;x\x07"


class Read(HTMLParser):
    """A page as a browser takes it apart: its elements, and its text without scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._skipped = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._skipped = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._skipped = ""

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for found, attrs in self.tags if found == tag]


def content_of(sweep: Written) -> Content:
    return gather(sweep.folder, sweep.store, sweep.now)


def figures(page: str) -> list[dict[str, Any]]:
    [found] = re.findall(r'<script type="application/json" id="plots">(.*?)</script>', page, re.DOTALL)
    parsed: list[dict[str, Any]] = json.loads(found)
    return parsed


def two_metrics(root: Path, trials: int = 12) -> Written:
    metrics = [{"name": "accuracy", "goal": "maximize"}, {"name": "latency/ms", "goal": "minimize"}]
    search = {"metrics": metrics, "parameters": PARAMETERS}
    tool = {"protein_config": {**search, "method": "random"}}
    sweep, rng = Written(root, "two", **tool), random.Random(3)
    for _ in range(trials):
        params = some_params(rng)
        found = {"accuracy": rng.random(), "latency/ms": float(params["model.width"]) + rng.random()}
        sweep.done(params, found["accuracy"], metrics=found)
    return sweep.end()


def failures_only(root: Path) -> Written:
    sweep, rng = Written(root, "lost"), random.Random(4)
    for number in range(6):
        sweep.failed(
            some_params(rng), "train exited with code 1: OSError: no such file" if number % 2 else "killed by 9"
        )
    return sweep.end(SweepStatus.BROKEN, "5 trials in a row failed with crashed")


def one_trial(root: Path) -> Written:
    sweep = Written(root, "single")
    sweep.done(some_params(random.Random(5)), 0.5)
    return sweep.end()


def lower_is_better(root: Path) -> Written:
    sweep, rng = Written(root, "loss", {"metric": "loss", "goal": "minimize"}), random.Random(6)
    for score in (3.0, -1.5, 2.0, 1e30):
        sweep.done(some_params(rng), score, curve=[4.0, score])
    return sweep.end()


KINDS = {
    "usual": usual,
    "two": two_metrics,
    "lost": failures_only,
    "single": one_trial,
    "loss": lower_is_better,
    "empty": lambda root: Written(root, "empty"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_sweep_has_a_page_whose_charts_plotly_takes(tmp_path: Path, kind: str) -> None:
    content = content_of(KINDS[kind](tmp_path))
    page = html(content)
    read = Read(page)
    assert [tag for tag, _ in read.tags].count("h1") == 1
    drawn = figures(page)
    for each in drawn:
        plotly.graph_objects.Figure(data=painted(each["data"]), layout=painted(each["layout"]))
    plots = [attrs for attrs in read.all("div") if attrs.get("class") == "plot"]
    assert [f"plot-{each['id']}" for each in drawn] == [attrs["id"] for attrs in plots]
    assert all(attrs["role"] == "img" and len(attrs["aria-label"] or "") > 20 for attrs in plots)
    ids = [attrs["id"] for _, attrs in read.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = [link["href"] for link in read.all("a")]
    assert all((target or "")[1:] in ids for target in targets), "links lead into the page, and there only"
    assert content.state.name in markdown(content)
    expected = {
        "usual": {"history", "curves", "cost", "importance", "parallel", "slice-0", "slice-3"},
        "two": {"history", "growth", "front-0-1", "parallel", "slice-0"},
        "lost": {"history"},
        "single": {"history"},
        "loss": {"history", "curves", "parallel"},
        "empty": set(),
    }[kind]
    assert expected <= {each["id"] for each in drawn}


def painted(value: Any, key: str = "") -> Any:
    """As the page's script paints it: plotly's own check knows no colours by name."""
    if isinstance(value, str) and "color" in key.lower() and value.startswith("var("):
        return "#000000"
    if isinstance(value, dict):
        return {name: painted(each, name) for name, each in value.items()}
    return [painted(each, key) for each in value] if isinstance(value, list) else value


def test_nothing_from_a_trial_is_markup(tmp_path: Path) -> None:
    search = {
        "metric": "acc<script>",
        "parameters": {"a.</script><b>": {"distribution": "categorical", "values": [HOSTILE, "plain"]}},
    }
    sweep = Written(tmp_path, "hostile", search)
    sweep.done({"a.</script><b>": HOSTILE}, 1.0)
    sweep.done({"a.</script><b>": "plain"}, 0.5)
    sweep.failed({"a.</script><b>": "plain"}, f"train exited with code 1: {HOSTILE}", f"{HOSTILE}\n" * 3)
    content = content_of(sweep.end(reason=HOSTILE))
    page = html(content)
    read = Read(page)
    assert len(read.all("script")) == 3, "ours, plotly's and the data"
    assert not read.all("img")
    assert not any(name.startswith("on") for _, attrs in read.tags for name in attrs)
    assert page.count("window.owned=1</script>") == 0
    assert "<script>window.owned=1</script>" in read.text, "it is shown as what it is"
    assert "\u202e" not in page
    assert "\x1b" not in page
    for each in figures(page):
        texts = re.findall(r'"(?:text|ticktext|name|hovertemplate)": ?"([^"]*)"', json.dumps(each))
        assert not any("<img" in text or "<script" in text for text in texts)
        categories = [x for trace in each["data"] for x in trace.get("x", ()) if isinstance(x, str)]
        assert not any("<" in x for x in categories)

    said = markdown(content)
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", re.sub(r"^(`{3,}).*?^\1$", "", said, flags=re.M | re.S))
    assert "@org" not in outside
    assert "<img" not in outside
    rows = [line for line in said.splitlines() if line.startswith("| ")]
    assert rows
    assert all(len(re.findall(r"(?<!\\)\|", row)) in (3, 5) for row in rows), "no cell ends early"


def test_the_policy_lets_nothing_out_and_no_other_script_in(tmp_path: Path) -> None:
    [policy] = [m["content"] for m in Read(html(content_of(usual(tmp_path)))).all("meta") if m.get("http-equiv")]
    rules = dict(rule.split(" ", 1) for rule in (policy or "").split("; "))
    assert rules.pop("default-src") == "'none'"
    assert re.fullmatch(r"'sha256-\S{44}' 'sha256-\S{44}'", rules.pop("script-src"))
    assert rules == {
        "style-src": "'unsafe-inline'",
        "img-src": "data: blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_how_long_a_sweep_was_run_is_said_when_that_is_known(tmp_path: Path) -> None:
    sweep = Written(tmp_path, "goes-on")
    sweep.done(some_params(random.Random(5)), 0.5)
    assert "Time it was run" not in dict(facts.summary(content_of(sweep)))
    assert dict(facts.summary(content_of(sweep.end())))["Time it was run"] != "0s"


def test_best_of_a_loss_is_the_lowest_in_full_precision(tmp_path: Path) -> None:
    sweep = Written(tmp_path, "loss", {"metric": "loss", "goal": "minimize"})
    exact = {"model.lr": 1.2345678901234568e-05, "model.width": 16, "model.act": "gelu", "dropout": 1 / 3}
    sweep.done(exact, -2.5)
    sweep.done({**exact, "model.lr": 1e-3}, 7.0)
    content = content_of(sweep.end())
    read = Read(html(content)).text
    assert "trial_0001 is the best: -2.5." in read
    assert "python train.py model.lr=1.2345678901234568e-05 model.width=16 model.act=gelu" in read
    found = {form.title: form.text for form in facts.forms(content, sweep.store.state.trials[1])}
    assert json.loads(found["JSON"]) == exact
    assert yaml.safe_load(found["YAML"])["model"]["lr"] == exact["model.lr"]
    row = next(row for row in facts.best_table(content).rows if row[0] == "model.width")  # type: ignore[union-attr]
    assert row[1:] == ("16", "16 to 512", "at the end of its range")
    history = charts.history(content)
    assert history is not None
    assert [trace["y"] for trace in history.data if trace["name"] == "best so far"] == [[-2.5, -2.5]]


def test_the_recipe_in_it_is_the_sweeps_own_and_keeps_secrets_out(tmp_path: Path) -> None:
    sweep = usual(tmp_path, 4, env={"API_TOKEN": "hunter2"}, seed=7, scheduler="asha")
    page = html(content_of(sweep))
    assert "hunter2" not in page
    again = SweepTool.from_json(yaml.safe_load(facts.as_recipe(content_of(sweep))))
    assert again.env == {"API_TOKEN": facts.HIDDEN}
    same = {**sweep.tool.to_json(), "sweep_name": None, "env": None}
    assert {**again.to_json(), "env": None} == same


def test_versions_are_those_the_sweep_was_started_with(tmp_path: Path) -> None:
    sweep = usual(tmp_path, 3)
    assert "The sweep has kept no versions" in html(content_of(sweep))
    kept = {**surroundings(tmp_path), "sweeptui": "0.0.7", "commit": "abc123", "changed": True}
    config = dict(sweep.store.state.config)
    with sweep.store.transaction() as tx:
        tx.set_sweep(config={**config, "launch": {**config["launch"], "surroundings": kept}})
    text = Read(html(content_of(sweep))).text
    assert "The sweep has kept no versions" not in text
    assert "0.0.7" in text
    assert "abc123, with changes that were not committed" in text


def test_importance_is_what_the_evaluators_say_and_orders_the_charts(tmp_path: Path) -> None:
    from sweeptui.core.analysis.evidence import evidence_of
    from sweeptui.core.analysis.importance import importance

    content = content_of(usual(tmp_path, 24))
    space = content.tool.space
    said = importance(space, evidence_of(content.state, space), "mdi")
    page = html(content)
    [chart] = [each for each in figures(page) if each["id"] == "importance"]
    assert [trace["name"] for trace in chart["data"]] == ["random forest (MDI)", "Protein's lengthscales"]
    forest = dict(zip(chart["data"][0]["y"], chart["data"][0]["x"], strict=True))
    assert forest == {content.names[row.parameter]: pytest.approx(row.mean, abs=1e-5) for row in said.rows}
    assert f"By random forest (MDI): {said.verdict}." in Read(page).text
    first = next(each for each in figures(page) if each["id"] == "slice-0")
    assert len(first["data"]) == 5, "what is believed with its band, the trials, the best"
    labels = [attrs["aria-label"] for attrs in Read(page).all("div") if attrs.get("id") == "plot-slice-0"]
    assert content.names[said.rows[0].parameter] in (labels[0] or "")


def test_what_replicates_have_shown_is_in_the_page_and_the_markdown(tmp_path: Path) -> None:
    sweep, rng = Written(tmp_path, "again"), random.Random(9)
    for score in (0.4, 0.9, 0.6):
        sweep.done(some_params(rng), score)
    of = {
        "default": (0.40, 0.42, 0.41, 0.43),
        "trial_0002": (0.70, 0.74, 0.72, 0.71),
        "trial_0003": (0.6, 0.2, 0.9, 0.1),
    }
    for index in range(4):
        for name, scores in of.items():
            provenance = {"method": "validation", "of": name, "repeat": f"{index + 1} of 4"}
            sweep.done(some_params(rng), scores[index], provenance=provenance)
    sweep.end()
    content = content_of(sweep)
    page, told = Read(html(content)).text, markdown(content)
    test = stats.ttest_rel(of["trial_0002"], of["default"])
    low, high = test.confidence_interval(1 - 0.05 / 2)
    for text in (page, told):
        assert "the gain is real" in text
        assert "no gain is shown: chance alone may be behind it" in text
        assert f"({low:.6g} to {high:.6g})" in text, "the interval is SciPy's, for two comparisons"
    assert "see Validation." in page
    assert "flattered by" in page
    assert len(content.order) == 3, "replicates are not ranked"


def test_each_form_of_the_best_is_in_the_page(tmp_path: Path) -> None:
    content = content_of(usual(tmp_path))
    assert content.best is not None
    forms = {form.title: form.text for form in facts.forms(content, content.best.trial)}
    assert set(forms) == {"Command", "YAML", "JSON", "Overrides", "Hydra patch", "Python", "Environment"}
    read: dict[str, Any] = {}
    exec(forms["Python"], read)
    assert read["params"] == dict(content.best.trial.params)
    page = Read(html(content)).text
    assert all(line in page for text in forms.values() for line in text.split("\n")[:2])


def test_failures_are_grouped_with_the_newest_log_and_what_sets_them_apart(tmp_path: Path) -> None:
    sweep = usual(tmp_path, 24)
    text = Read(html(content_of(sweep))).text
    assert "3 of 24 trials failed, with 1 different errors" in text
    assert "Traceback (most recent call last):\n  File 'train.py', line 3\nValueError: nan at 21" in text
    assert "step 1\nTraceback" not in text


def test_a_curve_goes_on_after_a_resume(tmp_path: Path) -> None:
    rows = [(1, 1, 0.0, 10.0, 1.0), (2, 1, 0.0, 20.0, 2.0), (3, 2, 0.0, 20.0, 2.5), (4, 2, 0.0, 30.0, 3.0)]
    from sweeptui.core.stores.rows import ScoreRow

    assert curve([ScoreRow(*row) for row in rows]) == [(10.0, 1.0), (20.0, 2.5), (30.0, 3.0)]


def test_thinning_keeps_ends_and_extremes_within_its_limit() -> None:
    rng = random.Random(1)
    values = [rng.random() for _ in range(10_000)]
    values[4321], values[1234] = 9.0, -9.0
    kept = by_stretches(values, 500)
    assert len(kept) <= 500
    assert {0, 9_999, 4321, 1234} <= set(kept)
    assert kept == sorted(kept)
    ranks = by_rank(10_000, 300)
    assert (len(ranks), ranks[0], ranks[-1]) == (300, 0, 9_999)
    assert by_stretches([1.0, 2.0], 2) == by_rank(2, 300) == [0, 1]


def test_a_view_leaves_out_what_would_flatten_all_else() -> None:
    scores = [0.1 * k for k in range(30)]
    assert figure.view(scores) is None
    low, high = figure.view([*scores, 1e12]) or (0, 0)
    assert low <= 0.0
    assert 2.9 <= high < 10
    assert spaces.scale("p", [1e-3, 0.0], logarithmic=True).logarithmic is False  # type: ignore[union-attr]


def test_a_large_sweep_is_thinned_and_says_so(tmp_path: Path) -> None:
    sweep, rng = Written(tmp_path, "large"), random.Random(2)
    with sweep.store.transaction() as tx:
        for _ in range(3000):
            number = tx.create_trial(some_params(rng), 1).number
            tx.set_trial(number, status=TrialStatus.TRAINING)
            tx.set_trial(number, status=TrialStatus.COMPLETED, score=rng.random(), cost=rng.random())
    page = html(content_of(sweep.end()))
    best = sweep.store.state.best("maximize")
    assert best is not None
    for each in figures(page):
        assert sum(len(trace["x"]) for trace in each["data"]) < 2_600
        assert any(best.number == x or best.id in trace.get("text", ()) for trace in each["data"] for x in trace["x"])
    assert "A chart shows at most 2,000 trials" in Read(page).text
    assert "the 100 best of 3000" in Read(page).text


# -- the command


def run(*words: str) -> int:
    return main(["report", *words])


def test_the_file_is_written_whole_renewed_and_no_other_is_touched(tmp_path: Path, capsys: Any) -> None:
    sweep = usual(tmp_path, 4)
    root = ("--root", str(tmp_path))
    assert run(sweep.name, *root) == 0
    page = sweep.folder / "report.html"
    assert capsys.readouterr().out.startswith(str(page))
    first = page.stat()
    assert first.st_mode & 0o777 == 0o666 & ~_umask()
    assert run(sweep.name, *root) == 0, "its own report is renewed"
    assert page.stat().st_ino != first.st_ino, "by another file in its place"

    foreign = tmp_path / "thesis.html"
    foreign.write_text("<h1>years of work</h1>")
    capsys.readouterr()
    assert run(sweep.name, *root, "-o", str(foreign)) == 2
    assert capsys.readouterr().err == (
        f"error: --output {foreign} is there and is no report of sweep {sweep.name}; choose another, or pass --force\n"
    )
    assert foreign.read_text() == "<h1>years of work</h1>"
    other = Written(tmp_path, "other").end()
    assert run(other.name, *root, "-o", str(page)) == 2, "another sweep's report is foreign, too"
    assert run(sweep.name, *root, "-o", str(foreign), "--force") == 0
    assert 'content="net-bold-lynx"' in foreign.read_text()
    assert run(sweep.name, *root, "-o", str(tmp_path / "absent" / "r.html")) == 2
    assert "cannot be written: No such file or directory" in capsys.readouterr().err
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"thesis.html", "train_dir"}, "nothing half-written stays"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_markdown_is_printed_or_written(tmp_path: Path, capsys: Any) -> None:
    sweep = usual(tmp_path, 8)
    root = ("--root", str(tmp_path))
    assert run(sweep.name, *root, "--md") == 0
    said = capsys.readouterr().out
    best = sweep.store.state.best("maximize")
    assert best is not None
    assert f"**`accuracy` {best.score!r}** by {best.id}, the best of 7." in said
    assert "| 1 | `ValueError: nan at 5` |" in said
    target = tmp_path / "s.md"
    assert run(sweep.name, *root, "--md", "-o", str(target)) == 0
    assert target.read_text() == said
    assert run(sweep.name, *root, "--md", "-o", str(target)) == 0, "its own is renewed"
    capsys.readouterr()
    assert run(sweep.name, *root, "--md", "--open") == 2
    assert "--open shows the page" in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = usual(tmp_path, 3)
    monkeypatch.setitem(__import__("sys").modules, "plotly.offline", None)
    assert run(sweep.name, "--root", str(tmp_path)) == 2
    assert capsys.readouterr().err == "error: report needs plotly and jinja2: pip install 'sweeptui[analysis]'\n"
    assert not (sweep.folder / "report.html").exists()
    assert run(sweep.name, "--root", str(tmp_path), "--md") == 0, "Markdown needs none of it"


def test_a_launch_keeps_what_the_sweep_was_started_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sweeptui.launch import prepare

    monkeypatch.chdir(tmp_path)
    tool = SweepTool.model_validate(
        {
            "train_command": ["true"],
            "protein_config": {
                "method": "random",
                "parameters": {"x": {"distribution": "uniform", "min": 0, "max": 1}},
            },
            "sweep_name": "s",
        }
    )
    session = prepare("r.yaml", tool, tmp_path)
    with contextlib.closing(SqliteStore.open(session.database)) as store:
        kept = store.state.config["launch"]["surroundings"]
    assert kept["sweeptui"]
    assert kept["packages"]["numpy"]
    assert "commit" not in kept, "the folder is in no repository"
    assert prepare("r.yaml", tool, tmp_path).launch["surroundings"] == kept
