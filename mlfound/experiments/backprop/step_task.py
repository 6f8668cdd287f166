"""What every implementation is given: the same networks, images and order; and what is measured of it.

Our engines train all `replicates` networks at once. A library trains one at a time, and here only the first.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from mlfound.config.benches import BackpropBenchConfig
from mlfound.config.loading import Loaded, load
from mlfound.config.networks import MLPConfig
from mlfound.config.optimizers import SGDConfig
from mlfound.config.training import TrainConfig
from mlfound.data.load import Split, Splits
from mlfound.engines.recipe import Rate
from mlfound.experiments.benches import Measurement
from mlfound.foundations import matmul
from mlfound.foundations.batches import shuffled
from mlfound.foundations.checks import relative_error
from mlfound.foundations.randomness import generator
from mlfound.reference import libraries
from mlfound.reference.libraries import Trainer
from mlfound.results import Check
from mlfound.training.build import build, initial
from mlfound.training.plan import Plan, plan

LR, MOMENTUM = 0.05, 0.9
REFERENCE = "torch-nn"
HERE = ("seed", "replicates", "device", "threads")  # keys of both configs that hold as they are here

OURS = {  # rung: engine and product
    "modules": ("modules", "auto"),
    "buffers/matmul": ("buffers", "matmul"),
    "buffers/onednn": ("buffers", "onednn"),
    "buffers": ("buffers", "auto"),
    "native": ("native", "auto"),
    "graph": ("graph", "auto"),
}

Weights = Mapping[str, Tensor]
Order = Tensor  # (networks, steps, batch): the numbers of each batch's images
Trained = Mapping[int, Weights]  # some of the networks, by their number
Training = Callable[[Order], Sequence[Weights]]  # from the beginning to the weights of each network


@dataclass(frozen=True)
class Task:
    """An epoch in whole batches, for not all can do with a smaller one. Checked in float64, timed in float32."""

    config: BackpropBenchConfig
    settings: TrainConfig  # see `training_settings`
    splits: Splits

    @property
    def reference(self) -> str:
        """Whose weights all others must end at: the readable engine's, where torch has not the recipe."""
        return "modules" if libraries.lacking(REFERENCE, self.plan("modules").recipe) else REFERENCE

    @property
    def train(self) -> Split:
        return self.splits.train

    @property
    def steps(self) -> int:
        return len(self.train.y) // self.settings.batch_size

    def plan(self, impl: str) -> Plan:
        """The training that `train` would make of this, by the engine and the product of this rung of OURS."""
        engine, product = OURS[impl]
        if matmul.unavailable(product, self.train.x.device, self.train.x.dtype):
            product = "auto"  # float64 shows whether the maths is right, whatever multiplies
        here = {name: getattr(self.config, name) for name in HERE}
        how = {"schedule": "constant", "engine": engine, "product": product}
        return plan(self.settings.model_copy(update={**here, **how}), self.splits)

    def initial(self, networks: int) -> list[Weights]:
        planned = self.plan("modules")
        return [initial(planned, seed, self.train.x) for seed in planned.seeds[:networks]]

    def order(self, networks: int) -> Order:
        """An epoch's order, each network its own; drawn for every epoch that is timed."""
        seeds = range(self.config.seed, self.config.seed + networks)
        rows, taken = len(self.train.y), self.steps * self.settings.batch_size
        drawn = [shuffled(rows, generator(seed, "shuffling"))[:taken] for seed in seeds]
        order = torch.stack(drawn).to(self.train.y.device)
        return order.view(networks, self.steps, self.settings.batch_size)


def training_settings(config: BackpropBenchConfig, outputs: int) -> Loaded:
    """What is trained, as a config of `train`: the file `model`, or else an MLP of `hidden` units by SGD."""
    if config.model is not None:
        return load("train", config.model)
    model = MLPConfig(hidden=config.hidden, outputs=outputs)
    optimizer = SGDConfig(lr=LR, momentum=MOMENTUM, weight_decay=0.0)
    chosen = {"model": model, "optimizer": optimizer, "batch_size": config.batch_size}
    return Loaded(TrainConfig().model_copy(update=chosen), {})


@dataclass(frozen=True, kw_only=True)
class StepMeasurement(Measurement):
    """One implementation: why it did not run, or how far off its weights are, and how long its epochs took."""

    task: Task
    absent: str | None = None
    checks: Sequence[Check] = ()  # of the weights: in float64, and if that passes in float32, as it is timed
    networks: int = 1  # trained in one call
    first_s: float | None = None  # the first epoch, where something is set up in it

    def for_all(self, seconds: float) -> float:
        """An epoch of all networks: what trains one at a time needs so many times as long."""
        return seconds * self.task.config.replicates / self.networks

    def times_as_fast_as(self, other: "StepMeasurement") -> list[float]:
        """For each network, round by round."""
        rounds = self.timed.times_as_fast_as(other.timed)
        return [each * self.networks / other.networks for each in rounds]

    @property
    def weights_error(self) -> float | None:
        """In float64."""
        return self.checks[0].value if self.checks else None

    @property
    def setup_s(self) -> float | None:
        """What the first epoch took longer than the others."""
        if self.first_s is None or self.timing is None:
            return None
        return max(0.0, self.first_s - self.timing.median)

    @property
    def note(self) -> str:
        """What one must know to read the line."""
        if self.timing is None:
            return self.absent or f"void: other weights than {self.task.reference}"
        replicates, notes = self.task.config.replicates, self.noisy
        if self.networks < replicates:
            notes.append(f"one network, {replicates} times")
        if self.impl in OURS and (workers := self.task.plan(self.impl).machine.workers) > 1:
            notes.append(f"{workers} at a time")
        return ", ".join(notes)


def by_engine(name: str, task: Task, ends: ExitStack) -> Training:
    """A rung of OURS with all networks; it ends when `ends` does."""
    trainer = build(task.plan(name), task.splits)
    ends.callback(trainer.close)
    engine, begin = trainer.engine, task.initial(task.config.replicates)
    lr, momentum = trainer.plan.lr, trainer.plan.momentum
    rates = [Rate(lr, momentum, step) for step in range(task.steps)]

    def training(order: Order) -> Sequence[Weights]:
        for weights, states, start in zip(engine.networks, engine.optimizer, begin, strict=True):
            for key, p in start.items():
                weights[key].copy_(p)
            for state in states.values():
                for tensor in state.values():
                    tensor.zero_()
        engine.run(order.flatten(1), rates[: order.shape[1]])
        return engine.networks

    return training


def by_library(trainer: Trainer, task: Task, ends: ExitStack) -> Training:
    """A library with the first network; nothing of it has to end."""
    train = with_library(trainer, task, 0)
    return lambda order: [train(order[0])]


def with_library(trainer: Trainer, task: Task, n: int) -> Callable[[Tensor], Weights]:
    """Network `n`, as a function of its order (steps, batch)."""
    initial, planned = task.initial(n + 1)[n], task.plan("modules")
    return trainer(planned.recipe, initial, task.train.x, task.train.y, planned.lr, planned.momentum)


def by_reference(task: Task, order: Order) -> Trained:
    """What the reference makes of the first and the last network."""
    both = (0, task.config.replicates - 1)
    if task.reference == REFERENCE:
        return {n: with_library(libraries.LIBRARIES[REFERENCE], task, n)(order[n]) for n in both}
    with ExitStack() as ends:
        networks = by_engine(task.reference, task, ends)(order)
        return {n: networks[n] for n in both}


def check_weights(
    name: str,
    got: Sequence[Weights],
    wanted: Trained,
    error: Callable[[Weights, Weights], float],
    bound: float,
) -> Check:
    """The largest error of those networks that are in both."""
    worst = max(error(got[n], want) for n, want in wanted.items() if n < len(got))
    return Check(name, worst <= bound, worst, bound)


def largest_error(got: Weights, want: Weights) -> float:
    """The largest relative error of any tensor."""
    return max(relative_error(got[name], p) for name, p in want.items())


def typical_error(got: Weights, want: Weights) -> float:
    """The median over all weights of the difference over the largest wanted value of its tensor; inf for a nan.

    Not the largest difference: in float32 some ReLU may fall to the other side of 0, or another pixel of a window be
    the largest, and then its weights, and only they, are off by what a row is worth.
    """
    each = [((got[name].double() - p).abs() / p.abs().max()).flatten() for name, p in want.items()]
    error = torch.cat(each).median().item()
    return math.inf if math.isnan(error) else error
