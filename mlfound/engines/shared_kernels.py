"""Kernels of the layers that span a batch, where several processes have its rows: see `shared`.

Each sends sums over its rows once on the way forward and once on the way back.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mlfound.engines.kernel import Setting
from mlfound.engines.norms import BatchNormKernel, NormKernel
from mlfound.engines.recipe import Named
from mlfound.foundations.layers import Shape
from mlfound.foundations.norms import FLOOR, FLOORED_ROWS, moments_of_sums, new_share


class SharedNormKernel(NormKernel):
    """What both batch norms share: the sums of the gradient are over the whole batch."""

    def prepare(self, tensors: Named, into: Named, shape: Shape, setting: Setting) -> None:
        super().prepare(tensors, into, shape, setting)
        assert setting.share is not None, "a kernel for several processes"
        self.share = setting.share
        self.count = self.layer.count((self.share.batch, *shape[1:]))
        self.own_count = 0 if self.share.is_idle else self.layer.count(shape)

    def backward(self, dout: Tensor, input_gradient: bool) -> Tensor | None:
        dx = super().backward(dout, input_gradient)
        return dx.zero_() if dx is not None and self.share.is_idle else dx  # what counts for nothing

    def per_number(self, sums: Sequence[Tensor]) -> Sequence[Tensor]:
        return super().per_number(self.total(sums))

    def own(self, x: Tensor) -> Tensor:
        """The sums of this process's rows."""
        return x.sum(self.axes, keepdim=True).mul_(not self.share.is_idle)

    def total(self, sums: Sequence[Tensor]) -> Sequence[Tensor]:
        """Over all processes, in one message."""
        return self.share.group.sum(torch.stack([*sums])).unbind()


class SharedBatchNormKernel(SharedNormKernel, BatchNormKernel):
    """Mean and variance of the batch from those of its parts, without a difference of large squares.

    With n, m and s the count, mean and sum of squared distances of a part, the batch's mean is sum n m / sum n and
    its sum of squared distances sum(s + n (m - mean)^2): Chan, Golub and LeVeque 1983, eq. 2.1.
    """

    def center(self, x: Tensor) -> tuple[Tensor, Tensor]:
        own_mean = x.mean(self.axes, keepdim=True)
        x.sub_(own_mean)
        own_squares = self.own(torch.mul(x, x, out=self.products))
        counts = torch.full_like(own_mean, self.own_count)
        counts, means, squares = self.share.group.gather(torch.stack([counts, own_mean, own_squares])).unbind(
            1
        )

        mean = (counts * means).sum(0).div_(self.count)
        variance = (squares + counts * (means - mean).square_()).sum(0).div_(self.count)
        x.sub_(mean - own_mean)
        return mean, variance


class SharedRunningBatchNormKernel(SharedNormKernel):
    """See `foundations.norms.RunningBatchNorm`, whose sums are over the whole batch here."""

    def center(self, x: Tensor) -> tuple[Tensor, Tensor]:
        sums = self.total([self.own(x), self.own(torch.mul(x, x, out=self.products))])
        share, rows = new_share(self.share.batch, self.layer.momentum), self.tensors["rows"]
        for name, new in zip(("sums", "squares"), sums, strict=True):
            self.tensors[name].lerp_(new.view_as(self.tensors[name]), share)
        numbers = self.tensors["numbers"]
        numbers.lerp_(torch.full_like(numbers, self.count), share)
        rows += self.share.batch

        floor = torch.full_like(rows, FLOOR).masked_fill_(rows >= FLOORED_ROWS, 0.0)
        moments = moments_of_sums(self.tensors["sums"], self.tensors["squares"], numbers, floor)
        mean, variance = (each.view_as(sums[0]) for each in moments)
        self.weights = share / numbers, share / numbers * (variance > floor)
        x.sub_(mean)
        return mean, variance

    def per_number(self, sums: Sequence[Tensor]) -> Sequence[Tensor]:
        return [each * weight / self.std for each, weight in zip(self.total(sums), self.weights, strict=True)]
