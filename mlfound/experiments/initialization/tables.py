"""The tables of init-stats: short ones for the screen, and beside them every figure for the CSV."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

from mlfound.experiments.initialization.claims import Claim
from mlfound.experiments.initialization.found import Found
from mlfound.experiments.initialization.layer import Layer, verdict
from mlfound.foundations.activations import Floor, Subtract
from mlfound.results import Column, Table

SHOWN_DRAWS = 10
LESSON = {  # mean and std in the lesson's text; the shifted one in its notebook
    ("xavier", "linear"): "-0.0155, 1.0006",
    ("xavier", "relu"): "0.3896, 0.5860",
    ("kaiming", "relu"): "0.5896, 0.8658",
    ("kaiming", "relu - 0.5"): "0.1071, 0.8995",
}


def layer_tables(found: Found) -> list[Table]:
    """What came out of one layer: the table for the eye, unless the draws are shown; and all of it."""
    if not found.layers:
        return []
    layers = [layer for each in found.layers.values() for layer in each]
    columns = (
        Column("init"),
        Column("activation"),
        Column("mean", format="z.4f"),
        Column("mean_half_width", "±", ".4f"),
        Column("mean_theory", "theory", "z.4f"),
        Column("std", format=".4f"),
        Column("std_half_width", "±", ".4f"),
        Column("std_theory", "theory", ".4f"),
        Column("signal", "root mean square"),
        Column("lesson", "lesson's mean, std"),
    )
    rows = [
        (
            layer.init,
            layer.label,
            layer.mean.value,
            layer.mean.half,
            layer.theory and layer.theory[0],
            layer.std.value,
            layer.std.half,
            layer.theory and layer.theory[1],
            verdict(layer.factor.value),
            lesson(found, layer),
        )
        for layer in layers
    ]
    config = found.config
    title = (
        f"One layer, {found.x.shape[1]} to {config.hidden}, {len(found.x):,} validation images of {found.name}, "
        f"{config.draws:,} draws: ± is a 95% interval, theory is for these images"
    )
    return [Table("layer", title, columns, rows, shown=len(found.layers) > 1), stats_table(layers)]


def lesson(found: Found, layer: Layer) -> str:
    """The lesson's figures, where its layer was this one."""
    return LESSON.get((layer.init, layer.label), "") if found.config.hidden == 50 else ""


def stats_table(layers: Sequence[Layer]) -> Table:
    """Every figure of every layer."""
    names = (
        "init", "activation", "relu_shift", "mean", "mean_low", "mean_high", "mean_theory", "mean_theory_gaussian",
        "std", "std_low", "std_high", "std_theory", "std_theory_gaussian", "w_mean", "w_std", "w_std_theory",
        "signal_factor", "signal_factor_low", "signal_factor_high", "verdict", "draws",
    )  # fmt: skip
    rows = [
        (
            layer.init, layer.label, shift(layer),
            *interval(layer.mean), layer.theory and layer.theory[0], layer.gaussian[0],
            *interval(layer.std), layer.theory and layer.theory[1], layer.gaussian[1],
            layer.w_mean.value, layer.w_std.value, layer.w_theory,
            *interval(layer.factor), verdict(layer.factor.value), layer.mean.draws,
        )
        for layer in layers
    ]  # fmt: skip
    return Table("stats", "One layer, all figures", [Column(name) for name in names], rows, shown=False)


def interval(estimate: Any) -> tuple[float, float | None, float | None]:
    return estimate.value, estimate.low, estimate.high


def shift(layer: Layer) -> float:
    match layer.activation:
        case Subtract(s) | Floor(s):
            return s
        case _:
            return 0.0


def draw_tables(found: Found) -> list[Table]:
    """The first draws one by one, with and without the shift, as the lesson prints them; and all draws."""
    if not found.layers:
        return []
    every = Table(
        "draws",
        "Every draw",
        [Column(name) for name in ("init", "activation", "relu_shift", "draw", "mean", "std")],
        [
            (layer.init, layer.label, shift(layer), n, mean, std)
            for layers in found.layers.values()
            for layer in layers
            for n, (mean, std) in enumerate(zip(layer.means.tolist(), layer.stds.tolist(), strict=True), 1)
        ],
        shown=False,
    )
    return [every, *ten_draws(found)]


def ten_draws(found: Found) -> list[Table]:
    """A line a draw, then all draws together, theory, and the lesson's."""
    pair = [layer for layer in found.layers[found.drawn] if layer.label == "relu" or shift(layer)]
    if len(pair) < 2:
        return []
    draws = list(
        islice(
            zip(*(zip(p.means.tolist(), p.stds.tolist(), strict=True) for p in pair), strict=True),
            SHOWN_DRAWS,
        )
    )
    rows: list[tuple[Any, ...]] = [
        (str(n), *(f for pair in draw for f in pair)) for n, draw in enumerate(draws, 1)
    ]
    rows.append((f"all {found.config.draws:,}", *(f for p in pair for f in (p.mean.value, p.std.value))))
    rows.append(("± 95%", *(f for p in pair for f in (p.mean.half, p.std.half))))
    rows.append(("theory", *(f for p in pair for f in p.theory or (None, None))))
    rows.append(("theory, N(0, 1) rows", *(f for p in pair for f in p.gaussian)))
    first, second = (p.label for p in pair[:2])
    columns = [
        Column("draw"),
        Column("relu_mean", f"{first}: mean", "z.4f"),
        Column("relu_std", f"{first}: std", ".4f"),
        Column("shifted_mean", f"{second}: mean", "z.4f"),
        Column("shifted_std", f"{second}: std", ".4f"),
    ]
    lessons = "the lesson's ten: means -0.061 to 0.159, stds 0.719 to 0.937"
    title = f"{len(draws)} draws of {found.drawn}, one by one ({lessons})"
    return [Table("ten-draws", title, columns, rows)]


def claim_table(claims: Sequence[Claim]) -> list[Table]:
    """The verdicts."""
    columns = (
        Column("claim"),
        Column("figure", "what was measured"),
        Column("measured", format=".4g"),
        Column("half_width", "±", ".2g"),
        Column("theory", format=".4g"),
        Column("lesson"),
        Column("holds", "holds?"),
    )
    return [Table("claims", "The lesson's claims", columns, claims)] if claims else []
