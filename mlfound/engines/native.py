"""The engine in compiled code: many steps in one call, without Python between them. See `mlfound/native`."""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Generator, Tensor

from mlfound.engines.recipe import Named, Rate, Recipe
from mlfound.engines.storage import Storage, new_memory, slots
from mlfound.foundations.activations import GELU, Floor, ReLU, Tanh
from mlfound.foundations.layers import Dropout, Layer, Linear, Sequential, every, leaves
from mlfound.foundations.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from mlfound.native import training as native


class Native:
    """See `Engine`. `workers` threads share out the networks: compiled code runs side by side in one process.

    With one worker each step is taken by as many threads as torch has, together.
    """

    def __init__(
        self,
        recipe: Recipe,
        initial: Sequence[Named],
        generators: Sequence[Generator],
        x: Tensor,
        y: Tensor,
        workers: int = 1,
    ) -> None:
        """A TypeError for what is `lacking`, a ValueError for labels that the network has no output for."""
        if reason := lacking(recipe):
            raise TypeError(reason)
        _, outputs = recipe.model.output_shape(tuple(x.shape))
        if recipe.loss != "mse" and len(y) and not 0 <= int(y.min()) <= int(y.max()) < outputs:
            raise ValueError(f"labels from {y.min()} to {y.max()}, where there are {outputs} outputs")
        self.recipe, self.generators = recipe, generators
        self.x, self.y = x.contiguous(), y.long().contiguous()
        self.storage = Storage(recipe, initial, new_memory(recipe, len(initial), x.new_empty))
        self.networks, self.optimizer = self.storage.networks, self.storage.optimizer
        threads = torch.get_num_threads() if workers == 1 else 1
        description, states = described(recipe, threads), self.storage.optimizer_state
        self.steps = [
            native.Steps(description, self.storage.parameters[n], [state[n] for state in states])
            for n in range(len(initial))
        ]
        self.pool = ThreadPoolExecutor(workers, "network")

    def run(self, rows: Tensor, rates: Sequence[Rate]) -> Tensor:
        """See `Engine`; a ValueError where there is not a rate for each batch."""
        optimizer, size = self.recipe.optimizer, self.recipe.batch_size
        if not rates or len(rates) != math.ceil(rows.shape[1] / size):
            raise ValueError(f"{len(rates)} rates for {rows.shape[1]} rows in batches of {size}")
        coefficients = torch.tensor([optimizer.coefficients(*rate) for rate in rates], dtype=torch.float64)
        if not optimizer.weight_decay or optimizer.decay != "decoupled":
            coefficients[:, 0] = 1.0

        def train(n: int) -> Tensor:
            own = rows[n].long().contiguous()
            return self.steps[n](self.x, self.y, own, coefficients, self.generators[n])

        numbers = range(len(self.steps))
        return torch.stack([*(self.pool.map if len(numbers) > 1 else map)(train, numbers)])

    def close(self) -> None:
        """End the threads."""
        self.pool.shutdown()


def lacking(recipe: Recipe) -> str | None:
    """What of a recipe has no compiled code, or None: all has."""
    layers, last = [*every(recipe.model)], [*leaves(recipe.model)][-1]
    kinds = {*map(type, layers), type(recipe.optimizer)} - {Sequential, *KERNELS, *RULES}
    names = sorted(kind.__name__ for kind in kinds)
    if not names and any(isinstance(layer, Linear) and "b" not in layer.parameters for layer in layers):
        names = ["Linear without a bias"]
    if not names and not isinstance(last, Linear):
        names = [f"{type(last).__name__} as the last layer"]
    if not names and recipe.mixed_labels:
        return "labels mixed by mixup have no compiled code"
    return f"{', '.join(names)} {'has' if len(names) == 1 else 'have'} no compiled code" if names else None


def described(recipe: Recipe, threads: int) -> native.Description:
    """The recipe as C has it."""
    layers, rule = [*layers_of(recipe)], rule_of(recipe.optimizer)
    return native.Description(layers, rule, recipe.loss, recipe.batch_size, recipe.max_norm, threads)


def layers_of(recipe: Recipe) -> Iterator[native.Layer]:
    """The layers as C has them."""
    slot = iter(slots(recipe.model.parameters))
    limited = recipe.limited({name: name for name in recipe.model.parameters})  # type: ignore[misc]
    layers = [*leaves(recipe.model)]
    features = next(layer.parameters["w"].shape[0] for layer in layers if isinstance(layer, Linear))
    for layer in layers:
        kind, numbers = KERNELS[type(layer)]
        own = native.Layer(native.LAYERS.index(kind), features, features, **numbers(layer))
        if isinstance(layer, Linear):
            (name, (_, features), w), (_, _, b) = next(slot), next(slot)
            own.fan_out, own.w, own.b, own.is_limited = features, w.start, b.start, name in limited
        yield own


def rule_of(optimizer: Optimizer) -> native.Rule:
    """What of the optimiser does not change from step to step, as C has it."""
    return native.Rule(
        kind=native.RULES.index(RULES[type(optimizer)]),
        l2=optimizer.weight_decay if optimizer.decay == "l2" else 0.0,
        beta2=getattr(optimizer, "beta2", 0.0),
        clip_norm=math.inf if optimizer.clip_norm is None else optimizer.clip_norm,
        has_velocity=bool(getattr(optimizer, "momentum", 0.0)),
    )


def of_relu(layer: ReLU) -> dict[str, float]:
    ceiling = math.inf if layer.ceiling is None else layer.ceiling
    return {"leak": layer.leak, "shift": layer.shift, "ceiling": ceiling}


# kind of layer: its name in C, and its numbers
KERNELS: dict[type[Layer], tuple[str, Callable[[Any], dict[str, float]]]] = {
    Linear: ("linear", lambda layer: {}),
    ReLU: ("relu", of_relu),
    Floor: ("floor", lambda layer: {"shift": layer.shift}),
    Tanh: ("tanh", lambda layer: {}),
    GELU: ("gelu", lambda layer: {}),
    Dropout: ("dropout", lambda layer: {"keep": 1 - layer.rate}),
}
RULES: dict[type[Optimizer], str] = {SGD: "sgd", RMSprop: "rmsprop", Adam: "adam", AdamW: "adam"}
