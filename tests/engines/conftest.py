"""The same training for every engine: networks, data and rates that each of them gets."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch

from mlfound.engines.graph import Graph
from mlfound.engines.recipe import Rate, Recipe
from mlfound.foundations import model_initialization
from mlfound.foundations.activations import ReLU
from mlfound.foundations.checks import relative_error
from mlfound.foundations.initialization import INITIALIZATIONS
from mlfound.foundations.layers import Dropout, Linear, Sequential
from mlfound.foundations.optimizers import SGD
from mlfound.foundations.randomness import generator
from tests.support.stacks import OUTPUTS, elsewhere

INPUTS = 11


def recipe(
    loss="cross-entropy",
    hidden=(9, 6),
    activation=ReLU,
    dropout=0.0,
    input_dropout=0.0,
    optimizer=None,
    inputs=INPUTS,
    **more,
):
    """Linear layers with an activation between each two, as `mlp` makes them; eight rows a batch."""
    layers, sizes = [Dropout(input_dropout)] * bool(input_dropout), (inputs, *hidden, OUTPUTS[loss])
    for n, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        layers += [activation(), *[Dropout(dropout)] * bool(dropout)] if n else []
        layers.append(Linear(fan_in, fan_out))
    return recipe_of(layers, loss, optimizer, **more)


def recipe_of(layers, loss="cross-entropy", optimizer=None, **more):
    return Recipe(Sequential(*layers), optimizer or SGD(), loss, **{"batch_size": 8, **more})


class Uncaptured(Graph):
    """The graph engine where there is no GPU: what a replay would do is done step by step."""

    def captured(self):
        engine = self

        class Replayed:
            def replay(self):
                engine.losses = engine.steps(engine.rows.shape[-1])

        return Replayed()


@dataclass(frozen=True)
class Task:
    """Fifty steps with rates that move, the last on half a batch."""

    recipe: object
    networks: int = 1
    dtype: torch.dtype = torch.float64
    device: str = "cpu"
    rows: int = 400
    steps: int = 50
    peak: float = 0.02
    first: int = 0  # number of the first network
    shape: tuple = (INPUTS,)
    strided: bool = False

    def train(self, engine, calls=1, **options):
        """What `engine` ends with: the engine itself, and its losses; the steps are taken in so many calls."""
        _, outputs = self.recipe.model.output_shape((1, *self.shape))
        x = torch.randn(self.rows, *self.shape, generator=generator(0, "x"), dtype=torch.float64)
        y = torch.randint(max(outputs, 3), (self.rows,), generator=generator(0, "y"))
        x = elsewhere(x) if self.strided else x
        made = engine(
            self.recipe,
            [self.start(n) for n in self.numbers],
            [generator(n, "dropout", self.device) for n in self.numbers],
            x.to(self.device, self.dtype),
            y.to(self.device),
            **options,
        )
        size = self.recipe.batch_size
        count = (self.steps - 1) * size + max(1, size // 2)
        order = torch.stack(
            [torch.randint(self.rows, (count,), generator=generator(n, "order")) for n in self.numbers]
        ).to(self.device)
        rates = [Rate(self.peak * (0.5 + n % 7 / 7), 0.5 + 0.4 * (n % 5) / 5, n) for n in range(self.steps)]
        a_call, losses = -(-self.steps // calls), []
        for first in range(0, self.steps, a_call):
            own = rates[first : first + a_call]
            losses.append(made.run(order[:, first * size : (first + len(own)) * size], own))
        made.close()
        return made, torch.cat(losses, dim=1)

    @property
    def numbers(self):
        return range(self.first, self.first + self.networks)

    def start(self, number):
        draws = generator(number, "initialization")
        parameters = model_initialization.initial(self.recipe.model, INITIALIZATIONS["kaiming"], draws)
        for name, p in parameters.items():
            if name.endswith("b"):
                p += 0.1 * torch.randn(p.shape, generator=draws)
        return {name: p.to(self.device, self.dtype) for name, p in parameters.items()}


@pytest.fixture
def far_apart():
    """The largest relative error of any weight, loss or optimiser's state of two trainings, or of any weight only.

    In float32 a velocity or a bias of one number may be next to 0 by chance, where rounding is all there is of it.
    """

    def measured(one, other, only_weights=False):
        (engine, losses), (wanted, wanted_losses) = one, other
        pairs = [] if only_weights else [(losses, wanted_losses)]
        for n, want in enumerate(wanted.networks):
            pairs += zip(engine.networks[n].values(), want.values(), strict=True)
            if not only_weights:
                states = (each.optimizer[n].values() for each in (engine, wanted))
                for got, named in zip(*states, strict=True):
                    pairs += zip(got.values(), named.values(), strict=True)
        return max(relative_error(got, want) for got, want in pairs)

    return measured
