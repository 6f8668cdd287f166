"""Networks by name: from the `model` section of a config to a list of layers. Only here an MLP is known as one.

Their input is (batch, pixels), a row per image. A ValueError where no layers can be made for images of this size.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Generator, Tensor

from mlfound.foundations.activations import ACTIVATIONS
from mlfound.foundations.initialization import INITIALIZATIONS, Initialization
from mlfound.foundations.layers import (
    Conv2d,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Layer,
    Linear,
    MaxPool,
    Sequential,
    Shape,
    Unflatten,
    bound,
    mapped,
)
from mlfound.foundations.norms import NORMS, BatchNorm, RunningBatchNorm

Section = Mapping[str, Any]


def mlp(section: Section, image: Shape) -> Sequential:
    """Linear layers with an activation between each two: no hidden units are the linear model.

    A norm stands before the activation, as its paper has it: there the numbers are nearest to a bell, and its shift
    chooses how many of them a ReLU lets pass. (The course has it after.) It shifts, so the layer before has no bias:
    the gradient of one would be 0.
    """
    layers = [*dropout(section["input_dropout"])]
    sizes = (math.prod(image), *section["hidden"], section["outputs"])
    for fan_in, fan_out in pairwise(sizes[:-1]):
        normalized = norm(section, fan_out)
        layers.append(Linear(fan_in, fan_out, bias=not normalized))
        layers += [*normalized, activation(section), *dropout(section["dropout"])]
    return Sequential(*layers, Linear(*sizes[-2:]))


def cnn(section: Section, image: Shape) -> Sequential:
    """Convolutions with an activation after each, the mean of each channel, and a linear layer; norms as in `mlp`.

    By default the course's: strides instead of pooling, no hidden linear layer.
    """
    layers = [as_image(image)]
    for (channels, out), size in zip(pairwise((1, *section["channels"])), section["kernels"], strict=True):
        padding = size // 2 if section["padding"] is None else section["padding"]
        normalized = norm(section, out)
        layers.append(Conv2d(channels, out, size, section["stride"], padding, bias=not normalized))
        layers += [*normalized, activation(section)]
    return Sequential(*layers, GlobalAveragePool(), Linear(section["channels"][-1], section["outputs"]))


def lenet5(section: Section, image: Shape) -> Sequential:
    """LeNet-5 (LeCun et al. 1998, section II.B), as it is built today.

    Max pooling and one linear output layer, where the paper has averages with a learned scale, a table of which maps
    see which, and radial basis functions.
    """
    images = Sequential(
        as_image(image),
        Conv2d(1, 6, 5, padding=2),
        activation(section),
        MaxPool(2, 2),
        Conv2d(6, 16, 5),
        activation(section),
        MaxPool(2, 2),
        Flatten(),
    )
    _, features = images.output_shape((1, math.prod(image)))
    return Sequential(
        *images.layers,
        Linear(features, 120),
        activation(section),
        Linear(120, 84),
        activation(section),
        Linear(84, section["outputs"]),
    )


def as_image(image: Shape) -> Layer:
    """(batch, pixels) to (batch, 1, height, width); a ValueError where that is no image."""
    if min(image) == 1:
        raise ValueError(f"a row of {max(image)} numbers is no image")
    return Unflatten(1, *image)


def activation(section: Section) -> Layer:
    return ACTIVATIONS[section["activation"]](section["leak"], section["relu_shift"], section["ceiling"])


def norm(section: Section, channels: int) -> Sequence[Layer]:
    """One or none, as for models that were saved before there were any."""
    name = section.get("norm", "none")
    return [] if name == "none" else [NORMS[name](channels)]


def dropout(rate: float) -> Sequence[Layer]:
    return [Dropout(rate)] if rate else []


def initial(model: Sequential, init: Initialization, generator: Generator) -> dict[str, Tensor]:
    """Tensors for the model's parameters and state, float32: weights by `init`, the rest at its constants."""
    return {
        name: init(p.shape, generator) if p.start is None else torch.full(p.shape, p.start)
        for name, p in {**model.parameters, **model.state}.items()
    }


def initial_by_name(model: Sequential, init: str, generator: Generator, x: Tensor) -> dict[str, Tensor]:
    """The same by any name of a config; some schemes fit the weights to these images `x` (rows, pixels)."""
    if init in INITIALIZATIONS:
        return initial(model, INITIALIZATIONS[init], generator)
    return FITTED[init](model, generator, fitted_rows(generator, x))


def fitted_rows(generator: Generator, x: Tensor) -> Tensor:
    """Those of the images `x` that a scheme fits weights to, float32 on the CPU: the first that are drawn."""
    rows = torch.randperm(len(x), generator=generator)[:FITTED_ROWS]
    return x[rows.to(x.device)].cpu().float()


def lsuv(model: Sequential, generator: Generator, x: Tensor) -> dict[str, Tensor]:
    """Layer-sequential unit variance: of what each layer gives for `x`, before the activation, mean 0 and std 1.

    Mishkin and Matas 2016, algorithm 1, from orthonormal weights; the mean is the course's, which measures after the
    activation. What a layer gives is linear in its weights and biases, so that one correction does. `stacks.lsuv` is
    the same for a plain stack of weights, drawn many times. A layer without biases has a norm behind it, which takes
    the mean away; norms that keep statistics begin with those of `x`, so that what follows them is fitted to what
    they will give in training.

    Products are in float64, and the mean and std of a layer rounded to float32: another CPU gives the same bits but
    for one layer in some ten million.
    """
    drawn = initial(model, INITIALIZATIONS["orthogonal"], generator)
    tensors = {name: p.double() for name, p in drawn.items()}

    def fitting(layer: Layer) -> Layer:
        if isinstance(layer, BatchNorm | RunningBatchNorm):
            return FirstStatistics(layer)
        return UnitVariance(layer) if isinstance(layer, Conv2d | Linear) else layer

    mapped(bound(model, tensors), fitting)(x.double())
    return {name: p.float() for name, p in tensors.items()}


class UnitVariance(Layer):
    """Corrects the weights and biases of a layer, for each input anew.

    A layer that gives one number for all, but for rounding, is left as it is.
    """

    def __init__(self, layer: Conv2d | Linear) -> None:
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        z = self.layer(x)
        mean, std = z.mean().float(), z.std(correction=0).float()
        if std > ROUNDING * mean.abs():
            self.layer.w.div_(std)
            if self.layer.b is not None:
                self.layer.b.sub_(mean).div_(std)
        return self.layer(x)


class FirstStatistics(Layer):
    """Gives a norm those of its first input, as if it had never seen another."""

    def __init__(self, layer: BatchNorm | RunningBatchNorm) -> None:
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        self.layer.momentum = 1.0
        self.layer(x, training=True)
        return self.layer(x)


# Of equal numbers in float32, which products of whole matrices leave unequal in the last digits
ROUNDING = 2.0**-20
FITTED_ROWS = 512
# schemes that look at the data: model, generator and images -> its tensors
FITTED: dict[str, Callable[[Sequential, Generator, Tensor], dict[str, Tensor]]] = {
    "lsuv": lsuv,
}
# name: the section, and the (height, width) of an image -> the layers
MODELS: dict[str, Callable[[Section, Shape], Sequential]] = {
    "mlp": mlp,
    "cnn": cnn,
    "lenet5": lenet5,
}
