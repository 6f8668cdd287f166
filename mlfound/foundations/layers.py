"""Layers: a base class stores the input, so that a layer is its formula and its gradient; containers are layers too.

    model = Sequential(Linear(784, 50), ReLU(), Linear(50, 10))
    model.bind(parameters)  # tensors under the names of `model.parameters`: 1.w, 1.b, 3.w, 3.b
    loss = CrossEntropy()
    loss(model(x, training=True), y)
    model.backward(loss.backward())  # leaves model.gradients, under the same names

Each call replaces the stored input, and each backward the gradients: nothing accumulates, there is nothing to set to
zero. Training and inference differ by the argument of the call.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from copy import copy, deepcopy
from itertools import accumulate
from operator import or_
from typing import Any, NamedTuple, TypeVar

from torch import Generator, Tensor

from mlfound.foundations import functions as F  # noqa: N812 - short, as the lesson has it
from mlfound.foundations.convolution import output_size

Shape = tuple[int, ...]
T = TypeVar("T")


class Parameter(NamedTuple):
    """A tensor that a layer needs: its shape, and the constant it starts at; None: an initialisation draws it."""

    shape: Shape
    start: float | None = None


class Layer:
    """Base class. A layer implements `forward` and `gradient`, and names the tensors it needs.

    `parameters` are learned: `gradient` leaves `dw` for a `w`. `state` is not: forward may change it in training.
    """

    parameters: Mapping[str, Parameter] = {}
    state: Mapping[str, Parameter] = {}
    training, input_gradient = False, True  # of the last call, and of the last backward
    generator: Generator | None = None  # of the random numbers that training draws
    x: Any

    def bind(self, tensors: Mapping[str, Tensor], generator: Generator | None = None) -> None:
        """Use these tensors, by name, for parameters and state: they are shared with the caller."""
        self.generator = generator
        for name in (*self.parameters, *self.state):
            setattr(self, name, tensors[name])

    def __call__(self, x: Tensor, training: bool = False) -> Tensor:
        """The output; `x` is stored for `backward`."""
        self.x, self.training = x, training
        return self.forward(x)

    def backward(self, dout: Tensor, input_gradient: bool = True) -> Any:
        """From the gradient of the output to that of the last call's input, which is None if it is not wanted."""
        self.input_gradient = input_gradient
        return self.gradient(dout, self.x)

    def forward(self, x: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} has no forward")

    def gradient(self, dout: Tensor, x: Tensor) -> Any:
        raise TypeError(f"{type(self).__name__} has no gradient")

    def output_shape(self, shape: Shape) -> Shape:
        """For an input of this `shape`, (batch, ...)."""
        return shape

    @property
    def gradients(self) -> dict[str, Tensor]:
        """Those that the last backward left, under the names of their parameters."""
        return {name: getattr(self, f"d{name}") for name in self.parameters}


class Linear(Layer):
    """(batch, in) to (batch, out) with `w` (in, out) and, unless a norm follows, which shifts too, `b` (out,)."""

    w: Tensor
    b: Tensor | None = None

    def __init__(
        self, fan_in: int, fan_out: int, weight_grad: F.WeightGrad = F.weight_grad, bias: bool = True
    ) -> None:
        self.parameters = {"w": Parameter((fan_in, fan_out)), **biases(fan_out, bias)}
        self.outputs, self.weight_grad = fan_out, weight_grad

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.w, self.b)

    def gradient(self, dout: Tensor, x: Tensor) -> Any:
        dx, self.dw, self.db = F.linear_grad(dout, x, self.w, self.input_gradient, self.weight_grad)
        return dx

    def output_shape(self, shape: Shape) -> Shape:
        return *shape[:-1], self.outputs


def biases(outputs: int, wanted: bool) -> dict[str, Parameter]:
    """The parameter `b`, or none."""
    return {"b": Parameter((outputs,), 0.0)} if wanted else {}


class Conv2d(Layer):
    """(batch, in, rows, columns) to (batch, out, down, across) with `w` (out, in, size, size), `b` as in Linear."""

    w: Tensor
    b: Tensor | None = None

    def __init__(
        self, channels: int, out: int, size: int, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        self.parameters = {"w": Parameter((out, channels, size, size)), **biases(out, bias)}
        self.size, self.stride, self.padding, self.outputs = (size, size), stride, padding, out

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.w, self.b, self.stride, self.padding)

    def gradient(self, dout: Tensor, x: Tensor) -> Any:
        options = self.stride, self.padding, self.input_gradient
        dx, self.dw, self.db = F.conv2d_grad(dout, x, self.w, *options)
        return dx

    def output_shape(self, shape: Shape) -> Shape:
        image = output_size(shape[2:], self.size, self.stride, self.padding)
        return shape[0], self.outputs, *image


class Pool(Layer):
    """(batch, channels, rows, columns) to (batch, channels, down, across): one number for each window."""

    def __init__(self, size: int, stride: int) -> None:
        self.size, self.stride = (size, size), stride

    def output_shape(self, shape: Shape) -> Shape:
        return *shape[:2], *output_size(shape[2:], self.size, self.stride)


class MaxPool(Pool):
    """The largest number of each window."""

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool(x, self.size, self.stride)

    def gradient(self, dout: Tensor, x: Tensor) -> Tensor:
        return F.max_pool_grad(dout, x, self.size, self.stride)


class AveragePool(Pool):
    """The mean of each window."""

    def forward(self, x: Tensor) -> Tensor:
        return F.average_pool(x, self.size, self.stride)

    def gradient(self, dout: Tensor, x: Tensor) -> Tensor:
        return F.average_pool_grad(dout, x, self.size, self.stride)


class GlobalAveragePool(Layer):
    """The mean of each channel: (batch, channels, rows, columns) to (batch, channels)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.global_average_pool(x)

    def gradient(self, dout: Tensor, x: Tensor) -> Tensor:
        return F.global_average_pool_grad(dout, x)

    def output_shape(self, shape: Shape) -> Shape:
        return shape[:2]


class Dropout(Layer):
    """In training it zeroes each element with probability `rate`, with a new mask at every call."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        assert self.generator is not None, "dropout draws its masks from a generator: bind one"
        self.mask = F.dropout_mask(x, self.rate, self.generator)
        return F.dropout(x, self.mask)

    def gradient(self, dout: Tensor, x: Tensor) -> Tensor:
        return F.dropout_grad(dout, self.mask) if self.training else dout


class Flatten(Layer):
    """(batch, ...) to (batch, features)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def gradient(self, dout: Tensor, x: Tensor) -> Tensor:
        return dout.view_as(x)

    def output_shape(self, shape: Shape) -> Shape:
        return shape[0], math.prod(shape[1:])


class Unflatten(Layer):
    """(batch, features) to (batch, *shape): of a row of pixels an image."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), *self.shape)

    def gradient(self, dout: Tensor, x: Tensor) -> Tensor:
        return dout.flatten(1)

    def output_shape(self, shape: Shape) -> Shape:
        return shape[0], *self.shape


class Container(Layer):
    """Layers inside a layer. Their names have the position before them, from 1: `1.w`."""

    def __init__(self, *layers: Layer) -> None:
        self.layers = layers
        self.parameters, self.state = self.prefixed("parameters"), self.prefixed("state")

    def prefixed(self, of: str) -> dict[str, Any]:
        """Something that every layer has by name, of all layers."""
        every = ((n, getattr(layer, of)) for n, layer in enumerate(self.layers, 1))
        return {f"{n}.{name}": value for n, named in every for name, value in named.items()}

    def bind(self, tensors: Mapping[str, Tensor], generator: Generator | None = None) -> None:
        for layer, own in zip(self.layers, by_layer(self, tensors), strict=True):
            layer.bind(own, generator)

    def input_shapes(self, shape: Shape) -> list[Shape]:
        """Of what each layer inside gets, for an input of this `shape`, (batch, ...)."""
        raise NotImplementedError

    @property
    def gradients(self) -> dict[str, Tensor]:
        return self.prefixed("gradients")


class Sequential(Container):
    """One layer after the other."""

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, self.training)
        return x

    def gradient(self, dout: Tensor, x: Tensor) -> Any:
        for layer, before in zip(reversed(self.layers), reversed(learning_before(self)), strict=True):
            dout = layer.backward(dout, self.input_gradient or before)
            if not (self.input_gradient or before):
                return None
        return dout

    def input_shapes(self, shape: Shape) -> list[Shape]:
        """A ValueError that names the layer where there is nothing left for it."""
        return self.shapes(shape)[:-1]

    def output_shape(self, shape: Shape) -> Shape:
        return self.shapes(shape)[-1]

    def shapes(self, shape: Shape) -> list[Shape]:
        """From the input's to the output's."""
        shapes = [shape]
        for n, layer in enumerate(self.layers, 1):
            try:
                shapes.append(layer.output_shape(shapes[-1]))
            except ValueError as error:
                raise ValueError(f"layer {n}, {type(layer).__name__}: {error}") from None
        return shapes


class Residual(Container):
    """The layers' output, the branch, + the shortcut's, of the same shape; without one + x (He et al. 2016).

    Names: `1.1.w` of the first layer in the branch, `2.w` of a shortcut that is one layer.
    """

    def __init__(self, *layers: Layer, shortcut: Layer | None = None) -> None:
        super().__init__(Sequential(*layers), shortcut or Sequential())

    def forward(self, x: Tensor) -> Tensor:
        branch, shortcut = self.layers
        return branch(x, self.training) + shortcut(x, self.training)

    def gradient(self, dout: Tensor, x: Tensor) -> Any:
        dx, of_shortcut = (layer.backward(dout, self.input_gradient) for layer in self.layers)
        return dx + of_shortcut if self.input_gradient else None

    def input_shapes(self, shape: Shape) -> list[Shape]:
        return [shape, shape]

    def output_shape(self, shape: Shape) -> Shape:
        branch, shortcut = (layer.output_shape(shape) for layer in self.layers)
        if branch != shortcut:
            raise ValueError(f"a branch of {branch[1:]} cannot be added to a shortcut of {shortcut[1:]}")
        return branch


def every(layer: Layer) -> Iterator[Layer]:
    """A layer and all that it contains."""
    yield layer
    if isinstance(layer, Container):
        for inner in layer.layers:
            yield from every(inner)


def leaves(layer: Layer) -> Iterator[Layer]:
    """The layers that are no containers, in their order."""
    return (each for each in every(layer) if not isinstance(each, Container))


def leaf_inputs(layer: Layer, shape: Shape) -> Iterator[tuple[Layer, Shape]]:
    """The same, each with the shape of what it gets for an input of this `shape`, (batch, ...)."""
    if not isinstance(layer, Container):
        yield layer, shape
        return
    for inner, own in zip(layer.layers, layer.input_shapes(shape), strict=True):
        yield from leaf_inputs(inner, own)


def learning_before(layers: Sequential) -> list[bool]:
    """Of each layer whether one before it has parameters, for which its gradient is wanted."""
    return [*accumulate((bool(layer.parameters) for layer in layers.layers), or_, initial=False)][:-1]


def mapped(layer: Layer, replaced: Callable[[Layer], Layer]) -> Layer:
    """`replaced` of a layer; of a container, of a copy that has this of each of its layers."""
    if isinstance(layer, Container):
        layer, inner = copy(layer), layer.layers
        layer.layers = tuple(mapped(each, replaced) for each in inner)
    return replaced(layer)


def bound(
    layers: Sequential, tensors: Mapping[str, Tensor], generator: Generator | None = None
) -> Sequential:
    """A copy of these layers with these tensors."""
    copy = deepcopy(layers)
    copy.bind(tensors, generator)
    return copy


def by_layer(container: Container, tensors: Mapping[str, T]) -> list[dict[str, T]]:
    """Those of each of its layers, under the layer's own names."""
    parts = [dict[str, T]() for _ in container.layers]
    for name, tensor in tensors.items():
        n, _, own = name.partition(".")
        parts[int(n) - 1][own] = tensor
    return parts


class Loss:
    """The mean over a batch, and its gradient: `loss(out, target)`, then `loss.backward()`."""

    def __init__(self, name: str) -> None:
        self.name, (self.formula, self.formula_grad) = name, F.LOSSES[name]

    def __call__(self, out: Tensor, target: Tensor) -> Tensor:
        """A 0-d tensor; `target` (batch,) are labels, or the digits as numbers for `mse`."""
        self.args = out, target
        return self.formula(out, target)

    def backward(self) -> Tensor:
        """The gradient with respect to `out`."""
        return self.formula_grad(1.0, *self.args)
