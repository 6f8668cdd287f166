"""Shuffling and batching by hand: an epoch is one permutation, a batch is one slice of it."""

from collections.abc import Iterator

import torch
from torch import Generator, Tensor


def batches(x: Tensor, y: Tensor, size: int, generator: Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """All rows of `x` (rows, in) and `y` (rows,) once, shuffled, `size` at a time; the last batch may be smaller."""
    order = torch.randperm(len(x), generator=generator).to(x.device)
    for rows in torch.split(order, size):
        yield x.index_select(0, rows), y.index_select(0, rows)
