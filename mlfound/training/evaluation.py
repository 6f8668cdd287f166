"""How good a classifier's answers are: loss, accuracy, the confusion matrix, the worst mistakes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mlfound.engines.group import ALONE, Group
from mlfound.engines.losses import LOSSES
from mlfound.foundations.costs import costs
from mlfound.foundations.functions import log_softmax
from mlfound.foundations.layers import Layer, Loss

ROWS_AT_ONCE = 2_000  # so many rows an evaluation passes through the layers at once, at most
NUMBERS_AT_ONCE = 2_000_000  # and so many numbers that come out of them: more leave the cache
LEAST_ROWS = 128  # but not fewer rows for that, as of a deep network: every layer is called for so few
MULTIPLICATIONS_AT_ONCE = 2e9  # some hundredths of a second: only between them it can be interrupted


@dataclass(frozen=True)
class Score:
    """A model's answers to one split.

    `predicted` (rows,) are classes. `strength` (rows,) is, by `kind`, the softmax probability of that class
    (`confidence`) or the number that a model with one output gave (`predicted_value`). `loss` is the mean of
    `row_losses` (rows,).
    """

    loss: float
    accuracy: float
    predicted: Tensor
    strength: Tensor
    kind: Literal["confidence", "predicted_value"]
    row_losses: Tensor

    @property
    def wrong(self) -> int:
        """How many answers are."""
        rows = len(self.predicted)
        return rows - round(self.accuracy * rows)


def evaluate(model: Layer, loss: Loss, x: Tensor, y: Tensor, classes: int) -> Score:
    """One pass over `x` (rows, in) with labels `y` (rows,), forward only."""
    return score(torch.cat(outputs(model, x)), loss, y, classes)


def outputs(
    model: Layer, x: Tensor, interrupted: Callable[[], bool] = lambda: False, group: Group = ALONE
) -> list[Tensor]:
    """Those for `x` (rows, in), a few rows each; when it is `interrupted`, only the first of them.

    The processes of a `group` share the rows out, and all get all outputs.
    """
    of_a_row = costs(model, tuple(x.shape))
    multiplications = max(1, sum(each.multiplications for each in of_a_row))
    numbers = max(1, sum(each.outputs for each in of_a_row))
    in_cache = max(LEAST_ROWS, NUMBERS_AT_ONCE / numbers)
    rows = int(min(ROWS_AT_ONCE, in_cache, MULTIPLICATIONS_AT_ONCE / multiplications))
    parts = torch.split(x, max(1, rows) * group.size)
    return [group.apply(model, part) for part in parts if not interrupted()]


def score(out: Tensor, loss: Loss, y: Tensor, classes: int) -> Score:
    """Of the outputs (rows, outputs) for rows with the labels `y` (rows,)."""
    if out.shape[1] == 1:  # a number: the nearest digit is the answer
        strength = out[:, 0]
        predicted = strength.round().clamp(0, classes - 1).long()
    else:
        strength, predicted = log_softmax(out).exp().max(1)
    return Score(
        loss=loss(out, y).item(),
        accuracy=(predicted == y).double().mean().item(),
        predicted=predicted,
        strength=strength,
        kind="predicted_value" if out.shape[1] == 1 else "confidence",
        row_losses=row_losses(loss.name, out, y),
    )


def row_losses(loss: str, out: Tensor, y: Tensor) -> Tensor:
    """(rows,): the loss of every row."""
    formula, losses = LOSSES[loss](out.T), out.new_empty(1, len(out))
    formula(out.T, y[None], losses)
    return losses[0] * formula.sign


def confusion(y: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """(classes, classes) counts: rows are the true classes, columns the predicted ones."""
    return torch.bincount(y * classes + predicted, minlength=classes**2).view(classes, classes)


def worst_mistakes(score: Score, y: Tensor, count: int) -> Tensor:
    """The rows of at most `count` wrong answers, worst first: the surest, or the number furthest from the truth."""
    wrong = (score.predicted != y).nonzero()[:, 0]
    badness = score.strength if score.kind == "confidence" else (score.strength - y).abs()
    return wrong[badness[wrong].argsort(descending=True, stable=True)[:count]]
