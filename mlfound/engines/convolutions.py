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

NUMBERS_IN_CACHE = 2**18  # of unfolded windows: 1 MiB in float32


class Conv2dKernel(Kernel):
    """The rung `unfold` of the ladder: filters (out, window) times all windows (window, positions).

    Where these would leave the processor's cache they are unfolded some rows at a time, for the gradient once more.
    """

    def prepare(self, tensors: Named, into: Named, shape: Shape, setting: Setting) -> None:
        (batch, channels, *image), size = shape, self.layer.size
        out, down, across = self.layer.output_shape(shape)[1:]
        self.setting, self.out_shape = setting, (out, down, across, batch)
        self.w, self.dw = tensors["w"].flatten(-3), into["w"].flatten(-3)
        self.b, self.db = (named["b"][..., None] if "b" in named else None for named in (tensors, into))

        self.bordered = (channels, *(n + 2 * self.layer.padding for n in image), batch)
        padded = setting.empty(*self.bordered).zero_()
        self.inner = without_border(padded, self.layer.padding)
        seen = windows(padded.view(-1, *self.bordered[1:]).permute(3, 0, 1, 2), size, self.layer.stride)
        seen = seen.permute(1, 4, 5, 2, 3, 0)  # a view, in the order of the columns
        rows = max(1, min(down, NUMBERS_IN_CACHE // seen[:, :, :, 0].numel()))
        memory = setting.like.new_empty(seen[:, :, :, :rows].numel())
        self.parts = [Rows(seen, memory, n, min(n + rows, down), setting) for n in range(0, down, rows)]
        self.out, self.dx = setting.empty(out, down * across * batch), setting.like.new_empty(0)
        self.outs = [part.of(self.out) for part in self.parts]
        self.dcolumns = list[tuple[Tensor, list[tuple[Tensor, Tensor]]]]()

        axes, window = 2 + len(setting.networks), channels * math.prod(size)
        self.products = products(setting.product, axes, out * window * rows * across * batch)
        self.bias_products = products("matmul", axes, 0)
        # a bias is a weight whose input is always 1
        self.ones = setting.empty(down * across * batch, 1).fill_(1.0)

    def forward(self, x: Tensor) -> Tensor:
        self.inner.copy_(x)
        for part, out in zip(self.parts, self.outs, strict=True):
            product = self.products.linear(part.unfolded(), self.w, self.b, out=out)
            if product is not out:
                out.copy_(product)
        return torch.unflatten(self.out, -1, self.out_shape[1:])

    def backward(self, dout: Tensor, input_gradient: bool) -> Tensor | None:
        self.dout = dout.flatten(-3)
        if not input_gradient:
            return None
        if not self.dx.numel():
            self.allocate_dx()
        self.dpadded.zero_()
        for part, (dcolumns, places) in zip(self.parts, self.dcolumns, strict=True):
            product = self.products.input_grad(part.of(self.dout), self.w, out=dcolumns)
            if product is not dcolumns:
                dcolumns.copy_(product)
            for dx, of_place in places:
                dx.add_(of_place)
        return self.dx

    def allocate_dx(self) -> None:
        """And of each part the columns of its gradient; for each place in a window, views of dx and of those."""
        memory, self.dpadded = torch.empty_like(self.parts[0].memory), self.setting.empty(*self.bordered)
        self.dx, each = (
            without_border(self.dpadded, self.layer.padding),
            self.dpadded.view(-1, *self.bordered[1:]),
        )
        (height, width), stride, (_, down, across, _) = self.layer.size, self.layer.stride, self.out_shape
        by_place = [
            each[:, i:, j:][:, : stride * down : stride, : stride * across : stride]
            for i, j in product(range(height), range(width))
        ]
        for part in self.parts:
            dcolumns, dx = part.memory_like(memory), [dx[:, part.rows] for dx in by_place]
            of_places = part.by_place(dcolumns).flatten(1, 2).unbind(1)
            self.dcolumns.append((dcolumns, [*zip(dx, of_places, strict=True)]))

    def weight_gradients(self, momentum: float) -> None:
        for n, part in enumerate(self.parts):
            columns = part.columns if len(self.parts) == 1 else part.unfolded()
            self.products.weight_grad(part.of(self.dout), columns.mT, self.dw, 1.0 if n else momentum)
        if self.db is not None:
            self.bias_products.weight_grad(self.dout, self.ones, self.db, momentum)


class Rows:
    """Some rows of what a convolution gives, and their windows; all rows share the `memory` they are unfolded to."""

    def __init__(self, seen: Tensor, memory: Tensor, start: int, stop: int, setting: Setting) -> None:
        """Of windows (networks channels, height, width, rows, columns, batch) those from `start` to `stop`."""
        self.rows, self.windows, self.memory = slice(start, stop), seen[:, :, :, start:stop], memory
        *self.networks, row = *setting.networks, math.prod(seen.shape[-2:])
        self.positions = slice(start * row, stop * row)
        self.columns = self.memory_like(memory)
        self.columns_by_place = self.by_place(self.columns)

    def memory_like(self, memory: Tensor) -> Tensor:
        """As much of it as the columns take, in their shape: (window, positions)."""
        positions = self.positions.stop - self.positions.start
        return memory[: self.windows.numel()].view(*self.networks, -1, positions)

    def by_place(self, columns: Tensor) -> Tensor:
        """A view in the shape of the windows."""
        return columns.view(self.windows.shape)

    def unfolded(self) -> Tensor:
        """The columns, copied anew."""
        self.columns_by_place.copy_(self.windows)
        return self.columns

    def of(self, numbers: Tensor) -> Tensor:
        """These rows of (channels, positions), a view."""
        return numbers[..., self.positions]


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
