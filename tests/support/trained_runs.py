"""Runs of train as `compare` reads them, made by hand: a number of wrong images for each seed decides all figures."""

import csv
import json
from functools import partial
from pathlib import Path
from unittest.mock import Mock

from mlfound.config.loading import Override, dump, load
from mlfound.config.models import CompareConfig
from mlfound.experiments import compare
from mlfound.results import Context
from mlfound.runs.earlier import all_runs, read_run

RUNS = Path("runs")
WRONG = (
    287,
    288,
    299,
    296,
    286,
    297,
    284,
    299,
    284,
    273,
)  # of 10,000, seeds 0 to 9: `mlfound train`, two epochs
WIDER = (252, 256, 235, 245, 242, 245, 262, 251, 254, 233)  # the same with model.hidden=[100]
SHIFTED = (288, 292, 305, 305, 293, 273, 287, 291, 267, 283)  # with model.relu_shift=0.5
FIGURES = (
    "seed",
    "test_accuracy",
    "test_loss",
    "test_wrong",
    "valid_accuracy",
    "valid_loss",
    "train_loss",
    "best_epoch",
)


def figures(seed, wrong, test_wrong):
    valid = (1 - wrong / 1e4, 0.05 + wrong / 1e4)
    test = (1 - test_wrong / 1e4, 0.1 + test_wrong / 1e4, test_wrong)
    return dict(zip(FIGURES, (seed, *test, *valid, 0.1 + seed / 1e3, 2), strict=True))


def write_csv(path, rows):
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def made(
    name,
    wrong=WRONG,
    first_seed=0,
    command="train",
    old=False,
    status="completed",
    facts=(),
    test=None,
    **keys,
):
    """A run folder: `wrong` images by seed, other ones of `test`; `old` is from before there were several seeds."""
    path = RUNS / f"20261123-1200-{command}-{name}"
    path.mkdir(parents=True)
    seeds = list(range(first_seed, first_seed + len(wrong)))
    rows = [figures(*each) for each in zip(seeds, wrong, test or wrong, strict=True)]
    run = {
        "schema": 1, "id": path.name, "command": command, "status": status, "seeds": seeds,
        "start": f"2026-11-23T04:31:{len(list(RUNS.iterdir())):02}.000+00:00", "end": "2026-11-23T04:32:46.000+00:00",
        "dataset": {"name": "mnist", "digest": 64 * "a", "rows": {"train": 50_000, "valid": 10_000, "test": 10_000}},
        "device": "cpu", "threads": 1,
        "environment": {"cpu": "a", "python": "3.11.2", "packages": {"torch": "2.13.0"}, "git": None},
        **dict(facts),
    }  # fmt: skip
    (path / "run.json").write_text(json.dumps(run))
    overrides = [Override(key.replace("__", "."), value, "") for key, value in keys.items()]
    seed = [Override("seed", first_seed, "")] if command == "train" else []
    (path / "config.yaml").write_text(dump(load(command, None, [*overrides, *seed]).config))
    mean = {name: sum(row[name] for row in rows) / len(rows) for name in FIGURES[1:]}
    (path / "summary.json").write_text(json.dumps({"schema": 1, "metrics": mean, "checks": []}))
    epochs = [
        {
            "epoch": epoch,
            "seed": row["seed"],
            "valid_loss": 0.2 / epoch,
            "valid_accuracy": row["valid_accuracy"],
        }
        for epoch in (1, 2)
        for row in rows
    ]
    if old:
        epochs = [{name: value for name, value in row.items() if name != "seed"} for row in epochs]
    else:
        write_csv(path / "tables" / "seeds.csv", rows)
    write_csv(path / "tables" / "epochs.csv", epochs)
    return path


def compared(*runs, **keys):
    """What `compare` finds, without a run of its own and its pictures: findings, and the rows of each table."""
    context = Context(Mock(), Path(), {}, read_run, partial(all_runs, runs_dir=RUNS))
    result = compare.run(CompareConfig(runs=tuple(map(str, runs)), **keys), context)
    tables = {
        table.name: [
            dict(zip([column.name for column in table.columns], row, strict=True)) for row in table.rows
        ]
        for table in result.tables
    }
    return result, tables
