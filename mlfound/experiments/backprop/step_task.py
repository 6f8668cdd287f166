"""What everyone who trains is given: the same networks, the same images, the same order; ours and the peers take it.

Our engines train all `replicates` networks at once. A peer trains one at a time, and here only the first.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from mlfound import hardware
from mlfound.config.models import BackpropBenchConfig
from mlfound.data.load import Split
from mlfound.engines import ladder, products
from mlfound.engines.recipe import Recipe
from mlfound.foundations.batches import shuffled
from mlfound.foundations.initialization import INITIALIZATIONS, mlp_parameters
from mlfound.foundations.randomness import generator

LR, MOMENTUM = 0.05, 0.9

Weights = Mapping[str, Tensor]
Order = Tensor  # (networks, steps, batch): the numbers of each batch's images
Training = Callable[[Order], Sequence[Weights]]  # from the beginning to the weights of each network


@dataclass(frozen=True)
class Task:
    """An epoch in whole batches, for not all can do with a smaller one. Checked in float64, timed in float32."""

    config: BackpropBenchConfig
    train: Split
    sizes: tuple[int, ...]

    @property
    def steps(self) -> int:
        return len(self.train.y) // self.config.batch_size

    def seeds(self, networks: int) -> range:
        return range(self.config.seed, self.config.seed + networks)

    def starts(self, networks: int) -> list[Weights]:
        """What the first so many networks begin at."""
        x, scheme = self.train.x, INITIALIZATIONS["kaiming"]
        drawn = (
            mlp_parameters(self.sizes, scheme, generator(n, "initialization")) for n in self.seeds(networks)
        )
        return [{name: p.to(x.device, x.dtype) for name, p in parameters.items()} for parameters in drawn]

    def order(self, networks: int) -> Order:
        """An epoch's order, each network its own; drawn for every epoch that is timed."""
        rows, taken = len(self.train.y), self.steps * self.config.batch_size
        drawn = [shuffled(rows, generator(n, "shuffling"))[:taken] for n in self.seeds(networks)]
        order = torch.stack(drawn).to(self.train.y.device)
        return order.view(networks, self.steps, self.config.batch_size)


def by_engine(name: str, task: Task, ends: ExitStack) -> Training:
    """The engine of this name with all networks; it ends when `ends` does."""
    config, train, count = task.config, task.train, task.config.replicates
    device, rates = train.x.device, [(LR, MOMENTUM)] * task.steps
    recipe = Recipe(task.sizes, batch_size=config.batch_size, product=product_of(name, train.x))
    starts, draws = (
        task.starts(count),
        [generator(seed, "dropout", str(device)) for seed in task.seeds(count)],
    )
    engine = ladder.engine(name, recipe, starts, draws, train.x, train.y, processes_of(name, config))
    ends.callback(engine.close)

    def training(order: Order) -> Sequence[Weights]:
        for network, velocities, start in zip(engine.networks, engine.velocities, starts, strict=True):
            for key, p in start.items():
                network[key].copy_(p)
                velocities[key].zero_()
        engine.run(order.flatten(1), rates[: order.shape[1]])
        return engine.networks

    return training


def product_of(engine: str, x: Tensor) -> str:
    """What `train` takes for these numbers: oneDNN has no float64."""
    if engine == "modules" or products.unavailable("onednn", x.device, x.dtype):
        return "matmul"
    return "onednn"


def processes_of(engine: str, config: BackpropBenchConfig) -> int:
    """How many share the networks, as `train` has it: on a CPU all cores that it may use, one thread each."""
    if engine == "buffers" and config.device == "cpu" and config.threads == 1 and sys.platform == "linux":
        return min(config.replicates, hardware.cores())
    return 1


def by_peer(sgd: Callable[..., Callable[[Tensor], Weights]], task: Task, ends: ExitStack) -> Training:
    """A peer with the first network; nothing of it has to end."""
    [start] = task.starts(1)
    train = sgd(start, task.train.x, task.train.y, LR, MOMENTUM)
    return lambda order: [train(order[0])]
