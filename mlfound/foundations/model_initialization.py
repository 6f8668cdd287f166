"""A model's first tensors: by a scheme for one weight, or by one that looks at the layers, or at the images too."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from mlfound.foundations import stacks
from mlfound.foundations.initialization import INITIALIZATIONS, Initialization
from mlfound.foundations.layers import (
    Conv2d,
    Layer,
    Linear,
    Residual,
    Sequential,
    bound,
    every,
    leaves,
    mapped,
)
from mlfound.foundations.norms import BatchNorm, RunningBatchNorm


def initial(model: Sequential, init: Initialization, generator: Generator) -> dict[str, Tensor]:
    """Tensors for the model's parameters and state, float32: weights by `init`, the rest at its constants."""
    return {
        name: init(p.shape, generator) if p.start is None else torch.full(p.shape, p.start)
        for name, p in {**model.parameters, **model.state}.items()
    }


def initial_by_name(model: Sequential, init: str, generator: Generator, x: Tensor) -> dict[str, Tensor]:
    """The same by any name of a config; some schemes fit the weights to these images `x` (rows, pixels)."""
    if init in FITTED:
        return FITTED[init](model, generator, fitted_rows(generator, x))
    if init in BY_MODEL:
        return BY_MODEL[init](model, generator)
    return initial(model, INITIALIZATIONS[init], generator)


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


def fixup(model: Sequential, generator: Generator) -> dict[str, Tensor]:
    """For residual blocks without norms: each gives at first what its shortcut does (Zhang et al. 2019, section 3).

    Weights by `kaiming`; in each branch as `stacks.fixup` has it; those of the last layer 0. The paper's scalar
    biases are part of those that every layer here has; its scalar multipliers are left out.
    """
    tensors = initial(model, INITIALIZATIONS["kaiming"], generator)
    own = bound(model, tensors)
    blocks = [layer for layer in every(own) if isinstance(layer, Residual)]
    for block in blocks:
        weights = weights_of(block.layers[0])
        for w, fixed in zip(weights, stacks.fixup(weights, len(blocks)), strict=True):
            w.copy_(fixed)
    weights_of(own)[-1].zero_()
    return tensors


def weights_of(layer: Layer) -> list[Tensor]:
    """Those of the linear layers and convolutions in it, in their order."""
    return [leaf.w for leaf in leaves(layer) if isinstance(leaf, Conv2d | Linear)]


# Of equal numbers in float32, which products of whole matrices leave unequal in the last digits
ROUNDING = 2.0**-20
FITTED_ROWS = 512
# schemes that look at the data: model, generator and images -> its tensors
FITTED: dict[str, Callable[[Sequential, Generator, Tensor], dict[str, Tensor]]] = {
    "lsuv": lsuv,
}
# schemes that look at the layers: model and generator -> its tensors
BY_MODEL: dict[str, Callable[[Sequential, Generator], dict[str, Tensor]]] = {
    "fixup": fixup,
}
