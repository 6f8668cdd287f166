"""The same training in JAX: one jitted lax.scan over all steps."""

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mlfound.foundations.activations import ReLU
from mlfound.foundations.layers import Layer, Linear, Sequential, within
from mlfound.reference.torch_nn import Named


def sgd(
    model: Sequential, tensors: Named, x: Tensor, y: Tensor, lr: float, momentum: float
) -> Callable[[Tensor], dict[str, Tensor]]:
    """As `torch_nn.sgd`; the first call compiles. Products have the full precision of their dtype."""
    jax = start_jax()
    import jax.numpy as jnp

    place = jax.devices("gpu" if x.is_cuda else "cpu")[x.device.index or 0]

    def given(tensor: Tensor) -> Any:
        return jax.device_put(tensor.cpu().numpy(), place)

    def loss_of(p: Any, x: Any, y: Any) -> Any:
        for n, layer in enumerate(model.layers, 1):
            x = FUNCTIONS[type(layer)](layer, x, within(p, n))
        log_p = jax.nn.log_softmax(x)
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
    start = {name: given(p) for name, p in tensors.items()}
    images, labels = given(x), given(y.int())

    def train(order: Tensor) -> dict[str, Tensor]:
        weights = jax.device_get(compiled(start, images, labels, given(order.int())))
        return {name: torch.tensor(p, device=x.device) for name, p in weights.items()}

    return train


def relu(layer: ReLU, x: Any, own: Any) -> Any:
    import jax

    x = (jax.nn.leaky_relu(x, layer.leak) if layer.leak else jax.nn.relu(x)) - layer.shift
    return x if layer.ceiling is None else x.clip(max=layer.ceiling)


FUNCTIONS: dict[type[Layer], Callable[[Any, Any, Any], Any]] = {
    Linear: lambda layer, x, own: x @ own["w"] + own["b"],
    ReLU: relu,
}


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
