"""Times as bars on a logarithmic axis, and speed against size with the machine's roofline."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from numpy.typing import ArrayLike

from mlfound.report.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PINK,
    SKY,
    YELLOW,
    finite,
    head,
    paper,
    small_print,
)
from mlfound.report.tables import duration

COLOURS = (BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, INK, GREY)


def duration_bars(
    *,
    title: str,
    names: Sequence[str],
    median_s: ArrayLike,
    low_s: ArrayLike,
    high_s: ArrayLike,
    lesson_s: Sequence[float | None],
) -> Figure:
    """One bar per name up to its median, the interquartile range of its samples, and the lesson's time."""
    median, low, high = finite(median_s), finite(low_s), finite(high_s)
    lesson = finite([np.nan if seconds is None else seconds for seconds in lesson_s])
    places = np.arange(len(names))
    figure = paper(height=1.6 + 0.42 * len(names))
    axes = figure.subplots()
    axes.barh(places, median, color=BLUE, height=0.62)
    axes.plot([low, high], [places, places], "|-", color=INK, linewidth=1.2, markersize=7)
    axes.plot(lesson, places, "D", color=ORANGE, markersize=7)
    beside = axes.secondary_yaxis("right")
    beside.set_yticks(places, [duration(value) for value in median], color=INK)
    beside.tick_params(length=0)
    beside.spines[:].set_visible(False)

    drawn = np.concatenate([low, high, lesson])
    axes.set_xscale("log")
    axes.set_xlim(0.6 * np.nanmin(drawn), 2 * np.nanmax(drawn))
    axes.set_axisbelow(True)
    axes.xaxis.set_major_formatter(EngFormatter(unit="s"))
    axes.set_yticks(places, names, parse_math=False)
    axes.invert_yaxis()
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("time of one call")
    head(axes, title, "diamonds: the lesson's times, on another machine" if np.isfinite(lesson).any() else "")
    small_print(figure, "Bars: medians. Whiskers: interquartile ranges.")
    return figure


def rate_bars(
    *, title: str, names: Sequence[str], images_per_s: ArrayLike, low: ArrayLike, high: ArrayLike
) -> Figure:
    """One bar per name from 0 up to its median, and the interquartile range of its samples."""
    median, places = finite(images_per_s), np.arange(len(names))
    figure = paper(height=1.6 + 0.42 * len(names))
    axes = figure.subplots()
    axes.barh(places, median, color=BLUE, height=0.62)
    axes.plot([finite(low), finite(high)], [places, places], "|-", color=INK, linewidth=1.2, markersize=7)
    beside = axes.secondary_yaxis("right")
    beside.set_yticks(places, [f"{value:,.0f}" for value in median], color=INK)
    beside.tick_params(length=0)
    beside.spines[:].set_visible(False)

    axes.set_axisbelow(True)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_yticks(places, names, parse_math=False)
    axes.invert_yaxis()
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("images per second")
    head(axes, title)
    small_print(figure, "Bars: medians. Whiskers: interquartile ranges.")
    return figure


def speeds(
    *,
    title: str,
    shapes: Sequence[str],
    flop: ArrayLike,
    gflop_per_s: Mapping[str, Sequence[float | None]],
    roofline: ArrayLike,
) -> Figure:
    """GFLOP/s of each implementation at each shape, smallest product first, below the machine's roofline."""
    order = np.argsort(finite(flop), kind="stable")
    places = np.arange(len(order))
    figure = paper(height=5.8)
    axes = figure.subplots()
    axes.plot(places, finite(roofline)[order], color=INK, linestyle="--", label="roofline (from memory)")
    for (name, rates), colour in zip(gflop_per_s.items(), COLOURS, strict=False):
        values = finite([np.nan if rate is None else rate for rate in rates])[order]
        axes.plot(places, values, marker="o", color=colour, label=name)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks(places, [shapes[index] for index in order], parse_math=False)
    axes.set(xlabel="shape, smallest product first", ylabel="GFLOP/s")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
    head(axes, title)
    return figure
