"""Buffered twins of the layers, for one network or several: see `kernel`."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from mlfound.engines import convolutions, norms, shared_kernels
from mlfound.engines.kernel import Kernel, Setting, batch_first, batch_last
from mlfound.engines.products import products
from mlfound.engines.recipe import Named
from mlfound.foundations.activations import ReLU
from mlfound.foundations.layers import (
    AveragePool,
    Container,
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
    by_layer,
    learning_before,
)
from mlfound.foundations.norms import BatchNorm, InstanceNorm, LayerNorm, RunningBatchNorm
from mlfound.foundations.telemetry import Recorded


class LinearKernel(Kernel):
    """(out, batch) = w (out, in) times (in, batch)."""

    def prepare(self, tensors: Named, into: Named, shape: Shape, setting: Setting) -> None:
        (rows, fan_in), fan_out, axes = shape, self.layer.outputs, 2 + len(setting.networks)
        self.w, self.dw = tensors["w"].mT, into["w"].mT
        self.b, self.db = (named["b"][..., None] if "b" in named else None for named in (tensors, into))
        self.products = products(setting.product, axes, rows * fan_in * fan_out)
        self.bias_products = products("matmul", axes, 0)
        self.ones = setting.empty(rows, 1).fill_(1.0)  # a bias is a weight whose input is always 1
        self.out, self.setting, self.dx = setting.empty(fan_out, rows), setting, setting.like.new_empty(0)
        self.x = self.batch_first = self.dout = self.nothing = self.dx
        self.fresh = setting.product != "matmul"  # products then come in new memory

    def forward(self, x: Tensor) -> Tensor:
        if x is not self.x:  # to make a view costs as much as a small product
            self.x, self.batch_first = x, x.mT
        return self.products.linear(x, self.w, self.b, out=self.out)

    def backward(self, dout: Tensor, input_gradient: bool) -> Tensor | None:
        self.dout = dout
        if not input_gradient:
            return None
        if not self.dx.numel():
            self.dx = self.setting.empty(*self.x.shape[-2:])
        return self.products.input_grad(dout, self.w, out=self.dx)

    def weight_gradients(self, momentum: float) -> None:
        self.products.weight_grad(self.dout, self.batch_first, self.dw, momentum)
        if self.db is not None:
            self.bias_products.weight_grad(self.dout, self.ones, self.db, momentum)
        if self.fresh:  # let it go: the next step gets the same memory, which is in the cache
            self.x = self.batch_first = self.dout = self.nothing


class ReLUKernel(Kernel):
    """In place; the factors of its gradient are written to a mask."""

    def prepare(self, tensors: Named, into: Named, shape: Shape, setting: Setting) -> None:
        self.mask = setting.like.new_empty(0)  # until an input shows how it lies in memory

    def forward(self, x: Tensor) -> Tensor:
        leak, shift, ceiling = self.layer.leak, self.layer.shift, self.layer.ceiling
        if self.mask.shape != x.shape:
            self.mask = torch.empty_like(x)
        if leak:
            x.mul_(self.mask.fill_(leak).masked_fill_(x > 0, 1.0))
        else:
            torch.sign(x.relu_(), out=self.mask)
        if shift:
            x.sub_(shift)
        if ceiling is not None:
            self.mask.mul_(x <= ceiling)
            x.clamp_max_(ceiling)
        return x

    def backward(self, dout: Tensor, input_gradient: bool) -> Tensor:
        return self.mask.mul_(dout)


class DropoutKernel(Kernel):
    """In place, with a new mask for each step; see `functions.dropout_mask`."""

    def prepare(self, tensors: Named, into: Named, shape: Shape, setting: Setting) -> None:
        share, self.generators = setting.share, setting.generators
        rows, own = (share.batch, share.rows) if share else (shape[0], slice(None))
        mask = setting.empty(rows, *shape[1:])  # of the whole batch: generators of all processes stay in step
        self.each, self.mask = mask if setting.networks else mask[None], batch_last(mask, shape)[..., own]

    def forward(self, x: Tensor) -> Tensor:
        for own, generator in zip(self.each, self.generators, strict=True):
            own.uniform_(generator=generator)
        keep = 1 - self.layer.rate
        return x.mul_(self.mask.lt_(keep).div_(keep))

    def backward(self, dout: Tensor, input_gradient: bool) -> Tensor:
        return dout.mul_(self.mask)


class SequentialKernel(Kernel):
    """One kernel after the other."""

    def prepare(self, tensors: Named, into: Named, shape: Shape, setting: Setting) -> None:
        self.kernels = kernels_inside(self.layer, tensors, into, shape, setting)
        self.learning_before = learning_before(self.layer)

    def forward(self, x: Tensor) -> Tensor:
        for kernel in self.kernels:
            x = kernel.forward(x)
        return x

    def backward(self, dout: Tensor, input_gradient: bool) -> Tensor | None:
        for kernel, before in zip(reversed(self.kernels), reversed(self.learning_before), strict=True):
            dout = kernel.backward(dout, input_gradient or before)
            if not (input_gradient or before):
                return None
        return dout

    def weight_gradients(self, momentum: float) -> None:
        for kernel in self.kernels:
            kernel.weight_gradients(momentum)


class ResidualKernel(Kernel):
    """The branch gets copies, which it may overwrite."""

    def prepare(self, tensors: Named, into: Named, shape: Shape, setting: Setting) -> None:
        self.branch, self.shortcut = kernels_inside(self.layer, tensors, into, shape, setting)

    def forward(self, x: Tensor) -> Tensor:
        branch = self.branch.forward(x.clone())
        return branch.add_(self.shortcut.forward(x))

    def backward(self, dout: Tensor, input_gradient: bool) -> Tensor | None:
        dx = self.branch.backward(dout.clone(), input_gradient)
        of_shortcut = self.shortcut.backward(dout, input_gradient)
        return None if dx is None or of_shortcut is None else dx.add_(of_shortcut)

    def weight_gradients(self, momentum: float) -> None:
        self.branch.weight_gradients(momentum)
        self.shortcut.weight_gradients(momentum)


class RecordedKernel(Kernel):
    """The layer gets copies of what comes out and of the gradient that comes back, and where its own gradients go."""

    def prepare(self, tensors: Named, into: Named, shape: Shape, setting: Setting) -> None:
        self.kernel = kernel_of(self.layer.layer, tensors, into, shape, setting)
        self.layer.own_gradients = into

    def forward(self, x: Tensor) -> Tensor:
        out = self.kernel.forward(x)
        self.layer.out = out.clone()
        return out

    def backward(self, dout: Tensor, input_gradient: bool) -> Any:
        self.layer.dout = dout.clone()
        return self.kernel.backward(dout, input_gradient)

    def weight_gradients(self, momentum: float) -> None:
        self.kernel.weight_gradients(momentum)


class PlainKernel(Kernel):
    """A layer without a kernel runs as it is, once for each network."""

    def prepare(self, tensors: Named, into: Named, shape: Shape, setting: Setting) -> None:
        self.layers, self.into, self.is_stack = list[Layer](), list[Named](), bool(setting.networks)
        self.shape, self.out_shape = shape, self.layer.output_shape(shape)
        for n, generator in enumerate(setting.generators):
            own, dw = (
                {name: t[n] if self.is_stack else t for name, t in named.items()} for named in (tensors, into)
            )
            self.layers.append(deepcopy(self.layer))
            self.layers[n].bind(own, generator)
            self.into.append(dw)

    def each(self, x: Tensor, work: Any) -> Tensor:
        """`work(layer, x)` for each network with its own x."""
        if not self.is_stack:
            result: Tensor = work(self.layers[0], x)
            return result
        return torch.stack([work(layer, own) for layer, own in zip(self.layers, x, strict=True)])

    def forward(self, x: Tensor) -> Tensor:
        out = self.each(batch_first(x, self.shape), lambda layer, x: layer(x, training=True))
        return batch_last(out, self.out_shape)

    def backward(self, dout: Tensor, input_gradient: bool) -> Tensor:
        dx = self.each(batch_first(dout, self.out_shape), lambda layer, dout: layer.backward(dout))
        return batch_last(dx, self.shape)

    def weight_gradients(self, momentum: float) -> None:
        for layer, into in zip(self.layers, self.into, strict=True):
            for name, gradient in layer.gradients.items():
                into[name].mul_(momentum).add_(gradient)


def kernels_inside(
    container: Container, tensors: Named, into: Named, shape: Shape, setting: Setting
) -> list[Kernel]:
    """Those of its layers, for inputs of the container of this `shape`."""
    inputs = container.input_shapes(shape)
    parts = container.layers, by_layer(container, tensors), by_layer(container, into), inputs
    return [kernel_of(layer, own, dw, of, setting) for layer, own, dw, of in zip(*parts, strict=True)]


def kernel_of(layer: Layer, tensors: Named, into: Named, shape: Shape, setting: Setting) -> Kernel:
    """The kernel of a layer, for inputs of this `shape`, (batch, ...)."""
    kinds = KERNELS | SHARED if setting.share else KERNELS
    return kinds.get(type(layer), PlainKernel)(layer, tensors, into, shape, setting)


KERNELS: dict[type[Layer], type[Kernel]] = {
    Linear: LinearKernel,
    Conv2d: convolutions.Conv2dKernel,
    MaxPool: convolutions.MaxPoolKernel,
    AveragePool: convolutions.AveragePoolKernel,
    GlobalAveragePool: convolutions.GlobalAveragePoolKernel,
    Flatten: convolutions.FlattenKernel,
    Unflatten: convolutions.UnflattenKernel,
    BatchNorm: norms.BatchNormKernel,
    LayerNorm: norms.NormKernel,
    InstanceNorm: norms.NormKernel,
    ReLU: ReLUKernel,
    Dropout: DropoutKernel,
    Sequential: SequentialKernel,
    Residual: ResidualKernel,
    Recorded: RecordedKernel,
}
# where several processes have the rows of a batch: the layers whose output of one row depends on others
SHARED: dict[type[Layer], type[Kernel]] = {
    BatchNorm: shared_kernels.SharedBatchNormKernel,
    RunningBatchNorm: shared_kernels.SharedRunningBatchNormKernel,
}
