"""What the state of a training is made of, and what a divergence is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from mlfound.engines.recipe import Engine

LOSSES = "losses of this epoch"  # a name in the state


@dataclass(frozen=True)
class Divergence:
    """Where a number was first not finite: at which step (of all epochs, from 1), in which tensor of which seed."""

    step: int
    epoch: int
    lr: float
    tensor: str


def numbers(engine: Engine, n: int) -> Iterator[tuple[str, Tensor]]:
    """What a step changes in network `n`: what goes wrong first comes first."""
    for name, velocity in engine.velocities[n].items():
        yield f"momentum of {name}", velocity
    yield from engine.networks[n].items()


def copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As it is now."""
    return {name: tensor.clone() for name, tensor in state.items()}


def not_finite(state: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor that holds a nan or an infinity."""
    return next((name for name, tensor in state.items() if not tensor.isfinite().all()), None)
