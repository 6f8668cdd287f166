"""All parameters of a network in one flat tensor, so that an update is one call; names stand for views into it."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mlfound.engines.recipe import Named, Recipe
from mlfound.foundations.layers import Parameter, Shape


class Slot(NamedTuple):
    """Where one tensor lies: `part` of the flat tensor's last axis; a matrix (in, out) lies there as (out, in)."""

    name: str
    shape: Shape
    part: slice


def slots(parameters: Mapping[str, Parameter]) -> list[Slot]:
    """One after the other."""
    found, start = list[Slot](), 0
    for name, (shape, _) in parameters.items():
        found.append(Slot(name, shape, slice(start, start := start + math.prod(shape))))
    return found


def parameter_count(parameters: Mapping[str, Parameter]) -> int:
    """The numbers of all of them together."""
    return sum(math.prod(shape) for shape, _ in parameters.values())


def views(flat: Tensor, slots: Iterable[Slot]) -> dict[str, Tensor]:
    """Into `flat` (..., numbers), each of its own shape (..., *shape): a matrix is a transposed view."""
    named = {}
    for name, shape, part in slots:
        own = flat[..., part]
        named[name] = (
            torch.unflatten(own, -1, shape[::-1]).mT if len(shape) == 2 else torch.unflatten(own, -1, shape)
        )
    return named


Memory = tuple[
    Tensor, Tensor
]  # (parameters and states of the optimiser, networks, numbers), (networks, layer state)


def new_memory(recipe: Recipe, networks: int, allocate: Callable[..., Tensor]) -> Memory:
    """For `Storage`; `allocate` takes a shape."""
    copies = 1 + len(recipe.optimizer.state_names)
    return (
        allocate((copies, networks, parameter_count(recipe.model.parameters))),
        allocate((networks, parameter_count(recipe.model.state))),
    )


class Storage:
    """What a step changes in the networks of a recipe: flat for an update, by name for all else (see `Engine`)."""

    def __init__(self, recipe: Recipe, initial: Sequence[Named], memory: Memory) -> None:
        """Copies `initial` into `memory`; the optimiser's state starts at 0."""
        (self.parameters, *self.optimizer_state), self.layer_state = memory
        self.slots, names = slots(recipe.model.parameters), recipe.optimizer.state_names
        self.parts = [slot.part for slot in self.slots]
        self.networks, self.optimizer = [], []
        for n, start in enumerate(initial):
            of_layers = views(self.layer_state[n], slots(recipe.model.state))
            self.networks.append({**views(self.parameters[n], self.slots), **of_layers})
            self.optimizer.append(
                {
                    name: views(flat[n], self.slots)
                    for name, flat in zip(names, self.optimizer_state, strict=True)
                }
            )
            for name, tensor in self.networks[n].items():
                tensor.copy_(start[name])
        for flat in self.optimizer_state:
            flat.zero_()
