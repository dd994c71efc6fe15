"""Whether the stages of a trial can be run as a recipe gives them: what they hand on, and what their commands name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeptui.core.errors import PlacedError
from sweeptui.core.flow import Flow, Step
from sweeptui.core.jobspec import overrides_of, template_of
from sweeptui.core.template import check
from sweeptui.core.trial import Stage

if TYPE_CHECKING:
    from sweeptui.core.config import SweepTool


def check_flow(tool: SweepTool) -> None:
    """Raises `PlacedError` for what none gives, for a wrong type, and for a placeholder that stands for nothing.

    Commands that the recipe leaves out are not looked at.
    """
    flow = Flow.of(tool)
    check_contracts(tool, flow)
    for step in flow.steps:
        if template := template_of(tool, step):
            try:
                check(
                    template,
                    step.command_field,
                    tool.space.names,
                    overrides_of(tool, step),
                    inputs=flow.fields_before(step.stage),
                    of_one=step.simulation is not None,
                )
            except PlacedError as error:
                raise PlacedError((*_command_of(tool, step), *error.place), str(error)) from None


def check_contracts(tool: SweepTool, flow: Flow | None = None) -> None:
    """The same of what the stages hand on alone."""
    if tool.stages:
        from sweeptui.core.experiments.trials import mistake_between  # noqa: PLC0415 - few recipes have stages

        if found := mistake_between(flow or Flow.of(tool)):
            raise PlacedError(*found[:2])


def _command_of(tool: SweepTool, step: Step) -> tuple[int | str, ...]:
    """Where the command of a stage is set."""
    if step.simulation is not None and step.simulation.command:
        return ("evaluation_simulations", tool.evaluation_simulations.index(step.simulation), "command")
    if step.stage is Stage.TRAIN or step.stage.evaluates:
        return (step.command_field,)
    return ("stages", tool.stages.index(step.given), "command")
