"""What the cells of a sweep come to: a row for each, a row for each setting, and for trainings which is the best.

The best setting is chosen on validation data; the test accuracy is given for that one alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from mlfound.errors import some
from mlfound.experiments.comparison import verdicts
from mlfound.experiments.comparison.comparisons import Comparison, compare
from mlfound.experiments.comparison.differences import content
from mlfound.experiments.comparison.figures import MEASURES, Measure
from mlfound.experiments.comparison.seeds import dots
from mlfound.experiments.comparison.sides import Side
from mlfound.report.figures import figure as written
from mlfound.report.figures import words
from mlfound.results import Check, Column, EarlierRun, Picture, Result, Table
from mlfound.runs.earlier import earlier
from mlfound.runs.reader import Run
from mlfound.stats.estimates import Estimate
from mlfound.sweeps.grid import Cell, Grid
from mlfound.sweeps.worker import Outcome

TRAINED = ("valid_loss", "valid_accuracy", "test_accuracy")
MAX_FIGURES = 6  # of a command without a validation loss
MAX_SIDES = 8  # in the picture of every seed


@dataclass(frozen=True)
class Done:
    """A cell that was carried out, and the run that it left, if it did."""

    cell: Cell
    outcome: Outcome
    run: Run | None

    @cached_property
    def figures(self) -> Mapping[str, float | int]:
        return self.run.metrics if self.run else {}


@dataclass(frozen=True)
class Setting:
    """The cells that differ in nothing but their seed."""

    label: str
    settings: Mapping[str, Any]
    done: Sequence[Done]

    @cached_property
    def completed(self) -> list[Done]:
        return [each for each in self.done if each.outcome.status == "completed"]

    @cached_property
    def side(self) -> Side:
        """As a comparison takes it."""
        runs: list[EarlierRun] = [earlier(each.run.path) for each in self.completed if each.run]
        return Side(self.label or "all seeds", runs)

    def estimate(self, name: str) -> Estimate | None:
        """The mean of a figure over the cells, with its interval."""
        values = [each.figures[name] for each in self.completed if name in each.figures]
        return Estimate.mean(torch.tensor(values, dtype=torch.float64)) if values else None


def report(grid: Grid, outcomes: Mapping[str, Outcome], cells: Path) -> Result:
    """Tables, pictures and verdict of all cells that have an outcome."""
    done = [
        Done(cell, found, Run(cells / found.folder, forgiving=True) if found.folder else None)
        for cell in grid.cells
        if (found := outcomes.get(cell.name))
    ]
    by_setting: dict[str, list[Done]] = {}
    for each in done:
        by_setting.setdefault(each.cell.setting, []).append(each)
    settings = [Setting(label, group[0].cell.settings, group) for label, group in by_setting.items()]
    failed = len(grid.cells) - sum(len(each.completed) for each in settings)
    names = figures_of(grid, done)
    result = verdict(grid, settings) if grid.config.command == "train" else without_verdict(grid, settings, names)
    metrics = {"cells": len(grid.cells), "cells_failed": failed, "settings": len(settings)}
    return Result(
        {**result.metrics, **metrics},
        checks=[Check("cells completed", not failed, len(grid.cells) - failed, len(grid.cells))],
        findings=[*result.findings, *failures(settings)],
        tables=[*result.tables, cells_table(grid, done, names)],
        pictures=[*pictures(grid, settings, names), *result.pictures],
    )


def figures_of(grid: Grid, done: Sequence[Done]) -> Sequence[str]:
    """Of trainings their loss and accuracies; else the first figures that all completed cells have."""
    if grid.config.command == "train":
        return TRAINED
    found = [each.figures for each in done if each.outcome.status == "completed"]
    common = [name for name in (found[0] if found else ()) if all(name in each for each in found)]
    return common[:MAX_FIGURES]


def keys_of(grid: Grid) -> list[Column]:
    """A column for everything that varies, under its full key."""
    labels = [key.rpartition(".")[2] for key in grid.axes]
    return [
        Column(key, label if labels.count(label) == 1 else key, of=lambda each, key=key: plain(key, each), rank=1)
        for key, label in zip(grid.axes, labels, strict=True)
    ]


def plain(key: str, each: Any) -> Any:
    """A setting as a cell of a table; a list as YAML has it."""
    value = (each.cell if isinstance(each, Done) else each).settings[key]
    return value if isinstance(value, bool | int | float | str) else str(value).replace("'", "")


def cells_table(grid: Grid, done: Sequence[Done], names: Sequence[str]) -> Table:
    """A row for each cell, in the order of the grid."""
    columns = [
        Column("cell", of="cell.number"),
        *keys_of(grid),
        Column("seed", of="cell.seed"),
        Column("status", of="outcome.status"),
        *(Column(name, words(name), of=lambda each, name=name: each.figures.get(name)) for name in names),
        Column("seconds", of="run.seconds"),
        Column("error", of=lambda each: each.outcome.error or None),
        Column("run", of=lambda each: f"cells/{each.outcome.folder}" if each.outcome.folder else None),
    ]
    return Table.of("cells", "All cells", columns, done, shown="never")


def verdict(grid: Grid, settings: Sequence[Setting]) -> Result:
    """The best setting on validation, and those that no test tells from it."""
    loss_varies = "loss" in grid.axes or any("loss" in case for case in grid.config.cases.values())
    measure = MEASURES["valid_accuracy" if loss_varies else "valid_loss"]
    ranked = sorted(
        (each for each in settings if each.completed and each.side.values(measure.name)),
        key=lambda each: (len(each.completed) < len(each.done), -measure.better * mean(each, measure)),
    )
    if not ranked:
        return Result()
    names = [measure.name, *(["valid_accuracy"] if not loss_varies else [])]
    if len({content(run) for each in ranked for run in each.side.runs}) > 1:
        table = settings_table(grid, settings, names, {})
        return Result(findings=["The cells saw different data, so no setting is called the best."], tables=[table])
    best, *others = ranked
    found = compare([[each.side for each in ranked]], measure, measure.minimum) if others else []
    by_label = {each.second.label: each for each in found}
    metrics = {}
    for name in ("test_accuracy", "valid_loss", "valid_accuracy"):
        if (estimate := best.estimate(name)) is not None:
            metrics |= {f"best_{name}": estimate.value}
            ends = {f"best_{name}_low": estimate.low, f"best_{name}_high": estimate.high}
            metrics |= {end: value for end, value in ends.items() if value is not None}
    like = [each for each in found if not each.seen]
    return Result(
        {**metrics, "not_distinguishable": len(like)},
        findings=[*sentences(best, measure, found)],
        tables=[settings_table(grid, ranked, names, by_label), *([verdicts.table(found)] if found else [])],
        pictures=every_seed(ranked, found, measure),
    )


def mean(each: Setting, measure: Measure) -> float:
    return fmean(each.side.values(measure.name).values())


def sentences(best: Setting, measure: Measure, found: Sequence[Comparison]) -> Iterable[str]:
    """The best with its figures, those of its test set too; then those that are like it, and how many are worse."""
    of, test = best.label or "All seeds", ranged(best, "test_accuracy")
    yield f"{of}{' is best on validation' * bool(found)}: {test or ranged(best, measure.name)}."
    like = [each for each in found if not each.seen and each.p is not None]
    unknown = [each.second.label for each in found if each.p is None]
    over = f"p by Holm over {len(found)}" if len(found) > 1 else verdicts.p_value(found[0]) if found else ""
    worse = sum(each.seen for each in found)
    if worse:
        rest = "All" if worse == len(found) else f"{worse} of"
        yield f"{rest} {len(found)} other{'s' * (len(found) != 1)} {'are' if worse != 1 else 'is'} worse ({over})."
    if like:
        yield f"Not distinguishable from it ({over}): {some([each.second.label for each in like], 4)}."
    if unknown:
        yield f"One seed says nothing about chance, so nothing is said of {some(unknown, 4)}: add --seeds 0-9."


def ranged(each: Setting, name: str) -> str:
    """`validation loss 0.0744 (95% interval 0.0735 to 0.0753, 10 seeds)`."""
    estimate = each.estimate(name)
    if estimate is None:
        return ""
    says = f"{MEASURES[name].label} {written(name, estimate.value)}"
    if estimate.low is None:
        return f"{says}, one seed"
    ends = f"{written(name, estimate.low)} to {written(name, estimate.high)}"
    return f"{says} (95% interval {ends}, {estimate.draws} seeds)"


def settings_table(
    grid: Grid, settings: Sequence[Setting], names: Sequence[str], compared: Mapping[str, Comparison]
) -> Table:
    """A row for each setting, the best first: means over the seeds with their intervals, and the verdict."""
    columns = [*keys_of(grid), Column("cells", of=lambda each: len(each.completed), rank=3)]
    for rank, name in enumerate(names, 2):
        form = ".2%" if "accuracy" in name else ".4f" if name in MEASURES else ".4g"
        what = words(name).replace("valid ", "validation ")
        columns += [
            Column(name, what, form, of=lambda each, name=name: part(each, name, "value"), rank=rank),
            Column(f"{name}_low", "from" if rank == 2 else f"{what} from", form,
                   of=lambda each, name=name: part(each, name, "low"), rank=rank + 1),
            Column(f"{name}_high", "to" if rank == 2 else f"{what} to", form,
                   of=lambda each, name=name: part(each, name, "high"), rank=rank + 1),
        ]  # fmt: skip
    if compared:
        columns += [
            Column("p", format=".2g", of=lambda each: each.label in compared and compared[each.label].p or None),
            Column("verdict", of=lambda each: said(compared.get(each.label))),
        ]
    return Table.of("settings", f"Means over the seeds, with 95% intervals: {grid.config.command}", columns, settings, "always")


def part(each: Setting, name: str, attribute: str) -> Any:
    return getattr(each.estimate(name), attribute, None)


def said(comparison: Comparison | None) -> str:
    """Of the first there is no comparison: all are with it."""
    if comparison is None:
        return "best"
    return "not distinguishable" if comparison.p is not None and not comparison.seen else comparison.verdict


def without_verdict(grid: Grid, settings: Sequence[Setting], names: Sequence[str]) -> Result:
    """Of a command without validation data: its figures, setting by setting."""
    shown = [each for each in settings if each.completed]
    finding = f"No setting is called the best: {grid.config.command} has no validation data to choose by."
    return Result(findings=[finding], tables=[settings_table(grid, shown, names, {})] if shown and names else [])


def failures(settings: Sequence[Setting]) -> Iterable[str]:
    """The settings of which cells failed or diverged: these are not among the means."""
    for each in settings:
        if missing := len(each.done) - len(each.completed):
            statuses = sorted({one.outcome.status for one in each.done if one not in each.completed})
            yield f"{each.label or 'All'}: {missing} of {len(each.done)} cells {' or '.join(statuses)}."


def pictures(grid: Grid, settings: Sequence[Setting], names: Sequence[str]) -> list[Picture]:
    """Of the one or two keys that vary: a line with its band, or a heat map."""
    shown = [each for each in settings if each.completed]
    keys = [key for key, values in grid.axes.items() if len(values) > 1]
    if not (shown and names and 1 <= len(keys) <= 2):
        return []
    name = names[0]
    what = words(name).replace("valid ", "validation ")
    by_place = {tuple(plain(key, each) for key in keys): each for each in shown}
    values = [list(dict.fromkeys(place[n] for place in by_place)) for n in range(len(keys))]
    data = {"title": f"{what.capitalize()} by {' and '.join(keys)}", "figure": what}
    if len(keys) == 1:
        estimates = [by_place[(value,)].estimate(name) for value in values[0]]
        ends = [(each.low, each.value, each.high) if each else (None,) * 3 for each in estimates]
        low, means, high = zip(*ends, strict=True)
        seeds = [[one.figures.get(name) for one in by_place[(value,)].completed] for value in values[0]]
        line = {"key": keys[0], "values": values[0], "mean": means, "low": low, "high": high, "seeds": seeds}
        return [Picture("settings", "setting_line", {**data, **line})]
    estimates = [[by_place[a, b].estimate(name) if (a, b) in by_place else None for b in values[1]] for a in values[0]]
    table = {
        "keys": keys,
        "rows": values[0],
        "columns": values[1],
        "mean": [[each and each.value for each in row] for row in estimates],
        "half": [[each and each.half for each in row] for row in estimates],
    }
    return [Picture("settings", "setting_map", {**data, **table})]


def every_seed(ranked: Sequence[Setting], found: Sequence[Comparison], measure: Measure) -> list[Picture]:
    """The best settings seed by seed, and how far the others are from the first."""
    sides = [each.side for each in ranked[:MAX_SIDES]]
    if len(sides) < 2:
        return []
    more = f", the best {MAX_SIDES} of {len(ranked)}" if len(ranked) > MAX_SIDES else ""
    title = f"{measure.label.capitalize()}, seed by seed{more}"
    data = dots(sides, found[: len(sides) - 1], measure)
    return [Picture("seeds", "compared_seeds", {"title": title, "names": [each.label for each in sides], **data})]
