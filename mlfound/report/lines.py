"""A list of one line per row, fast enough for thousands of rows, that fits the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from mlfound.errors import printable
from mlfound.report.terminal import UNLIMITED_WIDTH, say

GAP = 2  # spaces between columns
MAX_CELL_WIDTH = 40  # on a terminal, of all columns but the first, which names the row
MIN_LAST_WIDTH = 24  # what the last column is cut to, before others give way to it


@dataclass(frozen=True)
class ListColumn:
    """A label and a text for each row; `keys`, what the texts of numbers are sorted by, None where there is none.

    `folds`: said once below the list, where all rows that say something say the same. Where the terminal is too
    narrow, the columns of the highest `rank` give way.
    """

    label: str
    cells: Sequence[str]
    rank: int = 0
    keys: Sequence[float | None] = ()
    folds: bool = False

    @property
    def said(self) -> list[str]:
        """The texts in it, each once."""
        return [text for text in dict.fromkeys(self.cells) if text]

    @property
    def width(self) -> int:
        return max(map(cell_len, (self.label, *self.cells)))


def show_lines(columns: Sequence[ListColumn], console: Console, colours: Mapping[str, str]) -> None:
    """Print head and rows; a cell whose text is a key of `colours` is drawn so.

    On a terminal no line is wider than it, and what was left out for that is named below; elsewhere all is printed.
    """
    width = MAX_CELL_WIDTH if console.is_terminal else UNLIMITED_WIDTH
    columns = [_within(column, width if number else UNLIMITED_WIDTH) for number, column in enumerate(columns)]
    folded, hidden = [], []
    if console.is_terminal:
        folded = [each for each in columns if each.folds and len(each.cells) > 1 and len(each.said) == 1]
        columns = [each for each in columns if each not in folded]
        columns, all_columns = _fitting(columns, console.width), columns
        hidden = [each for each in all_columns if each not in columns]
    console.print(Text("\n").join(_rows(columns, console, colours)), soft_wrap=True)
    if folded:
        same = ", ".join(f"{each.label} {each.said[0]}" for each in folded)
        say(console, f"All: {same}.", "dim")
    if hidden:
        say(console, f"Not shown for want of room: {', '.join(each.label for each in hidden)}.", "dim")


def _fitting(columns: Sequence[ListColumn], room: int) -> list[ListColumn]:
    """As many as fit, in their order: those of the lowest rank first, those of rank 0 in any case."""
    chosen: list[ListColumn] = []
    for column in sorted(columns, key=lambda column: column.rank):
        more = [each for each in columns if each in (*chosen, column)]
        if column.rank == 0 or _least_width(more) <= room:
            chosen = more
    return chosen


def _rows(columns: Sequence[ListColumn], console: Console, colours: Mapping[str, str]) -> list[Text]:
    """The head and a line per row."""
    widths = [column.width for column in columns]
    lines = []
    for number, cells in enumerate(zip(*((each.label, *each.cells) for each in columns), strict=True)):
        line = Text(style="bold" if number == 0 else "")
        for text, width, column in zip(cells, widths, columns, strict=True):
            room = " " * (width - cell_len(text))
            line.append(room if column.keys else "")
            line.append(text, colours.get(text, ""))
            line.append(("" if column.keys else room) + " " * GAP)
        line.rstrip()
        if console.is_terminal:
            line.truncate(console.width, overflow="ellipsis")
        lines.append(line)
    return lines


def _least_width(columns: Sequence[ListColumn]) -> int:
    *others, last = (column.width for column in columns)
    return sum(others) + GAP * len(others) + min(last, MIN_LAST_WIDTH)


def _within(column: ListColumn, width: int) -> ListColumn:
    cells = [cut(printable(cell), width) for cell in column.cells]
    return replace(column, label=printable(column.label), cells=cells)


def cut(text: str, width: int) -> str:
    """At most `width` columns of a text, with an ellipsis for what is missing."""
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1).rstrip()}…"
