"""What a trial says when it is over: how many cases it tried, from which seed, and which of them failed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Report:
    """`failures` has a line for each failed case, enough to make it again with the `seed`; `note` is for the rest."""

    name: str
    cases: int
    failures: Sequence[str]
    seed: int
    seconds: float
    note: str = ""


# count, seed, and an empty folder that is the trial's own; a trial that needs less than `count` cases says so
Trial = Callable[[int, int, Path], Report]
