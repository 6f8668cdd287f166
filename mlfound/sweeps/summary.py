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
    """Tables, pictures and verdict of all cells."""
    settings = gathered(grid, outcomes, cells)
    names, shown = figures_of(grid, settings), [each for each in settings if each.completed]
    result = Result()
    if shown and names:
        can_choose = "valid_loss" in names
        result = verdict(grid, shown) if can_choose else without_verdict(grid, shown, names)
    two_kinds = loss_varies(grid)  # whose losses are no one figure
    drawn = [name for name in names if not (name == "valid_loss" and two_kinds)]
    pictured = Result(pictures=pictures(grid, shown, drawn))
    return pictured + result + of_all_cells(grid, settings, names)


def gathered(grid: Grid, outcomes: Mapping[str, Outcome], cells: Path) -> list[Setting]:
    """All cells by their setting, in the order of the grid; those without an outcome are missing."""
    by_setting: dict[str, list[Done]] = {}
    for cell in grid.cells:
        found = outcomes.get(cell.name, Outcome(cell.name, "missing"))
        run = Run(cells / found.folder, forgiving=True) if found.folder else None
        by_setting.setdefault(formatted(cell.settings), []).append(Done(cell, found, run))
    labels = numbered([members[0].cell.setting for members in by_setting.values()])
    members_of = zip(labels, by_setting.values(), strict=True)
    return [Setting(label, members[0].cell, members) for label, members in members_of]


def of_all_cells(grid: Grid, settings: Sequence[Setting], names: Sequence[str]) -> Result:
    """How many cells there are, whether all completed, which did not, and a table of them."""
    completed = sum(len(each.completed) for each in settings)
    done = sorted((each for setting in settings for each in setting.done), key=lambda each: each.cell.number)
    return Result(
        {"cells": len(grid.cells), "cells_failed": len(grid.cells) - completed},
        checks=[Check("cells completed", completed == len(grid.cells), completed, len(grid.cells))],
        findings=[*failures(settings)],
        tables=[cells_table(grid, done, names)],
    )


def figures_of(grid: Grid, settings: Sequence[Setting]) -> Sequence[str]:
    """Of trainings the loss and accuracies that any has; else the first figures that all completed cells have."""
    found = [each.figures for setting in settings for each in setting.completed]
    if grid.config.command == "train":
        return [name for name in TRAINED if not found or any(name in each for each in found)]
    return [name for name in (found[0] if found else ()) if all(name in each for each in found)][:MAX_FIGURES]


def without_verdict(grid: Grid, settings: Sequence[Setting], names: Sequence[str]) -> Result:
    """Of a command without validation data, or of trainings on all of their data."""
    command = grid.config.command
    what = "these cells have" if command == "train" else f"{command} has"
    finding = f"No setting is called the best: {what} no validation data to choose by."
    findings = [finding] * (len(settings) > 1)
    return Result(findings=findings, tables=[settings_table(grid, settings, names)])


def failures(settings: Sequence[Setting]) -> Iterator[str]:
    """The settings of which cells failed, diverged or are missing: these are in no mean."""
    for each in settings:
        if bad := [one.outcome.status for one in each.done if one.outcome.status != "completed"]:
            yield f"{each.label or 'All'}: {len(bad)} of {len(each.done)} cells {' or '.join(sorted({*bad}))}."
