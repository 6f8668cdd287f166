"""Training as it is done: steps of 64 shuffled rows through 784-50-10, cross-entropy, SGD with momentum."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
class Racer:
    """One implementation: why it did not run, or how far its weights are off, and its epochs' timing."""

    impl: str
    absent: str | None = None
    error: float | None = None
    setup: float | None = None
    timing: Timing | None = None


def refuse(config: BackpropBenchConfig, names: Sequence[str], splits: Splits) -> None:
    """Too few rows for a step, and implementations that are not here, unless others are."""
    if config.rows is not None and config.rows < BATCH:
        raise UserError(f"a step takes {BATCH} rows; write {BATCH} or more", key="rows")
    absent = [why for why in (unavailable(name, config) for name in names) if why]
    if len(absent) == len(names):
        raise UserError("; ".join(absent), key="impl")


def unavailable(name: str, config: BackpropBenchConfig) -> str | None:
    """Why an implementation cannot run here, or None."""
    ask = ASK_FIRST.get(name)
    return ask(torch.device(config.device)) if ask else None
