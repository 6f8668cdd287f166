"""One network trained by several processes ends where one process does, whatever is trained."""

from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import pytest
import torch

from mlfound.config.loading import load, parse_set
from mlfound.engines.buffers import Buffers
from mlfound.engines.group import Group
from mlfound.engines.recipe import Recipe
from mlfound.engines.shared import Shared
from mlfound.foundations.activations import GELU
from mlfound.foundations.checks import relative_error
from mlfound.foundations.layers import (
    AveragePool,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool,
    Residual,
    Sequential,
    Unflatten,
)
from mlfound.foundations.models import MODELS
from mlfound.foundations.norms import NORMS
from mlfound.foundations.optimizers import OPTIMIZERS, SGD, Adam
from tests.engines.conftest import Task, recipe, recipe_of
from tests.support.ranks import in_ranks

pytestmark = pytest.mark.usefixtures("one_thread")

WAYS = "shared memory", "gloo"
SIDE = 6
CONFIGS = Path(__file__).parents[2] / "configs"


def images(norm, **more):
    """A norm before dropout, in a branch, after pooling; no bias before it, whose gradient would be rounding only."""
    made = NORMS[norm]
    return recipe_of(
        [
            Unflatten(1, SIDE, SIDE),
            Conv2d(1, 4, 3, padding=1, bias=False),
            made(4, 1.0),
            Dropout(0.2),
            Residual(
                Conv2d(4, 6, 3, stride=2, padding=1, bias=False),
                made(6, 0.5),
                GELU(),
                shortcut=Sequential(AveragePool(2, 2), Conv2d(4, 6, 1, bias=False)),
            ),
            AveragePool(2, 1) if norm == "instance" else MaxPool(2, 1),  # equal maxima have no variance
            *([made(6, 1.0), Flatten()] if norm == "instance" else [Flatten(), made(24, 1.0)]),
            Linear(24, 5),
        ],
        **more,
    )


RULES = {
    **{name: rule() for name, rule in OPTIMIZERS.items()},
    "nesterov": SGD(nesterov=True, weight_decay=0.01),
    "dampened": SGD(dampening=0.3),
    "clipped": Adam(clip_norm=0.1, weight_decay=0.01),
}
TASKS = {
    **{name: Task(recipe(optimizer=rule, dropout=0.3, input_dropout=0.1)) for name, rule in RULES.items()},
    "mse": Task(recipe("mse", max_norm=0.5)),
    # of the last batch, 2 of 5 rows, and of 3 ranks the last has none
    **{f"{norm} norm": Task(images(norm, batch_size=5), rows=50, shape=(SIDE**2,)) for norm in NORMS},
    "batch norm of features": Task(
        recipe_of([Linear(11, 7, bias=False), NORMS["batch"](7, 1.0), Linear(7, 5)], batch_size=7)
    ),
}


def shipped(file, *settings):
    """The model of a config that is shipped, on images as large as MNIST's, three of them a batch."""
    section = load("train", CONFIGS / file, [parse_set(text) for text in settings]).config.model
    model = MODELS[section.name](section.model_dump(), (28, 28))
    return Task(Recipe(model, SGD(), batch_size=3), rows=50, shape=(28 * 28,))


SHIPPED = {
    "mlp": ("mlp.yaml", "model.dropout=0.2"),
    "lenet5": ("lenet5.yaml",),
    "cnn": ("cnn.yaml",),
    "cnn with batch norm": ("cnn.yaml", "model.norm=batch"),
    "resnet": ("resnet.yaml",),
    "resnet by fixup": ("resnet.yaml", "model.norm=none"),
    "residual-mlp": ("mlp.yaml", "model={name: residual-mlp, width: 20, blocks: 4}"),
}


def trained(ranks, tasks):
    """Of each task the parameters, state, state of the optimiser and losses, and what the generator draws next."""
    found = []
    for task in tasks:
        engine, losses = task.train(partial(Shared, group=ranks) if ranks else Buffers)
        named = {"losses": losses, **engine.networks[0], "next": engine.generators[0].get_state().double()}
        named |= {
            f"{kind} of {name}": p for kind, own in engine.optimizer[0].items() for name, p in own.items()
        }
        found.append({name: p.numpy() for name, p in named.items()})
    return found


def errors(size, tasks, way):
    """Of each task the largest relative error of any tensor in any rank, against one process."""
    alone = trained(None, tasks)
    every = in_ranks(size, trained, tasks, way=way)
    assert all(
        (own[name] == first[name]).all()
        for mine in every
        for own, first in zip(mine, every[0], strict=True)
        for name in first
    ), "the ranks do not have the same bits"
    return [
        max(relative_error(*map(torch.from_numpy, (found[name], wanted[name]))) for name in wanted)
        for found, wanted in zip(every[0], alone, strict=True)
    ]


@pytest.mark.parametrize("way", WAYS)
def test_three_ranks_end_where_one_process_does(way):
    few = "nesterov", "clipped", "batch norm", "running-batch norm"
    found = errors(3, [replace(TASKS[name], steps=10) for name in few], way)
    assert max(found) <= 1e-10, found


@pytest.mark.slow
@pytest.mark.parametrize(("size", "way"), [(1, "gloo"), *product((2, 3), WAYS)])
def test_the_result_does_not_depend_on_the_number_of_ranks(size, way):
    found = dict(zip(TASKS, errors(size, [*TASKS.values()], way), strict=True))
    assert max(found.values()) <= 1e-10, found


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [2, 3])
def test_nor_does_that_of_a_model_that_is_shipped(size, way):
    found = dict(zip(SHIPPED, errors(size, [shipped(*each) for each in SHIPPED.values()], way), strict=True))
    assert max(found.values()) <= 1e-10, found


def test_rows_are_shared_out_whole_and_evenly():
    for size, count in product((1, 2, 3, 5), (0, 1, 4, 17)):
        group, parts = Group(), []
        for rank in range(size):
            group.rank, group.size = rank, size
            parts.append(range(count)[group.rows(count)])
        assert [row for part in parts for row in part] == [*range(count)]
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
