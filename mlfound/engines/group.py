"""Processes that train one network together: each has its rows of every batch, and they add up what they found."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Group:
    """Here one process that has all rows. See `ranks.Ranks` for several."""

    rank, size = 0, 1
    local_rank, local_size = 0, 1  # among those on this machine

    def way(self, device: torch.device) -> str:
        """By what the tensors of this device are added up."""
        return ""

    def rows(self, count: int) -> slice:
        """Which of so many rows this process has: the first ranks have one more where they cannot be equal."""
        each, more = divmod(count, self.size)
        start = self.rank * each + min(self.rank, more)
        return slice(start, start + each + (self.rank < more))

    def sum(self, x: Tensor) -> Tensor:
        """Of the `x` of all processes, in place; to all of them the same bits."""
        return x

    def gather(self, x: Tensor) -> Tensor:
        """The `x` of every process, one after the other along a new first axis."""
        every = x.new_zeros(self.size, *x.shape)
        every[self.rank] = x
        return self.sum(every)

    def apply(self, work: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """work(x), a row for each row of `x` (rows, ...): each process does its own, and gets all."""
        if len(x) < self.size or self.size == 1:
            return work(x)
        own = self.rows(len(x))
        done = work(x[own])
        every = done.new_zeros(len(x), *done.shape[1:])
        every[own] = done
        return self.sum(every)


ALONE = Group()


class Share(NamedTuple):
    """What this process has of a batch of so many rows.

    Where it has none it works on the first row, which then counts for nothing: it has a part in every sum.
    """

    group: Group
    batch: int

    @property
    def rows(self) -> slice:
        return slice(0, 1) if self.is_idle else self.group.rows(self.batch)

    @property
    def is_idle(self) -> bool:
        return self.batch <= self.group.rank
