"""The lesson's task: all rows at once through 784-50-1, squared error; forward and backward timed apart."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import torch

from mlfound import hardware
from mlfound.config.benches import BackpropBenchConfig
from mlfound.data.load import Splits
from mlfound.experiments.benches import TIMING, Measurement, duration_dots, machine_words
from mlfound.experiments.memory import peak_bytes
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

FORWARD, BACKWARD, FULL_BACKWARD = "forward", "backward", "backward-with-input"
VALIDATION = "forward-validation"
PARTS = {
    FORWARD: "Forward",
    BACKWARD: "Backward to the weights",
    FULL_BACKWARD: "Backward to the weights and the input",
    VALIDATION: "Forward on the validation rows",
}
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


def largest_product(config: BackpropBenchConfig, splits: Splits) -> float:
    """Multiplications in the largest of a pass."""
    rows, features = splits.train.x.shape
    return float((config.rows or rows) * features * HIDDEN)


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
    device, sizes = splits.train.x.device, (splits.train.x.shape[1], HIDDEN, 1)
    drawn = mlp_parameters(sizes, INITIALIZATIONS["kaiming"], generator(config.seed, "initialization"))
    parameters = {name: p.to(device) for name, p in drawn.items()}
    passes = dict[PassMeasurement, Pass]()
    for part, name in product(PARTS, names):  # in this order those that are compared run side by side
        split = splits.valid if part == VALIDATION else splits.train.first(rows_of(name, config, splits))
        stage = partial(LADDER[name], input_gradient=part == FULL_BACKWARD)
        each = PassMeasurement(name, part=part, rows=len(split.y))
        passes[each] = partial(stage, parameters, split.x, split.y.float())
    timings = measure(
        {each: partial(half, each.part, both) for each, both in passes.items()},
        config.budget,
        timer=prepared(timer_of(device)),
        on_progress=partial(context.recorder.progress, "forward and backward"),
    )
    measurements = [replace(each, timing=timing) for each, timing in timings.items()]
    result = Result(tables=[stage_table(measurements, machine_words(config))])
    for part in PARTS:
        result += report_part([each for each in measurements if each.part == part], machine_words(config))
    return result + memory(passes, device) + against_library(measurements)


def half(part: str, both: Pass) -> Callable[[], Any]:
    """What is to be timed of a pass: forward, or backward after a forward that is not timed."""
    halves = both()
    if part in (BACKWARD, FULL_BACKWARD):
        next(halves)
    return partial(next, halves)


def stage_table(measurements: Sequence[PassMeasurement], where: str) -> Table:
    """A row for each stage: the medians of its passes, and those of a training step over the library's."""
    medians = medians_of(measurements)
    full = {each.impl: each for each in measurements if each.part == FULL_BACKWARD}

    def seconds(part: str, each: PassMeasurement) -> float:
        return medians[each.impl, part]

    def times_library(each: PassMeasurement) -> float | None:
        library = full.get("torch-nn")
        comparable = library is not None and library.rows == each.rows
        return over_library(medians, each.impl, BACKWARD) if comparable else None

    columns = (
        Column("impl", "stage"),
        Column("rows", format=","),
        Column("forward_s", "forward", "duration", partial(seconds, FORWARD)),
        Column("backward_s", "backward", "duration", partial(seconds, BACKWARD)),
        Column("backward_with_input_s", "with x", "duration", partial(seconds, FULL_BACKWARD)),
        Column("times_torch_nn", "× torch-nn", ".2f", times_library),
    )
    title = f"Medians of forward, backward, and backward with the gradient of x, {where}"
    return Table.of("stages", title, columns, full.values(), shown="alone")


def medians_of(measurements: Sequence[PassMeasurement]) -> dict[tuple[str, str], float]:
    """Seconds by stage and part."""
    return {(each.impl, each.part): each.timed.median for each in measurements}


def over_library(medians: Mapping[tuple[str, str], float], impl: str, backward: str) -> float:
    """Forward and backward together, over the library's."""
    ours, theirs = (medians[name, FORWARD] + medians[name, backward] for name in (impl, "torch-nn"))
    return ours / theirs


def report_part(measurements: Sequence[PassMeasurement], where: str) -> Result:
    """All stages in one half of a pass; the lesson's figures beside them only where its task is ours."""
    part, most = measurements[0].part, max(each.rows for each in measurements)
    title, same_task = PARTS[part], most == (10_000 if part == VALIDATION else 50_000)

    def lesson(each: PassMeasurement, which: int = 0) -> float | None:
        return LESSON_SECONDS.get((each.impl, part), (None, None))[which] if same_task else None

    def note(each: PassMeasurement) -> str:
        fewer = [f"the others {most:,} rows"] if each.rows < most else []
        return ", ".join([*fewer, *each.noisy])

    columns = (
        Column("impl", "stage"),
        Column("rows", format=",", rank=3),
        *TIMING,
        Column("lesson_s", "lesson", "duration", lesson),
        Column("notebook_s", "notebook", "duration", partial(lesson, which=1), rank=4),
        Column("note", of=note),
    )
    dots = [(each.impl, each.timed, lesson(each)) for each in measurements]
    rows = [each.rows for each in measurements]
    on = f"{most:,} rows" if set(rows) == {most} else f"{min(rows):,} to {most:,} rows"
    return Result(
        {f"{each.impl}_{part}_median_s": each.timed.median for each in measurements},
        tables=[Table.of(part, f"{title}, {where}", columns, measurements)],
        pictures=[duration_dots(part, f"{title}, {on}, {where}", dots, rows)],
    )


def memory(passes: Mapping[PassMeasurement, Pass], device: torch.device) -> Result:
    """What forward and backward hold at once beside the images and the weights, the input's gradient included."""

    def peak_mb(each: PassMeasurement) -> float | None:
        peak = peak_bytes(lambda: tuple(passes[each]()), device)
        return None if peak is None else peak / 1e6

    title = "Memory at the peak of forward and backward, beside images and weights"
    columns = (Column("impl", "stage"), Column("rows", format=","), Column("peak_mb", "MB", ",.0f", peak_mb))
    full = [each for each in passes if each.part == FULL_BACKWARD]
    return Result(tables=[Table.of("memory", title, columns, full)])


def against_library(measurements: Sequence[PassMeasurement]) -> Result:
    """Our last stage over the library, both halves together, without and with the input's gradient."""
    if not {"modules", "torch-nn"} <= {each.impl for each in measurements}:
        return Result()
    medians = medians_of(measurements)
    weights, everything = (over_library(medians, "modules", back) for back in (BACKWARD, FULL_BACKWARD))
    share = 1 - medians["modules", BACKWARD] / medians["modules", FULL_BACKWARD]
    return Result(
        {"modules_over_torch_nn_backward": weights, "modules_over_torch_nn_backward-with-input": everything},
        findings=[
            f"Forward and backward, modules take {weights:.2f} times as long as torch-nn, "
            f"and {everything:.2f} times when both also take the gradient of the input.",
            f"The gradient of the input, which nobody needs, is {share:.0%} of the whole backward pass. The lesson's "
            "stages take it and its library's row does not: much of why the library looked 2 to 5 times as fast.",
        ],
    )
