"""The lesson's task: all rows at once through 784-50-1, squared error; forward and backward timed apart."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import torch

from mlfound import hardware
from mlfound.config.models import BackpropBenchConfig
from mlfound.data.load import Splits
from mlfound.experiments.backprop.memory import peak_bytes
from mlfound.experiments.benches import TIMING, Measurement, duration_bars, machine_words
from mlfound.foundations.initialization import INITIALIZATIONS, mlp_parameters
from mlfound.foundations.randomness import generator
from mlfound.foundations.stages import STAGES, Stage
from mlfound.reference.torch_functional import torch_functional
from mlfound.reference.torch_nn import torch_nn
from mlfound.results import Column, Context, Result, Table
from mlfound.stats.timing import measure, prepared, timer_of

HIDDEN = 50
OUTER_ROWS = 5_000  # each of its outer products is as large as the weights: all 50,000 take 7.8 GB
LADDER: dict[str, Stage] = {**STAGES, "torch-functional": torch_functional, "torch-nn": torch_nn}

FORWARD = "forward"
BACKWARD = "backward"
FULL_BACKWARD = "backward-with-input"
VALIDATION = "forward-validation"
# In the lesson's text and in its notebook. Its own stages always take the gradient of the input, too; its library's
# row never does.
LESSON_SECONDS: dict[tuple[str, str], tuple[float | None, float | None]] = {
    ("classes-outer", FORWARD): (59.6e-3, 70.7e-3),
    ("classes-outer", FULL_BACKWARD): (None, 3.4),
    ("modules-einsum", FORWARD): (44.3e-3, 46.3e-3),
    ("modules-einsum", FULL_BACKWARD): (174e-3, 140e-3),
    ("modules", FORWARD): (45.8e-3, 46.4e-3),
    ("modules", FULL_BACKWARD): (158e-3, 140e-3),
    ("torch-nn", FORWARD): (40.5e-3, 46.3e-3),
    ("torch-nn", BACKWARD): (33.8e-3, 71.1e-3),
    ("functions", VALIDATION): (6.71e-3, None),
}

Pass = Callable[[], Iterator[Any]]  # the loss, then the gradients


@dataclass(frozen=True, kw_only=True)
class PassMeasurement(Measurement):
    """One half of a pass of one stage over so many rows."""

    part: str
    rows: int

    @property
    def key(self) -> str:
        """`modules forward`."""
        return f"{self.impl} {self.part}"


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


def run(config: BackpropBenchConfig, names: Sequence[str], splits: Splits, context: Context) -> Result:
    """Every half of every stage in interleaved rounds; then, one by one, the memory they take."""
    device, features = splits.train.x.device, splits.train.x.shape[1]
    drawn = mlp_parameters(
        (features, HIDDEN, 1), INITIALIZATIONS["kaiming"], generator(config.seed, "initialization")
    )
    parameters = {name: p.to(device) for name, p in drawn.items()}
    passes, measurements = dict[str, Pass](), list[PassMeasurement]()
    for part, name in product(PARTS, names):  # in this order those that are compared run side by side
        split = splits.valid if part == VALIDATION else splits.train.first(rows_of(name, config, splits))
        each = PassMeasurement(name, part=part, rows=len(split.y))
        begin = partial(LADDER[name], parameters, split.x, split.y.float())
        passes[each.key] = partial(begin, input_gradient=part == FULL_BACKWARD)
        measurements.append(each)
    timings = measure(
        {each.key: partial(PARTS[each.part].half, passes[each.key]) for each in measurements},
        config.budget,
        timer=prepared(timer_of(device)),
        on_progress=partial(context.recorder.progress, "forward and backward"),
    )
    measurements = [replace(each, timing=timings[each.key]) for each in measurements]
    result = Result({})
    for part in PARTS if names else ():
        result += report_part([each for each in measurements if each.part == part], machine_words(config))
    return result + memory(measurements, passes, device) + against_library(measurements)


def report_part(measurements: Sequence[PassMeasurement], where: str) -> Result:
    """All stages in one half of a pass; the lesson's figures beside them only where its task is ours."""
    name, most = measurements[0].part, max(each.rows for each in measurements)
    part = PARTS[name]

    def lesson(each: PassMeasurement, which: int = 0) -> float | None:
        return (
            LESSON_SECONDS.get((each.impl, name), (None, None))[which] if most == part.lesson_rows else None
        )

    def note(each: PassMeasurement) -> str:
        fewer = [f"the others {most:,} rows"] if each.rows < most else []
        return ", ".join([*fewer, *each.noisy])

    columns = (
        Column("impl", "stage"),
        Column("rows", format=","),
        *TIMING,
        Column("lesson_s", "lesson", "duration", lesson),
        Column("notebook_s", "notebook", "duration", partial(lesson, which=1)),
        Column("note", of=note),
    )
    bars = [
        (each.impl if each.rows == most else f"{each.impl}, {each.rows:,} rows", each.timed, lesson(each))
        for each in measurements
    ]
    return Result(
        {f"{each.impl}_{name}_median_s": each.timed.median for each in measurements},
        tables=[Table.of(name, f"{part.title}, {where}", columns, measurements)],
        pictures=[duration_bars(name, f"{part.title}, {most:,} rows, {where}", bars)],
    )


def memory(
    measurements: Sequence[PassMeasurement], passes: Mapping[str, Pass], device: torch.device
) -> Result:
    """What forward and backward hold at once beside the images and the weights, the input's gradient included."""

    def peak_mb(each: PassMeasurement) -> float | None:
        peak = peak_bytes(partial(whole, passes[each.key]), device)
        return None if peak is None else peak / 1e6

    title = "Memory at the peak of forward and backward, beside images and weights"
    columns = (Column("impl", "stage"), Column("rows", format=","), Column("peak_mb", "MB", ",.0f", peak_mb))
    full = [each for each in measurements if each.part == FULL_BACKWARD]
    return Result({}, tables=[Table.of("memory", title, columns, full)])


def against_library(measurements: Sequence[PassMeasurement]) -> Result:
    """Our last stage over the library, both halves together, without and with the input's gradient."""
    seconds = {(each.impl, each.part): each.timed.median for each in measurements}
    if not {"modules", "torch-nn"} <= {impl for impl, _ in seconds}:
        return Result({})
    weights, everything = (
        (seconds["modules", FORWARD] + seconds["modules", back])
        / (seconds["torch-nn", FORWARD] + seconds["torch-nn", back])
        for back in (BACKWARD, FULL_BACKWARD)
    )
    share = 1 - seconds["modules", BACKWARD] / seconds["modules", FULL_BACKWARD]
    return Result(
        {
            f"modules_over_torch_nn_{BACKWARD}": weights,
            f"modules_over_torch_nn_{FULL_BACKWARD}": everything,
        },
        findings=[
            f"Forward and backward, modules take {weights:.2f} times as long as torch-nn, "
            f"and {everything:.2f} times when both also take the gradient of the input.",
            f"The gradient of the input, which nobody needs, is {share:.0%} of the whole backward pass. The lesson's "
            "stages take it and its library's row does not: much of why the library looked 2 to 5 times as fast.",
        ],
    )


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


class Part(NamedTuple):
    """One half of a pass: its title, how many rows the lesson has in it, and what of the pass is timed."""

    title: str
    lesson_rows: int
    half: Callable[[Pass], Callable[[], Any]]


PARTS = {
    FORWARD: Part("Forward", 50_000, forward),
    BACKWARD: Part("Backward to the weights", 50_000, backward),
    FULL_BACKWARD: Part("Backward to the weights and the input", 50_000, backward),
    VALIDATION: Part("Forward on the validation rows", 10_000, forward),
}
