"""What is measured of a signal: layers that keep what comes out of them and what comes back, and figures of that."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Generator, Tensor

from mlfound.foundations.layers import Container, Layer, Shape, mapped

NEAR_ZERO = 0.01  # of the root mean square of all that comes out


class Recorded(Layer):
    """A layer that keeps what came out of it, `out`, and the gradient that came back, `dout`."""

    out: Tensor
    dout: Tensor
    own_gradients: Mapping[str, Tensor] = {}  # where a kernel leaves them

    def __init__(self, layer: Layer) -> None:
        self.layer, self.parameters, self.state = layer, layer.parameters, layer.state

    def bind(self, tensors: Mapping[str, Tensor], generator: Generator | None = None) -> None:
        self.layer.bind(tensors, generator)

    def forward(self, x: Tensor) -> Tensor:
        self.out = self.layer(x, self.training)
        return self.out

    def gradient(self, dout: Tensor, x: Tensor) -> Any:
        self.dout = dout
        return self.layer.backward(dout, self.input_gradient)

    def output_shape(self, shape: Shape) -> Shape:
        return self.layer.output_shape(shape)

    @property
    def has_weights(self) -> bool:
        """Whether it is no container, and an initialisation draws some of its parameters."""
        drawn = any(parameter.start is None for parameter in self.parameters.values())
        return drawn and not isinstance(self.layer, Container)


def recorded(model: Layer, wanted: Callable[[Layer], bool]) -> tuple[Layer, list[Recorded]]:
    """The model with a `Recorded` for each of its layers that is `wanted`; a container comes after those in it."""
    found = list[Recorded]()

    def keeping(layer: Layer) -> Layer:
        if not wanted(layer):
            return layer
        found.append(Recorded(layer))
        return found[-1]

    return mapped(model, keeping), found


def moments(x: Tensor) -> tuple[float, float]:
    """Mean and std of all numbers, in float64, where no square of a float32 overflows; much faster than x.std()."""
    mean = x.sum(dtype=torch.float64).item() / x.numel()
    square = torch.linalg.vector_norm(x, dtype=torch.float64).item() ** 2 / x.numel()
    return mean, math.sqrt(max(square - mean**2, 0.0)) if math.isfinite(square) else math.nan


def size(x: Tensor) -> float:
    """The root mean square of all numbers."""
    return math.hypot(*moments(x))


def share_near_zero(x: Tensor) -> float:
    return share_within(x, NEAR_ZERO * size(x))


def share_within(x: Tensor, limit: float) -> float:
    """Of the numbers in x the share of those at most so far from 0."""
    return (x.abs() <= limit).sum().item() / x.numel()
