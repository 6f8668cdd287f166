"""The common mistake: a split normalised with its own mean and std instead of the training set's."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from mlfound.data.load import Splits
from mlfound.data.normalize import NORMALIZATIONS
from mlfound.experiments.normalization.moments import Moments
from mlfound.experiments.normalization.soundness import by_name
from mlfound.results import Column, Table


@dataclass(frozen=True)
class Mistake:
    """A split normalised with its own numbers: what it has then, and how far its values are from the right ones."""

    split: str
    mean_after: float
    std_after: float
    typical_difference: float  # root mean square
    largest_difference: float


def changing(before: Moments, how: str) -> Tensor | None:
    """The mask of the pixels that can have std 1 after; None for all.

    Where each pixel has its own numbers, one that never changes becomes 0, and no std brings it to 1.
    """
    return before.std > 0 if how == "pixel" else None


def measure_mistakes(
    before: Splits, after: Splits, moments: Mapping[str, Moments], how: str
) -> list[Mistake]:
    """Validation and test normalised with their own numbers; `moments` are those before."""
    mistakes = []
    for split in ("valid", "test"):
        x = by_name(before)[split].x
        mean, std = NORMALIZATIONS[how](x)
        own = (x - mean) / std
        differences = own - by_name(after)[split].x
        moments_after = Moments.of(own).together(changing(moments[split], how))
        typical = math.hypot(*Moments.of(differences).together())
        mistakes.append(Mistake(split, *moments_after, typical, differences.abs().max().item()))
    return mistakes


def mistake_table(mistakes: Sequence[Mistake]) -> Table:
    columns = (
        Column("split"),
        Column("mean_after", "mean after", ".3g"),
        Column("std_after", "std after", ".4f"),
        Column("typical_difference", "typical difference", ".4f"),
        Column("largest_difference", "largest difference", ".4f"),
    )
    title = "The common mistake: each split normalised with its own numbers"
    return Table.of("mistake", title, columns, mistakes)
