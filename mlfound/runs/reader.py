"""A run folder read back: what the list, the page, a comparison, an export and Python all read it with."""

import csv
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from mlfound.errors import UserError
from mlfound.files import read_plain
from mlfound.report.contents import Sheet
from mlfound.runs.notes import NOTES, Notes, read_notes
from mlfound.runs.plain_files import parse_json, read_json
from mlfound.runs.status import moment, read_facts, schema_problem, seconds_taken

MAX_TABLE_BYTES = 16 * 1024 * 1024  # of a CSV, all of whose rows are kept: up to a GiB in memory
MAX_METRICS_BYTES = 64 * 1024 * 1024
INTEGER = re.compile(r"[-+]?[0-9]{1,300}")
FLOAT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?|nan|[-+]?inf")

T = TypeVar("T")


class Run:
    """A run folder; each part is read when it is asked for.

        run.status, run.config["epochs"], run.metrics["test_accuracy"], run.table("epochs")[-1]["valid_loss"]

    What is torn, missing or not ours is a UserError that names the file. With `forgiving` it is a line of
    `problems` instead, and what is asked for is empty; a folder that is no run has the status "damaged" or "no run".
    """

    def __init__(self, path: str | os.PathLike[str], *, forgiving: bool = False) -> None:
        self.path, self.forgiving = Path(path), forgiving
        self.problems: list[str] = []
        self.left_out: Mapping[str, str] = {}  # files not to be looked at: a problem has been noted already
        self.facts: dict[str, Any] = {}
        try:
            self.facts = read_facts(self.path)
            self.status = str(self.facts["status"])
            self.problems += filter(None, [schema_problem(self.facts)])
        except UserError as error:
            if not forgiving:
                raise
            self.status = "damaged" if os.path.lexists(self.path / "run.json") else "no run"
            self.note(error)

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"<Run {self.id}: {self.status}>"

    def _repr_html_(self) -> str:
        from mlfound.report.page import card
        from mlfound.runs.contents import read_contents

        return card(read_contents(self.path))

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def command(self) -> str | None:
        command = self.facts.get("command")
        return command if isinstance(command, str) else None

    @property
    def passed(self) -> bool:
        """Whether it came to its end and every check passed."""
        return self.status == "completed"

    @property
    def seconds(self) -> float | None:
        """How long it took, or has taken so far."""
        return seconds_taken(self.facts)

    @cached_property
    def started(self) -> float:
        """In seconds since 1970; where `run.json` does not say, when the folder was last changed."""
        start = moment(self.facts, "start")
        return start.timestamp() if start else self.path.stat().st_mtime

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The resolved config, sections as mappings."""
        from mlfound.config.documents import read_back  # here: what needs no config need not wait for yaml

        return self.read(read_back, "config.yaml", {}, needed=bool(self.facts))

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """`summary.json`, which a run has that came to its end."""
        ended = self.status in ("completed", "diverged")
        return self.read(read_json, "summary.json", {}, needed=ended) if self.facts else {}

    @cached_property
    def notes(self) -> Notes:
        """Its tags and its note, which are the user's."""
        there = os.path.lexists(self.path / NOTES)
        return self.read(read_notes, NOTES, Notes()) if there else Notes()

    @property
    def metrics(self) -> dict[str, float | int]:
        """The figures by name: fractions from 0 to 1, verdicts true or false."""
        return numeric(self.summary.get("metrics"))

    @property
    def checks(self) -> list[Mapping[str, Any]]:
        """Of each check its `name`, whether it `passed`, the measured `value` and its `bound`."""
        checks = self.summary.get("checks")
        return [check for check in checks if isinstance(check, dict)] if isinstance(checks, list) else []

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`; a torn last one is forgiven, as is a missing file."""
        if not os.path.lexists(self.path / "metrics.jsonl"):
            return []
        content = self.read(lambda path: read_plain(path, MAX_METRICS_BYTES), "metrics.jsonl", b"")
        return list(json_rows(content.splitlines()))

    @property
    def tables(self) -> dict[str, list[dict[str, str]]]:
        """The rows of every CSV file by its name, as text."""
        return {name: self.rows_of(name) for name in self.names("tables", ".csv")}

    def table(self, name: str) -> list[dict[str, Any]]:
        """The rows of one; the cells of a column are all numbers, None where empty, or all text."""
        self.refuse_unknown(name, "table", self.names("tables", ".csv"))
        rows = self.rows_of(name)
        columns = {key: with_numbers([row[key] for row in rows]) for key in (rows[0] if rows else ())}
        return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]

    def plot(self, name: str) -> Path:
        """Where the PNG of a picture is."""
        self.refuse_unknown(name, "picture", self.names("plots", ".png"))
        return self.path / "plots" / f"{name}.png"

    def as_json(self) -> dict[str, Any]:
        """What a list says of it, as plain data."""
        start = moment(self.facts, "start")
        verdicts = [check.get("passed") for check in self.checks]
        return {
            "id": self.id,
            "path": str(self.path),
            "status": self.status,
            "started": self.started,
            "command": self.command,
            "start": start.isoformat(timespec="seconds") if start else None,
            "seconds": self.seconds,
            "seeds": self.facts.get("seeds"),
            "dataset": at(self.facts, "dataset.name"),
            "config": self.config,
            "tags": self.notes.tags,
            "note": self.notes.text,
            "metrics": self.metrics,
            "checks_passed": verdicts.count(True),
            "checks_failed": verdicts.count(False),
            "problem": self.problem,
        }

    @property
    def problem(self) -> str | None:
        """The first thing that is wrong with its `run.json` or `summary.json`, in words."""
        _ = self.summary  # if something is wrong with it, that is noted now
        return next(iter(self.problems), None)

    def rows_of(self, name: str) -> list[dict[str, str]]:
        sheet = self.read(read_sheet, f"tables/{name}.csv", Sheet(name, (), (), 0))
        return [dict(zip(sheet.header, row, strict=True)) for row in sheet.rows]

    def names(self, kind: str, ending: str) -> list[str]:
        """The files of a subfolder, in the order of the alphabet."""
        if (self.path / kind).is_symlink():
            self.note(UserError(f"{self.path / kind}: a link, not a folder"))
            return []
        try:
            return sorted(each.stem for each in (self.path / kind).iterdir() if each.suffix == ending)
        except OSError:
            return []

    def refuse_unknown(self, name: str, what: str, names: list[str]) -> None:
        if name not in names:
            raise UserError(f"{self.path}: no {what} {name!r}; there are: {', '.join(names) or 'none'}")

    def read(self, reader: Callable[[Path], T], name: str, absent: T, needed: bool = False) -> T:
        """What `reader` gives for a file; see the class for what cannot be read. `needed`: a file must be there."""
        path = self.path / name
        if self.forgiving and (name in self.left_out or not (needed or os.path.lexists(path))):
            return absent
        try:
            return reader(path)
        except UserError as error:
            self.note(error)
            return absent

    def note(self, error: UserError) -> None:
        """A line of `problems`, its path from the run folder on; if that may not be, the error."""
        if not self.forgiving:
            raise error
        self.problems.append(str(error).removeprefix(f"{self.path}{os.sep}"))


def read_sheet(path: Path, limit: int = MAX_TABLE_BYTES, keep: int | None = None) -> Sheet:
    """A CSV file, its first `keep` rows or all; a row with too few or too many cells means that it is torn."""
    content = read_plain(path, limit)
    try:
        text = content.decode("utf-8", errors="strict" if keep is None else "replace")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header, rows, total = next(reader, []), [], 0
        if keep is None and not header:
            raise ValueError("it is empty")
        for row in reader:
            if len(row) != len(header):
                raise ValueError("a row has too few or too many cells")
            if keep is None or total < keep:
                rows.append(row)
            total += 1
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path}: damaged ({error})") from error
    return Sheet(path.stem, header, rows, total)


def json_rows(lines: Iterable[bytes | str]) -> Iterator[dict[str, Any]]:
    """The JSON objects among these lines."""
    for line in lines:
        try:
            row = parse_json(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row


def numeric(metrics: object) -> dict[str, float | int]:
    """The metrics that are numbers, or true or false, which count as 1 and 0, by name."""
    named = metrics.items() if isinstance(metrics, dict) else ()
    return {name: value for name, value in named if isinstance(value, int | float)}


def with_numbers(cells: list[str]) -> list[Any]:
    """The cells of a column: numbers where all of them are, None where empty; else as they are."""
    if all(not cell or INTEGER.fullmatch(cell) or FLOAT.fullmatch(cell) for cell in cells):
        return [(int if INTEGER.fullmatch(cell) else float)(cell) if cell else None for cell in cells]
    return cells


def at(mapping: Any, key: str, default: Any = None) -> Any:
    """What stands under a dotted key."""
    for name in key.split("."):
        mapping = mapping.get(name, default) if isinstance(mapping, Mapping) else default
    return mapping
