"""Are the gradients right? Every stage's beside autograd's, in float64, and autograd's beside central differences."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from mlfound.experiments.backprop import lesson
from mlfound.experiments.backprop.cases import ODD, draw, errors, situations
from mlfound.foundations.checks import relative_error
from mlfound.foundations.functions import LOSSES
from mlfound.results import Check, Column, Result, Shown, Table
from mlfound.training.gradients import BOUND

SHIFTS = (0.0, 0.5)
TENSORS = ("loss", "w1", "b1", "w2", "b2", "x")
DIFFERENCES_BOUND = 1e-6  # of central differences, which keep some nine digits
# torch-functional is what they are held against
CHECKED = {name: stage for name, stage in lesson.LADDER.items() if name != "torch-functional"}


class GradientError(NamedTuple):
    """How far one tensor of one stage is from autograd's, in one case."""

    impl: str
    relu_shift: float
    loss: str
    situation: str
    tensor: str
    relative_error: float


def measure_errors(names: Sequence[str], seed: int) -> list[GradientError]:
    """Every stage in every situation, with both losses, with and without a shift."""
    return [
        GradientError(name, shift, loss, situation, tensor, error)
        for name in names
        if name in CHECKED
        for shift, loss in product(SHIFTS, LOSSES)
        for situation, case in situations(shift, loss, seed)
        for tensor, error in errors(CHECKED[name], case).items()
    ]


def report(measured: Sequence[GradientError], seed: int, shown: Shown = "verbose") -> Result:
    """A check for each stage and tensor, by the worst of its cases; a table of these, and one of every case."""
    worst: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(TENSORS, 0.0))
    for each in measured:
        stage = worst[each.impl]
        stage[each.tensor] = max(stage[each.tensor], each.relative_error)
    checks = [
        Check(f"{name}: {tensor} as by autograd", error <= BOUND, error, BOUND)
        for name, stage in worst.items()
        for tensor, error in stage.items()
    ]
    title = "Gradients by hand and by autograd, float64: the largest relative errors"
    columns = [Column("impl", "stage"), *(Column(tensor, format=".0e") for tensor in TENSORS)]
    rows = [(name, *stage.values()) for name, stage in worst.items()]
    every = [Column(name) for name in GradientError._fields]
    return Result(
        checks=[*checks, check_autograd(seed)],
        tables=[
            Table("errors", title, columns, rows, shown),
            Table("gradients", title, every, measured, shown="never"),
        ],
    )


def check_autograd(seed: int) -> Check:
    """Its gradients beside central differences of its losses."""
    cases = [draw(ODD, shift, loss, seed) for shift, loss in product(SHIFTS, LOSSES)]
    worst = max(
        relative_error(case.reference()[name], case.difference(name))
        for case in cases
        for name in TENSORS[1:]
    )
    name = "autograd's gradients as by central differences"
    return Check(name, worst <= DIFFERENCES_BOUND, worst, DIFFERENCES_BOUND)
