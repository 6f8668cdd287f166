"""What a sweep found by the one or two keys that it varied: a line with its band, a line for each case, or a map."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from numpy.typing import ArrayLike

from mlfound.report.palette import BLUE, COLOURS, DASHES, INK, SKY
from mlfound.report.style import finite, head, marker, note, paper

LOG_RATIO = 20  # of the largest value to the smallest: from here on the axis is logarithmic
MAX_LETTERS = 100  # of the names side by side


def setting_line(
    *,
    title: str,
    figure: str,
    key: str,
    values: Sequence[Any],
    mean: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    seeds: Sequence[Sequence[float]],
) -> Figure:
    """A figure by the values of a key: one dot per seed, their mean, and its interval from `low` to `high`.

    Numbers lie where they belong, words and lists side by side in their order.
    """
    drawn, axes = paper(4.8)
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    places = finite(values if numeric else range(len(values)))
    order = np.argsort(places, kind="stable")
    for place, dots in zip(places, seeds, strict=True):
        axes.plot(np.full(len(dots), place), finite(dots), "o", color=SKY, alpha=0.55, markeredgewidth=0)
    means, lows, highs = (finite(each)[order] for each in (mean, low, high))
    if numeric:
        axes.fill_between(places[order], lows, highs, color=BLUE, alpha=0.18, linewidth=0)
        axes.plot(places[order], means, color=BLUE, marker=marker(places))
        if places.min() > 0 and places.max() >= LOG_RATIO * places.min():
            axes.set_xscale("log")
        if len(places) <= 12:
            axes.set_xticks(places, [f"{value:g}" for value in places])
            axes.minorticks_off()
    else:
        for place, ends in zip(places, np.transpose([lows, highs]), strict=True):
            axes.plot([place, place], ends, "_-", color=BLUE, markersize=14)
        axes.plot(places, means, "D", color=BLUE)
        _names(axes.xaxis, list(map(str, values)))
        axes.margins(x=0.5 / max(1, len(values)))
    axes.set_xlabel(key, parse_math=False)
    axes.set_ylabel(figure, parse_math=False)
    head(axes, title)
    bars = "the band is" if numeric else "bars are"
    note(drawn, f"Dots: one per seed. The mean over the seeds, and {bars} its 95% interval.")
    return drawn


def setting_lines(
    *,
    title: str,
    figure: str,
    key: str,
    values: Sequence[float],
    names: Sequence[str],
    mean: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
) -> Figure:
    """A figure by the numbers of a key, both logarithmic: a line for each name, and bars from `low` to `high`.

    `mean`, `low` and `high` are (names, values); a value that a line lacks is a gap.
    """
    drawn, axes = paper(5.6)
    places = finite(values)
    shift = max(2.0, places.max() / places.min()) ** 0.006  # so that bars do not lie on one another
    lines = zip(names, *(finite(each) for each in (mean, low, high)), strict=True)
    for n, (name, means, lows, highs) in enumerate(lines):
        colour, dashes = COLOURS[n % len(COLOURS)], DASHES[n // len(COLOURS) % len(DASHES)]
        across = places * shift ** (n - (len(names) - 1) / 2)
        axes.vlines(across, lows, highs, color=colour, linewidth=1.2)
        axes.plot(across, means, color=colour, linestyle=dashes, marker="o", label=name)
    axes.set_xscale("log")
    axes.set_xticks(places, [f"{value:,.0f}" for value in places])
    if (finite(mean) > 0).any():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.set_xlabel(key, parse_math=False)
    axes.set_ylabel(figure, parse_math=False)
    legend = drawn.legend(loc="outside right center")
    for text in legend.get_texts():
        text.set_parse_math(False)
    head(axes, title)
    note(drawn, "Means over the seeds with their 95% intervals; both axes are logarithmic.")
    return drawn


def setting_map(
    *,
    title: str,
    figure: str,
    keys: Sequence[str],
    rows: Sequence[Any],
    columns: Sequence[Any],
    mean: ArrayLike,
    half: ArrayLike,
) -> Figure:
    """The mean of a figure by two keys (rows, columns), with half of its 95% interval; empty where there is none."""
    means, halves = finite(mean), finite(half)
    drawn, axes = paper(1.9 + 0.55 * len(rows))
    shades = LinearSegmentedColormap.from_list("means", ["white", SKY])
    image = axes.imshow(means, cmap=shades, aspect="auto")
    size = min(10, 90 / max(1, len(columns)))
    for (row, column), value in np.ndenumerate(means):
        if np.isfinite(value):
            around = halves[row, column]
            text = f"{value:#.4g}" + (f" ± {around:#.2g}" if np.isfinite(around) else "")
            axes.text(column, row, text, color=INK, size=size, ha="center", va="center")
    _names(axes.xaxis, list(map(str, columns)))
    _names(axes.yaxis, list(map(str, rows)))
    axes.set_ylabel(keys[0], parse_math=False)
    axes.set_xlabel(keys[1], parse_math=False)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    drawn.colorbar(image, ax=axes, label=figure)
    head(axes, title)
    note(drawn, "Means over the seeds; ± is half of the 95% interval.")
    return drawn


def _names(axis: Any, names: Sequence[str]) -> None:
    """Side by side; upright where there is no room, on the horizontal axis."""
    axis.set_ticks(range(len(names)), names, parse_math=False)
    if axis.axis_name == "x" and sum(map(len, names)) > MAX_LETTERS:
        axis.set_tick_params(rotation=90)
