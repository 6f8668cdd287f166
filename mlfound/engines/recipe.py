"""What a training step computes: two engines with one recipe reach the same weights."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Generator, Tensor

from mlfound.foundations.layers import Sequential
from mlfound.foundations.optimizers import Optimizer

Named = Mapping[str, Tensor]  # of one network: parameters and layer state, by the names of its model


class Rate(NamedTuple):
    """What a schedule says of one step; `step` counts from 0 over the whole training."""

    lr: float
    momentum: float
    step: int


@dataclass(frozen=True)
class Recipe:
    """The step, without initial parameters and rates. `model` is a pattern: engines bind copies of it."""

    model: Sequential
    optimizer: Optimizer
    loss: str = "cross-entropy"
    batch_size: int = 64
    max_norm: float = math.inf  # of the weights into each hidden unit
    mixed_labels: bool = False  # the labels are floats: shares of each class or, for mse, numbers
    product: str = "matmul"  # a name in engines.products, for the engines that multiply by them

    def limited(self, tensors: Named) -> list[Tensor]:
        """The parameters under `max_norm`, all drawn weights but those of the output: a column for each unit.

        Of a convolution a column is a kernel. The tensors may begin with an axis of networks.
        """
        drawn = [(name, len(p.shape)) for name, p in self.model.parameters.items() if p.start is None]
        return [
            tensors[name].flatten(-3).mT if axes == 4 else tensors[name]
            for name, axes in drawn[:-1]
            if self.max_norm < math.inf
        ]


class Engine(Protocol):
    """Trains networks side by side, each with rows and random numbers of its own.

    An engine takes a recipe, `initial` networks, which it copies, a generator for each of what training draws, and
    the data, which are not copied: `x` (rows, ...) and `y` (rows,). All state that a step changes can be read and set
    from outside: the tensors here are no copies.
    """

    @property
    def networks(self) -> Sequence[Named]:
        """Parameters and layer state by name."""
        ...

    @property
    def optimizer(self) -> Sequence[Mapping[str, Named]]:
        """Of each network the state of its optimiser: by its names, and then by those of the parameters."""
        ...

    @property
    def generators(self) -> Sequence[Generator]:
        """The generators that were given."""
        ...

    def run(self, rows: Tensor, rates: Sequence[Rate]) -> Tensor:
        """A step for each of the `rates`, on `rows` (networks, numbers of rows), which are split into batches.

        Only the last batch may be smaller than the recipe's. Returns the losses (networks, steps) before each step.
        """
        ...

    def close(self) -> None:
        """End the processes, if any; the networks stay readable."""
        ...
