"""The config of each command: one frozen model that knows all its keys and their defaults."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from mlfound import ladders
from mlfound.config.documents import flat
from mlfound.config.keys import (
    INITIALIZATIONS,
    Config,
    Count,
    Dataset,
    Device,
    Flag,
    Hidden,
    OneOf,
    Positive,
    Replicates,
    Seed,
    Text,
    Threads,
    Units,
    anywhere,
    clash,
    defaults,
    rung,
)
from mlfound.config.training import DataConfig, LrFindConfig, TrainConfig

MATMULS = ladders.names("foundations/matmul.py", "MATMULS")
CONVOLUTIONS = ladders.names("foundations/convolution.py", "CONVOLUTIONS")
# An image as channels x height x width - kernels as number x height x width, stride, padding
SIZE = "([1-9][0-9]{0,6})"
LAYER = f"^{SIZE}x{SIZE}x{SIZE}-{SIZE}x{SIZE}x{SIZE}(?:s{SIZE})?(?:p([0-9]{{1,6}}))?$"


class DownloadConfig(Config):
    """One data set to fetch into the cache."""

    dataset: Dataset = "mnist"
    from_: Annotated[
        Annotated[Text, AfterValidator(anywhere)] | None,
        Field(alias="from", description="the path of a folder or file, or null for the web"),
    ] = None
    verify: Flag = False


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
                "torch-nn", "buffers/matmul", "buffers/onednn", "buffers", "graph",
                "torch-compile", "torch-graph", "jax",
            ],
            ...,
        ],
        Field(strict=False, min_length=1),
    ] = (
        "functions", "classes-outer", "classes", "modules-einsum", "modules", "torch-functional",
        "torch-nn", "buffers/matmul", "buffers/onednn", "buffers", "graph",
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


class InitStatsConfig(Config):
    """What initialisations do to a signal. `model`, `depth`, `layer` and `relu_shift` each select one part."""

    data: DataConfig = DataConfig()
    model: Annotated[
        Annotated[Text, AfterValidator(anywhere)] | None,
        Field(description="the path of a config of train or of a run, or null for all parts"),
    ] = None
    init: Annotated[
        tuple[Annotated[str, OneOf(*INITIALIZATIONS, "lsuv", "fixup")], ...], Field(strict=False)
    ] = ()
    activation: Annotated[
        tuple[Literal["linear", "relu", "leaky"], ...], Field(strict=False, min_length=1)
    ] = ("linear", "relu")
    leak: Annotated[float, Field(ge=0, le=1, description="a number from 0 to 1")] = 0.01
    relu_shift: Annotated[float | None, Field(description="a number, or null for all parts")] = None
    relu_variant: Literal["subtract", "floor"] = "subtract"
    hidden: Units = 50
    draws: Annotated[
        int | None, Field(ge=1, description="a whole number, 1 or more, or null for what each part needs")
    ] = None
    rows: Annotated[
        int | None, Field(ge=1, description="a whole number, 1 or more, or null for what each part needs")
    ] = None
    depth: Annotated[
        int | None,
        Field(ge=1, le=1_000_000, description="layers from 1 to 1000000, or null for all parts"),
    ] = None
    width: Units = 512
    residual: Flag = False
    layer: Literal["all", "linear", "conv"] = "all"
    seed: Seed = 0
    threads: Threads = 1

    @model_validator(mode="after")
    def keys_fit_together(self) -> Self:
        """Refuse keys that are valid one by one and exclude each other."""
        shapes = (
            "activation", "leak", "relu_shift", "relu_variant", "hidden", "depth", "width", "residual", "layer",
        )  # fmt: skip
        given = [key for key in shapes if getattr(self, key) != type(self).model_fields[key].default]
        if self.model is not None and given:
            message = f"the file says what its layers are; leave {given[0]} out, or model"
            raise clash(message, given[0], "model")
        if self.layer == "conv" and (self.depth is not None or self.residual):
            message = "the convolutional stacks have one and four layers; leave depth and residual out"
            raise clash(message, "layer", "residual" if self.residual else "depth")
        if self.residual and self.depth is not None and self.depth % 2:
            message = "a residual block has two layers; write an even depth"
            raise clash(message, "depth", "residual")
        return self


class CompareConfig(Config):
    """Compares the runs in `runs`, or all runs of `train` that differ in the key `group`."""

    runs: Annotated[
        tuple[Text, ...],
        Field(
            strict=False, max_length=500, description="a list of runs: paths, ids, their beginnings, latest"
        ),
    ] = ()
    group: Annotated[
        Text | None, Field(description="a key of train such as model.relu_shift, or null to name runs")
    ] = None
    metric: Literal[
        "valid_loss", "valid_accuracy", "test_loss", "test_accuracy", "test_wrong", "train_loss", "best_epoch"
    ] = "valid_loss"
    difference: Annotated[
        float | None, Field(gt=0, description="a number above 0, or null for the metric's usual one")
    ] = None


class NormalizeCheckConfig(Config):
    """Checks of the data before and after normalising."""

    data: DataConfig = DataConfig()
    tolerance: Positive = 1e-3


class NotebookTestConfig(Config):
    """One run of notebooks, each in a fresh kernel."""

    notebooks: Annotated[
        tuple[Annotated[Text, AfterValidator(anywhere)], ...],
        Field(strict=False, max_length=1000, description="a list of at most 1000 notebooks and folders"),
    ] = ()
    timeout: Annotated[
        int, Field(ge=1, le=86_400, description="whole seconds from 1 to 86400 for each cell")
    ] = 600
    kernel: Annotated[
        Text | None, Field(description="the name of a kernel, or null for the notebook's own")
    ] = None
    save: Flag = False


CONFIGS: dict[str, type[Config]] = {
    "backprop-bench": BackpropBenchConfig,
    "compare": CompareConfig,
    "conv-bench": ConvBenchConfig,
    "download": DownloadConfig,
    "init-stats": InitStatsConfig,
    "lr-find": LrFindConfig,
    "matmul-bench": MatmulBenchConfig,
    "normalize-check": NormalizeCheckConfig,
    "notebook-test": NotebookTestConfig,
    "train": TrainConfig,
}


def usual(command: str | None, config: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of a command by dotted key, of the kinds of sections that the config has; none of another's."""
    return dict(flat(defaults(CONFIGS[command], config))) if command in CONFIGS else {}
