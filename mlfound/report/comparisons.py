"""Comparisons of runs: every seed, the differences with their intervals, and the learning curves."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle, islice

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from mlfound.report.palette import COLOURS, DASHES, GREY, INK, PALE
from mlfound.report.style import counting, finite, head, marker, note, paper, upright_grid

MAX_LABEL_WIDTH = 24  # characters of a line beside the axis


def compared_seeds(
    *,
    title: str,
    names: Sequence[str],
    values: ArrayLike,
    axis: str,
    differences: ArrayLike,
    difference: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    unit: str,
) -> Figure:
    """One row per side: its `values` (sides, seeds), and to the right its differences from the first side.

    `differences`, (sides - 1, seeds), are the differences of pairs, NaN where there are none; `difference`, `low` and
    `high` the mean difference of every side but the first, with its interval.
    """
    figures, pairs, means = finite(values), finite(differences), finite(difference)
    colours = list(islice(cycle(COLOURS), len(names)))
    figure, (left, right) = paper(2.1 + 0.75 * len(names), 1, 2, sharey=True)

    if np.isfinite(pairs).any():
        left.plot(figures, np.arange(len(names)), color=PALE, linewidth=1, zorder=1)
    for row, (numbers, colour) in enumerate(zip(figures, colours, strict=True)):
        left.plot(numbers, np.full_like(numbers, row), "o", color=colour, alpha=0.55, markeredgewidth=0)
        if np.isfinite(numbers).any():
            left.plot(np.nanmean(numbers), row, "|", color=INK, markersize=22, markeredgewidth=2)
    left.set_yticks(np.arange(len(names)), _folded(names), parse_math=False, color=INK)
    left.set_ylim(len(names) - 0.5, -0.5)
    left.set_xlabel(axis, parse_math=False)

    right.axvline(0, color=GREY, linewidth=1)
    ends = np.transpose([finite(low), finite(high)])
    for row, (dots, mean, interval) in enumerate(zip(pairs, means, ends, strict=True), 1):
        right.plot(dots, np.full_like(dots, row), "o", color=colours[row], alpha=0.4, markeredgewidth=0)
        right.plot(interval, [row + 0.22, row + 0.22], "|-", color=INK, markersize=9)
        right.plot(mean, row + 0.22, "D", color=INK, markersize=6)
    leftward = np.nansum(means) < 0
    right.annotate("reference of the differences", (0, 0), xytext=(-6 if leftward else 6, 0), color=GREY,
                   textcoords="offset points", va="center", ha="right" if leftward else "left")  # fmt: skip
    right.set_xlabel(f"difference{f' in {unit}' if unit else ''}", parse_math=False)
    right.tick_params(left=False)
    for axes in (left, right):
        upright_grid(axes)
        axes.margins(x=0.08)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    head(left, title)
    how = "Right: differences of equal seeds, below them the mean difference with its interval."
    note(figure, f"Left: one dot per seed, bars are means, lines join equal seeds. {how}")
    return figure


def compared_curves(
    *, title: str, names: Sequence[str], curves: Mapping[str, Sequence[Sequence[Sequence[float]]]]
) -> Figure:
    """One panel per figure of `curves`, one line per side: epochs, mean, lower and upper end of the band."""
    legends = _folded(names)
    lines = -(-len(names) // 3) * max(legend.count("\n") + 1 for legend in legends)
    figure, panels = paper(4.6 + 0.25 * lines, 1, len(curves), squeeze=False)
    for axes, (what, sides) in zip(panels[0], curves.items(), strict=True):
        for n, (name, line) in enumerate(zip(names, sides, strict=True)):
            epochs, mean, low, high = map(finite, line)
            colour, dashes = COLOURS[n % len(COLOURS)], DASHES[n // len(COLOURS) % len(DASHES)]
            axes.fill_between(epochs, low, high, color=colour, alpha=0.16, linewidth=0)
            axes.plot(epochs, mean, color=colour, linestyle=dashes, marker=marker(epochs), label=name)
        axes.set_ylabel(what, parse_math=False)
        axes.set_xlabel("epoch")
        counting(axes.xaxis, steps=[1, 2, 5, 10])
    handles, _ = panels[0, 0].get_legend_handles_labels()
    legend = figure.legend(handles, legends, loc="outside upper right", ncols=min(len(names), 3))
    for text in legend.get_texts():
        text.set_parse_math(False)
    head(panels[0, 0], title)
    note(figure, "Lines: the mean over the seeds. Bands: one standard deviation to either side.")
    return figure


def _folded(names: Sequence[str]) -> list[str]:
    return [textwrap.fill(name, MAX_LABEL_WIDTH) for name in names]
