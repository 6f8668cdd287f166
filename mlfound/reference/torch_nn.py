"""The network in idiomatic torch: an nn.Module, autograd, and torch.optim."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from torch import Tensor, nn
from torch.nn import functional

from mlfound.foundations.activations import GELU, Floor, Identity, ReLU, Tanh
from mlfound.foundations.layers import (
    AveragePool,
    Container,
    Conv2d,
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
from mlfound.foundations.norms import (
    EPS,
    MOMENTUM,
    BatchNorm,
    InstanceNorm,
    LayerNorm,
    Norm,
    RunningBatchNorm,
)
from mlfound.foundations.optimizers import SGD, Optimizer
from mlfound.foundations.stages import lesson_model
from mlfound.reference.autograd import running_batch_norm
from mlfound.reference.torch_optim import optimizer_for

Named = Mapping[str, Tensor]


class Recipe(Protocol):
    """What is to be trained, and how; `max_norm` is of the weights into hidden units."""

    @property
    def model(self) -> Sequential: ...
    @property
    def optimizer(self) -> Optimizer: ...
    @property
    def loss(self) -> str: ...
    @property
    def max_norm(self) -> float: ...


class Network(nn.Module):
    """torch's own modules for a list of layers, with these initial `tensors` (ours: 1.w (in, out), 1.b, ...)."""

    def __init__(self, model: Sequential, tensors: Named) -> None:
        super().__init__()
        self.names = list(model.parameters)
        self.layers = sequential(model, tensors)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.layers(x)
        return output

    def named(self, tensors: Iterator[Tensor]) -> dict[str, Tensor]:
        """`tensors`, one per parameter, under our names and in our layout."""
        ours = (tensor.T if tensor.ndim == 2 else tensor for tensor in tensors)
        return dict(zip(self.names, ours, strict=True))

    def weights(self) -> dict[str, Tensor]:
        """A copy of the parameters, in our layout."""
        return self.named(p.detach().clone() for p in self.parameters())


class GeneralReLU(nn.Module):
    """max(x, 0), or leaky, minus `shift`, at most `ceiling`: torch has no module for it."""

    def __init__(self, layer: ReLU) -> None:
        super().__init__()
        self.leak, self.shift, self.ceiling = layer.leak, layer.shift, layer.ceiling

    def forward(self, x: Tensor) -> Tensor:
        x = functional.leaky_relu(x, self.leak) if self.leak else functional.relu(x)
        x = x - self.shift if self.shift else x
        return x if self.ceiling is None else x.clamp(max=self.ceiling)


class ResidualModule(nn.Module):
    """What the branch gives + what the shortcut gives."""

    def __init__(self, layer: Residual, tensors: Named) -> None:
        super().__init__()
        self.branch, self.shortcut = sequential(layer, tensors)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.branch(x) + self.shortcut(x)
        return output


def sequential(model: Container, tensors: Named) -> nn.Sequential:
    """Modules for the layers inside."""
    each = zip(model.layers, by_layer(model, tensors), strict=True)
    return nn.Sequential(*(MODULES[type(layer)](layer, own) for layer, own in each))


def linear(layer: Linear, tensors: Named) -> nn.Linear:
    w, bias = tensors["w"], biases(tensors)
    made: nn.Linear = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Linear, *w.shape, bias=bool(bias), device=w.device, dtype=w.dtype
    )
    made.load_state_dict({"weight": w.T, **bias})
    return made


def conv2d(layer: Conv2d, tensors: Named) -> nn.Conv2d:
    w, bias = tensors["w"], biases(tensors)
    options: dict[str, Any] = {"stride": layer.stride, "padding": layer.padding, "bias": bool(bias)}
    made: nn.Conv2d = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Conv2d, w.shape[1], w.shape[0], layer.size, **options, device=w.device, dtype=w.dtype
    )
    made.load_state_dict({"weight": w, **bias})
    return made


def biases(tensors: Named) -> dict[str, Tensor]:
    """Under torch's name, where there are any."""
    return {"bias": tensors["b"]} if "b" in tensors else {}


class BatchNormModule(nn.BatchNorm2d):
    """For features as well: torch has a class for each number of axes, which this layer does not know."""

    def _check_input_dim(self, x: Tensor) -> None:
        """Any number of axes."""


class RunningBatchNormModule(nn.Module):
    """The course's; torch has no module for it."""

    def __init__(self, layer: RunningBatchNorm, tensors: Named) -> None:
        super().__init__()
        self.weight, self.bias = (nn.Parameter(tensors[name].clone()) for name in layer.parameters)
        for name in layer.state:
            self.register_buffer(name, tensors[name].clone())
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        own = {"scale": self.weight, "shift": self.bias, **dict(self.named_buffers())}
        out, state = running_batch_norm(self.layer, x, own, training=True)
        for name, value in state.items():
            own[name].copy_(value.detach())
        return out


def norm(make: Callable[[int], nn.Module]) -> Callable[[Norm, Named], nn.Module]:
    """torch's module for a layer, which has parameters and buffers at its usual constants."""

    def made(layer: Norm, tensors: Named) -> nn.Module:
        module = make(layer.channels).to(tensors["scale"])
        names = {"weight": "scale", "bias": "shift", "running_mean": "mean", "running_var": "variance"}
        for name, ours in names.items():
            if ours in tensors:
                getattr(module, name).data.copy_(tensors[ours])
        return module

    return made


MODULES: dict[type[Layer], Callable[[Any, Named], nn.Module]] = {
    Linear: linear,
    Conv2d: conv2d,
    MaxPool: lambda layer, own: nn.MaxPool2d(layer.size, layer.stride),
    AveragePool: lambda layer, own: nn.AvgPool2d(layer.size, layer.stride),
    GlobalAveragePool: lambda layer, own: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    Identity: lambda layer, own: nn.Identity(),
    ReLU: lambda layer, own: GeneralReLU(layer),
    Floor: lambda layer, own: nn.Threshold(-layer.shift, -layer.shift),
    Tanh: lambda layer, own: nn.Tanh(),
    GELU: lambda layer, own: nn.GELU(),
    Flatten: lambda layer, own: nn.Flatten(),
    Unflatten: lambda layer, own: nn.Unflatten(1, layer.shape),
    BatchNorm: norm(lambda channels: BatchNormModule(channels, EPS, MOMENTUM)),
    RunningBatchNorm: RunningBatchNormModule,
    LayerNorm: norm(lambda channels: nn.GroupNorm(1, channels, EPS)),
    InstanceNorm: norm(lambda channels: nn.GroupNorm(channels, channels, EPS)),
    Sequential: sequential,
    Residual: ResidualModule,
}
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": lambda out, y: functional.mse_loss(out.squeeze(-1), y.to(out.dtype)),
    "cross-entropy": functional.cross_entropy,
}


def torch_nn(
    parameters: Named,
    x: Tensor,
    target: Tensor,
    relu_shift: float = 0.0,
    loss: str = "mse",
    input_gradient: bool = True,
) -> Iterator[Any]:
    """Yields the loss, then its gradients by the names of the parameters, and of the input as `x`."""
    model, names = lesson_model(parameters, relu_shift)
    # not below: making the network is not part of its forward pass
    network = Network(model, {name: parameters[lessons] for name, lessons in names.items()})
    network.names = list(parameters)
    return forward_and_backward(network, x.detach().requires_grad_(input_gradient), target, loss)


def forward_and_backward(network: Network, x: Tensor, target: Tensor, loss: str) -> Iterator[Any]:
    """Yields the loss, then the gradients."""
    value = LOSSES[loss](network(x), target)
    yield value.detach()

    value.backward()  # type: ignore[no-untyped-call]
    gradients = network.named(p.grad for p in network.parameters() if p.grad is not None)
    yield {**gradients, "x": x.grad}


def trainer(
    recipe: Recipe, tensors: Named, x: Tensor, y: Tensor, lr: float, momentum: float
) -> Callable[[Tensor], dict[str, Tensor]]:
    """A training as a function of an order (steps, batch size) of image numbers, at constant rates.

    Every call starts at `tensors` and returns the final weights. On a GPU the optimiser is fused, which is one kernel
    there. On a CPU SGD has its defaults (to fuse it saves some 7% of a small network's step); Adam is fused.
    """
    loss_of, y = LOSSES[recipe.loss], target(recipe, x, y)
    fused = x.is_cuda or not isinstance(recipe.optimizer, SGD)

    def train(order: Tensor) -> dict[str, Tensor]:
        network = Network(recipe.model, tensors)
        optimizer = optimizer_for(recipe.optimizer, network.parameters(), lr, momentum, fused=fused)
        for rows in order:
            optimizer.zero_grad()
            loss = loss_of(network(x.index_select(0, rows)), y.index_select(0, rows))
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return network.weights()

    return train


def target(recipe: Recipe, x: Tensor, y: Tensor) -> Tensor:
    """The labels as the loss takes them: for mse in the type of `x`."""
    return y.to(x.dtype) if recipe.loss == "mse" else y
