"""A number measured over independent draws, and how well it is known."""

import math
from dataclasses import dataclass
from typing import Self

from scipy.special import stdtrit
from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """`value` over `draws` draws; `error` is its standard error, and nan for a single draw."""

    value: float
    error: float
    draws: int

    @classmethod
    def of(cls, value: float, influence: Tensor) -> Self:
        """`influence` (draws,): what each draw adds to the value, up to a constant."""
        draws = len(influence)
        return cls(value, influence.std().item() / math.sqrt(draws) if draws > 1 else math.nan, draws)

    @classmethod
    def mean(cls, values: Tensor) -> Self:
        return cls.of(values.mean().item(), values)

    @property
    def half(self) -> float | None:
        """Half of the 95% interval (Student's t); None where one draw says nothing of the others."""
        return stdtrit(self.draws - 1, 0.975).item() * self.error if self.draws > 1 else None

    @property
    def low(self) -> float | None:
        return None if self.half is None else self.value - self.half

    @property
    def high(self) -> float | None:
        return None if self.half is None else self.value + self.half


def pooled_std(means: Tensor, squares: Tensor) -> Estimate:
    """The std of all numbers of all draws together, from each draw's mean and mean square (draws,).

    V = Q - M^2 changes by q - 2 M m with a draw of mean m and mean square q, and the std by 1/(2 std) of that.
    """
    m = means.mean()
    std = (squares.mean() - m**2).clamp_min(0).sqrt().item()
    return Estimate.of(std, (squares - 2 * m * means) / (2 * std or 1))


def root_mean(squares: Tensor) -> Estimate:
    """The root of the mean of `squares` (draws,)."""
    root = squares.mean().sqrt().item()
    return Estimate.of(root, squares / (2 * root or 1))
