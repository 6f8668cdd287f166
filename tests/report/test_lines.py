"""Lists of one line a row: aligned, fitted to the terminal by rank, whole everywhere else."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from mlfound.report.lines import ListColumn, show_lines

COLUMNS = [
    ListColumn("run", ["20261123-043146-train", "字" * 12]),
    ListColumn("the command", ["train", ""], rank=9),
    ListColumn("status", ["failed", "a\x1b[31m"], rank=2, folds=True),
    ListColumn("lr", ["0.05", "1"], rank=1, keys=[0.05, 1]),
    ListColumn("data", ["mnist", "mnist"], rank=3, folds=True),
    ListColumn("last", ["x" * 50, "[bold]"], rank=4),
]


def printed(columns=COLUMNS, **options):
    console = Console(file=io.StringIO(), color_system=None, **options)
    show_lines(columns, console, {"failed": "red"})
    return console.file.getvalue().splitlines()


def test_elsewhere_than_on_a_terminal_lines_are_whole_and_aligned():
    head, first, second = printed(width=20)
    assert head == "run                       the command  status       lr  data   last"
    assert first == f"20261123-043146-train     train        failed     0.05  mnist  {'x' * 50}"
    assert second == "字" * 12 + f"{'':15}a\\x1b[31m     1  mnist  [bold]", "as text: no markup, no escapes"


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (20, "run"), (29, "run"), (30, "run lr"), (41, "run status lr"),
        (66, "run the command status lr"),
        (67, "run status lr last"), (80, "run the command status lr last"), (200, "run the command status lr last"),
    ],
)  # fmt: skip
def test_on_a_terminal_columns_give_way_by_rank_and_no_line_is_too_long(width, shown):
    head, first, second, *below = printed(width=width, force_terminal=True)
    assert all(cell_len(line) <= width for line in (head, first, second, *below))
    if width > 20:
        assert " ".join(head.split()) == shown
        assert below[0] == "All: data mnist."
        hidden = [each.label for each in COLUMNS if each.label not in f"{shown} data"]
        said = f"Not shown for want of room: {', '.join(hidden)}."
        assert " ".join(below[1:]) == (said if hidden else "")


def test_long_cells_are_cut_on_a_terminal_so_that_other_columns_have_room():
    columns = [
        *COLUMNS[:1],
        ListColumn("note", ["x" * 500, ""]),
        ListColumn("lr", ["0.1", "0.2"], keys=[0.1, 0.2]),
    ]
    head, first, _ = printed(columns, width=80, force_terminal=True)
    assert head.split() == ["run", "note", "lr"]
    assert first.split() == ["20261123-043146-train", f"{'x' * 39}…", "0.1"]


def test_a_single_row_is_not_folded():
    single = [ListColumn(each.label, each.cells[:1], each.rank, folds=each.folds) for each in COLUMNS]
    assert printed(single, width=200, force_terminal=True)[0].split()[-2:] == ["data", "last"]


def test_a_cell_is_coloured_by_its_text():
    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=200)
    show_lines(COLUMNS, console, {"failed": "red"})
    assert "\x1b[31mfailed" in console.file.getvalue()


def test_no_rows():
    assert len(printed([ListColumn(each.label, []) for each in COLUMNS])) == 1
