"""The config of each command: one frozen model that knows all its keys and their defaults."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from mlfound.config.benches import BackpropBenchConfig, ConvBenchConfig, MatmulBenchConfig
from mlfound.config.documents import flat
from mlfound.config.keys import (
    INITIALIZATIONS,
    Config,
    Dataset,
    Flag,
    OneOf,
    Positive,
    Seed,
    Text,
    Threads,
    Units,
    anywhere,
    clash,
    defaults,
)
from mlfound.config.remedies import RemediesConfig
from mlfound.config.training import DataConfig, LrFindConfig, TrainConfig


class DownloadConfig(Config):
    """One data set to fetch into the cache."""

    dataset: Dataset = "mnist"
    from_: Annotated[
        Annotated[Text, AfterValidator(anywhere)] | None,
        Field(alias="from", description="the path of a folder or file, or null for the web"),
    ] = None
    verify: Flag = False


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
        "valid_loss",
        "valid_accuracy",
        "test_loss",
        "test_accuracy",
        "test_error",
        "test_wrong",
        "train_loss",
        "best_epoch",
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
    "remedies": RemediesConfig,
    "train": TrainConfig,
}


def usual(command: str | None, config: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of a command by dotted key, of the kinds of sections that the config has; none of another's."""
    return dict(flat(defaults(CONFIGS[command], config))) if command in CONFIGS else {}
