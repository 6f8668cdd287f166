"""The cases that every stage's gradients are checked in: sizes and numbers at which gradients go wrong."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mlfound.foundations.checks import central_difference, relative_error
from mlfound.foundations.initialization import INITIALIZATIONS, mlp_parameters
from mlfound.foundations.randomness import generator
from mlfound.foundations.stages import Stage
from mlfound.reference.torch_functional import torch_functional

Sizes = tuple[int, int, int, int]  # rows, inputs, hidden units, classes

ODD: Sizes = (7, 11, 5, 3)
SIZES = {"odd sizes": ODD, "square": (5, 5, 5, 5), "one row": (1, 11, 5, 3), "one hidden unit": (7, 11, 1, 3)}
EDGES = ("dead ReLUs", "rows of zeros", "outputs of 1e4")


@dataclass(frozen=True)
class Case:
    """A network and a batch to take gradients of, all in float64 but for the labels."""

    parameters: Mapping[str, Tensor]
    x: Tensor
    y: Tensor
    relu_shift: float
    loss: str

    def reference(self) -> dict[str, Tensor]:
        """The loss, and by name its gradients, by torch alone."""
        value, gradients = torch_functional(self.parameters, self.x, self.y, self.relu_shift, self.loss)
        return {"loss": value, **gradients}

    def difference(self, name: str) -> Tensor:
        """One of the gradients by its definition, out of nothing but reference losses; not for a ReLU's corner."""
        tensors = {**self.parameters, "x": self.x}

        def loss(changed: Tensor) -> Tensor:
            given = {**tensors, name: changed}
            x = given.pop("x")
            loss: Tensor = next(torch_functional(given, x, self.y, self.relu_shift, self.loss))
            return loss

        return central_difference(loss, tensors[name])


def errors(stage: Stage, case: Case) -> dict[str, float]:
    """The relative error of the loss and of every gradient.

    Forward twice, then backward twice: each must be right, so what is added instead of replaced is wrong.
    """
    passes = [stage(case.parameters, case.x, case.y, case.relu_shift, case.loss) for _ in range(2)]
    losses = [next(each) for each in passes]
    found = [{"loss": loss, **next(each)} for loss, each in zip(losses, passes, strict=True)]
    wanted = case.reference()
    return {name: max(relative_error(each[name], wanted[name]) for each in found) for name in wanted}


def draw(sizes: Sizes, relu_shift: float, loss: str, seed: int = 0, edge: str | None = None) -> Case:
    """A random case, at one of the EDGES if it is named; mse has one output, whatever the classes."""
    rows, inputs, hidden, classes = sizes
    random, outputs = generator(seed, "gradients"), 1 if loss == "mse" else classes
    parameters = mlp_parameters((inputs, hidden, outputs), INITIALIZATIONS["kaiming"], random)
    for name in ("b1", "b2"):
        parameters[name] = 0.1 * torch.randn(parameters[name].shape, generator=random)
    parameters = {name: p.double() for name, p in parameters.items()}
    x = torch.randn(rows, inputs, generator=random).double()
    y = torch.randint(classes, (rows,), generator=random)

    if edge == "dead ReLUs":  # no hidden unit is above 0 for any row
        parameters["b1"].sub_(1e3)
    elif edge == "rows of zeros":  # some hidden units stand exactly in the corner of the ReLU
        x[::2] = 0.0
        parameters["b1"].zero_()
    elif edge == "outputs of 1e4":  # exp overflows; the first row has another label: its loss is huge, too
        parameters["b2"][-1] = 1e4
        y[0] = 0
    return Case(parameters, x, y, relu_shift, loss)


def situations(relu_shift: float, loss: str, seed: int = 0) -> Iterator[tuple[str, Case]]:
    """What gradients go wrong at, by name."""
    for name, sizes in SIZES.items():
        yield name, draw(sizes, relu_shift, loss, seed)
    for edge in EDGES:
        yield edge, draw(ODD, relu_shift, loss, seed, edge)
