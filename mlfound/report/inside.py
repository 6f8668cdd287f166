"""A network while it trains: figures of its layers over the steps, and all they give as histograms side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from mlfound.report.palette import BLUE, COLOURS, GREY, INK, ORANGE, YELLOW
from mlfound.report.style import Floats, counting, finite, marker, note, paper

Lines = Mapping[str, Sequence[float]]
TICKS = (-100, -10, -1, 0, 1, 10, 100)


def inside_curves(
    *, title: str, step: ArrayLike, mean: Lines, std: Lines, near_zero: Lines, gradient: Lines
) -> Figure:
    """Over the steps a line a layer: mean, std and share near zero of what it gives, and its gradient's length."""
    steps = finite(step)
    figure, panels = paper(6.6, 2, 2, sharex=True)
    names = "mean", "standard deviation", "share near zero", "gradient's length"
    for axes, says, lines in zip(panels.flat, names, (mean, std, near_zero, gradient), strict=True):
        for colour, (layer, values) in zip(COLOURS, lines.items(), strict=False):
            axes.plot(steps, finite(values), marker=marker(steps), color=colour, linewidth=1.1, label=layer)
        axes.set(ylabel=says)
        counting(axes.xaxis, nbins=5)
    panels[0, 0].axhline(0, color=GREY, linewidth=0.8, zorder=0)
    for axes, each in ((panels[0, 1], std), (panels[1, 1], gradient)):
        drawn = finite([*each.values()])
        if np.nanmax(drawn, initial=0) > 20 * np.nanmin(drawn[drawn > 0], initial=np.inf):
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
    panels[1, 0].set(ylim=(0, 1.02))
    panels[1, 0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    for axes in panels[-1]:
        axes.set_xlabel("step")
    figure.suptitle(title, x=0.01, ha="left", size=13, weight="bold", parse_math=False)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower left", ncols=4)
    figure.align_ylabels()
    return figure


def inside_histograms(
    *, title: str, layers: Sequence[str], step: ArrayLike, edges: ArrayLike, counts: ArrayLike
) -> Figure:
    """A panel a layer from `counts` (layers, steps, bins): each column is a histogram between the `edges`."""
    steps, bins, tables = finite(step), finite(edges), finite(counts)
    columns = min(len(layers), 2)
    rows = -(-len(layers) // columns)
    figure, panels = paper(1.2 + 2.1 * rows, rows, columns, sharex=True, sharey=True, squeeze=False)
    shades = LinearSegmentedColormap.from_list("counts", ["white", BLUE, INK, ORANGE, YELLOW])
    end, width = scaled(bins[-1]), steps[1] - steps[0] if len(steps) > 1 else 1
    extent = (steps[0] - width / 2, steps[-1] + width / 2, -end, end)
    for axes in panels.flat[len(layers) :]:
        axes.set_visible(False)
    for axes, layer, table in zip(panels.flat, layers, tables, strict=False):
        image = np.log1p(table.T)
        axes.imshow(image / (image.max() or 1), extent=extent, origin="lower", aspect="auto", cmap=shades)
        axes.grid(visible=False)
        axes.set_title(layer, size=10, weight="normal", loc="left", color=GREY, parse_math=False)
        axes.set_yticks(scaled(TICKS), [f"{tick:,}" for tick in TICKS])
        counting(axes.xaxis, nbins=5)
    used, heights = np.flatnonzero(tables.sum((0, 1))), scaled(bins)
    low, high = (heights[used[0]], heights[used[-1] + 1]) if len(used) else (-end, end)
    panels[0, 0].set_ylim(min(low, scaled(-1)), max(high, scaled(1)))
    for axes in panels.flat[: len(layers)][-columns:]:  # the lowest of each column
        axes.set_xlabel("step")
        axes.tick_params(labelbottom=True)
    figure.suptitle(title, x=0.01, ha="left", size=13, weight="bold", parse_math=False)
    how = "One column per look, on a scale that is finest around 0: from white over blue and black to orange,"
    note(figure, f"{how} the more numbers of this size (logarithmic).")
    return figure


def scaled(x: ArrayLike) -> Floats:
    """log(1 + |x|) with the sign of x."""
    return np.copysign(np.log1p(np.abs(x)), x)
