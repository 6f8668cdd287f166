"""Are the gradients by hand right? Every one of them beside autograd's, in float64."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from mlfound.engines.recipe import Recipe
from mlfound.foundations.checks import central_difference, relative_error
from mlfound.foundations.modules import LOSSES, MLP, Dropout, Linear
from mlfound.foundations.randomness import generator
from mlfound.foundations.stages import STAGES, Stage
from mlfound.reference.autograd import loss_and_gradients
from mlfound.results import Check, Column, Result, Table

BOUND = 1e-10  # float64 keeps about 16 digits; a wrong formula is off by far more than six of them
CHECK = "gradients by hand agree with autograd"


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


def check_gradients(parameters: Mapping[str, Tensor], x: Tensor, y: Tensor, recipe: Recipe) -> Result:
    """The MLP of this recipe with these `parameters` on this small batch, input gradient included: a row a tensor."""
    doubles = {name: p.double() for name, p in parameters.items()}
    case = Case(doubles, x.double(), y, recipe.relu_shift, recipe.loss)
    found = errors(STAGES["modules"], case)
    if recipe.dropout or recipe.input_dropout:
        with_dropout = dropout_errors(case, recipe.dropout, recipe.input_dropout)
        found = {name: max(error, with_dropout[name]) for name, error in found.items()}
    worst = max(found.values())
    columns = (
        Column("tensor", of=lambda each: each[0]),
        Column("shape", of=lambda each: "x".join(map(str, each[1].shape))),
        Column("largest_gradient", "largest gradient", ".3e", lambda each: each[1].abs().max().item()),
        Column("relative_error", "relative error", ".1e", lambda each: found[each[0]]),
    )
    gradients = [each for each in case.reference().items() if each[0] != "loss"]
    return Result(
        {},
        "completed" if worst <= BOUND else "failed",
        [Check(CHECK, worst <= BOUND, worst, BOUND)],
        [] if worst <= BOUND else ["The gradients are not those of autograd: nothing was trained."],
        [Table.of("gradients", f"Gradients of {len(y)} rows", columns, gradients)],
    )
