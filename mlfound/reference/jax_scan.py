"""The same training in JAX: one jitted lax.scan over all steps."""

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mlfound.foundations.activations import GELU, Floor, Identity, ReLU, Tanh
from mlfound.foundations.layers import (
    AveragePool,
    Conv2d,
    Flatten,
    GlobalAveragePool,
    Layer,
    Linear,
    MaxPool,
    Pool,
    Residual,
    Sequential,
    Unflatten,
    by_layer,
)
from mlfound.foundations.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from mlfound.reference.torch_nn import Named, Recipe, target


def trainer(
    recipe: Recipe, tensors: Named, x: Tensor, y: Tensor, lr: float, momentum: float
) -> Callable[[Tensor], dict[str, Tensor]]:
    """As `torch_nn.trainer`; the first call compiles. Products have the full precision of their dtype."""
    jax = start_jax()
    import jax.numpy as jnp

    place = jax.devices("gpu" if x.is_cuda else "cpu")[x.device.index or 0]
    ours, rule = recipe.optimizer, RULES[type(recipe.optimizer)]

    def given(tensor: Tensor) -> Any:
        return jax.device_put(tensor.cpu().numpy(), place)

    def loss_of(p: Any, x: Any, y: Any) -> Any:
        return LOSSES[recipe.loss](sequential(recipe.model, x, p), y)

    def epoch(p: Any, x: Any, y: Any, order: Any) -> Any:
        def step(carried: Any, now: Any) -> Any:
            (p, states), (t, rows) = carried, now
            g = clipped(ours, jax.grad(loss_of)(p, x[rows], y[rows]))
            for name in p:
                own, g_own = decayed(ours, p[name], g[name], lr)
                new, state = rule(ours, own, g_own, states[name], t, lr, momentum)
                p, states = {**p, name: new}, {**states, name: state}
            return (p, states), None

        zeros = {name: (jnp.zeros_like(tensor),) * len(ours.state_names) for name, tensor in p.items()}
        steps = jnp.arange(len(order), dtype=jnp.float64)
        ((p, _), _) = jax.lax.scan(step, (p, zeros), (steps, order))
        return p

    compiled = jax.jit(epoch)
    start = {name: given(p) for name, p in tensors.items()}
    images, labels = given(x), given(target(recipe, x, y if recipe.loss == "mse" else y.int()))

    def train(order: Tensor) -> dict[str, Tensor]:
        weights = jax.device_get(compiled(start, images, labels, given(order.int())))
        return {name: torch.tensor(p, device=x.device) for name, p in weights.items()}

    return train


def relu(layer: ReLU, x: Any, own: Any) -> Any:
    import jax

    x = (jax.nn.leaky_relu(x, layer.leak) if layer.leak else jax.nn.relu(x)) - layer.shift
    return x if layer.ceiling is None else x.clip(max=layer.ceiling)


def sequential(model: Sequential, x: Any, own: Any) -> Any:
    for layer, parameters in zip(model.layers, by_layer(model, own), strict=True):
        x = FUNCTIONS[type(layer)](layer, x, parameters)
    return x


def residual(model: Residual, x: Any, own: Any) -> Any:
    each = zip(model.layers, by_layer(model, own), strict=True)
    return sum(FUNCTIONS[type(layer)](layer, x, parameters) for layer, parameters in each)


def conv2d(layer: Conv2d, x: Any, own: Any) -> Any:
    import jax

    strides, padding = (layer.stride,) * 2, ((layer.padding,) * 2,) * 2
    return jax.lax.conv_general_dilated(x, own["w"], strides, padding) + own["b"][:, None, None]


def max_pool(layer: MaxPool, x: Any, own: Any) -> Any:
    import jax
    import jax.numpy as jnp

    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, *over_images(layer))


def average_pool(layer: AveragePool, x: Any, own: Any) -> Any:
    import jax

    height, width = layer.size
    return jax.lax.reduce_window(x, 0.0, jax.lax.add, *over_images(layer)) / (height * width)


def over_images(layer: Pool) -> tuple[Any, ...]:
    """Size and stride of the windows of (batch, channels, rows, columns), and no padding."""
    return (1, 1, *layer.size), (1, 1, layer.stride, layer.stride), "valid"


def gelu(layer: GELU, x: Any, own: Any) -> Any:
    import jax

    return jax.nn.gelu(x, approximate=False)


def tanh(layer: Tanh, x: Any, own: Any) -> Any:
    import jax.numpy as jnp

    return jnp.tanh(x)


def cross_entropy(out: Any, y: Any) -> Any:
    import jax
    import jax.numpy as jnp

    return -jnp.take_along_axis(jax.nn.log_softmax(out), y[:, None], axis=1).mean()


def clipped(ours: Optimizer, g: Any) -> Any:
    if ours.clip_norm is None:
        return g
    norm = sum((own**2).sum() for own in g.values()) ** 0.5
    return {name: own * (ours.clip_norm / norm).clip(max=1.0) for name, own in g.items()}


def decayed(ours: Optimizer, p: Any, g: Any, lr: float) -> tuple[Any, Any]:
    if ours.decay == "l2":
        return p, g + ours.weight_decay * p
    return p * (1 - lr * ours.weight_decay), g


def sgd(ours: SGD, p: Any, g: Any, state: Any, t: Any, lr: float, momentum: float) -> Any:
    dampening = (t > 0).astype(g.dtype) * (ours.dampening if momentum else 0.0)
    v = momentum * state[0] + (1 - dampening) * g
    return p - lr * (g + momentum * v if ours.nesterov else v), (v,)


def rmsprop(ours: RMSprop, p: Any, g: Any, state: Any, t: Any, lr: float, momentum: float) -> Any:
    s = ours.beta2 * state[0] + (1 - ours.beta2) * g**2
    v = g / (s**0.5 + ours.eps)
    if not ours.momentum:
        return p - lr * v, (s,)
    v = momentum * state[1] + v
    return p - lr * v, (s, v)


def adam(ours: Adam, p: Any, g: Any, state: Any, t: Any, lr: float, momentum: float) -> Any:
    m = momentum * state[0] + (1 - momentum) * g
    s = ours.beta2 * state[1] + (1 - ours.beta2) * g**2
    of_mean, of_square = ((1 - beta ** (t + 1)).astype(g.dtype) for beta in (momentum, ours.beta2))
    return p - lr * (m / of_mean) / ((s / of_square) ** 0.5 + ours.eps), (m, s)


FUNCTIONS: dict[type[Layer], Callable[[Any, Any, Any], Any]] = {
    Linear: lambda layer, x, own: x @ own["w"] + own["b"],
    Conv2d: conv2d,
    MaxPool: max_pool,
    AveragePool: average_pool,
    GlobalAveragePool: lambda layer, x, own: x.mean((2, 3)),
    Identity: lambda layer, x, own: x,
    ReLU: relu,
    Floor: lambda layer, x, own: x.clip(min=-layer.shift),
    Tanh: tanh,
    GELU: gelu,
    Flatten: lambda layer, x, own: x.reshape(len(x), -1),
    Unflatten: lambda layer, x, own: x.reshape(len(x), *layer.shape),
    Sequential: sequential,
    Residual: residual,
}
LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "mse": lambda out, y: ((out.squeeze(-1) - y) ** 2).mean(),
    "cross-entropy": cross_entropy,
}
# type of ours: (ours, p, g, state, step from 0, lr, momentum) -> p and state, all but clipping and decay
RULES: dict[type[Optimizer], Callable[..., Any]] = {
    SGD: sgd,
    RMSprop: rmsprop,
    Adam: adam,
    AdamW: adam,
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
