"""A base class stores the input of a layer, so that a layer is its formula and its gradient.

`model(x)`, `loss(model(x), y)`, then `loss.backward()` into `model.backward(dout)`. Each call replaces the
stored input, and each backward the gradients: nothing accumulates, there is nothing to set to zero.
"""

from collections.abc import Mapping
from typing import Any

from torch import Generator, Tensor

from mlfound.foundations import functions as F  # noqa: N812 - short, as the lesson has it


class Module:
    """Base class: calls run forward, then `backward`. Layers implement `forward` and `gradient`."""

    args: tuple[Any, ...]

    def __call__(self, *args: Tensor) -> Tensor:
        """Store the input and return the output."""
        self.args = args
        return self.forward(*args)

    def backward(self, dout: Any = 1.0) -> Any:
        """From the gradient of the output (1 for a loss) to that of the first input, at the last call's input."""
        return self.gradient(dout, *self.args)

    def forward(self, *args: Any) -> Tensor:
        raise TypeError(f"{type(self).__name__} has no forward")

    def gradient(self, dout: Any, *args: Any) -> Any:
        raise TypeError(f"{type(self).__name__} has no gradient")


class Linear(Module):
    """(batch, in) to (batch, out) with `w` (in, out) and `b` (out,); backward leaves `dw` and `db`."""

    def __init__(
        self, w: Tensor, b: Tensor, input_gradient: bool = True, weight_grad: F.WeightGrad = F.weight_grad
    ) -> None:
        self.w, self.b, self.input_gradient, self.weight_grad = w, b, input_gradient, weight_grad

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.w, self.b)

    def gradient(self, dout: Tensor, x: Tensor) -> Any:
        dx, self.dw, self.db = F.linear_grad(dout, x, self.w, self.input_gradient, self.weight_grad)
        return dx


class ShiftedReLU(Module):
    """max(x, 0) - shift."""

    def __init__(self, shift: float = 0.0) -> None:
        self.shift = shift

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x, self.shift)

    def gradient(self, dout: Tensor, x: Tensor) -> Tensor:
        return F.relu_grad(dout, x)


class Dropout(Module):
    """Zeroes each element with probability `rate`, with a new mask at every call. For training only."""

    def __init__(self, rate: float, generator: Generator) -> None:
        self.rate, self.generator = rate, generator

    def forward(self, x: Tensor) -> Tensor:
        self.mask = F.dropout_mask(x, self.rate, self.generator)
        return F.dropout(x, self.mask)

    def gradient(self, dout: Tensor, x: Tensor) -> Tensor:
        return F.dropout_grad(dout, self.mask)


class MSE(Module):
    """Mean squared error between one output and the digit as a number."""

    def forward(self, out: Tensor, target: Tensor) -> Tensor:
        return F.mse(out, target)

    def gradient(self, dout: float, out: Tensor, target: Tensor) -> Tensor:
        return F.mse_grad(dout, out, target)


class CrossEntropy(Module):
    """Softmax cross-entropy of one logit per class."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(logits, target)

    def gradient(self, dout: float, logits: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy_grad(dout, logits, target)


class MLP(Module):
    """Linear layers with a shifted ReLU between each two, of any depth: one layer is the linear model.

    `parameters` are w1, b1, w2, b2, ... by name, shared with the caller: a step that changes them in place
    changes the model. Without `input_gradient` backward stops at the first layer's weights and returns None.
    With a `generator` it drops `input_dropout` of the inputs and `dropout` of the hidden units; the same
    parameters in an MLP without one are the model at inference.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        relu_shift: float = 0.0,
        input_gradient: bool = True,
        weight_grad: F.WeightGrad = F.weight_grad,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        generator: Generator | None = None,
    ) -> None:
        self.parameters = parameters
        self.relu_shift = relu_shift
        self.linears = [
            Linear(parameters[f"w{n}"], parameters[f"b{n}"], input_gradient or n > 1, weight_grad)
            for n in range(1, len(parameters) // 2 + 1)
        ]

        def dropped(rate: float) -> list[Module]:
            return [Dropout(rate, generator)] if rate and generator else []

        self.layers: list[Module] = [*dropped(input_dropout), self.linears[0]]
        for layer in self.linears[1:]:
            self.layers += [ShiftedReLU(relu_shift), *dropped(dropout), layer]

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x

    def gradient(self, dout: Tensor, x: Tensor) -> Tensor | None:
        for layer in reversed(self.layers):
            if dout is not None:
                dout = layer.backward(dout)
        return dout

    @property
    def gradients(self) -> dict[str, Tensor]:
        """The gradients of the last backward, under the names of their parameters."""
        layers = list(enumerate(self.linears, 1))
        return {f"{kind}{n}": getattr(layer, f"d{kind}") for n, layer in layers for kind in "wb"}


LOSSES: dict[str, type[Module]] = {
    "mse": MSE,
    "cross-entropy": CrossEntropy,
}
