"""The style of every picture: settings, figures, headings, axes."""

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from mlfound.report.palette import GREY, INK, PALE

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


def paper(height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """A figure of the usual width, `height` inches high, that fits all its texts; and its axes."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots(rows, columns, **options)


def head(axes: Axes, title: str, subtitle: str = "") -> None:
    """The title, and below it a smaller subtitle; flush with the left edge of `axes`."""
    axes.set_title(textwrap.fill(title, 80), loc="left", pad=28 if subtitle else 12, parse_math=False)
    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(subtitle, (0, 1), xytext=(0, 11), color=GREY, parse_math=False, **place)


def note(figure: Figure, text: str) -> None:
    """A legend in small print below the picture."""
    figure.supxlabel(text, x=0.01, ha="left", size=8, color=GREY)


def counting(axis: Axis, **options: Any) -> None:
    """Ticks at whole numbers only, in groups of three digits."""
    axis.set_major_locator(MaxNLocator(integer=True, **options))
    axis.set_major_formatter("{x:,.0f}")


def upright_grid(axes: Axes) -> None:
    """Grid lines for the horizontal axis instead of the vertical one, behind the data."""
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.set_axisbelow(True)


def marker(values: Floats, most: int = 30) -> str:
    """A dot on each point of a curve, unless they are too many."""
    return "o" if len(values) <= most else ""


def finite(values: ArrayLike) -> Floats:
    """`values` as floats; what is infinite or None becomes NaN, which is drawn as a gap."""
    numbers = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)
