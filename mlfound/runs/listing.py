"""All runs of a folder at a glance, newest first; whatever else lies there is marked, and stops nobody."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlfound.errors import UserError
from mlfound.runs.find import folders
from mlfound.runs.plain_files import read_json
from mlfound.runs.status import moment, read_facts, schema_problem, seconds_taken


@dataclass(frozen=True)
class Entry:
    """One folder. `problem` says what is wrong with it, in words; `started` is in seconds since 1970."""

    id: str
    path: Path
    status: str
    started: float
    command: str | None = None
    start: str | None = None
    seconds: float | None = None
    metrics: Mapping[str, float | int] = field(default_factory=dict)
    checks_passed: int = 0
    checks_failed: int = 0
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As plain data, `path` as text."""
        return {**vars(self), "path": str(self.path)}


def list_runs(runs_dir: Path) -> list[Entry]:
    """An entry for each folder in `runs_dir`, newest first; none where there is no such folder."""
    return sorted(_entries(runs_dir), key=lambda entry: (entry.started, entry.id), reverse=True)


def _entries(runs_dir: Path) -> Iterator[Entry]:
    try:
        names = folders(runs_dir)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise UserError(f"--runs-dir {runs_dir}: cannot be read ({error.strerror}); name another") from error
    for name in names:
        if name != "latest" and not name.startswith("."):
            # FileNotFoundError: deleted while we looked
            with contextlib.suppress(FileNotFoundError):
                yield entry(runs_dir / name)


def entry(folder: Path) -> Entry:
    """What can be said of one folder; FileNotFoundError if there is none any more."""
    try:
        facts = read_facts(folder)
    except UserError as error:
        made = folder.stat().st_mtime
        status = "damaged" if os.path.lexists(folder / "run.json") else "no run"
        return Entry(folder.name, folder, status, made, problem=_within(folder, error))
    start, command = moment(facts, "start"), facts.get("command")
    summary, problem = _summary(folder, facts)
    verdicts = [check.get("passed") for check in _items(summary.get("checks")) if isinstance(check, dict)]
    return Entry(
        folder.name,
        folder,
        facts["status"],
        start.timestamp() if start else folder.stat().st_mtime,
        command if isinstance(command, str) else None,
        start.isoformat(timespec="seconds") if start else None,
        seconds_taken(facts),
        numbers(summary.get("metrics")),
        verdicts.count(True),
        verdicts.count(False),
        schema_problem(facts) or problem,
    )


def _summary(folder: Path, facts: Mapping[str, Any]) -> tuple[Mapping[str, Any], str | None]:
    """`summary.json`, which a run has that came to its end."""
    try:
        return read_json(folder / "summary.json"), None
    except UserError as error:
        ended = facts["status"] in ("completed", "diverged")
        present = os.path.lexists(folder / "summary.json")
        return {}, _within(folder, error) if ended or present else None


def numbers(metrics: object) -> dict[str, float | int]:
    """The metrics that are numbers, by name."""
    named = metrics.items() if isinstance(metrics, dict) else ()
    return {
        name: value for name, value in named if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _within(folder: Path, error: UserError) -> str:
    """The message, with the path from the run folder on."""
    return str(error).removeprefix(f"{folder}{os.sep}")
