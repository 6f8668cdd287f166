"""Completed runs as experiments get them, to compare or to repeat: strict, since figures are calculated from them."""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlfound.errors import UserError
from mlfound.results import EarlierRun
from mlfound.runs.find import find_run
from mlfound.runs.listing import list_runs
from mlfound.runs.reader import Run

# the columns that a comparison needs of the tables of a training
NEEDED = {"seeds": ("seed",), "epochs": ("epoch", "valid_loss", "valid_accuracy")}
# what run.json must say, or may leave out, of a run that is to be compared
KINDS = {"id": str, "command": str, "environment": dict, "dataset": dict | None, "seeds": list | None}
CONFIG_OF = {"lr-find": "train"}  # the command whose configs a command takes as well


def read_run(name: str, key: str, runs_dir: Path = Path("runs")) -> EarlierRun:
    """The completed run that `name` stands for (see find_run); errors blame the config key that names it."""
    try:
        return earlier(find_run(name, runs_dir))
    except UserError as error:
        raise UserError(str(error), key=key) from error


def earlier(path: Path) -> EarlierRun:
    """The completed run in a folder, its path absolute."""
    run = Run(path)
    refuse_wrong_facts(run)
    if run.status != "completed":
        raise UserError(f"{path}: this run is {run.status}, not completed; name another")
    found = EarlierRun(path.resolve(), run.facts, run.config, run.tables, run.metrics)
    if run.command == "train":
        refuse_odd_training(run, found.tables)
    return found


def refuse_wrong_facts(run: Run) -> None:
    """A UserError if its `run.json` does not say what a run's does."""
    for name, kind in KINDS.items():
        if not isinstance(run.facts.get(name), kind):
            raise UserError(f"{run.path / 'run.json'}: damaged, or not of a run ({name!r} is wrong)")


def refuse_odd_training(run: Run, tables: Mapping[str, Any]) -> None:
    """A comparison goes by the seeds of a training and by these tables, in which all are numbers."""
    seeds = run.facts["seeds"]
    if not seeds or not all(isinstance(seed, int) for seed in seeds):
        raise UserError(f"{run.path / 'run.json'}: damaged, or not of a run ('seeds' is wrong)")
    for name, columns in NEEDED.items():
        rows = tables.get(name, ())
        missing = [column for column in columns if rows and column not in rows[0]]
        try:
            for row in rows:
                int(row.get("seed", 0))
                for cell in row.values():
                    float(cell or 0)
        except ValueError as error:
            missing.append(str(error))
        if missing:
            raise UserError(f"{run.path / 'tables' / name}.csv: damaged ({', '.join(missing)})")


def all_runs(command: str, runs_dir: Path) -> tuple[list[EarlierRun], Counter[str]]:
    """The completed runs of `command` in `runs_dir`, oldest first, and how many others there are, by their status."""
    runs, others = [], Counter[str]()
    for run in reversed(list_runs(runs_dir)):
        if run.status == "damaged" or (run.command == command and run.status != "completed"):
            others[run.status] += 1
        elif run.command == command:
            try:
                runs.append(earlier(run.path))
            except UserError:
                others["damaged"] += 1
    return runs, others


def config_file(word: str, command: str, runs_dir: Path) -> Path:
    """The YAML file that a CONFIG means: the file itself, or that of a run of `command` or of its CONFIG_OF."""
    path = Path(os.path.expanduser(word))
    if is_yaml(word) or (path.is_file() and path.name != "latest"):
        return path
    config = find_run(word, runs_dir) / "config.yaml"
    if not config.exists() and any(config.parent.glob("*.yaml")):
        raise UserError(f"{word}: a folder that is no run; write the path of a YAML file in it")
    of = run_of_config(config).get("command", command)
    if of not in (command, CONFIG_OF.get(command)):
        raise UserError(f"{word}: a run of {of}; mlfound {of} {word} repeats it")
    return config


def is_yaml(word: str) -> bool:
    """Whether it is named as YAML files are, and no folder."""
    return word.endswith((".yaml", ".yml")) and not os.path.isdir(os.path.expanduser(word))


def run_of_config(config: Path) -> Mapping[str, Any]:
    """`run.json` of the run whose `config.yaml` this is; nothing for any other file."""
    try:
        if config.name == "config.yaml":
            run = Run(config.parent)
            refuse_wrong_facts(run)
            return run.facts
    except UserError:
        pass
    return {}
