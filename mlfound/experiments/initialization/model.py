"""The part `model`: the layers of a config of `train` at their first weights, forward and backward."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from mlfound import hardware
from mlfound.config.explaining import listed
from mlfound.config.loading import Loaded, load
from mlfound.config.models import InitStatsConfig
from mlfound.engines.storage import parameter_count
from mlfound.errors import UserError
from mlfound.experiments.initialization import claims
from mlfound.experiments.initialization.claims import OnProgress
from mlfound.experiments.initialization.course import FITTED_BOUND, course_claims, farthest
from mlfound.experiments.initialization.model_tables import (
    draw_table,
    layer_table,
    named,
    picture,
    shown_table,
)
from mlfound.experiments.initialization.signals import Scheme, measure
from mlfound.foundations.costs import costs
from mlfound.foundations.model_initialization import FITTED_ROWS
from mlfound.results import Check, Result
from mlfound.training.inputs import Inputs
from mlfound.training.plan import Plan, plan
from mlfound.training.refusals import refuse_fixup, refuse_single_rows

BESIDE = ("torch-default", "lsuv")  # what the config's own scheme is compared with
DRAWS = 20
ROWS = 256  # real rows are alike: more of them hardly add information


def run(config: InitStatsConfig, inputs: Inputs, schemes: Sequence[str], on_progress: OnProgress) -> Result:
    """Each scheme as `train` begins with it: biases are 0, and lsuv is fitted to training images."""
    step, images = planned(config, inputs), inputs.splits.valid.first(config.rows or ROWS)
    drawn = list[Scheme]()
    for n, init in enumerate(schemes):

        def progress(share: float, init: str = init, before: int = n) -> None:
            on_progress(init, (before + share) / len(schemes))

        by = replace(step, init=init)
        drawn.append(measure(by, inputs.splits.train.x, images, config.draws or DRAWS, progress))
    forward = {f"{each.init} signal factor": each.factor for each in drawn}
    backward = {f"{each.init} gradient factor": each.backward_factor for each in drawn}
    return Result(
        claims.finite_metrics({**forward, **backward}),
        checks=list(checks(drawn)),
        findings=list(findings(config, step, drawn)),
        tables=[
            shown_table(step, drawn),
            layer_table(drawn, f"{len(images.y):,} validation images of {inputs.facts['name']}"),
            draw_table(drawn),
            claims.claim_table(course_claims(step, inputs, drawn)),
        ],
        pictures=[picture(step, drawn)],
    )


def settings(config: InitStatsConfig) -> Loaded:
    """The config of `train` that is meant: a file, or that of a run in its folder."""
    path = config.model or ""
    return load("train", os.path.join(path, "config.yaml") if os.path.isdir(path) else path)


def usual_schemes(config: InitStatsConfig) -> Sequence[str]:
    """The config's own, and beside it the library's and the one that fits the weights to the data."""
    return [settings(config).config.model.init, *BESIDE]


def planned(config: InitStatsConfig, inputs: Inputs) -> Plan:
    """What `train` would make of it, on the CPU. A UserError names the line in the file."""
    loaded, rows = settings(config), min(config.rows or ROWS, len(inputs.splits.train.y))
    here = {"seed": config.seed, "replicates": 1, "device": "cpu", "threads": config.threads}
    how = {"batch_size": rows, "engine": "modules", "product": "auto"}
    try:
        return plan(loaded.config.model_copy(update={**here, **how}), inputs.splits)
    except UserError as error:
        raise (UserError(loaded.locate(error)) if error.key in loaded.origins else error) from error


def facts(config: InitStatsConfig, inputs: Inputs) -> dict[str, Any]:
    """What `run.json` says of it."""
    step = planned(config, inputs)
    return {"network": step.network, "threads": step.machine.threads}


def refuse(config: InitStatsConfig, inputs: Inputs, schemes: Sequence[str]) -> None:
    """What does not fit the images, and what memory has no room for."""
    step, images = planned(config, inputs), inputs.splits.valid.first(config.rows or ROWS)
    model, draws = step.recipe.model, config.draws or DRAWS
    refuse_single_rows(model, tuple(images.x.shape), len(images.y), "rows")
    for init in schemes:
        refuse_fixup(init, model, "init")
    layers = costs(model, tuple(images.x[:1].shape))
    outputs, windows = sum(each.outputs for each in layers), max(each.inputs for each in layers)
    rows = max(2 * len(images.y), FITTED_ROWS)  # a step keeps outputs and gradients, fitting keeps outputs
    numbers = rows * (outputs + 2 * windows) + 4 * parameter_count(model.parameters)
    hardware.require_memory(4 * numbers, "rows" if config.rows else "model", f"a step of {named(step)}")
    hardware.require_memory(400 * len(schemes) * draws * len(layers), "draws", f"{draws:,} draws")


def findings(config: InitStatsConfig, step: Plan, drawn: Sequence[Scheme]) -> Iterator[str]:
    """How much of the gradient comes back; and what one might take for granted."""
    if len(drawn[0].with_weights) > 1:
        shares = listed([f"{share(scheme.backward_factor)} with {scheme.init}" for scheme in drawn])
        yield f"The gradient at the first layer with weights, over that at the last: {shares}."
    if any(scheme.init == "torch-default" for scheme in drawn):
        yield "torch-default has biases of 0 here, as in train; the library draws them too."
    for key, value in config.data:
        if value != (theirs := getattr(step.config.data, key)):
            yield f"Here data.{key} is {value}; in the file it is {theirs}."


def share(factor: float) -> str:
    """As `1/36`, `2.4 times`."""
    if not math.isfinite(factor) or factor == 0:
        return "0" if factor == 0 else "not finite"
    if factor >= 1:
        return f"{factor:.2g} times"
    return f"1/{1 / factor:,.0f}" if factor < 0.1 else f"1/{1 / factor:.2g}"


def checks(drawn: Sequence[Scheme]) -> Iterator[Check]:
    """What holds exactly, whatever was drawn: mean 0 and std 1 on the images that a scheme was fitted to."""
    for scheme in drawn:
        for (what, wanted), far in zip((("mean", 0), ("std", 1)), farthest(scheme), strict=False):
            name = f"{scheme.init}: {what} of a layer on the images it is fitted to, farthest from {wanted}"
            yield Check(name, far <= FITTED_BOUND, far, FITTED_BOUND)
