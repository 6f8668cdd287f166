"""What a YAML file may say: one closed, frozen model a command. Its defaults are the truth.

A field's description completes the sentence "write ..."; for a Literal it is made from the choices.
"""

import os
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

Count = Annotated[int, Field(ge=1, description="a whole number, 1 or more")]
Units = Annotated[int, Field(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1, description=f"a whole number from 0 to {2**63 - 1}")]
Number = Annotated[float, Field(description="a number")]
Positive = Annotated[float, Field(gt=0, description="a number above 0")]
NotNegative = Annotated[float, Field(ge=0, description="a number, 0 or more")]
Momentum = Annotated[float, Field(ge=0, lt=1, description="a number from 0 to below 1")]
Rate = Annotated[float, Field(ge=0, lt=1, description="a share from 0 to below 1")]
Flag = Annotated[bool, Field(description="true or false")]

# On one line, without control characters.
Text = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\p{C}\p{Zl}\p{Zp}]*$")]


def anywhere(path: str) -> str:
    """A path as it is from everywhere: a run's `config.yaml` must mean the same files from another folder."""
    return os.path.abspath(os.path.expanduser(path))


def absolute(path: str) -> str:
    """The same of what may be a path or a name."""
    return anywhere(path) if {"/", os.sep} & set(path) else path


Dataset = Annotated[
    Text, AfterValidator(absolute), Field(description="a name that mlfound download --list shows")
]
Device = Annotated[
    str, Field(pattern="^(auto|cpu|cuda(:[0-9]{1,3})?|mps)$", description="auto, cpu, cuda, cuda:N or mps")
]
Threads = Annotated[
    Literal["auto"] | Annotated[int, Field(ge=1, le=1024)],
    Field(description="auto or a whole number from 1 to 1024"),
]

Hidden = Annotated[
    tuple[Units, ...],
    Field(
        strict=False,  # YAML has lists, we keep tuples
        max_length=1000,
        description="a list of at most 1000 layers of 1 to 1000000 units, as in [100, 50]",
    ),
]
Replicates = Annotated[
    int, Field(ge=1, le=100_000, description="a whole number from 1 to 100000: so many seeds")
]

Init = Literal[
    "normal", "small", "xavier", "glorot-normal", "glorot-uniform", "kaiming", "kaiming-uniform",
    "kaiming-fan-out", "torch-default", "orthogonal",
]  # fmt: skip


class Config(BaseModel):
    """Refuses unknown keys, strings and booleans for numbers, infinities; an int may stand for a float."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DataConfig(Config):
    """Which images, and what is done to them first."""

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
    max_norm: Annotated[float | None, Field(gt=0, description="a number above 0, or null for no limit")] = None


class CheckpointConfig(Config):
    """What is kept while training, so that a killed run can go on."""

    every: Count = 1
    seconds: NotNegative = 1.0
    keep: Count = 2


class TrainConfig(Config):
    """One training run, of one network or of several that differ in their seed."""

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

    @model_validator(mode="after")
    def keys_fit_together(self) -> Self:
        """Refuse keys that are right one by one and wrong together."""
        if self.loss == "cross-entropy" and self.model.outputs < 2:
            message = "cross-entropy tells classes apart; write model.outputs: 2 or more, or loss: mse"
            raise clash(message, "loss", "model.outputs")
        if self.loss == "mse" and self.model.outputs != 1:
            message = "mse predicts the digit as one number; write model.outputs: 1, or loss: cross-entropy"
            raise clash(message, "loss", "model.outputs")
        if self.optimizer.nesterov and self.optimizer.momentum == 0:
            message = "nesterov looks ahead along the momentum; write a momentum above 0, or nesterov: false"
            raise clash(message, "optimizer.nesterov", "optimizer.momentum")
        if not self.model.hidden and self.model.dropout:
            message = "there are no hidden units to leave out; write dropout: 0, or input_dropout"
            raise clash(message, "model.dropout", "model.hidden")
        if not self.model.hidden and self.optimizer.max_norm is not None:
            message = "there are no weights into hidden units to limit; write max_norm: null"
            raise clash(message, "optimizer.max_norm", "model.hidden")
        if self.engine == "modules" and self.product == "onednn":
            message = "the readable engine multiplies by matmul; write product: auto, or engine: buffers"
            raise clash(message, "product", "engine")
        if self.seed + self.replicates > 2**63:
            message = "the seeds go up from this one, beyond the largest there is; write a smaller one"
            raise clash(message, "seed", "replicates")
        return self


class DownloadConfig(Config):
    """One data set into the cache."""

    dataset: Dataset = "mnist"
    from_: Annotated[
        Text | None, Field(alias="from", description="the path of a folder or file, or null for the web")
    ] = None
    verify: Flag = False


class MatmulBenchConfig(Config):
    """One climb of the matmul ladder."""

    impl: Annotated[
        tuple[
            Literal["python", "loops", "dot", "broadcast", "einsum-by-hand", "einsum", "matmul", "onednn"],
            ...,
        ],
        Field(strict=False, min_length=1),
    ] = ("python", "loops", "dot", "broadcast", "einsum-by-hand", "einsum", "matmul", "onednn")
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


class BackpropBenchConfig(Config):
    """One climb of the stages of the backward pass, or of the implementations of a training step."""

    workload: Literal["lesson", "step"] = "lesson"
    impl: Annotated[
        tuple[
            Literal[
                "functions", "classes-outer", "classes", "modules-einsum", "modules", "torch-functional",
                "torch-nn", "buffers", "graph", "torch-compile", "torch-graph", "jax",
            ],
            ...,
        ],
        Field(strict=False, min_length=1),
    ] = (
        "functions", "classes-outer", "classes", "modules-einsum", "modules", "torch-functional",
        "torch-nn", "buffers", "graph", "torch-compile", "torch-graph", "jax",
    )  # fmt: skip
    rows: Annotated[int | None, Field(ge=1, description="a whole number, 1 or more, or null for all")] = None
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
        """Refuse keys that are right one by one and wrong together."""
        if self.workload == "lesson":
            for key in ("hidden", "batch_size", "replicates"):
                if getattr(self, key) != type(self).model_fields[key].default:
                    message = f"the lesson's task has one size; write workload: step, or leave {key} out"
                    raise clash(message, key, "workload")
        if self.seed + self.replicates > 2**63:
            message = "the seeds go up from this one, beyond the largest there is; write a smaller one"
            raise clash(message, "seed", "replicates")
        return self


class InitStatsConfig(Config):
    """One look at what initialisations do to a signal. `depth`, `layer` and `relu_shift` each ask for one part."""

    data: DataConfig = DataConfig()
    init: Annotated[
        tuple[
            Literal[
                "normal", "small", "xavier", "glorot-normal", "glorot-uniform", "kaiming", "kaiming-uniform",
                "kaiming-fan-out", "torch-default", "orthogonal", "lsuv", "fixup",
            ],
            ...,
        ],
        Field(strict=False),
    ] = ()  # fmt: skip
    activation: Annotated[
        tuple[Literal["linear", "relu", "leaky"], ...], Field(strict=False, min_length=1)
    ] = ("linear", "relu")
    leak: Annotated[float, Field(ge=0, le=1, description="a number from 0 to 1")] = 0.01
    relu_shift: Annotated[float | None, Field(description="a number, or null for the whole story")] = None
    relu_variant: Literal["subtract", "floor"] = "subtract"
    hidden: Units = 50
    draws: Count = 100
    rows: Annotated[
        int | None, Field(ge=1, description="a whole number, 1 or more, or null for what each part needs")
    ] = None
    depth: Annotated[
        int | None,
        Field(ge=1, le=1_000_000, description="layers from 1 to 1000000, or null for the whole story"),
    ] = None
    width: Units = 512
    residual: Flag = False
    layer: Literal["all", "linear", "conv"] = "all"
    seed: Seed = 0
    threads: Threads = 1

    @model_validator(mode="after")
    def keys_fit_together(self) -> Self:
        """Refuse keys that are right one by one and wrong together."""
        if self.layer == "conv" and (self.depth is not None or self.residual):
            message = "the convolutions are the notebook's one and four; leave depth and residual out"
            raise clash(message, "layer", "residual" if self.residual else "depth")
        if self.residual and self.depth is not None and self.depth % 2:
            message = "a residual block has two layers; write an even depth"
            raise clash(message, "depth", "residual")
        return self


class CompareConfig(Config):
    """Runs side by side: those in `runs`, or all of `train` that differ in the key `group`."""

    runs: Annotated[
        tuple[Text, ...],
        Field(
            strict=False, max_length=500, description="a list of runs: paths, ids, their beginnings, latest"
        ),
    ] = ()
    group: Annotated[
        Text | None, Field(description="a key of train, as model.relu_shift, or null to name runs")
    ] = None
    metric: Literal[
        "test_accuracy", "test_loss", "test_wrong", "valid_accuracy", "valid_loss", "train_loss", "best_epoch"
    ] = "test_accuracy"
    difference: Annotated[
        float | None, Field(gt=0, description="a number above 0, or null for what the metric makes usual")
    ] = None


class NormalizeCheckConfig(Config):
    """One look at the data before and after normalising."""

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


def clash(message: str, *keys: str) -> PydanticCustomError:
    """The error that `keys` don't fit together; the one that was set last is shown as the one at fault."""
    return PydanticCustomError("clash", message, {"keys": keys})


def fields(model: type[Config], above: str = "") -> dict[str, FieldInfo]:
    """Every key that `model` knows, dotted, sections before what they hold."""
    found = {}
    for name, field in model.model_fields.items():
        key = f"{above}{field.alias or name}"
        found[key] = field
        if section := section_of(field):
            found |= fields(section, f"{key}.")
    return found


def section_of(field: FieldInfo) -> type[Config] | None:
    """The model of a section such as `optimizer`; None for a key that holds a value."""
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, Config) else None


CONFIGS: dict[str, type[Config]] = {
    "backprop-bench": BackpropBenchConfig,
    "compare": CompareConfig,
    "download": DownloadConfig,
    "init-stats": InitStatsConfig,
    "matmul-bench": MatmulBenchConfig,
    "normalize-check": NormalizeCheckConfig,
    "notebook-test": NotebookTestConfig,
    "train": TrainConfig,
}
