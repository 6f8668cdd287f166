"""The engine of a CUDA GPU: several steps captured in one graph, which is then replayed without Python between them.

What changes from replay to replay lives on the device, where the graph reads it: the rows of the batches, the
coefficients of the steps, and the states of the generators. What does not fill a graph, the last batches of an
epoch, is done by the same steps without one.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from mlfound.engines.buffers import Buffers
from mlfound.engines.recipe import Network, Rates, Recipe
from mlfound.engines.step import Coefficients

STEPS = 16  # a replay: enough that launching it costs nothing beside them
WARM_UP = 3  # steps outside the graph, so that libraries have made their memory before it


class Graph(Buffers):
    """See `Engine`; all networks at once."""

    def __init__(
        self, recipe: Recipe, starts: Sequence[Network], generators: Sequence[Generator], x: Tensor, y: Tensor
    ) -> None:
        super().__init__(recipe, starts, generators, x, y, together=True)
        networks = [len(starts)] if self.together else []
        self.rows = y.new_zeros(*networks, STEPS * recipe.batch_size)
        self.coefficients = x.new_zeros(STEPS, len(Coefficients._fields))
        self.graph: torch.cuda.CUDAGraph | None = None

    def run(self, rows: Tensor, rates: Rates) -> Tensor:
        """See `Engine`."""
        size, losses = self.recipe.batch_size, []
        for first in range(0, len(rates), STEPS):
            part, own = rows[:, first * size : (first + STEPS) * size], rates[first : first + STEPS]
            self.rows[..., : part.shape[1]] = part.view_as(self.rows[..., : part.shape[1]])
            coefficients = [Coefficients.of(lr, momentum, self.recipe) for lr, momentum in own]
            self.coefficients[: len(own)] = torch.tensor(coefficients, dtype=self.coefficients.dtype)
            taken = self.replayed() if part.shape[1] == STEPS * size else self.steps(part.shape[1])
            losses.append(taken.reshape(len(self.networks), len(own)))
        return torch.cat(losses, dim=1)

    def steps(self, rows: int) -> Tensor:
        """Steps on the first `rows`, by the coefficients beside them: what the graph holds, for all of them."""
        count = -(-rows // self.recipe.batch_size)
        [lane] = self.lanes
        return lane.run(self.rows[..., :rows], [Coefficients(*row) for row in self.coefficients[:count]])

    def replayed(self) -> Tensor:
        """The same for all rows, by the graph; the first time it is captured."""
        if self.graph is None:
            self.graph = self.captured()
        self.graph.replay()
        return self.losses.clone()

    def captured(self) -> torch.cuda.CUDAGraph:
        """The graph. Warming up takes steps that must not count: afterwards every number is as it was before."""
        numbers = self.parameters, self.momenta
        before = [each.clone() for each in numbers]
        states = [each.get_state() for each in self.generators]
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            self.steps(WARM_UP * self.recipe.batch_size)
        torch.cuda.current_stream().wait_stream(aside)

        graph = torch.cuda.CUDAGraph()
        for generator in self.generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph):
            self.losses = self.steps(self.rows.shape[-1])
        for each, saved in zip(numbers, before, strict=True):
            each.copy_(saved)
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state)
        return graph
