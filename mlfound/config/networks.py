"""The section `model` of `train`: a closed config for each kind of network."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mlfound.config.keys import Hidden, Init, Kind, Kinds, Limit, Number, Rate, Units, clash, rung

Thousand = Annotated[int, Field(ge=1, le=1_000, description="a whole number from 1 to 1000")]


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
        refuse_instance_norm(self.norm)
        return self


def refuse_instance_norm(norm: str) -> None:
    """It is over the places of an image, and features have none."""
    if norm == "instance":
        message = "a unit has one number a row, which would become 0; write batch, running-batch or layer"
        raise clash(message, "norm", "name")


class CNNConfig(NetworkConfig):
    """Convolutions with an activation after each, the mean of each channel or linear layers, and a linear layer."""

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
    stride: Thousand = 2
    padding: Annotated[
        int | None,
        Field(ge=0, le=1_000, description="a whole number from 0 to 1000, or null for half of each kernel"),
    ] = None
    head: Annotated[
        Hidden | None, Field(description="null, or a list of at most 1000 layers of units, as in [100]")
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


class ResNetConfig(NetworkConfig):
    """A convolution, stages of residual blocks of two more each, the mean of each channel, and a linear layer."""

    name: Literal["resnet"] = "resnet"
    stem: Units = 16
    stem_stride: Thousand = 1
    stages: Annotated[
        tuple[Annotated[int, Field(ge=1, le=10_000)], ...],
        Field(
            strict=False,
            min_length=1,
            max_length=20,
            description="a list of 1 to 20 stages of 1 to 10000 channels, as in [16, 32]",
        ),
    ] = (16, 32, 64)
    blocks: Thousand = 1
    kernel: Annotated[Literal[1, 3, 5, 7, 9, 11], Field(description="an odd size from 1 to 11")] = 3
    norm: Norm = "batch"


class ResidualMLPConfig(NetworkConfig):
    """A linear layer, residual blocks of two more each, and one that gives the outputs."""

    name: Literal["residual-mlp"] = "residual-mlp"
    init: Init = "fixup"
    width: Units = 32
    blocks: Annotated[int, Field(ge=1, le=10_000, description="a whole number from 1 to 10000")] = 50
    norm: Norm = "none"

    @model_validator(mode="after")
    def features_have_no_instances(self) -> Self:
        """Refuse a norm over the places of an image."""
        refuse_instance_norm(self.norm)
        return self


class LeNet5Config(NetworkConfig):
    """LeNet-5 (LeCun et al. 1998) with max pooling, and ReLU by default; its sizes are the paper's."""

    name: Literal["lenet5"] = "lenet5"


# One class more in a union is one kind more; the first is the one without a name
Model = Annotated[MLPConfig | CNNConfig | LeNet5Config | ResNetConfig | ResidualMLPConfig, Kinds()]
