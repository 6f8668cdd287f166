"""Random weights of the right size. Weights are (in, out): the fan in is their *first* axis."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor

Initialization = Callable[[tuple[int, int], Generator], Tensor]


def xavier(shape: tuple[int, int], generator: Generator) -> Tensor:
    """Normal with std 1/sqrt(fan_in): keeps the variance of a linear layer's N(0, 1) input.

    The lesson's short form of Glorot and Bengio 2010, equation 12, which also weighs in fan_out.
    """
    return torch.randn(shape, generator=generator) / math.sqrt(shape[0])


def kaiming(shape: tuple[int, int], generator: Generator) -> Tensor:
    """Normal with std sqrt(2/fan_in): makes up for the half that a ReLU throws away (He et al. 2015, eq. 10)."""
    return torch.randn(shape, generator=generator) * math.sqrt(2 / shape[0])


def mlp_parameters(sizes: Sequence[int], init: Initialization, generator: Generator) -> dict[str, Tensor]:
    """w1, b1, w2, b2, ... of an MLP with these layer sizes, float32: weights by `init`, biases 0."""
    parameters = {}
    for n, shape in enumerate(pairwise(sizes), 1):
        parameters[f"w{n}"] = init(shape, generator)
        parameters[f"b{n}"] = torch.zeros(shape[1])
    return parameters


INITIALIZATIONS: dict[str, Initialization] = {
    "xavier": xavier,
    "kaiming": kaiming,
}
