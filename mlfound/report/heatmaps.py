"""Numbers in a grid, told apart by colour."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mlfound.report.style import GREY, INK, ORANGE, PALE, head, paper


def confusion(*, title: str, counts: ArrayLike, names: Sequence[str] | None = None) -> Figure:
    """Counts by true class (row) and predicted class (column); the colour is of the errors alone.

    `names` are those of the classes; without them the classes are numbers.
    """
    table = np.asarray(counts)
    classes = range(len(table))
    right, total = np.diag(table), table.sum(axis=1)
    diagonal = np.eye(len(table), dtype=bool)
    most = max(table[~diagonal].max(initial=0), 1)
    size = min(10, 150 / len(table))

    figure = paper(height=7.8)
    axes = figure.subplots()
    shades = LinearSegmentedColormap.from_list("errors", ["white", ORANGE])
    axes.set_facecolor(PALE)  # seen where there is no number: on the diagonal
    axes.imshow(np.where(diagonal, np.nan, table), cmap=shades, vmin=0, vmax=most, aspect="auto")
    for (row, column), count in np.ndenumerate(table):
        text, color = (f"{count:,}", INK) if count else ("·", GREY)
        axes.text(column, row, text, color=color, size=size, ha="center", va="center")

    labels = [str(number) for number in classes] if names is None else names
    axes.set_xticks(classes, labels, parse_math=False)
    axes.set_yticks(classes, labels, parse_math=False)
    axes.set(xlabel="predicted", ylabel="true")
    shares = axes.secondary_yaxis("right")
    shares.set_yticks(classes, [f"{r / t:.1%}" if t else "–" for r, t in zip(right, total, strict=True)])
    shares.set_ylabel("share right")
    for side in (axes, shares):
        side.grid(visible=False)
        side.spines[:].set_visible(False)
        side.tick_params(length=0)
    head(axes, title, f"{right.sum():,} of {table.sum():,} right; the darker, the more often this error")
    return figure
