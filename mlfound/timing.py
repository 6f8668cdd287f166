"""How a duration is measured: everything side by side in interleaved rounds, so that all meet the same machine."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles
from time import perf_counter

Rung = Callable[[], object]


def interleaved(rungs: Mapping[str, Rung], rounds: int, warm_up: int = 1) -> dict[str, list[float]]:
    """Seconds that each rung took in each round: A B C, A B C, ... The `warm_up` rounds before are not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in rungs}
    for number in range(-warm_up, rounds):
        for name, rung in rungs.items():
            start = perf_counter()
            rung()
            if number >= 0:
                seconds[name].append(perf_counter() - start)
    return seconds


def ratios(numerator: Sequence[float], denominator: Sequence[float]) -> list[float]:
    """Round by round: what slowed a whole round down cancels out."""
    return [a / b for a, b in zip(numerator, denominator, strict=True)]


def median_and_iqr(values: Sequence[float]) -> tuple[float, float]:
    """The middle, and the width of the middle half; at least two values."""
    low, _, high = quantiles(values, n=4, method="inclusive")
    return median(values), high - low
