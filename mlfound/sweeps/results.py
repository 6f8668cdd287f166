"""What the cells of a sweep left, as a row for each, and as a row for each setting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch

from mlfound.experiments.comparison.sides import Side
from mlfound.report.figures import words
from mlfound.results import Column, Table
from mlfound.runs.earlier import earlier
from mlfound.runs.reader import Run
from mlfound.stats.estimates import Estimate
from mlfound.sweeps.grid import Cell, Grid
from mlfound.sweeps.worker import Outcome


@dataclass(frozen=True)
class Done:
    """A cell, how it ended, and the run that it left, if it did."""

    cell: Cell
    outcome: Outcome
    run: Run | None

    @cached_property
    def figures(self) -> Mapping[str, float | int]:
        return self.run.metrics if self.run else {}


@dataclass(frozen=True)
class Setting:
    """The cells that differ in nothing but their seed; its figures are those of the completed ones."""

    label: str  # empty where the seed alone varies
    cell: Cell  # one of them
    done: Sequence[Done]

    @cached_property
    def completed(self) -> list[Done]:
        return [each for each in self.done if each.outcome.status == "completed"]

    @cached_property
    def side(self) -> Side:
        """As a comparison takes it."""
        runs = [earlier(each.run.path) for each in self.completed if each.run]
        return Side(self.label or "all seeds", runs)

    def values(self, name: str) -> list[float]:
        """A figure, cell by cell."""
        return [each.figures[name] for each in self.completed if name in each.figures]

    def estimate(self, name: str) -> Estimate | None:
        """The mean of a figure, with its interval."""
        values = self.values(name)
        return Estimate.mean(torch.tensor(values, dtype=torch.float64)) if values else None


def cells_table(grid: Grid, done: Sequence[Done], names: Sequence[str]) -> Table:
    """A row for each cell, in the order of the grid."""
    columns = [
        Column("cell", of="cell.number"),
        *keys_of(grid),
        Column("seed", of="cell.seed"),
        Column("status", of="outcome.status"),
        *(Column(name, label(name), of=partial(one_figure, name)) for name in names),
        Column("seconds", of="run.seconds"),
        Column("error", of=lambda each: each.outcome.error or None),
        Column("run", of=lambda each: f"cells/{each.outcome.folder}" if each.outcome.folder else None),
    ]
    return Table.of("cells", "All cells", columns, done, shown="never")


def settings_table(
    grid: Grid, settings: Sequence[Setting], names: Sequence[str], verdicts: Sequence[Column] = ()
) -> Table:
    """A row for each setting: the means of these figures over its cells with their intervals, and `verdicts`."""
    columns = [*keys_of(grid), Column("cells", of=lambda each: len(each.completed), rank=4)]
    for name in names:
        form, what = ".2%" if "accuracy" in name else ".4f" if "loss" in name else ".4g", label(name)
        of, rank = ("", 2) if name == names[0] else (f"{what} ", 5)  # whose interval it is, of the others
        columns += [
            Column(name, what, form, partial(mean, name, "value"), rank=rank),
            Column(f"{name}_low", f"{of}from", form, partial(mean, name, "low"), rank=rank),
            Column(f"{name}_high", f"{of}to", form, partial(mean, name, "high"), rank=rank),
        ]
    title = f"Means over the cells with 95% intervals, {grid.config.command}"
    return Table.of("settings", title, [*columns, *verdicts], settings, "always")


def keys_of(grid: Grid) -> list[Column]:
    """A column for everything that varies, under its full key."""
    last = [key.rpartition(".")[2] for key in grid.axes]
    labels = [word if last.count(word) == 1 else key for key, word in zip(grid.axes, last, strict=True)]
    return [
        Column(key, text, of=partial(plain, key), rank=1) for key, text in zip(grid.axes, labels, strict=True)
    ]


def plain(key: str, each: Done | Setting) -> Any:
    """What a cell or setting has for a key, for a table; a list as YAML has it."""
    value = each.cell.settings[key]
    return value if isinstance(value, bool | int | float | str) else str(value).replace("'", "")


def one_figure(name: str, each: Done) -> float | None:
    return each.figures.get(name)


def mean(name: str, part: str, each: Setting) -> float | None:
    """A part of an estimate: its `value`, the `low` or `high` end of its interval, `half` of that.

    The interval of an accuracy ends at 0 and 1.
    """
    found: float | None = getattr(each.estimate(name), part, None)
    return min(max(found, 0.0), 1.0) if found is not None and "accuracy" in name else found


def label(name: str) -> str:
    return words(name).replace("valid ", "validation ")
