"""The whole step of `torch_nn.trainer`, gathering included, captured once in a CUDA graph and then replayed."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from mlfound.reference.torch_nn import LOSSES, Named, Network, Recipe, target
from mlfound.reference.torch_optim import optimizer_for

WARM_UP_STEPS = (
    3  # steps outside the graph, as torch requires: libraries and the optimiser allocate their memory
)


def trainer(
    recipe: Recipe, tensors: Named, x: Tensor, y: Tensor, lr: float, momentum: float
) -> Callable[[Tensor], dict[str, Tensor]]:
    """As `torch_nn.trainer`; the first call captures."""
    network, y = Network(recipe.model, tensors), target(recipe, x, y)
    start = {name: p.detach().clone() for name, p in network.state_dict().items()}
    how = {"fused": True, "capturable": True}
    optimizer = optimizer_for(recipe.optimizer, network.parameters(), lr, momentum, **how)

    def step(rows: Tensor) -> None:
        optimizer.zero_grad()
        loss = LOSSES[recipe.loss](network(x.index_select(0, rows)), y.index_select(0, rows))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    @cache
    def captured(batch_size: int) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        rows = torch.arange(batch_size, device=x.device)  # the graph reads a batch's row numbers here
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP_STEPS):
                step(rows)
        torch.cuda.current_stream().wait_stream(aside)
        optimizer.zero_grad()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step(rows)
        return graph, rows

    def train(order: Tensor) -> dict[str, Tensor]:
        graph, rows = captured(order.shape[1])
        network.load_state_dict(start)
        for state in optimizer.state.values():
            for tensor in filter(torch.is_tensor, state.values()):
                tensor.zero_()
        for batch in order:
            rows.copy_(batch)
            graph.replay()
        return network.weights()

    return train
