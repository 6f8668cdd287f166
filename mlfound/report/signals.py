"""Pictures of a signal: single draws, before and after an activation, and layer by layer."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from numpy.typing import ArrayLike

from mlfound.report.bars import COLOURS
from mlfound.report.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    PINK,
    YELLOW,
    finite,
    head,
    paper,
    small_print,
)

DASHES = ("-", (0, (4, 4)), (0, (1, 3)))  # lines that lie on one another stay visible
WAYS = (BLUE, ORANGE, GREEN, PINK, YELLOW)


def single_draws(
    *,
    title: str,
    names: Sequence[str],
    mean: ArrayLike,
    std: ArrayLike,
    mean_theory: Sequence[float | None],
    std_theory: Sequence[float | None],
    mean_scatter: Sequence[float | None],
) -> Figure:
    """Each draw's mean and std, (names, draws), beside theory; `mean_scatter` is a single draw's std about it."""
    means, stds = finite(mean), finite(std)
    places = np.arange(1, means.shape[1] + 1)
    figure = paper(height=4.9)
    left, right = figure.subplots(1, 2)
    for n, (name, colour) in enumerate(zip(names, WAYS, strict=False)):
        wanted, scatter = (numbers[n] for numbers in (mean_theory, mean_scatter))
        if wanted is not None:
            left.axhline(wanted, color=colour, linestyle="--", linewidth=1.2)
            left.axhspan(
                wanted - (scatter or 0), wanted + (scatter or 0), color=colour, alpha=0.12, linewidth=0
            )
        left.plot(places, means[n], "o", color=colour, label=name)
        if (spread := std_theory[n]) is not None:
            right.axhline(spread, color=colour, linestyle="--" if n == 0 else (n, (4, 6)), linewidth=1.2)
        size = 5 + 4 * n  # equal values show as a ring around a dot
        right.plot(
            places,
            stds[n],
            "o",
            color=colour,
            markersize=size,
            fillstyle="full" if n == 0 else "none",
            label=name,
        )
    left.axhline(0, color=GREY, linewidth=0.8)
    for axes, what in ((left, "mean"), (right, "standard deviation")):
        axes.set(xlabel="draw", ylabel=what)
        axes.set_xticks(places)
        axes.margins(y=0.18)
        axes.legend(ncols=2, loc="upper left")
    head(left, title, "a shift moves the mean ..." if len(names) > 1 else "")
    if len(names) > 1:
        alike = np.allclose(stds[0], stds[-1], rtol=1e-5)
        head(
            right,
            "",
            f"... and {'leaves the standard deviation alone' if alike else 'the standard deviation too'}",
        )
    small_print(
        figure,
        "Dashed: theory for these images. Shaded: one standard deviation of a single draw's mean.",
    )
    return figure


def activation_histograms(
    *,
    title: str,
    names: Sequence[str],
    edges: ArrayLike,
    counts: ArrayLike,
    mean: ArrayLike,
    std: ArrayLike,
) -> Figure:
    """Histograms of values, one panel per name on one axis; a bar that is too high is cut and labelled."""
    bins, tables = finite(edges), finite(counts)
    shares = tables / np.maximum(tables.sum(1, keepdims=True), 1)
    top = 1.25 * np.max(shares[0], initial=1e-9)
    figure = paper(height=1.2 + 1.75 * len(names))
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name, share, center, spread, colour in zip(
        panels, names, shares, finite(mean), finite(std), (GREY, *WAYS), strict=False
    ):
        axes.axvspan(center - spread, center + spread, color=PALE, zorder=0, label=f"± std {spread:.4f}")
        axes.axvline(center, color=INK, linestyle="--", linewidth=1.4, label=f"mean {center:z.4f}", zorder=3)
        axes.stairs(share, bins, fill=True, color=colour)
        axes.set_ylim(0, top)
        for n in np.flatnonzero(share > top):
            axes.annotate(
                f"{share[n]:.0%} in this bar ", (bins[n], 0.92 * top), ha="right", va="top", color=GREY
            )
        axes.set(ylabel=name, yticks=[])
        axes.set_axisbelow(True)
        axes.legend(loc="upper right")
    panels[-1].set_xlabel("value")
    head(panels[0], title, "band: mean ± one standard deviation")
    return figure


def signal_by_layer(
    *,
    title: str,
    layer: ArrayLike,
    forward: Mapping[str, Sequence[float]],
    backward: Mapping[str, Sequence[float]],
) -> Figure:
    """The std after each layer on a log axis, one line per scheme; beside it the gradient's, if given."""
    layers = finite(layer)
    figure = paper(height=5.6)
    ways = [("std of the signal", forward), ("std of the gradient", backward)]
    ways = [way for way in ways if way[1]] or ways[:1]
    panels = figure.subplots(1, len(ways), sharey=True, squeeze=False)[0]
    marker = "o" if len(layers) <= 10 else ""
    styles = {
        name: (COLOURS[n % len(COLOURS)], DASHES[n // 4 % len(DASHES)]) for n, name in enumerate(forward)
    }
    for axes, (what, lines) in zip(panels, ways, strict=True):
        for name, values in lines.items():
            colour, dashes = styles[name]
            known = np.where(finite(values) > 0, finite(values), np.nan)
            axes.plot(layers, known, marker=marker, color=colour, linestyle=dashes, label=name)
            if np.isnan(known).any() and np.isfinite(known).any():
                last = np.flatnonzero(np.isfinite(known))[-1]
                axes.plot(layers[last], known[last], "x", color=colour, markersize=8)
        axes.axhline(1, color=GREY, linewidth=0.8, zorder=0)
        axes.set_yscale("log")
        axes.set(xlabel="layer", ylabel=what)
        if layers.max(initial=1) > 1000:
            axes.set_xscale("log")
        else:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper")
    head(panels[0], title, "forward, from the first layer to the last" if backward else "")
    if backward:
        head(panels[-1], "", "backward, from the last layer to the first")
    small_print(figure, "Logarithmic axis. A cross marks the last value before it became infinite or 0.")
    return figure


def size_histograms(
    *, title: str, names: Sequence[str], counts: ArrayLike, largest: float, layers: int
) -> Figure:
    """One panel per scheme from `counts` (names, bins, layers) of log10 |x| from -largest to largest."""
    tables = finite(counts)
    columns = min(len(names), 4)
    rows = -(-len(names) // columns)
    figure = paper(height=1.2 + 2.3 * rows)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    shades = LinearSegmentedColormap.from_list("sizes", ["white", BLUE, INK])
    for axes in panels.flat[len(names) :]:
        axes.set_visible(False)
    for axes, name, table in zip(panels.flat, names, tables, strict=False):
        extent = (0.5, layers + 0.5, -largest, largest)
        axes.imshow(table / (table.max() or 1), extent=extent, origin="lower", aspect="auto", cmap=shades)
        axes.axhline(0, color=ORANGE, linewidth=0.8)
        axes.grid(visible=False)
        axes.set_title(name, size=10, weight="normal", loc="left", color=GREY, parse_math=False)
        ticks = np.arange(-largest, largest + 1, 4)
        axes.set_yticks(ticks, [f"$10^{{{int(tick)}}}$" for tick in ticks])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    for axes in panels[:, 0]:
        axes.set_ylabel("size of an activation")
    for axes in panels[-1]:
        axes.set_xlabel("layer")
    figure.suptitle(title, x=0.01, ha="left", size=13, weight="bold", parse_math=False)
    how = "One column per layer: the darker, the more activations of this size. The line is at 1; zeros are left out."
    small_print(figure, how)
    return figure
