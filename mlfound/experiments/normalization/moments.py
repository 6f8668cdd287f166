"""Mean and standard deviation of pixels; also by the common mistake, a split normalised with its own."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from mlfound.data.load import Splits
from mlfound.data.normalize import NORMALIZATIONS, ROWS
from mlfound.experiments.normalization.soundness import by_name
from mlfound.results import Column, Table


@dataclass(frozen=True)
class Moments:
    """Of each pixel over the rows of a split: float64, shape (features,); the std is over n, not n - 1."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Self:
        """Summed in float64, where a sum of bytes / 256 is exact."""
        parts = torch.split(x, ROWS)
        mean = torch.stack([part.sum(0, dtype=torch.float64) for part in parts]).sum(0) / len(x)
        squares = torch.stack([(part - mean).square().sum(0) for part in parts])
        return cls(mean, (squares.sum(0) / len(x)).sqrt())

    def together(self, pixels: Tensor | None = None) -> tuple[float, float]:
        """Mean and std of all values of these `pixels` (a mask; all without one); nan if there are none."""
        means, stds = (self.mean, self.std) if pixels is None else (self.mean[pixels], self.std[pixels])
        mean = means.mean()
        return mean.item(), (stds.square() + (means - mean).square()).mean().sqrt().item()

    def changing(self, how: str) -> Tensor | None:
        """The mask of the pixels that can have std 1 after these, before; None for all.

        Where each pixel has its own numbers, one that never changes becomes 0, and no std brings it to 1.
        """
        return self.std > 0 if how == "pixel" else None


@dataclass(frozen=True)
class Mistake:
    """A split normalised with its own numbers: what it has then, and how far its values are from the right ones."""

    split: str
    mean_after: float
    std_after: float
    typical_difference: float  # root mean square
    largest_difference: float


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
        moments_after = Moments.of(own).together(moments[split].changing(how))
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
