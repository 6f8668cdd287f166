"""Mean and standard deviation, pixel by pixel and of many pixels together."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from mlfound.data.normalize import ROWS


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
