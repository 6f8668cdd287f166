"""Loss and gradients of any list of layers by torch.nn.functional and autograd, without a formula of ours."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mlfound.foundations.activations import GELU, Floor, Identity, ReLU, Tanh
from mlfound.foundations.layers import (
    AveragePool,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Layer,
    Linear,
    MaxPool,
    Residual,
    Sequential,
    Unflatten,
    by_layer,
)
from mlfound.foundations.norms import EPS, BatchNorm, InstanceNorm, LayerNorm, RunningBatchNorm

Named = Mapping[str, Tensor]


def loss_and_gradients(
    model: Layer, tensors: Named, x: Tensor, y: Tensor, loss: str
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss, and its gradients by the names of the model's parameters, and of the input as `x`.

    Where the layers have drawn something in their last call, dropout's masks, the same is used here.
    """
    leaves = {name: tensors[name].detach().requires_grad_() for name in model.parameters}
    x = x.detach().requires_grad_()
    out = output(model, x, {**tensors, **leaves})
    if loss == "mse":
        value = functional.mse_loss(out.squeeze(-1), y.to(out.dtype))
    else:
        value = functional.cross_entropy(out, y)
    value.backward()  # type: ignore[no-untyped-call]
    gradients = ((name, leaf.grad) for name, leaf in {**leaves, "x": x}.items())
    return value.detach(), {name: gradient for name, gradient in gradients if gradient is not None}


def output(layer: Layer, x: Tensor, tensors: Named) -> Tensor:
    """Of any layer, by torch."""
    return TORCH[type(layer)](layer, x, tensors)


def sequential(layers: Sequential, x: Tensor, tensors: Named) -> Tensor:
    for layer, own in zip(layers.layers, by_layer(layers, tensors), strict=True):
        x = output(layer, x, own)
    return x


def residual(layer: Residual, x: Tensor, tensors: Named) -> Tensor:
    branch, shortcut = zip(layer.layers, by_layer(layer, tensors), strict=True)
    return output(branch[0], x, branch[1]) + output(shortcut[0], x, shortcut[1])


def relu(layer: ReLU, x: Tensor, tensors: Named) -> Tensor:
    y = functional.leaky_relu(x, layer.leak) if layer.leak else functional.relu(x)
    return (y - layer.shift).clamp(max=layer.ceiling) if layer.ceiling is not None else y - layer.shift


def batch_norm(layer: BatchNorm, x: Tensor, own: Named) -> Tensor:
    average = own["mean"].clone(), own["variance"].clone()
    return functional.batch_norm(x, *average, own["scale"], own["shift"], layer.training, layer.momentum, EPS)


def running_batch_norm(
    layer: RunningBatchNorm, x: Tensor, own: Named, training: bool
) -> tuple[Tensor, dict[str, Tensor]]:
    """The output, and the state after it; as the course writes it, but that a single row counts as two."""
    over = (0, *range(2, x.ndim))
    state = {name: own[name] for name in layer.state}
    if training:
        of_batch = {
            "sums": x.sum(over),
            "squares": (x * x).sum(over),
            "numbers": x.new_tensor([x[:, 0].numel()]),
        }
        share = 1 - (1 - layer.momentum) / math.sqrt(max(1, len(x) - 1))
        state = {name: (1 - share) * own[name] + share * value for name, value in of_batch.items()}
        state["rows"] = own["rows"] + len(x)
    elif not state["rows"]:
        return functional.batch_norm(
            x, x.new_zeros(x.shape[1]), x.new_ones(x.shape[1]), own["scale"], own["shift"]
        ), state
    mean = state["sums"] / state["numbers"]
    variance = state["squares"] / state["numbers"] - mean**2
    variance = torch.clamp(variance, min=0.01 if state["rows"] < 20 else 0.0)
    factor = own["scale"] / torch.sqrt(variance + EPS)
    shape = (-1, *[1] * (x.ndim - 2))
    return x * factor.view(shape) + (own["shift"] - mean * factor).view(shape), state


TORCH: dict[type[Layer], Callable[[Any, Tensor, Named], Tensor]] = {
    Linear: lambda layer, x, own: functional.linear(x, own["w"].T, own.get("b")),
    Conv2d: lambda layer, x, own: functional.conv2d(x, own["w"], own.get("b"), layer.stride, layer.padding),
    MaxPool: lambda layer, x, own: functional.max_pool2d(x, layer.size, layer.stride),
    AveragePool: lambda layer, x, own: functional.avg_pool2d(x, layer.size, layer.stride),
    GlobalAveragePool: lambda layer, x, own: functional.adaptive_avg_pool2d(x, 1)[:, :, 0, 0],
    Identity: lambda layer, x, own: x,
    ReLU: relu,
    Floor: lambda layer, x, own: functional.threshold(
        x, -layer.shift, -layer.shift
    ),  # gradient 0 at its corner
    Tanh: lambda layer, x, own: torch.tanh(x),
    GELU: lambda layer, x, own: functional.gelu(x),
    Dropout: lambda layer, x, own: x * layer.mask if layer.training else x,
    Flatten: lambda layer, x, own: torch.flatten(x, 1),
    Unflatten: lambda layer, x, own: torch.unflatten(x, 1, layer.shape),
    BatchNorm: batch_norm,
    RunningBatchNorm: lambda layer, x, own: running_batch_norm(layer, x, own, layer.training)[0],
    LayerNorm: lambda layer, x, own: functional.group_norm(x, 1, own["scale"], own["shift"], EPS),
    InstanceNorm: lambda layer, x, own: functional.group_norm(x, x.shape[1], own["scale"], own["shift"], EPS),
    Sequential: sequential,
    Residual: residual,
}
