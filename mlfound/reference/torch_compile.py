"""The step of `torch_nn.sgd` with forward, loss and backward through torch.compile."""

import os
from collections.abc import Callable
from functools import cache
from tempfile import TemporaryDirectory

import torch
from torch import Tensor
from torch.nn import functional

from mlfound.foundations.layers import Sequential
from mlfound.reference.torch_nn import Named, Network


def sgd(
    model: Sequential, tensors: Named, x: Tensor, y: Tensor, lr: float, momentum: float
) -> Callable[[Tensor], dict[str, Tensor]]:
    """As `torch_nn.sgd`; the first call compiles."""
    compile_afresh()
    network = Network(model, tensors)
    start = {name: p.detach().clone() for name, p in network.named_parameters()}

    @torch.compile
    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(network(x), y)

    def train(order: Tensor) -> dict[str, Tensor]:
        network.load_state_dict(start)
        optimizer = torch.optim.SGD(network.parameters(), lr=lr, momentum=momentum, fused=True)
        for rows in order:
            optimizer.zero_grad()
            loss = loss_of(x.index_select(0, rows), y.index_select(0, rows))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return network.weights()

    return train


@cache
def compile_afresh() -> TemporaryDirectory[str]:
    """Let torch compile into an empty folder: the cache of an earlier run would hide the time it takes.

    The folder is removed with its object, at the end of the process.
    """
    folder = TemporaryDirectory(prefix="mlfound-")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder.name
    return folder
