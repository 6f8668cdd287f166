"""The style of every picture: palette, settings, headings.

Colours are Okabe and Ito's, which the colour-blind can tell apart.
"""

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

BLUE, ORANGE, GREEN, PINK, YELLOW, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
INK, GREY, PALE = "#222222", "#6E6E6E", "#E4E4E4"

Floats = NDArray[np.float64]

WIDTH = 9.0  # inches; with DPI below a picture is 1170 pixels wide
DPI = 130
SHEET: dict[str, Any] = {
    "agg.path.chunksize": 10_000,  # one learning rate per step is a very long line
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": GREY,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "figure.constrained_layout.h_pad": 0.12,
    "figure.constrained_layout.w_pad": 0.12,
    "grid.color": PALE,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
}


def paper(height: float) -> Figure:
    """An empty figure of the usual width, `height` inches high, that fits all its texts."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def head(axes: Axes, title: str, subtitle: str = "") -> None:
    """The title, and below it a smaller subtitle; flush with the left edge of `axes`."""
    axes.set_title(textwrap.fill(title, 80), loc="left", pad=28 if subtitle else 12, parse_math=False)
    axes.annotate(
        subtitle,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 11),
        textcoords="offset points",
        color=GREY,
        parse_math=False,
    )


def small_print(figure: Figure, text: str) -> None:
    """A legend in small print below the picture."""
    figure.supxlabel(text, x=0.01, ha="left", size=8, color=GREY)


def finite(values: ArrayLike) -> Floats:
    """`values` as floats; what is infinite becomes NaN, which is drawn as a gap."""
    numbers = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)
