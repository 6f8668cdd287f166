"""Training as it is done: shuffled batches, cross-entropy, SGD with momentum, by our engines and the peers."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import pairwise
from time import perf_counter

import torch
from torch import Tensor

from mlfound import hardware
from mlfound.config.models import BackpropBenchConfig
from mlfound.data.load import Split, Splits
from mlfound.engines import ladder
from mlfound.engines.storage import numbers
from mlfound.errors import UserError
from mlfound.experiments.backprop.step_report import FLOAT32_STEPS, Entry, report
from mlfound.experiments.backprop.step_task import (
    LR,
    MOMENTUM,
    Order,
    Task,
    Training,
    Weights,
    by_engine,
    by_library,
)
from mlfound.foundations.checks import relative_error
from mlfound.reference import libraries, torch_nn
from mlfound.results import Context, Result
from mlfound.stats.timing import Candidate, measure, timer_of

INPUTS, OUTPUTS = 784, 10  # of the lesson's images, to choose threads by before they are here

Trained = Mapping[int, Weights]  # some of the networks, by their number


def largest_product(config: BackpropBenchConfig) -> float:
    """Multiplications in the largest of a step."""
    layers = pairwise((INPUTS, *config.hidden, OUTPUTS))
    return config.batch_size * max(fan_in * fan_out for fan_in, fan_out in layers)


def refuse(config: BackpropBenchConfig, names: Sequence[str], splits: Splits) -> None:
    """Too few rows for a step, networks beyond memory, no float64; no implementation that can run here."""
    size = config.batch_size
    if config.rows is not None and config.rows < size:
        raise UserError(f"a step takes {size} rows; write {size} or more", key="rows")
    if size > len(splits.train.y):
        there = len(splits.train.y)
        raise UserError(
            f"{size} is more than the {there:,} training rows; write {there} or less", key="batch_size"
        )
    if config.device == "mps":
        raise UserError("weights are compared in float64, which mps has not; write cpu", key="device")
    absent = [why for name in names if (why := unavailable(name, config))]
    if len(absent) == len(names):
        raise UserError("; ".join(absent), key="impl")
    each = numbers((INPUTS, *config.hidden, OUTPUTS)) * 3 * (8 + 4)  # beginning, weights, velocities; twice
    key, what = ("hidden", "the network") if config.replicates == 1 else ("replicates", "all networks")
    hardware.require_memory(config.replicates * each, key, what, torch.device(config.device))


def unavailable(name: str, config: BackpropBenchConfig) -> str | None:
    """Why an implementation cannot run here, or None: it can."""
    why_not: hardware.Unavailable = ladder.unavailable if name in ladder.ENGINES else libraries.unavailable
    return why_not(name, torch.device(config.device))


def climb(config: BackpropBenchConfig, names: Sequence[str], splits: Splits, context: Context) -> Result:
    """The same epoch by each implementation, in interleaved rounds; who ends at other weights is not timed."""
    task = Task(config, splits.first(config.rows or len(splits.train.y)))
    train = task.train
    double = replace(task, splits=replace(task.splits, train=Split(train.x.double(), train.y)))
    order, entries, rungs = task.order(config.replicates), list[Entry](), dict[str, Candidate]()
    wanted, soon = (by_reference(double, part) for part in (order, order[:, :FLOAT32_STEPS]))

    with ExitStack() as ends:
        for (
            name
        ) in names:  # engines first: they fork, which is safe while the peers have not begun with threads
            entry = Entry(name, unavailable(name, config))
            context.recorder.message(entry.absent or f"{name}: an epoch in float64, then to be timed")
            if not entry.absent:
                with ExitStack() as end:
                    weights = LADDER[name](double, end)(order)
                    entry = replace(entry, error=apart(weights, wanted, relative_error))
            if entry.exact:
                entry, training = begun(entry, task, order, soon, ends)
                if entry.right:
                    rungs[name] = partial(an_epoch, training, task, entry.networks)
            entries.append(entry)
        told = partial(context.recorder.progress, "epochs")
        timings = measure(rungs, config.budget, block=None, timer=timer_of(train.x.device), on_progress=told)
    return report(task, [replace(entry, timing=timings.get(entry.impl)) for entry in entries])


def begun(entry: Entry, task: Task, order: Order, soon: Trained, ends: ExitStack) -> tuple[Entry, Training]:
    """The implementation as it will be timed, after a first epoch and a look at what it does in a few steps."""
    start = perf_counter()
    training = LADDER[entry.impl](task, ends)
    weights = training(order)
    weights[0]["w1"].cpu()  # a GPU is done only when a number is here
    first_s, networks = perf_counter() - start if entry.impl in SET_UP else None, len(weights)
    error = apart(training(order[:, :FLOAT32_STEPS]), soon, typical_error)
    return replace(entry, single_error=error, networks=networks, first_s=first_s), training


def an_epoch(training: Training, task: Task, networks: int) -> Sequence[Weights]:
    """What is timed: an order is drawn, and trained in."""
    return training(task.order(networks))


def by_reference(task: Task, order: Order) -> Trained:
    """What the reference makes of the first and the last network."""
    starts = task.initial(task.config.replicates)
    return {
        n: torch_nn.sgd(starts[n], task.train.x, task.train.y, LR, MOMENTUM)(order[n])
        for n in (0, len(starts) - 1)
    }


def apart(got: Sequence[Weights], wanted: Trained, error: Callable[[Tensor, Tensor], float]) -> float:
    """The largest error of any tensor of weights, of those networks that are in both."""
    return max(
        error(got[n][name].double(), p)
        for n, want in wanted.items()
        if n < len(got)
        for name, p in want.items()
    )


def typical_error(got: Tensor, want: Tensor) -> float:
    """The median difference over the largest wanted value; infinite for a nan.

    Not the largest difference: in float32 some ReLU may fall to the other side of 0, and then its weights, and only
    they, are off by what a row is worth.
    """
    error: float = ((got - want).abs().median() / want.abs().max()).item()
    return math.inf if math.isnan(error) else error


LADDER: dict[str, Callable[[Task, ExitStack], Training]] = {
    **{name: partial(by_engine, name) for name in ladder.ENGINES},
    **{name: partial(by_library, sgd) for name, sgd in libraries.LIBRARIES.items()},
}
SET_UP = {"graph", "torch-compile", "torch-graph", "jax"}  # those whose first epoch compiles or captures
