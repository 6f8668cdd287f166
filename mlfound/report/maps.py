"""One image on its way through a network: what the channels of each layer make of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mlfound.report.palette import BLUE, PALE
from mlfound.report.style import WIDTH, Floats, finite, head, paper

MIN_COLUMNS = 8
CELL, MAX_HEIGHT = 0.92, 1.5  # of a column's width: a map without the gap beside it, and the tallest map
LABEL = 0.27  # inches
PIXELS = 60  # of a map on the sheet, some


def feature_maps(
    *, title: str, image: ArrayLike, layers: Sequence[str], channels: Sequence[int], maps: Sequence[ArrayLike]
) -> Figure:
    """The image, and below it a row for each of the `layers`: all or some of its `channels` as `maps`.

    Maps are (n, rows, columns); white is 0, and each row has its own scale.
    """
    rows = [finite(each) for each in maps]
    columns = max(MIN_COLUMNS, *map(len, rows))
    label = LABEL * columns / WIDTH
    texts = [
        f"{layer}: {_shown(len(row), count)} of {row.shape[1]} × {row.shape[2]}"
        for layer, row, count in zip(layers, rows, channels, strict=True)
    ]
    pixels = finite(image)[None]
    heights = [label + _height(each) for each in (pixels, *rows)]
    figure, axes = paper(0.75 + WIDTH * sum(heights) / columns)
    top = _draw(axes, pixels, 0.0, "image of {} × {}".format(*pixels.shape[1:]), label, cmap="gray_r")
    for row, text in zip(rows, texts, strict=True):
        limit = np.quantile(np.abs(np.nan_to_num(row)), 0.998) or 1.0
        top = _draw(axes, row, top, text, label, cmap="RdBu_r", vmin=-limit, vmax=limit)
    axes.set(xlim=(0, columns), ylim=(top, 0))
    axes.set_axis_off()
    head(
        axes,
        title,
        "each layer's channels, after its activation where it has one: red above 0, blue below, one scale per layer",
    )
    return figure


def _shown(maps: int, count: int) -> str:
    channels = f"{count:,} channel{'s' * (count != 1)}"
    return channels if maps == count else f"{maps} of {channels}, evenly chosen, each"


def _scale(images: Floats) -> float:
    """Column widths for a pixel."""
    _, height, width = images.shape
    return float(CELL * min(1 / width, MAX_HEIGHT / height))


def _height(images: Floats) -> float:
    return float(images.shape[1] * _scale(images) + 1 - CELL)


def _draw(axes: Axes, images: Floats, top: float, text: str, label: float, **look: Any) -> float:
    """One row below `top`, its text above it; where it ends, in column widths."""
    count, height, width = images.shape
    scale, times = _scale(images), max(1, round(PIXELS / max(height, width)))
    pitch = round(times / scale)
    sheet = np.full((times * height, count * pitch), np.nan)
    for n, image in enumerate(images):
        sheet[:, n * pitch : n * pitch + times * width] = image.repeat(times, 0).repeat(times, 1)
    axes.text(0, top + 0.8 * label, text, color=BLUE, size=9, va="baseline", parse_math=False)
    low, high = top + label, top + label + height * scale
    axes.imshow(sheet, extent=(0, count, high, low), interpolation="nearest", **look)
    right = times * width / pitch
    corners = [[(n, low), (n + right, low), (n + right, high), (n, high)] for n in range(count)]
    axes.add_collection(PolyCollection(corners, facecolors="none", edgecolors=PALE, linewidths=0.8))
    return float(high + 1 - CELL)
