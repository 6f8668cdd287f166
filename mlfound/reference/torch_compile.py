"""The step of `torch_nn.trainer` with forward, loss and backward through torch.compile."""

import os
from collections.abc import Callable
from functools import cache
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from mlfound.reference.torch_nn import LOSSES, Named, Network, Recipe, target
from mlfound.reference.torch_optim import optimizer_for


def trainer(
    recipe: Recipe, tensors: Named, x: Tensor, y: Tensor, lr: float, momentum: float
) -> Callable[[Tensor], dict[str, Tensor]]:
    """As `torch_nn.trainer`; the first call compiles."""
    compile_afresh()
    network, y = Network(recipe.model, tensors), target(recipe, x, y)
    start = {name: p.detach().clone() for name, p in network.state_dict().items()}

    @torch.compile
    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        return LOSSES[recipe.loss](network(x), y)

    def train(order: Tensor) -> dict[str, Tensor]:
        network.load_state_dict(start)
        optimizer = optimizer_for(recipe.optimizer, network.parameters(), lr, momentum, fused=True)
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
