"""The part `layer`: the right size of a weight. Each scheme through one layer, all activations on equal products."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from mlfound import hardware
from mlfound.config.models import InitStatsConfig
from mlfound.experiments.initialization import claims, shift
from mlfound.experiments.initialization.activations import chosen_activations
from mlfound.experiments.initialization.claims import FACTOR, Claim, OnProgress, is_kept
from mlfound.experiments.initialization.draws import Layer, measure_layer
from mlfound.foundations.initialization import INITIALIZATIONS, normal, uniform
from mlfound.foundations.randomness import generator
from mlfound.results import Check, Column, Result, Table
from mlfound.stats.estimates import Estimate, t_quantile
from mlfound.training.inputs import Inputs

SCHEMES = ("normal", "small", "xavier", "kaiming", "kaiming-fan-out", "torch-default")
LESSON_UNITS = 50
DRAWS = 100
FALSE_ALARM_RATE = 1e-6  # how seldom a correct run may fail a check
LESSON = {  # mean and std in the lesson's text; the shifted one in its notebook
    ("xavier", "linear"): "-0.0155, 1.0006",
    ("xavier", "relu"): "0.3896, 0.5860",
    ("kaiming", "relu"): "0.5896, 0.8658",
    ("kaiming", "relu - 0.5"): "0.1071, 0.8995",
}


def run(config: InitStatsConfig, inputs: Inputs, schemes: Sequence[str], on_progress: OnProgress) -> Result:
    """The schemes, then what a shift does to one of them, on the same draws."""
    x = inputs.splits.valid.x[: config.rows]
    activations, draws = chosen_activations(config, default_shift=shift.LESSON_SHIFT), config.draws or DRAWS
    layers = list[Layer]()
    for n, init in enumerate(schemes):
        random = generator(config.seed, f"init-stats layer {init}")

        def drawn(share: float, init: str = init, before: int = n) -> None:
            on_progress(init, (before + share) / len(schemes))

        layers += measure_layer(x, init, activations, config.hidden, draws, random, drawn)
    metrics = dict[str, float]()
    for layer in layers:
        metrics[f"{layer.init} {layer.label} mean"] = layer.mean.value
        metrics[f"{layer.init} {layer.label} std"] = layer.std.value
    title = (
        f"One layer, {x.shape[1]} to {config.hidden}, {len(x):,} validation images of {inputs.facts['name']}, "
        f"{draws:,} draws: ± is a 95% interval, theory is for these images"
    )
    result = Result(
        claims.finite_metrics(metrics),
        checks=list(checks(layers, draws)),
        tables=[
            layer_table(layers, title, config.hidden),
            stats_table(layers),
            draw_table(layers),
            claims.claim_table(layer_claims(layers, x.shape[1])),
        ],
    )
    return result + shift.run(config, inputs, layers)


def refuse_too_large(config: InitStatsConfig, inputs: Inputs, schemes: Sequence[str]) -> None:
    """The images, a weight and their product, float32, and each draw's figures."""
    rows, features = inputs.splits.valid.x[: config.rows].shape
    units = f"a layer of {config.hidden:,} units"
    hardware.require_memory(12 * (rows + features) * config.hidden, "hidden", units)
    draws = config.draws or DRAWS
    hardware.require_memory(200 * len(schemes) * draws, "draws", f"{draws:,} draws")


def layer_table(layers: Sequence[Layer], title: str, hidden: int) -> Table:
    """Shown unless there is a single scheme, whose draws are shown."""
    lesson = LESSON if hidden == LESSON_UNITS else {}
    columns = (
        Column("init"),
        Column("activation", of="label", rank=1),
        *claims.columns_beside_theory("mean"),
        *claims.columns_beside_theory("std"),
        Column("signal", "root mean square", of="verdict"),
        Column(
            "lesson", "lesson's mean, std", of=lambda layer: lesson.get((layer.init, layer.label), ""), rank=5
        ),
    )
    several = len({layer.init for layer in layers}) > 1
    return Table.of("layer", title, columns, layers, shown="verbose" if several else "never")


def stats_table(layers: Sequence[Layer]) -> Table:
    columns = [Column("init"), Column("activation", of="label"), Column("relu_shift", of="shift")]
    for name in ("mean", "std"):
        columns += interval_columns(name, name)
        columns.append(Column(f"{name}_theory", of=f"theory.{name}"))
        columns.append(Column(f"{name}_theory_gaussian", of=f"gaussian.{name}"))
    columns += [
        Column("w_mean", of="w_mean.value"),
        Column("w_std", of="w_std.value"),
        Column("w_std_theory", of="w_theory"),
        *interval_columns("signal_factor", "factor"),
        Column("verdict"),
        Column("draws", of="mean.draws"),
    ]
    return Table.of("stats", "One layer, all figures", columns, layers, shown="never")


def interval_columns(name: str, of: str) -> list[Column]:
    ends = {name: "value", f"{name}_low": "low", f"{name}_high": "high"}
    return [Column(column, of=f"{of}.{end}") for column, end in ends.items()]


def draw_table(layers: Sequence[Layer]) -> Table:
    columns = [Column(name) for name in ("init", "activation", "relu_shift", "draw", "mean", "std")]
    rows = [
        (layer.init, layer.label, layer.shift, n, mean, std)
        for layer in layers
        for n, (mean, std) in enumerate(zip(layer.means.tolist(), layer.stds.tolist(), strict=True), 1)
    ]
    return Table("draws", "Every draw", columns, rows, shown="never")


def layer_claims(layers: Sequence[Layer], features: int) -> Iterator[Claim]:
    by_name = {(layer.init, layer.label): layer for layer in layers}
    if layer := by_name.get(("xavier", "linear")):
        text, std = f"randn / sqrt({features}) keeps the std near 1", layer.std
        yield Claim(text, "std", std, layer.theory.std, is_kept(std.value), "1.0006")
    if layer := by_name.get(("xavier", "relu")):
        text, factor, half = "... and a ReLU takes half of the square", layer.factor, math.sqrt(0.5)
        yield Claim(text, FACTOR, factor, half, is_kept(factor.value / half), "0.704")
    if layer := by_name.get(("kaiming", "relu")):
        factor, std, theory = layer.factor, layer.w_std, layer.w_theory or 0.0
        text = f"randn * sqrt(2/{features}) has std {theory:.4f}"
        yield Claim(text, "std of w", std, theory, math.isclose(std.value, theory, rel_tol=0.01), "0.0506")
        text = f"sqrt(2/{features}) makes up for the ReLU"
        yield Claim(text, FACTOR, factor, 1.0, is_kept(factor.value), "1.047")
    if layer := by_name.get(("torch-default", "relu")):
        text, factor = "the library's default, a = sqrt(5), shrinks the signal", layer.factor
        yield Claim(text, FACTOR, factor, 1 / math.sqrt(6), factor.value < 1 / claims.KEPT_FACTOR)


def checks(layers: Sequence[Layer], draws: int) -> Iterator[Check]:
    """Measured against theory where that is exact: the largest distance, in standard errors.

    The bound is Student's t for so many draws and comparisons: few draws know their own error badly.
    """
    known = [layer for layer in layers if layer.w_theory]
    exact = [layer for layer in known if layer.exact]
    weights = {  # the same, whatever activation follows
        layer.init: (layer.w_std, layer.w_theory)
        for layer in known
        if INITIALIZATIONS[layer.init].distribution in (normal, uniform)
    }
    compared: dict[str, Sequence[tuple[Estimate, Any]]] = {
        "means after one layer": [(layer.mean, layer.theory.mean) for layer in exact],
        "stds after one layer": [(layer.std, layer.theory.std) for layer in exact],
        "stds of the weights": [*weights.values()],
    }
    for name, pairs in compared.items():
        if pairs and draws > 1:
            far = max(abs(found.value - theory) / max(found.error, 1e-300) for found, theory in pairs)
            bound = t_quantile(draws - 1, 1 - FALSE_ALARM_RATE / (2 * len(pairs)))
            yield Check(f"{name}: farthest from theory, in standard errors", far <= bound, far, bound)
