"""Stacks of layers in any order, drawn by hypothesis, with tensors and batches for them."""

import math

import torch
from hypothesis import strategies as st

from mlfound.foundations import model_initialization
from mlfound.foundations.activations import GELU, Floor, Identity, ReLU, Tanh
from mlfound.foundations.convolution import windows
from mlfound.foundations.initialization import INITIALIZATIONS
from mlfound.foundations.layers import (
    AveragePool,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Linear,
    MaxPool,
    Residual,
    Sequential,
    Unflatten,
    bound,
)
from mlfound.foundations.randomness import generator

OUTPUTS = {"cross-entropy": 5, "mse": 1}
KINDS = ["linear", "function", "dropout", "residual", "projected", "group"]
IMAGE_KINDS = ["conv", "max-pool", "average-pool", "function", "dropout", "residual", "projected", "group"]
MAX_SIDE = 12  # pixels: a border makes an image larger
# far out torch takes 1 - tanh(x)^2 and 1 + erf(x) from numbers next to 1: at 5 it keeps 12 digits, at 8 four
MAX_INPUT = 5.0
MIN_LEAD = 1e-9  # of the largest of a window over the next: more than rounding


def elementwise():
    numbers = st.floats(0.0, 1.0)
    relu = st.builds(ReLU, numbers, numbers, st.none() | st.floats(0.1, 2.0))
    return st.one_of(relu, st.builds(Floor, numbers), st.builds(Tanh), st.builds(GELU), st.builds(Identity))


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
        elif kind == "projected":
            wanted = draw(st.integers(1, 9))
            branch = draw(elementwise()), Linear(features, wanted), draw(elementwise())
            layers.append(Residual(*branch, shortcut=Linear(features, wanted)))
            features = wanted
        else:
            container = Residual if kind == "residual" else Sequential
            layers.append(container(draw(elementwise()), Linear(features, features), draw(elementwise())))
    return [*layers, Linear(features, outputs)]


def exact_elementwise():
    """Functions without rounding on whole numbers."""
    relu = st.builds(
        ReLU, st.sampled_from([0.0, 0.5]), st.sampled_from([0.0, 1.0]), st.sampled_from([None, 2.0])
    )
    return st.one_of(relu, st.builds(Floor, st.just(1.0)), st.builds(Identity))


@st.composite
def image_layers(draw, kind, channels, image, exact):
    """One layer of this kind for (channels, *image)."""
    function, narrow = exact_elementwise() if exact else elementwise(), min(image)
    if kind == "conv":
        padding = draw(st.integers(0, max(0, min(4, (MAX_SIDE - max(image)) // 2))))
        size = draw(st.integers(1, min(4, narrow + 2 * padding)))
        return Conv2d(channels, draw(st.integers(1, 4)), size, draw(st.integers(1, 3)), padding)
    if kind.endswith("pool"):
        sizes = st.integers(1, min(4, narrow))
        if kind == "max-pool":
            return MaxPool(draw(sizes), draw(st.integers(1, 3)))
        return AveragePool(draw(sizes.filter(lambda n: n != 3 or not exact)), draw(st.integers(1, 3)))
    if kind == "function":
        return draw(function)
    if kind == "dropout":
        return Dropout(0.5 if exact else draw(st.floats(0.05, 0.5)))
    size = draw(st.sampled_from([1, 3]))
    if kind == "projected":
        out = draw(st.integers(1, 4))
        branch = draw(function), Conv2d(channels, out, size, padding=size // 2), draw(function)
        return Residual(*branch, shortcut=Sequential(Conv2d(channels, out, 1), draw(function)))
    same = Conv2d(channels, channels, size, padding=size // 2)
    return (Residual if kind == "residual" else Sequential)(draw(function), same, draw(function))


@st.composite
def image_stacks(draw, outputs, exact=False):
    """The shape of an input, (channels, rows, columns) or (pixels,), and layers from it to so many outputs.

    Those that are `exact` do not round whole numbers, but for the mean of a whole channel, where no corner follows.
    """
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)))
    start, layers = shape, []
    if draw(st.booleans()):
        start, layers = (math.prod(shape),), [Unflatten(*shape)]
    for kind in draw(st.lists(st.sampled_from(IMAGE_KINDS), min_size=1, max_size=4)):
        layers.append(draw(image_layers(kind, shape[0], shape[1:], exact)))
        shape = layers[-1].output_shape((1, *shape))[1:]
    layers.append(draw(st.sampled_from([Flatten, GlobalAveragePool]))())
    _, features = layers[-1].output_shape((1, *shape))
    return start, [*layers, Linear(features, outputs)]


def tensors_of(model, seed=0):
    """Parameters and state in float64, no bias 0; state above where it starts, as if something had been seen."""
    random = generator(seed, "tensors")
    tensors = model_initialization.initial(model, INITIALIZATIONS["kaiming"], random)
    found = {
        name: (p + 0.1 * torch.randn(p.shape, generator=random) * (p.ndim == 1)).double()
        for name, p in tensors.items()
    }
    return found | {
        name: p.start + torch.rand(p.shape, generator=random).add(1).div(2).double()
        for name, p in model.state.items()
    }


def batch(rows, shape, classes, seed=0):
    """Rows in float64, and labels."""
    x = torch.randn(rows, *shape, dtype=torch.float64, generator=generator(seed, "x"))
    return x, torch.randint(classes, (rows,), generator=generator(seed, "y"))


def all_in(layer):
    """The layer, and those in it."""
    yield layer
    for inner in getattr(layer, "layers", ()):
        yield from all_in(inner)


def keeps_its_digits(model, tensors, x):
    """Whether no result of `gradient_errors` hangs on rounding: no far end of a smooth function, no tie."""
    for training in (True, False):
        probe = bound(model, tensors, generator(0, "dropout"))
        for _ in range(2):
            probe(x, training)
        for layer in all_in(probe):
            if isinstance(layer, Tanh | GELU) and layer.x.abs().max() > MAX_INPUT:
                return False
            if isinstance(layer, MaxPool) and lead(layer) < MIN_LEAD:
                return False
    return True


def lead(layer):
    """By how much the largest of a window is above the next, in the window where that is least.

    Where a window has nothing but the least number of all, it is the floor of a ReLU, which nothing rounds.
    """
    seen = windows(layer.x, layer.size, layer.stride).flatten(-2)
    first, second = seen.topk(2).values.unbind(-1) if seen.shape[-1] > 1 else (seen, seen - 1)
    return min((first - second)[first > layer.x.min()].tolist(), default=math.inf)


def elsewhere(x):
    """Equal to x, but in memory with gaps and an offset; of images the columns lie before rows, and images last."""
    if x.ndim == 4:
        x = x.permute(1, 3, 2, 0).contiguous().permute(3, 0, 2, 1)
    return torch.stack([x + 1, x], -1)[..., 1]
