"""Linear layers, ReLU and loss, and a convolution, from torch.nn.functional, with gradients by autograd."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def torch_functional(
    parameters: Mapping[str, Tensor],
    x: Tensor,
    target: Tensor,
    relu_shift: float = 0.0,
    loss: str = "mse",
    input_gradient: bool = True,
) -> Iterator[Any]:
    """Yields the loss, then its gradients by the names of the parameters, and of the input as `x`.

    Weights are (in, out): torch's linear takes (out, in). `loss` is "mse" or "cross-entropy".
    """
    leaves = {name: p.detach().requires_grad_() for name, p in parameters.items()}
    leaves["x"] = x.detach().requires_grad_(input_gradient)
    out = leaves["x"]
    depth = len(parameters) // 2
    for n in range(1, depth + 1):
        out = functional.linear(out, leaves[f"w{n}"].T, leaves[f"b{n}"])
        if n < depth:
            out = functional.relu(out) - relu_shift if relu_shift else functional.relu(out)
    if loss == "mse":
        value = functional.mse_loss(out.squeeze(-1), target.to(out.dtype))
    else:
        value = functional.cross_entropy(out, target)
    yield value.detach()

    value.backward()  # type: ignore[no-untyped-call]
    yield {name: leaf.grad for name, leaf in leaves.items()}


def convolution(x: Tensor, w: Tensor, dout: Tensor, stride: int, padding: int) -> tuple[Tensor, ...]:
    """What comes out, and from its gradient `dout` the gradients of kernels and images."""
    leaves = w.detach().requires_grad_(), x.detach().requires_grad_()
    out = functional.conv2d(leaves[1], leaves[0], None, stride, padding)
    return out.detach(), *torch.autograd.grad(out, leaves, dout)
