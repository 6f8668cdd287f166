"""Stacks of layers in any order, drawn by hypothesis, with tensors and batches for them."""

import torch
from hypothesis import strategies as st

from mlfound.foundations import models
from mlfound.foundations.activations import GELU, Floor, Identity, ReLU, Tanh
from mlfound.foundations.initialization import INITIALIZATIONS
from mlfound.foundations.layers import Dropout, Linear, Residual, Sequential
from mlfound.foundations.randomness import generator

OUTPUTS = {"cross-entropy": 5, "mse": 1}
KINDS = ["linear", "function", "dropout", "residual", "group"]


def elementwise():
    numbers = st.floats(0.0, 1.0)
    relu = st.builds(ReLU, numbers, numbers, st.none() | st.floats(0.1, 2.0))
    return st.one_of(relu, st.builds(Floor, numbers), st.just(Tanh()), st.just(GELU()), st.just(Identity()))


@st.composite
def stacks(draw, inputs, outputs):
    """Layers in any order, from so many features to so many."""
    layers, features = [], inputs
    for kind in draw(st.lists(st.sampled_from(KINDS), max_size=5)):
        if kind == "linear":
            wanted = draw(st.integers(1, 9))
            layers.append(Linear(features, wanted))
            features = wanted
        elif kind == "function":
            layers.append(draw(elementwise()))
        elif kind == "dropout":
            layers.append(Dropout(draw(st.floats(0.05, 0.5))))
        else:
            container = Residual if kind == "residual" else Sequential
            layers.append(container(draw(elementwise()), Linear(features, features), draw(elementwise())))
    return [*layers, Linear(features, outputs)]


def tensors_of(model, seed=0):
    """Parameters and state in float64, no bias 0."""
    random = generator(seed, "tensors")
    tensors = models.initial(model, INITIALIZATIONS["kaiming"], random)
    return {
        name: (p + 0.1 * torch.randn(p.shape, generator=random) * (p.ndim == 1)).double()
        for name, p in tensors.items()
    }


def batch(rows, shape, classes, seed=0):
    """Rows in float64, and labels."""
    x = torch.randn(rows, *shape, dtype=torch.float64, generator=generator(seed, "x"))
    return x, torch.randint(classes, (rows,), generator=generator(seed, "y"))
