"""Are the gradients by hand right? Those of this very model beside autograd's, in float64, before the first step."""

from collections.abc import Mapping

from torch import Tensor

from mlfound.engines.recipe import Named, Recipe
from mlfound.foundations.checks import relative_error
from mlfound.foundations.initialization import standard_normal
from mlfound.foundations.layers import Loss, Parameter, Sequential, bound
from mlfound.foundations.randomness import generator
from mlfound.reference.autograd import loss_and_gradients
from mlfound.results import Check, Column, Result, Table

BOUND = 1e-10  # float64 keeps about 16 digits; a wrong formula is off by far more than six of them
CHECK = "gradients by hand agree with autograd"


def gradient_errors(model: Sequential, tensors: Named, x: Tensor, y: Tensor, loss: str) -> dict[str, float]:
    """The largest relative error of the loss and of every gradient, by name, in training and at inference.

    Forward twice, each time from the layers' state in `tensors`, then backward twice: each must be right, so what is
    added instead of replaced is wrong.
    """
    errors = dict.fromkeys(("loss", "x", *model.parameters), 0.0)
    for training in (True, False):
        state = {name: tensors[name].clone() for name in model.state}
        ours, criterion = bound(model, {**tensors, **state}, generator(0, "dropout")), Loss(loss)
        ours(x, training)
        for name, changed in state.items():
            changed.copy_(tensors[name])
        value = criterion(ours(x, training), y)
        passes = [{"x": ours.backward(criterion.backward()), **ours.gradients} for _ in range(2)]
        wanted_value, wanted = loss_and_gradients(ours, tensors, x, y, loss)
        errors["loss"] = max(errors["loss"], relative_error(value, wanted_value))
        for name, gradient in wanted.items():
            errors[name] = max(errors[name], *(relative_error(found[name], gradient) for found in passes))
    return errors


def check_gradients(recipe: Recipe, tensors: Named, x: Tensor, y: Tensor) -> Result:
    """The model of this recipe with these tensors on this small batch, input gradient included: a row a tensor."""
    tensors = without_zeros(recipe.model.parameters, tensors)
    doubles, x = {name: p.double() for name, p in tensors.items()}, x.double()
    errors = gradient_errors(recipe.model, doubles, x, y, recipe.loss)
    _, gradients = loss_and_gradients(recipe.model, doubles, x, y, recipe.loss)
    worst = max(errors.values())
    columns = (
        Column("tensor", of=lambda each: each[0]),
        Column("shape", of=lambda each: "x".join(map(str, each[1].shape))),
        Column("largest_gradient", "largest gradient", ".3e", lambda each: each[1].abs().max().item()),
        Column("relative_error", "relative error", ".1e", lambda each: errors[each[0]]),
    )
    return Result(
        {},
        "completed" if worst <= BOUND else "failed",
        [Check(CHECK, worst <= BOUND, worst, BOUND)],
        [] if worst <= BOUND else ["The gradients are not those of autograd: nothing was trained."],
        [Table.of("gradients", f"Gradients of {len(y)} rows", columns, gradients.items())],
    )


def without_zeros(parameters: Mapping[str, Parameter], tensors: Named) -> Named:
    """Small random numbers for each parameter that is all 0: behind a weight of 0 any gradient is 0, right or not."""
    draws = generator(0, "gradient check")
    drawn = {
        name: standard_normal(p.shape, draws).mul_(0.1).to(tensors[name])
        for name, p in parameters.items()
        if not tensors[name].any()
    }
    return {**tensors, **drawn}
