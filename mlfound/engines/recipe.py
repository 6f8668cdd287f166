"""What a training step computes: two engines with one recipe reach the same weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Generator, Tensor

Network = Mapping[str, Tensor]  # w1 (in, out), b1 (out,), w2, b2, ...
Rates = Sequence[tuple[float, float]]  # learning rate and momentum, one pair per step


@dataclass(frozen=True)
class Recipe:
    """The step, without initial parameters and rates. `sizes` are inputs, hidden units, outputs."""

    sizes: tuple[int, ...]
    loss: str = "cross-entropy"
    batch_size: int = 64
    relu_shift: float = 0.0
    dropout: float = 0.0
    input_dropout: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    max_norm: float | None = None
    product: str = "matmul"  # a name in engines.products; the readable engine has only this one


class Engine(Protocol):
    """Trains networks side by side, each with rows and random numbers of its own.

    An engine takes a recipe, `initial` networks, which it copies, `generators` of dropout masks, one per network,
    and the data: `x` (rows, in) and `y` (rows,), which are not copied. All state that a step changes can be read and
    set from outside: the tensors here are no copies.
    """

    @property
    def networks(self) -> Sequence[Network]:
        """Weights and biases by name."""
        ...

    @property
    def velocities(self) -> Sequence[Network]:
        """The velocity of each parameter, by name."""
        ...

    @property
    def generators(self) -> Sequence[Generator]:
        """The generators that were given."""
        ...

    def run(self, rows: Tensor, rates: Rates) -> Tensor:
        """A step for each pair of `rates`, on `rows` (networks, numbers of rows), which are split into batches.

        Only the last batch may be smaller than the recipe's. Returns the losses (networks, steps) before each step.
        """
        ...

    def close(self) -> None:
        """End the processes, if any; the networks stay readable."""
        ...
