"""The engine of a CPU, and of a GPU without graphs: `Step` after `Step`, with memory allocated once."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Generator, Tensor

from mlfound.engines.losses import LOSSES
from mlfound.engines.recipe import Network, Rates, Recipe
from mlfound.engines.step import Coefficients, Step
from mlfound.engines.storage import named, numbers


class Buffers:
    """See `Engine`. On a GPU all networks are trained `together`, on a CPU one after the other: each is faster there.

    `memory` (2, networks, numbers) holds parameters and velocities, if they must be in shared memory.
    """

    def __init__(
        self,
        recipe: Recipe,
        initial: Sequence[Network],
        generators: Sequence[Generator],
        x: Tensor,
        y: Tensor,
        memory: Tensor | None = None,
        together: bool | None = None,
    ) -> None:
        self.recipe, self.generators, count = recipe, generators, len(initial)
        if memory is None:
            memory = x.new_empty(2, count, numbers(recipe.sizes))
        self.parameters, self.flat_velocities = memory
        self.flat_velocities.zero_()
        self.networks = [named(flat, recipe.sizes) for flat in self.parameters]
        self.velocities = [named(flat, recipe.sizes) for flat in self.flat_velocities]
        for network, start in zip(self.networks, initial, strict=True):
            for name, p in start.items():
                network[name].copy_(p)

        self.together = (x.is_cuda if together is None else together) and count > 1
        parts = zip(self.parameters, self.flat_velocities, ([each] for each in generators), strict=True)
        all_at_once = [(self.parameters, self.flat_velocities, generators)]
        self.lanes = [Lane(recipe, *part, x, y) for part in (all_at_once if self.together else parts)]

    def run(self, rows: Tensor, rates: Rates) -> Tensor:
        coefficients = [Coefficients.of(lr, momentum, self.recipe) for lr, momentum in rates]
        if self.together:
            return self.lanes[0].run(rows, coefficients)
        return torch.stack([lane.run(own, coefficients) for lane, own in zip(self.lanes, rows, strict=True)])

    def close(self) -> None:
        """No processes to end."""


class Lane:
    """Runs steps of one network (numbers,), or of several at once (networks, numbers)."""

    def __init__(
        self,
        recipe: Recipe,
        parameters: Tensor,
        velocities: Tensor,
        generators: Sequence[Generator],
        x: Tensor,
        y: Tensor,
    ) -> None:
        self.batch_size, self.sign, self.y = recipe.batch_size, LOSSES[recipe.loss].sign, y
        self.dtype, self.make_step = x.dtype, partial(Step, recipe, parameters, velocities, generators, x)
        self.steps: dict[int, Step] = {}  # by their number of rows

    def run(self, rows: Tensor, coefficients: Sequence[Coefficients]) -> Tensor:
        """Rows (rows,) or (networks, rows) to losses (steps,) or (networks, steps)."""
        labels = self.y.take(rows).unsqueeze(-2)
        row_losses = torch.empty_like(labels, dtype=self.dtype)
        parts = (torch.split(each, self.batch_size, dim=-1) for each in (rows, labels, row_losses))
        for batch, y, losses, c in zip(*parts, coefficients, strict=True):
            self.step(batch.shape[-1])(batch, y, losses, c)
        return self.losses(row_losses.squeeze(-2))

    def step(self, rows: int) -> Step:
        """The step on `rows` rows with its memory, made on first use."""
        if rows not in self.steps:
            self.steps[rows] = self.make_step(rows)
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
