"""The config of `train`. configs/mlp.yaml repeats the defaults and gives the reasons."""

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
    Momentum,
    NotNegative,
    Number,
    Positive,
    Rate,
    Replicates,
    Seed,
    Threads,
    Units,
    clash,
)


class DataConfig(Config):
    """Which images, and how they are normalised."""

    dataset: Dataset = "mnist"
    normalize: Literal["global", "pixel", "none"] = "global"
    train_rows: Annotated[
        int | None, Field(ge=1, description="a whole number, 1 or more, or null for all")
    ] = None


class ModelConfig(Config):
    """The network: linear layers with a ReLU between them."""

    hidden: Hidden = (50,)
    outputs: Units = 10
    init: Init = "kaiming"
    relu_shift: Number = 0.0
    dropout: Rate = 0.0
    input_dropout: Rate = 0.0


class OptimizerConfig(Config):
    """Stochastic gradient descent; the weight decay is decoupled from the gradient."""

    lr: Positive = 0.1
    momentum: Momentum = 0.9
    nesterov: Flag = False
    weight_decay: NotNegative = 0.005
    max_norm: Annotated[float | None, Field(gt=0, description="a number above 0, or null for no limit")] = (
        None
    )


class CheckpointConfig(Config):
    """Which checkpoints are kept, so that a killed run can be resumed."""

    every: Count = 1
    seconds: NotNegative = 1.0
    keep: Count = 2
    allow_other_bits: Flag = False


class TrainConfig(Config):
    """One training run of one network, or of several that differ in their seed."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    loss: Literal["cross-entropy", "mse"] = "cross-entropy"
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: Literal["one-cycle", "cosine", "constant"] = "one-cycle"
    epochs: Annotated[int, Field(ge=1, le=100_000, description="a whole number from 1 to 100000")] = 10
    batch_size: Count = 64
    seed: Seed = 0
    replicates: Replicates = 1
    engine: Literal["auto", "modules", "buffers", "graph"] = "auto"
    product: Literal["auto", "matmul", "onednn"] = "auto"
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
        if self.optimizer.nesterov and self.optimizer.momentum == 0:
            message = "nesterov looks ahead along the momentum; write a momentum above 0, or nesterov: false"
            raise clash(message, "optimizer.nesterov", "optimizer.momentum")
        if not self.model.hidden and self.model.dropout:
            message = "there are no hidden units to drop; write dropout: 0, or input_dropout"
            raise clash(message, "model.dropout", "model.hidden")
        if not self.model.hidden and self.optimizer.max_norm is not None:
            message = "there are no weights into hidden units to limit; write max_norm: null"
            raise clash(message, "optimizer.max_norm", "model.hidden")
        if self.engine == "modules" and self.product == "onednn":
            message = "the readable engine multiplies by matmul; write product: auto, or engine: buffers"
            raise clash(message, "product", "engine")
        if self.seed + self.replicates > 2**63:
            message = "the seeds count up from this one, past the largest possible; write a smaller one"
            raise clash(message, "seed", "replicates")
        return self
