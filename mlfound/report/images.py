"""Grids of small images: digits and weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mlfound.report.palette import BLUE, GREY, ORANGE
from mlfound.report.style import WIDTH, Floats, finite, head, paper

MIN_PIXELS = 28  # of the longer side of an image on a sheet


def digits(*, title: str, images: ArrayLike, labels: Sequence[Any]) -> Figure:
    """Images (n, height, width) in rows of eight, each with its label above."""
    figure, axes, corners = _grid(finite(images), columns=8, gap=8, label_room=8)
    for label, (x, y) in zip(labels, corners, strict=True):
        _label(axes, x, y - 1, str(label), BLUE)
    head(axes, title)
    return figure


def image_pairs(*, title: str, images: ArrayLike, changed: ArrayLike, labels: Sequence[Any]) -> Figure:
    """Images (n, height, width) in rows of five, each with its label above, and `changed` to its right."""
    pairs = np.concatenate([finite(images), finite(changed)], axis=2)
    figure, axes, corners = _grid(pairs, columns=5, gap=14, label_room=8)
    for label, (x, y) in zip(labels, corners, strict=True):
        _label(axes, x, y - 1, str(label), BLUE)
    head(axes, title, "" if corners else "none")
    return figure


def wrong_digits(
    *,
    title: str,
    images: ArrayLike,
    true: Sequence[Any],
    predicted: Sequence[Any],
    confidence: ArrayLike | None = None,
    predicted_value: ArrayLike | None = None,
) -> Figure:
    """Images (n, height, width) in rows of five, each with its true and its predicted class above.

    A classifier gives its `confidence` (0 to 1), a regression model the `predicted_value` that was rounded.
    """
    if confidence is not None:
        behind = [", >99.9%" if share > 0.999 else f", {share:.1%}" for share in finite(confidence)]
    elif predicted_value is not None:
        behind = [f" ({value:.2f})" for value in finite(predicted_value)]
    else:
        behind = [""] * len(true)
    figure, axes, corners = _grid(finite(images), columns=5, gap=14, label_room=12)
    for (x, y), right, wrong, more in zip(corners, true, predicted, behind, strict=True):
        _label(axes, x, y - 5, f"true {right}", BLUE)
        _label(axes, x, y - 1, f"→ {wrong}{more}", ORANGE)
    head(axes, title, "" if corners else "none")
    return figure


def weights(*, title: str, weights: ArrayLike, shape: tuple[int, int], of: str = "unit") -> Figure:
    """The weights (features, units) of a first layer, one image of `shape` per unit: the 50 largest by norm.

    `of` is what a unit is called: of a convolution a channel.
    """
    units = finite(weights).T
    known = np.nan_to_num(units)
    order = np.argsort(-np.linalg.norm(known, axis=1), kind="stable")[:50]
    limit = np.quantile(np.abs(known), 0.998) or 1.0  # the largest few would make all others pale
    look = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    figure, axes, corners = _grid(units[order].reshape(-1, *shape), columns=10, gap=3, label_room=8, **look)
    figure.set_figheight(figure.get_figheight() + 0.9)
    for unit, (x, y) in zip(order, corners, strict=True):
        _label(axes, x, y - 1, str(unit), GREY)
    colors = axes.images[0]
    figure.colorbar(colors, orientation="horizontal", shrink=0.4, aspect=40, extend="both", label="weight")
    which = f"all {len(units):,}" if len(order) == len(units) else f"{len(order)} of {len(units):,}"
    order_is = f"{which} {of}s, largest norm first, each with its number"
    head(axes, title, order_is if len(units) > 1 else f"its only {of}")
    return figure


def _grid(
    images: Floats, columns: int, gap: int, label_room: int, **look: Any
) -> tuple[Figure, Axes, list[tuple[int, int]]]:
    """`images` in rows of `columns`, and the upper left corner (x, y) of each in pixels."""
    images = _enlarged(images)
    count, height, width = images.shape
    rows = max(1, -(-count // columns))
    sheet = np.full((rows * (height + label_room), columns * (width + gap) - gap), np.nan)
    corners = []
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        x, y = column * (width + gap), row * (height + label_room) + label_room
        sheet[y : y + height, x : x + width] = image
        corners.append((x, y))
    figure, axes = paper(0.6 + WIDTH * sheet.shape[0] / sheet.shape[1])
    axes.imshow(sheet, **({"cmap": "gray_r"} | look))
    axes.set_axis_off()
    return figure, axes, corners


def _enlarged(images: Floats) -> Floats:
    """With several pixels for each, if they are so few that gaps and labels would be larger than the images."""
    times = max(1, MIN_PIXELS // max(1, *images.shape[1:]))
    return images.repeat(times, 1).repeat(times, 2)


def _label(axes: Axes, x: float, y: float, text: str, color: str) -> None:
    axes.text(x - 0.5, y - 0.5, text, color=color, size=9, va="baseline", parse_math=False)
