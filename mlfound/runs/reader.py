"""A run folder, read back: what is torn, missing or not ours is a UserError that names the file."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlfound.config.documents import read_file
from mlfound.errors import UserError
from mlfound.results import EarlierRun


def read_run(path: str, key: str) -> EarlierRun:
    """The completed run in the folder `path`; errors blame the config key that names it."""
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(f"{path}: there is no such run folder", key=key)
    try:
        facts = read_facts(folder / "run.json")
        config, _ = read_file(folder / "config.yaml")
        tables = {file.stem: read_csv(file) for file in sorted((folder / "tables").glob("*.csv"))}
    except UserError as error:
        raise UserError(str(error), key=key) from error
    if facts.get("status") != "completed":
        raise UserError(f"{path}: this run is {facts.get('status')}, not completed; name another", key=key)
    return EarlierRun(folder, facts, config, tables)


def read_facts(path: Path) -> Mapping[str, Any]:
    """What `run.json` says."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged, or not of a run ({error})") from error
    if not (
        isinstance(facts, dict)
        and isinstance(facts.get("id"), str)
        and isinstance(facts.get("environment"), dict)
    ):
        raise UserError(f"{path}: damaged, or not of a run")
    return facts


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file by its header; every row has every column."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            header, rows = reader.fieldnames, list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path}: damaged ({error})") from error
    if not header or any(None in row or None in row.values() for row in rows):
        raise UserError(f"{path}: damaged (a row has too few or too many cells)")
    return rows
