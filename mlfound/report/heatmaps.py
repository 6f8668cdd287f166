"""The confusion matrix, coloured by errors."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from mlfound.report.palette import GREY, INK, ORANGE, PALE
from mlfound.report.style import head, paper

MAX_CLASSES = 32  # with more, numbers are too small to read and take minutes to draw
SHOWN_CLASSES = 20  # of more than MAX_CLASSES
MAX_LETTERS = 105  # of the names side by side, with two spaces between them


def confusion(*, title: str, counts: ArrayLike, names: Sequence[str] | None = None) -> Figure:
    """Counts by true class (row) and predicted class (column); the colour is of the errors alone.

    `names` are those of the classes; without them the classes are numbers. Of more than MAX_CLASSES classes those
    that have the most errors, as true or as predicted class.
    """
    whole = np.asarray(counts)
    right, total = np.diag(whole), whole.sum(axis=1)
    shown = list(range(len(whole)))
    if len(whole) > MAX_CLASSES:
        errors = total + whole.sum(axis=0) - 2 * right
        shown = sorted(np.argsort(-errors, kind="stable")[:SHOWN_CLASSES].tolist())
    labels = [str(number) if names is None else names[number] for number in shown]
    table = whole[np.ix_(shown, shown)]
    figure, axes = paper(7.8)
    _cells(axes, table)
    upright = sum(map(len, labels)) + 2 * len(labels) > MAX_LETTERS
    axes.set_xticks(range(len(shown)), labels, parse_math=False, rotation=90 if upright else 0)
    axes.set_yticks(range(len(shown)), labels, parse_math=False)
    axes.set(xlabel="predicted", ylabel="true")
    shares = axes.secondary_yaxis("right")
    texts = [f"{right[at] / total[at]:.1%}" if total[at] else "–" for at in shown]
    shares.set_yticks(range(len(shown)), texts)
    shares.set_ylabel("share correct")
    for side in (axes, shares):
        side.grid(visible=False)
        side.spines[:].set_visible(False)
        side.tick_params(length=0)
    how = f"{right.sum():,} of {whole.sum():,} correct; the stronger the colour, the more errors"
    if len(shown) < len(whole):
        how = (
            f"the {len(shown)} of {len(whole)} classes with the most errors; all are in tables/confusion.csv"
        )
    head(axes, title, how)
    return figure


def _cells(axes: Axes, table: NDArray[np.int64]) -> None:
    """The counts on their colours; the diagonal has none."""
    diagonal, size = np.eye(len(table), dtype=bool), min(10, 150 / len(table))
    most = max(table[~diagonal].max(initial=0), 1)
    shades = LinearSegmentedColormap.from_list("errors", ["white", ORANGE])
    axes.set_facecolor(PALE)  # seen where there is no number: on the diagonal
    axes.imshow(np.where(diagonal, np.nan, table), cmap=shades, vmin=0, vmax=most, aspect="auto")
    for (row, column), count in np.ndenumerate(table):
        text, color = (f"{count:,}", INK) if count else ("·", GREY)
        axes.text(column, row, text, color=color, size=size, ha="center", va="center")
