"""Show that what goes in has mean 0 and standard deviation 1, and why validation and test have not quite."""

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mlfound import hardware
from mlfound.config.models import NormalizeCheckConfig
from mlfound.data.normalize import NORMALIZATIONS, normalized
from mlfound.data.registry import find
from mlfound.experiments.moments import Moments
from mlfound.experiments.normalization.pictures import pictures
from mlfound.experiments.normalization.report import Look, Mistake, report
from mlfound.experiments.normalization.soundness import (
    at_most,
    by_name,
    class_checks,
    content_checks,
    shape_checks,
)
from mlfound.results import Check, Context, Result
from mlfound.training.inputs import prepare


def run(config: NormalizeCheckConfig, context: Context) -> Result:
    """Look at the data as it is, normalise it, look again. On one thread, so that every sum rounds the same way."""
    threads = hardware.use_threads(1, multiplications=0)
    inputs = prepare(config.data.model_copy(update={"normalize": "none"}), context)
    before, how = inputs.splits, config.data.normalize
    context.recorder.begin(config, dataset=inputs.facts, threads=threads)
    shapes = shape_checks(before)
    if not all(check.passed for check in shapes):
        return Result({}, checks=shapes, findings=["The files do not fit together: nothing was measured."])

    after, mean, std = normalized(before, how)
    moments = {name: Moments.of(split.x) for name, split in by_name(before).items()}
    masks = {name: counting(each, how) for name, each in moments.items()}
    in_blocks, one_by_one = float32_means(after.train.x)
    look = Look(
        config.data,
        before,
        after,
        mean,
        std,
        moments_before=moments,
        moments_after={name: Moments.of(split.x) for name, split in by_name(after).items()},
        counted=masks["train"],
        mean_in_blocks=in_blocks,
        mean_one_by_one=one_by_one,
        mistakes={
            name: mistake(by_name(before)[name].x, by_name(after)[name].x, masks[name], how)
            for name in ("valid", "test")
        },
    )
    dataset = find(config.data.dataset, key="data.dataset")
    classes = class_checks(before, dataset, cut=config.data.train_rows is not None)
    checks = [*moment_checks(look, config.tolerance), *shapes, *content_checks(before, after), *classes]
    return replace(report(look), checks=checks, pictures=pictures(look))


def counting(before: Moments, how: str) -> Tensor | None:
    """The mask of the pixels that can have std 1 after; None for all.

    Where each pixel has its own numbers, one that never changes becomes 0, and no std brings it to 1.
    """
    return before.std > 0 if how == "pixel" else None


def float32_means(x: Tensor) -> tuple[float, float]:
    """The mean of all of `x` with a sum in float32: as torch adds, in blocks; and one number after another."""
    one_by_one = np.add.accumulate(x.flatten().numpy())[-1]
    return x.mean().item(), float(one_by_one) / x.numel()


def mistake(before: Tensor, after: Tensor, counted: Tensor | None, how: str) -> Mistake:
    """What the common mistake gives: a split normalised with its own numbers."""
    mean, std = NORMALIZATIONS[how](before)
    own = (before - mean) / std
    apart = own - after
    return Mistake(
        *Moments.of(own).together(counted),
        typical_difference=math.hypot(*Moments.of(apart).together()),
        largest_difference=apart.abs().max().item(),
    )


def moment_checks(look: Look, tolerance: float) -> list[Check]:
    """The training set has mean 0 and std 1; where each pixel has its own numbers, so has the worst of them."""
    train = look.moments_after["train"]
    if look.counted is None:
        who = "training set"
        means, stds = (torch.tensor(value, dtype=torch.float64) for value in train.together())
    else:
        who, means, stds = "worst training pixel", train.mean[look.counted], train.std[look.counted]
    return [
        at_most(f"mean after of the {who}, distance from 0", largest(means), tolerance),
        at_most(f"std after of the {who}, distance from 1", largest(1 - stds), tolerance),
    ]


def largest(distances: Tensor) -> float:
    """The largest, whatever its sign; nan where there is none, or one of them is nan."""
    return distances.abs().max().item() if distances.numel() else math.nan
