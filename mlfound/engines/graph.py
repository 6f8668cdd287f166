"""The engine of a CUDA GPU: several steps captured in one graph, which is then replayed without Python between them.

What changes between replays is on the device, where the graph reads it: the rows of the batches, the
coefficients of the steps, and the states of the generators. The last batches of an epoch, too few for a
graph, are trained by the same steps without one.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from mlfound.engines.buffers import Buffers
from mlfound.engines.recipe import Named, Rate, Recipe
from mlfound.foundations.optimizers import Coefficients

STEPS_PER_REPLAY = 16  # enough to make the cost of a launch negligible
WARM_UP_STEPS = 3  # outside the graph, so that libraries allocate their memory before it


class Graph(Buffers):
    """See `Engine`; all networks at once."""

    def __init__(
        self,
        recipe: Recipe,
        initial: Sequence[Named],
        generators: Sequence[Generator],
        x: Tensor,
        y: Tensor,
    ) -> None:
        super().__init__(recipe, initial, generators, x, y, together=True)
        networks = [len(initial)] if self.together else []
        shape = *networks, STEPS_PER_REPLAY * recipe.batch_size
        self.rows = torch.zeros(shape, dtype=torch.int64, device=x.device)
        self.coefficients = x.new_zeros(STEPS_PER_REPLAY, len(Coefficients._fields))
        self.graph: torch.cuda.CUDAGraph | None = None

    def run(self, rows: Tensor, rates: Sequence[Rate]) -> Tensor:
        size, losses = self.recipe.batch_size, []
        for first in range(0, len(rates), STEPS_PER_REPLAY):
            part, own = (
                rows[:, first * size : (first + STEPS_PER_REPLAY) * size],
                rates[first : first + STEPS_PER_REPLAY],
            )
            self.rows[..., : part.shape[1]] = part.view_as(self.rows[..., : part.shape[1]])
            coefficients = [self.recipe.optimizer.coefficients(*rate) for rate in own]
            self.coefficients[: len(own)] = torch.tensor(coefficients, dtype=self.coefficients.dtype)
            own_losses = (
                self.replayed() if part.shape[1] == STEPS_PER_REPLAY * size else self.steps(part.shape[1])
            )
            losses.append(own_losses.reshape(len(self.networks), len(own)))
        return torch.cat(losses, dim=1)

    def steps(self, rows: int) -> Tensor:
        """Steps on the first `rows` with their coefficients; on all rows this is what the graph captures."""
        count = -(-rows // self.recipe.batch_size)
        [lane] = self.lanes
        return lane.run(self.rows[..., :rows], [Coefficients(*row) for row in self.coefficients[:count]])

    def replayed(self) -> Tensor:
        """The same for all rows by the graph, which is captured the first time."""
        if self.graph is None:
            self.graph = self.captured()
        self.graph.replay()
        return self.losses.clone()

    def captured(self) -> torch.cuda.CUDAGraph:
        """The graph. The steps of the warm-up and of the capture are undone: all state is as before."""
        state = self.storage.parameters, *self.storage.optimizer_state, self.storage.layer_state
        before = [each.clone() for each in state]
        states = [each.get_state() for each in self.generators]
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            self.steps(WARM_UP_STEPS * self.recipe.batch_size)
        torch.cuda.current_stream().wait_stream(aside)

        graph = torch.cuda.CUDAGraph()
        for generator in self.generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph):
            self.losses = self.steps(self.rows.shape[-1])
        for each, saved in zip(state, before, strict=True):
            each.copy_(saved)
        for generator, saved_state in zip(self.generators, states, strict=True):
            generator.set_state(saved_state)
        return graph
