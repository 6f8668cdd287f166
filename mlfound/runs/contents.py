"""A whole run folder, read to be shown: with care, up to a size, and telling what could not be read."""

import csv
import io
import os
import struct
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from mlfound.errors import UserError
from mlfound.files import read_plain
from mlfound.report.contents import Contents, Plot, Sheet
from mlfound.runs.plain_files import parse_json, read_json, unplain
from mlfound.runs.status import read_facts, schema_problem, seconds_taken

MEGABYTE = 1024 * 1024
LARGEST_CONFIG = 64 * 1024
LARGEST_TEXT = 64 * MEGABYTE  # of a CSV or a log
LARGEST_PLOT = 4 * MEGABYTE
ROWS = 200  # of a table, kept
LOG_LINES = 100
MOST_FILES = 100  # of a kind
MOST_COLUMNS = 100  # of what was written while it ran

T = TypeVar("T")


def read_contents(path: Path) -> Contents:
    """All that can be shown of a run. UserError where there is no `run.json`, or none that can be read."""
    facts = read_facts(path)
    folder = _Folder(path)
    if problem := schema_problem(facts):
        folder.problems.append(problem)
    came_to_an_end = facts["status"] in ("completed", "diverged")
    summary = folder.read(read_json, "summary.json", needed=came_to_an_end) or {}
    sheets = folder.read_all(read_sheet, "tables", ".csv", summary.get("tables"))
    if not summary and (so_far := folder.read(read_metrics, "metrics.jsonl")):
        sheets.append(so_far)
    return Contents(
        path=str(path),
        facts=facts,
        seconds=seconds_taken(facts),
        summary=summary,
        config=folder.read(read_config, "config.yaml", needed=True) or "",
        log=folder.read(read_log, "log.txt") or "",
        sheets=sheets,
        plots=folder.read_all(read_plot, "plots", ".png", summary.get("pictures")),
        problems=folder.problems,
    )


class _Folder:
    """A folder being read: what cannot be read is noted, and left out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unplain = dict(islice(unplain(path), MOST_FILES))
        self.problems = [f"{name}: {problem}" for name, problem in self.unplain.items()]

    def read(self, reader: Callable[[Path], T], name: str, needed: bool = False) -> T | None:
        """None where there is nothing, which is a problem only for what is `needed`."""
        if name in self.unplain or not (needed or os.path.lexists(self.path / name)):
            return None
        try:
            return reader(self.path / name)
        except UserError as error:
            self.problems.append(str(error).removeprefix(f"{self.path}{os.sep}"))
            return None

    def read_all(self, reader: Callable[[Path], T], kind: str, ending: str, order: object) -> list[T]:
        """The files of a subfolder: those that the summary lists first, in its order."""
        if kind in self.unplain:
            return []
        try:
            found = sorted(each.stem for each in (self.path / kind).iterdir() if each.suffix == ending)
        except OSError:
            return []
        listed = [name for name in order if name in found] if isinstance(order, list | dict) else []
        names = list(dict.fromkeys([*listed, *found]))
        if len(names) > MOST_FILES:
            self.problems.append(f"{kind}: only {MOST_FILES} of {len(names)} files are shown")
        read = [self.read(reader, f"{kind}/{name}{ending}") for name in names[:MOST_FILES]]
        return [each for each in read if each is not None]


def read_sheet(path: Path) -> Sheet:
    """A CSV file; a row with too few or too many cells means that it is torn."""
    rows = csv.reader(io.StringIO(_text(path, LARGEST_TEXT), newline=""), strict=True)
    try:
        header = next(rows, [])
        return _sheet(path.stem, header, rows)
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path}: damaged ({error})") from error


def read_metrics(path: Path) -> Sheet:
    """What a run wrote while it ran, as long as there is nothing better; a torn last line is forgiven."""
    rows, lines = [], io.StringIO(_text(path, LARGEST_TEXT))
    for line in islice(lines, ROWS):
        try:
            row = parse_json(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    header = list(dict.fromkeys(key for row in rows for key in row))[:MOST_COLUMNS]
    kept = [[_written(row.get(key)) for key in header] for row in rows]
    return Sheet("metrics", header, kept, len(rows) + lines.read().count("\n"))


def read_config(path: Path) -> str:
    return _text(path, LARGEST_CONFIG)


def read_log(path: Path) -> str:
    """The last lines."""
    return "".join(deque(io.StringIO(_text(path, LARGEST_TEXT)), LOG_LINES))


def read_plot(path: Path) -> Plot:
    """A PNG, as its signature and its first chunk say."""
    png = read_plain(path, LARGEST_PLOT)
    if png[:8] != b"\x89PNG\r\n\x1a\n" or png[12:16] != b"IHDR" or len(png) < 24:
        raise UserError(f"{path}: damaged, or no PNG")
    return Plot(path.stem, png, *struct.unpack(">II", png[16:24]))


def _sheet(name: str, header: Sequence[str], rows: Iterable[list[str]]) -> Sheet:
    kept, total = [], 0
    for row in rows:
        if len(row) != len(header):
            raise ValueError("a row has too few or too many cells")
        if total < ROWS:
            kept.append(row)
        total += 1
    return Sheet(name, header, kept, total)


def _text(path: Path, largest: int) -> str:
    return read_plain(path, largest).decode("utf-8", errors="replace")


def _written(value: Any) -> str:
    return "" if value is None else str(value)
