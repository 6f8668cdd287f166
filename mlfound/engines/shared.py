"""A network trained by several processes, each on its rows of every batch: data parallelism by hand.

The loss of a rank is the sum over its rows divided by the rows of the whole batch, so that the sum of the ranks'
gradients is the gradient of the batch: one flat sum between backward and update, and every rank takes the same step
with the same bits. What spans a batch has kernels here. Everything drawn at random is drawn for the whole batch, so
that the generators of all ranks stay in step and a result does not depend on how many there are.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from mlfound.engines.buffers import Lane, labels_of
from mlfound.engines.group import Group, Share
from mlfound.engines.recipe import Named, Rate, Recipe
from mlfound.engines.step import Flat, Step
from mlfound.engines.storage import Storage, new_memory
from mlfound.foundations.optimizers import Coefficients


class Shared:
    """See `Engine`: of one network, in every process of a `group` with the same arguments."""

    def __init__(
        self,
        recipe: Recipe,
        initial: Sequence[Named],
        generators: Sequence[Generator],
        x: Tensor,
        y: Tensor,
        group: Group,
    ) -> None:
        [_], self.generators = initial, generators
        self.storage = Storage(recipe, initial, new_memory(recipe, 1, x.new_empty))
        self.networks, self.optimizer = self.storage.networks, self.storage.optimizer
        storage = self.storage
        flat = Flat(storage.parameters, storage.optimizer_state, storage.layer_state).of(0)
        self.recipe, self.lane = recipe, SharedLane(recipe, flat, generators, x, y, group)

    def run(self, rows: Tensor, rates: Sequence[Rate]) -> Tensor:
        coefficients = [self.recipe.optimizer.coefficients(*rate) for rate in rates]
        return self.lane.run(rows[0], coefficients)[None]

    def close(self) -> None:
        """The processes are not ours to end."""


class SharedLane(Lane):
    """Steps on this process's rows of every batch; the losses are of whole batches."""

    def __init__(
        self,
        recipe: Recipe,
        flat: Flat,
        generators: Sequence[Generator],
        x: Tensor,
        y: Tensor,
        group: Group,
    ) -> None:
        super().__init__(recipe, flat, generators, x, y)
        self.group = group

    def run(self, rows: Tensor, coefficients: Sequence[Coefficients]) -> Tensor:
        """Rows (rows,) of whole batches to losses (steps,)."""
        batches = torch.split(rows, self.batch_size)
        sums = self.x.new_zeros(len(batches))
        for n, (batch, c) in enumerate(zip(batches, coefficients, strict=True)):
            own = batch[Share(self.group, len(batch)).rows]
            row_losses = self.x.new_empty(1, len(own))
            self.step(len(batch))(own, labels_of(self.y, own), row_losses, c)
            sums[n] = row_losses.sum()
        sizes = sums.new_tensor([len(batch) for batch in batches])
        return self.group.sum(sums) * self.sign / sizes

    def step(self, rows: int) -> Step:
        """The step on this process's part of a batch of so many `rows`."""
        if rows not in self.steps:
            share = Share(self.group, rows)
            self.steps[rows] = Step(self.recipe, self.flat, self.generators, self.x, rows, share)
        return self.steps[rows]
