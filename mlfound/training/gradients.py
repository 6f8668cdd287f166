"""Are the gradients by hand right? Every one of them beside autograd's, in float64."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mlfound.foundations.checks import central_difference, relative_error
from mlfound.foundations.initialization import INITIALIZATIONS, mlp_parameters
from mlfound.foundations.modules import LOSSES, MLP, Dropout, Linear
from mlfound.foundations.randomness import generator
from mlfound.foundations.stages import STAGES, Stage
from mlfound.reference.autograd import loss_and_gradients
from mlfound.results import Check, Column, Table

BOUND = 1e-10  # float64 keeps about 16 digits; a wrong formula is off by far more than six of them
CHECK = "gradients by hand agree with autograd"

Sizes = tuple[int, int, int, int]


@dataclass(frozen=True)
class Case:
    """A network and a batch to take gradients of, all in float64 but for the labels."""

    parameters: Mapping[str, Tensor]
    x: Tensor
    y: Tensor
    relu_shift: float
    loss: str

    def reference(self, masks: Mapping[int, Tensor] | None = None) -> dict[str, Tensor]:
        """The loss, and by name its gradients, by torch alone; `masks`, by layer, are of what dropout leaves out."""
        value, gradients = loss_and_gradients(
            self.parameters, self.x, self.y, self.relu_shift, self.loss, masks or {}
        )
        return {"loss": value, **gradients}

    def difference(self, name: str) -> Tensor:
        """One of the gradients by its definition, out of nothing but reference losses; not for a ReLU's corner."""
        tensors = {**self.parameters, "x": self.x}

        def loss(changed: Tensor) -> Tensor:
            given = {**tensors, name: changed}
            x = given.pop("x")
            return loss_and_gradients(given, x, self.y, self.relu_shift, self.loss)[0]

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


def dropout_errors(case: Case, rate: float, input_rate: float, seed: int = 0) -> dict[str, float]:
    """The relative errors of an MLP with dropout, beside autograd with the same units left out."""
    draws = generator(seed, "dropout")
    model = MLP(case.parameters, case.relu_shift, dropout=rate, input_dropout=input_rate, generator=draws)
    loss = LOSSES[case.loss]()
    value = loss(model(case.x), case.y)
    found = {"loss": value, "x": model.backward(loss.backward()), **model.gradients}

    masks, n = dict[int, Tensor](), 1
    for layer in model.layers:
        if isinstance(layer, Dropout):
            masks[n] = layer.mask
        n += isinstance(layer, Linear)
    wanted = case.reference(masks)
    return {name: relative_error(found[name], wanted[name]) for name in wanted}


def check_gradients(
    parameters: Mapping[str, Tensor],
    x: Tensor,
    y: Tensor,
    relu_shift: float,
    loss: str,
    dropout: float = 0.0,
    input_dropout: float = 0.0,
) -> tuple[Check, Table]:
    """The MLP with these `parameters` on this small batch, input gradient included: a row a tensor."""
    case = Case({name: p.double() for name, p in parameters.items()}, x.double(), y, relu_shift, loss)
    found = errors(STAGES["modules"], case)
    if dropout or input_dropout:
        with_dropout = dropout_errors(case, dropout, input_dropout)
        found = {name: max(error, with_dropout[name]) for name, error in found.items()}
    rows = [
        (name, "x".join(map(str, wanted.shape)), wanted.abs().max().item(), found[name])
        for name, wanted in case.reference().items()
        if name != "loss"
    ]
    worst = max(found.values())
    columns = (
        Column("tensor"),
        Column("shape"),
        Column("largest_gradient", "largest gradient", ".3e"),
        Column("relative_error", "relative error", ".1e"),
    )
    return Check(CHECK, worst <= BOUND, worst, BOUND), Table(
        "gradients", f"Gradients of {len(y)} rows", columns, rows
    )
