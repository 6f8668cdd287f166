"""What a training will be: layers, optimiser, rates, and what of the machine it uses."""

import math
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import groupby
from typing import Any

from mlfound import hardware
from mlfound.config.augmentation import AugmentConfig
from mlfound.config.schedules import PieceConfig
from mlfound.config.training import CheckpointConfig, InsideConfig, TrainConfig
from mlfound.data.load import Splits
from mlfound.engines.group import ALONE, Group
from mlfound.engines.recipe import Recipe
from mlfound.engines.storage import parameter_count
from mlfound.errors import UserError
from mlfound.foundations.activations import Activation
from mlfound.foundations.costs import Costs, costs
from mlfound.foundations.initialization import INITIALIZATIONS
from mlfound.foundations.layers import Conv2d, Layer, Linear, Residual, Sequential, Shape, leaves
from mlfound.foundations.model_initialization import FITTED, FITTED_ROWS
from mlfound.foundations.models import MODELS
from mlfound.foundations.optimizers import OPTIMIZERS, Optimizer
from mlfound.foundations.schedules import PIECES, SCHEDULES, Piece, polynomial, rates
from mlfound.native.training import MAX_COLUMNS
from mlfound.training.evaluation import LEAST_ROWS, NUMBERS_AT_ONCE
from mlfound.training.machine import Machine, machine
from mlfound.training.refusals import (
    refuse_augmentation,
    refuse_fixup,
    refuse_ranks,
    refuse_single_numbers,
    refuse_unfit,
)
from mlfound.training.rows import parts


@dataclass(frozen=True)
class Plan:
    """All that a training needs but its data. There is a network for each seed."""

    recipe: Recipe
    augment: AugmentConfig | None
    image: Shape  # height and width
    seeds: range
    init: str
    epochs: int
    schedule: tuple[Piece, ...]
    lr: float
    momentum: float
    checkpoint: CheckpointConfig
    inside: InsideConfig | None
    patience: int | None  # epochs without a lower validation loss: then it stops, and the best is the result
    machine: Machine
    config: TrainConfig  # as resolved: to be written down, and for advice

    def rates(self, progress: float) -> tuple[float, float]:
        """Learning rate and momentum at this share of all steps, from 0 to 1."""
        return rates(self.schedule, progress, self.lr, self.momentum)

    @property
    def network(self) -> str:
        """Inputs, and outputs or channels of each layer with weights or residual block: `784-50-10`, `cnn 8-16-10`.

        More than three in a row are counted: `784-5x50-10`.
        """
        numbers = list[str]()
        for width, layers in groupby(
            width for layer in self.recipe.model.layers for width in outputs_of(layer)
        ):
            count = len([*layers])
            numbers += [str(width)] * count if count <= 3 else [f"{count}x{width}"]
        widths, name = "-".join(numbers), self.config.model.name
        return f"{math.prod(self.image)}-{widths}" if name == "mlp" else f"{name} {widths}"

    @property
    def facts(self) -> dict[str, Any]:
        """What `run.json` says of it."""
        return {"network": self.network, "seeds": list(self.seeds), **self.machine.facts}

    @property
    def first(self) -> str:
        """Behind the title of what is shown of one network: `, seed 3` where there are several."""
        return f", seed {self.seeds[0]}" if len(self.seeds) > 1 else ""

    def __str__(self) -> str:
        norm = getattr(self.config.model, "norm", "none")
        words = [self.network, *[f"{norm} norm"] * (norm != "none"), self.recipe.loss]
        if len(self.seeds) > 1:
            words.append(f"{len(self.seeds)} networks")
        return ", ".join([*words, str(self.machine)])


def outputs_of(layer: Layer) -> list[int]:
    """Outputs or channels of what is in this layer; of a residual block those of its last."""
    each = [leaf.outputs for leaf in leaves(layer) if isinstance(leaf, Linear | Conv2d)]
    return each[-1:] if isinstance(layer, Residual) else each


def plan(config: TrainConfig, splits: Splits, group: Group = ALONE) -> Plan:
    """Resolve what the config leaves open, for all processes of a `group`; refuse what cannot be done."""
    refuse_ranks(config, group.size)
    refuse_unfit(config, len(splits.train.y), splits.classes)
    refuse_augmentation(config.augment, splits.shape)
    recipe = Recipe(
        model=model_for(config, splits.shape),
        optimizer=optimizer_of(config),
        loss=config.loss,
        batch_size=config.batch_size,
        max_norm=config.optimizer.max_norm or math.inf,
        mixed_labels=bool(config.augment and config.augment.mixup),
    )
    refuse_fixup(config.model.init, recipe.model)
    refuse_single_numbers(recipe.model, (2, math.prod(splits.shape)))
    resources = machine(config, recipe, splits, group)
    return Plan(
        recipe=replace(recipe, product=resources.product),
        augment=config.augment,
        image=splits.shape,
        seeds=config.seeds,
        init=config.model.init,
        epochs=config.epochs,
        schedule=pieces(config.schedule),
        lr=config.optimizer.lr,
        momentum=config.optimizer.velocity_decay,
        checkpoint=config.checkpoint,
        inside=config.inside,
        patience=config.early_stop.patience if config.early_stop else None,
        machine=resources,
        config=config.model_copy(update=resources.resolved),
    )


def optimizer_of(config: TrainConfig) -> Optimizer:
    """The rule of its name, with those of the section's keys that do not change from step to step."""
    kind = OPTIMIZERS[config.optimizer.name]
    constants = {field.name for field in fields(kind)}
    return kind(**config.optimizer.model_dump(include=constants))


def pieces(schedule: str | tuple[PieceConfig, ...]) -> tuple[Piece, ...]:
    """What a config's schedule is composed of."""
    return SCHEDULES[schedule] if isinstance(schedule, str) else tuple(map(piece, schedule))


def piece(config: PieceConfig) -> Piece:
    return Piece(
        PIECES[config.name] if config.power is None else partial(polynomial, power=config.power),
        config.from_,
        config.from_ if config.to is None else config.to,
        config.share,
        config.momentum_from,
        config.momentum_to,
    )


def model_for(config: TrainConfig, image: Shape) -> Sequential:
    """The layers for images of (height, width); a UserError where they cannot be."""
    name = config.model.name
    try:
        model = MODELS[name](config.model.model_dump(), image)
        model.output_shape((1, math.prod(image)))
    except ValueError as error:
        message = f"{name} cannot take {' x '.join(map(str, image))} images: {error}"
        smaller = {"kernels": "smaller kernels or fewer layers, or ", "stages": "fewer stages, or "}
        advice = "".join(words for key, words in smaller.items() if hasattr(config.model, key))
        raise UserError(f"{message}; write {advice}model.name: mlp", key="model.name") from error
    return model


def cautions(planned: Plan) -> list[str]:
    """What may be meant so, and is worth a line: another engine, an initialisation made for other activations."""
    found = [planned.machine.fallback] if planned.machine.fallback else []
    used, drawn = planned.config.model.activation, INITIALIZATIONS.get(planned.init)
    suited = drawn.activations if drawn else ()  # one that is fitted to the images suits any
    has_activations = any(isinstance(layer, Activation) for layer in leaves(planned.recipe.model))
    if not (suited and has_activations) or used in suited:
        return found
    better = ", ".join(
        [*(name for name, init in INITIALIZATIONS.items() if used in init.activations), *FITTED]
    )
    return [
        *found,
        f"model.init: {planned.init} is made for {', '.join(suited)}, not for {used}, through which the signal may "
        f"grow or shrink; made for it are {better}",
    ]


def step_numbers(planned: Plan, rows: int) -> int:
    """How many numbers a step on so many rows holds beside weights."""
    row = row_costs(planned)
    # outputs, gradients, two masks; inputs of products and their gradients
    return rows * (4 * row.outputs + 2 * row.inputs)


def row_costs(planned: Plan) -> Costs:
    """Of all layers together."""
    each = costs(planned.recipe.model, (1, math.prod(planned.image)))
    return Costs(*map(sum, zip(*each, strict=True)))


def require_memory(planned: Plan, splits: Splits) -> None:
    """Refuse more than there is, before any of it is taken; in bytes, by what each part holds at most."""
    model, replicates = planned.recipe.model, len(planned.seeds)
    of_one, states = parameter_count(model.parameters), len(planned.recipe.optimizer.state_names)
    # weights, optimiser's state, gradients, where they began; weights and state of a snapshot and the best epoch;
    # early stopping keeps the best weights
    copies = (3 * (1 + states) + 2 + (planned.patience is not None)) * 4
    size, rows = planned.recipe.batch_size, len(splits.train.x)
    batches = 4 * step_numbers(planned, size + rows % size)  # a smaller last one has memory of its own
    each = of_one * copies + batches + rows * 2 * 8  # and an epoch's order, twice
    if planned.augment:  # two parts of images
        each += 2 * max(map(len, parts(rows, size))) * math.prod(planned.image) * 4
    if planned.machine.engine == "native":  # weights that each thread has copied
        each += planned.machine.threads * MAX_COLUMNS * row_costs(planned).outputs * 4
    each += len(splits.valid.y) * 6 * 4  # what each network answers, and its losses
    fitted = FITTED_ROWS * row_costs(planned).outputs if planned.init in FITTED else 0
    evaluated = max(NUMBERS_AT_ONCE, LEAST_ROWS * row_costs(planned).outputs)
    once = of_one * 4 * 8 + (evaluated * 3 + fitted) * 4  # a check in float64, an evaluation
    sizes = [key for key in ("hidden", "channels", "stages", "width") if hasattr(planned.config.model, key)]
    key = f"model.{sizes[0]}" if sizes else "batch_size"
    hardware.require_memory(each + once, key, f"a network {planned.network}", planned.machine.device)
    together = f"training {replicates:,} networks together"
    hardware.require_memory(replicates * each + once, "replicates", together, planned.machine.device)
