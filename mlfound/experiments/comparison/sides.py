"""What a comparison is made from: its sides, and every seed's figures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mlfound.errors import UserError
from mlfound.results import EarlierRun


@dataclass(frozen=True, eq=False)
class Side:
    """Runs of one experiment that differ in nothing but their seeds, oldest first."""

    label: str
    runs: Sequence[EarlierRun]
    family: str = ""  # what the sides of its family have in common; empty where there is one family

    @property
    def title(self) -> str:
        """Its label among the sides of all families."""
        return f"{self.family}: {self.label}" if self.family else self.label

    @cached_property
    def seeds(self) -> dict[int, dict[str, float]]:
        """Each seed's figures by name, as in `tables/seeds.csv`; of a seed trained again, the newest run's."""
        return {seed: row for run in self.runs for seed, row in seed_figures(run).items()}

    @property
    def repeats(self) -> int:
        """How many seeds were trained again."""
        return sum(len(seed_figures(run)) for run in self.runs) - len(self.seeds)

    def values(self, metric: str) -> dict[int, float]:
        """The figure by seed, without those seeds that have none."""
        return {seed: row[metric] for seed, row in sorted(self.seeds.items()) if metric in row}


Family = Sequence[Side]  # every side is compared with the first


def seed_figures(run: EarlierRun) -> dict[int, dict[str, float]]:
    """Each seed's figures; of a run from before there was `tables/seeds.csv`, those of its summary."""
    rows, seeds = run.tables.get("seeds"), run.facts["seeds"]
    if rows is None:
        if len(seeds) > 1:
            raise UserError(f"{run.path}: damaged: it has no tables/seeds.csv", key="runs")
        return {seeds[0]: with_error(numeric(run.metrics))}
    return {int(row["seed"]): with_error(numeric(row)) for row in rows}


def with_error(row: dict[str, float]) -> dict[str, float]:
    """The same and the test error, which the accuracy comes to."""
    return row | ({"test_error": 1 - row["test_accuracy"]} if "test_accuracy" in row else {})


def numeric(row: Mapping[str, Any]) -> dict[str, float]:
    """The cells that hold a finite number."""
    numbers = {name: float(value) for name, value in row.items() if value not in (None, "")}
    return {name: value for name, value in numbers.items() if math.isfinite(value)}
