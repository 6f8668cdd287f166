"""Normalisation: each formula beside its gradient, and the layers that they make.

`x` is (batch, features) or (batch, channels, rows, columns); a feature is a channel of one number. Mean and variance
are over some `axes` of it, which stay with a size of 1.
Sources: Ioffe and Szegedy 2015 (batch), Ba et al. 2016 (layer), Ulyanov et al. 2016 (instance); Howard's later
lessons (running batch).
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from mlfound.foundations.layers import Layer, Parameter, Shape, leaf_inputs

Share = Tensor | float
Axes = tuple[int, ...]
MOMENTUM = 0.1  # the share of a new batch in what is kept, as in the course: torch's meaning of the word
EPS = 1e-5  # in the root, so that a channel of equal numbers is divided by something
FLOORED_ROWS, FLOOR = 20, 0.01  # of running batch norm: in the first rows no variance is below this


def moments(x: Tensor, axes: Axes) -> tuple[Tensor, Tensor]:
    """Mean and variance, the mean of the squared distances: it is not corrected for being measured on few numbers."""
    mean = x.mean(axes, keepdim=True)
    return mean, (x - mean).square().mean(axes, keepdim=True)


def normalize(x: Tensor, mean: Tensor, variance: Tensor, eps: float = EPS) -> Tensor:
    """(x - mean) / sqrt(variance + eps)."""
    return (x - mean) / (variance + eps).sqrt()


def normalize_grad(
    dout: Tensor,
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    axes: Axes,
    shares: tuple[Share, Share],
    eps: float = EPS,
) -> Tensor:
    """dx, which comes by three ways: from x itself, from the mean, and from the variance, mean(x^2) - mean^2.

    `shares`: how much a number of x counts in the mean, and in those of the variance. Of x's own `moments` that is
    one over their count, of constants 0.
    """
    centered, std = x - mean, (variance + eps).sqrt()

    dvariance = -(dout * centered).sum(axes, keepdim=True) / (2 * std**3)
    dmean = -dout.sum(axes, keepdim=True) / std
    of_mean, of_variance = shares
    return dout / std + of_mean * dmean + of_variance * dvariance * 2 * centered


def affine(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """x times its channel's `scale`, plus its `shift`; both (channels,)."""
    return x * by_channel(scale, x) + by_channel(shift, x)


def affine_grad(dout: Tensor, x: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """dx, dscale and dshift: sums over everything but the channels."""
    return dout * by_channel(scale, x), (dout * x).sum(but_channels(x)), dout.sum(but_channels(x))


def by_channel(numbers: Tensor, x: Tensor) -> Tensor:
    """(channels,) with as many axes as `x`, the batch's first."""
    return numbers.view(1, -1, *[1] * (x.ndim - 2))


def but_channels(x: Tensor) -> Axes:
    """The axes of the batch, and of rows and columns where there are any."""
    return (0, *range(2, x.ndim))


def new_share(rows: int, momentum: float) -> float:
    """How much a batch of so many rows counts in the course's moving sums: the momentum at 2 rows, 0.89 at 64.

    The course divides by 0 at 1 row; here it counts as 2 rows do.
    """
    return 1 - (1 - momentum) / math.sqrt(max(rows - 1, 1))


def moments_of_sums(sums: Tensor, squares: Tensor, count: Tensor, floor: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of numbers from sums of them, of their squares and of their count.

    Moving averages from 0 on are too small at first, all three by the same factor, which is gone in a quotient: where
    the course debiases each by the number of steps, the result is this.
    """
    mean = sums / count
    return mean, (squares / count - mean.square()).clamp_min(floor)


class Norm(Layer):
    """Base class: mean 0 and variance 1 of every part of x, then for each channel a learned scale and shift."""

    scale: Tensor
    shift: Tensor

    def __init__(self, channels: int, scale: float = 1.0) -> None:
        """The scale starts at `scale`."""
        self.channels = channels
        self.parameters = {"scale": Parameter((channels,), scale), "shift": Parameter((channels,), 0.0)}

    def axes(self, dimensions: int) -> Axes:
        """Those of an x of so many, over which a mean is."""
        raise NotImplementedError

    def count(self, shape: Shape) -> int:
        """How many numbers of an x of this `shape` make up a mean: a single one would be all of it."""
        return math.prod(shape[axis] for axis in self.axes(len(shape)))

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance to normalise with; it leaves `shares` for `normalize_grad`."""
        return self.own_statistics(x)

    def own_statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Those of `x` itself."""
        share = 1 / self.count(tuple(x.shape))
        self.shares: tuple[Share, Share] = share, share
        return moments(x, self.axes(x.ndim))

    def forward(self, x: Tensor) -> Tensor:
        self.mean_and_variance = self.statistics(x)
        self.normalized = normalize(x, *self.mean_and_variance)
        return affine(self.normalized, self.scale, self.shift)

    def gradient(self, dout: Tensor, x: Tensor) -> Any:
        dnormalized, self.dscale, self.dshift = affine_grad(dout, self.normalized, self.scale)
        return normalize_grad(dnormalized, x, *self.mean_and_variance, self.axes(x.ndim), self.shares)


class LayerNorm(Norm):
    """Of every row, or every image with all its channels."""

    def axes(self, dimensions: int) -> Axes:
        return tuple(range(1, dimensions))


class InstanceNorm(Norm):
    """Of every channel of every image, over its places; a ValueError for features, which have none."""

    def axes(self, dimensions: int) -> Axes:
        if dimensions < 3:
            raise ValueError("an instance norm is for images: of features a mean would be of a single number")
        return tuple(range(2, dimensions))


class BatchNorm(Norm):
    """Of every channel over the batch and, at inference, by moving averages of the batches' mean and variance.

    The average is of the variance corrected for being measured on few numbers (the paper's algorithm 2, as in torch);
    in training, as in the paper, it is not corrected. The course, which lets no gradient through mean and variance,
    corrects both.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, scale: float = 1.0, momentum: float = MOMENTUM) -> None:
        super().__init__(channels, scale)
        self.momentum = momentum
        self.state = {"mean": Parameter((channels,), 0.0), "variance": Parameter((channels,), 1.0)}

    def axes(self, dimensions: int) -> Axes:
        return (0, *range(2, dimensions))

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if not self.training:
            self.shares = 0.0, 0.0
            return by_channel(self.mean, x), by_channel(self.variance, x)
        mean, variance = self.own_statistics(x)
        self.mean.lerp_(mean.flatten(), self.momentum)
        self.variance.lerp_(variance.flatten() * correction(self.count(tuple(x.shape))), self.momentum)
        return mean, variance


def correction(count: int) -> float:
    """The factor of a variance of so many numbers about their own mean; that of a single one is 0 with any."""
    return count / max(count - 1, 1)


class RunningBatchNorm(Norm):
    """The course's: moving averages in training too, so that a batch may be small.

    What is averaged are sums, so that a large batch counts for more. Of its own share in them a batch has a gradient;
    what was there before is constant. Before any training x passes as it is.
    """

    sums: Tensor
    squares: Tensor
    numbers: Tensor
    rows: Tensor

    def __init__(self, channels: int, scale: float = 1.0, momentum: float = MOMENTUM) -> None:
        super().__init__(channels, scale)
        self.momentum = momentum
        of_channels, one = Parameter((channels,), 0.0), Parameter((1,), 0.0)
        self.state = {"sums": of_channels, "squares": of_channels, "numbers": one, "rows": one}

    def axes(self, dimensions: int) -> Axes:
        return (0, *range(2, dimensions))

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        share = self.update(x) if self.training else 0.0
        nothing_seen = self.rows == 0
        seen = self.numbers.masked_fill(nothing_seen, 1.0)
        floor = self.rows.new_full((1,), FLOOR).masked_fill(self.rows >= FLOORED_ROWS, 0.0)
        floor.masked_fill_(nothing_seen, 1.0)
        mean, variance = (
            by_channel(each, x) for each in moments_of_sums(self.sums, self.squares, seen, floor)
        )
        self.shares = share / seen, share / seen * (variance > floor)
        return mean, variance

    def update(self, x: Tensor) -> float:
        """Take a batch into the sums; its share in them."""
        share, axes = new_share(len(x), self.momentum), self.axes(x.ndim)
        self.sums.lerp_(x.sum(axes), share)
        self.squares.lerp_(x.square().sum(axes), share)
        self.numbers.lerp_(self.numbers.new_full((1,), self.count(tuple(x.shape))), share)
        self.rows += len(x)
        return share


def counts(layer: Layer, shape: Shape) -> Iterator[tuple[Norm, int]]:
    """Every norm in a layer, and how many numbers make up one of its means, for an input of this `shape`."""
    for leaf, own in leaf_inputs(layer, shape):
        if isinstance(leaf, Norm):
            yield leaf, leaf.count(own)


# by its name in a config: channels, and where the scale starts -> layer
NORMS: dict[str, Callable[[int, float], Norm]] = {
    "batch": BatchNorm,
    "running-batch": RunningBatchNorm,
    "layer": LayerNorm,
    "instance": InstanceNorm,
}
