"""Each formula beside its gradient.

`x` is (batch, in), `w` is (in, out), `b` is (out,). `name_grad(dout, ...)` takes the gradient of the loss with
respect to what `name(...)` gave, and returns the gradients of its inputs, in the order of the inputs.
Sources: Howard, "Deep learning from the foundations", lesson 8; Goodfellow et al. 2016, sections 6.5 and 4.1.
"""

from torch import Tensor


def linear(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """(batch, in) and (in, out) to (batch, out): y = x w + b."""
    return x @ w + b


def linear_grad(
    dout: Tensor, x: Tensor, w: Tensor, input_gradient: bool = True
) -> tuple[Tensor | None, Tensor, Tensor]:
    """dx = dout w^T, dw = x^T dout, db = the sum of dout over the batch.

    Without `input_gradient` dx is None: nobody needs it below the first layer, and it costs as much as dw.
    """
    dx = dout @ w.T if input_gradient else None
    return dx, x.T @ dout, dout.sum(0)


def relu(x: Tensor, shift: float = 0.0) -> Tensor:
    """max(x, 0) - shift, any shape."""
    return x.clamp_min(0).sub_(shift)


def relu_grad(dout: Tensor, x: Tensor) -> Tensor:
    """dout where x > 0, else 0: at the corner x = 0 too. The shift is a constant and leaves no trace."""
    return dout * (x > 0)


def mse(out: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of (batch, 1) predictions of the numbers (batch,), a 0-d tensor.

    The last axis is taken away by name: a bare squeeze breaks a batch of one, and (N, 1) - (N,) is (N, N).
    """
    return (out[:, 0] - target).square().mean()


def mse_grad(dout: float, out: Tensor, target: Tensor) -> Tensor:
    """2 (out - target) / N, of shape (batch, 1)."""
    return (out[:, 0] - target)[:, None] * (2 * dout / len(target))


def log_softmax(logits: Tensor) -> Tensor:
    """log(exp(z_j) / sum_k exp(z_k)) of every row z of (batch, classes).

    The largest logit is taken from all of its row first, which changes nothing but keeps exp from overflowing.
    """
    z = logits - logits.amax(1, keepdim=True)
    return z.sub_(z.exp().sum(1, keepdim=True).log_())


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """The mean of -log softmax(logits) at the right class: (batch, classes) and labels (batch,), a 0-d tensor."""
    return -log_softmax(logits).gather(1, target[:, None]).mean()


def cross_entropy_grad(dout: float, logits: Tensor, target: Tensor) -> Tensor:
    """(softmax(logits) - one-hot target) / N, of shape (batch, classes)."""
    dlogits = log_softmax(logits).exp_()
    dlogits.scatter_add_(1, target[:, None], dlogits.new_full((1, 1), -1.0).expand(len(target), 1))
    return dlogits.mul_(dout / len(target))
