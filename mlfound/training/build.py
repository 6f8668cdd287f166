"""From a plan to what trains by it."""

from torch import Tensor

from mlfound.data.load import Splits
from mlfound.engines import ladder
from mlfound.engines.recipe import Named
from mlfound.foundations import models
from mlfound.foundations.randomness import generator
from mlfound.training.loop import Trainer
from mlfound.training.plan import Plan


def build(plan: Plan, splits: Splits) -> Trainer:
    """Networks at their beginning, in an engine that has this data; `close` it, for some engines have processes."""
    x, y = splits.train.x, splits.train.y
    networks = [initial(plan, seed, x) for seed in plan.seeds]
    dropout = [generator(seed, "dropout", x.device) for seed in plan.seeds]
    engine = ladder.engine(plan.machine.engine, plan.recipe, networks, dropout, x, y, plan.machine.workers)
    return Trainer(plan, engine, splits)


def initial(plan: Plan, seed: int, x: Tensor) -> Named:
    """What the network of this seed begins at, parameters and layer state, of the type and on the device of `x`.

    Some initialisations look at `x`, the training images.
    """
    drawn = models.initial_by_name(plan.recipe.model, plan.init, generator(seed, "initialization"), x)
    return {name: p.to(x.device, x.dtype) for name, p in drawn.items()}
