"""The part `layer`: the right size of a weight. Every scheme through one layer, all activations on equal products."""

import math
from collections.abc import Iterator, Sequence
from functools import partial

from scipy.special import stdtrit

from mlfound import hardware
from mlfound.config.models import InitStatsConfig
from mlfound.experiments.initialization import shift
from mlfound.experiments.initialization.activations import chosen_activations
from mlfound.experiments.initialization.claims import (
    KEPT_FACTOR,
    Claim,
    claim_table,
    columns_beside_theory,
    factor_claim,
    finite_metrics,
    in_theory,
    is_kept,
    verdict,
)
from mlfound.experiments.initialization.draws import Layer, measure_layer
from mlfound.foundations.initialization import INITIALIZATIONS, normal, uniform
from mlfound.foundations.randomness import generator
from mlfound.results import Check, Column, Context, Result, Table
from mlfound.training.inputs import Inputs

SCHEMES = ("normal", "small", "xavier", "kaiming", "kaiming-fan-out", "torch-default")
LESSON_SHIFT = 0.5
FALSE_ALARM_RATE = 1e-6  # how seldom a right run may fail a check
LESSON = {  # mean and std in the lesson's text, of 50 units; the shifted one in its notebook
    ("xavier", "linear"): "-0.0155, 1.0006",
    ("xavier", "relu"): "0.3896, 0.5860",
    ("kaiming", "relu"): "0.5896, 0.8658",
    ("kaiming", "relu - 0.5"): "0.1071, 0.8995",
}


def run(config: InitStatsConfig, inputs: Inputs, schemes: Sequence[str], context: Context) -> Result:
    """The schemes, then what a shift does to one of them: its draws are compared one with one, so they are these."""
    x = inputs.splits.valid.x[: config.rows]
    activations = chosen_activations(config, LESSON_SHIFT if config.relu_shift is None else config.relu_shift)
    layers = [
        layer
        for init in schemes
        for layer in measure_layer(
            x, init, activations, config.hidden, config.draws,
            generator(config.seed, f"init-stats layer {init}"), partial(context.recorder.progress, init),
        )
    ]  # fmt: skip
    metrics = {}
    for layer in layers:
        metrics[f"{layer.init} {layer.label} mean"] = layer.mean.value
        metrics[f"{layer.init} {layer.label} std"] = layer.std.value
    title = (
        f"One layer, {x.shape[1]} to {config.hidden}, {len(x):,} validation images of {inputs.facts['name']}, "
        f"{config.draws:,} draws: ± is a 95% interval, theory is for these images"
    )
    result = Result(
        metrics=finite_metrics(metrics),
        checks=checks(layers, config.draws),
        tables=[
            layer_table(layers, title, config.hidden), stats_table(layers), draw_table(layers),
            *claim_table(list(claims(layers, x.shape[1]))),
        ],
    )  # fmt: skip
    return result + shift.run(config, inputs, layers)


def refuse_too_large(config: InitStatsConfig, inputs: Inputs, schemes: Sequence[str]) -> None:
    """The images, a weight and their product, float32, and each draw's figures."""
    rows, features = inputs.splits.valid.x[: config.rows].shape
    units = f"a layer of {config.hidden:,} units"
    hardware.require_memory(12 * (rows + features) * config.hidden, "hidden", units)
    hardware.require_memory(200 * len(schemes) * config.draws, "draws", f"{config.draws:,} draws")


def layer_table(layers: Sequence[Layer], title: str, hidden: int) -> Table:
    """For the eye, unless there is one scheme, whose draws are shown."""
    columns = (
        Column("init"),
        Column("activation", of="label"),
        *columns_beside_theory("mean"),
        *columns_beside_theory("std"),
        Column("signal", "root mean square", of=verdict_on),
        Column(
            "lesson",
            "lesson's mean, std",
            of=lambda layer: LESSON.get((layer.init, layer.label), "") if hidden == 50 else "",
        ),
    )
    return Table.of("layer", title, columns, layers, shown=len({layer.init for layer in layers}) > 1)


def stats_table(layers: Sequence[Layer]) -> Table:
    """Every figure of every layer."""
    columns = []
    for name in ("mean", "std"):
        columns += [
            *interval_columns(name, name),
            Column(f"{name}_theory", of=in_theory(name)),
            Column(f"{name}_theory_gaussian", of=f"gaussian.{name}"),
        ]
    columns = [
        Column("init"),
        Column("activation", of="label"),
        Column("relu_shift", of="shift"),
        *columns,
        Column("w_mean", of="w_mean.value"),
        Column("w_std", of="w_std.value"),
        Column("w_std_theory", of="w_theory"),
        *interval_columns("signal_factor", "factor"),
        Column("verdict", of=verdict_on),
        Column("draws", of="mean.draws"),
    ]
    return Table.of("stats", "One layer, all figures", columns, layers, shown=False)


def interval_columns(name: str, of: str) -> list[Column]:
    return [
        Column(name, of=f"{of}.value"),
        Column(f"{name}_low", of=f"{of}.low"),
        Column(f"{name}_high", of=f"{of}.high"),
    ]


def verdict_on(layer: Layer) -> str:
    return verdict(layer.factor.value)


def draw_table(layers: Sequence[Layer]) -> Table:
    """Every draw of every layer."""
    names = ("init", "activation", "relu_shift", "draw", "mean", "std")
    rows = [
        (layer.init, layer.label, layer.shift, n, mean, std)
        for layer in layers
        for n, (mean, std) in enumerate(zip(layer.means.tolist(), layer.stds.tolist(), strict=True), 1)
    ]
    return Table("draws", "Every draw", [Column(name) for name in names], rows, shown=False)


def claims(layers: Sequence[Layer], features: int) -> Iterator[Claim]:
    """The right size of a weight, and torch's."""
    by_name = {(layer.init, layer.label): layer for layer in layers}
    if layer := by_name.get(("xavier", "linear")):
        std, theory = layer.std, in_theory("std")(layer)
        yield Claim(
            f"randn / sqrt({features}) keeps the std near 1", "std", std, theory, is_kept(std.value), "1.0006"
        )
    if layer := by_name.get(("xavier", "relu")):
        holds = is_kept(layer.factor.value / math.sqrt(0.5))
        yield factor_claim(
            "... and a ReLU takes half of the square", layer.factor, math.sqrt(0.5), holds, "0.704"
        )
    if layer := by_name.get(("kaiming", "relu")):
        std, theory = layer.w_std, layer.w_theory or 0.0
        holds = math.isclose(std.value, theory, rel_tol=0.01)
        yield Claim(
            f"randn * sqrt(2/{features}) has std {theory:.4f}", "std of w", std, theory, holds, "0.0506"
        )
        holds = is_kept(layer.factor.value)
        yield factor_claim(f"sqrt(2/{features}) makes up for the ReLU", layer.factor, 1.0, holds, "1.047")
    if layer := by_name.get(("torch-default", "relu")):
        holds = layer.factor.value < 1 / KEPT_FACTOR
        yield factor_claim(
            "the library's default, a = sqrt(5), shrinks the signal", layer.factor, 1 / math.sqrt(6), holds
        )


def checks(layers: Sequence[Layer], draws: int) -> list[Check]:
    """Measured against theory where that is exact: the largest distance, in standard errors.

    The bound is Student's t for so many draws and comparisons: few draws know their own error badly.
    """
    exact = [(layer, layer.theory) for layer in layers if layer.theory and layer.exact]
    of_schemes = {
        layer.init: layer for layer in layers
    }.values()  # whatever the activation, the weights are the same
    compared = {
        "means after one layer": [(layer.mean, theory.mean) for layer, theory in exact],
        "stds after one layer": [(layer.std, theory.std) for layer, theory in exact],
        "stds of the weights": [
            (layer.w_std, layer.w_theory)
            for layer in of_schemes
            if layer.w_theory and INITIALIZATIONS[layer.init].distribution in (normal, uniform)
        ],
    }
    checks = []
    for name, pairs in compared.items():
        if pairs and draws > 1:
            far = max(
                abs(measured.value - theory) / max(measured.error, 1e-300) for measured, theory in pairs
            )
            bound = stdtrit(draws - 1, 1 - FALSE_ALARM_RATE / (2 * len(pairs))).item()
            checks.append(
                Check(f"{name}: farthest from theory, in standard errors", far <= bound, far, bound)
            )
    return checks
