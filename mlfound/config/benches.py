"""The configs of the benchmarks."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from mlfound import ladders
from mlfound.config.keys import (
    Config,
    Count,
    Dataset,
    Device,
    Flag,
    Hidden,
    OneOf,
    Replicates,
    Seed,
    Text,
    Threads,
    anywhere,
    clash,
    rung,
)

MATMULS = ladders.names("foundations/matmul.py", "MATMULS")
CONVOLUTIONS = ladders.names("foundations/convolution.py", "CONVOLUTIONS")
# An image as channels x height x width - kernels as number x height x width, stride, padding
SIZE = "([1-9][0-9]{0,6})"
LAYER = f"^{SIZE}x{SIZE}x{SIZE}-{SIZE}x{SIZE}x{SIZE}(?:s{SIZE})?(?:p([0-9]{{1,6}}))?$"


class MatmulBenchConfig(Config):
    """One benchmark of the matmul ladder."""

    impl: Annotated[tuple[Annotated[str, OneOf(*MATMULS)], ...], Field(strict=False, min_length=1)] = MATMULS
    shape: Annotated[
        tuple[
            Annotated[str, Field(pattern=r"^[1-9]\d{0,6}x[1-9]\d{0,6}(x|@[1-9]\d{0,6}x)[1-9]\d{0,6}$")], ...
        ],
        Field(
            strict=False,
            min_length=1,
            max_length=20,
            description="a list of sizes such as [5x784x10], which is (5,784) times (784,10), also 5x784@784x10",
        ),
    ] = ("5x784x10",)
    dtype: Literal["float32", "float64", "float16", "bfloat16"] = "float32"
    budget: Annotated[float, Field(ge=0.01, le=600, description="seconds from 0.01 to 600")] = 2.0
    dataset: Dataset = "mnist-sample"
    seed: Seed = 0
    device: Device = "cpu"
    threads: Threads = 1
    compare: Annotated[Text | None, Field(description="the folder of an earlier run, or null")] = None


class ConvBenchConfig(Config):
    """One benchmark of the convolution ladder."""

    impl: Annotated[tuple[Annotated[str, OneOf(*CONVOLUTIONS)], ...], Field(strict=False, min_length=1)] = (
        CONVOLUTIONS
    )
    shape: Annotated[
        tuple[Annotated[str, Field(pattern=LAYER)], ...],
        Field(
            strict=False,
            min_length=1,
            max_length=20,
            description="a list of layers such as [1x28x28-8x5x5s2p2]: 1 channel of 28 x 28, 8 kernels of 5 x 5, "
            "stride 2, padding 2",
        ),
    ] = ("1x28x28-8x5x5s2p2", "8x14x14-16x3x3s2p1", "16x7x7-32x3x3s2p1", "32x4x4-32x3x3s2p1")
    rows: Count = 64
    dtype: Literal["float32", "float64", "float16", "bfloat16"] = "float32"
    budget: Annotated[float, Field(ge=0.01, le=600, description="seconds from 0.01 to 600")] = 0.5
    dataset: Dataset = "mnist-sample"
    seed: Seed = 0
    device: Device = "cpu"
    threads: Threads = 1


class BackpropBenchConfig(Config):
    """One benchmark of the stages of the backward pass, or of the implementations of a training step."""

    workload: Annotated[str, rung("experiments/backprop_bench.py", "WORKLOADS")] = "lesson"
    impl: Annotated[
        tuple[
            Literal[
                "functions", "classes-outer", "classes", "modules-einsum", "modules", "torch-functional",
                "torch-nn", "buffers/matmul", "buffers/onednn", "buffers", "native", "graph",
                "torch-compile", "torch-graph", "jax",
            ],
            ...,
        ],
        Field(strict=False, min_length=1),
    ] = (
        "functions", "classes-outer", "classes", "modules-einsum", "modules", "torch-functional",
        "torch-nn", "buffers/matmul", "buffers/onednn", "buffers", "native", "graph",
        "torch-compile", "torch-graph", "jax",
    )  # fmt: skip
    rows: Annotated[int | None, Field(ge=1, description="a whole number, 1 or more, or null for all")] = None
    model: Annotated[
        Annotated[Text, AfterValidator(anywhere)] | None,
        Field(description="the path of a config of train, or null"),
    ] = None
    hidden: Hidden = (50,)
    batch_size: Count = 64
    replicates: Replicates = 1
    check_only: Flag = False
    budget: Annotated[float, Field(ge=0.01, le=600, description="seconds from 0.01 to 600")] = 1.0
    dataset: Dataset = "mnist"
    seed: Seed = 0
    device: Device = "cpu"
    threads: Threads = 1

    @model_validator(mode="after")
    def keys_fit_together(self) -> Self:
        """Refuse keys that are valid one by one and exclude each other."""
        sizes = ("hidden", "batch_size", "replicates", "model")
        given = [key for key in sizes if getattr(self, key) != type(self).model_fields[key].default]
        if self.workload == "lesson" and given:
            message = f"the lesson's task has one size; write workload: step, or leave {given[0]} out"
            raise clash(message, given[0], "workload")
        if self.model is not None and given[0] in ("hidden", "batch_size"):
            message = f"the file has a {given[0]} of its own; leave {given[0]} out, or model"
            raise clash(message, given[0], "model")
        if self.seed + self.replicates > 2**63:
            message = "the seeds count up from this one, past the largest possible; write a smaller one"
            raise clash(message, "seed", "replicates")
        return self
