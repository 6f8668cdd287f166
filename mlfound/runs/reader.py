"""A run folder, read back: what is torn, missing or not ours is a UserError that names the file."""

import csv
import io
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlfound.config.documents import read_file
from mlfound.errors import UserError
from mlfound.files import read_plain
from mlfound.results import EarlierRun
from mlfound.runs import status
from mlfound.runs.find import find_run
from mlfound.runs.listing import list_runs, numbers
from mlfound.runs.plain_files import read_json

LARGEST_TABLE = 16 * 1024 * 1024  # bytes of a CSV, all of whose rows are kept: up to a GiB in memory
# the columns that a comparison needs of the tables of a training
NEEDED = {"seeds": ("seed",), "epochs": ("epoch", "valid_loss", "valid_accuracy")}
# what run.json must say, or may leave out
KINDS = {"id": str, "command": str, "environment": dict, "dataset": dict | None, "seeds": list | None}


def read_run(name: str, key: str, runs_dir: Path = Path("runs")) -> EarlierRun:
    """The completed run that `name` stands for (see find_run); errors blame the config key that names it."""
    try:
        return read_folder(find_run(name, runs_dir))
    except UserError as error:
        raise UserError(str(error), key=key) from error


def all_runs(command: str, runs_dir: Path) -> tuple[list[EarlierRun], Counter[str]]:
    """The completed runs of `command` in `runs_dir`, oldest first, and how many others there are, by their status."""
    runs, others = [], Counter[str]()
    for entry in reversed(list_runs(runs_dir)):
        if entry.status == "damaged" or (entry.command == command and entry.status != "completed"):
            others[entry.status] += 1
        elif entry.command == command:
            try:
                runs.append(read_folder(entry.path))
            except UserError:
                others["damaged"] += 1
    return runs, others


def run_of_config(config: Path) -> Mapping[str, Any]:
    """`run.json` of the run whose `config.yaml` this is; nothing for any other file."""
    try:
        return read_facts(config.parent) if config.name == "config.yaml" else {}
    except UserError:
        return {}


def read_folder(folder: Path) -> EarlierRun:
    """The completed run in a folder, its path absolute."""
    facts = read_facts(folder)
    if facts["status"] != "completed":
        raise UserError(f"{folder}: this run is {facts['status']}, not completed; name another")
    config, _ = read_file(folder / "config.yaml", follow_links=False)
    if (folder / "tables").is_symlink():
        raise UserError(f"{folder / 'tables'}: a link, not a folder")
    tables = {file.stem: read_csv(file) for file in sorted((folder / "tables").glob("*.csv"))}
    if facts["command"] == "train":
        refuse_odd_training(folder, facts, tables)
    metrics = numbers(read_json(folder / "summary.json").get("metrics"))
    return EarlierRun(folder.resolve(), facts, config, tables, metrics)


def read_facts(folder: Path) -> Mapping[str, Any]:
    """What `run.json` says."""
    facts = status.read_facts(folder)
    for name, kind in KINDS.items():
        if not isinstance(facts.get(name), kind):
            raise UserError(f"{folder / 'run.json'}: damaged, or not of a run ({name!r} is wrong)")
    return facts


def refuse_odd_training(folder: Path, facts: Mapping[str, Any], tables: Mapping[str, Any]) -> None:
    """A comparison goes by the seeds of a training and by these tables, in which all are numbers."""
    seeds = facts["seeds"]
    if not seeds or not all(isinstance(seed, int) for seed in seeds):
        raise UserError(f"{folder / 'run.json'}: damaged, or not of a run ('seeds' is wrong)")
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
            raise UserError(f"{folder / 'tables' / name}.csv: damaged ({', '.join(missing)})")


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file by its header; every row has every column."""
    try:
        text = io.StringIO(read_plain(path, LARGEST_TABLE).decode("utf-8"), newline="")
        reader = csv.DictReader(text, strict=True)
        header, rows = reader.fieldnames, list(reader)
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path}: damaged ({error})") from error
    if not header or any(None in row or None in row.values() for row in rows):
        raise UserError(f"{path}: damaged (a row has too few or too many cells)")
    return rows
