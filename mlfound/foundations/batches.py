"""Shuffling and batching by hand: an epoch is one permutation, a batch is one slice of it."""

from collections.abc import Iterator

import torch
from torch import Generator, Tensor


def shuffled(rows: int, generator: Generator) -> Tensor:
    """The order of an epoch: the numbers 0 to `rows` - 1, each once."""
    return torch.randperm(rows, generator=generator)


def batches(x: Tensor, y: Tensor, order: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The rows of `x` (rows, in) and `y` (rows,) in this `order`, `size` at a time; the last batch may be smaller."""
    for rows in torch.split(order, size):
        yield x.index_select(0, rows), y.index_select(0, rows)
