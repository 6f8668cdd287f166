"""What one epoch of training came to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from operator import attrgetter
from statistics import mean
from typing import Any


@dataclass(frozen=True)
class Epoch:
    """One epoch's figures of one seed: a row of `metrics.jsonl` and of `tables/epochs.csv`, columns in this order.

    Networks that are trained together share their seconds. Without validation images there are no figures of them.
    """

    epoch: int
    seed: int
    train_loss: float  # mean over the epoch's batches, while the weights moved
    valid_loss: float | None
    valid_accuracy: float | None
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
    columns = {name: [getattr(row, name) for row in rows] for name in names}
    means: dict[str, Any] = {
        name: None if None in values else mean(values) for name, values in columns.items()
    }
    return replace(rows[0], **means)


def mean_valid_loss(rows: Sequence[Epoch]) -> float:
    """Over the seeds of one epoch; infinite without validation images, so that no epoch is lower than another."""
    return mean(math.inf if row.valid_loss is None else row.valid_loss for row in rows)


def lowest(epochs: Sequence[Epoch]) -> list[Epoch]:
    """The rows of the epoch with the lowest validation loss, in the mean over the seeds."""
    return min(by_epoch(epochs), key=mean_valid_loss)


def best_epoch(epochs: Sequence[Epoch]) -> int | None:
    """The number of that epoch; None without validation images."""
    return None if epochs[0].valid_loss is None else lowest(epochs)[0].epoch


def line(rows: Sequence[Epoch]) -> str:
    """One epoch as a line of text: means over the seeds."""
    means = averaged(rows)
    end = f"{len(rows)} seeds" if len(rows) > 1 else f"{means.train_seconds:.2f} s"
    parts = [f"epoch {means.epoch:3}", f"train loss {means.train_loss:.4f}"]
    if means.valid_loss is not None:
        parts += [f"valid loss {means.valid_loss:.4f}", f"valid accuracy {means.valid_accuracy:.2%}"]
    return "  ".join([*parts, end])
