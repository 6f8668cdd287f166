"""Times and rates as bars, and speed against size with the machine's roofline."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from numpy.typing import ArrayLike

from mlfound.report.palette import BLUE, COLOURS, INK, ORANGE
from mlfound.report.style import finite, head, note, paper, upright_grid
from mlfound.report.tables import duration


def duration_bars(
    *,
    title: str,
    names: Sequence[str],
    median_s: ArrayLike,
    low_s: ArrayLike,
    high_s: ArrayLike,
    lesson_s: ArrayLike,
) -> Figure:
    """Bars of times on a logarithmic axis, with the lesson's times, None where it has none."""
    lesson = finite(lesson_s)
    figure, axes = _bars(names, median_s, low_s, high_s, duration)
    axes.plot(lesson, np.arange(len(names)), "D", color=ORANGE, markersize=7)
    drawn = np.concatenate([finite(low_s), finite(high_s), lesson])
    axes.set_xscale("log")
    axes.set_xlim(0.6 * np.nanmin(drawn), 2 * np.nanmax(drawn))
    axes.xaxis.set_major_formatter(EngFormatter(unit="s"))
    axes.set_xlabel("time of one call")
    head(axes, title, "diamonds: the lesson's times, on another machine" if np.isfinite(lesson).any() else "")
    return figure


def rate_bars(
    *, title: str, names: Sequence[str], images_per_s: ArrayLike, low: ArrayLike, high: ArrayLike
) -> Figure:
    """Bars of images per second, from 0."""
    figure, axes = _bars(names, images_per_s, low, high, "{:,.0f}".format)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("images per second")
    head(axes, title)
    return figure


def _bars(
    names: Sequence[str], median: ArrayLike, low: ArrayLike, high: ArrayLike, text: Callable[[float], str]
) -> tuple[Figure, Axes]:
    """One bar per name up to its median, which stands beside it, and the interquartile range of its samples."""
    medians, places = finite(median), np.arange(len(names))
    figure, axes = paper(1.6 + 0.42 * len(names))
    axes.barh(places, medians, color=BLUE, height=0.62)
    axes.plot([finite(low), finite(high)], [places, places], "|-", color=INK, linewidth=1.2, markersize=7)
    beside = axes.secondary_yaxis("right")
    beside.set_yticks(places, [text(value) for value in medians], color=INK)
    beside.tick_params(length=0)
    beside.spines[:].set_visible(False)
    axes.set_yticks(places, names, parse_math=False)
    axes.invert_yaxis()
    upright_grid(axes)
    note(figure, "Bars: medians. Whiskers: interquartile ranges.")
    return figure, axes


def speeds(
    *,
    title: str,
    shapes: Sequence[str],
    flop: ArrayLike,
    gflop_per_s: Mapping[str, ArrayLike],
    roofline: ArrayLike,
) -> Figure:
    """GFLOP/s of each implementation at each shape, smallest product first, below the machine's roofline."""
    order = np.argsort(finite(flop), kind="stable")
    places = np.arange(len(order))
    figure, axes = paper(5.8)
    axes.plot(places, finite(roofline)[order], color=INK, linestyle="--", label="roofline (from memory)")
    for (name, rates), colour in zip(gflop_per_s.items(), COLOURS, strict=False):
        axes.plot(places, finite(rates)[order], marker="o", color=colour, label=name)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks(places, [shapes[index] for index in order], parse_math=False)
    axes.set(xlabel="shape, smallest product first", ylabel="GFLOP/s")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
    head(axes, title)
    return figure
