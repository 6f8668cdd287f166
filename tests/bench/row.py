"""What a benchmark says when it is over: one measured figure beside the one that is wanted."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from mlfound.stats.timing import Timing, quartiles

ROUNDS, FEW_ROUNDS = 11, 5  # of a second each


@dataclass(frozen=True)
class Row:
    """`measured`, with the middle half of `n` rounds where there were rounds; `where` is its run folder."""

    what: str
    measured: float
    wanted: tuple[float, float]  # from, to
    n: int
    middle_half: tuple[float, float] | None = None
    where: str = ""

    @property
    def holds(self) -> bool:
        low, high = self.wanted
        return low <= self.measured <= high


def at_most(what: str, ours: Timing, theirs: Timing, bound: float) -> Row:
    """How many times as long as `theirs` ours take, round by round."""
    ratios = theirs.times_as_fast_as(ours)
    return Row(what, median(ratios), (0.0, bound), ours.n, quartiles(ratios))


Rows = Iterator[Row]
