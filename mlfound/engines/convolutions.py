"""Kernels for layers of images, (channels, rows, columns, batch); a first axis may be one of networks."""

import math
from itertools import product
from typing import Any

import torch
from torch import Tensor

from mlfound.engines.kernel import Kernel, Setting
from mlfound.engines.products import products
from mlfound.engines.recipe import Named
from mlfound.foundations.convolution import windows
from mlfound.foundations.layers import Shape


class Conv2dKernel(Kernel):
    """The rung `unfold` of the ladder: filters (out, window) times all windows (window, positions)."""

    def prepare(self, tensors: Named, into: Named, shape: Shape, setting: Setting) -> None:
        (batch, channels, *image), size = shape, self.layer.size
        self.setting, self.out_shape = setting, (*self.layer.output_shape(shape)[1:], batch)
        self.w, self.dw, self.has_bias = tensors["w"].flatten(-3), into["w"].flatten(-3), "b" in tensors
        self.b = tensors["b"][..., None] if self.has_bias else setting.empty(self.layer.outputs, 1).zero_()
        self.db = into["b"][..., None] if self.has_bias else self.b
        out, window, places = self.out_shape[0], channels * math.prod(size), math.prod(self.out_shape[1:])
        axes = 2 + len(setting.networks)
        self.products = products(setting.product, axes, out * window * places)
        self.bias_products = products("matmul", axes, 0)
        self.ones = setting.empty(places, 1).fill_(1.0)  # a bias is a weight whose input is always 1

        self.bordered = (channels, *(n + 2 * self.layer.padding for n in image), batch)
        padded = setting.empty(*self.bordered).zero_()
        self.inner = without_border(padded, self.layer.padding)
        seen = windows(padded.view(-1, *self.bordered[1:]).permute(3, 0, 1, 2), size, self.layer.stride)
        self.windows = seen.permute(1, 4, 5, 2, 3, 0)  # a view, in the order of the columns
        self.columns = setting.empty(window, places)
        self.columns_by_place = self.columns.view(self.windows.shape)
        self.out, self.dcolumns = setting.empty(out, places), setting.like.new_empty(0)

    def forward(self, x: Tensor) -> Tensor:
        self.inner.copy_(x)
        self.columns_by_place.copy_(self.windows)
        out = self.products.linear(self.columns, self.w, self.b, out=self.out)
        return torch.unflatten(out, -1, self.out_shape[1:])

    def backward(self, dout: Tensor, input_gradient: bool) -> Tensor | None:
        self.dout = dout.flatten(-3)
        if not input_gradient:
            return None
        if not self.dcolumns.numel():
            self.allocate_dx()
        dcolumns = self.products.input_grad(self.dout, self.w, out=self.dcolumns).view(self.windows.shape)
        self.dpadded.zero_()
        for place, dx in zip(dcolumns.flatten(1, 2).unbind(1), self.dx_by_place, strict=True):
            dx.add_(place)
        return self.dx

    def allocate_dx(self) -> None:
        """And a view of it for each place in a window, of what all windows have there."""
        self.dcolumns, self.dpadded = torch.empty_like(self.columns), self.setting.empty(*self.bordered)
        self.dx, each = (
            without_border(self.dpadded, self.layer.padding),
            self.dpadded.view(-1, *self.bordered[1:]),
        )
        (height, width), stride, (_, down, across, _) = self.layer.size, self.layer.stride, self.out_shape
        self.dx_by_place = [
            each[:, i:, j:][:, : stride * down : stride, : stride * across : stride]
            for i, j in product(range(height), range(width))
        ]

    def weight_gradients(self, momentum: float) -> None:
        self.products.weight_grad(self.dout, self.columns.mT, self.dw, momentum)
        if self.has_bias:
            self.bias_products.weight_grad(self.dout, self.ones, self.db, momentum)


def without_border(x: Tensor, width: int) -> Tensor:
    """A view of (..., rows, columns, batch)."""
    return x[..., width : x.shape[-3] - width, width : x.shape[-2] - width, :]


class PoolKernel(Kernel):
    """By the library's kernels: they take our last axis, the batch, for channels, and treat each of those alone."""

    def prepare(self, tensors: Named, into: Named, shape: Shape, setting: Setting) -> None:
        batch, channels, *image = shape
        self.out = setting.empty(*self.layer.output_shape(shape)[1:], batch)
        self.dx = setting.empty(channels, *image, batch)
        self.options: Any = [*self.layer.size], [self.layer.stride] * 2
        self.indices = torch.empty_like(self.out, dtype=torch.int64)


class MaxPoolKernel(PoolKernel):
    """The largest of each window, and where it is."""

    def forward(self, x: Tensor) -> Tensor:
        self.x, out = as_images(x), {"out": as_images(self.out), "indices": as_images(self.indices)}
        torch.ops.aten.max_pool2d_with_indices.out(self.x, *self.options, **out)
        return self.out

    def backward(self, dout: Tensor, input_gradient: bool) -> Tensor:
        options, indices = (*self.options, [0, 0], [1, 1], False), as_images(self.indices)
        torch.ops.aten.max_pool2d_with_indices_backward.grad_input(
            as_images(dout), self.x, *options, indices, grad_input=as_images(self.dx)
        )
        return self.dx


class AveragePoolKernel(PoolKernel):
    """The mean of each window."""

    def forward(self, x: Tensor) -> Tensor:
        torch.ops.aten.avg_pool2d.out(as_images(x), *self.options, out=as_images(self.out))
        return self.out

    def backward(self, dout: Tensor, input_gradient: bool) -> Tensor:
        options, dx = (*self.options, [0, 0], False, True, None), as_images(self.dx)
        torch.ops.aten.avg_pool2d_backward.grad_input(as_images(dout), dx, *options, grad_input=dx)
        return self.dx


def as_images(x: Tensor) -> Tensor:
    """(networks channels, batch, rows, columns), a view where `x` lies in its order."""
    return x.reshape(-1, *x.shape[-3:]).movedim(-1, 1)


class GlobalAveragePoolKernel(Kernel):
    """The mean of each channel."""

    def prepare(self, tensors: Named, into: Named, shape: Shape, setting: Setting) -> None:
        batch, channels, *image = shape
        self.out, self.dx = setting.empty(channels, batch), setting.empty(channels, *image, batch)
        self.share = 1 / math.prod(image)

    def forward(self, x: Tensor) -> Tensor:
        return torch.mean(x, (-3, -2), out=self.out)

    def backward(self, dout: Tensor, input_gradient: bool) -> Tensor:
        return self.dx.copy_(dout.mul_(self.share)[..., None, None, :])


class FlattenKernel(Kernel):
    """(channels, rows, columns, batch) to (features, batch)."""

    def prepare(self, tensors: Named, into: Named, shape: Shape, setting: Setting) -> None:
        self.shape = shape[1:]

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(-1 - len(self.shape), -2)

    def backward(self, dout: Tensor, input_gradient: bool) -> Tensor:
        return torch.unflatten(dout, -2, self.shape)


class UnflattenKernel(Kernel):
    """(features, batch) to (channels, rows, columns, batch)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.unflatten(x, -2, self.layer.shape)

    def backward(self, dout: Tensor, input_gradient: bool) -> Tensor:
        return dout.flatten(-1 - len(self.layer.shape), -2)
