"""Two runs side by side on the terminal."""

from collections.abc import Mapping, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from mlfound.errors import printable
from mlfound.report.lines import GAP, cut

MIN_SIDE = 12  # characters of a side's column, before the keys are cut
Rows = Sequence[tuple[str, str, str]]


def show_sides(heads: tuple[str, str], sections: Mapping[str, Rows], console: Console) -> None:
    """Print by section the key and both values, all sections in the same columns; on a terminal cut to its width."""
    heads = (printable(heads[0]), printable(heads[1]))
    sections = {
        title: [(f"  {printable(key)}", printable(a), printable(b)) for key, a, b in rows]
        for title, rows in sections.items()
    }
    rows = [("", *heads), *(row for each in sections.values() for row in each)]
    widths = [max(cell_len(row[number]) for row in rows) for number in range(3)]
    if console.is_terminal:
        widths = _fitted(widths, console.width)
    console.print(_line(rows[0], widths, "bold"), soft_wrap=True)
    for title, found in sections.items():
        head = Text(title, "bold") if found else Text(f"{title}: no difference")
        for line in (head, *(_line(row, widths) for row in found)):
            console.print(line, soft_wrap=True)


def _fitted(widths: Sequence[int], room: int) -> list[int]:
    """Both sides get an equal share of what the keys leave, or less where they need less."""
    room -= 2 * GAP
    keys = min(widths[0], max(room - 2 * MIN_SIDE, MIN_SIDE))
    share = max((room - keys) // 2, 1)
    first = min(widths[1], max(share, room - keys - widths[2]))
    return [keys, first, min(widths[2], max(room - keys - first, 1))]


def _line(cells: Sequence[str], widths: Sequence[int], style: str = "") -> Text:
    line = Text(style=style)
    for text, width in zip(cells, widths, strict=True):
        line.append(set_cell_size(cut(text, width), width) + " " * GAP)
    line.rstrip()
    return line
