"""What a user writes about the search: the parameters, the objective, and the method."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    SkipValidation,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from sweeptui.core.conditions import WHEN
from sweeptui.core.distributions import DISTRIBUTIONS, Distribution, distribution_from
from sweeptui.core.errors import FieldError, UserError
from sweeptui.core.fields import Model, Text, mistake, mistakes, moved, name_in
from sweeptui.core.methods import GROUP, METHODS, split
from sweeptui.core.objectives import MAX_OBJECTIVES, Objective, Objectives
from sweeptui.core.settings import ProteinSettings
from sweeptui.core.space import Space, leaves

OWN_CLASS = re.compile(r"([A-Za-z_][\w.]*|.+\.py):[A-Za-z_][\w.]*")
"""An optimizer that is no plug-in, by the module or the file that has it."""
PLAIN = ("values", "value", "probabilities")
"""Arguments of a distribution that it keeps in the plain form in which JSON gives them back."""


def _list_distributions(schema: dict[str, Any]) -> None:
    schema.pop("default")
    schema["enum"] = sorted(DISTRIBUTIONS)


class ParameterConfig(Model):
    """One parameter of the search.

    Where no distribution is named, `values` make it categorical, `value` constant, two whole bounds int_uniform and
    other bounds uniform.
    """

    distribution: Annotated[str, SkipValidation, Field(json_schema_extra=_list_distributions)] = ""
    min: Annotated[int | float | None, SkipValidation] = None
    max: Annotated[int | float | None, SkipValidation] = None
    mean: Annotated[int | float | None, SkipValidation] = None
    """Where the search starts; the middle of the axis where it is not given."""
    scale: Annotated[float | Literal["auto", "time"], SkipValidation] = "auto"
    """How far a search around a good value reaches, on an axis from -1 to 1; "auto" is 0.5, "time" is half a doubling
    up and down (log_normal only)."""
    values: Annotated[list[Any] | None, SkipValidation] = None
    value: Annotated[Any, SkipValidation] = None
    mu: Annotated[float | None, SkipValidation] = None
    """Mean of normal, or of the logarithm of unbounded_log_normal."""
    sigma: Annotated[float | None, SkipValidation] = None
    """Standard deviation of the same."""
    a: Annotated[float | None, SkipValidation] = None
    """The exponents of beta, plus 1."""
    b: Annotated[float | None, SkipValidation] = None
    q: Annotated[int | float | None, SkipValidation] = None
    """Distance of two values of a q_ distribution; whole, and so are the values."""
    probabilities: Annotated[list[float] | None, SkipValidation] = None
    """Of `values`, for categorical_w_probabilities."""

    when: Text | None = None
    """The condition under which there is such a parameter, such as "optimizer == 'sgd'"; always, where not given."""

    @model_validator(mode="after")
    def _is_a_distribution(self) -> Self:
        try:
            distribution = self.to_distribution()
        except FieldError as error:
            given = getattr(self, error.path[0], None)
            raise mistakes(type(self).__name__, [(error.path, error.problem, given)]) from None
        # Past the validation of assignments, which would come back here.
        self.__dict__["distribution"] = distribution.name
        self.__dict__.update({name: getattr(distribution, name) for name in distribution.arguments if name in PLAIN})
        return self

    def to_distribution(self) -> Distribution:
        return distribution_from({name: value for name, value in self._given().items() if name != WHEN})

    @classmethod
    def from_distribution(cls, distribution: Distribution) -> Self:
        return cls.model_validate(distribution.to_json())

    @model_serializer
    def _given(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}
        return {"distribution": self.distribution} | {
            name: value for name, value in fields.items() if value is not None or name == "value"
        }


class MetricConfig(Model):
    """One of several objectives."""

    name: Text
    """As it is reported."""
    goal: Literal["maximize", "minimize"] = "maximize"


class ProteinConfig(Model):
    """What is searched for, where, and how."""

    metric: Text = "score"
    goal: Literal["maximize", "minimize"] = "maximize"
    metrics: list[MetricConfig] | None = None
    """Two to four objectives at once, instead of metric and goal: the search is for their Pareto front."""
    method: str = "bayes"
    """"bayes" (Protein), "random", "sobol", "grid", "genetic", "ax", "optuna", "nevergrad" (of the last two any, as
    "optuna:GPSampler"), a plug-in of the entry-point group sweeptui.optimizers, or a class as "module:Class" or
    "file.py:Class"."""
    parameters: dict[str, ParameterConfig]
    """By dot path, flat or nested."""
    constraints: list[str] = Field(default_factory=list)
    """Conditions that every suggestion satisfies, such as "batch_size % minibatch_size == 0"."""
    settings: ProteinSettings = Field(default_factory=ProteinSettings)

    @model_validator(mode="before")
    @classmethod
    def _one_or_several(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or data.get("metrics") is None:
            return data
        for field in ("metric", "goal"):
            if field in data:
                text = f"and {field} are both set; give each of metrics its name and goal, and remove {field}"
                raise mistakes(cls.__name__, [(("metrics",), text, data["metrics"])])
        return data

    @field_validator("metrics")
    @classmethod
    def _metrics_differ(cls, metrics: list[MetricConfig] | None) -> list[MetricConfig] | None:
        if metrics is None:
            return None
        names = [each.name for each in metrics]
        if not names:
            raise mistake("is empty; give it two metrics or more, or use metric and goal")
        if len(names) > MAX_OBJECTIVES:
            raise mistake(
                f"has {len(names)} metrics; the front of more than {MAX_OBJECTIVES} says nothing, so give fewer"
            )
        for name in names:
            if names.count(name) > 1:
                raise mistake(f"has {name!r} twice; name each metric once")
        return metrics

    @field_validator("method")
    @classmethod
    def _method_is_known(cls, method: str) -> str:
        name, variant = split(method)
        if not variant:
            return name_in(method, tuple(METHODS), GROUP)
        if name not in METHODS and OWN_CLASS.fullmatch(method):
            return method
        if not getattr(METHODS.get(name), "variants", False):
            raise mistake(f"is {method!r}, and only optuna and nevergrad have variants, as optuna:GPSampler")
        return method

    @field_validator("parameters", mode="before", json_schema_input_type=dict[str, ParameterConfig | dict[str, Any]])
    @classmethod
    def _flatten(cls, parameters: Any) -> Any:
        if not isinstance(parameters, Mapping):
            return parameters
        if not parameters:
            raise mistake("is empty; give at least one parameter to search")
        try:
            found = leaves(parameters)
        except FieldError as error:
            raise mistakes(cls.__name__, [(error.path, error.problem, parameters)]) from None
        flat: dict[str, ParameterConfig] = {}
        wrong = []
        for path, leaf in found:
            try:
                flat[".".join(path)] = _parameter(leaf)
            except ValidationError as error:
                # The place is given in the user's own keys, so that it can be found again in a file.
                wrong += moved(error, *path)
        if wrong:
            raise mistakes(cls.__name__, wrong)
        return flat

    @model_validator(mode="after")
    def _conditions_make_sense(self) -> Self:
        try:
            Space.from_parameters(self.parameters)
        except FieldError as error:
            raise mistakes(type(self).__name__, [(("parameters", *error.path), error.problem, None)]) from None
        return self

    @model_validator(mode="after")
    def _constraints_can_hold(self) -> Self:
        try:
            if self.constraints:
                self.space.sample(random.Random(0))  # noqa: S311 - not cryptography
        except (UserError, RuntimeError) as error:
            text = str(error)
            raise mistakes(
                type(self).__name__, [(("constraints",), f"cannot be used: {text}", self.constraints)]
            ) from None
        return self

    @model_validator(mode="after")
    def _grid_is_finite(self) -> Self:
        if self.method != "grid":
            return self
        endless = [name for name, d in self.space.distributions.items() if d.cardinality is None]
        if endless:
            text = f"is 'grid', and {endless[0]} has no end of values; give it values, or use int_uniform"
            raise mistakes(type(self).__name__, [(("method",), text, self.method)])
        return self

    @model_validator(mode="after")
    def _first_metric_is_the_metric(self) -> Self:
        if self.metrics is None:
            return self
        # Past the validation of assignments, which would come back here.
        self.__dict__["metric"], self.__dict__["goal"] = self.metrics[0].name, self.metrics[0].goal
        if len(self.metrics) == 1:
            self.__dict__["metrics"] = None
        elif self.settings.acquisition != "ei":
            text = (
                f"is {self.settings.acquisition!r}, and several metrics are searched by expected hypervolume; use 'ei'"
            )
            raise mistakes(type(self).__name__, [(("settings", "acquisition"), text, self.settings.acquisition)])
        return self

    @model_serializer(mode="wrap")
    def _as_given(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = serialize(self)
        for name in ("metrics",) if self.metrics is None else ("metric", "goal"):
            del fields[name]
        return fields

    @property
    def objectives(self) -> Objectives:
        if self.metrics is None:
            return (Objective(self.metric, self.goal),)
        return tuple(Objective(each.name, each.goal) for each in self.metrics)

    @property
    def space(self) -> Space:
        return Space.from_parameters(self.parameters, self.constraints)


def _parameter(leaf: Any) -> ParameterConfig:
    if isinstance(leaf, Distribution):
        return ParameterConfig.from_distribution(leaf)
    return ParameterConfig.model_validate(leaf)
