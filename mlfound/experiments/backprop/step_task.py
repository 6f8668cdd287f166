"""What every implementation is given: the same networks, the same images, the same order.

Our engines train all `replicates` networks at once. A library trains one at a time, and here only the first.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from mlfound.config.models import BackpropBenchConfig
from mlfound.config.training import ModelConfig, OptimizerConfig, TrainConfig
from mlfound.data.load import Split, Splits
from mlfound.engines import ladder
from mlfound.foundations.batches import shuffled
from mlfound.foundations.randomness import generator
from mlfound.reference.libraries import SGD
from mlfound.training.build import build, initial
from mlfound.training.plan import Plan, plan

LR, MOMENTUM = 0.05, 0.9
TRAINED_ALIKE = ("batch_size", "seed", "replicates", "device", "threads")  # keys of both configs

Weights = Mapping[str, Tensor]
Order = Tensor  # (networks, steps, batch): the numbers of each batch's images
Training = Callable[[Order], Sequence[Weights]]  # from the beginning to the weights of each network


@dataclass(frozen=True)
class Task:
    """An epoch in whole batches, for not all can do with a smaller one. Checked in float64, timed in float32."""

    config: BackpropBenchConfig
    splits: Splits

    @property
    def train(self) -> Split:
        return self.splits.train

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.train.x.shape[1], *self.config.hidden, self.splits.classes

    @property
    def steps(self) -> int:
        return len(self.train.y) // self.config.batch_size

    def plan(self, engine: str) -> Plan:
        """The training that `train` would make of this, by the engine of this name."""
        shared = {name: getattr(self.config, name) for name in TRAINED_ALIKE}
        model = ModelConfig(hidden=self.config.hidden, outputs=self.splits.classes)
        optimizer = OptimizerConfig(lr=LR, momentum=MOMENTUM, weight_decay=0.0)
        settings = {"model": model, "optimizer": optimizer, "schedule": "constant", "engine": engine}
        return plan(TrainConfig().model_copy(update={**shared, **settings}), self.splits)

    def processes(self, impl: str) -> int:
        """How many share the networks."""
        return self.plan(impl).processes if impl in ladder.ENGINES else 1

    def initial(self, networks: int) -> list[Weights]:
        """What the first so many networks begin at."""
        planned = self.plan("modules")
        return [initial(planned, seed, self.train.x) for seed in planned.seeds[:networks]]

    def order(self, networks: int) -> Order:
        """An epoch's order, each network its own; drawn for every epoch that is timed."""
        seeds = range(self.config.seed, self.config.seed + networks)
        rows, taken = len(self.train.y), self.steps * self.config.batch_size
        drawn = [shuffled(rows, generator(seed, "shuffling"))[:taken] for seed in seeds]
        order = torch.stack(drawn).to(self.train.y.device)
        return order.view(networks, self.steps, self.config.batch_size)


def by_engine(name: str, task: Task, ends: ExitStack) -> Training:
    """The engine of this name with all networks; it ends when `ends` does."""
    trainer = build(task.plan(name), task.splits)
    ends.callback(trainer.close)
    engine, starts = trainer.engine, task.initial(task.config.replicates)
    rates = [(LR, MOMENTUM)] * task.steps

    def training(order: Order) -> Sequence[Weights]:
        for network, velocities, start in zip(engine.networks, engine.velocities, starts, strict=True):
            for key, p in start.items():
                network[key].copy_(p)
                velocities[key].zero_()
        engine.run(order.flatten(1), rates[: order.shape[1]])
        return engine.networks

    return training


def by_library(sgd: SGD, task: Task, ends: ExitStack) -> Training:
    """A library with the first network; nothing of it has to end."""
    [start] = task.initial(1)
    train = sgd(start, task.train.x, task.train.y, LR, MOMENTUM)
    return lambda order: [train(order[0])]
