"""What every kernel is: a layer's twin, the same arithmetic in memory that is allocated once.

Between kernels the batch is the last axis, (features, batch) and (channels, rows, columns, batch): the faster way
round on a CPU, where a pixel of all images is then one run of memory. A first axis may be one of networks. A kernel
may overwrite what it is given: a layer needs its input for the gradient, not its output.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Generator, Tensor

from mlfound.engines.group import Share
from mlfound.engines.recipe import Named
from mlfound.foundations.layers import Shape


@dataclass(frozen=True)
class Setting:
    """What all kernels of a step share. `networks` is () for one network, (n,) for n side by side."""

    networks: Shape
    like: Tensor  # of the type, on the device
    generators: Sequence[Generator]  # one for each network
    product: str  # a name in engines.products
    share: Share | None = None  # of the batch, where other processes have the rest

    def empty(self, *shape: int) -> Tensor:
        return self.like.new_empty(*self.networks, *shape)


def batch_last(x: Tensor, shape: Shape) -> Tensor:
    """From (..., batch, features) to (..., features, batch), where `shape` is without networks; a view."""
    return x.movedim(-len(shape), -1)


def batch_first(x: Tensor, shape: Shape) -> Tensor:
    """And back; `shape` is that of the result."""
    return x.movedim(-1, -len(shape))


class Kernel:
    """Base class. `tensors` are the layer's parameters and state, `into` where its weight gradients go, by name."""

    def __init__(self, layer: Any, tensors: Named, into: Named, shape: Shape, setting: Setting) -> None:
        """For inputs of this `shape`, (batch, ...)."""
        self.layer = layer
        self.prepare(tensors, into, shape, setting)

    def prepare(self, tensors: Named, into: Named, shape: Shape, setting: Setting) -> None:
        """Allocate the memory."""

    def forward(self, x: Tensor) -> Tensor:
        """The output in training."""
        raise NotImplementedError

    def backward(self, dout: Tensor, input_gradient: bool) -> Any:
        """From the gradient of the output to that of the input, which may be None where it is not wanted."""
        raise NotImplementedError

    def weight_gradients(self, momentum: float) -> None:
        """into <- momentum into + gradient, for each parameter."""
