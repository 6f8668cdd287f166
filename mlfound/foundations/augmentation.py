"""Data augmentation: images changed at random, but not in what they show.

Images are (batch, height, width) or (batch, channels, height, width), float32 or float64, and not yet normalised: 0
is black, as is all that lies outside. Every image has its own random numbers, which all of its channels share, from a
generator on the same device. Of the first four a size is the largest change: what is drawn is uniform from -size to
size.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from mlfound.foundations.warping import inverse_maps, move, warp


def shift(images: Tensor, generator: Generator, pixels: int) -> Tensor:
    """Moved up or down and left or right, by whole numbers of pixels: no value changes, images are copied."""
    return distort(images, generator, shift=pixels)


def rotate(images: Tensor, generator: Generator, degrees: float) -> Tensor:
    """About the centre, either way."""
    return distort(images, generator, rotate=degrees)


def scale(images: Tensor, generator: Generator, share: float) -> Tensor:
    """Height and width each times a factor of its own, from 1 - share to 1 + share; the share is less than 1."""
    return distort(images, generator, scale=share)


def shear(images: Tensor, generator: Generator, slope: float) -> Tensor:
    """Rows moved sideways, by the slope times their distance from the middle: as handwriting leans."""
    return distort(images, generator, shear=slope)


def elastic(images: Tensor, generator: Generator, alpha: float, sigma: float = 4.0) -> Tensor:
    """Bent by two random fields, which are smoothed by a Gaussian of `sigma` pixels and multiplied by `alpha`.

    Simard, Steinkraus and Platt 2003, section 2: with a small sigma the image is torn, with a large one only shifted;
    best for MNIST, at 29 x 29 pixels, were sigma 4 and alpha 34.
    """
    return distort(images, generator, elastic=alpha, sigma=sigma)


def distort(
    images: Tensor,
    generator: Generator,
    shift: int = 0,
    rotate: float = 0.0,
    scale: float = 0.0,
    shear: float = 0.0,
    elastic: float = 0.0,
    sigma: float = 4.0,
) -> Tensor:
    """All of the above in one: scaled, sheared, rotated, shifted, bent; and read only once, which blurs only once.

    What one of them draws does not depend on the sizes of the others.
    """
    old = images if images.dim() == 4 else images[:, None]
    new = torch.empty_like(old)
    moves = torch.randint(-shift, shift + 1, (len(old), 2), generator=generator, device=generator.device)
    warped = bool(rotate or scale or shear or elastic)
    if warped:
        angles, slants, *growths = 2 * uniform(4, len(old), generator=generator) - 1
        factors = 1 + scale * torch.stack(growths, dim=1)
        maps = inverse_maps(moves.double(), math.radians(rotate) * angles, factors, shear * slants)
    step = max(1, CACHED // old.shape[1:].numel())
    for some in (slice(start, start + step) for start in range(0, len(old), step)):
        if warped:
            bend = displacements(old[some], elastic, sigma, generator) if elastic else 0.0
            new[some] = warp(old[some], maps[some].to(old), bend)
        else:
            new[some] = move(old[some], moves[some], shift)
    return new.view_as(images)


def uniform(*shape: int, generator: Generator) -> Tensor:
    """From 0 up to 1, in float64."""
    return torch.rand(shape, dtype=torch.float64, generator=generator, device=generator.device)


def displacements(images: Tensor, alpha: float, sigma: float, generator: Generator) -> Tensor:
    """How far down and across, (batch, 2, height * width): alpha times smoothed numbers, uniform from -1 to 1.

    The numbers are 0 outside of the image. Four are cut from 64 random bits, in steps of 2^-15: fine enough for a sum
    of many, in a third of the time.
    """
    batch, _, height, width = images.shape
    count = batch * 2 * height * width
    bits = torch.empty(-(-count // 4), dtype=torch.int64, device=generator.device)
    bits.random_(-(2**63), None, generator=generator)
    fields = bits.view(torch.int16)[:count].view(batch, 2, height, width).to(images)
    down, across = (gaussian(size, sigma).to(images) for size in (height, width))
    return (down * (alpha / 2**15) @ fields @ across).flatten(2)


@cache
def gaussian(size: int, sigma: float) -> Tensor:
    """(size, size), float64: times a column it is the column's convolution with a Gaussian, of sum 1."""

    def weights(distances: Tensor) -> Tensor:
        return torch.exp(-((distances / sigma) ** 2) / 2)

    reach = math.ceil(9 * sigma)  # weights beyond are less than 1e-17 of the first
    places = torch.arange(size, dtype=torch.float64)
    total = weights(torch.arange(-reach, reach + 1, dtype=torch.float64)).sum()
    return weights(places[:, None] - places) / total


def erase(
    images: Tensor, generator: Generator, largest: float, smallest: float = 0.02, probability: float = 0.5
) -> Tensor:
    """A rectangle, of `smallest` to `largest` of the image's area and anywhere inside, becomes black.

    Zhong et al. 2020, algorithm 1, with black for their random values. Height over width is 0.3 to 1 / 0.3, here on a
    logarithmic scale, so that as many are tall as wide; a side that does not fit is cut off, not drawn again.
    """
    height, width = images.shape[-2:]
    chance, area, ratio, down, across = uniform(5, len(images), generator=generator)
    smallest = min(smallest, largest)
    area = (smallest + (largest - smallest) * area) * height * width
    ratio = 0.3 ** (2 * ratio - 1)
    rows = interval(height, (area * ratio).sqrt(), down)
    columns = interval(width, (area / ratio).sqrt(), across)
    erased = (chance < probability)[:, None, None] & rows[:, :, None] & columns[:, None, :]
    return images.masked_fill(erased.view(len(images), *[1] * (images.dim() - 3), height, width), 0)


def interval(size: int, lengths: Tensor, where: Tensor) -> Tensor:
    """(batch, size): True for as many places in a row as `lengths`, rounded, from the first on where `where` is 0."""
    lengths = lengths.round().clamp(1, size)
    first = (where * (size - lengths + 1)).floor()[:, None]
    places = torch.arange(size, device=where.device)
    return (places >= first) & (places < first + lengths[:, None])


class Mixed(NamedTuple):
    """Image i is `share[i]` of the old image i and 1 - share[i] of the old image `partner[i]`: (batch,) both.

    A row's loss is mixed in the same way: share loss(out, y) + (1 - share) loss(out, y[partner]). Cross-entropy is
    linear in the label, so this is the loss for the mixed label, share onehot(y) + (1 - share) onehot(y[partner]).
    """

    images: Tensor
    partner: Tensor
    share: Tensor

    def of(self, old: Tensor) -> Tensor:
        """Of a batch of anything, such as one-hot labels (batch, classes), the same mixture."""
        return torch.lerp(old[self.partner], old, self.share.view(-1, *[1] * (old.dim() - 1)))


def mixup(images: Tensor, generator: Generator, alpha: float) -> Mixed:
    """Every image mixed with another of the batch, or itself, by a share from Beta(alpha, alpha); alpha above 0.

    Zhang et al. 2018, section 2: with a small alpha nearly all is of one of the two. A share is (1 + t / sqrt(2 alpha
    + t^2)) / 2 of Student's t with 2 alpha degrees of freedom, which two uniform numbers give (Bailey 1994).
    """
    partner = torch.randperm(len(images), generator=generator, device=generator.device)
    u, v = uniform(2, len(images), generator=generator)
    cosine = (2 * math.pi * v).cos()
    square = (u ** (-1 / alpha) - 1) * cosine.square()  # t^2 / (2 alpha)
    share = ((1 + cosine.sign() / (1 + 1 / square).sqrt()) / 2).to(images.dtype)
    mixed = Mixed(images, partner, share)
    return mixed._replace(images=mixed.of(images))


CACHED = 2**17  # pixels at a time, which stay in the processor's cache
AUGMENTATIONS: dict[str, Callable[..., Any]] = {
    "shift": shift,
    "rotate": rotate,
    "scale": scale,
    "shear": shear,
    "elastic": elastic,
    "erase": erase,
    "mixup": mixup,
}
