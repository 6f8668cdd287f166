"""The config of `train`. configs/mlp.yaml repeats the defaults and gives the reasons."""

import math
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from mlfound import ladders
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
    Momentum,
    NotNegative,
    Number,
    OneOf,
    Positive,
    Rate,
    Replicates,
    Seed,
    Threads,
    Units,
    clash,
    rung,
)

Decay = Literal["decoupled", "l2"]
Factor = Annotated[float, Field(ge=0, le=1, description="a factor from 0 to 1")]
Limit = Annotated[float | None, Field(gt=0, description="a number above 0, or null for no limit")]


class DataConfig(Config):
    """Which images, and how they are normalised."""

    dataset: Dataset = "mnist"
    normalize: Annotated[str, rung("data/normalize.py", "NORMALIZATIONS")] = "global"
    train_rows: Annotated[
        int | None, Field(ge=1, description="a whole number, 1 or more, or null for all")
    ] = None


class MLPConfig(Kind):
    """A multilayer perceptron: linear layers with an activation between them."""

    name: Literal["mlp"] = "mlp"
    hidden: Hidden = (50,)
    outputs: Units = 10
    init: Init = "kaiming"
    activation: Annotated[str, rung("foundations/activations.py", "ACTIVATIONS")] = "relu"
    leak: Annotated[float, Field(ge=0, le=1, description="a number from 0 to 1")] = 0.01
    relu_shift: Number = 0.0
    ceiling: Limit = None
    dropout: Rate = 0.0
    input_dropout: Rate = 0.0

    @model_validator(mode="after")
    def keys_fit_together(self) -> Self:
        """Refuse keys that are valid one by one and exclude each other."""
        if not self.hidden and self.dropout:
            message = "there are no hidden units to drop; write dropout: 0, or input_dropout"
            raise clash(message, "dropout", "hidden")
        if self.activation in ("tanh", "gelu") and (self.relu_shift or self.ceiling is not None):
            message = (
                "a shift and a ceiling are for relu, leaky and floor; write relu_shift: 0 and ceiling: null"
            )
            raise clash(message, "activation", "ceiling" if self.ceiling is not None else "relu_shift")
        return self


class OptimizerConfig(Kind):
    """What all optimisers have."""

    lr: Positive = 1e-3
    weight_decay: NotNegative = 0.0
    decay: Decay = "l2"
    clip_norm: Limit = None
    max_norm: Limit = None


class SGDConfig(OptimizerConfig):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"] = "sgd"
    lr: Positive = 0.1
    weight_decay: NotNegative = 0.005
    decay: Decay = "decoupled"
    momentum: Momentum = 0.9
    dampening: Rate = 0.0
    nesterov: Flag = False

    @property
    def velocity_decay(self) -> float:
        """What a schedule of the momentum moves."""
        return self.momentum

    @model_validator(mode="after")
    def keys_fit_together(self) -> Self:
        """Refuse keys that are valid one by one and exclude each other."""
        if self.nesterov and self.momentum == 0:
            message = "nesterov looks ahead along the momentum; write a momentum above 0, or nesterov: false"
            raise clash(message, "nesterov", "momentum")
        if self.nesterov and self.dampening:
            message = "nesterov needs the whole gradient; write dampening: 0, or nesterov: false"
            raise clash(message, "nesterov", "dampening")
        return self


class RMSpropConfig(OptimizerConfig):
    """The gradient divided by the root of its mean square."""

    name: Literal["rmsprop"] = "rmsprop"
    momentum: Momentum = 0.0
    beta2: Momentum = 0.99
    eps: Positive = 1e-8

    @property
    def velocity_decay(self) -> float:
        """What a schedule of the momentum moves."""
        return self.momentum


class AdaptiveConfig(OptimizerConfig):
    """A mean gradient divided by the root of its mean square."""

    beta1: Momentum = 0.9
    beta2: Momentum = 0.999
    eps: Positive = 1e-8

    @property
    def velocity_decay(self) -> float:
        """What a schedule of the momentum moves."""
        return self.beta1


class AdamConfig(AdaptiveConfig):
    """Its weight decay goes the way of the gradient, unless it is decoupled."""

    name: Literal["adam"] = "adam"


class AdamWConfig(AdaptiveConfig):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"] = "adamw"
    weight_decay: NotNegative = 0.01
    decay: Decay = "decoupled"


class LAMBConfig(AdaptiveConfig):
    """AdamW's step, scaled for each layer."""

    name: Literal["lamb"] = "lamb"
    weight_decay: NotNegative = 0.01
    decay: Decay = "decoupled"
    eps: Positive = 1e-6


# One class more in a union is one kind more; the first is the one without a name
Model = Annotated[MLPConfig, Kinds()]
Optimizer = Annotated[SGDConfig | RMSpropConfig | AdamConfig | AdamWConfig | LAMBConfig, Kinds()]


class PieceConfig(Config):
    """One piece of a schedule: factors of the learning rate and of the momentum, over a share of all steps."""

    name: Annotated[str, rung("foundations/schedules.py", "PIECES")]
    from_: Annotated[float, Field(alias="from", ge=0, description="a number, 0 or more")]
    to: Annotated[
        float | None, Field(ge=0, description="a number, 0 or more, or null in a constant piece")
    ] = None
    share: Annotated[float, Field(gt=0, le=1, description="a number above 0, at most 1")]
    momentum_from: Factor = 1.0
    momentum_to: Factor = 1.0
    power: Annotated[
        float | None, Field(gt=0, description="a number above 0 in a polynomial piece, else null")
    ] = None

    @model_validator(mode="after")
    def keys_fit_together(self) -> Self:
        """Refuse keys that are valid one by one and exclude each other."""
        if self.name != "constant" and self.to is None:
            message = f"{self.name} leads from one factor to another; write to: 0, or name: constant"
            raise clash(message, "name", "to")
        if self.name == "constant" and self.to not in (None, self.from_):
            raise clash("constant stays at one factor; leave to out, or write name: linear", "name", "to")
        if self.name == "constant" and self.momentum_from != self.momentum_to:
            message = "constant stays at one factor; write the same momentum_from and momentum_to"
            raise clash(message, "name", "momentum_from", "momentum_to")
        for key in ("from", "to", "momentum_from", "momentum_to"):
            if self.name == "exponential" and getattr(self, "from_" if key == "from" else key) == 0:
                message = "exponential cannot start or end at 0; write a number above 0, such as 0.001"
                raise clash(message, "name", key)
        if self.name == "polynomial" and self.power is None:
            raise clash("polynomial needs its power; write power: 2, or name: linear", "name", "power")
        if self.name != "polynomial" and self.power is not None:
            raise clash(f"{self.name} has no power; leave it out, or write name: polynomial", "name", "power")
        return self


SCHEDULES = ladders.names("foundations/schedules.py", "SCHEDULES")
Schedule = Annotated[
    Annotated[str, OneOf(*SCHEDULES), Tag("word")]
    | Annotated[tuple[PieceConfig, ...], Field(strict=False, max_length=1000), Tag("pieces")],
    Discriminator(lambda value: "word" if isinstance(value, str) else "pieces"),
    Field(
        description=f"one of {', '.join(SCHEDULES)}, or a list of pieces "
        "such as [{name: cosine, from: 1, to: 0, share: 1}]"
    ),
]


class CheckpointConfig(Config):
    """Which checkpoints are kept, so that a killed run can be resumed."""

    every: Count = 1
    seconds: NotNegative = 1.0
    keep: Count = 2
    allow_other_bits: Flag = False


class TrainConfig(Config):
    """One training run of one network, or of several that differ in their seed."""

    data: DataConfig = DataConfig()
    model: Model = MLPConfig()
    loss: Annotated[str, rung("foundations/functions.py", "LOSSES")] = "cross-entropy"
    optimizer: Optimizer = SGDConfig()
    schedule: Schedule = "one-cycle"
    epochs: Annotated[int, Field(ge=1, le=100_000, description="a whole number from 1 to 100000")] = 10
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
        if not self.model.hidden and self.optimizer.max_norm is not None:
            message = "there are no weights into hidden units to limit; write max_norm: null"
            raise clash(message, "optimizer.max_norm", "model.hidden")
        if not isinstance(self.schedule, str):
            shares = math.fsum(piece.share for piece in self.schedule)
            if abs(shares - 1) > 1e-9:
                message = f"the shares add up to {shares:.10g}; write shares that add up to 1"
                raise clash(message, "schedule")
        if self.engine == "modules" and self.product == "onednn":
            message = "the readable engine multiplies by matmul; write product: auto, or engine: buffers"
            raise clash(message, "product", "engine")
        if self.seed + self.replicates > 2**63:
            message = "the seeds count up from this one, past the largest possible; write a smaller one"
            raise clash(message, "seed", "replicates")
        return self
