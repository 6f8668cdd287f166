"""Raise the learning rate from step to step until the loss explodes: which rates does this training bear?"""

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from mlfound.config.training import LrFindConfig
from mlfound.engines.recipe import Rate
from mlfound.foundations.schedules import exponential
from mlfound.results import Check, Column, Context, Picture, Result, Table
from mlfound.training.build import build
from mlfound.training.inputs import Inputs, prepare
from mlfound.training.loop import Trainer
from mlfound.training.plan import Plan, cautions, plan, require_memory
from mlfound.training.refusals import refuse_single_rows

EXPLODED = 10  # times the lowest loss, as in the course
MEMORY = 0.3  # decades of the learning rate: a loss so far back counts 1/e times as much as the newest
# standard deviations of the smoothed loss: noise alone falls so far in fewer than 1 rise of 100
FALL_BOUND = 7.0
COLUMNS = (Column("step"), Column("lr"), Column("loss"), Column("smoothed_loss", "smoothed loss"))


@dataclass(frozen=True)
class Step:
    """One step, counted from 1: the loss of its mini-batch before it, and the mean of the losses so far."""

    step: int
    lr: float
    loss: float
    smoothed_loss: float


@dataclass(frozen=True)
class Reading:
    """What a rise shows. `fall` is in standard deviations of the smoothed loss; 0 where there is no room for one."""

    steepest: Step
    lowest: Step
    fall: float


def run(config: LrFindConfig, context: Context) -> Result:
    """The loss against the learning rate (Smith 2017, section 3.3), and the rates that it suggests."""
    inputs = prepare(config.data, context, 2, keep_pixels=config.augment is not None)
    planned = plan(config, inputs.splits)
    require_memory(planned, inputs.splits)
    refuse_single_rows(planned.recipe.model, tuple(inputs.splits.train.x.shape), config.batch_size)
    context.recorder.begin(planned.config, dataset=inputs.facts, **planned.facts)
    context.recorder.message(str(planned))
    for caution in cautions(planned):
        context.recorder.message(caution)
    lrs = [exponential(config.start, config.end, n / (config.steps - 1)) for n in range(config.steps)]
    steps = []
    for step in rise(planned, inputs.to(planned.machine.device), lrs):
        steps.append(step)
        figures = {"lr": f"{step.lr:.1e}", "loss": f"{step.smoothed_loss:.4f}"}
        context.recorder.progress("raising the learning rate", step.step, config.steps, **figures)
    return conclude(planned, steps, lrs)


def rise(planned: Plan, inputs: Inputs, lrs: Sequence[float]) -> Iterator[Step]:
    """A step at each of these learning rates, until the loss explodes or is not finite: that one is left out.

    The losses are smoothed by an exponentially weighted mean with its bias corrected (Kingma and Ba 2015, section 3),
    whose memory is a length on the logarithmic axis: more steps show the same curve, smoother.
    """
    keep, mean, lowest = kept(lrs), 0.0, math.inf
    with closing(build(planned, inputs.splits, inputs.pixels)) as trainer:
        for number, lr in enumerate(lrs):
            loss = take(trainer, Rate(lr, planned.momentum, number))
            if not math.isfinite(loss):
                return
            mean = keep * mean + (1 - keep) * loss
            step = Step(number + 1, lr, loss, mean / (1 - keep ** (number + 1)))
            yield step
            lowest = min(lowest, step.smoothed_loss)
            if step.smoothed_loss > EXPLODED * lowest:
                return


def take(trainer: Trainer, rate: Rate) -> float:
    """One step on the mini-batch that `train` would take here; its loss before the step."""
    epoch, step = divmod(rate.step, trainer.steps_per_epoch)
    if step == 0:
        trainer.begin_epoch(epoch)
    return trainer.engine.run(trainer.rows.take(step, 1), [rate]).item()


def decades(lrs: Sequence[float]) -> float:
    """Between two steps."""
    return math.log10(lrs[1] / lrs[0])


def kept(lrs: Sequence[float]) -> float:
    """The factor of the old mean at each step."""
    return math.exp(-decades(lrs) / MEMORY)


def read(steps: Sequence[Step], lrs: Sequence[float]) -> Reading:
    """The steepest fall of the smoothed loss per decade, over half a decade, and its minimum.

    The first half decade only begins the mean: nothing is concluded from it. The noise of a single loss comes from
    the differences between neighbours, which a trend hardly touches (von Neumann 1941); that of the mean follows.
    """
    smooth = [step.smoothed_loss for step in steps]
    begin, half = math.ceil(MEMORY / decades(lrs)), max(1, round(MEMORY / decades(lrs)))
    lowest = smooth.index(min(smooth))
    middles = range(begin + half, lowest - half + 1)
    if not middles:
        return Reading(steps[lowest], steps[lowest], 0.0)
    steepest = min(middles, key=lambda n: smooth[n + half] - smooth[n - half])
    changes = [(steps[n + 1].loss - steps[n].loss) ** 2 for n in range(lowest)]
    noise = math.sqrt(sum(changes) / len(changes) / 2 * (1 - kept(lrs)) / (1 + kept(lrs)))
    fall = (smooth[begin] - smooth[lowest]) / max(noise, 1e-12)
    return Reading(steps[steepest], steps[lowest], fall)


def conclude(planned: Plan, steps: Sequence[Step], lrs: Sequence[float]) -> Result:
    """Two suggestions with what each means; none where the range does not show them."""
    table = Table.of("lr_find", "Loss by learning rate", COLUMNS, steps, shown="never")
    if not steps:
        finding = "The loss was not finite before the first step: write model.init: kaiming."
        return Result({"steps": 0}, "diverged", findings=[finding], tables=[table])
    found = read(steps, lrs)
    highest = lrs[-1] / 10**MEMORY
    fell, turned = found.fall >= FALL_BOUND, found.lowest.lr <= highest
    suggestions = {"steepest fall": found.steepest.lr, "a tenth of the minimum": found.lowest.lr / 10}
    steepest, tenth = suggestions.values()
    metrics = {"tenth_of_minimum_lr": tenth, "steepest_lr": steepest}
    if not (fell and turned):
        suggestions, metrics = {}, {}
    losses = {
        "title": f"Loss ({planned.recipe.loss}) while the learning rate rises",
        "lr": [step.lr for step in steps],
        "loss": [step.loss for step in steps],
        "smoothed_loss": [step.smoothed_loss for step in steps],
        "suggestions": suggestions,
    }
    return Result(
        {**metrics, "minimum_loss": found.lowest.smoothed_loss, "steps": len(steps)},
        checks=[
            Check("the loss falls, in standard deviations of its mean", fell, found.fall, FALL_BOUND),
            Check("it is lowest at a learning rate inside the range", turned, found.lowest.lr, highest),
        ],
        findings=[*(meanings(found) if metrics else [advice(fell, steps, lrs)]), ended(steps, lrs)],
        tables=[table],
        pictures=[Picture("lr_find", "lr_find_curve", losses)],
    )


def ended(steps: Sequence[Step], lrs: Sequence[float]) -> str:
    last = steps[-1]
    if last.smoothed_loss > EXPLODED * min(step.smoothed_loss for step in steps):
        why = f"the smoothed loss was {EXPLODED} times its lowest"
    elif len(steps) < len(lrs):
        why = "the next loss was not finite"
    else:
        return f"The learning rate rose to {last.lr:.2g} in {last.step:,} steps."
    return f"The rise ended after {last.step:,} of {len(lrs):,} steps, at a learning rate of {last.lr:.2g}: {why}."


def meanings(found: Reading) -> list[str]:
    steepest, lowest = found.steepest.lr, found.lowest.lr
    tenth = lowest / 10
    return [
        f"Try first optimizer.lr={tenth:.2g}, a tenth of the minimum: unlike the steepest fall it does not depend on "
        "how large the first loss is.",
        f"Steepest fall: {steepest:.2g}; there the smoothed loss falls fastest, so a step gains most.",
        f"A tenth of the minimum: {tenth:.2g}; the smoothed loss is lowest at {lowest:.2g}, where steps begin to be "
        "too long, and a tenth of that keeps clear of it.",
    ]


def advice(fell: bool, steps: Sequence[Step], lrs: Sequence[float]) -> str:
    if fell:
        return f"No suggestion: the loss was still falling at the end; write an end above {lrs[-1]:g}."
    if len(steps) < len(lrs):
        return f"No suggestion: the loss exploded before it could fall; write a start below {lrs[0]:g}."
    return "No suggestion: the loss fell by no more than its noise; write a larger end, steps or batch_size."
