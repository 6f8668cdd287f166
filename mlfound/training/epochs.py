"""What one epoch of training came to."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from operator import attrgetter
from statistics import mean


@dataclass(frozen=True)
class Epoch:
    """One epoch's figures of one seed: a row of `metrics.jsonl` and of `tables/epochs.csv`, columns in this order.

    Networks that are trained together share their seconds.
    """

    epoch: int
    seed: int
    train_loss: float  # mean over the epoch's batches, while the weights moved
    valid_loss: float
    valid_accuracy: float
    lr: float  # of the last step
    momentum: float
    train_seconds: float
    eval_seconds: float
    images_per_s: float  # of all seeds


def by_epoch(epochs: Sequence[Epoch]) -> list[list[Epoch]]:
    """The rows of every epoch."""
    return [list(rows) for _, rows in groupby(epochs, attrgetter("epoch"))]


def averaged(rows: Sequence[Epoch]) -> Epoch:
    """One epoch's rows as one: each figure's mean over the seeds, under the first seed."""
    names = [field.name for field in fields(Epoch) if field.name not in ("epoch", "seed")]
    return replace(rows[0], **{name: mean(getattr(row, name) for row in rows) for name in names})


def mean_valid_loss(rows: Sequence[Epoch]) -> float:
    """Over the seeds of one epoch."""
    return mean(row.valid_loss for row in rows)


def lowest(epochs: Sequence[Epoch]) -> list[Epoch]:
    """The rows of the epoch with the lowest validation loss, in the mean over the seeds."""
    return min(by_epoch(epochs), key=mean_valid_loss)


def line(rows: Sequence[Epoch]) -> str:
    """One epoch as a line of text: means over the seeds."""
    means = averaged(rows)
    end = f"{len(rows)} seeds" if len(rows) > 1 else f"{means.train_seconds:.2f} s"
    return (
        f"epoch {means.epoch:3}  train loss {means.train_loss:.4f}  valid loss {means.valid_loss:.4f}  "
        f"valid accuracy {means.valid_accuracy:.2%}  {end}"
    )
