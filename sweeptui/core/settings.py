"""How Protein goes about its search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import StrictBool, ValidationError, field_validator, model_validator

from sweeptui.core.errors import UserError, explain
from sweeptui.core.fields import Count, Model, NotNegative, Positive, mistake, mistakes


class ProteinSettings(Model):
    """How Protein searches."""

    other_names: ClassVar[Mapping[str, str]] = {"acquisition_fn": "acquisition"}

    num_random_samples: Count = 5
    """Trials spread over the space before the model takes over."""
    max_suggestion_cost: Positive | None = None
    """In the sweep's cost unit; configurations predicted to cost more are tried last."""
    resample_frequency: Count = 0
    """Every so many trials a good configuration runs again, to learn its noise; 0 for never."""
    global_search_scale: Positive = 1.0
    """Factor on the `scale` of every parameter."""
    random_suggestions: Count = 1024
    """Candidates drawn from the whole space."""
    suggestions_per_pareto: Count = 256
    """Candidates drawn around each good configuration."""
    expansion_rate: NotNegative = 0.25
    """How far beyond the dearest good configuration "naive" aims, as a share of its cost."""
    seed_with_search_center: StrictBool = True
    """The first trial is every parameter's mean."""
    acquisition: Literal["naive", "ei", "ucb"] = "ei"
    ucb_beta: NotNegative = 2.0
    """Standard deviations that "ucb" adds to the mean."""
    randomize_acquisition: StrictBool = False
    """Each trial draws anew how much it explores."""

    @field_validator("resample_frequency")
    @classmethod
    def _not_only_again(cls, frequency: int) -> int:
        if frequency == 1:
            raise mistake("is 1, so nothing new would ever be tried; give 0 or at least 2")
        return frequency

    @model_validator(mode="after")
    def _there_are_candidates(self) -> Self:
        if self.random_suggestions == 0 and self.suggestions_per_pareto == 0:
            text = (
                "and suggestions_per_pareto are both 0, so there is nothing to choose from; make one of them positive"
            )
            raise mistakes(type(self).__name__, [(("random_suggestions",), text, 0)])
        return self

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> Self:
        """Raises `UserError` naming the field, its value and what would do."""
        try:
            return cls.model_validate(dict(settings))
        except ValidationError as error:
            raise UserError(f"settings.{explain(error)}") from None
