"""Are the gradients by hand right? Every one of them beside autograd's, in float64."""

from collections.abc import Mapping

from torch import Tensor

from mlfound.foundations.checks import relative_error
from mlfound.foundations.modules import LOSSES, MLP
from mlfound.reference.autograd import loss_and_gradients
from mlfound.results import Check, Column, Table

BOUND = 1e-10  # float64 keeps about 16 digits; a wrong formula is off by far more than six of them
CHECK = "gradients by hand agree with autograd"


def check_gradients(
    parameters: Mapping[str, Tensor], x: Tensor, y: Tensor, relu_shift: float, loss: str
) -> tuple[Check, Table]:
    """The MLP with these `parameters` on this small batch, input gradient included: a row a tensor."""
    doubles = {name: p.double() for name, p in parameters.items()}
    model, criterion = MLP(doubles, relu_shift), LOSSES[loss]()
    criterion(model(x.double()), y)
    dx = model.backward(criterion.backward())

    _, wanted = loss_and_gradients(doubles, x.double(), y, relu_shift, loss)
    rows = [
        (
            name,
            "x".join(map(str, got.shape)),
            wanted[name].abs().max().item(),
            relative_error(got, wanted[name]),
        )
        for name, got in {**model.gradients, "x": dx}.items()
    ]
    worst = max(row[-1] for row in rows)
    columns = (
        Column("tensor"),
        Column("shape"),
        Column("largest_gradient", "largest gradient", ".3e"),
        Column("relative_error", "relative error", ".1e"),
    )
    return Check(CHECK, worst <= BOUND, worst, BOUND), Table(
        "gradients", f"Gradients of {len(y)} rows", columns, rows
    )
