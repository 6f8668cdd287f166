"""The ladder of backward passes: from functions to modules, each stage changes one thing in the one before.

All take parameters, input and target, and yield the loss, then the gradients by name:
`value, gradients = stage(...)` runs both halves, `next` only the first. See `functions.forward_and_backward`.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from torch import Tensor

from mlfound.foundations import functions
from mlfound.foundations.activations import ReLU
from mlfound.foundations.classes import Model
from mlfound.foundations.layers import Layer, Linear, Loss, Sequential

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
    """A base class stores the inputs of all layers, and a list of layers is one, too. Gradients are replaced."""
    model, names = lesson_model(parameters, relu_shift, weight_grad)
    model.bind({name: parameters[lessons] for name, lessons in names.items()})
    criterion = Loss(loss)
    yield criterion(model(x), target)

    dx = model.backward(criterion.backward(), input_gradient)
    yield {**{names[name]: gradient for name, gradient in model.gradients.items()}, "x": dx}


def lesson_model(
    parameters: Mapping[str, Tensor],
    relu_shift: float,
    weight_grad: functions.WeightGrad = functions.weight_grad,
) -> tuple[Sequential, dict[str, str]]:
    """The layers of these parameters w1, b1, w2, ..., a ReLU between each two; and for each of its names theirs."""
    layers: list[Layer] = []
    for fan_in, fan_out in (w.shape for name, w in parameters.items() if name.startswith("w")):
        layers += [*([ReLU(shift=relu_shift)] if layers else []), Linear(fan_in, fan_out, weight_grad)]
    model = Sequential(*layers)
    return model, dict(zip(model.parameters, parameters, strict=True))


STAGES: dict[str, Stage] = {
    "functions": functions.forward_and_backward,
    "classes-outer": partial(classes, weight_grad=functions.weight_grad_outer),
    "classes": classes,
    "modules-einsum": partial(modules, weight_grad=functions.weight_grad_einsum),
    "modules": modules,
}
