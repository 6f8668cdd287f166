"""Output on the terminal: a result on stdout, a progress bar on stderr.

Text from outside (names, paths) goes through `printable`: it can neither move the cursor nor act as markup.
"""

import io
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Column as GridColumn
from rich.table import Table as Grid
from rich.text import Text

from mlfound.errors import printable
from mlfound.report.tables import cell, plain
from mlfound.results import Check, Result, Table

UNLIMITED_WIDTH = 100_000  # characters: for a pipe or a file
MIN_COLUMNS = 20  # a smaller width means that it is unknown, as with COLUMNS=0
MAX_LISTED_CHECKS = 20  # more are counted instead of listed
REFRESH_SECONDS = 0.1  # between two updates of the bar


def screen(*, stderr: bool = False) -> Console:
    """stdout or stderr, taking text as it is: no markup, no emoji codes, no colouring of numbers."""
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")  # where the encoding has no "–", a "?" and not a traceback
    console = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if console.width < MIN_COLUMNS:
        console.width = 80
    return console


def show(result: Result, console: Console) -> None:
    """Print the shown tables, one line per check, and the findings, with an empty line between them."""
    for table in result.tables:
        if table.shown:
            _show_table(table, console)
            console.print()
    for verdict in _verdicts(result.checks, console.encoding):
        _say(console, verdict)
    if result.checks and result.findings:
        console.print()
    for finding in result.findings:
        _say(console, Text(printable(finding)))


class Progress:
    """A bar with the time left on a terminal, else nothing. A new label starts a new bar."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._silent = not (console.is_interactive and console.file.isatty())
        self._bar: Bar | None = None
        self._label = ""
        self._due = 0.0

    def update(self, label: str, done: int, total: int, figures: Mapping[str, str]) -> None:
        """`done` of `total`, 0 if unknown; {"loss": "0.123"} shows `loss 0.123` after the bar.

        0 of 0 shows the label alone: something that is soon over.
        """
        if self._silent:
            return
        now = time.monotonic()
        if self._bar is None or label != self._label:
            self.stop()
            self._bar, self._label = _bar(self._console, printable(label), bool(done or total)), label
        elif now < self._due and done != total:
            return
        self._due = now + REFRESH_SECONDS
        share = f"{100 * done // total:3}%" if total else ""
        words = "  ".join([share, *(printable(f"{name} {figure}") for name, figure in figures.items())])
        task = self._bar.task_ids[0]
        self._bar.update(task, completed=done, total=total or None, words=words, refresh=True)

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _bar(console: Console, label: str, with_bar: bool) -> Bar:
    columns = [
        BarColumn(None, complete_style="blue", finished_style="blue", table_column=GridColumn(max_width=30)),
        TextColumn("{task.fields[words]}", markup=False),
        TimeRemainingColumn(),
        TextColumn("left"),
    ]
    bar = Bar(
        TextColumn("{task.description}", markup=False),
        *(columns if with_bar else ()),
        console=console,
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,  # it would come out on stderr
    )
    bar.add_task(label, words="")
    bar.start()
    return bar


def _say(console: Console, text: Text) -> None:
    """Wrapped between words on a terminal; elsewhere one line, however long."""
    console.print(text, soft_wrap=not console.is_terminal)


def _verdicts(checks: Sequence[Check], encoding: str) -> Iterator[Text]:
    """One line per check; of many checks only those that failed, and the number that passed."""
    good, bad = ("✓", "✗") if encoding.startswith("utf") else ("ok", "FAILED")
    passed = [check for check in checks if check.passed]
    listed = checks
    if len(checks) > MAX_LISTED_CHECKS and passed:
        yield Text(good, "green") + f" {len(passed)} of {len(checks)} checks passed; summary.json lists them"
        listed = [check for check in checks if not check.passed]
    for check in listed:
        mark = Text(good, "green") if check.passed else Text(bad, "bold red")
        yield mark + f" {printable(check.name)}: {check.value:.3g} (bound {check.bound:.3g})"


@dataclass(frozen=True)
class _Column:
    """A column as it is printed; its words may be wrapped, its numbers may not."""

    header: str
    cells: Sequence[str]
    numeric: bool

    @property
    def width(self) -> int:
        return max(map(cell_len, [*self.header.split("\n"), *self.cells]))

    @property
    def min_width(self) -> int:
        return self.width if self.numeric else min(self.width, 24)

    def with_narrow_header(self) -> "_Column":
        widest = max(map(cell_len, ["x", *self.header.split(), *self.cells]))
        return replace(self, header=textwrap.fill(self.header, widest))


def _show_table(table: Table, console: Console) -> None:
    """The whole table, in blocks below each other where the terminal is too narrow."""
    room = console.width if console.is_terminal else UNLIMITED_WIDTH
    columns = [
        _Column(
            printable(column.label or column.name),
            [printable(cell(row[index], column)) for row in table.rows],
            all(isinstance(plain(row[index]), int | float | None) for row in table.rows),
        )
        for index, column in enumerate(table.columns)
    ]
    if _together([column.width for column in columns]) > room:
        columns = [column.with_narrow_header() for column in columns]
    _say(console, Text(printable(table.title), "bold"))
    for number, block in enumerate(_blocks(columns, room)):
        if number:
            console.print()
        width = min(room, _together([column.width for column in block]))
        grid = Grid(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True, width=width)
        for column in block:
            grid.add_column(Text(column.header), no_wrap=column.numeric, overflow="fold")
            grid.columns[-1].justify = "right" if column.numeric else "left"
        for row in zip(*(column.cells for column in block), strict=True):
            grid.add_row(*map(Text, row))
        console.print(grid, crop=False)


def _blocks(columns: Sequence[_Column], room: int) -> Iterator[list[_Column]]:
    """Columns that fit side by side, each block starting with the first column, which names the row."""
    block: list[_Column] = []
    for column in columns:
        if len(block) > 1 and _together([other.min_width for other in (*block, column)]) > room:
            yield block
            block = [columns[0]]
        block.append(column)
    yield block


def _together(widths: Sequence[int]) -> int:
    """The width of columns side by side, with two spaces between neighbours."""
    return sum(widths) + 2 * (len(widths) - 1)
