"""Is a difference real? One figure, a value a seed, on two sides: its difference, interval and p.

The t-test decides, paired or Welch's: its p and its interval always agree. Sign flips are a second opinion on pairs.
"""

import math
import warnings
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import nct, ttest_ind, ttest_rel
from scipy.stats import t as student

ALPHA = 0.05
POWER = 0.8  # how often a difference is to be seen that is there
EXACT_PAIRS = 16  # up to here every way of flipping signs is counted; 65,536 of them
FLIPS, AT_ONCE = 20_000, 1_000  # drawn at random, the same ones each time, where there are more pairs
MOST_SEEDS = 10_000
ROUNDING = 1e-9  # of the values: a spread below is none


@dataclass(frozen=True)
class Effect:
    """How far the second side's figure lies from the first's, and what chance has to do with it."""

    seeds: tuple[int, int]  # on either side; equal where paired
    paired: bool
    difference: float  # second less first
    p: float | None  # None: chance cannot be judged
    flips_p: float | None  # by sign flips; None where unpaired
    spread: float  # standard deviation of the difference between a seed on either side; 0 if there is none
    freedom: float  # degrees of freedom that each further seed on either side brings
    test: Any = None  # scipy's TtestResult, where there is a spread to go by

    def interval(self, level: float) -> tuple[float | None, float | None]:
        """From where to where the difference lies, with confidence `level`."""
        if self.test is None:
            return None, None
        low, high = self.test.confidence_interval(level)
        return float(low), float(high)

    def seeds_needed(self, difference: float, level: float) -> int | None:
        """The fewest seeds a side that show a true `difference` in POWER of all trials; None without a spread."""
        if self.test is None:
            return None
        counts = range(2, MOST_SEEDS + 1)
        return counts[0] + bisect_left(counts, POWER, key=lambda n: self.power(n, difference, level))

    def power(self, seeds: int, difference: float, level: float) -> float:
        """The chance that so many seeds a side show `difference`, from the noncentral t distribution."""
        freedom = (seeds - 1) * self.freedom
        critical = student.isf((1 - level) / 2, freedom)
        return float(nct.sf(critical, freedom, difference * np.sqrt(seeds) / self.spread))


def paired_effect(first: Sequence[float], second: Sequence[float]) -> Effect:
    """Of two sides with the same seeds in the same order. Where all pairs differ alike, the sign flips decide."""
    apart, pairs = np.subtract(second, first), len(first)
    scale = np.max(np.abs([first, second]))
    spread = deviation(apart, scale)
    test = t_test(ttest_rel, second, first) if spread else None
    flips = sign_flip_p(np.where(np.abs(apart) > ROUNDING * scale, apart, 0)) if pairs > 1 else None
    p = flips if test is None else float(test.pvalue)
    return Effect((pairs, pairs), True, float(apart.mean()), p, flips, spread, 1.0, test)


def welch_effect(first: Sequence[float], second: Sequence[float]) -> Effect:
    """Of two sides whose seeds have nothing to do with each other, each with a spread of its own."""
    scale, several = max(map(abs, (*first, *second))), min(len(first), len(second)) > 1
    spreads = [deviation(side, scale) for side in (first, second)]
    spread, difference = math.hypot(*spreads), float(np.mean(second) - np.mean(first))
    test = t_test(ttest_ind, second, first, equal_var=False) if several and spread else None
    p = float(test.pvalue) if test else 1.0 if several and abs(difference) <= ROUNDING * scale else None
    freedom = spread**4 / sum(each**4 for each in spreads) if spread else 1.0
    return Effect((len(first), len(second)), False, difference, p, None, spread, freedom, test)


def t_test(test: Callable[..., Any], *sides: Sequence[float], **how: Any) -> Any:
    """One of scipy's; it warns of a side without a spread, which is no harm while the other has one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return test(*sides, **how)


def deviation(values: ArrayLike, scale: float) -> float:
    """The standard deviation of a sample; 0 of a single value, and of values that are equal but for rounding."""
    numbers = np.asarray(values, dtype=np.float64)
    found = float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0
    return found if found > ROUNDING * scale else 0.0


def sign_flip_p(apart: NDArray[np.float64]) -> float:
    """How often pairs that differ by chance alone, so that each sign could be the other, differ as much or more.

    Fisher 1935, "The design of experiments", section 21. Exact up to EXACT_PAIRS; the smallest p is 2 / 2**pairs.
    """
    pairs = len(apart)
    if pairs <= EXACT_PAIRS:
        sums = (1 - 2 * (np.arange(2**pairs)[:, None] >> np.arange(pairs) & 1)) @ apart
    else:
        draw = np.random.default_rng(0).choice
        drawn = [draw([-1.0, 1.0], (AT_ONCE, pairs)) @ apart for _ in range(FLIPS // AT_ONCE)]
        sums = np.concatenate([*drawn, [apart.sum()]])  # and as it was: no p is 0
    return float((np.abs(sums) >= np.abs(apart.sum()) * (1 - ROUNDING)).mean())


def holm(values: Sequence[float | None]) -> list[tuple[float | None, float]]:
    """The p-value of each of several comparisons, adjusted (Holm 1979), and the level of its interval.

    At its level an interval leaves 0 out exactly where the adjusted p is below ALPHA. A comparison without p is none.
    """
    judged = sorted((p, index) for index, p in enumerate(values) if p is not None)
    found: list[tuple[float | None, float]] = [(None, 1 - ALPHA)] * len(values)
    largest, step = 0.0, 1
    for rank, (p, index) in enumerate(judged):
        if largest < ALPHA:  # once a comparison fails, its step is that of all that follow
            step = len(judged) - rank
        largest = max(largest, min(1.0, (len(judged) - rank) * p))
        found[index] = largest, 1 - ALPHA / step
    return found
