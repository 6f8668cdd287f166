"""One training step in preallocated memory: gather, forward, backward, and gradients added directly to velocities.

For one network, or with a first axis for several at once. Its control flow depends on no value on the device, so that
a CUDA graph can capture it.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from mlfound.engines.losses import LOSSES
from mlfound.engines.products import products
from mlfound.engines.recipe import Recipe
from mlfound.engines.storage import layers

Number = float | Tensor  # for a graph a 0-d tensor on the device


class Coefficients(NamedTuple):
    """The coefficients of one step, from learning rate and momentum; p and v are all parameters and velocities.

    p <- decay p + ahead v, v <- momentum v + gradient, p <- p + step v. `SGD` does the same in another order:
    what Nesterov adds to v after the step, lr momentum v_new - lr momentum v_old being lr momentum gradient.
    """

    decay: Number
    ahead: Number
    momentum: Number
    step: Number

    @classmethod
    def of(cls, lr: float, momentum: float, recipe: Recipe) -> "Coefficients":
        ahead = lr * momentum if recipe.nesterov else 0.0
        return cls(1 - lr * recipe.weight_decay, ahead, momentum, -lr - ahead)


class Step:
    """A step on `rows` rows: `parameters` and `velocities` are (numbers,), or (networks, numbers)."""

    def __init__(
        self,
        recipe: Recipe,
        parameters: Tensor,
        velocities: Tensor,
        generators: Sequence[Generator],
        x: Tensor,
        rows: int,
    ) -> None:
        networks, sizes = parameters.shape[:-1], recipe.sizes
        self.hidden = len(sizes) - 2
        self.recipe, self.generators, self.images = recipe, generators, x
        self.parameters, self.velocities = parameters, velocities
        self.layers, self.velocity_layers = layers(parameters, sizes), layers(velocities, sizes)
        self.products = [
            products(recipe.product, 2 + len(networks), rows * fan_in * fan_out)
            for fan_in, fan_out in pairwise(sizes)
        ]
        self.bias_products = products("matmul", 2 + len(networks), 0)
        self.ones = x.new_ones(*networks, rows, 1)  # a bias is a weight whose input is always 1
        self.x = x.new_empty(*networks, rows, sizes[0])
        self.gathered, self.features_first = self.x.view(-1, sizes[0]), self.x.mT
        self.outs = [x.new_empty(*networks, size, rows) for size in sizes[1:]]
        self.douts = [torch.empty_like(out) for out in self.outs[:-1]]
        self.masks = [torch.empty_like(out) for out in self.outs[:-1]]
        self.dropped = [x.new_empty(*networks, rows, size) for size in sizes[:-1]]
        self.loss = LOSSES[recipe.loss](self.outs[-1])

    def __call__(self, rows: Tensor, y: Tensor, row_losses: Tensor, c: Coefficients) -> None:
        """Step with these `rows` of x and labels `y` (1, rows); `Loss` fills `row_losses` (1, rows)."""
        inputs, out = self.forward(rows)
        douts = self.backward(self.loss(out, y, row_losses))
        self.update(inputs, douts, c)

    def forward(self, rows: Tensor) -> tuple[list[Tensor], Tensor]:
        """The input of each layer, (batch, in), and the output of the last, (out, batch)."""
        torch.index_select(self.images, 0, rows.flatten(), out=self.gathered)
        if self.recipe.input_dropout:
            self.x.mul_(self.drawn(0, self.recipe.input_dropout))
        inputs, out = [self.x], self.features_first
        for n, (w, b) in enumerate(self.layers):
            out = self.products[n].linear(out, w, b, out=self.outs[n])
            if n < self.hidden:
                self.activate(n, out)
                inputs.append(out.mT)
        return inputs, out

    def activate(self, n: int, out: Tensor) -> None:
        """The shifted ReLU and dropout, in place; the factors of its gradient are written to the layer's mask."""
        torch.sign(out.relu_(), out=self.masks[n])
        if self.recipe.relu_shift:
            out.sub_(self.recipe.relu_shift)
        if self.recipe.dropout:
            dropped = self.drawn(n + 1, self.recipe.dropout).mT
            out.mul_(dropped)
            self.masks[n].mul_(dropped)

    def drawn(self, n: int, rate: float) -> Tensor:
        """A new dropout mask (batch, in), of each network from its own generator; see `functions.dropout_mask`."""
        mask = self.dropped[n]
        each = mask if mask.ndim == 3 else [mask]
        for own, generator in zip(each, self.generators, strict=True):
            own.bernoulli_(1 - rate, generator=generator)
        return mask.div_(1 - rate)

    def backward(self, dout: Tensor) -> list[Tensor]:
        """The gradients of all layers' outputs, from that of the last."""
        douts = [dout]
        for n in range(self.hidden, 0, -1):
            dout = self.products[n].input_grad(dout, self.layers[n][0], out=self.douts[n - 1])
            douts.append(dout.mul_(self.masks[n - 1]))
        return douts[::-1]

    def update(self, inputs: Sequence[Tensor], douts: Sequence[Tensor], c: Coefficients) -> None:
        """Update velocities and parameters; see `Coefficients`."""
        p, v = self.parameters, self.velocities
        if self.recipe.weight_decay:
            p.mul_(c.decay)
        if self.recipe.nesterov:
            add(p, v, c.ahead)
        momentum = c.momentum
        if isinstance(momentum, Tensor):  # BLAS takes only a float
            v.mul_(momentum)
            momentum = 1.0
        for n, (vw, vb) in enumerate(self.velocity_layers):
            self.products[n].weight_grad(douts[n], inputs[n], vw, momentum)
            self.bias_products.weight_grad(douts[n], self.ones, vb, momentum)
        add(p, v, c.step)
        if self.recipe.max_norm is not None:
            for w, _ in self.layers[:-1]:
                norms = torch.linalg.vector_norm(w, dim=-1, keepdim=True)
                w.mul_(self.recipe.max_norm / norms.clamp_min_(self.recipe.max_norm))


def add(into: Tensor, tensor: Tensor, factor: Number) -> None:
    """into <- into + factor tensor."""
    if isinstance(factor, Tensor):
        into.addcmul_(tensor, factor)
    else:
        into.add_(tensor, alpha=factor)
