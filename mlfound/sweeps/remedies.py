"""Five remedies against overfitting, in the lesson's order, each alone and all together: a sweep of trainings.

What a remedy buys is by how much it changes the test error of a network that is larger than needed.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlfound.config.loading import Override, load
from mlfound.config.remedies import RemediesConfig
from mlfound.config.sweeps import SweepConfig, seeds_of
from mlfound.data.load import load as load_data
from mlfound.data.registry import find
from mlfound.errors import UserError
from mlfound.results import Context, Result
from mlfound.runs.plain_files import read_json
from mlfound.runs.reader import Run
from mlfound.runs.recorder import RunRecorder
from mlfound.runs.run import Screen, carry_out
from mlfound.sweeps.axes import Axis, Said
from mlfound.sweeps.cures import ALONE, MORE_DATA, TOGETHER, Cure, compared, report
from mlfound.sweeps.grid import CASE, Grid, cells_of
from mlfound.sweeps.results import Setting
from mlfound.sweeps.summary import TRAINED, gathered, of_all_cells
from mlfound.sweeps.sweep import ResumedSweep, Where, outcomes

MORE = 5  # times as many rows are more data, as far as there are so many
ROWS = 50_000  # that `epochs` is for


def run(config: RemediesConfig, context: Context) -> Result:
    """Train what is missing of all cells; UserError where there are not so many rows."""
    splits = load_data(find(config.dataset, key="dataset"), context.data_dir, context.recorder.progress)
    there, largest = len(splits.train.y), max(config.rows)
    if largest > there:
        raise UserError(f"{largest:,} training rows are not available; write 1 to {there:,}", key="rows")
    grid, recorder = grid_of(config, there, splits.classes), context.recorder
    assert isinstance(recorder, RunRecorder)  # a sweep makes folders in its own
    cases, seeds = len(grid.axes[CASE]), len(grid.seeds)
    recorder.message(f"{len(grid.cells)} trainings: {cases} cases with {seeds} seeds each")
    where = Where(None if config.jobs == "auto" else config.jobs)
    done = outcomes(grid, config, recorder, where, context.data_dir)
    settings = gathered(grid, done, recorder.path / "cells")
    return report(compared(cures(config, there, settings)), there) + of_all_cells(grid, settings, TRAINED)


def resume(path: Path, overrides: Sequence[Override], data_dir: Path, screen: Screen) -> Run:
    """Go on in the folder of a run, by its own config but for `jobs`."""
    if (command := read_json(path / "run.json").get("command")) != "remedies":
        raise UserError(f"{path}: a run of {command}; name one of remedies")
    if others := [each.origin for each in overrides if each.key != "jobs"]:
        raise UserError(f"{others[0]}: a resumed run has its own; leave it out")
    loaded = load("remedies", path / "config.yaml", overrides)
    with ResumedSweep(path, screen, "remedies") as recorder:
        return carry_out("remedies", loaded, recorder, data_dir, screen)


def remedies(config: RemediesConfig) -> Mapping[str, Mapping[str, Any]]:
    """The network alone, and which of its sections each remedy replaces: the lesson's five in order, then all.

    All together are convolutions, and so neither a smaller network nor one with dropout.
    """

    def mlp(hidden: Sequence[int], dropout: float = 0.0) -> dict[str, Any]:
        return {"name": "mlp", "hidden": [*hidden], "dropout": dropout}

    augmentation = {"augment": config.augment.model_dump()}
    convolutions = {"model": {"name": "cnn"}}
    decay = {"optimizer": {"lr": config.lr, "weight_decay": config.weight_decay}}
    no_decay = {"optimizer": {"lr": config.lr, "weight_decay": 0.0}}
    return {
        ALONE: {"augment": None, "model": mlp(config.hidden), **no_decay},
        MORE_DATA: {},
        "augmentation": augmentation,
        "convolutions": convolutions,
        "regularisation": {"model": mlp(config.hidden, config.dropout), **decay},
        "smaller net": {"model": mlp(config.smaller)},
        TOGETHER: {**augmentation, **convolutions, **decay},
    }


def places(config: RemediesConfig, there: int) -> dict[tuple[str, int], tuple[str, int]]:
    """Of each remedy and number of rows the case, also as a remedy and the rows that it is trained on.

    More data are the network alone on more rows; of all rows there are no more.
    """
    found = {}
    for rows in sorted(config.rows):
        more = min(MORE * rows, there)
        for remedy in remedies(config):
            if remedy == MORE_DATA and more > rows:
                found[remedy, rows] = ALONE, more
            elif remedy != MORE_DATA:
                found[remedy, rows] = remedy, more if remedy == TOGETHER else rows
    return found


def grid_of(config: RemediesConfig, there: int, classes: int) -> Grid:
    """Every case once; the cells seed by seed, so that from a part of them one can tell how long the rest takes."""
    by_name, cases = remedies(config), dict[str, list[Override]]()
    for remedy, rows in places(config, there).values():
        sections = {**by_name[ALONE], **by_name[remedy]}
        keys = {
            "data": {"dataset": config.dataset, "train_rows": rows},
            **sections,
            "model": {**sections["model"], "outputs": classes},
            "epochs": epochs_on(rows, config.epochs),
        }
        cases[label(remedy, rows)] = [Override(key, value, "remedies") for key, value in keys.items()]
    seeds = seeds_of(config.seeds)
    sweep, axis = SweepConfig(seeds=config.seeds), Axis("seed", seeds, "seeds")
    cells = cells_of(Said(sweep, {}, {}, {"seed": axis}, cases, []), {})
    return Grid(sweep, sorted(cells, key=lambda cell: seeds.index(cell.seed or 0)), {CASE: [*cases]}, [])


def label(remedy: str, rows: int) -> str:
    return f"{remedy} on {rows:,} rows"


def epochs_on(rows: int, epochs: int) -> int:
    """A tenth of the rows have sqrt(10) times the epochs: neither as many epochs nor as many steps, but between."""
    return max(1, round(epochs * math.sqrt(ROWS / rows)))


def cures(config: RemediesConfig, there: int, settings: Sequence[Setting]) -> list[Cure]:
    """What completed, by number of rows and remedy."""
    by_label = {each.label: each for each in settings if each.completed}
    return [
        Cure(remedy, rows, case[1], setting)
        for (remedy, rows), case in places(config, there).items()
        if (setting := by_label.get(label(*case)))
    ]
