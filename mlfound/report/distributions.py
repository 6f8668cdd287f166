"""Distributions of the data: pixel values, classes, and the mean and std of each pixel."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike

from mlfound.report.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    SKY,
    WIDTH,
    finite,
    head,
    paper,
    small_print,
)


def pixel_histograms(
    *, title: str, edges: ArrayLike, counts: ArrayLike, mean: ArrayLike, std: ArrayLike, zero_share: float
) -> Figure:
    """How often each value occurs, on a log axis: before normalising, and below it after.

    Each array has a row for before and one for after: `edges` (2, bins + 1), `counts` (2, bins), `mean` and
    `std` (2,). Of all values, `zero_share` are 0 before.
    """
    tables = finite(counts)
    figure = paper(height=6.6)
    panels = zip(figure.subplots(2, 1), ("before", "after"), (BLUE, GREEN), strict=True)
    numbers = zip(finite(edges), tables, finite(mean), finite(std), strict=True)
    for (axes, when, color), (bins, heights, center, spread) in zip(panels, numbers, strict=True):
        axes.axvline(center, color=ORANGE, linestyle="--", label=f"mean {center:z.4f}")
        axes.axvspan(center - spread, center + spread, color=PALE, zorder=0, label=f"± std {spread:.4f}")
        axes.stairs(heights, bins, baseline=0.1, fill=True, color=color)
        axes.set_yscale("log")
        axes.set_ylim(0.5 * heights[heights > 0].min(initial=np.inf), 5 * heights.max(initial=1))
        axes.set(xlabel=f"pixel value {when}", ylabel="pixels")
        axes.set_axisbelow(True)
        axes.legend(ncols=2, loc="upper right")
    head(figure.axes[0], title, f"before, {zero_share:.1%} of all values are exactly 0: the first bar")
    one_scale = "Normalising shifts and scales the axis; the shape does not change."
    scale_per_pixel = "Every pixel is shifted and scaled by its own mean and std."
    small_print(
        figure, f"{one_scale if np.array_equal(*tables) else scale_per_pixel} Counts are on a log axis."
    )
    return figure


def mean_and_std_images(*, title: str, mean: ArrayLike, std: ArrayLike) -> Figure:
    """The mean and the standard deviation of each pixel, both (height, width); where the std is 0 is marked."""
    means, stds = finite(mean), finite(std)
    never = stds == 0
    height, width = means.shape
    figure = paper(height=1.6 + 0.43 * WIDTH * min(height / width, 2))
    left, right = figure.subplots(1, 2)
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


def class_balance(*, title: str, splits: Sequence[str], counts: ArrayLike) -> Figure:
    """The share of each class in each split, from `counts` (splits, classes); a class that is missing is marked."""
    table = finite(counts)
    rows = np.maximum(table.sum(axis=1, keepdims=True), 1)
    shares = table / rows
    errors = np.sqrt(shares * (1 - shares) / rows)
    classes = np.arange(table.shape[1])
    width = 0.8 / len(splits)

    figure = paper(height=4.8)
    axes = figure.subplots()
    for index, name in enumerate(splits):
        color = (BLUE, ORANGE, GREY)[index % 3]
        places = classes + (index - (len(splits) - 1) / 2) * width
        whiskers = {"ecolor": INK, "elinewidth": min(1, 30 / len(classes))}
        axes.bar(
            places,
            shares[index],
            0.9 * width,
            yerr=2 * errors[index],
            color=color,
            label=name,
            error_kw=whiskers,
        )
        for place in places[table[index] == 0]:
            axes.text(place, 0, "×", color=color, ha="center", va="bottom")
    axes.axhline(1 / len(classes), color=INK, linestyle="--", linewidth=1)
    axes.set_xlim(-0.7, len(classes) - 0.3)
    axes.set_ylim(0, 1.2 * (shares + 2 * errors).max())
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=30, integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set(xlabel="class", ylabel="share of the split")
    axes.legend(ncols=len(splits), loc="upper right")
    head(axes, title, f"dashed: every class equally often, {1 / len(classes):.1%}")
    small_print(figure, "Whiskers: two standard errors of a share.")
    return figure
