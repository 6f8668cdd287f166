"""Training as it is done, in shuffled batches and at a constant learning rate, by our engines and the libraries."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from statistics import median
from time import perf_counter

import torch

from mlfound import hardware
from mlfound.config.benches import BackpropBenchConfig
from mlfound.config.loading import Loaded
from mlfound.data.load import Split, Splits
from mlfound.engines import ladder
from mlfound.engines.storage import parameter_count
from mlfound.errors import UserError
from mlfound.experiments.backprop.step_task import (
    OURS,
    REFERENCE,
    Order,
    StepMeasurement,
    Task,
    Trained,
    Training,
    by_engine,
    by_library,
    by_reference,
    check_weights,
    largest_error,
    training_settings,
    typical_error,
)
from mlfound.experiments.benches import machine_words
from mlfound.foundations import matmul
from mlfound.foundations.costs import costs
from mlfound.foundations.layers import Dropout, leaves
from mlfound.reference import libraries
from mlfound.results import Column, Context, Picture, Result, Table
from mlfound.stats.timing import measure, quartiles, timer_of
from mlfound.training import machine
from mlfound.training.plan import model_for, step_numbers
from mlfound.training.refusals import refuse_single_rows

LADDER: dict[str, Callable[[Task, ExitStack], Training]] = {
    **{name: partial(by_engine, name) for name in OURS},
    **{name: partial(by_library, trainer) for name, trainer in libraries.LIBRARIES.items()},
}
SET_UP = {"graph", *libraries.LIBRARIES} - {REFERENCE}  # those whose first epoch compiles or captures
BOUND = 1e-10  # of the weights in float64 after the epoch, where 781 steps leave some 1e-15
# At a larger learning rate rounding grows with every step: at 0.1, as in configs/mlp.yaml, to 4e-11 in an epoch
MODEL_STEPS = 20  # so what a config chooses is compared after a few
# All but SGD divide a gradient by its own size, or by eps if that is larger: what should be 0 and is rounding, some
# 1e-17, becomes 1e-9 of a step with an eps of 1e-8. Ten times as much is allowed
ADAPTIVE_BOUND = 1e-8
FLOAT32_STEPS = 3  # with every step more ReLUs fall to the other side of 0, and then no two agree in float32
FLOAT32_BOUND = 5e-7  # of the typical weight then: rounding leaves 1e-8, products in TF32 2e-6 to 3e-5


def largest_product(config: BackpropBenchConfig, splits: Splits) -> float:
    """In the largest product of a step, as `train` counts those of torch."""
    loaded = training_settings(config, splits.classes)
    with located(loaded):
        model = model_for(loaded.config, splits.shape)
    layers = costs(model, (1, math.prod(splits.shape)))
    return float(loaded.config.batch_size * machine.largest_product(layers))


@contextmanager
def located(loaded: Loaded) -> Iterator[None]:
    """A UserError about a key of this config of `train` names its file and line."""
    try:
        yield
    except UserError as error:
        raise (UserError(loaded.locate(error)) if error.key in loaded.origins else error) from error


def refuse(config: BackpropBenchConfig, names: Sequence[str], splits: Splits) -> None:
    """What does not fit the data or cannot be compared; networks beyond memory; nothing that can run here."""
    if config.device == "mps":
        raise UserError("weights are compared in float64, which mps has not; write cpu", key="device")
    loaded = training_settings(config, splits.classes)
    task, size = Task(config, loaded.config, splits), loaded.config.batch_size
    if config.rows is not None and config.rows < size:
        raise UserError(f"a step takes {size} rows; write {size} or more", key="rows")
    with located(loaded):
        planned = task.plan("modules")
        refuse_single_rows(planned.recipe.model, (size, *splits.train.x.shape[1:]), size)  # all are whole
    recipe = planned.recipe
    if any(isinstance(layer, Dropout) for layer in leaves(recipe.model)):
        message = "no library draws its dropout's masks, so weights cannot be compared; leave dropout out"
        raise UserError(message, key="model")
    absent = [why for name in names if (why := unavailable(name, task))]
    if len(absent) == len(names):
        raise UserError("; ".join(absent), key="impl")
    tensors = 3 + len(recipe.optimizer.state_names)  # initial, weights, gradients and the optimiser's state
    in_both = 8 + 4  # float64 and float32
    each = (parameter_count(recipe.model.parameters) * tensors + step_numbers(planned, size)) * in_both
    sized_by = "model" if config.model else "hidden"
    key, what = (sized_by, "the network") if config.replicates == 1 else ("replicates", "all networks")
    hardware.require_memory(config.replicates * each, key, what, torch.device(config.device))


def unavailable(name: str, task: Task) -> str | None:
    """Why an implementation cannot run here, or None: it can."""
    device = torch.device(task.config.device)
    if name not in OURS:
        return libraries.unavailable(name, device) or libraries.lacking(name, task.plan("modules").recipe)
    engine, product = OURS[name]
    return ladder.unavailable(engine, device) or matmul.unavailable(product, device)


def run(config: BackpropBenchConfig, names: Sequence[str], splits: Splits, context: Context) -> Result:
    """The same epoch by each implementation, in interleaved rounds; one that ends at other weights is not timed."""
    settings = training_settings(config, splits.classes).config
    task = Task(config, settings, splits.first(config.rows or len(splits.train.y)))
    train = task.train
    double = replace(task, splits=replace(task.splits, train=Split(train.x.double(), train.y)))
    order = task.order(config.replicates)
    steps = min(MODEL_STEPS, task.steps) if config.model else task.steps
    bound = BOUND if settings.optimizer.name == "sgd" else ADAPTIVE_BOUND
    wanted, soon = (by_reference(double, part) for part in (order[:, :steps], order[:, :FLOAT32_STEPS]))

    measurements, candidates = list[StepMeasurement](), dict[str, Callable[[], object]]()
    with ExitStack() as ends:
        for name in names:  # engines first: they fork, which is safe while no library has begun with threads
            each = StepMeasurement(name, task=task, absent=unavailable(name, task))
            context.recorder.message(each.absent or f"{name}: its weights in float64, then to be timed")
            if not each.absent:
                what = f"{name}: weights after {steps} steps in float64 as by {task.reference}"
                with ExitStack() as end:
                    weights = LADDER[name](double, end)(order[:, :steps])
                    same = check_weights(what, weights, wanted, largest_error, bound)
                each = replace(each, checks=[same])
                if same.passed:
                    each, epoch = begin(each, order, soon, ends)
                    if each.checks[-1].passed:
                        candidates[name] = epoch
            measurements.append(each)
        on_progress, timer = partial(context.recorder.progress, "epochs"), timer_of(train.x.device)
        timings = measure(candidates, config.budget, block=None, timer=timer, on_progress=on_progress)
    return report(task, [replace(each, timing=timings.get(each.impl)) for each in measurements])


def begin(
    each: StepMeasurement, order: Order, wanted: Trained, ends: ExitStack
) -> tuple[StepMeasurement, Callable[[], object]]:
    """Trains a first epoch, and checks the weights after a few steps; then any epoch, as it will be timed."""
    task, start = each.task, perf_counter()
    training = LADDER[each.impl](task, ends)
    weights = training(order)
    next(iter(weights[0].values())).cpu()  # a GPU is done only when a number is here
    first_s, networks = perf_counter() - start if each.impl in SET_UP else None, len(weights)
    soon = order[:, :FLOAT32_STEPS]
    name = f"{each.impl}: the typical weight after {soon.shape[1]} steps in float32 as in float64"
    same = check_weights(name, training(soon), wanted, typical_error, FLOAT32_BOUND)
    each = replace(each, checks=[*each.checks, same], networks=networks, first_s=first_s)
    return each, lambda: training(task.order(networks))


def report(task: Task, measurements: Sequence[StepMeasurement]) -> Result:
    """Checks, a line and a bar each; what cannot run here is listed with its reason."""
    planned, size = task.plan("modules"), task.settings.batch_size
    what = f"{planned.network}, {planned.recipe.loss}, {task.settings.optimizer.name}"
    batches = f"{task.steps} batches of {size} rows"
    networks = f", {task.config.replicates} networks" if task.config.replicates > 1 else ""
    title = f"An epoch: {batches}, {what}, {machine_words(task.config)}{networks}"
    timed = [each for each in measurements if each.timing]
    images = task.steps * size * task.config.replicates
    rates = {
        each.impl: [images / each.for_all(s) for s in (each.timed.median, *reversed(each.timed.quartiles))]
        for each in timed
    }
    medians, lows, highs = zip(*rates.values(), strict=True) if rates else ((), (), ())
    data = {"title": title, "names": list(rates), "images_per_s": medians, "low": lows, "high": highs}
    rounds = [(each.impl, number, *pair) for each in timed for number, pair in enumerate(each.samples, 1)]
    columns = [Column(name) for name in ("impl", "round", "seconds", "calibration_s")]
    result = Result(
        {f"{impl}_images_per_s": rate for impl, (rate, _, _) in rates.items()},
        checks=[check for each in measurements if each.impl != task.reference for check in each.checks],
        tables=[
            step_table(title, measurements, rates),
            Table("rounds", "Every round", columns, rounds, shown="never"),
        ],
        pictures=[Picture("step", "rate_bars", data)] if rates else [],
    )
    return result + against_libraries(timed)


def step_table(
    title: str, measurements: Sequence[StepMeasurement], rates: Mapping[str, Sequence[float]]
) -> Table:
    """A row for each implementation; `rates` are its images per second, the median first."""
    reference = next((each for each in measurements if each.impl == REFERENCE and each.timing), None)

    def times_reference(each: StepMeasurement) -> float | None:
        return median(each.times_as_fast_as(reference)) if reference and each.timing else None

    def epoch_s(which: str) -> Callable[[StepMeasurement], float | None]:
        return lambda each: each.for_all(getattr(each.timing, which)) if each.timing else None

    columns = (
        Column("impl"),
        Column("median_s", "an epoch", "duration", epoch_s("median")),
        Column("iqr_s", "IQR", "duration", epoch_s("iqr")),
        Column("n", "rounds", ",", "timing.n", rank=3),
        Column("images_per_s", "images/s", ",.0f", lambda each: rates.get(each.impl, [None])[0], rank=3),
        Column("times_torch_nn", "times torch-nn", ".2f", times_reference),
        Column("setup_s", "setting up", "duration", rank=4),
        Column("weights_error", "weights off", ".0e", rank=4),
        Column("note", rank=3),
    )
    return Table.of("step", title, columns, measurements, shown="alone")


def against_libraries(timed: Sequence[StepMeasurement]) -> Result:
    """The last of ours, and how many times as fast as each library it is, as `buffers`, and by another product."""
    ours = [each for each in timed if each.impl in OURS]
    if not ours:
        return Result()
    best = ours[-1]
    engine, _ = OURS[best.impl]
    others = [each for each in timed if each is not best]
    theirs = [
        each for each in others if each.impl == "buffers" or OURS.get(each.impl, (engine,))[0] == engine
    ]
    metrics, words = dict[str, float](), list[str]()
    for library in theirs:
        ratios = best.times_as_fast_as(library)
        times, (low, high) = median(ratios), quartiles(ratios)
        name = f"{best.impl}_times_{library.impl}"
        metrics |= {name: times, f"{name}_low": low, f"{name}_high": high}
        words.append(f"{times:.2f} times as fast as {library.impl} ({low:.2f} to {high:.2f})")
    sentence = f"{best.impl} train {', '.join(words)}; in brackets the interquartile range of the rounds."
    return Result(metrics, findings=[sentence] if theirs else [])
