"""Images moved and bent: where each new pixel lies in the old image, and that image read between its pixels.

A point is (row, column), in pixels, from the image's centre; rows go down, columns to the right. Maps lead backwards,
from the new image to the old: so each new pixel gets one value, with no holes between. Outside is black, 0.
"""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor


def inverse_maps(moves: Tensor, angles: Tensor, factors: Tensor, slants: Tensor) -> Tensor:
    """(batch, 2, 3): a matrix A and a column t, so that the new point p was at A p + t.

    The image is scaled by `factors` (batch, 2), down and across; sheared, a row moving to the right by `slants`
    (batch,) times its number; rotated by `angles` (batch,), in radians and anticlockwise; and moved by `moves`
    (batch, 2), down and to the right: p = R K S old + move. Backwards, A = S^-1 K^-1 R^-1 and t = -A move.
    """
    zero, one = torch.zeros_like(angles), torch.ones_like(angles)
    unscale = matrices([[1 / factors[:, 0], zero], [zero, 1 / factors[:, 1]]])
    unshear = matrices([[one, zero], [-slants, one]])
    unrotate = matrices([[angles.cos(), angles.sin()], [-angles.sin(), angles.cos()]])
    a = unscale @ unshear @ unrotate
    return torch.cat([a, -a @ moves[:, :, None]], dim=2)


def matrices(rows: Sequence[Sequence[Tensor]]) -> Tensor:
    """Of entries (batch,) a matrix for each image."""
    return torch.stack([torch.stack([*row], dim=-1) for row in rows], dim=-2)


def warp(images: Tensor, maps: Tensor, displacements: Tensor | float = 0.0) -> Tensor:
    """new(p) = old(A (p + d(p)) + t) of images (batch, channels, height, width), by maps (batch, 2, 3).

    So displacements, (batch, 2, height * width), bend what the map has moved, though the image is read only once.
    """
    height, width = images.shape[2:]
    centre = images.new_tensor([[(height - 1) / 2], [(width - 1) / 2]])
    points = from_centre(height, width, images.dtype, images.device) + displacements
    a, t = maps[:, :, :2], maps[:, :, 2:] + centre
    return sample(images, *torch.baddbmm(t, a, points.expand(len(images), -1, -1)).unbind(1)).view_as(images)


@cache
def from_centre(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Every pixel's row and column from the centre, (2, height * width)."""
    sides = (torch.arange(size, dtype=dtype, device=device) - (size - 1) / 2 for size in (height, width))
    return torch.cartesian_prod(*sides).T.contiguous()


def sample(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The images' values at points (batch, n), counted from the first pixel: (batch, channels, n).

    Bilinear: along the columns in the row above and in the row below, then between the two. A border of black pixels,
    one before and two behind, stands for all that is outside.
    """
    batch, channels, height, width = images.shape
    high, wide = height + 3, width + 3
    bordered = images.new_zeros(batch, channels, high, wide)
    bordered[:, :, 1:-2, 1:-2] = images
    rows, columns = (rows + 1).clamp_(0, height + 1), (columns + 1).clamp_(0, width + 1)
    above, left = rows.floor(), columns.floor()
    down, across = (x[:, None] for x in (rows.sub_(above), columns.sub_(left)))
    starts = torch.arange(batch * channels, dtype=torch.int32, device=images.device) * (high * wide)
    first = starts.view(batch, channels, 1) + left.int().add_(above.int(), alpha=wide)[:, None]

    def pixels(offset: int) -> Tensor:
        """The neighbours that lie this far behind the first in memory."""
        return bordered.view(-1)[offset:].index_select(0, first.view(-1)).view(first.shape)

    upper = pixels(0).lerp_(pixels(1), across)
    lower = pixels(wide).lerp_(pixels(wide + 1), across)
    return upper.lerp_(lower, down)


def move(images: Tensor, moves: Tensor, margin: int) -> Tensor:
    """`warp` by `moves` (batch, 2) alone, whole numbers of at most `margin`: copied, bit for bit.

    Every image that could be cut from the padded ones is a view, named by its first pixel's place in memory.
    """
    batch, channels, height, width = images.shape
    high, wide = height + 2 * margin, width + 2 * margin
    padded = images.new_zeros(batch, channels, high, wide)
    padded[:, :, margin : margin + height, margin : margin + width] = images
    corners = margin - moves
    firsts = torch.arange(batch * channels, device=images.device).view(batch, channels) * (high * wide)
    firsts += corners[:, :1] * wide + corners[:, 1:]
    last = padded.numel() - (height - 1) * wide - width
    cut = padded.as_strided((last + 1, height, width), (1, wide, 1))
    return cut.index_select(0, firsts.flatten()).view_as(images)
