"""A table of one line per row, fast enough for thousands of rows."""

from collections.abc import Mapping, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from mlfound.errors import printable
from mlfound.report.tables import cell
from mlfound.results import Table

GAP = 2  # spaces between columns
MIN_LAST_WIDTH = 24  # characters of the last column


def show_lines(table: Table, console: Console, colours: Mapping[str, str], spare: int) -> None:
    """Print head and rows; a cell whose text is a key of `colours` is drawn so.

    On a terminal lines are cut at its width, and column number `spare` is left out if the last has too little room.
    """
    columns = [
        [column.label or column.name, *(printable(cell(row[index], column)) for row in table.rows)]
        for index, column in enumerate(table.columns)
    ]
    if console.is_terminal and console.width - _width(columns[:-1]) < MIN_LAST_WIDTH:
        del columns[spare]
    widths = [_width([column]) for column in columns[:-1]]
    lines = []
    for number, (*cells, end) in enumerate(zip(*columns, strict=True)):
        line = Text(style="bold" if number == 0 else "")
        for text, width in zip(cells, widths, strict=True):
            line.append(set_cell_size(text, width), colours.get(text, ""))
        line.append(end)
        if console.is_terminal:
            line.truncate(console.width, overflow="ellipsis")
        lines.append(line)
    console.print(Text("\n").join(lines), soft_wrap=True)


def _width(columns: Sequence[Sequence[str]]) -> int:
    return sum(max(map(cell_len, column)) + GAP for column in columns)
