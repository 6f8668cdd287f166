"""Networks by name: from the `model` section of a config to a list of layers. Only here an MLP is known as one."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Generator, Tensor

from mlfound.foundations.activations import ACTIVATIONS
from mlfound.foundations.initialization import Initialization
from mlfound.foundations.layers import Dropout, Flatten, Layer, Linear, Sequential, Shape

Section = Mapping[str, Any]


def mlp(section: Section, shape: Shape) -> Sequential:
    """Linear layers with an activation between each two: no hidden units are the linear model."""
    layers: list[Layer] = [Flatten()] if len(shape) > 1 else []
    layers += dropout(section["input_dropout"])
    sizes = (math.prod(shape), *section["hidden"], section["outputs"])
    for n, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        if n:
            layers += [activation(section), *dropout(section["dropout"])]
        layers.append(Linear(fan_in, fan_out))
    return Sequential(*layers)


def activation(section: Section) -> Layer:
    return ACTIVATIONS[section["activation"]](section["leak"], section["relu_shift"], section["ceiling"])


def dropout(rate: float) -> Sequence[Layer]:
    return [Dropout(rate)] if rate else []


def initial(model: Sequential, init: Initialization, generator: Generator) -> dict[str, Tensor]:
    """Tensors for the model's parameters and state, float32: weights by `init`, the rest at its constants."""
    return {
        name: init(p.shape, generator) if p.start is None else torch.full(p.shape, p.start)
        for name, p in {**model.parameters, **model.state}.items()
    }


# name: the section, and the shape of one input -> the layers
MODELS: dict[str, Callable[[Section, Shape], Sequential]] = {
    "mlp": mlp,
}
