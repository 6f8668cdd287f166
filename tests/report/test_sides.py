"""Two runs side by side fit the terminal, and are whole elsewhere."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from mlfound.report.sides import show_sides

SECTIONS = {
    "config": [
        ("optimizer.lr", "0.1", "0.05"),
        ("a." + "k" * 60, "字" * 40, "b" * 90),
        ("x\x1b[31m", "", "[bold]"),
    ],
    "figures": [],
}


def printed(width, **options):
    console = Console(file=io.StringIO(), color_system=None, width=width, **options)
    show_sides(("20261122-080000-train", "20261123-090000-train"), SECTIONS, console)
    return console.file.getvalue().splitlines()


def test_elsewhere_than_on_a_terminal_all_is_there():
    lines = printed(20)
    assert lines[0].split() == ["20261122-080000-train", "20261123-090000-train"]
    assert [line.split() for line in lines[1:3]] == [["config"], ["optimizer.lr", "0.1", "0.05"]]
    assert lines[3].split() == ["a." + "k" * 60, "字" * 40, "b" * 90]
    assert lines[4].split() == ["x\\x1b[31m", "[bold]"]
    assert lines[5] == "figures: no difference"


@pytest.mark.parametrize("width", [20, 40, 80, 160])
def test_on_a_terminal_no_line_is_too_long_and_both_sides_are_seen(width):
    lines = printed(width, force_terminal=True)
    assert len(lines) == 6
    assert all(cell_len(line) <= max(width, 40) for line in lines)
    if width >= 80:
        assert lines[2].split() == ["optimizer.lr", "0.1", "0.05"]
        starts = [lines[0].index("20261123"), lines[2].index("0.05")]
        assert starts[0] == starts[1], "one column for each side"
        assert all("…" in part for part in lines[3].split()) == (width == 80)
