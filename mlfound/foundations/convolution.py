"""A 2-d convolution is a product: every window of the picture, laid out as a row, times the kernels as columns."""

import torch
from torch import Tensor


def windows(x: Tensor, height: int, width: int, stride: int = 1, padding: int = 0) -> Tensor:
    """All windows of (batch, channels, rows, columns), as (batch, channels, down, across, height, width).

    A view of the padded picture, without a copy: a step down to the next window is `stride` rows, and a step down
    inside the window is one row. `padding` zeros are put around every channel.
    """
    batch, channels, rows, columns = x.shape
    padded = x.new_zeros(batch, channels, rows + 2 * padding, columns + 2 * padding)
    padded[:, :, padding : padding + rows, padding : padding + columns] = x
    down, across = ((n + 2 * padding - k) // stride + 1 for n, k in ((rows, height), (columns, width)))
    if down < 1 or across < 1:
        raise ValueError(
            f"a window of {height} x {width} is larger than {padded.shape[2]} x {padded.shape[3]}"
        )
    image, channel, row, column = padded.stride()
    return padded.as_strided(
        (batch, channels, down, across, height, width),
        (image, channel, stride * row, stride * column, row, column),
    )


def convolution(x: Tensor, w: Tensor, b: Tensor | None = None, stride: int = 1, padding: int = 0) -> Tensor:
    """(batch, in, rows, columns) and kernels (out, in, height, width) to (batch, out, down, across).

    As in all of deep learning the kernel is not turned around: strictly, a cross-correlation.
    """
    _, _, height, width = w.shape
    out = torch.einsum("ncyxij,ocij->noyx", windows(x, height, width, stride, padding), w)
    return out if b is None else out + b[:, None, None]
