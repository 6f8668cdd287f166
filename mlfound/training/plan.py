"""What a training will be: sizes, device, threads, engine. Every `auto` is resolved here, by rule."""

import sys
from dataclasses import dataclass
from itertools import pairwise

import torch

from mlfound import hardware
from mlfound.config.training import TrainConfig
from mlfound.data.load import Splits
from mlfound.engines import ladder, products
from mlfound.engines.recipe import Recipe
from mlfound.engines.storage import numbers
from mlfound.errors import UserError
from mlfound.training.scoring import ROWS_AT_ONCE


@dataclass(frozen=True)
class Plan:
    """`config` without any `auto`; networks are shared out among `processes`."""

    config: TrainConfig
    sizes: tuple[int, ...]
    device: torch.device
    processes: int

    @property
    def recipe(self) -> Recipe:
        """The config, as engines know it."""
        config, model, optimizer = self.config, self.config.model, self.config.optimizer
        return Recipe(
            sizes=self.sizes,
            loss=config.loss,
            batch_size=config.batch_size,
            relu_shift=model.relu_shift,
            dropout=model.dropout,
            input_dropout=model.input_dropout,
            nesterov=optimizer.nesterov,
            weight_decay=optimizer.weight_decay,
            max_norm=optimizer.max_norm,
            product=config.product,
        )

    def __str__(self) -> str:
        config = self.config
        words = ["-".join(map(str, self.sizes)), config.loss]
        if config.replicates > 1:
            words.append(f"{config.replicates} networks")
        by = f" by {config.product}" if config.engine != "modules" else ""
        words.append(f"engine {config.engine}{by}")
        words.append(f"{self.device}, {config.threads} thread{'s' * (config.threads != 1)}")
        if self.processes > 1:
            words.append(f"{self.processes} processes")
        return ", ".join(words)


def plan(config: TrainConfig, splits: Splits) -> Plan:
    """Resolve what the config leaves open; refuse what does not fit the data or the machine."""
    sizes = layer_sizes(config, splits)
    device = hardware.resolve_device(config.device)
    require_memory(config, sizes, splits, device)
    engine = ladder.fastest(device) if config.engine == "auto" else config.engine
    if reason := ladder.unavailable(engine, device):
        raise UserError(f"{reason}; write auto, or buffers", key="engine")
    product = config.product
    if product == "auto":
        product = "matmul" if engine == "modules" or products.unavailable("onednn", device) else "onednn"
    elif reason := products.unavailable(product, device):
        raise UserError(f"{reason}; write auto, or matmul", key="product")

    shared = (
        engine == "buffers" and device.type == "cpu" and config.replicates > 1 and sys.platform == "linux"
    )
    threads = 1 if shared and config.threads == "auto" else config.threads
    largest = max(config.batch_size * fan_in * fan_out for fan_in, fan_out in pairwise(sizes))
    threads = hardware.use_threads(threads, largest)
    processes = min(config.replicates, hardware.cores()) if shared and threads == 1 else 1
    resolved = {"device": str(device), "threads": threads, "engine": engine, "product": product}
    return Plan(config.model_copy(update=resolved), sizes, device, processes)


def layer_sizes(config: TrainConfig, splits: Splits) -> tuple[int, ...]:
    """Inputs, hidden units, outputs; refuses a model that does not fit the data."""
    rows, features = splits.train.x.shape
    outputs = config.model.outputs
    if config.batch_size > rows:
        raise UserError(
            f"{config.batch_size} is more than the {rows:,} training rows; write {rows} or less",
            key="batch_size",
        )
    if outputs not in (1, splits.classes):
        raise UserError(
            f"{outputs} outputs are not one for each of {splits.classes} classes; write {splits.classes}",
            key="model.outputs",
        )
    return features, *config.model.hidden, outputs


def require_memory(config: TrainConfig, sizes: tuple[int, ...], splits: Splits, device: torch.device) -> None:
    """Refuse more than there is, before any of it is taken; in bytes, by what each part holds at most."""
    of_one = numbers(sizes)
    # weights, velocities, gradients, where they began; weights and velocities again of a milestone and the best epoch
    copies = 8 * 4
    batch = config.batch_size * sum(sizes) * 4 * 4  # outputs, gradients, two masks
    each = of_one * copies + batch + len(splits.train.x) * 2 * 8  # and an epoch's order, twice
    once = of_one * 4 * 8 + ROWS_AT_ONCE * sum(sizes) * 3 * 4  # a check in float64, an evaluation
    network = f"a network {'-'.join(map(str, sizes))}"
    hardware.require_memory(each + once, "model.hidden", network, device)
    together = f"training {config.replicates:,} networks together"
    hardware.require_memory(config.replicates * each + once, "replicates", together, device)
