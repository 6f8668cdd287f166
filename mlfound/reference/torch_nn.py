"""The network in idiomatic torch: an nn.Module, autograd, and optim.SGD."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Network(nn.Module):
    """nn.Linear layers with these initial parameters (ours: w1 (in, out), b1, ...), a shifted ReLU between them."""

    def __init__(self, parameters: Mapping[str, Tensor], relu_shift: float = 0.0) -> None:
        super().__init__()
        self.relu_shift = relu_shift
        self.layers = nn.ModuleList()
        for n in range(1, len(parameters) // 2 + 1):
            w, b = parameters[f"w{n}"], parameters[f"b{n}"]
            layer = nn.utils.skip_init(nn.Linear, *w.shape, device=w.device, dtype=w.dtype)  # type: ignore[no-untyped-call]
            layer.load_state_dict({"weight": w.T, "bias": b})
            self.layers.append(layer)

    def forward(self, x: Tensor) -> Tensor:
        *before, last = self.layers
        for layer in before:
            x = functional.relu(layer(x))
            if self.relu_shift:
                x = x - self.relu_shift
        output: Tensor = last(x)
        return output

    def named(self, tensors: Iterator[Tensor]) -> dict[str, Tensor]:
        """`tensors`, one per parameter, under our names and in our layout."""
        ours = (tensor.T if tensor.ndim == 2 else tensor for tensor in tensors)
        names = (f"{kind}{n}" for n in range(1, len(self.layers) + 1) for kind in "wb")
        return dict(zip(names, ours, strict=True))

    def weights(self) -> dict[str, Tensor]:
        """A copy of the parameters, in our layout."""
        return self.named(p.detach().clone() for p in self.parameters())


def torch_nn(
    parameters: Mapping[str, Tensor],
    x: Tensor,
    target: Tensor,
    relu_shift: float = 0.0,
    loss: str = "mse",
    input_gradient: bool = True,
) -> Iterator[Any]:
    """Yields the loss, then its gradients by the names of the parameters, and of the input as `x`."""
    network = Network(parameters, relu_shift)  # not below: making the network is not part of its forward pass
    return forward_and_backward(network, x.detach().requires_grad_(input_gradient), target, loss)


def forward_and_backward(network: Network, x: Tensor, target: Tensor, loss: str) -> Iterator[Any]:
    """Yields the loss, then the gradients."""
    out = network(x)
    if loss == "mse":
        value = functional.mse_loss(out.squeeze(-1), target.to(out.dtype))
    else:
        value = functional.cross_entropy(out, target)
    yield value.detach()

    value.backward()  # type: ignore[no-untyped-call]
    gradients = network.named(p.grad for p in network.parameters() if p.grad is not None)
    yield {**gradients, "x": x.grad}


def sgd(
    parameters: Mapping[str, Tensor], x: Tensor, y: Tensor, lr: float, momentum: float
) -> Callable[[Tensor], dict[str, Tensor]]:
    """A training by cross-entropy as a function of an order (steps, batch size) of image numbers.

    Every call starts at `parameters` and returns the final weights. The optimiser has its defaults; on a GPU
    it is fused, which is one kernel there. (On a CPU that saves some 7% of a small network's step.)
    """

    def train(order: Tensor) -> dict[str, Tensor]:
        network = Network(parameters)
        optimizer = torch.optim.SGD(
            network.parameters(), lr=lr, momentum=momentum, fused=True if x.is_cuda else None
        )
        for rows in order:
            optimizer.zero_grad()
            loss = functional.cross_entropy(network(x.index_select(0, rows)), y.index_select(0, rows))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return network.weights()

    return train
