"""What a comparison has to go by: the sides, the settings of their runs, and every seed's figures."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlfound.config.documents import flat
from mlfound.config.models import CONFIGS
from mlfound.errors import UserError
from mlfound.results import EarlierRun

Figures = Mapping[str, float]  # by name, as in `tables/seeds.csv`

# keys that make no other experiment: what a comparison averages over ...
CHANCE = ("seed", "replicates")
# ... and what changes the rounding or the bookkeeping, not the mathematics
HOW = ("device", "threads", "engine", "product", "checkpoint")


@dataclass(frozen=True)
class Side:
    """Runs of one experiment that differ in nothing but their seeds."""

    label: str
    family: str  # what all sides it is held against have too; empty where there is one family
    runs: Sequence[EarlierRun]
    seeds: Mapping[int, Figures]

    @property
    def title(self) -> str:
        """Its label among the sides of all families."""
        return f"{self.family}: {self.label}" if self.family else self.label

    @property
    def repeats(self) -> int:
        """How many seeds were trained again; the newest run counts."""
        return sum(len(seed_figures(run)) for run in self.runs) - len(self.seeds)

    def values(self, metric: str) -> dict[int, float]:
        """The figure by seed; without those seeds that have none."""
        return {seed: row[metric] for seed, row in sorted(self.seeds.items()) if metric in row}


def sides(family: str, labels: Sequence[str], groups: Sequence[Sequence[EarlierRun]]) -> list[Side]:
    """A side a group of runs, which stand oldest first."""
    return [
        Side(label, family, runs, {seed: row for run in runs for seed, row in seed_figures(run).items()})
        for label, runs in zip(labels, groups, strict=True)
    ]


def labels(groups: Sequence[Sequence[EarlierRun]]) -> list[str]:
    """What tells them apart in a few words: the one or two settings that differ, else the runs' ids."""
    different = differing([settings(runs[0]) for runs in groups], besides=(*CHANCE, *HOW))
    named = spoken(different)
    if len(different) > 2 or len(set(named)) < len(groups):
        named = [str(runs[0].facts["id"]) for runs in groups]
    return [name if name not in named[:n] else f"{name} ({n + 1})" for n, name in enumerate(named)]


def spoken(different: Mapping[str, Sequence[Any]]) -> list[str]:
    """The values of some keys in words, group by group: `relu_shift 0.5, epochs 2`."""
    return [
        ", ".join(
            f"{key.rpartition('.')[2]} {word(value)}" for key, value in zip(different, row, strict=True)
        )
        for row in zip(*different.values(), strict=True)
    ]


def settings(run: EarlierRun) -> dict[str, Any]:
    """The run's config by dotted key; a key that is younger than the run has its default."""
    model = CONFIGS.get(run.facts["command"])
    return {**(dict(flat(model().model_dump(mode="json"))) if model else {}), **dict(flat(run.config))}


def differing(all_settings: Sequence[Mapping[str, Any]], besides: Sequence[str] = ()) -> dict[str, list[Any]]:
    """The keys whose values are not the same everywhere, with the values in order; None where there is none."""
    keys = dict.fromkeys(key for each in all_settings for key in each if not belongs(key, besides))
    rows = {key: [each.get(key) for each in all_settings] for key in keys}
    return {key: values for key, values in rows.items() if len(set(map(word, values))) > 1}


def belongs(key: str, names: Sequence[str]) -> bool:
    """Whether the key or its section is among the names."""
    return key in names or key.partition(".")[0] in names


def word(value: Any) -> str:
    """A setting as text; equal text is an equal setting."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def seed_figures(run: EarlierRun) -> dict[int, Figures]:
    """Each seed's figures; of a run from before there was `tables/seeds.csv`, those of its summary."""
    rows = run.tables.get("seeds")
    if rows is None:
        seeds = run.facts.get("seeds")
        if not (isinstance(seeds, list) and len(seeds) == 1 and isinstance(seeds[0], int)):
            raise UserError(f"{run.path}: damaged: it has no tables/seeds.csv", key="runs")
        return {seeds[0]: numbers(run.metrics)}
    try:
        return {int(row["seed"]): numbers(row) for row in rows}
    except (KeyError, ValueError) as error:
        raise UserError(f"{run.path / 'tables/seeds.csv'}: damaged ({error})", key="runs") from error


def numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """The cells that hold a finite number."""
    given = {name: float(value) for name, value in row.items() if value not in (None, "")}
    return {name: value for name, value in given.items() if math.isfinite(value)}
