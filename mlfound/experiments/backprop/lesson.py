"""The lesson's task: all rows at once through 784-50-1, squared error; forward and backward timed apart."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

from mlfound import hardware
from mlfound.config.models import BackpropBenchConfig
from mlfound.data.load import Splits
from mlfound.experiments.backprop.report import BACKWARD, FORWARD, FULL_BACKWARD, VALIDATION, Lap, report
from mlfound.experiments.memory import peak_bytes
from mlfound.foundations.initialization import INITIALIZATIONS, mlp_parameters
from mlfound.foundations.randomness import generator
from mlfound.foundations.stages import STAGES, Stage
from mlfound.reference.torch_functional import torch_functional
from mlfound.reference.torch_nn import torch_nn
from mlfound.results import Context, Result
from mlfound.stats.timing import measure, prepared, timer_of

HIDDEN = 50
OUTER_ROWS = 5_000  # each of its outer products is as large as the weights: all 50,000 take 7.8 GB

Pass = Callable[[], Iterator[Any]]  # the loss, then the gradients


def largest_product(config: BackpropBenchConfig) -> float:
    """Multiplications in the largest of a pass."""
    return (config.rows or 50_000) * 784 * HIDDEN


def refuse(config: BackpropBenchConfig, names: Sequence[str], splits: Splits) -> None:
    """Rows whose outer products the memory cannot hold."""
    if "classes-outer" in names:
        rows, x = rows_of("classes-outer", config, splits), splits.train.x
        needed = rows * x.shape[1] * HIDDEN * x.element_size()
        hardware.require_memory(needed, "rows", f"classes-outer on {rows:,} rows")


def rows_of(name: str, config: BackpropBenchConfig, splits: Splits) -> int:
    """How many training rows a stage is timed on: a number in the config holds for all."""
    if config.rows is not None:
        return config.rows
    there = len(splits.train.y)
    return min(there, OUTER_ROWS) if name == "classes-outer" else there


def climb(config: BackpropBenchConfig, names: Sequence[str], splits: Splits, context: Context) -> Result:
    """Every pass of every stage in interleaved rounds; then, one by one, the memory they take."""
    device, features = splits.train.x.device, splits.train.x.shape[1]
    draws = generator(config.seed, "initialization")
    parameters = {
        name: p.to(device)
        for name, p in mlp_parameters((features, HIDDEN, 1), INITIALIZATIONS["kaiming"], draws).items()
    }
    passes, rows = dict[tuple[str, str], Pass](), dict[tuple[str, str], int]()
    for part, name in product(PARTS, names):  # in this order those that are compared run side by side
        split = splits.valid if part == VALIDATION else splits.train.first(rows_of(name, config, splits))
        given = partial(LADDER[name], parameters, split.x, split.y.float())
        passes[name, part] = partial(given, input_gradient=part == FULL_BACKWARD)
        rows[name, part] = len(split.y)
    timings = measure(
        {f"{name} {part}": partial(PARTS[part], both) for (name, part), both in passes.items()},
        config.budget,
        timer=prepared(timer_of(device)),
        on_progress=partial(context.recorder.progress, "forward and backward"),
    )
    laps = [Lap(name, part, rows[name, part], timings[f"{name} {part}"]) for name, part in passes]
    peaks = {name: peak_bytes(partial(whole, passes[name, FULL_BACKWARD]), device) for name in names}
    return report(config, laps, peaks)


def forward(both: Pass) -> Callable[[], Any]:
    """What is to be timed: the first half of a pass."""
    return partial(next, both())


def backward(both: Pass) -> Callable[[], Any]:
    """What is to be timed: the second half, after the first."""
    halves = both()
    next(halves)
    return partial(next, halves)


def whole(both: Pass) -> None:
    """Both halves."""
    _, _ = both()


PARTS: dict[str, Callable[[Pass], Callable[[], Any]]] = {
    FORWARD: forward,
    BACKWARD: backward,
    FULL_BACKWARD: backward,
    VALIDATION: forward,
}

LADDER: dict[str, Stage] = {
    **STAGES,
    "torch-functional": torch_functional,
    "torch-nn": torch_nn,
}
