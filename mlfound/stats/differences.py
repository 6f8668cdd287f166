"""Is a difference real? One figure, a value per seed, on two sides: its difference, interval and p.

The t-test decides, paired or Welch's: its p and its interval always agree. Sign flips are a second opinion on pairs.
"""

import math
import warnings
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# `scipy.stats` takes a second to import: only the functions that need it do

ALPHA = 0.05
POWER = 0.8  # how often a true difference is to be seen
MAX_EXACT_PAIRS = 16  # up to here every way of flipping signs is counted; 65,536 of them
RANDOM_FLIPS = 20_000  # the same ones each time, where there are more pairs
MAX_SEEDS = 10_000
ROUNDING = 1e-9  # of the values: a smaller spread is none


@dataclass(frozen=True, eq=False)
class Effect:
    """How far the second side's figure lies from the first's, and what chance has to do with it."""

    seeds: tuple[int, int]  # on either side; equal where paired
    difference: float  # second less first
    p: float | None  # None: chance cannot be judged
    spread: float  # standard deviation of the difference between a seed on either side; 0 if there is none
    freedom: float  # degrees of freedom that each further seed on either side brings
    test: Any = None  # scipy's TtestResult, where there is a spread to go by
    pairs: NDArray[np.float64] | None = None  # the difference of each pair; None where unpaired

    @property
    def paired(self) -> bool:
        return self.pairs is not None

    @cached_property
    def flips_p(self) -> float | None:
        """p by sign flips; None where unpaired, and of a single pair."""
        return None if self.pairs is None else sign_flip_p(self.pairs)

    def interval(self, level: float) -> tuple[float | None, float | None]:
        """Where the difference lies, with confidence `level`."""
        if self.test is None:
            return None, None
        low, high = self.test.confidence_interval(level)
        return float(low), float(high)

    def seeds_needed(self, difference: float, level: float) -> int | None:
        """The fewest seeds a side that show a true `difference` in POWER of all trials; None without a spread."""
        if self.test is None:
            return None
        counts = range(2, MAX_SEEDS + 1)
        return counts[0] + bisect_left(counts, POWER, key=lambda n: self.power(n, difference, level))

    def power(self, seeds: int, difference: float, level: float) -> float:
        """The chance that so many seeds a side show `difference`, from the noncentral t distribution."""
        from scipy.stats import nct, t

        freedom = (seeds - 1) * self.freedom
        critical = t.isf((1 - level) / 2, freedom)
        return float(nct.sf(critical, freedom, difference * np.sqrt(seeds) / self.spread))


def paired_effect(first: Sequence[float], second: Sequence[float]) -> Effect:
    """Of two sides with the same seeds in the same order. Where all pairs differ alike, the sign flips decide."""
    from scipy.stats import ttest_rel

    differences, scale = np.subtract(second, first), np.max(np.abs([first, second]))
    spread, test = deviation(differences, scale), None
    pairs = np.where(np.abs(differences) > ROUNDING * scale, differences, 0)
    if spread:
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of a very small spread
            test = ttest_rel(second, first)
    p = float(test.pvalue) if test else sign_flip_p(pairs)
    return Effect((len(pairs), len(pairs)), float(differences.mean()), p, spread, 1.0, test, pairs)


def welch_effect(first: Sequence[float], second: Sequence[float]) -> Effect:
    """Of two sides whose seeds have nothing to do with each other, each with a spread of its own."""
    from scipy.stats import ttest_ind

    scale, several = max(map(abs, (*first, *second))), min(len(first), len(second)) > 1
    spreads, test = [deviation(side, scale) for side in (first, second)], None
    spread, difference = math.hypot(*spreads), float(np.mean(second) - np.mean(first))
    if several and spread:
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of a side without a spread
            test = ttest_ind(second, first, equal_var=False)
    p = float(test.pvalue) if test else 1.0 if several and abs(difference) <= ROUNDING * scale else None
    freedom = spread**4 / sum(each**4 for each in spreads) if spread else 1.0
    return Effect((len(first), len(second)), difference, p, spread, freedom, test)


def deviation(values: ArrayLike, scale: float = 0) -> float:
    """The standard deviation of a sample; 0 of a single value, and of values that are equal but for rounding."""
    sample = np.asarray(values, dtype=np.float64)
    std = float(sample.std(ddof=1)) if len(sample) > 1 else 0.0
    return std if std > ROUNDING * scale else 0.0


def sign_flip_p(differences: NDArray[np.float64]) -> float | None:
    """How often pairs that differ by chance alone, so that each sign could be the other, differ as much or more.

    Fisher 1935, "The design of experiments", section 21. Exact up to MAX_EXACT_PAIRS; the smallest p is 2 / 2**pairs.
    """
    from scipy.stats import permutation_test

    if len(differences) < 2:
        return None
    unit = ROUNDING * abs(differences.sum()) or 1.0  # sums that are closer to each other are equal
    test = permutation_test(
        [differences],
        lambda flipped, axis: np.round(np.abs(flipped.sum(axis)) / unit),
        permutation_type="samples",  # of a single sample: its signs
        alternative="greater",
        n_resamples=2**MAX_EXACT_PAIRS if len(differences) <= MAX_EXACT_PAIRS else RANDOM_FLIPS,
        batch=1_000,
        rng=0,
    )
    return float(test.pvalue)


def holm(values: Sequence[float | None]) -> list[tuple[float | None, float]]:
    """The p-value of each of several comparisons, adjusted (Holm 1979), and the level of its interval.

    At its level an interval leaves 0 out exactly where the adjusted p is below ALPHA. A comparison without p is none.
    """
    ranked = sorted((p, index) for index, p in enumerate(values) if p is not None)
    adjusted: list[tuple[float | None, float]] = [(None, 1 - ALPHA)] * len(values)
    largest, step = 0.0, 1
    for rest, (p, index) in zip(range(len(ranked), 0, -1), ranked, strict=True):
        if largest < ALPHA:  # once a comparison fails, its step is that of all that follow
            step = rest
        largest = max(largest, min(1.0, rest * p))
        adjusted[index] = largest, 1 - ALPHA / step
    return adjusted
