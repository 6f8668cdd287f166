"""The libraries that we compare with, by name: each trains as `torch_nn.trainer` does, to the same weights."""

import math
import shutil
import sysconfig
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from mlfound.foundations.layers import leaves
from mlfound.foundations.optimizers import SGD
from mlfound.reference import jax_scan, torch_compile, torch_graph, torch_nn, torch_optim
from mlfound.reference.torch_nn import Named, Recipe

# recipe, initial tensors, images, labels, learning rate, momentum; from the row numbers (steps, batch) to the weights
Trainer = Callable[[Recipe, Named, Tensor, Tensor, float, float], Callable[[Tensor], Named]]


def unavailable(name: str, device: torch.device, dtype: torch.dtype = torch.float32) -> str | None:
    """Why this library cannot run there, or None: it can; all of them with every `dtype`."""
    cuda = device.type == "cuda"
    if name == "torch-graph" and not cuda:
        return "torch-graph needs a CUDA GPU: --device cuda"
    if name == "torch-compile" and not cuda:  # torch for CUDA brings its compiler
        if not any(map(shutil.which, ("c++", "g++", "clang++"))):
            return "torch-compile needs a C++ compiler, as g++"
        if not Path(sysconfig.get_path("include"), "Python.h").exists():
            return "torch-compile needs Python.h, from Python's development package"
    if name == "jax" and find_spec("jax") is None:
        return "jax is not installed: pip install 'mlfound[peers]'"
    if name == "jax" and cuda:  # the CPU it always has; not to be started just to ask, for it starts threads
        try:
            jax_scan.start_jax().devices("gpu")
        except RuntimeError:
            return "jax sees no GPU here"
    return None


def lacking(name: str, recipe: Recipe) -> str | None:
    """What of the recipe this library has not, or None: it has all, if no layer draws random numbers."""
    absent = {type(layer) for layer in leaves(recipe.model)} - jax_scan.FUNCTIONS.keys()
    if name == "jax" and absent:
        return f"jax has no {', '.join(sorted(kind.__name__ for kind in absent))}"
    rules = jax_scan.RULES if name == "jax" else torch_optim.RULES
    optimizer = recipe.optimizer
    if type(optimizer) not in rules:
        return f"{name} has no {type(optimizer).__name__}"
    if recipe.max_norm < math.inf:
        return f"{name} has no max_norm"
    if name == "torch-graph" and isinstance(optimizer, SGD) and optimizer.dampening:
        return "torch-graph cannot spare the first gradient the dampening: its steps are all the same"
    return None


LIBRARIES: dict[str, Trainer] = {
    "torch-nn": torch_nn.trainer,
    "torch-compile": torch_compile.trainer,
    "torch-graph": torch_graph.trainer,
    "jax": jax_scan.trainer,
}
