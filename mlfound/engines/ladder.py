"""The engines by name, from the one to read to the fastest; and which of them suits a device."""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from mlfound.engines.buffers import Buffers
from mlfound.engines.graph import Graph
from mlfound.engines.group import ALONE, Group
from mlfound.engines.native import Native
from mlfound.engines.plain import Plain
from mlfound.engines.processes import Processes
from mlfound.engines.recipe import Engine, Named, Recipe
from mlfound.engines.shared import Shared
from mlfound.native import compiling, random

ENGINES: dict[str, Callable[..., Engine]] = {
    "modules": Plain,
    "buffers": Buffers,
    "native": Native,
    "graph": Graph,
}
SIDE_BY_SIDE: dict[str, Callable[..., Engine]] = {  # those that share networks out among workers of a CPU
    "buffers": Processes,
    "native": Native,
}


def unavailable(name: str, device: torch.device, dtype: torch.dtype = torch.float32) -> str | None:
    """Why this engine cannot run there, or None: it can; all of them with every `dtype`."""
    if name == "graph" and device.type != "cuda":
        return f"graph needs a CUDA GPU, and the device is {device.type}"
    if name == "native":
        if device.type != "cpu":
            return f"native needs device cpu, and it is {device.type}"
        return compiling.unavailable() or random.unavailable()
    return None


def fastest(device: torch.device) -> str:
    """The engine for this device that runs everything; what `native` can run on a CPU it runs faster."""
    return {"cuda": "graph", "cpu": "buffers"}.get(device.type, "modules")


def engine(
    name: str,
    recipe: Recipe,
    initial: Sequence[Named],
    generators: Sequence[Generator],
    x: Tensor,
    y: Tensor,
    workers: int = 1,
    group: Group = ALONE,
) -> Engine:
    """The engine of this name, ready to run; several `workers` only for those that work `SIDE_BY_SIDE`.

    Where a `group` trains it is `Shared`, which is the buffers of every process.
    """
    if group.size > 1:
        return Shared(recipe, initial, generators, x, y, group)
    if workers > 1:
        return SIDE_BY_SIDE[name](recipe, initial, generators, x, y, workers)
    return ENGINES[name](recipe, initial, generators, x, y)
