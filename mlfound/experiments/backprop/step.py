"""Training as it is done: shuffled batches, cross-entropy, SGD with momentum, by our engines and the libraries."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import pairwise
from time import perf_counter

import torch

from mlfound import hardware
from mlfound.config.models import BackpropBenchConfig
from mlfound.data.load import Split, Splits
from mlfound.engines import ladder
from mlfound.engines.storage import numbers
from mlfound.errors import UserError
from mlfound.experiments.backprop.epoch import (
    FLOAT32_STEPS,
    REFERENCE,
    StepMeasurement,
    Trained,
    by_reference,
    typical_error,
    worst_error,
)
from mlfound.experiments.backprop.step_task import (
    Order,
    Task,
    Training,
    Weights,
    by_engine,
    by_library,
)
from mlfound.experiments.benches import machine_words, of_timing
from mlfound.foundations.checks import relative_error
from mlfound.reference import libraries
from mlfound.results import Column, Context, Picture, Result, Table
from mlfound.stats.timing import measure, timer_of

INPUTS, OUTPUTS = 784, 10  # of the lesson's images, to choose threads by before they are here
LADDER: dict[str, Callable[[Task, ExitStack], Training]] = {
    **{name: partial(by_engine, name) for name in ladder.ENGINES},
    **{name: partial(by_library, sgd) for name, sgd in libraries.LIBRARIES.items()},
}
SET_UP = {"graph", *libraries.LIBRARIES} - {REFERENCE}  # those whose first epoch compiles or captures


def largest_product(config: BackpropBenchConfig) -> float:
    """Multiplications in the largest of a step."""
    layers = pairwise((INPUTS, *config.hidden, OUTPUTS))
    return config.batch_size * max(fan_in * fan_out for fan_in, fan_out in layers)


def refuse(config: BackpropBenchConfig, names: Sequence[str], splits: Splits) -> None:
    """Too few rows for a step, networks beyond memory, no float64; no implementation that can run here."""
    size, there = config.batch_size, len(splits.train.y)
    if config.rows is not None and config.rows < size:
        raise UserError(f"a step takes {size} rows; write {size} or more", key="rows")
    if size > there:
        message = f"{size} is more than the {there:,} training rows; write {there} or less"
        raise UserError(message, key="batch_size")
    if config.device == "mps":
        raise UserError("weights are compared in float64, which mps has not; write cpu", key="device")
    absent = [why for name in names if (why := unavailable(name, config))]
    if len(absent) == len(names):
        raise UserError("; ".join(absent), key="impl")
    each = numbers((INPUTS, *config.hidden, OUTPUTS)) * 3 * (8 + 4)  # initial, weights, velocities; twice
    key, what = ("hidden", "the network") if config.replicates == 1 else ("replicates", "all networks")
    hardware.require_memory(config.replicates * each, key, what, torch.device(config.device))


def unavailable(name: str, config: BackpropBenchConfig) -> str | None:
    """Why an implementation cannot run here, or None: it can."""
    why_not: hardware.Unavailable = ladder.unavailable if name in ladder.ENGINES else libraries.unavailable
    return why_not(name, torch.device(config.device))


def run(config: BackpropBenchConfig, names: Sequence[str], splits: Splits, context: Context) -> Result:
    """The same epoch by each implementation, in interleaved rounds; one that ends at other weights is not timed."""
    task = Task(config, splits.first(config.rows or len(splits.train.y)))
    train = task.train
    double = replace(task, splits=replace(task.splits, train=Split(train.x.double(), train.y)))
    order, measurements = task.order(config.replicates), list[StepMeasurement]()
    wanted, soon = (by_reference(double, part) for part in (order, order[:, :FLOAT32_STEPS]))

    with ExitStack() as ends:
        candidates = dict[str, Callable[[], object]]()
        for name in names:  # engines first: they fork, which is safe while no library has begun with threads
            each = StepMeasurement(name, task=task, absent=unavailable(name, config))
            context.recorder.message(each.absent or f"{name}: an epoch in float64, then to be timed")
            if not each.absent:
                with ExitStack() as end:
                    weights = LADDER[name](double, end)(order)
                    each = replace(each, error=worst_error(weights, wanted, relative_error))
            if each.exact:
                each, training = begin(each, order, soon, ends)
                if each.right:
                    candidates[name] = partial(an_epoch, training, task, each.networks)
            measurements.append(each)
        told = partial(context.recorder.progress, "epochs")
        timer = timer_of(train.x.device)
        timings = measure(candidates, config.budget, block=None, timer=timer, on_progress=told)
    return report(task, [replace(each, timing=timings.get(each.impl)) for each in measurements])


def begin(
    each: StepMeasurement, order: Order, soon: Trained, ends: ExitStack
) -> tuple[StepMeasurement, Training]:
    """The implementation as it will be timed, after a first epoch and its weights after a few steps."""
    start = perf_counter()
    training = LADDER[each.impl](each.task, ends)
    weights = training(order)
    weights[0]["w1"].cpu()  # a GPU is done only when a number is here
    first_s, networks = perf_counter() - start if each.impl in SET_UP else None, len(weights)
    error = worst_error(training(order[:, :FLOAT32_STEPS]), soon, typical_error)
    return replace(each, single_error=error, networks=networks, first_s=first_s), training


def an_epoch(training: Training, task: Task, networks: int) -> Sequence[Weights]:
    """What is timed: an order is drawn, and trained in."""
    return training(task.order(networks))


def report(task: Task, measurements: Sequence[StepMeasurement]) -> Result:
    """Checks, a line and a bar each; what cannot run here is listed with its reason."""
    rates = {
        each.impl: [each.images_per_s(s) for s in (each.timed.median, *reversed(each.timed.quartiles))]
        for each in measurements
        if each.timing
    }
    rounds = [
        (each.impl, number, *pair) for each in measurements for number, pair in enumerate(each.samples, 1)
    ]
    columns = [Column(name) for name in ("impl", "round", "seconds", "calibration_s")]
    result = Result(
        {f"{impl}_images_per_s": median for impl, (median, _, _) in rates.items()},
        checks=[check for each in measurements if each.impl != REFERENCE for check in each.checks()],
        tables=[
            step_table(task, measurements),
            Table("rounds", "Every round", columns, rounds, shown=False),
        ],
        pictures=[rate_bars(task, rates)] if rates else [],
    )
    return result + against_libraries([each for each in measurements if each.timing])


def title(task: Task) -> str:
    """What was trained, and where."""
    config, sizes = task.config, "-".join(map(str, task.sizes))
    batches = f"{task.steps} whole batches of {config.batch_size} shuffled rows"
    networks = f", {config.replicates} networks" if config.replicates > 1 else ""
    return f"An epoch: {batches}, {sizes}, {machine_words(config)}{networks}"


def step_table(task: Task, measurements: Sequence[StepMeasurement]) -> Table:
    """A row for each implementation."""
    reference = next((each for each in measurements if each.impl == REFERENCE and each.timing), None)

    def times_reference(each: StepMeasurement) -> float | None:
        return each.times_as_fast_as(reference).median if reference and each.timing else None

    def images_per_s(each: StepMeasurement) -> float | None:
        return each.images_per_s(each.timing.median) if each.timing else None

    def epoch_s(which: str) -> Callable[[StepMeasurement], float | None]:
        return lambda each: (seconds := of_timing(which)(each)) and each.for_all(seconds)

    columns = (
        Column("impl"),
        Column("median_s", "an epoch", "duration", epoch_s("median")),
        Column("iqr_s", "IQR", "duration", epoch_s("iqr")),
        Column("n", "rounds", ",", of_timing("n")),
        Column("images_per_s", "images/s", ",.0f", images_per_s),
        Column("times_torch_nn", "times torch-nn", ".2f", times_reference),
        Column("setup_s", "setting up", "duration"),
        Column("weights_error", "weights off", ".0e", "error"),
        Column("note"),
    )
    return Table.of("step", title(task), columns, measurements)


def rate_bars(task: Task, rates: Mapping[str, Sequence[float]]) -> Picture:
    """By implementation the median and the quartiles."""
    median, low, high = zip(*rates.values(), strict=True)
    data = {"title": title(task), "names": list(rates), "images_per_s": median, "low": low, "high": high}
    return Picture("step", "rate_bars", data)


def against_libraries(timed: Sequence[StepMeasurement]) -> Result:
    """The last of our engines, and how many times as fast as each library it is."""
    ours = [each for each in timed if each.impl in ladder.ENGINES]
    libraries = [each for each in timed if each.impl not in ladder.ENGINES]
    if not ours or not libraries:
        return Result({})
    best = ours[-1]
    metrics, words = dict[str, float](), list[str]()
    for library in libraries:
        ratio = best.times_as_fast_as(library)
        low, high = ratio.quartiles
        name = f"{best.impl}_times_{library.impl}"
        metrics |= {name: ratio.median, f"{name}_low": low, f"{name}_high": high}
        words.append(f"{ratio.median:.2f} times as fast as {library.impl} ({low:.2f} to {high:.2f})")
    sentence = f"{best.impl} train {', '.join(words)}; in brackets the middle half of the rounds."
    return Result(metrics, findings=[sentence])
