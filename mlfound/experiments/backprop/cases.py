"""The cases that every stage's gradients are checked in: sizes and numbers at which gradients go wrong."""

from collections.abc import Iterator

import torch

from mlfound.foundations.initialization import INITIALIZATIONS, mlp_parameters
from mlfound.foundations.randomness import generator
from mlfound.training.gradients import Case

Sizes = tuple[int, int, int, int]


def draw(sizes: Sizes, relu_shift: float, loss: str, seed: int = 0) -> Case:
    """A random case of (rows, inputs, hidden units, classes); mse has one output, whatever the classes."""
    rows, inputs, hidden, classes = sizes
    draws = generator(seed, "gradients")
    parameters = mlp_parameters(
        (inputs, hidden, 1 if loss == "mse" else classes), INITIALIZATIONS["kaiming"], draws
    )
    for name in ("b1", "b2"):
        parameters[name] = 0.1 * torch.randn(parameters[name].shape, generator=draws)
    doubles = {name: p.double() for name, p in parameters.items()}
    x, y = torch.randn(rows, inputs, generator=draws), torch.randint(classes, (rows,), generator=draws)
    return Case(doubles, x.double(), y, relu_shift, loss)


def situations(relu_shift: float, loss: str, seed: int = 0) -> Iterator[tuple[str, Case]]:
    """What gradients go wrong at, by name."""
    yield "odd sizes", draw((7, 11, 5, 3), relu_shift, loss, seed)
    yield "square", draw((5, 5, 5, 5), relu_shift, loss, seed)
    yield "one row", draw((1, 11, 5, 3), relu_shift, loss, seed)
    yield "one hidden unit", draw((7, 11, 1, 3), relu_shift, loss, seed)
    for name, change in EDGES.items():
        case = draw((7, 11, 5, 3), relu_shift, loss, seed)
        change(case)
        yield name, case


def dead_relus(case: Case) -> None:
    """No hidden unit is above 0 for any row."""
    case.parameters["b1"].sub_(1e3)


def zero_rows(case: Case) -> None:
    """Some hidden units stand exactly in the corner of the ReLU."""
    case.x[::2] = 0.0
    case.parameters["b1"].zero_()


def huge_outputs(case: Case) -> None:
    """An output of 1e4, whose exp overflows; the first row has another label, so that the loss is huge, too."""
    case.parameters["b2"][-1] = 1e4
    case.y[0] = 0


EDGES = {"dead ReLUs": dead_relus, "rows of zeros": zero_rows, "outputs of 1e4": huge_outputs}
