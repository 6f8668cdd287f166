"""The readable engine: the layers as they are, one step in plain code. The others are tested against it."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from mlfound.engines.recipe import Named, Rate, Recipe
from mlfound.engines.storage import Storage, new_memory
from mlfound.foundations.batches import batches
from mlfound.foundations.layers import Loss, bound
from mlfound.foundations.optimizers import limit_norms


class Plain:
    """Forward, loss, backward, update; see `Engine`."""

    def __init__(
        self,
        recipe: Recipe,
        initial: Sequence[Named],
        generators: Sequence[Generator],
        x: Tensor,
        y: Tensor,
    ) -> None:
        self.recipe, self.generators, self.x, self.y = recipe, generators, x, y
        self.storage = Storage(recipe, initial, new_memory(recipe, len(initial), x.new_empty))
        self.networks, self.optimizer = self.storage.networks, self.storage.optimizer

    def run(self, rows: Tensor, rates: Sequence[Rate]) -> Tensor:
        """Trains one network after the other."""
        return torch.stack([self.train(n, own, rates) for n, own in enumerate(rows)])

    def train(self, n: int, rows: Tensor, rates: Sequence[Rate]) -> Tensor:
        model = bound(self.recipe.model, self.networks[n], self.generators[n])
        loss, losses = Loss(self.recipe.loss), []
        parameters, state = self.storage.parameters[n], [flat[n] for flat in self.storage.optimizer_state]
        parts = batches(self.x, self.y, rows, self.recipe.batch_size)
        for (x, y), rate in zip(parts, rates, strict=True):
            losses.append(loss(model(x, training=True), y))
            model.backward(loss.backward(), input_gradient=False)
            gradient = self.flat(model.gradients)
            coefficients = self.recipe.optimizer.coefficients(*rate)
            self.recipe.optimizer.update(parameters, gradient, state, coefficients, self.storage.parts)
            for w in self.recipe.limited(self.networks[n]):
                limit_norms(w, self.recipe.max_norm)
        return torch.stack(losses)

    def flat(self, gradients: Named) -> Tensor:
        """The gradients in the order and layout of the parameters."""
        return torch.cat([g.mT.flatten() if g.ndim == 2 else g.flatten() for g in gradients.values()])

    def close(self) -> None:
        """No processes to end."""
