"""What of the machine a training uses: device, engine, product, threads, workers. By rule, where they are `auto`."""

import math
import multiprocessing
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mlfound import hardware
from mlfound.config.training import TrainConfig
from mlfound.data.load import Splits
from mlfound.engines import ladder, native
from mlfound.engines.group import ALONE, Group
from mlfound.engines.recipe import Recipe
from mlfound.errors import UserError
from mlfound.foundations import matmul
from mlfound.foundations.costs import Costs, costs
from mlfound.native import compiling

# Multiplications of a training, a fifth of a second of it. To compile takes longer, but is done once on a machine
WORTH_COMPILING = 1e10
# Of a convolution's multiplications. Most of its time goes into copying windows: on two cores a step of resnet.yaml
# takes 0.83 of the time, at batches of 256 0.7, where one of mlp-wide.yaml takes 0.53
SHARED_BY_THREADS = 0.1
# Threads of compiled code share a step out in small parts, so a product half as large is worth them: on two cores a
# step of 784-512 at batches of 128 takes 0.6 of the time, and beside a program that keeps one core busy 1.8
COMPILED_PRODUCT_COUNTS = 2
MULTIPLY_BY_LIBRARY = ("buffers", "graph")  # the engines that multiply by `product`


@dataclass(frozen=True)
class Machine:
    """`workers` train networks side by side on a CPU: processes of `buffers`, threads of `native`."""

    device: torch.device
    engine: str
    product: str
    threads: int
    workers: int
    ranks: int = 1  # processes that torchrun started, which train one network together
    sums: str = ""  # by what these add up their gradients
    fallback: str = ""  # why the engine is not `native`, where that would be faster or was asked for

    @property
    def facts(self) -> dict[str, str | int]:
        """What `run.json` says of it."""
        processes = 1 if self.engine == "native" else self.workers
        return {
            "device": str(self.device),
            "threads": self.threads,
            "processes": processes,
            "workers": self.workers,
            "ranks": self.ranks,
        }

    @property
    def resolved(self) -> dict[str, str | int]:
        """The keys of a config that may have been `auto`."""
        return {
            "device": str(self.device),
            "threads": self.threads,
            "engine": self.engine,
            "product": self.product,
        }

    def __str__(self) -> str:
        by = f" by {self.product}" if self.engine in MULTIPLY_BY_LIBRARY else ""
        words = [
            f"engine {self.engine}{by}",
            f"{self.device}, {self.threads} thread{'s' * (self.threads != 1)}",
        ]
        if self.workers > 1:
            words.append(f"{self.workers} {'at a time' if self.engine == 'native' else 'processes'}")
        if self.ranks > 1:
            words.append(f"{self.ranks} ranks, all-reduce by {self.sums}")
        return ", ".join(words)


def machine(config: TrainConfig, recipe: Recipe, splits: Splits, group: Group = ALONE) -> Machine:
    """For this training; torch then works with so many threads. A UserError for what cannot be had here."""
    if group.size > 1:
        return machine_of_rank(config, recipe, splits, group)
    device = hardware.resolve_device(config.device)
    layers = costs(recipe.model, (1, math.prod(splits.shape)))
    largest = config.batch_size * largest_product(layers)
    whole = (
        3 * len(splits.train.y) * config.epochs * config.replicates * sum(n.multiplications for n in layers)
    )
    engine, fallback = engine_for(config, recipe, device, whole)
    product = product_for(config, engine, device, splits.train.x.dtype)

    # a CPU's networks are shared out among all cores that this process may use, with one thread each
    may_fork = (
        sys.platform == "linux" and not multiprocessing.current_process().daemon
    )  # nor may that have children
    side_by_side = engine == "native" or (engine == "buffers" and device.type == "cpu" and may_fork)
    shared = config.replicates > 1 and side_by_side
    one = config.threads == "auto" and shared
    counted = largest * (COMPILED_PRODUCT_COUNTS if engine == "native" else 1)
    threads = hardware.use_threads(1 if one else config.threads, counted)
    workers = min(config.replicates, hardware.cores()) if shared and threads == 1 else 1
    return Machine(device, engine, product, threads, workers, fallback=fallback)


def machine_of_rank(config: TrainConfig, recipe: Recipe, splits: Splits, group: Group) -> Machine:
    """The same for one of several ranks, each of which has its part of the machine's cores, or a GPU of its own."""
    device = hardware.resolve_device(config.device)
    if device.type == "cuda":
        if group.local_size > torch.cuda.device_count():
            message = (
                f"{group.local_size} ranks need a GPU each, and torch sees {torch.cuda.device_count()} here"
            )
            raise UserError(f"{message}; start fewer, or write cpu", key="device")
        device = torch.device("cuda", group.local_rank)
    if config.engine not in ("auto", "buffers"):
        message = f"{config.engine} cannot add up the gradients of several ranks"
        raise UserError(f"{message}; write auto or buffers, or start mlfound without torchrun", key="engine")
    product = product_for(config, "buffers", device, splits.train.x.dtype)
    threads = config.threads
    if threads == "auto":
        largest = config.batch_size * largest_product(costs(recipe.model, (1, math.prod(splits.shape))))
        is_worth = largest / group.size >= hardware.WORTH_MORE_THREADS
        threads = max(1, hardware.cores() // group.local_size) if is_worth else 1
    threads = hardware.use_threads(threads, 0)
    return Machine(device, "buffers", product, threads, 1, group.size, group.way(device))


def largest_product(layers: Sequence[Costs]) -> float:
    """Multiplications of one row in the largest product of these layers, as far as several threads can share them."""
    return max(n.multiplications * (SHARED_BY_THREADS if n.places > 1 else 1) for n in layers)


def engine_for(config: TrainConfig, recipe: Recipe, device: torch.device, whole: float) -> tuple[str, str]:
    """The engine and the fallback of `Machine`, for so many multiplications in the training."""
    if config.engine == "auto":
        return fastest(config, recipe, device, whole)
    if reason := ladder.unavailable(config.engine, device):
        raise UserError(f"{reason}; write auto, or buffers", key="engine")
    if config.engine == "native" and (reason := native.lacking(recipe)):
        return "buffers", f"engine native cannot run this: {reason}; it runs on buffers"
    return config.engine, ""


def fastest(config: TrainConfig, recipe: Recipe, device: torch.device, whole: float) -> tuple[str, str]:
    """The same where it may be chosen: `native` on a CPU if it can all, and the work is worth it."""
    engine = ladder.fastest(device)
    suits = config.product == "auto" and whole >= WORTH_COMPILING and not native.lacking(recipe)
    if engine != "buffers" or not suits:
        return engine, ""
    if reason := ladder.unavailable("native", device):
        return engine, f"the faster engine native cannot run here: {reason}"
    if not compiling.library().has_fma():
        return engine, "engine native would be slow here: this CPU has no fused multiply-add"
    return "native", ""


def product_for(config: TrainConfig, engine: str, device: torch.device, dtype: torch.dtype) -> str:
    """The product of `Machine`; `auto` where the engine has products of its own."""
    if engine == "modules" or config.product != "auto":
        product = "matmul" if engine == "modules" else config.product
        if reason := matmul.unavailable(product, device, dtype):
            raise UserError(f"{product} cannot run here: {reason}; write auto, or matmul", key="product")
        return product
    return "auto" if engine == "native" else matmul.fastest(hardware.cpu_kind(), device, dtype)
