"""The optimizers that a config may choose from, and the keys of each."""

from typing import Annotated, Literal, Self

from pydantic import model_validator

from mlfound.config.keys import Flag, Kind, Kinds, Limit, Momentum, NotNegative, Positive, Rate, clash

Decay = Literal["decoupled", "l2"]


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
Optimizer = Annotated[SGDConfig | RMSpropConfig | AdamConfig | AdamWConfig | LAMBConfig, Kinds()]
