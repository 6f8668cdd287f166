"""Distributions of the data: pixel values, classes, and the mean and std of each pixel."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike

from mlfound.report.palette import BLUE, GREEN, GREY, INK, ORANGE, PALE, SKY
from mlfound.report.style import WIDTH, finite, head, note, paper

MAX_NAMES, MAX_LETTERS = 26, 80  # of classes along an axis; beyond the second, names stand upright


def pixel_histograms(
    *, title: str, edges: ArrayLike, counts: ArrayLike, mean: ArrayLike, std: ArrayLike, zero_share: float
) -> Figure:
    """How often each value occurs, on a log axis: before normalising, and below it after.

    Each array has a row for before and one for after: `edges` (2, bins + 1), `counts` (2, bins), `mean` and
    `std` (2,). Of all values, `zero_share` are 0 before.
    """
    tables = finite(counts)
    figure, panels = paper(6.6, 2)
    numbers = zip(finite(edges), tables, finite(mean), finite(std), strict=True)
    for axes, when, color, (bins, heights, center, spread) in zip(
        panels, ("before", "after"), (BLUE, GREEN), numbers, strict=True
    ):
        axes.axvline(center, color=ORANGE, linestyle="--", label=f"mean {center:z.4f}")
        axes.axvspan(center - spread, center + spread, color=PALE, zorder=0, label=f"± std {spread:.4f}")
        axes.stairs(heights, bins, baseline=0.1, fill=True, color=color)
        axes.set_yscale("log")
        axes.set_ylim(0.5 * heights[heights > 0].min(initial=np.inf), 5 * heights.max(initial=1))
        axes.set(xlabel=f"pixel value {when}", ylabel="pixels", axisbelow=True)
        axes.legend(ncols=2, loc="upper right")
    head(panels[0], title, f"before, {zero_share:.1%} of all values are exactly 0: the first bar")
    how = "Every pixel is shifted and scaled by its own mean and std."
    if np.array_equal(*tables):
        how = "Normalising shifts and scales the axis; the shape does not change."
    note(figure, f"{how} Counts are on a log axis.")
    return figure


def mean_and_std_images(*, title: str, mean: ArrayLike, std: ArrayLike) -> Figure:
    """The mean and the standard deviation of each pixel, both (height, width); where the std is 0 is marked."""
    means, stds = finite(mean), finite(std)
    never = stds == 0
    height, width = means.shape
    figure, (left, right) = paper(1.6 + 0.43 * WIDTH * min(height / width, 2), 1, 2)
    shades = matplotlib.colormaps["gray_r"].with_extremes(bad=SKY)
    changing = np.where(never, np.nan, stds)
    for axes, image, name in ((left, means, "mean"), (right, changing, "standard deviation")):
        drawn = axes.imshow(image, cmap=shades, vmin=0)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(visible=True, color=PALE)
        figure.colorbar(drawn, ax=axes, orientation="horizontal", shrink=0.8, aspect=30, label=name)
    same = f"{never.sum():,} of {never.size:,} pixels are the same in every image: blue on the right"
    head(left, title, same if never.any() else "every pixel changes from image to image")
    return figure


def class_balance(
    *, title: str, splits: Sequence[str], counts: ArrayLike, names: Sequence[str] | None = None
) -> Figure:
    """The share of each class in each split, from `counts` (splits, classes); a class that is missing is marked.

    `names` are those of the classes; without them, and of many, the classes are numbers.
    """
    table = finite(counts)
    rows = np.maximum(table.sum(axis=1, keepdims=True), 1)
    shares = table / rows
    whiskers = 2 * np.sqrt(shares * (1 - shares) / rows)
    classes = np.arange(table.shape[1])
    width = 0.8 / len(splits)
    look = {"ecolor": INK, "elinewidth": min(1, 30 / len(classes))}

    figure, axes = paper(4.8)
    for index, name in enumerate(splits):
        bar = {"color": (BLUE, ORANGE, GREY)[index % 3], "label": name, "error_kw": look}
        places = classes + (index - (len(splits) - 1) / 2) * width
        axes.bar(places, shares[index], 0.9 * width, yerr=whiskers[index], **bar)
        for place in places[table[index] == 0]:
            axes.text(place, 0, "×", color=bar["color"], ha="center", va="bottom")
    axes.axhline(1 / len(classes), color=INK, linestyle="--", linewidth=1)
    axes.set_xlim(-0.7, len(classes) - 0.3)
    axes.set_ylim(0, 1.2 * (shares + whiskers).max())
    if names and len(names) <= MAX_NAMES:
        axes.set_xticks(
            classes, names, parse_math=False, rotation=0 if sum(map(len, names)) < MAX_LETTERS else 90
        )
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=30, integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set(xlabel="class", ylabel="share of the split", axisbelow=True)
    axes.legend(ncols=len(splits), loc="upper right")
    head(axes, title, f"dashed: every class equally often, {1 / len(classes):.1%}")
    note(figure, "Whiskers: two standard errors of a share.")
    return figure
