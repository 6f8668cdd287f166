"""Tables of a page: columns of numbers written alike, and every number beside its text, to be sorted by."""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlfound.errors import printable
from mlfound.report.contents import Sheet
from mlfound.report.figures import figure, has_unit, words

BUDGET = 500_000  # characters of all tables together
MARKUP = 45  # characters around a cell
SHORT = 25  # rows: a longer table is folded
LONGEST = 200  # characters of a cell


@dataclass(frozen=True)
class Cell:
    """What is read, and what it is sorted by: a number as JavaScript writes it, or nothing for a text."""

    text: str
    number: str | None = None


@dataclass(frozen=True)
class Grid:
    """A table ready to be shown: of `total` rows the first ones."""

    name: str
    title: str
    header: Sequence[Cell]  # the text is the label; a number means: this column has numbers
    rows: Sequence[Sequence[Cell]]
    total: int
    short: bool


def grids(sheets: Sequence[Sheet], titles: Mapping[str, object]) -> list[Grid]:
    """As many rows of each as there is room for on the page."""
    room, made = BUDGET, []
    for sheet in sheets:
        columns = [
            _column(name, [row[index] for row in sheet.rows]) for index, name in enumerate(sheet.header)
        ]
        header = [_heading(name, column) for name, column in zip(sheet.header, columns, strict=True)]
        rows = []
        for row in [header, *zip(*columns, strict=True)]:
            room -= sum(MARKUP + len(html.escape(cell.text)) for cell in row)
            if room < 0:
                break
            rows.append(row)
        title = printable(str(titles.get(sheet.name) or words(sheet.name.replace("-", " ")).capitalize()))
        made.append(
            Grid(sheet.name, title, rows[0] if rows else (), rows[1:], sheet.total, sheet.total <= SHORT)
        )
    return made


def _heading(name: str, column: Sequence[Cell]) -> Cell:
    numeric = any(cell.number is not None for cell in column)
    return Cell(_cut(words(name)), "" if numeric else None)


def _column(name: str, texts: Sequence[str]) -> list[Cell]:
    """The cells of one column. All of them numbers, or else all of them texts; an empty one is a dash."""
    try:
        numbers = [float(text) if text else None for text in texts]
    except ValueError:
        return [Cell(_cut(text)) for text in texts]
    present = [number for number in numbers if number is not None]
    whole = all(text.lstrip("-").isdecimal() for text in texts if text)
    longest = max(len(text.partition(".")[2]) for text in texts) if texts else 0
    decimals = None if whole or has_unit(name) else _decimals(present, longest)
    return (
        [
            Cell(_written(name, number, whole, decimals), _sortable(number))
            if number is not None
            else Cell("–", "")
            for number in numbers
        ]
        if present
        else [Cell("–") for _ in texts]
    )


def _written(name: str, number: float, whole: bool, decimals: int | None) -> str:
    if decimals is not None and math.isfinite(number):
        return f"{number:,.{decimals}f}"
    return figure(name, int(number) if whole and math.isfinite(number) else number)


def _decimals(numbers: Sequence[float], longest: int) -> int | None:
    """So many that the largest has five digits, if the smallest still has three; None where they differ too much."""
    sizes = [abs(number) for number in numbers if number and math.isfinite(number)]
    if not sizes or not 1e-3 <= max(sizes) < 1e9:
        return None
    decimals = max(0, 4 - math.floor(math.log10(max(sizes))))
    return min(decimals, longest) if min(sizes) >= 10 ** (2 - decimals) else None


def _sortable(number: float) -> str:
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    return "" if math.isnan(number) else repr(number)


def _cut(text: str) -> str:
    return printable(text) if len(text) <= LONGEST else f"{printable(text[:LONGEST])}…"
