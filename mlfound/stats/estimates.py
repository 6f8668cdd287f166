"""How well a number is known: a mean over independent draws, and an accuracy over seeds and test images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, mean, variance
from typing import Self

import torch
from torch import Tensor
from torch.distributions import Binomial

UPPER = 0.975  # what lies below the upper end of a 95% interval
MIN_SEEDS = 3  # of several: the spread of two says nothing of the spread of all
MIN_IMAGES = 30  # fewer allow nearly any accuracy


def t_quantile(freedom: float, p: float = UPPER) -> float:
    """The value that a share `p` of Student's t distribution lies below."""
    from scipy.special import stdtrit  # here: it takes a third of a second to import, and one seed needs none

    return float(stdtrit(freedom, p))


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
        return t_quantile(self.draws - 1) * self.error if self.draws > 1 else None

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


def accuracy_interval(accuracies: Sequence[float], images: int) -> tuple[float, float] | None:
    """The 95% interval of the accuracy of such networks on such images, in [0, 1]; None where there are too few.

    `accuracies` are of one network or of several seeds, all on the same `images`. The score interval of a proportion
    (Wilson 1927), of several seeds at an effective number of images: as many as would give the mean accuracy the
    variance that it has from seeds and images together (design effect, Kish 1965), with Student's quantile at
    Satterthwaite's (1946) degrees of freedom. The images' part of the seeds' variance counts twice, which is
    cautious. Of one network the seed is taken as given.
    """
    seeds, p = len(accuracies), mean(accuracies)
    if images < MIN_IMAGES or 1 < seeds < MIN_SEEDS:
        return None
    of_seeds = variance(accuracies) / seeds if seeds > 1 else 0.0
    of_images = p * (1 - p) / images
    n, z = float(images), NormalDist().inv_cdf(UPPER)
    if of_seeds > 0:
        total = of_seeds + of_images
        n = images * of_images / total
        z = t_quantile((seeds - 1) * (total / of_seeds) ** 2)
    centre, half = p + z**2 / (2 * n), z * (p * (1 - p) / n + (z / (2 * n)) ** 2) ** 0.5
    return max(0.0, (centre - half) / (1 + z**2 / n)), min(1.0, (centre + half) / (1 + z**2 / n))


def least_above_chance(images: int, share: float, alpha: float) -> int:
    """The fewest right answers that are, by chance of `share` an image, as many or more in at most `alpha` of trials.

    Of the binomial distribution; `images`, all of them, where even that does not do.
    """
    chance = Binomial(images, torch.tensor(share, dtype=torch.float64))
    each: Tensor = chance.log_prob(torch.arange(images + 1, dtype=torch.float64))  # type: ignore[no-untyped-call]
    as_many = each.exp().flip(0).cumsum(0).flip(0)
    return min(images, int((as_many > alpha).sum()))


def too_few(seeds: int, images: int) -> str:
    few = f"{images} test images" if images < MIN_IMAGES else f"{seeds} seeds"
    return f"{few} are too few for an interval"
