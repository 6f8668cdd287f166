"""Shift and scale the pixels to mean 0 and standard deviation 1, as the training split's are. Nothing else is looked at."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from mlfound.data.load import Split, Splits

ROWS = 1_000  # squared at a time: stays in the processor's cache, twice as fast

Normalization = Callable[[Tensor], tuple[Tensor, Tensor]]


def normalized(splits: Splits, how: str) -> tuple[Splits, Tensor, Tensor]:
    """(x - mean) / std for all three splits, with the mean and std of the training rows, which come with it.

    `how` is a name in NORMALIZATIONS. The given splits stay as they are.
    """
    mean, std = NORMALIZATIONS[how](splits.train.x)
    train, valid, test = (
        Split((s.x - mean).div_(std), s.y) for s in (splits.train, splits.valid, splits.test)
    )
    return replace(splits, train=train, valid=valid, test=test), mean, std


def of_all(x: Tensor) -> tuple[Tensor, Tensor]:
    """One mean and one std () over all pixels of all rows: the lesson's."""
    mean = x.mean()
    squares = sum((rows - mean).square().sum() for rows in x.split(ROWS))
    return mean, _nonzero((squares / x.numel()).sqrt())


def of_each_pixel(x: Tensor) -> tuple[Tensor, Tensor]:
    """A mean and a std (features,) for each pixel; a pixel that never changes keeps its scale."""
    mean = x.mean(0)
    squares = sum((rows - mean).square().sum(0) for rows in x.split(ROWS))
    return mean, _nonzero((squares / len(x)).sqrt())


def of_nothing(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean 0 and std 1: the pixels stay as they are."""
    return torch.zeros(()), torch.ones(())


def _nonzero(std: Tensor) -> Tensor:
    return torch.where(std > 0, std, 1.0)


NORMALIZATIONS: Mapping[str, Normalization] = {"global": of_all, "pixel": of_each_pixel, "none": of_nothing}
