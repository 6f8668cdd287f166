"""Training as it is done: steps of 64 shuffled rows through 784-50-10, cross-entropy, SGD with momentum."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from mlfound.config.models import BackpropBenchConfig
from mlfound.data.load import Split, Splits
from mlfound.errors import UserError
from mlfound.foundations.checks import relative_error
from mlfound.foundations.initialization import INITIALIZATIONS, mlp_parameters
from mlfound.foundations.modules import LOSSES, MLP
from mlfound.foundations.optimizers import SGD
from mlfound.foundations.randomness import generator
from mlfound.reference import jax_scan, torch_compile, torch_graph, torch_nn
from mlfound.results import Check, Column, Context, Picture, Result, Table
from mlfound.timing import Timing, measure, timer_of

HIDDEN, BATCH = 50, 64
LARGEST_PRODUCT = BATCH * 784 * HIDDEN
LR, MOMENTUM = 0.05, 0.9
BOUND = 1e-10  # of the final weights in float64, where 781 steps leave some 1e-15; in float32 no two agree

Weights = dict[str, Tensor]
Trainer = Callable[[Mapping[str, Tensor], Tensor, Tensor, Tensor, float, float], Callable[[], Weights]]

COLUMNS = (
    Column("impl"),
    Column("median_s", "a step", "duration"),
    Column("iqr_s", "IQR", "duration"),
    Column("n", "epochs", ","),
    Column("images_per_s", "images/s", ",.0f"),
    Column("setup_s", "setting up", "duration"),
    Column("weights_error", "weights off", ".0e"),
    Column("note"),
)


def modules(
    parameters: Mapping[str, Tensor], x: Tensor, y: Tensor, order: Tensor, lr: float, momentum: float
) -> Callable[[], Weights]:
    """A training to be called: a step for each row of `order`, from `parameters` to the weights it gives."""

    def train() -> Weights:
        weights = {name: p.clone() for name, p in parameters.items()}
        model, loss, optimizer = MLP(weights, input_gradient=False), LOSSES["cross-entropy"](), SGD(weights)
        for rows in order:
            loss(model(x.index_select(0, rows)), y.index_select(0, rows))
            model.backward(loss.backward())
            optimizer.step(model.gradients, lr, momentum)
        return weights

    return train


@dataclass(frozen=True)
class Entry:
    """One implementation: why it did not run, or how far off its final weights are, and how long its epochs took."""

    impl: str
    absent: str | None = None
    error: float | None = None
    first_s: float | None = None  # the first epoch, with all that had to be set up
    timing: Timing | None = None

    @property
    def right(self) -> bool:
        return self.error is not None and self.error <= BOUND


def refuse(config: BackpropBenchConfig, names: Sequence[str], splits: Splits) -> None:
    """Too few rows for a step, no float64; implementations that cannot run here, unless another can."""
    if config.rows is not None and config.rows < BATCH:
        raise UserError(f"a step takes {BATCH} rows; write {BATCH} or more", key="rows")
    if config.device == "mps":
        raise UserError("weights are compared in float64, which mps has not; write cpu", key="device")
    absent = [why for name in names if (why := unavailable(name, config))]
    if len(absent) == len(names):
        raise UserError("; ".join(absent), key="impl")


def unavailable(name: str, config: BackpropBenchConfig) -> str | None:
    """Why an implementation cannot run here, or None: it can."""
    reason = ASK_FIRST[name](torch.device(config.device)) if name in ASK_FIRST else None
    return f"{name} {reason}" if reason else None


def climb(config: BackpropBenchConfig, names: Sequence[str], splits: Splits, context: Context) -> Result:
    """The same epoch by each implementation: in float64 to the same weights, or it is not timed."""
    train = splits.train.first(config.rows or len(splits.train.y))
    order = torch.randperm(len(train.y), generator=generator(config.seed, "shuffling")).to(train.y.device)
    order = order[: len(order) // BATCH * BATCH].view(-1, BATCH)  # whole batches: not all can do with less
    task = partial(training, config=config, train=train, order=order, classes=splits.classes)

    entries = {name: Entry(name, unavailable(name, config)) for name in names}
    reference = task(REFERENCE, dtype=torch.float64)()
    for name, entry in entries.items():
        context.recorder.message(entry.absent or f"{name}: an epoch in float64, then to be timed")
        if not entry.absent:
            entries[name] = replace(entry, error=apart(task(name, dtype=torch.float64)(), reference))

    timer, rungs = timer_of(train.x.device), dict[str, Callable[[], Weights]]()
    for name, entry in entries.items():
        if entry.right:
            start = perf_counter()
            rungs[name] = task(name, dtype=torch.float32)
            rungs[name]()["w1"].cpu()  # a GPU is done only when a number is here
            entries[name] = replace(entry, first_s=perf_counter() - start)
    timings = measure(rungs, config.budget, timer=timer, told=partial(context.recorder.progress, "epochs"))
    done = [replace(entry, timing=timings.get(name)) for name, entry in entries.items()]
    return report(config, done, train.x.shape[1], splits.classes, len(order))


def training(
    name: str, *, config: BackpropBenchConfig, train: Split, order: Tensor, classes: int, dtype: torch.dtype
) -> Callable[[], Weights]:
    """An implementation with the weights, the images and the order that all of them get."""
    sizes, draws = (train.x.shape[1], HIDDEN, classes), generator(config.seed, "initialization")
    start = mlp_parameters(sizes, INITIALIZATIONS["kaiming"], draws)
    weights = {key: p.to(train.x.device, dtype) for key, p in start.items()}
    return LADDER[name](weights, train.x.to(dtype), train.y, order, LR, MOMENTUM)


def apart(got: Weights, want: Weights) -> float:
    """The largest relative error of any of the final weights."""
    return max(relative_error(got[name], want[name]) for name in want)


def report(
    config: BackpropBenchConfig, entries: Sequence[Entry], inputs: int, classes: int, steps: int
) -> Result:
    """A check, a line and a bar each; what cannot run here is listed with its reason."""
    threads = "1 thread" if config.threads == 1 else f"{config.threads} threads"
    title = f"A training step of {BATCH} rows, {inputs}-{HIDDEN}-{classes}, {config.device}, {threads}"
    rates = {entry.impl: rate(entry.timing, steps) for entry in entries if entry.timing}
    low, middle, high = zip(*rates.values(), strict=True) if rates else ((), (), ())
    data = {"title": title, "names": list(rates), "images_per_s": middle, "low": low, "high": high}
    return Result(
        metrics={f"{name}_images_per_s": value for name, value in zip(rates, middle, strict=True)},
        checks=[
            Check(
                f"{entry.impl}: weights after {steps} steps as by {REFERENCE}",
                entry.right,
                entry.error,
                BOUND,
            )
            for entry in entries
            if entry.error is not None and entry.impl != REFERENCE
        ],
        findings=findings(dict(zip(rates, middle, strict=True))),
        tables=[Table("step", title, COLUMNS, [row(entry, steps) for entry in entries])],
        pictures=[Picture("step", "rate_bars", data)] if rates else [],
    )


def findings(rates: Mapping[str, float]) -> list[str]:
    """How the others stand to ours."""
    if "modules" not in rates or len(rates) == 1:
        return []
    ours = rates["modules"]
    others = [f"{name} {rate / ours:.2f}" for name, rate in rates.items() if name != "modules"]
    return [f"modules see {ours:,.0f} images a second, and for each of them sees {', '.join(others)}."]


def rate(timing: Timing, steps: int) -> tuple[float, float, float]:
    """Images a second: the lower quartile, the median, the upper quartile."""
    short, long = timing.middle_half
    low, middle, high = (BATCH * steps / seconds for seconds in (long, timing.median, short))
    return low, middle, high


def row(entry: Entry, steps: int) -> tuple[Any, ...]:
    """One line of the table."""
    timing = entry.timing
    if timing is None:
        note = entry.absent or f"void: other weights than {REFERENCE}"
        return (entry.impl, None, None, None, None, None, entry.error, note)
    iqr, (_, images_per_s, _) = timing.iqr, rate(timing, steps)
    setup = None
    if entry.impl in ASK_FIRST and entry.first_s is not None:
        setup = max(0.0, entry.first_s - timing.median)
    return (
        entry.impl,
        timing.median / steps,
        None if iqr is None else iqr / steps,
        timing.n,
        images_per_s,
        setup,
        entry.error,
        "noisy" if timing.noisy else "",
    )


REFERENCE = "torch-nn"

LADDER: dict[str, Trainer] = {
    "modules": modules,
    "torch-nn": torch_nn.sgd,
    "torch-compile": torch_compile.sgd,
    "torch-graph": torch_graph.sgd,
    "jax": jax_scan.sgd,
}
ASK_FIRST: dict[str, Callable[[torch.device], str | None]] = {  # those that have something to set up
    "torch-compile": torch_compile.unavailable,
    "torch-graph": torch_graph.unavailable,
    "jax": jax_scan.unavailable,
}
