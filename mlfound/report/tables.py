"""A table as text: as CSV with every digit, and cell by cell in its column's format."""

import csv
import math
from typing import Any

from mlfound.results import Column, Table


def csv_bytes(table: Table) -> bytes:
    """The table as CSV (RFC 4180, UTF-8, lines ending in `\\n`), every digit kept, None an empty field."""
    lines = _Lines()
    writer = csv.writer(lines, lineterminator="\r\n")  # so that it quotes both; Python 3.11 quotes no other
    writer.writerow(_field(column.name) for column in table.columns)
    writer.writerows(map(_field, row) for row in table.rows)
    return "".join(line.removesuffix("\r\n") + "\n" for line in lines).encode(errors="backslashreplace")


def cell(value: Any, column: Column) -> str:
    """`value` for a reader, in the column's format; a text in a column of numbers is not changed."""
    value = plain(value)
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case float() if not math.isfinite(value):
            return str(value)
        case int() | float() if column.format == "duration":
            return duration(value)
        case int() | float():
            return format(value, column.format or (".6g" if isinstance(value, float) else ""))
        case _:
            return str(value)


def duration(seconds: float) -> str:
    """Three digits and a unit: `606 ms`, `5.41 µs`."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if abs(seconds) >= 0.9995 * size:
            return f"{seconds / size:#.3g}".rstrip(".") + f" {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def plain(value: Any) -> Any:
    """A number of numpy or torch as Python's own, anything else untouched."""
    return value.item() if hasattr(value, "item") else value


def _field(value: Any) -> Any:
    """Truth as `true` or `false`; a text that a spreadsheet would calculate has an apostrophe in front."""
    match plain(value):
        case bool(truth):
            return str(truth).lower()
        case str(text) if text.startswith(FORMULA) and not _is_number(text):
            return f"'{text}"
        case other:
            return other


FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # how cells begin that a spreadsheet may execute


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class _Lines(list[str]):
    """Collects what a csv.writer writes, one line per item."""

    write = list.append
