"""The losses of `foundations.functions` in buffers: the loss of every row, and the gradient of their mean.

All shapes may begin with an axis of networks.
"""

from typing import Protocol

import torch
from torch import Tensor


class Loss(Protocol):
    """`like` (out, rows) gives the shape of the outputs; the mean is over a `batch` of more rows, if given."""

    sign: float  # the loss is the mean of `row_losses` times this

    def __init__(self, like: Tensor, batch: int | None = None) -> None: ...

    def __call__(self, out: Tensor, y: Tensor, row_losses: Tensor) -> Tensor:
        """Outputs (out, batch), labels (1, batch): fills `row_losses` (1, batch), returns dout (out, batch).

        For cross-entropy labels may also be shares of each class, (out, batch), that add up to 1.
        """
        ...


class CrossEntropy:
    """Row losses are log softmax at the right class; the gradient is softmax minus one-hot, or minus the shares."""

    sign = -1.0

    def __init__(self, like: Tensor, batch: int | None = None) -> None:
        self.log_p, self.dout = torch.empty_like(like), torch.empty_like(like)
        self.share = like.new_tensor(1 / (batch or like.shape[-1]))
        self.minus_one = like.new_full((*like.shape[:-2], 1, like.shape[-1]), -1.0)

    def __call__(self, out: Tensor, y: Tensor, row_losses: Tensor) -> Tensor:
        torch.log_softmax(out, -2, out=self.log_p)
        if y.is_floating_point():
            torch.mul(self.log_p, y, out=self.dout)
            torch.sum(self.dout, -2, keepdim=True, out=row_losses)
            return torch.exp(self.log_p, out=self.dout).sub_(y).mul_(self.share)
        torch.gather(self.log_p, -2, y, out=row_losses)
        torch.exp(self.log_p, out=self.dout)
        return self.dout.scatter_add_(-2, y, self.minus_one).mul_(self.share)


class MSE:
    """Row losses are (out - y)^2; the gradient is 2 (out - y)."""

    sign = 1.0

    def __init__(self, like: Tensor, batch: int | None = None) -> None:
        self.dout = torch.empty_like(like)
        self.twice_the_share = like.new_tensor(2 / (batch or like.shape[-1]))

    def __call__(self, out: Tensor, y: Tensor, row_losses: Tensor) -> Tensor:
        torch.sub(out, y, out=self.dout)
        torch.square(self.dout, out=row_losses)
        return self.dout.mul_(self.twice_the_share)


LOSSES: dict[str, type[Loss]] = {
    "mse": MSE,
    "cross-entropy": CrossEntropy,
}
