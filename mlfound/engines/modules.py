"""The readable engine: the lesson's own modules, one step in plain code. The others are tested against it."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from mlfound.engines.recipe import Network, Rates, Recipe
from mlfound.foundations.batches import batches
from mlfound.foundations.modules import LOSSES, MLP
from mlfound.foundations.optimizers import SGD


class Modules:
    """Forward, loss, backward, step; see `Engine`."""

    def __init__(
        self,
        recipe: Recipe,
        initial: Sequence[Network],
        generators: Sequence[Generator],
        x: Tensor,
        y: Tensor,
    ) -> None:
        self.batch_size, self.x, self.y = recipe.batch_size, x, y
        self.generators = generators
        self.networks = [{name: p.clone() for name, p in start.items()} for start in initial]
        self.models = [
            MLP(
                network,
                recipe.relu_shift,
                input_gradient=False,
                dropout=recipe.dropout,
                input_dropout=recipe.input_dropout,
                generator=generator,
            )
            for network, generator in zip(self.networks, generators, strict=True)
        ]
        self.loss = LOSSES[recipe.loss]()
        self.optimizers = [
            SGD(network, recipe.nesterov, recipe.weight_decay, recipe.max_norm) for network in self.networks
        ]
        self.velocities = [optimizer.velocities for optimizer in self.optimizers]

    def run(self, rows: Tensor, rates: Rates) -> Tensor:
        """Trains one network after the other."""
        each = zip(self.models, self.optimizers, rows, strict=True)
        return torch.stack([self.train(model, optimizer, own, rates) for model, optimizer, own in each])

    def train(self, model: MLP, optimizer: SGD, rows: Tensor, rates: Rates) -> Tensor:
        losses, loss = [], self.loss
        parts = batches(self.x, self.y, rows, self.batch_size)
        for (x, y), (lr, momentum) in zip(parts, rates, strict=True):
            losses.append(loss(model(x), y))
            model.backward(loss.backward())
            optimizer.step(model.gradients, lr, momentum)
        return torch.stack(losses)

    def close(self) -> None:
        """No processes to end."""
