"""One implementation's epochs: does it train to the same weights as the reference, and how fast?"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from mlfound.experiments.backprop.step_task import LR, MOMENTUM, Order, Task, Weights
from mlfound.experiments.benches import Measurement
from mlfound.reference import torch_nn
from mlfound.results import Check
from mlfound.stats.timing import Ratio

REFERENCE = "torch-nn"
BOUND = 1e-10  # of the weights in float64 after the epoch, where 781 steps leave some 1e-15
FLOAT32_STEPS = 20  # much later no two agree in float32
FLOAT32_BOUND = 1e-5  # of the typical weight then: rounding leaves some 1e-7, products in TF32 1e-4 and more

Trained = Mapping[int, Weights]  # some of the networks, by their number


@dataclass(frozen=True, kw_only=True)
class StepMeasurement(Measurement):
    """One implementation: why it did not run, or how far off its weights are, and how long its epochs took."""

    task: Task
    absent: str | None = None
    error: float | None = None  # of the weights in float64
    single_error: float | None = None  # of the typical weight in float32, as it is timed
    networks: int = 1  # trained in one call
    first_s: float | None = None  # the first epoch, where something is set up in it

    @property
    def exact(self) -> bool:
        """Whether this is the same maths."""
        return self.error is not None and self.error <= BOUND

    @property
    def right(self) -> bool:
        """Whether what would be timed is the same, too."""
        return self.exact and self.single_error is not None and self.single_error <= FLOAT32_BOUND

    def for_all(self, seconds: float) -> float:
        """An epoch of all networks: what trains one at a time needs so many times as long."""
        return seconds * self.task.config.replicates / self.networks

    def images_per_s(self, seconds: float) -> float:
        """Of all networks, where a call takes so many seconds."""
        config = self.task.config
        return self.task.steps * config.batch_size * config.replicates / self.for_all(seconds)

    @property
    def setup_s(self) -> float | None:
        """What the first epoch took longer than the others."""
        if self.first_s is None or self.timing is None:
            return None
        return max(0.0, self.first_s - self.timing.median)

    def times_as_fast_as(self, other: "StepMeasurement") -> Ratio:
        """For each network, round by round."""
        rounds = self.timed.times_as_fast_as(other.timed).rounds
        return Ratio([each * self.networks / other.networks for each in rounds])

    @property
    def note(self) -> str:
        """What one must know to read the line."""
        if self.timing is None:
            return self.absent or f"void: other weights than {REFERENCE}"
        config = self.task.config
        single = [f"one network, {config.replicates} times"] if self.networks < config.replicates else []
        processes = self.task.processes(self.impl)
        return ", ".join([*self.noisy, *single, *([f"{processes} processes"] if processes > 1 else [])])

    def checks(self) -> list[Check]:
        """Of what ran in float64, and of what was right there also as it is timed."""
        made = []
        if self.error is not None:
            name = f"{self.impl}: weights after {self.task.steps} steps in float64 as by {REFERENCE}"
            made.append(Check(name, self.exact, self.error, BOUND))
        if self.single_error is not None:
            steps = min(FLOAT32_STEPS, self.task.steps)
            name = f"{self.impl}: the typical weight after {steps} steps in float32 as in float64"
            made.append(Check(name, self.right, self.single_error, FLOAT32_BOUND))
        return made


def by_reference(task: Task, order: Order) -> Trained:
    """What the reference makes of the first and the last network."""
    initial = task.initial(task.config.replicates)
    return {
        n: torch_nn.sgd(initial[n], task.train.x, task.train.y, LR, MOMENTUM)(order[n])
        for n in (0, len(initial) - 1)
    }


def worst_error(got: Sequence[Weights], wanted: Trained, error: Callable[[Tensor, Tensor], float]) -> float:
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
