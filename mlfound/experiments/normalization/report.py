"""What a look at the data before and after normalising shows: figures, tables, sentences.

"Before" is bytes / 256; "after" is normalised, every split with the training numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mlfound.config.training import DataConfig
from mlfound.data.load import LEVELS, Splits
from mlfound.experiments.moments import Moments
from mlfound.experiments.normalization.soundness import by_name, class_counts, count
from mlfound.results import Column, Result, Table

FULL_NAMES = {"train": "training", "valid": "validation", "test": "test"}


class Figures(NamedTuple):
    """Of all values of a split together; after, of those pixels that count."""

    mean_before: float | None
    std_before: float | None
    mean_after: float
    std_after: float


class Mistake(NamedTuple):
    """A split normalised with its own numbers: what it has then, and how far its values are from the right ones."""

    mean_after: float
    std_after: float
    typical_difference: float  # root mean square
    largest_difference: float


RARE = 0.1
SHOWN_CLASSES = 10

LESSON = {"train": Figures(0.1304, 0.3073, 3.06e-05, 1.0), "valid": Figures(None, None, -0.0058, 0.9924)}


@dataclass(frozen=True)
class Look:
    """The splits before and after, and what was measured of them, by the split's name."""

    data: DataConfig
    before: Splits
    after: Splits
    mean: Tensor  # what the training rows gave to normalise with
    std: Tensor
    moments_before: Mapping[str, Moments]
    moments_after: Mapping[str, Moments]
    counted: Tensor | None  # the mask of the pixels that count after; None: all
    mean_in_blocks: float  # of the training set after, summed in float32
    mean_one_by_one: float
    mistakes: Mapping[str, Mistake]

    @property
    def name(self) -> str:
        """The dataset's; of a folder of one's own, the last part of its path."""
        return Path(self.data.dataset).name

    @property
    def figures(self) -> dict[str, Figures]:
        return {
            name: Figures(*before.together(), *self.moments_after[name].together(self.counted))
            for name, before in self.moments_before.items()
        }

    @property
    def lesson(self) -> Mapping[str, Figures]:
        """The lesson's own figures, where these are its data: the defaults are."""
        return LESSON if self.data == DataConfig() else {}

    @property
    def zero_share(self) -> float:
        x = self.before.train.x
        return count(x, lambda part: part == 0) / x.numel()


def report(look: Look) -> Result:
    """All but the checks and the pictures."""
    named = {
        f"{name}_{what}": value
        for name, figures in look.figures.items()
        for what, value in figures._asdict().items()
    }
    mistaken = look.data.normalize != "none"  # whose numbers are 0 and 1 for every split
    return Result(
        metrics={**named, "zero_share": look.zero_share, "scale_divisor": LEVELS},
        findings=[*class_findings(look.before), *WHY[look.data.normalize](look)],
        tables=[split_table(look), *([mistake_table(look)] if mistaken else [])],
    )


def split_table(look: Look) -> Table:
    """A row a split; where the lesson has figures, they stand below ours."""
    columns = (
        Column("split"),
        Column("rows", format=","),
        Column("scale_divisor", "divisor"),
        Column("largest_before", "largest before", ".4f"),
        Column("mean_before", "mean before", ".4f"),
        Column("std_before", "std before", ".4f"),
        Column("mean_after", "mean after", ".3g"),
        Column("std_after", "std after", ".4f"),
    )
    rows: list[tuple[Any, ...]] = []
    for name, figures in look.figures.items():
        x = by_name(look.before)[name].x
        rows.append((name, len(x), LEVELS, x.max().item(), *figures))
        if name in look.lesson:
            rows.append((f"{name}, lesson", None, None, None, *look.lesson[name]))
    return Table("normalize", f"Pixels: bytes / {LEVELS} before, {formula(look)} after", columns, rows)


def formula(look: Look) -> str:
    """What was done to the pixels."""
    match look.data.normalize:
        case "global":
            return f"(x - {look.mean:.4f}) / {look.std:.4f}"
        case "pixel":
            return "(x - mean) / std with each pixel's own numbers"
        case _:
            return "the same"


def mistake_table(look: Look) -> Table:
    """A row a split other than the training set."""
    columns = (
        Column("split"),
        Column("mean_after", "mean after", ".3g"),
        Column("std_after", "std after", ".4f"),
        Column("typical_difference", "typical difference", ".4f"),
        Column("largest_difference", "largest difference", ".4f"),
    )
    rows = [(name, *row) for name, row in look.mistakes.items()]
    return Table("mistake", "The common mistake: each split normalised with its own numbers", columns, rows)


def class_findings(splits: Splits) -> list[str]:
    """Of each split: which class is the only one, which are absent, which rare (fewer than RARE of an even share).

    Chance does not make a class rare: where 20 images are expected, fewer than 2 come once in 20 million times
    (Poisson), and with a share of 10 or less only an absent class is below. MNIST's rarest has 0.9 of its share.
    """
    sentences = []
    for name, counts in class_counts(splits).items():
        rows, which = int(counts.sum()), FULL_NAMES[name]
        there, share = counts.nonzero()[:, 0].tolist(), rows / splits.classes
        if len(there) == 1:
            why = "the labels are wrong, or the images are sorted by class"
            sentences.append(f"All {which} images are of class {there[0]}: {why}.")
            continue
        if absent := [str(number) for number in range(splits.classes) if not counts[number]]:
            sentences.append(f"No {which} image is of class {listed(absent)}.")
        if rare := [f"{number} ({counts[number]:,})" for number in there if counts[number] < RARE * share]:
            sentences.append(
                f"Few {which} images are of class {listed(rare)}: less than a tenth of an even share of {share:,.0f}."
            )
    return sentences


def listed(items: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = len(items) - SHOWN_CLASSES
    return ", ".join(items[:SHOWN_CLASSES]) + (f" and {more} more" if more > 0 else "")


def why_global(look: Look) -> list[str]:
    valid, test = look.mistakes["valid"], look.mistakes["test"]
    lesson = "; the lesson's 3.06e-05 is such a rounding, of an older library" if look.lesson else ""
    return [
        others(look),
        "The common mistake makes both look perfect, but then the same grey differs by up to "
        f"{valid.largest_difference:.2g} between training and validation, {test.largest_difference:.2g} between "
        "training and test.",
        f"The training mean after is {look.figures['train'].mean_after:.2e} summed in float64, "
        f"{look.mean_in_blocks:.2e} in float32 as torch adds today, in blocks, and {look.mean_one_by_one:.2e} "
        f"in float32 one number after another{lesson}.",
    ]


def why_pixel(look: Look) -> list[str]:
    assert look.counted is not None
    same = int((~look.counted).sum())
    most = {name: by_name(look.after)[name].x.max().item() for name in ("train", "valid")}
    return [
        f"{same} of {len(look.counted)} pixels are the same in every training image: they become 0, nothing brings "
        "their std to 1, and the figures after leave them out.",
        f"Pixels that hardly ever change are blown up: the largest value after is {most['train']:,.0f} in training "
        f"and {most['valid']:,.0f} in validation.",
        others(look),
    ]


def why_none(look: Look) -> list[str]:
    return [
        "data.normalize is none: the pixels stay as they are, so mean 0 and std 1 fail. Write global or pixel."
    ]


def others(look: Look) -> str:
    """Why validation and test are not quite at 0 and 1."""
    valid, test = look.figures["valid"], look.figures["test"]
    sentence = (
        f"Validation has mean {valid.mean_after:.4f} and std {valid.std_after:.4f}, test {test.mean_after:.4f} and "
        f"{test.std_after:.4f}, and that is right: they are other images, normalised with the training numbers, so "
        "that a pixel's grey is the same number in every split."
    )
    rows = len(look.after.valid.x)
    blocks = [block for block in torch.split(look.after.train.x, rows) if len(block) == rows]
    if len(blocks) < 2:
        return sentence
    means = [Moments.of(block).together(look.counted)[0] for block in blocks]
    return (
        f"{sentence} Blocks of {rows:,} training images have means from {min(means):.4f} to {max(means):.4f}."
    )


WHY: dict[str, Callable[[Look], list[str]]] = {"global": why_global, "pixel": why_pixel, "none": why_none}
