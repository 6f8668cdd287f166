"""Shift and scale the pixels so that those of the training split have mean 0 and standard deviation 1."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from mlfound.data.load import Split, Splits

ROWS = 1_000  # summed at a time: they stay in the processor's cache, which is five times as fast


class Pixels(NamedTuple):
    """The training images (rows, height * width) before they were normalised, and by what they were."""

    x: Tensor
    mean: Tensor
    std: Tensor


Normalization = Callable[[Tensor], tuple[Tensor, Tensor]]


def normalized(splits: Splits, how: str) -> tuple[Splits, Tensor, Tensor]:
    """All three splits as (x - mean) / std, and that mean and std: those of the training rows alone.

    `how` is a name in NORMALIZATIONS. The given splits stay as they are.
    """
    mean, std = NORMALIZATIONS[how](splits.train.x)
    train, valid, test = (
        Split((s.x - mean).div_(std), s.y) for s in (splits.train, splits.valid, splits.test)
    )
    return replace(splits, train=train, valid=valid, test=test), mean, std


def of_all(x: Tensor) -> tuple[Tensor, Tensor]:
    """One mean and one std, of shape (), over every pixel of every row: the lesson's way."""
    return _mean_and_std(x, x.numel(), None)


def of_each_pixel(x: Tensor) -> tuple[Tensor, Tensor]:
    """A mean and a std for each pixel, of shape (features,)."""
    return _mean_and_std(x, len(x), 0)


def of_nothing(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean 0 and std 1: the pixels stay as they are."""
    return torch.zeros(()), torch.ones(())


def _mean_and_std(x: Tensor, count: int, dim: int | None) -> tuple[Tensor, Tensor]:
    """Over `count` numbers each (not n - 1); a std of 0 is given as 1.

    Pixels are whole numbers / 256: the float64 sums of them and of their squares are exact, in any order, and the
    results the same bits on every CPU.
    """
    parts = torch.split(x, ROWS)
    total = torch.stack([part.sum(dim, dtype=torch.float64) for part in parts]).sum(0)
    squares = torch.stack([part.square().sum(dim, dtype=torch.float64) for part in parts]).sum(0)
    variance = (count * squares - total.square()) / count**2
    return (total / count).float(), torch.where(variance > 0, variance.sqrt(), 1.0).float()


NORMALIZATIONS: Mapping[str, Normalization] = {"global": of_all, "pixel": of_each_pixel, "none": of_nothing}
