"""What a training step does, whoever does it: two engines with one recipe end at the same weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Generator, Tensor

Network = Mapping[str, Tensor]  # w1 (in, out), b1 (out,), w2, b2, ...
Rates = Sequence[tuple[float, float]]  # learning rate and momentum, a pair a step


@dataclass(frozen=True)
class Recipe:
    """The step, but for the numbers it starts from and its rates. `sizes` are inputs, hidden units, outputs."""

    sizes: tuple[int, ...]
    loss: str = "cross-entropy"
    batch_size: int = 64
    relu_shift: float = 0.0
    dropout: float = 0.0
    input_dropout: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    max_norm: float | None = None
    product: str = "matmul"  # a name in engines.products; the readable engine knows only this one


class Engine(Protocol):
    """Trains networks side by side, each with rows and random numbers of its own.

    Each is made of a recipe, of `starts`, networks that it begins at copies of, of `generators`, one a network, from
    which it draws what dropout leaves out, and of the data: `x` (rows, in) and `y` (rows,), which stay in place.
    All that a step changes can be seen from outside, and set: tensors here are no copies.
    """

    @property
    def networks(self) -> Sequence[Network]:
        """The weights."""
        ...

    @property
    def velocities(self) -> Sequence[Network]:
        """The momentum of each weight."""
        ...

    @property
    def generators(self) -> Sequence[Generator]:
        """Those that were given."""
        ...

    def run(self, rows: Tensor, rates: Rates) -> Tensor:
        """A step for each pair of `rates`, on `rows` (networks, numbers of rows), which are cut into batches.

        Only the last batch may be smaller than the recipe's. Gives the losses (networks, steps), before each step.
        """
        ...

    def close(self) -> None:
        """End what was begun besides: the networks stay."""
        ...
