"""The lesson's task: all rows at once through 784-50-1, squared error, forward and backward timed apart."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from mlfound.config.models import BackpropBenchConfig
from mlfound.data.load import Split, Splits
from mlfound.experiments import hardware
from mlfound.experiments.backprop_report import BACKWARD, FORWARD, FULL_BACKWARD, VALIDATION, Lap, report
from mlfound.experiments.memory import peak_bytes
from mlfound.foundations.initialization import INITIALIZATIONS, mlp_parameters
from mlfound.foundations.randomness import generator
from mlfound.foundations.stages import STAGES, Stage
from mlfound.reference.torch_functional import torch_functional
from mlfound.reference.torch_nn import torch_nn
from mlfound.results import Context, Result
from mlfound.timing import Rung, measure, prepared, timer_of

HIDDEN = 50
LARGEST_PRODUCT = 50_000 * 784 * HIDDEN
OUTER_ROWS = 5_000  # for the outer products, a matrix of the weights' size a row

LADDER: dict[str, Stage] = {**STAGES, "torch-functional": torch_functional, "torch-nn": torch_nn}


def refuse(config: BackpropBenchConfig, names: Sequence[str], splits: Splits) -> None:
    """Rows whose outer products the memory cannot hold."""
    if "classes-outer" in names:
        rows = rows_of("classes-outer", config, splits)
        needed = rows * splits.train.x.shape[1] * HIDDEN * splits.train.x.element_size()
        hardware.require_memory(needed, "rows", f"classes-outer on {rows:,} rows")


def rows_of(name: str, config: BackpropBenchConfig, splits: Splits) -> int:
    """How many training rows a stage is timed on."""
    there = config.rows or len(splits.train.y)
    return min(there, OUTER_ROWS) if name == "classes-outer" and config.rows is None else there


def climb(config: BackpropBenchConfig, names: Sequence[str], splits: Splits, context: Context) -> Result:
    """Every pass of every stage, in interleaved rounds; then, one by one, the memory they take."""
    sizes = (splits.train.x.shape[1], HIDDEN, 1)
    parameters = mlp_parameters(sizes, INITIALIZATIONS["kaiming"], generator(config.seed, "initialization"))
    parameters = {name: p.to(splits.train.x.device) for name, p in parameters.items()}
    laps, rungs = list[Lap](), dict[str, Rung]()
    passes: dict[str, Callable[[], Iterator[Any]]] = {}
    for part, (half, input_gradient) in PASSES.items():
        for name in names:
            split = splits.valid if part == VALIDATION else splits.train.first(rows_of(name, config, splits))
            passes[name] = partial(
                LADDER[name], parameters, split.x, split.y.float(), input_gradient=input_gradient
            )
            laps.append(Lap(name, part, len(split.y)))
            rungs[laps[-1].label] = partial(half, passes[name])
    ...


def forward(start: Callable[[], Iterator[Any]]) -> Rung:
    """What is to be timed: the first half of a pass."""
    return partial(next, start())


def backward(start: Callable[[], Iterator[Any]]) -> Rung:
    """What is to be timed: the second half, when the first is done."""
    both = start()
    next(both)
    return partial(next, both)
