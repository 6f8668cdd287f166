"""What a sweep comes to: verdict, tables and pictures of all its cells."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mlfound.experiments.comparison.differences import formatted, numbered
from mlfound.results import Check, Result
from mlfound.runs.reader import Run
from mlfound.sweeps.grid import Grid
from mlfound.sweeps.pictures import pictures
from mlfound.sweeps.results import Done, Setting, cells_table, settings_table
from mlfound.sweeps.verdict import loss_varies, verdict
from mlfound.sweeps.worker import Outcome

TRAINED = ("valid_loss", "valid_accuracy", "test_accuracy")
MAX_FIGURES = 6  # of a command without a validation loss


def report(grid: Grid, outcomes: Mapping[str, Outcome], cells: Path) -> Result:
    """Tables, pictures and verdict of all cells; those without an outcome are missing."""
    done = []
    for cell in grid.cells:
        found = outcomes.get(cell.name, Outcome(cell.name, "missing"))
        done.append(Done(cell, found, Run(cells / found.folder, forgiving=True) if found.folder else None))
    by_setting: dict[str, list[Done]] = {}
    for each in done:
        by_setting.setdefault(formatted(each.cell.settings), []).append(each)
    labels = numbered([members[0].cell.setting for members in by_setting.values()])
    members_of = zip(labels, by_setting.values(), strict=True)
    settings = [Setting(label, members[0].cell, members) for label, members in members_of]
    completed, names = sum(len(each.completed) for each in settings), figures_of(grid, settings)
    shown = [each for each in settings if each.completed]
    result = Result()
    if shown and names:
        is_train = grid.config.command == "train"
        result = verdict(grid, shown) if is_train else without_verdict(grid, shown, names)
    return Result(
        {**result.metrics, "cells": len(grid.cells), "cells_failed": len(grid.cells) - completed},
        checks=[Check("cells completed", completed == len(grid.cells), completed, len(grid.cells))],
        findings=[*result.findings, *failures(settings)],
        tables=[*result.tables, cells_table(grid, done, names)],
        # losses of two kinds are no one figure
        pictures=[*pictures(grid, shown, names[1:] if loss_varies(grid) else names), *result.pictures],
    )


def figures_of(grid: Grid, settings: Sequence[Setting]) -> Sequence[str]:
    """Of trainings their loss and accuracies; else the first figures that all completed cells have."""
    if grid.config.command == "train":
        return TRAINED
    found = [each.figures for setting in settings for each in setting.completed]
    return [name for name in (found[0] if found else ()) if all(name in each for each in found)][:MAX_FIGURES]


def without_verdict(grid: Grid, settings: Sequence[Setting], names: Sequence[str]) -> Result:
    """Of a command without validation data."""
    finding = f"No setting is called the best: {grid.config.command} has no validation data to choose by."
    return Result(findings=[finding], tables=[settings_table(grid, settings, names)])


def failures(settings: Sequence[Setting]) -> Iterator[str]:
    """The settings of which cells failed, diverged or are missing: these are in no mean."""
    for each in settings:
        if bad := [one.outcome.status for one in each.done if one.outcome.status != "completed"]:
            yield f"{each.label or 'All'}: {len(bad)} of {len(each.done)} cells {' or '.join(sorted({*bad}))}."
