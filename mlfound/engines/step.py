"""One training step in preallocated memory: gather, forward, loss, backward, update.

For one network, or with a first axis for several at once. Its control flow depends on no value on the device, so that
a CUDA graph can capture it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from mlfound.engines.group import Share
from mlfound.engines.kernel import Setting, batch_last
from mlfound.engines.kernels import kernel_of
from mlfound.engines.losses import LOSSES
from mlfound.engines.recipe import Recipe
from mlfound.engines.storage import slots, views
from mlfound.foundations.optimizers import SGD, Coefficients, limit_norms


class Flat(NamedTuple):
    """What a step changes, flat: (numbers,) of one network, or (networks, numbers)."""

    parameters: Tensor
    optimizer: Sequence[Tensor]
    layer_state: Tensor

    def of(self, n: int) -> "Flat":
        """One of the networks."""
        return Flat(self.parameters[n], [state[n] for state in self.optimizer], self.layer_state[n])


class Step:
    """A step on `rows` rows of `x`; or on a `share` of them, whose gradient is added to those of other processes."""

    def __init__(
        self,
        recipe: Recipe,
        flat: Flat,
        generators: Sequence[Generator],
        x: Tensor,
        rows: int,
        share: Share | None = None,
    ) -> None:
        self.recipe, self.flat, self.images = recipe, flat, x
        model, rule = recipe.model, recipe.optimizer
        self.share = share
        self.accumulates = share is None and isinstance(rule, SGD) and rule.accumulates
        self.gradient = flat.optimizer[0] if self.accumulates else torch.zeros_like(flat.parameters)
        own, state = slots(model.parameters), slots(model.state)
        named = views(flat.parameters, own)
        self.parts, self.limited = [slot.part for slot in own], recipe.limited(named)

        batch, rows = rows, len(range(rows)[share.rows]) if share else rows
        setting = Setting(flat.parameters.shape[:-1], x, generators, recipe.product, share)
        self.x = setting.empty(rows, *x.shape[1:])
        self.gathered = self.x.view(-1, *x.shape[1:])
        self.input = batch_last(self.x, self.gathered.shape)
        tensors = {**named, **views(flat.layer_state, state)}
        self.model = kernel_of(model, tensors, views(self.gradient, own), (rows, *x.shape[1:]), setting)
        _, outputs = model.output_shape((rows, *x.shape[1:]))
        self.loss = LOSSES[recipe.loss](setting.empty(outputs, rows), batch)

    def __call__(self, rows: Tensor, y: Tensor, row_losses: Tensor, c: Coefficients) -> None:
        """Step with these `rows` of x and labels `y` (1, rows); `Loss` fills `row_losses` (1, rows)."""
        torch.index_select(self.images, 0, rows.flatten(), out=self.gathered)
        out = self.model.forward(self.input)
        dout = self.loss(out, y, row_losses)
        if self.share and self.share.is_idle:
            dout.zero_()
            row_losses.zero_()
        self.model.backward(dout, input_gradient=False)
        self.update(c)

    def update(self, c: Coefficients) -> None:
        """SGD may have the weight gradients added straight to its velocity; else they are written, and then used."""
        rule, p, state = self.recipe.optimizer, self.flat.parameters, self.flat.optimizer
        if self.accumulates and isinstance(rule, SGD):
            [velocity], momentum = state, c.momentum
            rule.before(p, velocity, c)
            if isinstance(momentum, Tensor):  # BLAS takes only a float
                velocity.mul_(momentum)
                momentum = 1.0
            self.model.weight_gradients(momentum)
            rule.after(p, velocity, c)
        else:
            self.model.weight_gradients(0.0)
            if self.share:
                self.share.group.sum(self.gradient)
            rule.update(p, self.gradient, state, c, self.parts)
        for w in self.limited:
            limit_norms(w, self.recipe.max_norm)
