"""Schedules of learning rate and momentum.

Each schedule takes the progress (0 before the first step, 1 after the last) and the configured values, and
returns the two to use now.
"""

import math
from collections.abc import Callable

Schedule = Callable[[float, float, float], tuple[float, float]]


def ease(start: float, end: float, progress: float) -> float:
    """From start to end along half a cosine: slow, quick, slow."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def constant(progress: float, lr: float, momentum: float) -> tuple[float, float]:
    """The configured values throughout."""
    return lr, momentum


def cosine(progress: float, lr: float, momentum: float) -> tuple[float, float]:
    """The learning rate falls to 0 along half a cosine (Loshchilov and Hutter 2017, eq. 5, without restarts)."""
    return ease(lr, 0.0, progress), momentum


def one_cycle(
    progress: float, lr: float, momentum: float, warm_up: float = 0.3, start: float = 0.04, dip: float = 0.9
) -> tuple[float, float]:
    """A warm-up to `lr` over the first 30% of the steps, then a cosine to 0 (Smith 2018).

    Momentum moves the opposite way: from `momentum` down to 0.9 of it at the highest learning rate, and back.
    """
    if progress < warm_up:
        rise = progress / warm_up
        return ease(start * lr, lr, rise), ease(momentum, dip * momentum, rise)
    fall = (progress - warm_up) / (1 - warm_up)
    return ease(lr, 0.0, fall), ease(dip * momentum, momentum, fall)


SCHEDULES: dict[str, Schedule] = {
    "constant": constant,
    "cosine": cosine,
    "one-cycle": one_cycle,
}
