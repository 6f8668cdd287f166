"""What a trained network looks like inside: its first layer's weights, and one image on its way through."""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from mlfound.foundations.layers import (
    AveragePool,
    Conv2d,
    Layer,
    Linear,
    MaxPool,
    Residual,
    Sequential,
    leaves,
)
from mlfound.results import Picture, Result
from mlfound.training.evaluation import Score
from mlfound.training.inputs import Inputs
from mlfound.training.inside import evenly

CALLED: dict[type[Layer], str] = {
    Conv2d: "convolution",
    MaxPool: "max pooling",
    AveragePool: "average pooling",
    Residual: "block",
}
MAX_MAPS, MAX_LAYERS = 16, 8  # in one picture


def inside(model: Sequential, inputs: Inputs, score: Score, whose: str) -> Result:
    """The pictures of a network that has a `score` on the test images."""
    pictures = [first_weights(model, inputs.splits.shape, whose), first_image(model, inputs, score, whose)]
    return Result(pictures=[picture for picture in pictures if picture])


def first_weights(model: Sequential, shape: tuple[int, int], whose: str) -> Picture | None:
    """An image for each unit that has a weight for every pixel, or for each filter of an image."""
    first = next(layer for layer in leaves(model) if layer.parameters)
    if isinstance(first, Linear) and len(first.w) == math.prod(shape):
        data = {"title": f"First-layer weights{whose}", "weights": first.w.cpu(), "shape": shape}
        return Picture("weights", "weights", data)
    if isinstance(first, Conv2d) and first.w.shape[1] == 1:
        weights, title = first.w.flatten(1).T.cpu(), f"First-layer filters{whose}"
        return Picture(
            "filters", "weights", {"title": title, "weights": weights, "shape": first.size, "of": "channel"}
        )
    return None


def first_image(model: Sequential, inputs: Inputs, score: Score, whose: str) -> Picture | None:
    """The first test image and the feature maps that each layer makes of it; none without convolutions."""
    splits, test = inputs.splits, inputs.splits.test
    layers = evenly(feature_maps(model, test.x[:1]), MAX_LAYERS)
    if not layers:
        return None
    true, predicted = (splits.labels[int(y[0])] for y in (test.y, score.predicted))
    strength = score.strength[0].item()
    sure = f"{strength:.2f}" if score.kind == "predicted_value" else percent(strength)
    data: dict[str, Any] = {
        "title": f"The first test {splits.noun} through the network{whose}: {true}, predicted {predicted} ({sure})",
        "image": (test.x[0].cpu() * inputs.std + inputs.mean).view(*splits.shape),
        "layers": [name for name, _ in layers],
        "channels": [len(maps) for _, maps in layers],
        "maps": [torch.stack(evenly(list(maps), MAX_MAPS)).cpu() for _, maps in layers],
    }
    return Picture("feature_maps", "feature_maps", data)


def feature_maps(model: Sequential, x: Tensor) -> list[tuple[str, Tensor]]:
    """Of a batch of one: maps (channels, rows, columns) of convolutions, blocks and pooling, after activations."""
    found, name, count = dict[str, Tensor](), "", Counter[str]()
    for layer in unpacked(model):
        x = layer(x)
        if kind := CALLED.get(type(layer)):
            count[kind] += 1
            name = f"{kind} {count[kind]}"
        if name and x.ndim == 4:
            found[name] = x[0]  # of what comes before the next of these, an activation, the last
    return list(found.items()) if "convolution" in count else []


def unpacked(layer: Layer) -> Iterator[Layer]:
    """The layers of groups; a residual block is one."""
    if isinstance(layer, Sequential):
        for inner in layer.layers:
            yield from unpacked(inner)
    else:
        yield layer


def percent(share: float) -> str:
    """Not rounded to certainty."""
    return ">99.9%" if share > 0.999 else f"{share:.1%}"
