"""Output on the terminal: a result on stdout, a progress bar on stderr.

Text from outside (names, paths) goes through `printable`: it can neither move the cursor nor act as markup.
"""

import io
import sys
import time
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Column as GridColumn
from rich.text import Text

from mlfound.errors import printable
from mlfound.report.fitted import table_lines, wrapped
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


def room(console: Console) -> int:
    """Columns of the terminal; nothing is wrapped or left out elsewhere."""
    return console.width if console.is_terminal else UNLIMITED_WIDTH


def say(console: Console, text: str, style: str = "", head: int | None = None) -> None:
    """Print it wrapped between words; styled to the end, or only its first characters."""
    styled = Text("\n".join(wrapped(text, room(console))))
    styled.stylize(style, 0, head)
    console.print(styled, soft_wrap=True)


def show(result: Result, console: Console) -> None:
    """Print the tables, one line per check, and the findings, with an empty line between them."""
    for table in result.tables:
        if table.shown != "never":
            show_table(table, console)
            console.print()
    listed = [check for check in result.checks if not check.passed or len(result.checks) <= MAX_LISTED_CHECKS]
    if len(listed) < len(result.checks):
        say_passed(console, f"{counted(result.checks)} passed; summary.json lists them")
    for check in listed:
        say_check(console, check)
    if result.checks and result.findings:
        console.print()
    for finding in result.findings:
        say(console, printable(finding))


def counted(checks: Sequence[Check]) -> str:
    """`37 checks`, or `35 of 37 checks` if the others failed."""
    passed, total = sum(check.passed for check in checks), len(checks)
    return f"{passed if passed == total else f'{passed} of {total}'} check{'s' * (total != 1)}"


def say_check(console: Console, check: Check) -> None:
    """Its value and its bound, with a mark before it."""
    value, bound = f"{check.value:.3g}", f"{check.bound:.3g}"
    if value == bound and not check.passed:
        value, bound = f"{check.value:.6g}", f"{check.bound:.6g}"
    line = f"{printable(check.name)}: {value} (bound {bound})"
    if check.passed:
        say_passed(console, line)
    else:
        mark = "✗" if console.encoding.startswith("utf") else "FAILED"
        say(console, f"{mark} {line}", "bold red", len(mark))


def say_passed(console: Console, line: str) -> None:
    """With a green check mark before it."""
    mark = "✓" if console.encoding.startswith("utf") else "ok"
    say(console, f"{mark} {line}", "green", len(mark))


def show_table(table: Table, console: Console) -> None:
    """Its title, what fits of it, and what does not."""
    lines, left_out = table_lines(table, room(console))
    say(console, printable(table.title), "bold")
    console.print(Text("\n").join(lines), soft_wrap=True)
    if left_out:
        say(console, f"Too wide here, in tables/{table.name}.csv: {', '.join(left_out)}", "dim")


class Progress:
    """A bar with the time left on a terminal, else and if `quiet` nothing. A new label starts a new bar."""

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self._console = console
        self._silent = quiet or not (console.is_interactive and console.file.isatty())
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
