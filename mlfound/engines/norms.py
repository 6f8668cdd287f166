"""Kernels for norms, (features, batch) and (channels, rows, columns, batch); a first axis may be one of networks."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mlfound.engines.kernel import Kernel, Setting
from mlfound.engines.recipe import Named
from mlfound.foundations.layers import Shape
from mlfound.foundations.norms import EPS, correction


class NormKernel(Kernel):
    """What comes in becomes its distances from the mean, in place; what goes out has memory of its own.

    The gradient's sums are first over the places of an image: all that follows from those is small.
    """

    def prepare(self, tensors: Named, into: Named, shape: Shape, setting: Setting) -> None:
        self.into, self.tensors, self.count = into, tensors, self.layer.count(shape)
        self.out, self.products = (setting.empty(*shape[1:], shape[0]) for _ in range(2))
        # batch first is 0, 1, 2, 3; batch last and counted from the end -1, -4, -3, -2
        self.axes = tuple(axis - 1 - len(shape) if axis else -1 for axis in self.layer.axes(len(shape)))
        self.places = [*range(1 - len(shape), -1)]  # none of features
        self.scale, self.shift = (
            tensors[name][(..., *[None] * (len(shape) - 1))] for name in ("scale", "shift")
        )

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = self.center(x)
        self.keep(mean, variance)
        self.centered = x
        self.std = variance.add_(EPS).sqrt_()
        return torch.mul(x, self.scale / self.std, out=self.out).add_(self.shift)

    def center(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance; x becomes its distances from the mean."""
        mean = x.mean(self.axes, keepdim=True)
        x.sub_(mean)
        return mean, torch.mul(x, x, out=self.products).mean(self.axes, keepdim=True)

    def keep(self, mean: Tensor, variance: Tensor) -> None:
        """The layer's state after a batch, where it has one."""

    def backward(self, dout: Tensor, input_gradient: bool) -> Tensor | None:
        dshift = self.over_places(dout)
        dscale = self.over_places(torch.mul(dout, self.centered, out=self.products)) / self.std
        self.gradients = {"shift": dshift.sum(-1), "scale": dscale.sum(-1)}
        if not input_gradient:
            return None
        of_mean, of_variance = self.per_number(
            [(numbers * self.scale).sum(self.axes, keepdim=True) for numbers in (dshift, dscale)]
        )
        dx = dout.mul_(self.scale / self.std)
        return dx.addcmul_(self.centered, of_variance.div_(self.std), value=-1).sub_(of_mean)

    def per_number(self, sums: Sequence[Tensor]) -> Sequence[Tensor]:
        """Of the gradient's sums what comes to each number of x, through the mean and through the variance."""
        return [each.div_(self.count * self.std) for each in sums]

    def over_places(self, x: Tensor) -> Tensor:
        """Sums of (channels, rows, columns, batch), whose axes stay; features have no places."""
        return x.sum(self.places, keepdim=True) if self.places else x

    def weight_gradients(self, momentum: float) -> None:
        for name, gradient in self.gradients.items():
            into = self.into[name]
            into.mul_(momentum).add_(gradient.view_as(into))


class BatchNormKernel(NormKernel):
    """And the moving averages."""

    def keep(self, mean: Tensor, variance: Tensor) -> None:
        average, momentum = self.tensors["mean"], self.layer.momentum
        average.lerp_(mean.view_as(average), momentum)
        self.tensors["variance"].lerp_(variance.view_as(average) * correction(self.count), momentum)
