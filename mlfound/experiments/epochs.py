"""What one epoch of training came to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """One epoch's figures: a row of `metrics.jsonl` and of `tables/epochs.csv`, columns in this order."""

    epoch: int
    train_loss: float  # mean over the epoch's batches, while the weights moved
    valid_loss: float
    valid_accuracy: float
    lr: float  # of the last step
    momentum: float
    train_seconds: float
    eval_seconds: float
    images_per_s: float

    @property
    def finite(self) -> bool:
        return math.isfinite(self.train_loss) and math.isfinite(self.valid_loss)


def lowest(epochs: Sequence[Epoch]) -> Epoch:
    """The epoch with the lowest validation loss."""
    return min(epochs, key=lambda epoch: epoch.valid_loss)
