"""A whole run folder, read to be shown: with care, up to a size, and telling what could not be read."""

import io
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

from mlfound.errors import UserError
from mlfound.files import read_plain
from mlfound.report.contents import Contents, Plot, Sheet
from mlfound.runs.plain_files import unplain
from mlfound.runs.reader import Run, json_rows, read_sheet
from mlfound.runs.titles import changed, title

MEGABYTE = 1024 * 1024
MAX_CONFIG_BYTES = 64 * 1024
MAX_TEXT_BYTES = 64 * MEGABYTE  # of a CSV or a log
MAX_PLOT_BYTES = 4 * MEGABYTE
MAX_ROWS = 200  # of a table, kept
MAX_LOG_LINES = 100
MAX_FILES = 100  # of a kind
MAX_COLUMNS = 100  # of what was written while it ran

T = TypeVar("T")


def read_contents(path: Path) -> Contents:
    """All that can be shown of a run. UserError where there is no `run.json`, or none that can be read."""
    run = Run(path)
    run.forgiving = True  # a run it is; of the rest, as much as can be read
    run.left_out = dict(islice(unplain(path), MAX_FILES))
    run.problems[:0] = [f"{name}: {problem}" for name, problem in run.left_out.items()]
    summary = run.summary
    sheets = read_all(run, first_rows, "tables", ".csv", summary.get("tables"))
    if not summary and (so_far := run.read(first_metrics, "metrics.jsonl", None)):
        sheets.append(so_far)
    pictures = summary.get("pictures")
    plots = read_all(run, read_plot, "plots", ".png", pictures)
    if isinstance(pictures, dict):  # before that it was a list of their names
        plots = [replace(plot, alternative=str(pictures.get(plot.name, ""))) for plot in plots]
    return Contents(
        path=str(path),
        title=title(run),
        facts=run.facts,
        seconds=run.seconds,
        summary=summary,
        config=run.read(config_text, "config.yaml", "", needed=True),
        changed=changed(run),
        log=run.read(end_of_log, "log.txt", ""),
        sheets=sheets,
        plots=plots,
        tags=run.notes.tags,
        note=run.notes.text,
        problems=list(dict.fromkeys(run.problems)),  # two parts may need one file
    )


def read_all(run: Run, reader: Callable[[Path], T], kind: str, ending: str, order: object) -> list[T]:
    """The files of a subfolder: those that the summary lists first, in its order."""
    if kind in run.left_out:
        return []
    found = run.names(kind, ending)
    listed = [name for name in order if name in found] if isinstance(order, list | dict) else []
    names = list(dict.fromkeys([*listed, *found]))
    if len(names) > MAX_FILES:
        run.problems.append(f"{kind}: only {MAX_FILES} of {len(names)} files are shown")
    read = [run.read(reader, f"{kind}/{name}{ending}", None) for name in names[:MAX_FILES]]
    return [each for each in read if each is not None]


def first_rows(path: Path) -> Sheet:
    return read_sheet(path, MAX_TEXT_BYTES, keep=MAX_ROWS)


def first_metrics(path: Path) -> Sheet:
    """What a run wrote while it ran, as long as there is nothing better; a torn last line is forgiven."""
    lines = io.StringIO(_text(path, MAX_TEXT_BYTES))
    rows = list(json_rows(islice(lines, MAX_ROWS)))
    header = list(dict.fromkeys(key for row in rows for key in row))[:MAX_COLUMNS]
    cells = [["" if (value := row.get(key)) is None else str(value) for key in header] for row in rows]
    return Sheet("metrics", header, cells, len(rows) + lines.read().count("\n"))


def config_text(path: Path) -> str:
    return _text(path, MAX_CONFIG_BYTES)


def end_of_log(path: Path) -> str:
    return "".join(deque(io.StringIO(_text(path, MAX_TEXT_BYTES)), MAX_LOG_LINES))


def read_plot(path: Path) -> Plot:
    """A PNG, as its signature and its first chunk say."""
    png = read_plain(path, MAX_PLOT_BYTES)
    if png[:8] != b"\x89PNG\r\n\x1a\n" or png[12:16] != b"IHDR" or len(png) < 24:
        raise UserError(f"{path}: damaged, or no PNG")
    return Plot(path.stem, png, *struct.unpack(">II", png[16:24]))


def _text(path: Path, limit: int) -> str:
    return read_plain(path, limit).decode("utf-8", errors="replace")
