"""From a plan to what trains by it."""

import torch
from torch import Tensor

from mlfound.data.load import Splits
from mlfound.data.normalize import Pixels
from mlfound.engines import ladder
from mlfound.engines.group import ALONE, Group
from mlfound.engines.recipe import Named
from mlfound.foundations.model_initialization import initial_by_name
from mlfound.foundations.randomness import generator
from mlfound.training.loop import Trainer
from mlfound.training.plan import Plan
from mlfound.training.rows import AsTheyAre, Augmented, Rows


def build(plan: Plan, splits: Splits, pixels: Pixels | None = None, group: Group = ALONE) -> Trainer:
    """Networks at their beginning, in an engine that has this data; `close` it, for some engines have processes.

    To augment the training images their `pixels` are needed.
    """
    x, rows = splits.train.x, rows_for(plan, splits, pixels)
    networks = [initial(plan, seed, x) for seed in plan.seeds]
    dropout = [generator(seed, "dropout", x.device) for seed in plan.seeds]
    name, workers = plan.machine.engine, plan.machine.workers
    engine = ladder.engine(name, plan.recipe, networks, dropout, rows.x, rows.y, workers, group)
    return Trainer(plan, engine, rows, splits, group)


def rows_for(plan: Plan, splits: Splits, pixels: Pixels | None) -> Rows:
    """What the engine trains on."""
    train, size = splits.train, plan.recipe.batch_size
    if plan.augment is None:
        return AsTheyAre(train, size)
    assert pixels is not None, "no pixels to augment"
    labels = train.y
    if plan.recipe.mixed_labels:
        if plan.recipe.loss == "cross-entropy":
            labels = labels[:, None] == torch.arange(splits.classes, device=labels.device)
        labels = labels.to(train.x)
    return Augmented(plan.augment, plan.seeds, pixels, labels, splits.shape, size)


def initial(plan: Plan, seed: int, x: Tensor) -> Named:
    """What the network of this seed begins at, parameters and layer state, of the type and on the device of `x`.

    Some initialisations look at `x`, the training images.
    """
    drawn = initial_by_name(plan.recipe.model, plan.init, generator(seed, "initialization"), x)
    return {name: p.to(x.device, x.dtype) for name, p in drawn.items()}
