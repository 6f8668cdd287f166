"""The same training in JAX: one jitted lax.scan over all steps."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor


def sgd(
    parameters: Mapping[str, Tensor], x: Tensor, y: Tensor, lr: float, momentum: float
) -> Callable[[Tensor], dict[str, Tensor]]:
    """As `torch_nn.sgd`; the first call compiles. Products have the full precision of their dtype."""
    jax = start_jax()
    import jax.numpy as jnp

    place, depth = jax.devices("gpu" if x.is_cuda else "cpu")[x.device.index or 0], len(parameters) // 2

    def given(tensor: Tensor) -> Any:
        return jax.device_put(tensor.cpu().numpy(), place)

    def loss_of(p: Any, x: Any, y: Any) -> Any:
        for n in range(1, depth):
            x = jax.nn.relu(x @ p[f"w{n}"] + p[f"b{n}"])
        log_p = jax.nn.log_softmax(x @ p[f"w{depth}"] + p[f"b{depth}"])
        return -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()

    def epoch(p: Any, x: Any, y: Any, order: Any) -> Any:
        def step(state: Any, rows: Any) -> Any:
            p, v = state
            g = jax.grad(loss_of)(p, x[rows], y[rows])
            v = jax.tree.map(lambda v, g: momentum * v + g, v, g)
            return (jax.tree.map(lambda p, v: p - lr * v, p, v), v), None

        (p, _), _ = jax.lax.scan(step, (p, jax.tree.map(jnp.zeros_like, p)), order)
        return p

    compiled = jax.jit(epoch)
    start = {name: given(p) for name, p in parameters.items()}
    images, labels = given(x), given(y.int())

    def train(order: Tensor) -> dict[str, Tensor]:
        weights = jax.device_get(compiled(start, images, labels, given(order.int())))
        return {name: torch.tensor(p, device=x.device) for name, p in weights.items()}

    return train


def start_jax() -> Any:
    """jax, with torch's number of threads, and products in the full precision of their dtype.

    It reads the environment once, when it is initialised; without this it uses every core.
    """
    threads, flags = torch.get_num_threads(), os.environ.get("XLA_FLAGS", "")
    os.environ.setdefault("NPROC", str(threads))
    if threads == 1 and "multi_thread_eigen" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    import jax

    jax.config.update("jax_enable_x64", True)  # without it float64 would become float32
    jax.config.update("jax_default_matmul_precision", "highest")
    return jax
