"""A model's signal and gradient, layer by layer: a step forward and backward from first weights, drawn many times."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Generator, Tensor

from mlfound.data.load import Split
from mlfound.engines.recipe import Named, Recipe
from mlfound.foundations.layers import Layer, Loss, Sequential, Shape, bound
from mlfound.foundations.model_initialization import FITTED, ROUNDING, fitted_rows
from mlfound.foundations.randomness import generator
from mlfound.foundations.telemetry import Recorded, moments, recorded, share_near_zero, size
from mlfound.training.build import initial
from mlfound.training.plan import Plan

# Of what comes out of a layer mean, std and share near 0; the root mean square of its gradient, the last layer's 1
FIGURES = ("mean", "std", "near_zero", "gradient")


@dataclass(frozen=True)
class Spread:
    """Over the draws; nan where a draw is not finite."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Tensor) -> Self:
        return cls(values.quantile(0.5).item(), values.amin().item(), values.amax().item())


@dataclass(frozen=True)
class Signal:
    """What comes out of one layer, and the gradient that comes back to it; `figures` (draws,) by name, float64."""

    init: str
    number: int  # from 1, in the order in which they are called
    kind: str
    shape: Shape  # of one image
    has_weights: bool
    figures: Mapping[str, Tensor]

    @property
    def layer(self) -> str:
        return f"{self.number} {self.kind}"

    @property
    def output(self) -> str:
        return " x ".join(map(str, self.shape))

    def spread(self, name: str) -> Spread:
        return Spread.of(self.figures[name])


@dataclass(frozen=True)
class Scheme:
    """The layers' signals by one initialisation."""

    init: str
    start: float  # the std of the images
    layers: Sequence[Signal]
    fitted_errors: Sequence[tuple[float, float]]  # see `fitted_error`; a pair per draw of a fitted scheme

    @property
    def with_weights(self) -> list[Signal]:
        return [layer for layer in self.layers if layer.has_weights]

    @property
    def draws(self) -> int:
        return len(self.layers[0].figures["std"])

    @property
    def factor(self) -> float:
        """The std of what the model gives over that of the images."""
        return self.layers[-1].spread("std").median / (self.start or 1.0)

    @property
    def backward_factor(self) -> float:
        """The gradient's size after the first layer with weights over that after the last layer."""
        return self.with_weights[0].spread("gradient").median


def measure(
    planned: Plan, train: Tensor, images: Split, draws: int, on_progress: Callable[[float], None]
) -> Scheme:
    """Draw n is what `train` begins at with the plan's seed + n; then a step on these images and labels."""
    figures, errors = list[list[tuple[float, ...]]](), list[tuple[float, float]]()
    for n in range(draws):
        seed = planned.seeds[0] + n
        weights = initial(planned, seed, train)
        layers = first_step(planned.recipe, weights, images, generator(seed, "dropout"))
        figures.append([(*moments(each.out), share_near_zero(each.out), size(each.dout)) for each in layers])
        if planned.init in FITTED:
            rows = fitted_rows(generator(seed, "initialization"), train)
            errors.append(fitted_error(planned.recipe.model, weights, rows))
        on_progress((n + 1) / draws)
    columns = torch.tensor(figures, dtype=torch.float64).permute(1, 2, 0)  # (layers, figures, draws)
    columns[:, -1] /= columns[-1, -1].clone()  # nan where no gradient came at all
    signals = [
        Signal(
            planned.init,
            number,
            type(each.layer).__name__,
            tuple(each.out.shape[1:]),
            each.has_weights,
            dict(zip(FIGURES, column, strict=True)),
        )
        for number, (each, column) in enumerate(zip(layers, columns, strict=True), 1)
    ]
    return Scheme(planned.init, moments(images.x)[1], signals, errors)


def first_step(recipe: Recipe, weights: Named, images: Split, dropout: Generator) -> list[Recorded]:
    """Forward, loss and backward as in training; the layers."""
    own = {name: p.clone() for name, p in weights.items()}  # for training changes the state of some layers
    model, layers = recorded(bound(recipe.model, own, dropout), gives_something_new)
    loss = Loss(recipe.loss)
    loss(model(images.x, training=True), images.y)
    model.backward(loss.backward())
    return layers


def fitted_error(model: Sequential, weights: Named, x: Tensor) -> tuple[float, float]:
    """The farthest mean from 0 and std from 1, of all layers with weights that give more than one number for `x`.

    Without a bias a layer leaves its mean to the norm behind it.
    """
    fitted, layers = recorded(bound(model, weights), gives_something_new)
    fitted(x)
    outputs = [(*moments(each.out), "b" in each.parameters) for each in layers if each.has_weights]
    varied = [
        (abs(mean) * has_bias, abs(std - 1))
        for mean, std, has_bias in outputs
        if not std <= ROUNDING * abs(mean)
    ]
    mean, std = torch.tensor([(0.0, 0.0), *varied], dtype=torch.float64).amax(0).tolist()
    return mean, std


def gives_something_new(layer: Layer) -> bool:
    """Not so a `Sequential`, which gives what the last of its layers does."""
    return not isinstance(layer, Sequential)
