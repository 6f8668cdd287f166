"""The engine of a CPU, and of a GPU without graphs: `Step` after `Step`, with memory allocated once."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from mlfound.engines.losses import LOSSES
from mlfound.engines.recipe import Named, Rate, Recipe
from mlfound.engines.step import Flat, Step
from mlfound.engines.storage import Memory, Storage, new_memory
from mlfound.foundations.optimizers import Coefficients


class Buffers:
    """See `Engine`. On a GPU all networks are trained `together`, on a CPU one after the other: each is faster there.

    `memory` is what the networks lie in, if it must be shared.
    """

    def __init__(
        self,
        recipe: Recipe,
        initial: Sequence[Named],
        generators: Sequence[Generator],
        x: Tensor,
        y: Tensor,
        memory: Memory | None = None,
        together: bool | None = None,
    ) -> None:
        self.recipe, self.generators, count = recipe, generators, len(initial)
        self.storage = Storage(recipe, initial, memory or new_memory(recipe, count, x.new_empty))
        self.networks, self.optimizer = self.storage.networks, self.storage.optimizer
        self.together = (x.is_cuda if together is None else together) and count > 1
        flat = Flat(self.storage.parameters, self.storage.optimizer_state, self.storage.layer_state)
        self.lanes = (
            [Lane(recipe, flat, generators, x, y)]
            if self.together
            else [Lane(recipe, flat.of(n), [generators[n]], x, y) for n in range(count)]
        )

    def run(self, rows: Tensor, rates: Sequence[Rate]) -> Tensor:
        coefficients = [self.recipe.optimizer.coefficients(*rate) for rate in rates]
        if self.together:
            return self.lanes[0].run(rows, coefficients)
        return torch.stack([lane.run(own, coefficients) for lane, own in zip(self.lanes, rows, strict=True)])

    def close(self) -> None:
        """No processes to end."""


class Lane:
    """Runs steps of one network (numbers,), or of several at once (networks, numbers)."""

    def __init__(
        self, recipe: Recipe, flat: Flat, generators: Sequence[Generator], x: Tensor, y: Tensor
    ) -> None:
        self.recipe, self.flat, self.generators, self.x, self.y = recipe, flat, generators, x, y
        self.batch_size, self.sign = recipe.batch_size, LOSSES[recipe.loss].sign
        self.steps: dict[int, Step] = {}  # by their number of rows

    def run(self, rows: Tensor, coefficients: Sequence[Coefficients]) -> Tensor:
        """Rows (rows,) or (networks, rows) to losses (steps,) or (networks, steps)."""
        labels = labels_of(self.y, rows)
        row_losses = self.x.new_empty(*rows.shape[:-1], 1, rows.shape[-1])
        parts = (torch.split(each, self.batch_size, dim=-1) for each in (rows, labels, row_losses))
        for batch, y, losses, c in zip(*parts, coefficients, strict=True):
            self.step(batch.shape[-1])(batch, y, losses, c)
        return self.losses(row_losses.squeeze(-2))

    def step(self, rows: int) -> Step:
        """The step on `rows` rows with its memory, made on first use."""
        if rows not in self.steps:
            self.steps[rows] = Step(self.recipe, self.flat, self.generators, self.x, rows)
        return self.steps[rows]

    def losses(self, row_losses: Tensor) -> Tensor:
        """The mean of every batch, from the losses of its rows."""
        whole = row_losses.shape[-1] // self.batch_size
        batches, rest = torch.split(
            row_losses, [whole * self.batch_size, row_losses.shape[-1] % self.batch_size], dim=-1
        )
        means = [torch.unflatten(batches, -1, (whole, self.batch_size)).mean(-1)]
        if rest.shape[-1]:
            means.append(rest.mean(-1, keepdim=True))
        return self.sign * torch.cat(means, dim=-1)


def labels_of(y: Tensor, rows: Tensor) -> Tensor:
    """Of these rows (..., batch): numbers (..., 1, batch), or shares of each class (..., classes, batch)."""
    return y.take(rows).unsqueeze(-2) if y.dim() == 1 else y[rows].mT
