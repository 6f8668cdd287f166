"""The config of `train`. configs/mlp.yaml repeats the defaults and gives the reasons."""

import math
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from mlfound.config.augmentation import AugmentConfig
from mlfound.config.expectations import ExpectConfig
from mlfound.config.keys import (
    Config,
    Count,
    Dataset,
    Device,
    Flag,
    NotNegative,
    Replicates,
    Seed,
    Threads,
    clash,
    rung,
)
from mlfound.config.networks import MLPConfig, Model
from mlfound.config.optimizers import Optimizer, SGDConfig
from mlfound.config.schedules import Schedule


class DataConfig(Config):
    """Which images, and how they are normalised."""

    dataset: Dataset = "mnist"
    normalize: Annotated[str, rung("data/normalize.py", "NORMALIZATIONS")] = "global"
    train_rows: Annotated[
        int | None, Field(ge=1, description="a whole number, 1 or more, or null for all")
    ] = None


class TrainDataConfig(DataConfig):
    """Which images a training has, and how many of them are kept for validation."""

    split: Annotated[str, rung("data/load.py", "SPLITS")] = "lesson"


class CheckpointConfig(Config):
    """Which checkpoints are kept, so that a killed run can be resumed."""

    every: Count = 1
    seconds: NotNegative = 1.0
    keep: Count = 2
    allow_other_bits: Flag = False


class EarlyStopConfig(Config):
    """When a training ends before its planned epochs."""

    patience: Count = 5


class InsideConfig(Config):
    """How often a training looks inside its first network, and on how many rows of a batch."""

    every: Count = 10
    rows: Annotated[int, Field(ge=2, description="a whole number, 2 or more")] = 8


class TrainConfig(Config):
    """One training run of one network, or of several that differ in their seed."""

    data: TrainDataConfig = TrainDataConfig()
    augment: Annotated[
        AugmentConfig | None,
        Field(description="sizes, as in {shift: 2, rotate: 10}, or null for images as they are"),
    ] = None
    model: Model = MLPConfig()
    loss: Annotated[str, rung("foundations/functions.py", "LOSSES")] = "cross-entropy"
    optimizer: Optimizer = SGDConfig()
    schedule: Schedule = "one-cycle"
    epochs: Annotated[int, Field(ge=1, le=100_000, description="a whole number from 1 to 100000")] = 10
    early_stop: Annotated[
        EarlyStopConfig | None,
        Field(description="{patience: 5}, a whole number of epochs from 1 on, or null for all epochs"),
    ] = None
    inside: Annotated[
        InsideConfig | None,
        BeforeValidator(lambda value: {} if value is True else value),
        Field(
            description="{every: 10}, a whole number of steps from 1 on, true for this, or null for no look"
        ),
    ] = None
    expect: Annotated[
        ExpectConfig | None,
        Field(description="{test_error: 0.016, within: 0.001}, {at_least: {test_accuracy: 0.97}}, or null"),
    ] = None
    batch_size: Count = 64
    seed: Seed = 0
    replicates: Replicates = 1
    engine: Annotated[str, rung("engines/ladder.py", "ENGINES", "auto")] = "auto"
    product: Annotated[str, rung("engines/products.py", "PRODUCTS", "auto")] = "auto"
    device: Device = "auto"
    threads: Threads = "auto"
    checkpoint: CheckpointConfig = CheckpointConfig()

    @property
    def seeds(self) -> range:
        """One seed per network."""
        return range(self.seed, self.seed + self.replicates)

    @model_validator(mode="after")
    def keys_fit_together(self) -> Self:
        """Refuse keys that are valid one by one and exclude each other."""
        if self.loss == "cross-entropy" and self.model.outputs < 2:
            message = "cross-entropy needs two classes or more; write model.outputs: 2 or more, or loss: mse"
            raise clash(message, "loss", "model.outputs")
        if self.loss == "mse" and self.model.outputs != 1:
            message = "mse predicts the digit as one number; write model.outputs: 1, or loss: cross-entropy"
            raise clash(message, "loss", "model.outputs")
        hidden = getattr(self.model, "hidden", True)
        if not hidden and self.optimizer.max_norm is not None:
            message = "there are no weights into hidden units to limit; write max_norm: null"
            raise clash(message, "optimizer.max_norm", "model.hidden")
        if not isinstance(self.schedule, str):
            shares = math.fsum(piece.share for piece in self.schedule)
            if abs(shares - 1) > 1e-9:
                message = f"the shares add up to {shares:.10g}; write shares that add up to 1"
                raise clash(message, "schedule")
        if self.engine == "native" and self.product != "auto":
            message = "the compiled engine has products of its own; write product: auto, or engine: buffers"
            raise clash(message, "product", "engine")
        if self.engine == "modules" and self.product == "onednn":
            message = "the readable engine multiplies by matmul; write product: auto, or engine: buffers"
            raise clash(message, "product", "engine")
        if self.data.split == "published" and self.early_stop is not None:
            message = "this split has no validation loss to stop by; write early_stop: null, or split: lesson"
            raise clash(message, "early_stop", "data.split")
        of_valid = [key for key in (self.expect.keys if self.expect else ()) if "valid_" in key]
        if self.data.split == "published" and of_valid:
            message = "this split has no validation rows; write a figure of the test set, or split: lesson"
            raise clash(message, f"expect.{of_valid[0]}", "data.split")
        if self.seed + self.replicates > 2**63:
            message = "the seeds count up from this one, past the largest possible; write a smaller one"
            raise clash(message, "seed", "replicates")
        return self


FinderRate = Annotated[
    float, Field(ge=1e-12, le=1_000_000, description="a learning rate from 1e-12 to 1000000")
]


class LrFindConfig(TrainConfig):
    """One rise of the learning rate, of the training that the other keys describe."""

    start: FinderRate = 1e-7
    end: FinderRate = 10.0
    steps: Annotated[int, Field(ge=20, le=100_000, description="a whole number from 20 to 100000")] = 100

    @model_validator(mode="after")
    def rise_is_possible(self) -> Self:
        """Refuse a range in which nothing could be seen, and more than one network."""
        if self.start * 10 > self.end:
            message = (
                "the learning rate rises from start to end; write an end of at least ten times the start"
            )
            raise clash(message, "start", "end")
        if self.inside is not None:
            raise clash("a look inside is for train; write inside: null", "inside")
        if self.replicates > 1:
            raise clash("the learning rate rises for one network; write replicates: 1", "replicates")
        return self
