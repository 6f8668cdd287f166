"""Each layer stores its own input, so that a model is a list: forward through it, backward in reverse.

Four similar classes that share nothing, named as in the lesson: `layers.py` moves what they repeat to a base class.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mlfound.foundations import functions as F  # noqa: N812 - short, as the lesson has it


class Lin:
    """(batch, in) to (batch, out); backward leaves `dw` and `db` and gives dx."""

    def __init__(
        self, w: Tensor, b: Tensor, input_gradient: bool = True, weight_grad: F.WeightGrad = F.weight_grad
    ) -> None:
        self.w, self.b, self.input_gradient, self.weight_grad = w, b, input_gradient, weight_grad

    def __call__(self, x: Tensor) -> Tensor:
        self.x = x
        return F.linear(x, self.w, self.b)

    def backward(self, dout: Tensor) -> Any:
        dx, self.dw, self.db = F.linear_grad(dout, self.x, self.w, self.input_gradient, self.weight_grad)
        return dx


class Relu:
    """max(x, 0) - shift."""

    def __init__(self, shift: float = 0.0) -> None:
        self.shift = shift

    def __call__(self, x: Tensor) -> Tensor:
        self.x = x
        return F.relu(x, self.shift)

    def backward(self, dout: Tensor) -> Tensor:
        return F.relu_grad(dout, self.x)


class Mse:
    """Mean squared error between one output and the digit as a number."""

    def __call__(self, out: Tensor, target: Tensor) -> Tensor:
        self.out, self.target = out, target
        return F.mse(out, target)

    def backward(self) -> Tensor:
        return F.mse_grad(1.0, self.out, self.target)


class CrossEntropy:
    """Softmax cross-entropy of one logit per class."""

    def __call__(self, out: Tensor, target: Tensor) -> Tensor:
        self.out, self.target = out, target
        return F.cross_entropy(out, target)

    def backward(self) -> Tensor:
        return F.cross_entropy_grad(1.0, self.out, self.target)


class Model:
    """Linear, ReLU, linear, loss. Each forward replaces the stored inputs, each backward the gradients."""

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        relu_shift: float = 0.0,
        loss: str = "mse",
        input_gradient: bool = True,
        weight_grad: F.WeightGrad = F.weight_grad,
    ) -> None:
        self.first = Lin(parameters["w1"], parameters["b1"], input_gradient, weight_grad)
        self.last = Lin(parameters["w2"], parameters["b2"], weight_grad=weight_grad)
        self.layers: list[Lin | Relu] = [self.first, Relu(relu_shift), self.last]
        self.loss = LOSSES[loss]()

    def __call__(self, x: Tensor, target: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.loss(x, target)

    def backward(self) -> dict[str, Any]:
        """All gradients by name, the input's as x."""
        dout = self.loss.backward()
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        first, last = self.first, self.last
        return {"w1": first.dw, "b1": first.db, "w2": last.dw, "b2": last.db, "x": dout}


LOSSES: dict[str, type[Mse] | type[CrossEntropy]] = {
    "mse": Mse,
    "cross-entropy": CrossEntropy,
}
