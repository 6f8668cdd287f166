"""The convolution ladder: images (batch, in, rows, columns), kernels (out, in, height, width) to (batch, out, ...).

Each rung has a forward pass and the two gradients that cost as much: of the kernels and of the input. A convolution
is linear in both, so each gradient is the same sum of products with another tensor on the left. As in all of deep
learning the kernel is not turned around: strictly, a cross-correlation. `padding` zeros lie around every channel, and
one window begins `stride` after the other; what is left at the end, less than a stride, is in no window.
Source: Goodfellow et al. 2016, section 9.5, equations 9.8 to 9.13.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

Size = Sequence[int]  # height and width


class Convolution(NamedTuple):
    """One rung: `forward(x, w, stride, padding)`; from the gradient `dout` of what it gives
    `weight_grad(dout, x, size, stride, padding)`, of a kernel of this size, and
    `input_grad(dout, w, size, stride, padding)`, of an image of this size.
    """

    forward: Callable[..., Tensor]
    weight_grad: Callable[..., Tensor]
    input_grad: Callable[..., Tensor]


def output_size(image: Size, kernel: Size, stride: int = 1, padding: int = 0) -> tuple[int, int]:
    """How many windows fit, down and across; a ValueError where not even one does."""
    down, across = ((n + 2 * padding - k) // stride + 1 for n, k in zip(image, kernel, strict=True))
    if down < 1 or across < 1:
        padded = " x ".join(str(n + 2 * padding) for n in image)
        raise ValueError(f"a window of {kernel[0]} x {kernel[1]} is larger than {padded}")
    return down, across


def zeros(shape: Sequence[int], padding: int, like: Tensor) -> Tensor:
    """Images of this shape, (batch, channels, rows, columns), and a border; in memory the images are the last axis.

    So what a window has at one place is for all images one run of memory, which is copied or added at once.
    """
    batch, channels, rows, columns = shape
    return like.new_zeros(channels, rows + 2 * padding, columns + 2 * padding, batch).permute(3, 0, 1, 2)


def padded(x: Tensor, padding: int) -> Tensor:
    """A copy with zeros around every channel."""
    out = zeros(x.shape, padding, x)
    inner(out, padding).copy_(x)
    return out


def inner(x: Tensor, padding: int) -> Tensor:
    """A padded image, or the gradient of one, without its border: a view."""
    return x[..., padding : x.shape[-2] - padding, padding : x.shape[-1] - padding]


def windows(x: Tensor, size: Size, stride: int = 1, padding: int = 0) -> Tensor:
    """All windows of (batch, channels, rows, columns), as (batch, channels, down, across, height, width).

    A view of the padded image, without a copy: a step down to the next window is `stride` rows, and a step down
    inside the window is one row.
    """
    down, across = output_size(x.shape[2:], size, stride, padding)
    x = padded(x, padding) if padding else x
    image, channel, row, column = x.stride()
    return x.as_strided(
        (*x.shape[:2], down, across, *size),
        (image, channel, stride * row, stride * column, row, column),
        x.storage_offset(),
    )


def by_place(windows: Tensor) -> list[Tensor]:
    """For each place in a window, row by row, what all windows have there: views (batch, channels, down, across)."""
    return [each for row in windows.unbind(-2) for each in row.unbind(-1)]


def windows_grad(dout: Tensor, size: Size, stride: int = 1, padding: int = 0) -> Tensor:
    """From the gradient of all windows to that of the image of this size: a pixel in several windows gets the sum."""
    batch, channels, down, across, height, width = dout.shape
    dx = zeros((batch, channels, *size), padding, dout)
    for i, j in product(range(height), range(width)):  # of one place in the window no two lie on each other
        dx[:, :, i:, j:][:, :, : stride * down : stride, : stride * across : stride] += dout[..., i, j]
    return inner(dx, padding)


# Seven loops


def loops(x: Tensor, w: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    """Seven loops over elements of tensors: every multiplication by itself."""
    out = x.new_zeros(output_shape(x, w, stride, padding))
    x = padded(x, padding)
    for n, o, down, across, c, i, j in places(out, w):
        out[n, o, down, across] += x[n, c, stride * down + i, stride * across + j] * w[o, c, i, j]
    return out


def loops_weight_grad(dout: Tensor, x: Tensor, size: Size, stride: int = 1, padding: int = 0) -> Tensor:
    """A weight's gradient: the sum over all windows of dout times the pixel that the weight met there."""
    dw = x.new_zeros(dout.shape[1], x.shape[1], *size)
    x = padded(x, padding)
    for n, o, down, across, c, i, j in places(dout, dw):
        dw[o, c, i, j] += dout[n, o, down, across] * x[n, c, stride * down + i, stride * across + j]
    return dw


def loops_input_grad(dout: Tensor, w: Tensor, size: Size, stride: int = 1, padding: int = 0) -> Tensor:
    """A pixel's gradient: the sum over all windows that it is in of dout times the weight that it met there."""
    dx = zeros((len(dout), w.shape[1], *size), padding, dout)
    for n, o, down, across, c, i, j in places(dout, w):
        dx[n, c, stride * down + i, stride * across + j] += dout[n, o, down, across] * w[o, c, i, j]
    return inner(dx, padding)


def output_shape(x: Tensor, w: Tensor, stride: int, padding: int) -> tuple[int, ...]:
    """(batch, out, down, across)."""
    return len(x), len(w), *output_size(x.shape[2:], w.shape[2:], stride, padding)


def places(out: Tensor, w: Tensor) -> Iterator[tuple[int, ...]]:
    """The indices of the seven loops: of an output's number, and within a kernel."""
    return product(*map(range, (*out.shape, *w.shape[1:])))


# Two loops: each window times all kernels


def positions(x: Tensor, w: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    """The windows at one place of all images, as rows, times the kernels, as columns."""
    out = x.new_zeros(output_shape(x, w, stride, padding))
    seen = windows(x, w.shape[2:], stride, padding)
    for down, across in product(*map(range, out.shape[2:])):
        out[:, :, down, across] = seen[:, :, down, across].flatten(1) @ w.flatten(1).T
    return out


def positions_weight_grad(dout: Tensor, x: Tensor, size: Size, stride: int = 1, padding: int = 0) -> Tensor:
    """As of a linear layer, dout^T x, summed over the places."""
    dw = x.new_zeros(dout.shape[1], x.shape[1], *size)
    seen = windows(x, size, stride, padding)
    for down, across in product(*map(range, dout.shape[2:])):
        dw += (dout[:, :, down, across].T @ seen[:, :, down, across].flatten(1)).view_as(dw)
    return dw


def positions_input_grad(dout: Tensor, w: Tensor, size: Size, stride: int = 1, padding: int = 0) -> Tensor:
    """As of a linear layer, dout w, added to the window at each place."""
    dx = zeros((len(dout), w.shape[1], *size), padding, dout)
    seen = windows(dx, w.shape[2:], stride)
    for down, across in product(*map(range, dout.shape[2:])):
        window = seen[:, :, down, across]
        window += (dout[:, :, down, across] @ w.flatten(1)).view_as(window)
    return inner(dx, padding)


# No loop: all windows as the columns of one matrix


def unfold(x: Tensor, w: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    """The kernels as the rows of a matrix times all windows as the columns of another ("im2col"): one product."""
    batch, out, down, across = output_shape(x, w, stride, padding)
    product = w.flatten(1) @ unfolded(x, w.shape[2:], stride, padding)
    return product.view(out, down, across, batch).permute(3, 0, 1, 2)


def unfold_weight_grad(dout: Tensor, x: Tensor, size: Size, stride: int = 1, padding: int = 0) -> Tensor:
    """As of a linear layer: dout times the transpose of that matrix."""
    dw = images_last(dout).flatten(1) @ unfolded(x, size, stride, padding).T
    return dw.view(dout.shape[1], x.shape[1], *size)


def unfold_input_grad(dout: Tensor, w: Tensor, size: Size, stride: int = 1, padding: int = 0) -> Tensor:
    """As of a linear layer, w^T dout, and each window's gradient to where it lies in the image ("col2im")."""
    (batch, _, down, across), (_, channels, *kernel) = dout.shape, w.shape
    dwindows = (w.flatten(1).T @ images_last(dout).flatten(1)).view(channels, *kernel, down, across, batch)
    return windows_grad(dwindows.permute(5, 0, 3, 4, 1, 2), size, stride, padding)


def unfolded(x: Tensor, size: Size, stride: int, padding: int) -> Tensor:
    """(in height width, down across batch): a window is a column."""
    seen = windows(padded(x, padding), size, stride).permute(1, 4, 5, 2, 3, 0)
    return seen.flatten(3).flatten(0, 2)


def images_last(dout: Tensor) -> Tensor:
    """(batch, out, down, across) to (out, down, across, batch)."""
    return dout.permute(1, 2, 3, 0)


# The same by its indices


def einsum(x: Tensor, w: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    """c, i and j are summed: over channels and within a window."""
    return torch.einsum("ncyxij,ocij->noyx", windows(x, w.shape[2:], stride, padding), w)


def einsum_weight_grad(dout: Tensor, x: Tensor, size: Size, stride: int = 1, padding: int = 0) -> Tensor:
    """n, y and x are summed: over images and windows."""
    return torch.einsum("noyx,ncyxij->ocij", dout, windows(x, size, stride, padding))


def einsum_input_grad(dout: Tensor, w: Tensor, size: Size, stride: int = 1, padding: int = 0) -> Tensor:
    """o is summed: over kernels; then over the windows that a pixel is in."""
    return windows_grad(torch.einsum("noyx,ocij->ncyxij", dout, w), size, stride, padding)


# The library's own


def library(x: Tensor, w: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    """torch's, by oneDNN on a CPU and cuDNN on a GPU."""
    return torch.conv2d(x, w, None, stride, padding)


def library_weight_grad(dout: Tensor, x: Tensor, size: Size, stride: int = 1, padding: int = 0) -> Tensor:
    """The kernel that its tape would call."""
    w = x.new_empty(dout.shape[1], x.shape[1], *size)  # of which it takes the shape
    return gradients(dout, x, w, stride, padding, [False, True, False])[1]


def library_input_grad(dout: Tensor, w: Tensor, size: Size, stride: int = 1, padding: int = 0) -> Tensor:
    """The same for the input."""
    x = w.new_empty(len(dout), w.shape[1], *size)
    return gradients(dout, x, w, stride, padding, [True, False, False])[0]


def gradients(
    dout: Tensor, x: Tensor, w: Tensor, stride: int, padding: int, wanted: list[bool]
) -> tuple[Tensor, ...]:
    """Those that are `wanted` of dx, dw and db."""
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward.default(
        dout, x, w, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1, wanted
    )
    return found


CONVOLUTIONS: dict[str, Convolution] = {
    "loops": Convolution(loops, loops_weight_grad, loops_input_grad),
    "positions": Convolution(positions, positions_weight_grad, positions_input_grad),
    "unfold": Convolution(unfold, unfold_weight_grad, unfold_input_grad),
    "einsum": Convolution(einsum, einsum_weight_grad, einsum_input_grad),
    "library": Convolution(library, library_weight_grad, library_input_grad),
}
