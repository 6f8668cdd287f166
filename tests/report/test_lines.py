"""Tables of one line a row: aligned, cut where the terminal ends, whole everywhere else."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from mlfound.report.lines import show_lines
from mlfound.results import Column, Table

ROWS = [("20261123-043146-train", "train", "failed", "x" * 50), ("字" * 12, None, "a\x1b[31m", "[bold]")]
TABLE = Table(
    "any", "", [Column("run"), Column("command", "the command"), Column("status"), Column("last")], ROWS
)


def printed(table=TABLE, **options):
    console = Console(file=io.StringIO(), color_system=None, **options)
    show_lines(table, console, {"failed": "red"}, spare=1)
    return console.file.getvalue().splitlines()


def test_elsewhere_than_on_a_terminal_lines_are_whole_and_aligned():
    head, first, second = printed(width=20)
    assert head == "run                       the command  status     last"
    assert first == f"20261123-043146-train     train        failed     {'x' * 50}"
    assert second == "字" * 12 + "  –            a\\x1b[31m  [bold]", "as text: no markup, no escapes"


@pytest.mark.parametrize("width", [1, 20, 40, 60, 80, 200])
def test_on_a_terminal_no_line_is_too_long(width):
    lines = printed(width=width, force_terminal=True)
    assert len(lines) == 3
    assert all(cell_len(line) <= width for line in lines)
    assert ("the command" in lines[0]) == (width >= 80), "left out where the last column has no room"


def test_a_cell_is_coloured_by_its_text():
    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=200)
    show_lines(TABLE, console, {"failed": "red"}, spare=1)
    assert "\x1b[31mfailed" in console.file.getvalue()


def test_no_rows():
    assert len(printed(Table("any", "", TABLE.columns, []))) == 1
