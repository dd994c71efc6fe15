"""What a user writes: a `SweepTool`, and the models inside it.

Every mistake is a `pydantic.ValidationError` that `errors.explain` turns into one sentence with the field's full path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import (
    Field,
    StrictBool,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from sweeptui.core.errors import UserError, explain
from sweeptui.core.fields import (
    Argv,
    AtLeastOne,
    Count,
    Json,
    Model,
    NotNegative,
    PathText,
    Positive,
    Real,
    Text,
    mistake,
    mistakes,
    moved,
    name_in,
)
from sweeptui.core.flow import mistake_in
from sweeptui.core.notifying import NotifyConfig
from sweeptui.core.remote import HYBRID, PLACES, SkypilotConfig
from sweeptui.core.search import ParameterConfig, ProteinConfig
from sweeptui.core.settings import ProteinSettings
from sweeptui.core.space import Space
from sweeptui.core.stages import SimulationConfig, StageConfig
from sweeptui.core.stagewords import runs_each
from sweeptui.core.tracking import WandbConfig
from sweeptui.core.trial import FailureKind, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ParameterConfig", "ProteinConfig", "ProteinSettings", "SimulationConfig", "SweepConfig", "SweepTool"]

SCHEDULERS = ("optimizing", "sequential", "batch", "asha", "hyperband", "pbt", "cost_quantile", "early_terminate")
DEFAULT_RETRIES = {FailureKind.LOST: 3, FailureKind.DISPATCH_ERROR: 3, FailureKind.PREEMPTED: 100}
"""The machine's failures are tried again, the configuration's are not."""

SWEEP_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class SweepConfig(Model):
    """A sweep's search and budget, for `SweepTool(sweep=...)`."""

    other_names: ClassVar[Mapping[str, str]] = {"max_trials": "num_trials"}

    num_trials: AtLeastOne = 10
    protein: ProteinConfig
    evaluation_simulations: list[SimulationConfig] = Field(default_factory=list)


def _never_used() -> ProteinConfig:
    raise AssertionError("a SweepTool without protein_config was refused before")


class SweepTool(Model):
    """A sweep: what is searched, what is run for it, and within which limits."""

    other_names: ClassVar[Mapping[str, str]] = {"num_trials": "max_trials"}

    sweep_name: str | None = None
    """Made up where it is not given."""
    protein_config: ProteinConfig = Field(default_factory=_never_used)
    sweep: SweepConfig | None = Field(default=None, exclude=True)
    """Another way to give protein_config, max_trials and evaluation_simulations; None once they are taken from it."""

    max_trials: AtLeastOne = 10
    max_parallel_jobs: AtLeastOne = 1
    max_parallel_evals: AtLeastOne | None = None
    """As max_parallel_jobs where it is not given."""
    monitoring_interval: Positive = 5.0
    """Seconds between two looks at remote jobs; local ones tell by themselves."""
    scheduler: str = "optimizing"
    """"optimizing", "sequential", "batch", "asha", "hyperband", "pbt", "cost_quantile", "early_terminate", a plug-in of
    the entry-point group sweeptui.schedulers, or module:Class. A mapping has its options beside the name."""
    scheduler_options: dict[str, Json] = Field(default_factory=dict)
    """Fields of the scheduler, such as reduction_factor."""
    suggest_ahead: Count | None = None
    """Suggestions prepared before a slot is free; 0 waits for every result that is due. Chosen by the scheduler and
    max_parallel_jobs where it is not given."""

    warm_start: str | None = None
    """A sweep of the same root whose trials inform this one from its first suggestion on; its copies are kept, so it
    may be deleted later."""

    recipe_module: str | None = None
    train_entrypoint: Text = "train"
    eval_entrypoint: str | None = "evaluate"
    """Of recipe_module, as train_entrypoint is; None for a sweep without evaluations."""
    train_command: Argv | None = None
    """Arguments with placeholders; text is split as a shell would split it."""
    eval_command: Argv | None = None
    train_tool_factory: SkipJsonSchema[Callable[..., Any] | None] = Field(default=None, exclude=True)
    """Called with the run's name, it makes the tool that trains."""
    evaluation_simulations: list[SimulationConfig] = Field(default_factory=list)
    """What a trial is evaluated on. Each has a job of its own where it has a command, or where eval_command names
    {simulation} or one of its parts; else one evaluation is given all of them, as {simulations_json}."""
    stages: list[StageConfig] = Field(default_factory=list)
    """What is run for a trial, in order, where that is more than its training and its evaluation: "train", "eval", and
    stages with commands of their own before, between and after them."""
    train_overrides: dict[str, Json] = Field(default_factory=dict)
    eval_overrides: dict[str, Json] = Field(default_factory=dict)
    env: dict[str, str] = Field(default_factory=dict)
    """Added to the environment of every job."""
    working_dir: PathText | None = None
    """Where jobs run; where the sweep was started, if not given."""
    dispatcher_type: str = "local"
    """Where jobs run: "local"; "skypilot"; "hybrid_remote_train" trains on SkyPilot and evaluates here; or a plug-in of
    the entry-point group sweeptui.dispatchers."""
    routes: dict[Text, str] = Field(default_factory=dict)
    """Exceptions from dispatcher_type: a stage ("train", "eval"), or a parameter's value ("model=large") -> "local",
    "skypilot", or a plug-in."""
    skypilot: SkypilotConfig = Field(default_factory=SkypilotConfig)
    capture_output: StrictBool = True
    """Without a screen, the lines of the jobs' logs are printed, too."""

    metric_source: Literal["report", "log", "wandb"] = "report"
    """Where the score comes from: what the script reports, its log, or its W&B run."""
    metric_regex: str | None = None
    """For metric_source "log", with a group named score, and perhaps step, total and cost. With several metrics each
    has a group of its name instead."""

    store: Literal["sqlite", "wandb"] = "sqlite"
    """"wandb" mirrors the sweep to W&B besides, so that it can go on from there on any machine."""
    wandb: WandbConfig | None = None
    """Where the sweep's and the trials' W&B runs belong; without it, another metric_source and another store, the
    trials are not told."""

    train_timeout_s: Positive | None = None
    eval_timeout_s: Positive | None = None
    queue_timeout_s: Positive | None = None
    kill_grace_s: NotNegative = 10.0
    retries: dict[FailureKind, Count] = Field(default_factory=lambda: dict(DEFAULT_RETRIES))
    """New attempts for each kind of failure; what is given here changes the defaults of lost, dispatch_error and
    preempted, the other kinds have none."""
    breaker_failures: Count = 5
    """So many failures of one kind in a row stop the launching; 0 for never."""

    max_wall_time_s: Positive | None = None
    max_cost: Positive | None = None
    """In cost_unit."""
    target_score: Real | None = None
    cost_unit: Text = "seconds"
    gpus_per_trial: Count = 0
    cpus_per_trial: AtLeastOne = 1
    min_free_disk_mb: NotNegative = 200.0
    keep_checkpoints: AtLeastOne | None = None
    """How many checkpoints of a trial in its own folder are kept once it has ended, the newest; all if not given."""
    checkpoint_disk_mb: Positive | None = None
    """What the checkpoints in the sweep's folder may take: beyond it, those of the worst trials that have ended go."""
    notify: NotifyConfig | None = None
    """How to tell of a new best, the end, many failures and a full disk; as the user's file has it, if not given."""
    seed: Count = 0

    @model_validator(mode="before")
    @classmethod
    def _fold_sweep(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        sweep = data.get("sweep")
        if sweep is None:
            if "protein_config" in data:
                return data
            raise mistakes(cls.__name__, [(("protein_config",), "is missing; say what to search, or give sweep", None)])
        twice = sorted({"protein_config", "evaluation_simulations", "max_trials", "num_trials"} & data.keys())
        if twice:
            raise mistakes(
                cls.__name__, [(("sweep",), f"and {twice[0]} are both set; set {twice[0]} inside of sweep only", sweep)]
            )
        try:
            folded = SweepConfig.model_validate(sweep)
        except ValidationError as error:
            raise mistakes(cls.__name__, moved(error, "sweep")) from None
        return {
            **data,
            "sweep": None,
            "protein_config": folded.protein,
            "max_trials": folded.num_trials,
            "evaluation_simulations": folded.evaluation_simulations,
        }

    @field_validator("sweep_name", "warm_start")
    @classmethod
    def _name_is_a_file_name(cls, name: str | None) -> str | None:
        if name is not None and not SWEEP_NAME.fullmatch(name):
            raise mistake(
                f"is {name!r}; use up to 100 letters, digits, dots, dashes and underscores, starting with a letter or "
                f"digit and without '..'"
            )
        return name

    @model_validator(mode="before")
    @classmethod
    def _scheduler_with_options(cls, data: Any) -> Any:
        """A scheduler may be given as its name, as a mapping of the name and options, or as a `Scheduler`."""
        given = data.get("scheduler") if isinstance(data, Mapping) else None
        if given is None or isinstance(given, str):
            return data
        if isinstance(given, Model):
            kind = type(given)
            name = getattr(given, "name", "") or f"{kind.__module__}:{kind.__qualname__}"
            options: dict[str, Any] = given.model_dump(mode="json", exclude_unset=True)
        elif isinstance(given, Mapping) and isinstance(given.get("name"), str):
            name, options = given["name"], {key: value for key, value in given.items() if key != "name"}
        else:
            text = f"is {given!r}; give a name, or a mapping with a name and options"
            raise mistakes(cls.__name__, [(("scheduler",), text, given)])
        return {**data, "scheduler": name, "scheduler_options": {**options, **data.get("scheduler_options", {})}}

    @field_validator("scheduler")
    @classmethod
    def _scheduler_is_known(cls, scheduler: str) -> str:
        return scheduler if ":" in scheduler else name_in(scheduler, SCHEDULERS, "sweeptui.schedulers")

    @field_validator("dispatcher_type")
    @classmethod
    def _dispatcher_is_known(cls, dispatcher: str) -> str:
        return name_in(dispatcher, (*PLACES, HYBRID), "sweeptui.dispatchers")

    @field_validator("routes")
    @classmethod
    def _routes_lead_somewhere(cls, routes: dict[str, str]) -> dict[str, str]:
        for place in routes.values():
            name_in(place, PLACES, "sweeptui.dispatchers")
        return routes

    @field_validator("metric_regex")
    @classmethod
    def _regex_is_one(cls, regex: str | None) -> str | None:
        if regex is None:
            return None
        try:
            re.compile(regex)
        except re.error as error:
            raise mistake(f"is {regex!r}, which is no regular expression: {error}") from None
        return regex

    @field_validator("retries")
    @classmethod
    def _retries_change_the_defaults(cls, retries: dict[FailureKind, int]) -> dict[FailureKind, int]:
        return {**DEFAULT_RETRIES, **retries}

    @field_validator("env")
    @classmethod
    def _env_has_names(cls, env: dict[str, str]) -> dict[str, str]:
        for name, value in env.items():
            if not name or "=" in name or "\0" in name + value:
                raise mistake(f"has {name!r}, which no environment can hold; a name has characters other than =")
        return env

    @model_validator(mode="after")
    def _metric_comes_from_one_source(self) -> Self:
        text = None
        if self.metric_source == "log" and self.metric_regex is None:
            text = "is missing, and metric_source is 'log'; give one with a group named score"
        elif self.metric_source != "log" and self.metric_regex is not None:
            text = f"is set, but metric_source is {self.metric_source!r}; set metric_source to 'log'"
        elif self.metric_regex is not None:
            groups = re.compile(self.metric_regex).groupindex
            several = self.protein_config.metrics
            for name in ["score"] if several is None else [each.name for each in several]:
                if name not in groups and not name.isidentifier():
                    text = f"cannot have a group named {name!r}; use letters, digits and _ in the metric's name"
                elif name not in groups:
                    text = f"is {self.metric_regex!r}; it needs a group named {name}, such as {name}=(?P<{name}>\\S+)"
        if text:
            raise mistakes(type(self).__name__, [(("metric_regex",), text, self.metric_regex)])
        return self

    @model_validator(mode="after")
    def _wandb_is_asked_for_one_metric(self) -> Self:
        if self.metric_source == "wandb" and self.protein_config.metrics is not None:
            text = "is 'wandb', and there are several metrics, of which only one could be found; use 'report' or 'log'"
            raise mistakes(type(self).__name__, [(("metric_source",), text, self.metric_source)])
        return self

    @model_validator(mode="after")
    def _target_is_of_one_metric(self) -> Self:
        if self.target_score is not None and self.protein_config.metrics is not None:
            text = "is set, and there are several metrics, none of which is the score; remove target_score"
            raise mistakes(type(self).__name__, [(("target_score",), text, self.target_score)])
        return self

    @model_validator(mode="after")
    def _stages_make_a_flow(self) -> Self:
        if found := mistake_in(self):
            raise mistakes(type(self).__name__, [found])
        return self

    @property
    def evaluates_each(self) -> bool:
        """Each of evaluation_simulations is evaluated in a job of its own."""
        return runs_each([each.command for each in self.evaluation_simulations], self.eval_command)

    @property
    def has_eval(self) -> bool:
        """Each trial is evaluated in a job of its own, or in several, after its training."""
        by_recipe = self.train_command is None and self.recipe_module is not None and self.eval_entrypoint is not None
        return self.eval_command is not None or by_recipe or self.evaluates_each

    @property
    def wandb_runs(self) -> WandbConfig | None:
        """What the trials' own W&B runs are told; None where they are told nothing."""
        return self.wandb or (WandbConfig() if "wandb" in (self.metric_source, self.store) else None)

    @property
    def built_in_stages(self) -> tuple[Stage, ...]:
        return (Stage.TRAIN, Stage.EVAL) if self.has_eval else (Stage.TRAIN,)

    @property
    def space(self) -> Space:
        return self.protein_config.space

    def search_signature(self) -> dict[str, Any]:
        """What must stay the same for old trials to mean the same."""
        return {
            "space": Space.from_parameters(self.protein_config.parameters).to_json(),
            "metrics": [[each.name, each.goal] for each in self.protein_config.objectives],
        }

    def to_json(self) -> dict[str, Any]:
        """All but `train_tool_factory`, as `from_json` takes it."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Raises `UserError`."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise UserError(explain(error)) from None

    def with_overrides(self, settings: Sequence[str]) -> Self:
        """A copy with `path=value` settings applied, `protein.settings.num_random_samples=20` and the like.

        Values are JSON where they are JSON, else text. Raises `UserError` for an unknown path, naming the nearest, and
        for a wrong value.
        """
        from sweeptui.core.overrides import overridden  # noqa: PLC0415 - it needs this module

        changed = self.from_json(overridden(self, settings))
        changed.train_tool_factory = self.train_tool_factory
        return changed
