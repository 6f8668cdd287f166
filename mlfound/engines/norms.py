"""Kernels for norms, (features, batch) and (channels, rows, columns, batch); a first axis may be one of networks."""

import torch
from torch import Tensor

from mlfound.engines.kernel import Kernel, Setting
from mlfound.engines.recipe import Named
from mlfound.foundations.layers import Shape
from mlfound.foundations.norms import EPS, correction


class NormKernel(Kernel):
    """What comes in becomes the normalised, in place; what goes out has memory of its own, for others change it."""

    def prepare(self, tensors: Named, into: Named, shape: Shape, setting: Setting) -> None:
        self.into, self.tensors, self.count = into, tensors, self.layer.count(shape)
        self.out, self.products = (setting.empty(*shape[1:], shape[0]) for _ in range(2))
        # batch first is 0, 1, 2, 3; batch last and counted from the end -1, -4, -3, -2
        self.axes, self.but_channels = (
            tuple(axis - 1 - len(shape) if axis else -1 for axis in axes)
            for axes in (self.layer.axes(len(shape)), (0, *range(2, len(shape))))
        )
        self.scale, self.shift = (
            tensors[name][(..., *[None] * (len(shape) - 1))] for name in ("scale", "shift")
        )

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(self.axes, keepdim=True)
        centered = x.sub_(mean)
        variance = torch.mul(centered, centered, out=self.products).mean(self.axes, keepdim=True)
        self.keep(mean, variance)
        self.std = variance.add_(EPS).sqrt_()
        self.normalized = centered.div_(self.std)
        return torch.mul(self.normalized, self.scale, out=self.out).add_(self.shift)

    def keep(self, mean: Tensor, variance: Tensor) -> None:
        """The layer's state after a batch, where it has one."""

    def backward(self, dout: Tensor, input_gradient: bool) -> Tensor | None:
        products = torch.mul(dout, self.normalized, out=self.products)
        self.gradients = {"scale": products.sum(self.but_channels), "shift": dout.sum(self.but_channels)}
        if not input_gradient:
            return None
        dnormalized, products = dout.mul_(self.scale), products.mul_(self.scale)
        of_variance = self.normalized.mul_(products.mean(self.axes, keepdim=True))
        of_mean = dnormalized.mean(self.axes, keepdim=True)
        return dnormalized.sub_(of_mean).sub_(of_variance).div_(self.std)

    def weight_gradients(self, momentum: float) -> None:
        for name, gradient in self.gradients.items():
            self.into[name].mul_(momentum).add_(gradient)


class BatchNormKernel(NormKernel):
    """And the moving averages."""

    def keep(self, mean: Tensor, variance: Tensor) -> None:
        average, momentum = self.tensors["mean"], self.layer.momentum
        average.lerp_(mean.view_as(average), momentum)
        self.tensors["variance"].lerp_(variance.view_as(average) * correction(self.count), momentum)
