"""Networks by name: from the `model` section of a config to a list of layers. Only here an MLP is known as one.

Their input is (batch, pixels), a row per image. A ValueError where no layers can be made for images of this size.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from mlfound.foundations.activations import ACTIVATIONS
from mlfound.foundations.layers import (
    AveragePool,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Layer,
    Linear,
    MaxPool,
    Residual,
    Sequential,
    Shape,
    Unflatten,
)
from mlfound.foundations.norms import NORMS

Section = Mapping[str, Any]


def mlp(section: Section, image: Shape) -> Sequential:
    """Linear layers with an activation between each two: no hidden units are the linear model.

    A norm stands before the activation, as its paper has it: there the numbers are nearest to a bell, and its shift
    chooses how many of them a ReLU lets pass. (The course has it after.) It shifts, so the layer before has no bias:
    the gradient of one would be 0.
    """
    sizes = math.prod(image), *section["hidden"], section["outputs"]
    return Sequential(*dropout(section["input_dropout"]), *linear_layers(section, sizes))


def linear_layers(section: Section, sizes: Shape) -> list[Layer]:
    """From the first of the sizes to the last, with norm, activation and dropout in between."""
    layers = list[Layer]()
    for fan_in, fan_out in pairwise(sizes[:-1]):
        normalized = norm(section, fan_out)
        layers.append(Linear(fan_in, fan_out, bias=not normalized))
        layers += [*normalized, activation(section), *dropout(section.get("dropout", 0.0))]
    return [*layers, Linear(sizes[-2], sizes[-1])]


def cnn(section: Section, image: Shape) -> Sequential:
    """Convolutions with an activation after each, the mean of each channel, and a linear layer; norms as in `mlp`.

    By default the course's: strides instead of pooling, no hidden linear layer. With a `head` it is these layers of
    so many units that see the channels, at all places (as in Simard et al. 2003, section 4).
    """
    layers = [as_image(image)]
    for (channels, out), size in zip(pairwise((1, *section["channels"])), section["kernels"], strict=True):
        padding = size // 2 if section["padding"] is None else section["padding"]
        normalized = norm(section, out)
        layers.append(Conv2d(channels, out, size, section["stride"], padding, bias=not normalized))
        layers += [*normalized, activation(section)]
    if section.get("head") is None:
        return Sequential(*layers, GlobalAveragePool(), Linear(section["channels"][-1], section["outputs"]))
    _, features = Sequential(*layers, Flatten()).output_shape((1, math.prod(image)))
    return Sequential(
        *layers, Flatten(), *linear_layers(section, (features, *section["head"], section["outputs"]))
    )


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


def resnet(section: Section, image: Shape) -> Sequential:
    """A convolution, stages of residual blocks, the mean of each channel, and a linear layer (He et al. 2016).

    Each stage after the first begins with the means of 2 x 2 places, which its blocks' branch and shortcut both get.
    (The course has them in the shortcut only, beside a convolution of stride 2: the same sizes, where they are even.)
    """
    kernel, padding = section["kernel"], section["kernel"] // 2
    convolution, projection = partial(Conv2d, size=kernel, padding=padding), partial(Conv2d, size=1)
    normalized = norm(section, section["stem"])
    stem = Conv2d(1, section["stem"], kernel, section["stem_stride"], padding, bias=not normalized)
    layers = [as_image(image), stem, *normalized, activation(section)]
    channels = section["stem"]
    for n, out in enumerate(section["stages"]):
        layers += [AveragePool(2, 2)] if n else []
        for _ in range(section["blocks"]):
            layers += block(section, channels, out, convolution, projection)
            channels = out
    return Sequential(*layers, GlobalAveragePool(), Linear(channels, section["outputs"]))


def residual_mlp(section: Section, image: Shape) -> Sequential:
    """A linear layer, residual blocks of two more, and one that gives the outputs: for depth."""
    width = section["width"]
    normalized = norm(section, width)
    layers = [Linear(math.prod(image), width, bias=not normalized), *normalized, activation(section)]
    for _ in range(section["blocks"]):
        layers += block(section, width, width, Linear, Linear)
    return Sequential(*layers, Linear(width, section["outputs"]))


def block(
    section: Section,
    channels: int,
    out: int,
    weighted: Callable[..., Layer],
    projection: Callable[..., Layer],
) -> Sequence[Layer]:
    """A residual block of two `weighted` layers, with the activation behind it; a projection where channels change.

    The scale of the last norm starts at 0: at first the block gives what the shortcut does (Goyal et al. 2017,
    section 5.1).
    """
    first, last, of_shortcut = norm(section, out), norm(section, out, scale=0.0), norm(section, out)
    bias = not first
    branch = [
        weighted(channels, out, bias=bias),
        *first,
        activation(section),
        weighted(out, out, bias=bias),
        *last,
    ]
    shortcut = None if channels == out else Sequential(projection(channels, out, bias=bias), *of_shortcut)
    return [Residual(*branch, shortcut=shortcut), activation(section)]


def as_image(image: Shape) -> Layer:
    """(batch, pixels) to (batch, 1, height, width); a ValueError where that is no image."""
    if min(image) == 1:
        raise ValueError(f"a row of {max(image)} numbers is no image")
    return Unflatten(1, *image)


def activation(section: Section) -> Layer:
    return ACTIVATIONS[section["activation"]](section["leak"], section["relu_shift"], section["ceiling"])


def norm(section: Section, channels: int, scale: float = 1.0) -> Sequence[Layer]:
    """One, whose scale starts there, or none, as for models that were saved before there were any."""
    name = section.get("norm", "none")
    return [] if name == "none" else [NORMS[name](channels, scale)]


def dropout(rate: float) -> Sequence[Layer]:
    return [Dropout(rate)] if rate else []


# name: the section, and the (height, width) of an image -> the layers
MODELS: dict[str, Callable[[Section, Shape], Sequential]] = {
    "mlp": mlp,
    "cnn": cnn,
    "lenet5": lenet5,
    "resnet": resnet,
    "residual-mlp": residual_mlp,
}
