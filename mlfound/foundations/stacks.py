"""A signal through many layers, forward and backward; and the schemes that need the whole stack.

A plain layer is a product, then the activation: x = activation(x w). A residual block adds a branch to what
comes in, x = x + branch(x); in a branch each layer is the activation, then a product (He et al. 2016, "Identity
mappings", figure 4e without its normalisation). There are no biases: most schemes start them at 0.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from mlfound.foundations.activations import Activation


def plain(x: Tensor, weights: Iterable[Tensor], activation: Activation) -> Iterator[tuple[Tensor, Tensor]]:
    """The pre-activation and the activation of each layer: z = x w, then x = activation(z)."""
    for w in weights:
        z = x @ w
        x = activation(z)
        yield z, x


def plain_gradients(
    dx: Tensor, weights: Sequence[Tensor], zs: Sequence[Tensor], activation: Activation
) -> Iterator[Tensor]:
    """From the gradient of the stack's output to that of each layer's input, the last layer first."""
    for w, z in zip(reversed(weights), reversed(zs), strict=True):
        dz = activation.gradient(dx, z)
        dx = dz @ w.T
        yield dx


def residual(x: Tensor, branches: Iterable[Sequence[Tensor]], activation: Activation) -> Iterator[Tensor]:
    """x after each block. `branches` may be a generator: none is kept."""
    for weights in branches:
        x = x + branch(x, weights, activation)[-1]
        yield x


def residual_gradients(
    dx: Tensor, branches: Sequence[Sequence[Tensor]], xs: Sequence[Tensor], activation: Activation
) -> Iterator[Tensor]:
    """From the gradient of the stack's output to that of each block's input, the last block first.

    `xs` are the blocks' inputs: what happens inside a branch is computed again, not kept.
    """
    for weights, x in zip(reversed(branches), reversed(xs), strict=True):
        dx = dx + branch_gradient(dx, x, weights, activation)
        yield dx


def branch(x: Tensor, weights: Sequence[Tensor], activation: Activation) -> list[Tensor]:
    """x, and the output of each layer of the branch."""
    xs = [x]
    for w in weights:
        xs.append(activation(xs[-1]) @ w)
    return xs


def branch_gradient(dout: Tensor, x: Tensor, weights: Sequence[Tensor], activation: Activation) -> Tensor:
    """From the gradient of the branch's output to that of its input."""
    *inputs, _ = branch(x, weights, activation)
    for w, x in zip(reversed(weights), reversed(inputs), strict=True):
        dout = activation.gradient(dout @ w.T, x)
    return dout


def lsuv(x: Tensor, weights: Iterable[Tensor], activation: Activation) -> Iterator[Tensor]:
    """Layer-sequential unit variance: each weight of a plain stack divided by the std of its output on this batch.

    Mishkin and Matas 2016, algorithm 1, which wants the weights orthonormal. It measures before the activation. One
    division is enough where there is no bias. Weights may have a leading axis of draws, and each draw then
    has its own std.
    """
    for w in weights:
        z = x @ w
        std = z.std((-2, -1), correction=0, keepdim=True)
        yield w / std
        x = activation(z / std)


def fixup(weights: Sequence[Tensor], branches: int, zero_last: bool = True) -> list[Tensor]:
    """One branch of m `weights`, drawn by `kaiming`, made one of many (Zhang et al. 2019, section 3).

    The last weight becomes 0, the others are multiplied by branches^(-1 / (2m - 2)). The paper's scalar biases and
    multipliers start at 0 and 1, and are left out here.

    With the last weight 0 every branch gives 0: at the start the signal is the input, bit for bit, at any depth. That
    says nothing about the factor, which is there for the training that follows. Without `zero_last` it shows:
    a block multiplies the mean square by 1 + 1/branches where `kaiming` alone doubles it, and all blocks together
    by less than e, however many.
    """
    *inner, last = weights
    scaled = [w * branches ** (-1 / (2 * len(inner))) for w in inner]
    return [*scaled, torch.zeros_like(last) if zero_last else last]
