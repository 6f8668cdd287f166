"""Pictures of a signal: single draws, before and after an activation, and layer by layer."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mlfound.report.palette import BLUE, COLOURS, DASHES, GREY, INK, ORANGE, PALE
from mlfound.report.style import counting, finite, head, marker, note, paper


def single_draws(
    *,
    title: str,
    names: Sequence[str],
    mean: ArrayLike,
    std: ArrayLike,
    mean_theory: ArrayLike,
    std_theory: ArrayLike,
    mean_scatter: ArrayLike,
) -> Figure:
    """Each draw's mean and std, (names, draws), beside theory; `mean_scatter` is a single draw's std about it.

    Theory and scatter are None where there is none.
    """
    means, stds = finite(mean), finite(std)
    places = np.arange(1, means.shape[1] + 1)
    figure, (left, right) = paper(4.9, 1, 2)
    theory = zip(finite(mean_theory), np.nan_to_num(finite(mean_scatter)), finite(std_theory), strict=True)
    for n, (name, colour, (center, scatter, spread)) in enumerate(zip(names, COLOURS, theory, strict=False)):
        if np.isfinite(center):
            left.axhline(center, color=colour, linestyle="--", linewidth=1.2)
            left.axhspan(center - scatter, center + scatter, color=colour, alpha=0.12, linewidth=0)
        left.plot(places, means[n], "o", color=colour, label=name)
        if np.isfinite(spread):
            right.axhline(spread, color=colour, linestyle="--" if n == 0 else (n, (4, 6)), linewidth=1.2)
        # rings around a dot: equal values stay visible
        ring = {"markersize": 5 + 4 * n, "fillstyle": "none" if n else "full"}
        right.plot(places, stds[n], "o", color=colour, label=name, **ring)
    left.axhline(0, color=GREY, linewidth=0.8)
    for axes, what in ((left, "mean"), (right, "standard deviation")):
        axes.set(xlabel="draw", ylabel=what, xticks=places)
        axes.margins(y=0.18)
        axes.legend(ncols=2, loc="upper left")
    head(left, title, "a shift moves the mean ..." if len(names) > 1 else "")
    if len(names) > 1:
        alike = np.allclose(stds[0], stds[-1], rtol=1e-5)
        effect = "leaves the standard deviation alone" if alike else "the standard deviation too"
        head(right, "", f"... and {effect}")
    note(figure, "Dashed: theory for these images. Shaded: one standard deviation of a single draw's mean.")
    return figure


def activation_histograms(
    *, title: str, names: Sequence[str], edges: ArrayLike, counts: ArrayLike, mean: ArrayLike, std: ArrayLike
) -> Figure:
    """Histograms of values, one panel per name on one axis; a bar that is too high is cut and labelled."""
    bins, tables = finite(edges), finite(counts)
    shares = tables / np.maximum(tables.sum(1, keepdims=True), 1)
    top = 1.25 * np.max(shares[0], initial=1e-9)
    figure, grid = paper(1.2 + 1.75 * len(names), len(names), sharex=True, squeeze=False)
    panels = grid[:, 0]
    for axes, name, share, center, spread, colour in zip(
        panels, names, shares, finite(mean), finite(std), (GREY, *COLOURS), strict=False
    ):
        axes.axvspan(center - spread, center + spread, color=PALE, zorder=0, label=f"± std {spread:.4f}")
        axes.axvline(center, color=INK, linestyle="--", linewidth=1.4, label=f"mean {center:z.4f}", zorder=3)
        axes.stairs(share, bins, fill=True, color=colour)
        for n in np.flatnonzero(share > top):
            cut = f"{share[n]:.0%} in this bar "
            axes.annotate(cut, (bins[n], 0.92 * top), ha="right", va="top", color=GREY)
        axes.set(ylabel=name, yticks=[], ylim=(0, top), axisbelow=True)
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
    gradient: str = "std of the gradient",
) -> Figure:
    """The std after each layer on a log axis, one line per scheme; beside it the gradient's size, if given."""
    layers = finite(layer)
    ways = [("std of the signal", forward), (gradient, backward)][: 2 if backward else 1]
    figure, [panels] = paper(5.6, 1, len(ways), sharey=True, squeeze=False)
    for axes, (what, lines) in zip(panels, ways, strict=True):
        for n, name in enumerate(forward):
            if name not in lines:
                continue
            colour, values = COLOURS[n % len(COLOURS)], finite(lines[name])
            known = np.where(values > 0, values, np.nan)
            dashes = DASHES[n // 4 % len(DASHES)]
            axes.plot(layers, known, marker=marker(layers, 10), color=colour, linestyle=dashes, label=name)
            if np.isnan(known).any() and np.isfinite(known).any():
                last = np.flatnonzero(np.isfinite(known))[-1]
                axes.plot(layers[last], known[last], "x", color=colour, markersize=8)
        axes.axhline(1, color=GREY, linewidth=0.8, zorder=0)
        axes.set(xlabel="layer", ylabel=what, yscale="log")
        counting(axes.xaxis)
        if layers.max(initial=1) > 1000:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:,.0f}")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper")
    head(panels[0], title, "forward, from the first layer to the last" if backward else "")
    if backward:
        head(panels[-1], "", "backward, from the last layer to the first")
    note(figure, "Logarithmic axis. A cross marks the last value before it became infinite or 0.")
    return figure


def size_histograms(
    *, title: str, names: Sequence[str], counts: ArrayLike, largest: float, layers: int
) -> Figure:
    """One panel per scheme from `counts` (names, bins, layers) of log10 |x| from -largest to largest."""
    columns = min(len(names), 4)
    rows = -(-len(names) // columns)
    figure, panels = paper(1.2 + 2.3 * rows, rows, columns, sharey=True, squeeze=False)
    shades = LinearSegmentedColormap.from_list("sizes", ["white", BLUE, INK])
    extent = (0.5, layers + 0.5, -largest, largest)
    ticks = np.arange(-largest, largest + 1, 4)
    for axes in panels.flat[len(names) :]:
        axes.set_visible(False)
    for axes, name, table in zip(panels.flat, names, finite(counts), strict=False):
        axes.imshow(table / (table.max() or 1), extent=extent, origin="lower", aspect="auto", cmap=shades)
        axes.axhline(0, color=ORANGE, linewidth=0.8)
        axes.grid(visible=False)
        axes.set_title(name, size=10, weight="normal", loc="left", color=GREY, parse_math=False)
        axes.set_yticks(ticks, [f"$10^{{{int(tick)}}}$" for tick in ticks])
        counting(axes.xaxis, nbins=3)
    for axes in panels[:, 0]:
        axes.set_ylabel("size of an activation")
    for axes in panels[-1]:
        axes.set_xlabel("layer")
    figure.suptitle(title, x=0.01, ha="left", size=13, weight="bold", parse_math=False)
    how = "One column per layer: a stronger colour, more activations of this size."
    note(figure, f"{how} The line is at 1; zeros are left out.")
    return figure
