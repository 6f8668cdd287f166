"""The config of `train`. configs/mlp.yaml repeats the defaults and gives the reasons."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mlfound.config.keys import (
    Config,
    Count,
    Dataset,
    Device,
    Flag,
    Hidden,
    Init,
    Kind,
    Kinds,
    Limit,
    NotNegative,
    Number,
    Rate,
    Replicates,
    Seed,
    Threads,
    Units,
    clash,
    rung,
)
from mlfound.config.optimizers import Optimizer, SGDConfig
from mlfound.config.schedules import Schedule


class DataConfig(Config):
    """Which images, and how they are normalised."""

    dataset: Dataset = "mnist"
    normalize: Annotated[str, rung("data/normalize.py", "NORMALIZATIONS")] = "global"
    train_rows: Annotated[
        int | None, Field(ge=1, description="a whole number, 1 or more, or null for all")
    ] = None


class NetworkConfig(Kind):
    """What all models have: outputs, first weights, and the activation between their layers."""

    outputs: Units = 10
    init: Init = "kaiming"
    activation: Annotated[str, rung("foundations/activations.py", "ACTIVATIONS")] = "relu"
    leak: Annotated[float, Field(ge=0, le=1, description="a number from 0 to 1")] = 0.01
    relu_shift: Number = 0.0
    ceiling: Limit = None

    @model_validator(mode="after")
    def activation_has_its_keys(self) -> Self:
        """Refuse keys of the other activations."""
        if self.activation in ("tanh", "gelu") and (self.relu_shift or self.ceiling is not None):
            message = (
                "a shift and a ceiling are for relu, leaky and floor; write relu_shift: 0 and ceiling: null"
            )
            raise clash(message, "activation", "ceiling" if self.ceiling is not None else "relu_shift")
        return self


Norm = Annotated[str, rung("foundations/norms.py", "NORMS", "none")]


class MLPConfig(NetworkConfig):
    """A multilayer perceptron: linear layers with an activation between them."""

    name: Literal["mlp"] = "mlp"
    hidden: Hidden = (50,)
    norm: Norm = "none"
    dropout: Rate = 0.0
    input_dropout: Rate = 0.0

    @model_validator(mode="after")
    def keys_fit_together(self) -> Self:
        """Refuse keys that are valid one by one and exclude each other."""
        if not self.hidden and self.dropout:
            message = "there are no hidden units to drop; write dropout: 0, or input_dropout"
            raise clash(message, "dropout", "hidden")
        if not self.hidden and self.norm != "none":
            raise clash("there are no hidden units to normalise; write norm: none", "norm", "hidden")
        if self.norm == "instance":
            message = "a unit has one number a row, which would become 0; write batch, running-batch or layer"
            raise clash(message, "norm", "name")
        return self


class CNNConfig(NetworkConfig):
    """Convolutions with an activation after each, the mean of each channel, and a linear layer."""

    name: Literal["cnn"] = "cnn"
    channels: Annotated[
        tuple[Annotated[int, Field(ge=1, le=10_000)], ...],
        Field(
            strict=False,
            min_length=1,
            max_length=100,
            description="a list of 1 to 100 layers of 1 to 10000 channels, as in [8, 16]",
        ),
    ] = (8, 16, 32, 32)
    kernels: Annotated[
        tuple[Annotated[int, Field(ge=1, le=1_000)], ...],
        Field(
            strict=False,
            min_length=1,
            max_length=100,
            description="a list of sizes from 1 to 1000, one per layer, as in [5, 3]",
        ),
    ] = (5, 3, 3, 3)
    stride: Annotated[int, Field(ge=1, le=1_000, description="a whole number from 1 to 1000")] = 2
    padding: Annotated[
        int | None,
        Field(ge=0, le=1_000, description="a whole number from 0 to 1000, or null for half of each kernel"),
    ] = None
    norm: Norm = "none"

    @model_validator(mode="after")
    def sizes_fit_together(self) -> Self:
        """Refuse lists of two lengths, and windows outside the image."""
        if len(self.channels) != len(self.kernels):
            message = f"{len(self.channels)} layers have {len(self.kernels)} kernels; write one for each"
            raise clash(message, "kernels", "channels")
        if self.padding is not None and self.padding >= (least := min(self.kernels)):
            message = (
                f"kernels of {least} would see nothing but zeros beside the image; write {least - 1} or less"
            )
            raise clash(message, "padding", "kernels")
        return self


class LeNet5Config(NetworkConfig):
    """LeNet-5 (LeCun et al. 1998) with max pooling, and ReLU by default; its sizes are the paper's."""

    name: Literal["lenet5"] = "lenet5"


# One class more in a union is one kind more; the first is the one without a name
Model = Annotated[MLPConfig | CNNConfig | LeNet5Config, Kinds()]


class CheckpointConfig(Config):
    """Which checkpoints are kept, so that a killed run can be resumed."""

    every: Count = 1
    seconds: NotNegative = 1.0
    keep: Count = 2
    allow_other_bits: Flag = False


class EarlyStopConfig(Config):
    """When a training ends before its planned epochs."""

    patience: Count = 5


class TrainConfig(Config):
    """One training run of one network, or of several that differ in their seed."""

    data: DataConfig = DataConfig()
    model: Model = MLPConfig()
    loss: Annotated[str, rung("foundations/functions.py", "LOSSES")] = "cross-entropy"
    optimizer: Optimizer = SGDConfig()
    schedule: Schedule = "one-cycle"
    epochs: Annotated[int, Field(ge=1, le=100_000, description="a whole number from 1 to 100000")] = 10
    early_stop: Annotated[
        EarlyStopConfig | None,
        Field(description="{patience: 5}, a whole number of epochs from 1 on, or null for all epochs"),
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
        if self.engine == "native" and self.threads not in ("auto", 1):
            message = (
                "the compiled engine trains a network by one thread; write threads: auto, or engine: buffers"
            )
            raise clash(message, "threads", "engine")
        if self.engine == "modules" and self.product == "onednn":
            message = "the readable engine multiplies by matmul; write product: auto, or engine: buffers"
            raise clash(message, "product", "engine")
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
        if self.replicates > 1:
            raise clash("the learning rate rises for one network; write replicates: 1", "replicates")
        return self
