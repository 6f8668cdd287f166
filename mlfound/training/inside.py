"""A look inside a network while it trains: what comes out of its layers, and which gradients come back.

It is taken beside the training, in memory and with random numbers of its own, so that it changes no bit of it: on the
rows that are next, with the weights that the step on these begins with. What is needed for it is kept, and several
looks are then taken at once, as if at several networks: that is twice as fast.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import log1p
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from mlfound.config.training import InsideConfig
from mlfound.engines.recipe import Named, Recipe
from mlfound.engines.step import Flat, Step
from mlfound.engines.storage import parameter_count, slots, views
from mlfound.foundations.activations import Activation
from mlfound.foundations.costs import costs
from mlfound.foundations.layers import Layer, Sequential, leaves
from mlfound.foundations.optimizers import SGD
from mlfound.foundations.telemetry import NEAR_ZERO, Recorded, recorded

BINS = 65  # an odd number: what is 0 lies in the middle of one
COUNTED = 2000  # numbers of a layer in a histogram, some
LARGEST = 100.0  # what is farther out is counted in the outermost bin
TENSORS = "steps looked at", "figures looked at", "counts looked at"  # in a checkpoint
MAX_LAYERS = 24  # of deeper networks these, evenly
MAX_TOGETHER = 16  # looks taken at once, of small networks
MEMORY = 2**22  # numbers, some: of larger networks fewer looks at once


class Figures(NamedTuple):
    """Of one layer."""

    mean: float
    std: float
    near_zero: float  # the share of what it gives
    gradient: float  # the length of what comes back to it
    weight_gradient: float  # of what its parameters get


@dataclass(frozen=True)
class Look:
    """At one step: a row of `figures` (layers, Figures), float64, and of `counts` (layers, BINS) a layer."""

    step: int  # done before it
    figures: Tensor
    counts: Tensor


class Inside:
    """Looks at a network of this recipe, trained on `x`: at its layers with parameters, and its activations."""

    def __init__(self, recipe: Recipe, config: InsideConfig, x: Tensor, y: Tensor) -> None:
        self.every, self.rows = config.every, min(config.rows, len(x))
        numbered = {id(layer): n for n, layer in enumerate(filter(is_of_interest, leaves(recipe.model)), 1)}
        chosen = evenly([*numbered], MAX_LAYERS)
        model, self.layers = recorded(recipe.model, lambda layer: id(layer) in chosen)
        assert isinstance(model, Sequential), "the network as a whole is not of interest"
        self.names = [f"{numbered[id(each.layer)]} {type(each.layer).__name__}" for each in self.layers]

        shape, own, state = (self.rows, *x.shape[1:]), slots(model.parameters), slots(model.state)
        numbers, states = (parameter_count(each) for each in (model.parameters, model.state))
        of_a_row = sum(each.inputs + each.outputs for each in costs(recipe.model, shape))
        count = max(1, min(MAX_TOGETHER, MEMORY // (numbers + self.rows * of_a_row)))
        parameters, gradients, layer_state = (x.new_zeros(count, n) for n in (numbers, numbers, states))
        self.networks = [
            {**views(p, own), **views(s, state)} for p, s in zip(parameters, layer_state, strict=True)
        ]
        self.generators = [Generator(x.device) for _ in range(count)]
        watched = replace(recipe, model=model, optimizer=SGD(), product="matmul")
        flat = Flat(parameters, [gradients], layer_state)
        self.step = Step(watched, flat, self.generators, x, self.rows)  # taken but for its update
        self.x, self.y = (each.new_zeros(count, self.rows, *each.shape[1:]) for each in (x, y))
        self.row_losses = x.new_empty(count, 1, self.rows)
        self.kept: list[int] = []  # the steps that are to be looked at
        self.taken: list[Look] = []

    def due(self, done: int) -> bool:
        """Whether to look before the step that comes after so many."""
        return done % self.every == 0

    def look(self, step: int, network: Named, generator: Generator, x: Tensor, y: Tensor) -> None:
        """At a step that begins with so many rows, with what it draws from this generator, which is left as it is."""
        n = len(self.kept)
        for name, own in self.networks[n].items():
            own.copy_(network[name])
        self.generators[n].set_state(generator.get_state())
        self.x[n], self.y[n] = x, y
        self.kept.append(step)
        if len(self.kept) == len(self.networks):
            self.take()

    def take(self) -> None:
        """The looks that are due."""
        if not self.kept:
            return
        labels = self.y[:, None] if self.y.ndim == 2 else self.y.mT
        self.step.x.copy_(self.x)  # which kernels may overwrite
        dout = self.step.loss(self.step.model.forward(self.step.input), labels, self.row_losses)
        self.step.model.backward(dout, input_gradient=False)
        self.step.model.weight_gradients(0.0)
        figures = torch.stack([figures_of(each) for each in self.layers], 1).cpu()
        counts = counts_of([each.out for each in self.layers]).cpu()
        self.taken += map(Look, self.kept, figures, counts)
        self.kept = []

    @property
    def looks(self) -> Sequence[Look]:
        """All there are."""
        self.take()
        return self.taken

    def restore(self, looks: Sequence[Look]) -> None:
        """Go on from there."""
        self.kept, self.taken = [], [*looks]


def evenly(items: Sequence[Any], most: int) -> list[Any]:
    """At most so many of them, from the first to the last."""
    if len(items) <= most:
        return list(items)
    return [items[round(n * (len(items) - 1) / (most - 1))] for n in range(most)]


def is_of_interest(layer: Layer) -> bool:
    return bool(layer.parameters) or isinstance(layer, Activation)


def figures_of(layer: Recorded) -> Tensor:
    """Of each network: (networks, Figures), float64, in which no square of a float32 overflows."""
    out = layer.out.flatten(1)
    mean, size = out.mean(1, dtype=torch.float64), length(out) / out.shape[1] ** 0.5
    std = (size.square() - mean.square()).clamp_min_(0).sqrt_()
    near_zero = (out.abs() <= (NEAR_ZERO * size).to(out.dtype)[:, None]).mean(1, dtype=torch.float64)
    of_weights = mean.new_zeros(len(mean))
    for each in layer.own_gradients.values():
        of_weights = of_weights.hypot(length(each))
    return torch.stack([mean, std, near_zero, length(layer.dout), of_weights], 1)


def length(x: Tensor) -> Tensor:
    """Of each network: the root of the sum of squares, float64."""
    norms: Tensor = torch.linalg.vector_norm(x, dim=tuple(range(1, x.ndim)), dtype=torch.float64)
    return norms


def counts_of(outputs: Sequence[Tensor]) -> Tensor:
    """Of each network and layer, how many numbers lie in each of BINS: (networks, layers, BINS).

    They are equally wide on the scale of log(1 + |x|): finest around 0. Of many numbers COUNTED are looked at, evenly
    spread, and those that are no numbers are in none.
    """
    samples = [x.flatten(1)[:, :: x[0].numel() // COUNTED | 1] for x in outputs]
    layers, x, end = len(samples), torch.cat(samples, 1), log1p(LARGEST)
    scaled = x.abs().log1p_().clamp_max_(end).copysign_(x)
    bins = scaled.add_(end).mul_(BINS / (2 * end)).clamp_max_(BINS - 1).nan_to_num_(nan=BINS).long()
    sizes = torch.tensor([sample.shape[1] for sample in samples], device=x.device)
    bins += ((BINS + 1) * torch.arange(layers, device=x.device)).repeat_interleave(sizes)
    bins += ((BINS + 1) * layers * torch.arange(len(x), device=x.device))[:, None]
    counts = torch.bincount(bins.flatten(), minlength=(BINS + 1) * layers * len(x))
    return counts.view(len(x), layers, BINS + 1)[..., :BINS]


def stacked(looks: Sequence[Look]) -> dict[str, Tensor]:
    """As tensors of a checkpoint; none of none."""
    if not looks:
        return {}
    steps = torch.tensor([look.step for look in looks])
    parts = ([look.figures for look in looks], [look.counts for look in looks])
    return dict(zip(TENSORS, (steps, *map(torch.stack, parts)), strict=True))


def unstacked(tensors: Mapping[str, Tensor]) -> list[Look]:
    """And back."""
    if TENSORS[0] not in tensors:
        return []
    steps, figures, counts = (tensors[name].cpu() for name in TENSORS)
    return [Look(*each) for each in zip(steps.tolist(), figures, counts, strict=True)]
