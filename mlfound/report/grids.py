"""Tables of the page: one number format per column, and each number as a sort key beside its text."""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlfound.errors import printable
from mlfound.report.contents import Sheet
from mlfound.report.figures import figure, has_unit, words

MAX_CHARACTERS = 500_000  # of all tables together
MARKUP_CHARACTERS = 45  # of HTML around a cell
MAX_OPEN_ROWS = 25  # a longer table is folded
MAX_CELL_CHARACTERS = 200


@dataclass(frozen=True)
class Cell:
    """The text, and the sort key: a number as JavaScript writes it, or None for a text."""

    text: str
    number: str | None = None


@dataclass(frozen=True)
class Grid:
    """A table as it is shown: the first of `total` rows."""

    name: str
    title: str
    header: Sequence[Cell]  # `number` is not None for a column of numbers
    rows: Sequence[Sequence[Cell]]
    total: int
    short: bool


def grids(sheets: Sequence[Sheet], titles: Mapping[str, object]) -> list[Grid]:
    """The tables, each with as many rows as fit on the page."""
    room, made = MAX_CHARACTERS, []
    for sheet in sheets:
        texts = zip(*sheet.rows, strict=True) if sheet.rows else [()] * len(sheet.header)
        columns = [_column(name, column) for name, column in zip(sheet.header, texts, strict=True)]
        header = [_heading(name, column) for name, column in zip(sheet.header, columns, strict=True)]
        rows = []
        for row in [header, *zip(*columns, strict=True)]:
            room -= sum(MARKUP_CHARACTERS + len(html.escape(cell.text)) for cell in row)
            if room < 0:
                break
            rows.append(row)
        title = printable(str(titles.get(sheet.name) or words(sheet.name.replace("-", " ")).capitalize()))
        short = sheet.total <= MAX_OPEN_ROWS
        made.append(Grid(sheet.name, title, rows[0] if rows else (), rows[1:], sheet.total, short))
    return made


def _heading(name: str, column: Sequence[Cell]) -> Cell:
    numeric = any(cell.number is not None for cell in column)
    return Cell(cut(words(name), MAX_CELL_CHARACTERS), "" if numeric else None)


def _column(name: str, texts: Sequence[str]) -> list[Cell]:
    """The cells of one column, all numbers or all texts; an empty one is a dash."""
    try:
        numbers = [float(text) if text else None for text in texts]
    except ValueError:
        return [Cell(cut(text, MAX_CELL_CHARACTERS)) for text in texts]
    present = [number for number in numbers if number is not None]
    if not present:
        return [Cell("–")] * len(texts)
    whole = all(text.lstrip("-").isdecimal() for text in texts if text)
    longest = max(len(text.partition(".")[2]) for text in texts)
    decimals = None if whole or has_unit(name) else _decimals(present, longest)
    return [_number(name, number, whole, decimals) for number in numbers]


def _number(name: str, number: float | None, whole: bool, decimals: int | None) -> Cell:
    if number is None:
        return Cell("–", "")
    if not math.isfinite(number):
        keys = {math.inf: "Infinity", -math.inf: "-Infinity"}
        return Cell(figure(name, number), keys.get(number, ""))
    text = figure(name, int(number) if whole else number) if decimals is None else f"{number:,.{decimals}f}"
    return Cell(text, repr(number))


def _decimals(numbers: Sequence[float], longest: int) -> int | None:
    """Decimals that give the largest five digits and the smallest at least three; None where that is not possible."""
    sizes = [abs(number) for number in numbers if number and math.isfinite(number)]
    if not sizes or not 1e-3 <= max(sizes) < 1e9:
        return None
    decimals = max(0, 4 - math.floor(math.log10(max(sizes))))
    return min(decimals, longest) if min(sizes) >= 10 ** (2 - decimals) else None


def cut(text: str, characters: int) -> str:
    """`text` in printable characters, its end left out if it is too long."""
    return printable(text) if len(text) <= characters else f"{printable(text[:characters])}…"
