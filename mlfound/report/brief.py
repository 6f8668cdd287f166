"""The default screen of results: the verdict, the figures, where the rest is, in a dozen lines."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.text import Text

from mlfound.errors import printable
from mlfound.report.fitted import table_lines, wrapped
from mlfound.report.terminal import counted, room, say, say_check, say_passed
from mlfound.results import Result, Table

MAX_LINES = 12  # the run folder's path, which the caller prints as the last, among them
COUNTED_WIDTH = 80  # as wide as lines are counted, so that a wider terminal does not show another choice


def show_brief(result: Result, page: str | None, console: Console) -> None:
    """Print tables and findings as far as there is room, every failed check, and how much was left out.

    `page` is the command that opens the run's page, if there is one. A table that is shown alone has its title, its
    head and a line for each row, however many, and all else in one line below.
    """
    width, alone = min(room(console), COUNTED_WIDTH), any(table.shown == "alone" for table in result.tables)
    free, columns, shown = MAX_LINES - 2, 0, list[Table]()  # two: what was left out, and the path
    for table in result.tables:
        if table.shown in ("alone", "always"):
            lines, left_out = table_lines(table, room(console), one_line=True)
            needed = len(wrapped(printable(table.title), width)) + len(lines)
            if alone or needed <= free:
                say(console, printable(table.title), "bold")
                console.print(Text("\n").join(lines), soft_wrap=True)
                free, columns, shown = free - needed, columns + len(left_out), [*shown, table]
    for check in result.checks:
        if not check.passed:
            say_check(console, check)
    findings = [] if alone else [*having_room(result.findings, free - (not shown), width, bool(shown))]
    for finding in findings:
        say(console, finding)
    tables = [table for table in result.tables if table.shown != "never" and table not in shown]
    more = counted_words(
        {"more finding": len(result.findings) - len(findings), "table": len(tables), "column": columns}
    )
    places = [*(["--verbose"] if more else []), *(["report.html"] if page and shown else [])]
    say_rest(console, result, ": ".join(filter(None, [more, " or ".join(places)])))
    if page and not shown:
        say(console, f"report.html, the page of this run: {page}")


def counted_words(counts: Mapping[str, int]) -> str:
    """`1 table, 3 columns`, without those of which there are none."""
    return ", ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in counts.items() if count)


def having_room(findings: Sequence[str], lines: int, width: int, table: bool) -> Iterator[str]:
    """Those that so many lines have room for, in their order; the first in any case, unless there is a table."""
    for number, finding in enumerate(map(printable, findings)):
        lines -= len(wrapped(finding, width))
        if lines < 0 and (number or table):
            return
        yield finding


def say_rest(console: Console, result: Result, more: str) -> None:
    """How many checks passed, and what is not on the screen."""
    if any(check.passed for check in result.checks):
        say_passed(console, "; ".join(filter(None, [counted(result.checks), more])))
    elif more:
        say(console, more)
