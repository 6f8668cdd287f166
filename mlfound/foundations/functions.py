"""Each function with its gradient.

`x` is (batch, in), `w` is (in, out), `b` is (out,); images are (batch, channels, rows, columns).
`name_grad(dout, ...)` takes the gradient of the loss with respect to what `name(...)` gave, and returns the gradients
of its inputs, in the order of the inputs.
Sources: Howard, "Deep learning from the foundations", lesson 8; Goodfellow et al. 2016, sections 4.1, 6.5 and 9.3.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from typing import Any

import torch
from torch import Generator, Tensor

from mlfound.foundations.convolution import CONVOLUTIONS, Size, by_place, windows, windows_grad

WeightGrad = Callable[[Tensor, Tensor], Tensor]


def linear(x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    """(batch, in) and (in, out) to (batch, out): y = x w + b."""
    return x @ w if b is None else x @ w + b


def weight_grad_outer(dout: Tensor, x: Tensor) -> Tensor:
    """dw as in the lesson's first version: the outer product of every row, (batch, in, out), and then their sum."""
    return (x[:, :, None] * dout[:, None, :]).sum(0)


def weight_grad_einsum(dout: Tensor, x: Tensor) -> Tensor:
    """The same sum over the batch, without holding its terms."""
    return torch.einsum("bi,bj->ij", x, dout)


def weight_grad(dout: Tensor, x: Tensor) -> Tensor:
    """The same as a matrix product: dw = x^T dout."""
    return x.T @ dout


def linear_grad(
    dout: Tensor, x: Tensor, w: Tensor, input_gradient: bool = True, weight_grad: WeightGrad = weight_grad
) -> tuple[Any, Tensor, Tensor]:
    """dx = dout w^T, dw = x^T dout, db = the sum of dout over the batch.

    Without `input_gradient` dx is None: the first layer does not need it, and it costs as much as dw.
    """
    dx = dout @ w.T if input_gradient else None
    return dx, weight_grad(dout, x), dout.sum(0)


def conv2d(x: Tensor, w: Tensor, b: Tensor | None, stride: int = 1, padding: int = 0) -> Tensor:
    """(batch, in, rows, columns) and kernels (out, in, height, width) to (batch, out, down, across).

    By the last rung of `convolution.CONVOLUTIONS`, which the others have rebuilt.
    """
    y = CONVOLUTIONS["library"].forward(x, w, stride, padding)
    return y if b is None else y.add_(b[:, None, None])


def conv2d_grad(
    dout: Tensor, x: Tensor, w: Tensor, stride: int = 1, padding: int = 0, input_gradient: bool = True
) -> tuple[Any, Tensor, Tensor]:
    """dx, dw and db, the sum of dout over images and places; dx is None without `input_gradient`."""
    rung, size = CONVOLUTIONS["library"], x.shape[2:]
    dx = rung.input_grad(dout, w, size, stride, padding) if input_gradient else None
    return dx, rung.weight_grad(dout, x, w.shape[2:], stride, padding), dout.sum((0, 2, 3))


def max_pool(x: Tensor, size: Size, stride: int) -> Tensor:
    """The largest of each window: (batch, channels, rows, columns) to (batch, channels, down, across)."""
    return reduce(torch.maximum, by_place(windows(x, size, stride)))


def max_pool_grad(dout: Tensor, x: Tensor, size: Size, stride: int) -> Tensor:
    """dout goes to the largest; of several that are equal to the first, row by row, as in torch."""
    seen = windows(x, size, stride).flatten(-2)
    dwindows = torch.zeros_like(seen).scatter_(-1, seen.argmax(-1, keepdim=True), dout[..., None])
    return windows_grad(torch.unflatten(dwindows, -1, size), x.shape[2:], stride)


def average_pool(x: Tensor, size: Size, stride: int) -> Tensor:
    """The mean of each window: (batch, channels, rows, columns) to (batch, channels, down, across)."""
    return reduce(torch.add, by_place(windows(x, size, stride))) / math.prod(size)


def average_pool_grad(dout: Tensor, x: Tensor, size: Size, stride: int) -> Tensor:
    """An equal share of dout to each pixel of the window."""
    share = dout / math.prod(size)
    return windows_grad(share[..., None, None].expand(*dout.shape, *size), x.shape[2:], stride)


def global_average_pool(x: Tensor) -> Tensor:
    """The mean of each channel: (batch, channels, rows, columns) to (batch, channels)."""
    return x.mean((2, 3))


def global_average_pool_grad(dout: Tensor, x: Tensor) -> Tensor:
    """An equal share of dout to each pixel of the channel."""
    return (dout / math.prod(x.shape[2:]))[:, :, None, None].expand_as(x)


def relu(x: Tensor, shift: float = 0.0) -> Tensor:
    """max(x, 0) - shift, any shape."""
    return x.clamp_min(0).sub_(shift)


def relu_grad(dout: Tensor, x: Tensor) -> Tensor:
    """dout where x > 0, else 0: at the corner x = 0 too. The shift is a constant and has no effect."""
    return dout * (x > 0)


def general_relu(x: Tensor, leak: float, shift: float, ceiling: float | None) -> Tensor:
    """x above 0 and leak x below, minus `shift`, at most `ceiling`, any shape."""
    y = torch.where(x > 0, x, leak * x).sub_(shift) if leak else relu(x, shift)
    return y if ceiling is None else y.clamp_max_(ceiling)


def general_relu_grad(dout: Tensor, x: Tensor, leak: float, shift: float, ceiling: float | None) -> Tensor:
    """dout above 0, leak dout below; 0 where the ceiling cuts off."""
    dx = torch.where(x > 0, dout, leak * dout) if leak else relu_grad(dout, x)
    return dx if ceiling is None else dx * (general_relu(x, leak, shift, None) <= ceiling)


def tanh_grad(dout: Tensor, x: Tensor) -> Tensor:
    """dout (1 - tanh(x)^2)."""
    return dout * (1 - x.tanh().square())


def gelu(x: Tensor) -> Tensor:
    """x P(u < x) for u from N(0, 1), any shape (Hendrycks and Gimpel 2016, section 2)."""
    return x * normal_below(x)


def gelu_grad(dout: Tensor, x: Tensor) -> Tensor:
    """dout (P(u < x) + x p(x)), p the density of N(0, 1)."""
    return dout * (normal_below(x) + x * torch.exp(-x.square() / 2) / math.sqrt(2 * math.pi))


def normal_below(x: Tensor) -> Tensor:
    """P(u < x) for u from N(0, 1); by erfc, which is exact also far below 0."""
    return torch.erfc(-x / math.sqrt(2)) / 2


def dropout_mask(x: Tensor, rate: float, generator: Generator) -> Tensor:
    """The factors of `dropout` for the elements of `x`: 0 with probability `rate`, else 1 / (1 - rate).

    This keeps the expected value, so that inference needs no correction (Srivastava et al. 2014, section 10: inverted
    dropout). A (batch, in) mask is drawn from the generator row by row, by uniform numbers: torch's bernoulli_ draws
    differently on Intel's CPUs.
    """
    keep = 1 - rate
    return torch.empty_like(x).uniform_(generator=generator).lt_(keep).div_(keep)


def dropout(x: Tensor, mask: Tensor) -> Tensor:
    """(batch, in) times a mask of that shape."""
    return x * mask


def dropout_grad(dout: Tensor, mask: Tensor) -> Tensor:
    """Dropped elements have no gradient, and neither has the mask, which is drawn and not learned."""
    return dout * mask


def mse(out: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of (batch, 1) predictions of the numbers (batch,), a 0-d tensor.

    The last axis is indexed: a bare squeeze breaks a batch of one, and (N, 1) - (N,) is (N, N).
    """
    return (out[:, 0] - target).square().mean()


def mse_grad(dout: float, out: Tensor, target: Tensor) -> Tensor:
    """2 (out - target) / N, of shape (batch, 1)."""
    return (out[:, 0] - target)[:, None] * (2 * dout / len(target))


def log_softmax(logits: Tensor) -> Tensor:
    """log(exp(z_j) / sum_k exp(z_k)) of every row z of (batch, classes).

    The largest logit of a row is subtracted first, which does not change the result and keeps exp from overflowing.
    """
    z = logits - logits.amax(1, keepdim=True)
    return z.sub_(z.exp().sum(1, keepdim=True).log_())


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """The mean of -log softmax(logits) at the right class: (batch, classes) and labels (batch,), a 0-d tensor.

    Labels may be shares of each class, (batch, classes), that add up to 1: then it is the mean weighted by them.
    """
    log_p = log_softmax(logits)
    if target.dim() == 2:
        return -(target * log_p).sum(1).mean()
    return -log_p.gather(1, target[:, None]).mean()


def cross_entropy_grad(dout: float, logits: Tensor, target: Tensor) -> Tensor:
    """(softmax(logits) - one-hot target) / N, of shape (batch, classes)."""
    dlogits = log_softmax(logits).exp_()
    if target.dim() == 2:
        dlogits -= target
    else:
        dlogits.scatter_add_(1, target[:, None], dlogits.new_full((1, 1), -1.0).expand(len(target), 1))
    return dlogits.mul_(dout / len(target))


def forward_and_backward(
    parameters: Mapping[str, Tensor],
    x: Tensor,
    target: Tensor,
    relu_shift: float = 0.0,
    loss: str = "mse",
    input_gradient: bool = True,
) -> Iterator[Any]:
    """Linear, ReLU, linear, loss, and backward: yields the loss, then the gradients by name.

    `value, gradients = forward_and_backward(...)` runs both halves, `next` one of them. The names are those of the
    `parameters` and x (None without `input_gradient`). Gradients are replaced, never added: forward twice, then
    backward, gives the same as once.
    """
    w1, b1, w2, b2 = (parameters[name] for name in ("w1", "b1", "w2", "b2"))
    formula, formula_grad = LOSSES[loss]
    h = linear(x, w1, b1)
    a = relu(h, relu_shift)
    out = linear(a, w2, b2)
    yield formula(out, target)

    dout = formula_grad(1.0, out, target)
    da, dw2, db2 = linear_grad(dout, a, w2)
    dh = relu_grad(da, h)
    dx, dw1, db1 = linear_grad(dh, x, w1, input_gradient)
    yield {"w1": dw1, "b1": db1, "w2": dw2, "b2": db2, "x": dx}


LOSSES: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor]]] = {
    "mse": (mse, mse_grad),
    "cross-entropy": (cross_entropy, cross_entropy_grad),
}
