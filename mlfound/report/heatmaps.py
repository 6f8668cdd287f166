"""The confusion matrix, coloured by errors."""

from collections.abc import Sequence
from math import ceil

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mlfound.report.palette import GREY, INK, ORANGE, PALE
from mlfound.report.style import head, paper

MAX_NUMBERED_CLASSES = 32  # with more, numbers are too small to read and take minutes to draw


def confusion(*, title: str, counts: ArrayLike, names: Sequence[str] | None = None) -> Figure:
    """Counts by true class (row) and predicted class (column); the colour is of the errors alone.

    `names` are those of the classes; without them the classes are numbers. Of more than MAX_NUMBERED_CLASSES
    the cells have a colour only, and not every class has a label.
    """
    table = np.asarray(counts)
    right, total = np.diag(table), table.sum(axis=1)
    numbered = len(table) <= MAX_NUMBERED_CLASSES
    labelled = range(0, len(table), ceil(len(table) / MAX_NUMBERED_CLASSES))
    diagonal = np.eye(len(table), dtype=bool)
    most = max(table[~diagonal].max(initial=0), 1)
    size = min(10, 150 / len(table))

    figure, axes = paper(7.8)
    shades = LinearSegmentedColormap.from_list("errors", ["white", ORANGE])
    axes.set_facecolor(PALE)  # seen where there is no number: on the diagonal
    axes.imshow(np.where(diagonal, np.nan, table), cmap=shades, vmin=0, vmax=most, aspect="auto")
    for (row, column), count in np.ndenumerate(table) if numbered else ():
        text, color = (f"{count:,}", INK) if count else ("·", GREY)
        axes.text(column, row, text, color=color, size=size, ha="center", va="center")

    labels = [str(number) if names is None else names[number] for number in labelled]
    axes.set_xticks(labelled, labels, parse_math=False, rotation=0 if numbered else 90)
    axes.set_yticks(labelled, labels, parse_math=False)
    axes.set(xlabel="predicted", ylabel="true")
    shares = axes.secondary_yaxis("right")
    shown = [f"{right[at] / total[at]:.1%}" if total[at] else "–" for at in labelled]
    shares.set_yticks(labelled, shown)
    shares.set_ylabel("share correct")
    for side in (axes, shares):
        side.grid(visible=False)
        side.spines[:].set_visible(False)
        side.tick_params(length=0)
    how = f"{right.sum():,} of {table.sum():,} correct; darker cells are more frequent errors"
    head(axes, title, how if numbered else f"{how}; the counts are in tables/confusion.csv")
    return figure
