"""The engines by name, from the one to read to the fastest; and which of them suits a device."""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from mlfound.engines.buffers import Buffers
from mlfound.engines.graph import Graph
from mlfound.engines.plain import Plain
from mlfound.engines.processes import Processes
from mlfound.engines.recipe import Engine, Named, Recipe

ENGINES: dict[str, Callable[..., Engine]] = {
    "modules": Plain,
    "buffers": Buffers,
    "graph": Graph,
}


def unavailable(name: str, device: torch.device, dtype: torch.dtype = torch.float32) -> str | None:
    """Why this engine cannot run there, or None: it can; all of them with every `dtype`."""
    if name == "graph" and device.type != "cuda":
        return f"graph needs a CUDA GPU, and the device is {device.type}"
    return None


def fastest(device: torch.device) -> str:
    """The engine for this device: it is the fastest one for networks of every size."""
    return {"cuda": "graph", "cpu": "buffers"}.get(device.type, "modules")


def engine(
    name: str,
    recipe: Recipe,
    initial: Sequence[Named],
    generators: Sequence[Generator],
    x: Tensor,
    y: Tensor,
    processes: int = 1,
) -> Engine:
    """The engine of this name, ready to run; on a CPU `buffers` may share out networks among `processes`."""
    if processes > 1:
        return Processes(recipe, initial, generators, x, y, processes)
    return ENGINES[name](recipe, initial, generators, x, y)
