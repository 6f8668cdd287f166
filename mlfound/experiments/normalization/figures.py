"""Mean and standard deviation of every split before and after normalising, and by the common mistake.

"Before" is bytes / 256; "after" is normalised, every split with the training numbers.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from mlfound.config.models import NormalizeCheckConfig
from mlfound.config.training import DataConfig
from mlfound.data.load import LEVELS, Splits
from mlfound.data.normalize import ROWS
from mlfound.experiments.normalization.moments import Mistake, Moments, measure_mistakes, mistake_table
from mlfound.experiments.normalization.soundness import at_most, by_name, count
from mlfound.results import Check, Column, Picture, Result, Table

MOMENTS = ("mean_before", "std_before", "mean_after", "std_after")


class Figures(NamedTuple):
    """A row of the table: of all values of a split together; after, of those pixels that count."""

    split: str
    rows: int | None
    scale_divisor: int | None
    largest_before: float | None
    mean_before: float | None
    std_before: float | None
    mean_after: float
    std_after: float


LESSON = {
    "train": Figures("train, lesson", None, None, None, 0.1304, 0.3073, 3.06e-05, 1.0),
    "valid": Figures("valid, lesson", None, None, None, None, None, -0.0058, 0.9924),
}
FIGURES = (
    Column("split"),
    Column("rows", format=",", rank=3),
    Column("scale_divisor", "divisor", rank=4),
    Column("largest_before", "largest before", ".4f", rank=3),
    Column("mean_before", "mean before", ".4f"),
    Column("std_before", "std before", ".4f"),
    Column("mean_after", "mean after", ".3g"),
    Column("std_after", "std after", ".4f"),
)


def run(config: NormalizeCheckConfig, before: Splits, after: Splits, mean: Tensor, std: Tensor) -> Result:
    """`mean` and `std` are what the training rows gave to normalise with."""
    how, name = config.data.normalize, Path(config.data.dataset).name
    lesson = LESSON if config.data == DataConfig() else {}  # the defaults are its data
    then, now = (
        {name: Moments.of(split.x) for name, split in by_name(each).items()} for each in (before, after)
    )
    counted, figures = then["train"].changing(how), dict[str, Figures]()
    for split, part in by_name(before).items():
        moments = *then[split].together(), *now[split].together(counted)
        figures[split] = Figures(split, len(part.x), LEVELS, part.x.max().item(), *moments)
    rows = [row for split in figures for row in (figures[split], lesson.get(split)) if row]

    formula = {"pixel": "(x - mean) / std with each pixel's own numbers", "none": "the same"}.get(how)
    formula = formula or f"(x - {mean:.4f}) / {std:.4f}"
    tables = [
        Table("normalize", f"Pixels: bytes / {LEVELS} before, {formula} after", FIGURES, rows, "always")
    ]
    if how == "none":
        sentences = [
            "data.normalize is none: the pixels stay as they are, so mean 0 and std 1 fail. Write global or pixel."
        ]
    else:
        mistakes = measure_mistakes(before, after, then, how)
        tables.append(mistake_table(mistakes))
        sentences = findings(after, figures, mistakes, counted, bool(lesson))
    zero_share = count(before.train.x, lambda part: part == 0) / before.train.x.numel()
    named = {f"{split}_{what}": getattr(each, what) for split, each in figures.items() for what in MOMENTS}
    images = {
        "title": f"Mean and standard deviation of each training pixel of {name}",
        "mean": then["train"].mean.view(before.shape),
        "std": then["train"].std.view(before.shape),
    }
    return Result(
        {**named, "zero_share": zero_share, "scale_divisor": LEVELS},
        checks=moment_checks(now["train"], counted, config.tolerance),
        findings=sentences,
        tables=tables,
        pictures=[
            histograms(name, before, after, (mean, std), figures["train"], zero_share),
            Picture("moments", "mean_and_std_images", images),
        ],
    )


def moment_checks(train: Moments, counted: Tensor | None, tolerance: float) -> list[Check]:
    """The training set has mean 0 and std 1; where each pixel has its own numbers, so has the worst of them."""
    if counted is None:
        what = "training set"
        means, stds = (torch.tensor([value], dtype=torch.float64) for value in train.together())
    else:
        what, means, stds = "worst training pixel", train.mean[counted], train.std[counted]
    # nan where no pixel counts, or one of them is nan
    from_0, from_1 = (x.abs().max().item() if x.numel() else math.nan for x in (means, 1 - stds))
    return [
        at_most(f"mean after of the {what}, distance from 0", from_0, tolerance),
        at_most(f"std after of the {what}, distance from 1", from_1, tolerance),
    ]


def findings(
    after: Splits,
    figures: Mapping[str, Figures],
    mistakes: Sequence[Mistake],
    counted: Tensor | None,
    lesson: bool,
) -> list[str]:
    """Why the training figures are not quite 0 and 1, and those of the other splits less so."""
    others = other_splits(after, figures, counted)
    if counted is not None:
        train, valid = after.train.x.max().item(), after.valid.x.max().item()
        return [
            f"{int((~counted).sum())} of {len(counted)} pixels are the same in every training image: they become 0, "
            "nothing brings their std to 1, and the figures after leave them out.",
            f"Pixels that hardly ever change are blown up: the largest value after is {train:,.0f} in training "
            f"and {valid:,.0f} in validation.",
            *others,
        ]
    valid_off, test_off = (each.largest_difference for each in mistakes)
    in_blocks, one_by_one = float32_means(after.train.x)
    older = "; the lesson's 3.06e-05 is such a rounding, of an older library" if lesson else ""
    return [
        *others,
        f"The common mistake makes both look perfect, but then the same grey differs by up to {valid_off:.2g} "
        f"between training and validation, {test_off:.2g} between training and test.",
        f"The training mean after is {figures['train'].mean_after:.2e} summed in float64, {in_blocks:.2e} in float32 "
        f"as torch adds today, in blocks, and {one_by_one:.2e} in float32 one number after another{older}.",
    ]


def float32_means(x: Tensor) -> tuple[float, float]:
    """The mean of all of `x` with a sum in float32: as torch adds, in blocks; and one number after another."""
    one_by_one = np.add.accumulate(x.flatten().numpy())[-1]
    return x.mean().item(), float(one_by_one) / x.numel()


def other_splits(after: Splits, figures: Mapping[str, Figures], counted: Tensor | None) -> list[str]:
    valid, test = figures["valid"], figures["test"]
    sentence = (
        f"Validation has mean {valid.mean_after:.4f} and std {valid.std_after:.4f}, test {test.mean_after:.4f} and "
        f"{test.std_after:.4f}, and that is right: they are other images, normalised with the training numbers, so "
        "that a pixel's grey is the same number in every split."
    )
    rows = len(after.valid.x)
    blocks = [block for block in torch.split(after.train.x, rows) if len(block) == rows]
    if len(blocks) < 2:
        return [sentence]
    means = [Moments.of(block).together(counted)[0] for block in blocks]
    return [
        sentence,
        f"Blocks of {rows:,} training images have means from {min(means):.4f} to {max(means):.4f}.",
    ]


def histograms(
    name: str, before: Splits, after: Splits, scale: tuple[Tensor, Tensor], train: Figures, zero_share: float
) -> Picture:
    """How often each value occurs in the training set; each of the 256 levels in the middle of a bin of its own."""
    levels, (mean, std), x = (torch.arange(LEVELS + 1) - 0.5) / LEVELS, scale, after.train.x
    if mean.dim() == 0:
        edges = (levels - mean) / std
    else:
        low, high = x.min().item(), x.max().item()
        edges = torch.linspace(low, max(high, low + 1), LEVELS + 1)
    data = {
        "title": f"The training pixels of {name}, before and after normalising",
        "edges": [levels.tolist(), edges.tolist()],
        "counts": [histogram(before.train.x, levels), histogram(x, edges)],
        "mean": [train.mean_before, train.mean_after],
        "std": [train.std_before, train.std_after],
        "zero_share": zero_share,
    }
    return Picture("histograms", "pixel_histograms", data)


def histogram(x: Tensor, edges: Tensor) -> list[float]:
    """Counts between `edges`, which are evenly apart. In float64: in float32 histc counts no further than 2^24."""
    low, high, bins = edges[0].item(), edges[-1].item(), len(edges) - 1
    parts = [torch.histc(part.double(), bins, low, high) for part in torch.split(x, ROWS)]
    return cast("list[float]", torch.stack(parts).sum(0).tolist())
