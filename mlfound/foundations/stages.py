"""The ladder of backward passes: from functions to modules, each stage changes one thing in the one before.

All take parameters, input and target, and yield the loss, then the gradients by name:
`value, gradients = stage(...)` runs both halves, `next` only the first. See `functions.forward_and_backward`.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from torch import Tensor

from mlfound.foundations import functions
from mlfound.foundations.classes import Model
from mlfound.foundations.modules import LOSSES, MLP

Stage = Callable[..., Iterator[Any]]


def classes(
    parameters: Mapping[str, Tensor],
    x: Tensor,
    target: Tensor,
    relu_shift: float = 0.0,
    loss: str = "mse",
    input_gradient: bool = True,
    weight_grad: functions.WeightGrad = functions.weight_grad,
) -> Iterator[Any]:
    """Every layer is an object that stores its input. Gradients are replaced, never accumulated."""
    model = Model(parameters, relu_shift, loss, input_gradient, weight_grad)
    yield model(x, target)

    yield model.backward()


def modules(
    parameters: Mapping[str, Tensor],
    x: Tensor,
    target: Tensor,
    relu_shift: float = 0.0,
    loss: str = "mse",
    input_gradient: bool = True,
    weight_grad: functions.WeightGrad = functions.weight_grad,
) -> Iterator[Any]:
    """A base class stores the inputs of all layers; any depth. Gradients are replaced, never accumulated."""
    model, criterion = MLP(parameters, relu_shift, input_gradient, weight_grad), LOSSES[loss]()
    yield criterion(model(x), target)

    dx = model.backward(criterion.backward())
    yield {**model.gradients, "x": dx}


STAGES: dict[str, Stage] = {
    "functions": functions.forward_and_backward,
    "classes-outer": partial(classes, weight_grad=functions.weight_grad_outer),
    "classes": classes,
    "modules-einsum": partial(modules, weight_grad=functions.weight_grad_einsum),
    "modules": modules,
}
