"""Schedules of learning rate and momentum: pieces, one after the other.

A piece follows a curve, which takes the values at its start and its end and the progress along it, from 0 to 1.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Curve = Callable[[float, float, float], float]


def constant(start: float, end: float, progress: float) -> float:
    """The value at the start throughout."""
    return start


def linear(start: float, end: float, progress: float) -> float:
    """The same difference with every step, as in the warm-up of Goyal et al. 2017, section 2.2."""
    return start + (end - start) * progress


def cosine(start: float, end: float, progress: float) -> float:
    """Half a cosine: slow, quick, slow (Loshchilov and Hutter 2017, eq. 5)."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def exponential(start: float, end: float, progress: float) -> float:
    """The same factor with every step; from 0 it stays at 0, as a momentum does."""
    return start * math.pow(end / start, progress) if start else 0.0


def polynomial(start: float, end: float, progress: float, power: float = 2.0) -> float:
    """The distance to the end is (1 - progress)^power of what it was (Chen et al. 2018, section 4.1)."""
    return end + (start - end) * math.pow(1 - progress, power)


@dataclass(frozen=True)
class Piece:
    """A `share` of all steps, in which the learning rate goes from `start` to `end` times the configured one.

    The momentum follows the same curve, from `momentum_start` to `momentum_end` times the configured one.
    """

    curve: Curve
    start: float
    end: float
    share: float = 1.0
    momentum_start: float = 1.0
    momentum_end: float = 1.0


def rates(pieces: Sequence[Piece], progress: float, lr: float, momentum: float) -> tuple[float, float]:
    """Learning rate and momentum to use now, from the configured ones.

    `progress` is the share of all steps that are done: 0 before the first step, 1 after the last.
    """
    begin, piece = 0.0, pieces[0]
    for following in pieces[1:]:
        if progress < begin + piece.share:
            break
        begin, piece = begin + piece.share, following
    along = min((progress - begin) / piece.share, 1.0)  # shares may add up to a rounding error less than 1
    return (
        piece.curve(piece.start * lr, piece.end * lr, along),
        piece.curve(piece.momentum_start * momentum, piece.momentum_end * momentum, along),
    )


def is_constant(pieces: Sequence[Piece]) -> bool:
    """Whether every step has the same rates, however many there are."""
    factors = {(piece.start, piece.momentum_start) for piece in pieces}
    return len(factors) == 1 and all(piece.curve is constant for piece in pieces)


PIECES: dict[str, Curve] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "exponential": exponential,
    "polynomial": polynomial,
}

# one-cycle (Smith 2018): a warm-up over the first 30% of the steps, then down to 0, while the momentum moves the
# opposite way, down to 0.9 of it at the highest learning rate, and back
SCHEDULES: dict[str, tuple[Piece, ...]] = {
    "constant": (Piece(constant, 1.0, 1.0),),
    "cosine": (Piece(cosine, 1.0, 0.0),),
    "one-cycle": (Piece(cosine, 0.04, 1.0, 0.3, 1.0, 0.9), Piece(cosine, 1.0, 0.0, 0.7, 0.9, 1.0)),
}
