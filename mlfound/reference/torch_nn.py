"""The network in idiomatic torch: an nn.Module, autograd, and torch.optim."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from torch import Tensor, nn
from torch.nn import functional

from mlfound.foundations.activations import GELU, Floor, Identity, ReLU, Tanh
from mlfound.foundations.layers import (
    AveragePool,
    Conv2d,
    Flatten,
    GlobalAveragePool,
    Layer,
    Linear,
    MaxPool,
    Residual,
    Sequential,
    Unflatten,
    within,
)
from mlfound.foundations.optimizers import SGD, Optimizer
from mlfound.foundations.stages import lesson_model
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
    """x + the layers' output."""

    def __init__(self, layer: Residual, tensors: Named) -> None:
        super().__init__()
        self.layers = sequential(layer, tensors)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = x + self.layers(x)
        return output


def sequential(model: Sequential, tensors: Named) -> nn.Sequential:
    modules = (MODULES[type(layer)](layer, within(tensors, n)) for n, layer in enumerate(model.layers, 1))
    return nn.Sequential(*modules)


def linear(layer: Linear, tensors: Named) -> nn.Linear:
    w, b = tensors["w"], tensors["b"]
    made: nn.Linear = nn.utils.skip_init(nn.Linear, *w.shape, device=w.device, dtype=w.dtype)  # type: ignore[no-untyped-call]
    made.load_state_dict({"weight": w.T, "bias": b})
    return made


def conv2d(layer: Conv2d, tensors: Named) -> nn.Conv2d:
    w, b = tensors["w"], tensors["b"]
    options: dict[str, Any] = {"stride": layer.stride, "padding": layer.padding}
    made: nn.Conv2d = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Conv2d, w.shape[1], w.shape[0], layer.size, **options, device=w.device, dtype=w.dtype
    )
    made.load_state_dict({"weight": w, "bias": b})
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
