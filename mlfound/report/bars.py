"""Times as dots, rates as bars, and speed against size with the machine's roofline."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike

from mlfound.report.palette import BLUE, COLOURS, INK, ORANGE
from mlfound.report.style import Floats, finite, head, note, paper, upright_grid
from mlfound.report.tables import duration

UNITS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}


def duration_dots(
    *,
    title: str,
    names: Sequence[str],
    median_s: ArrayLike,
    low_s: ArrayLike,
    high_s: ArrayLike,
    lesson_s: ArrayLike,
    of: str = "one call",
) -> Figure:
    """Dots on a logarithmic axis: the times `of` something, with the lesson's times, None where it has none."""
    lesson, medians = finite(lesson_s), finite(median_s)
    figure, axes = _rows(names, medians, low_s, high_s, duration)
    axes.plot(medians, np.arange(len(names)), "o", color=BLUE, markersize=8)
    axes.plot(lesson, np.arange(len(names)), "D", color=ORANGE, fillstyle="none", markersize=9)
    _seconds_axis(axes, np.concatenate([finite(low_s), finite(high_s), lesson]), of)
    note(figure, "Dots: medians. Whiskers: interquartile ranges.")
    head(axes, title, "diamonds: the lesson's times, on another machine" if np.isfinite(lesson).any() else "")
    return figure


def pass_dots(
    *,
    title: str,
    names: Sequence[str],
    median_s: Mapping[str, ArrayLike],
    low_s: Mapping[str, ArrayLike],
    high_s: Mapping[str, ArrayLike],
    of: str = "one call",
) -> Figure:
    """The same with several dots in a row, one for each pass, in its colour and with its time at the right."""
    places = np.arange(len(names))[:, None] + np.linspace(-0.25, 0.25, len(median_s))  # (names, passes)
    medians, lows, highs = (np.stack([*map(finite, each.values())], 1) for each in (median_s, low_s, high_s))
    figure, axes = paper(1.8 + 0.7 * len(names))
    axes.plot(
        [lows.ravel(), highs.ravel()], [places.ravel()] * 2, "|-", color=INK, linewidth=1.2, markersize=5
    )
    for n, (name, colour) in enumerate(zip(median_s, COLOURS, strict=False)):
        axes.plot(medians[:, n], places[:, n], "o", color=colour, markersize=7, label=name)
    beside = axes.secondary_yaxis("right")
    beside.set_yticks(places.ravel(), map(duration, medians.ravel()), color=INK, size=8)
    beside.tick_params(length=0)
    beside.spines[:].set_visible(False)
    axes.set_yticks(np.arange(len(names)), names, parse_math=False)
    axes.set_ylim(len(names) - 0.5, -0.5)
    upright_grid(axes)
    _seconds_axis(axes, np.concatenate([lows.ravel(), highs.ravel()]), of)
    axes.legend(loc="best")
    note(figure, "Dots: medians. Whiskers: interquartile ranges.")
    head(axes, title)
    return figure


def _seconds_axis(axes: Axes, drawn: Floats, of: str) -> None:
    """A logarithmic axis in the unit that suits all the seconds that are `drawn`."""
    low, high = np.nanmin(drawn), np.nanmax(drawn)
    axes.set_xscale("log")
    axes.set_xlim(0.6 * low, 1.7 * high)
    unit, size = next(
        ((name, size) for name, size in UNITS.items() if np.sqrt(low * high) >= size), ("ns", 1e-9)
    )
    steps = (1.0, 2.0, 5.0) if high < 100 * low else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=steps, numticks=20))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{float(f'{seconds / size:.6g}'):,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(f"time of {of}, {unit}")


def rate_bars(
    *, title: str, names: Sequence[str], images_per_s: ArrayLike, low: ArrayLike, high: ArrayLike
) -> Figure:
    """Bars of images per second, from 0."""
    rates = finite(images_per_s)
    figure, axes = _rows(names, rates, low, high, "{:,.0f}".format)
    axes.barh(np.arange(len(names)), rates, color=BLUE, height=0.62, zorder=0.5)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("images per second")
    note(figure, "Bars: medians. Whiskers: interquartile ranges.")
    head(axes, title)
    return figure


def _rows(
    names: Sequence[str], medians: Floats, low: ArrayLike, high: ArrayLike, text: Callable[[float], str]
) -> tuple[Figure, Axes]:
    """A row for each name: the interquartile range of its samples, and at the right the median as text."""
    places = np.arange(len(names))
    figure, axes = paper(1.6 + 0.42 * len(names))
    axes.plot([finite(low), finite(high)], [places, places], "|-", color=INK, linewidth=1.2, markersize=7)
    beside = axes.secondary_yaxis("right")
    beside.set_yticks(places, [text(value) for value in medians], color=INK)
    beside.tick_params(length=0)
    beside.spines[:].set_visible(False)
    axes.set_yticks(places, names, parse_math=False)
    axes.set_ylim(len(names) - 0.5, -0.5)
    upright_grid(axes)
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
