"""What a comparison is made from: its sides, the settings of their runs, and every seed's figures."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mlfound.config.documents import flat
from mlfound.config.keys import defaults
from mlfound.config.models import CONFIGS
from mlfound.errors import UserError
from mlfound.results import EarlierRun

# keys that a comparison averages over, and those that change no more than rounding and bookkeeping
CHANCE = ("seed", "replicates")
HOW = ("device", "threads", "engine", "product", "checkpoint")


@dataclass(frozen=True)
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
    rows, seeds = run.tables.get("seeds"), run.facts.get("seeds")
    if rows is None:
        if not (isinstance(seeds, list) and len(seeds) == 1 and isinstance(seeds[0], int)):
            raise UserError(f"{run.path}: damaged: it has no tables/seeds.csv", key="runs")
        return {seeds[0]: numeric(run.metrics)}
    try:
        return {int(row["seed"]): numeric(row) for row in rows}
    except (KeyError, ValueError) as error:
        raise UserError(f"{run.path / 'tables/seeds.csv'}: damaged ({error})", key="runs") from error


def numeric(row: Mapping[str, Any]) -> dict[str, float]:
    """The cells that hold a finite number."""
    numbers = {name: float(value) for name, value in row.items() if value not in (None, "")}
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def settings(run: EarlierRun) -> dict[str, Any]:
    """The run's config by dotted key; a key that is younger than the run has its default."""
    model = CONFIGS.get(run.facts["command"])
    return {**(dict(flat(defaults(model, run.config))) if model else {}), **dict(flat(run.config))}


def without(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The row without the keys and the sections of these names."""
    return {key: value for key, value in row.items() if not {key, key.partition(".")[0]} & {*names}}


def differing(rows: Sequence[Mapping[str, Any]], besides: Sequence[str] = ()) -> dict[str, list[Any]]:
    """The keys whose values are not the same in all rows, with the values in order; None where there is none."""
    keys = without({key: None for row in rows for key in row}, besides)
    columns = {key: [row.get(key) for row in rows] for key in keys}
    return {key: values for key, values in columns.items() if len(set(map(formatted, values))) > 1}


def described(different: Mapping[str, Sequence[Any]]) -> list[str]:
    """The values of some keys in words, for each of those that differ in them: `relu_shift 0.5, epochs 2`."""
    names = [key.rpartition(".")[2] for key in different]
    return [
        ", ".join(f"{name} {formatted(value)}" for name, value in zip(names, row, strict=True))
        for row in zip(*different.values(), strict=True)
    ]


def formatted(value: Any) -> str:
    """A setting as text; equal text is an equal setting."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
