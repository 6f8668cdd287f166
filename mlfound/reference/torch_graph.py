"""The whole step of `torch_nn.sgd`, gathering included, captured once in a CUDA graph and then replayed."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from mlfound.foundations.layers import Sequential
from mlfound.reference.torch_nn import Named, Network

WARM_UP_STEPS = (
    3  # steps outside the graph, as torch requires: libraries and the optimiser allocate their memory
)


def sgd(
    model: Sequential, tensors: Named, x: Tensor, y: Tensor, lr: float, momentum: float
) -> Callable[[Tensor], dict[str, Tensor]]:
    """As `torch_nn.sgd`; the first call captures."""
    network = Network(model, tensors)
    start = {name: p.detach().clone() for name, p in network.named_parameters()}
    optimizer = torch.optim.SGD(network.parameters(), lr=lr, momentum=momentum, fused=True)

    def step(rows: Tensor) -> None:
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(x.index_select(0, rows)), y.index_select(0, rows))
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
            state["momentum_buffer"].zero_()
        for batch in order:
            rows.copy_(batch)
            graph.replay()
        return network.weights()

    return train
