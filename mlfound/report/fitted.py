"""A table as lines of text that fit: without its least important columns, or as records, where there is no room."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.cells import cell_len
from rich.text import Text

from mlfound.errors import printable
from mlfound.report.tables import cell, plain
from mlfound.results import Table

GAP = 2  # spaces between columns
MIN_TEXT_WIDTH = 24  # characters to which a column of words is narrowed before another column gives way


@dataclass(frozen=True)
class Cells:
    """A column as it is shown. Words may be wrapped, numbers may not."""

    label: str
    cells: Sequence[str]
    numeric: bool
    rank: int

    @property
    def width(self) -> int:
        return max(map(cell_len, [self.label, *self.cells]))

    @property
    def min_width(self) -> int:
        """With words wrapped, none of them broken."""
        if self.numeric:
            return max(map(cell_len, [*self.label.split(), *self.cells, "x"]))
        words = max(map(cell_len, [*self.label.split(), *" ".join(self.cells).split(), "x"]))
        return max(words, min(self.width, MIN_TEXT_WIDTH))


def table_lines(table: Table, room: int, one_line: bool = False) -> tuple[list[Text], list[str]]:
    """Head and rows in `room` columns, each in `one_line` or wrapped between words; the names that were left out.

    As records, a line for each value, where even the columns that tell rows apart and one more do not fit.
    """
    columns = [
        Cells(
            printable(column.label or column.name),
            [printable(cell(row[index], column)) for row in table.rows],
            all(isinstance(plain(row[index]), int | float | None) for row in table.rows),
            column.rank if index else 1,
        )
        for index, column in enumerate(table.columns)
    ]
    kept = fitting(columns, room, one_line)
    if not kept:
        return [*records(columns, room)], []
    left_out = [each.name for each, column in zip(table.columns, columns, strict=True) if column not in kept]
    return [*grid(kept, widths(kept, room, one_line), ruled=not one_line)], left_out


def fitting(columns: Sequence[Cells], room: int, one_line: bool) -> Sequence[Cells]:
    """Without those of the highest ranks, the rightmost first; empty if only such are left as tell rows apart."""
    keys = [column for column in columns if column.rank == 1]
    while together([column.width if one_line else column.min_width for column in columns]) > room:
        if len(columns) <= len(keys) + 1:
            return []
        gives_way = max(range(len(columns)), key=lambda n: (columns[n].rank, n))
        columns = [*columns[:gives_way], *columns[gives_way + 1 :]]
    return columns


def widths(columns: Sequence[Cells], room: int, one_line: bool) -> list[int]:
    """Headers are wrapped before cells; what is left goes to the columns of words, from the left."""
    if one_line or together([column.width for column in columns]) <= room:
        return [column.width for column in columns]
    narrow = [column.min_width for column in columns]
    for number, column in enumerate(columns):
        if not column.numeric:
            cells = max(map(cell_len, [*column.cells, "x"]))
            narrow[number] += max(0, min(cells - narrow[number], room - together(narrow)))
    return narrow


def grid(columns: Sequence[Cells], widths: Sequence[int], ruled: bool) -> Iterator[Text]:
    """The lines of a table, its head bold."""
    head = [wrapped(column.label, width) for column, width in zip(columns, widths, strict=True)]
    deepest = max(map(len, head))
    head = [[""] * (deepest - len(lines)) + lines for lines in head]
    for line in side_by_side(columns, head, widths):
        yield Text(line, "bold")
    if ruled:
        yield Text("─" * together(widths))
    for row in zip(*(column.cells for column in columns), strict=True):
        cells = [
            [text] if column.numeric else wrapped(text, width)
            for text, column, width in zip(row, columns, widths, strict=True)
        ]
        yield from map(Text, side_by_side(columns, cells, widths))


def side_by_side(
    columns: Sequence[Cells], cells: Sequence[list[str]], widths: Sequence[int]
) -> Iterator[str]:
    """The lines of one row, numbers to the right."""
    for texts in zip_longest(*cells, fillvalue=""):
        parts = []
        for column, text, width in zip(columns, texts, widths, strict=True):
            free = width - cell_len(text)
            parts.append(" " * free + text if column.numeric else text + " " * free)
        yield (" " * GAP).join(parts).rstrip()


def records(columns: Sequence[Cells], room: int) -> Iterator[Text]:
    """`label: value`, an empty line between rows."""
    for number, row in enumerate(zip(*(column.cells for column in columns), strict=True)):
        if number:
            yield Text()
        for column, text in zip(columns, row, strict=True):
            yield from map(Text, wrapped(f"{column.label}: {text}", room))


def wrapped(text: str, room: int) -> list[str]:
    """Lines of at most `room` columns, broken between words only; a longer word has a line to itself."""
    first, *others = text.split(" ")
    lines = [first]
    for word in others:
        longer = f"{lines[-1]} {word}"
        if lines[-1].strip() and cell_len(longer) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def together(widths: Sequence[int]) -> int:
    """The width of columns side by side."""
    return sum(widths) + GAP * (len(widths) - 1)
