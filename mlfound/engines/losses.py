"""The losses of `foundations.functions` in buffers: of every row the loss, and the gradient of their mean.

All shapes may begin with an axis of networks.
"""

from typing import Protocol

import torch
from torch import Tensor


class Loss(Protocol):
    """Made for outputs of one shape, `like` (out, batch)."""

    sign: float  # the loss is the mean of what is kept, times this

    def __init__(self, like: Tensor) -> None: ...

    def __call__(self, out: Tensor, y: Tensor, kept: Tensor) -> Tensor:
        """Outputs (out, batch) and labels (1, batch): fills `kept` (1, batch), gives the gradient (out, batch)."""
        ...


class CrossEntropy:
    """Keeps log softmax at the right class; the gradient is softmax minus one-hot."""

    sign = -1.0

    def __init__(self, like: Tensor) -> None:
        self.log_p, self.dout = torch.empty_like(like), torch.empty_like(like)
        self.share = like.new_tensor(1 / like.shape[-1])  # of a row
        self.minus_one = like.new_full((*like.shape[:-2], 1, like.shape[-1]), -1.0)

    def __call__(self, out: Tensor, y: Tensor, kept: Tensor) -> Tensor:
        torch.log_softmax(out, -2, out=self.log_p)
        torch.gather(self.log_p, -2, y, out=kept)
        torch.exp(self.log_p, out=self.dout)
        return self.dout.scatter_add_(-2, y, self.minus_one).mul_(self.share)


class MSE:
    """Keeps (out - y)^2; the gradient is 2 (out - y)."""

    sign = 1.0

    def __init__(self, like: Tensor) -> None:
        self.dout = torch.empty_like(like)
        self.twice_the_share = like.new_tensor(2 / like.shape[-1])

    def __call__(self, out: Tensor, y: Tensor, kept: Tensor) -> Tensor:
        torch.sub(out, y, out=self.dout)
        torch.square(self.dout, out=kept)
        return self.dout.mul_(self.twice_the_share)


LOSSES: dict[str, type[Loss]] = {
    "mse": MSE,
    "cross-entropy": CrossEntropy,
}
