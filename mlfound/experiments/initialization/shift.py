"""The part `shift`: what a shifted ReLU does to the draws of `layer`, one by one as the lesson has them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mlfound.config.models import InitStatsConfig
from mlfound.experiments.initialization.activations import leak
from mlfound.experiments.initialization.claims import Claim, claim_table
from mlfound.experiments.initialization.draws import Layer, draw_weights
from mlfound.foundations.activations import Floor, ReLU
from mlfound.foundations.randomness import generator
from mlfound.foundations.theory import pooled_moments, scatter_of_means
from mlfound.results import Column, Picture, Result, Table
from mlfound.stats.estimates import Estimate
from mlfound.training.inputs import Inputs

LESSON_SHIFT = 0.5
SHOWN_DRAWS = 10
MAX_MEAN_LEFT = 0.2  # of the mean before: a mean that is left is near 0
MIN_STD_LOST = 0.001  # of the std before: less is rounding
SHOWN_ROWS = 1000  # for the scatter of means and the histograms
HISTOGRAM_DRAWS, HISTOGRAM_BINS = 10, 90


def run(config: InitStatsConfig, inputs: Inputs, layers: Sequence[Layer]) -> Result:
    """Of one of the layers' schemes: kaiming, or else the first. Its last activation is the shifted one."""
    init = "kaiming" if any(layer.init == "kaiming" for layer in layers) else layers[0].init
    by_label = {layer.label: layer for layer in layers if layer.init == init}
    relu, shifted = by_label.get("relu"), [*by_label.values()][-1]
    nonlinear = [layer for layer in by_label.values() if layer.label != "linear"]
    x, name = inputs.splits.valid.x[: config.rows], inputs.facts["name"]
    few = x[:SHOWN_ROWS]
    pictures = [draws_picture(config, few, name, nonlinear), histograms(config, few, nonlinear)]
    if relu is None:
        return Result(pictures=pictures)
    tables = [draws_table(relu, shifted)] if shifted.shift else []
    v = relu.w_theory and relu.w_theory**2
    findings = [*shift_findings(x, v, relu, shifted), *scatter_findings(config, few, v, relu)] if v else []
    tables.append(claim_table(claims(relu, shifted)))
    return Result(findings=findings, tables=tables, pictures=pictures)


def draws_table(relu: Layer, shifted: Layer) -> Table:
    shown = torch.stack([relu.means, relu.stds, shifted.means, shifted.stds], 1)[:SHOWN_DRAWS].tolist()
    estimates = [relu.mean, relu.std, shifted.mean, shifted.std]
    rows = [
        *((str(n), *draw) for n, draw in enumerate(shown, 1)),
        (f"all {relu.mean.draws:,}", *(estimate.value for estimate in estimates)),
        ("± 95%", *(estimate.half for estimate in estimates)),
        ("theory", *relu.theory, *shifted.theory),
        ("theory, N(0, 1) rows", *relu.gaussian, *shifted.gaussian),
    ]
    columns = [Column("draw")]
    for name, layer in (("relu", relu), ("shifted", shifted)):
        columns.append(Column(f"{name}_mean", f"{layer.label}: mean", "z.4f"))
        columns.append(Column(f"{name}_std", f"{layer.label}: std", ".4f"))
    lessons = " (the lesson's ten: means -0.061 to 0.159, stds 0.719 to 0.937)" if is_lessons(shifted) else ""
    return Table("ten-draws", f"{len(shown)} draws of {relu.init}, one by one{lessons}", columns, rows)


def is_lessons(shifted: Layer) -> bool:
    """Whether the lesson has figures for this scheme and function: its code's max(x, 0) - 0.5 after kaiming."""
    return (shifted.init, shifted.label) == ("kaiming", f"relu - {LESSON_SHIFT:g}")


def claims(relu: Layer, shifted: Layer) -> list[Claim]:
    """Of the mean and the variance, on the same products: the draws are compared one with one."""
    was, now, (_, before), (mean, after) = relu.mean.value, shifted.mean, relu.theory, shifted.theory
    change = Estimate.mean((shifted.stds - relu.stds).round(decimals=6))  # float32 has no more digits
    wanted = None if after is None or before is None else after - before
    text = f"{shifted.label.replace('relu', 'ReLU')} brings the mean back near 0"
    is_near_0 = abs(now.value) < MAX_MEAN_LEFT * was
    is_lower = change.value < -MIN_STD_LOST * relu.std.value
    lesson = "-0.061 to 0.159" if is_lessons(shifted) else ""
    said = shifted.shift == LESSON_SHIFT
    return [
        Claim(text, f"mean (was {was:.4f})", now, mean, is_near_0, lesson, said),
        Claim("... and lowers the variance", "change of the std", change, wanted, is_lower, said=said),
    ]


def shift_findings(x: Tensor, v: float, relu: Layer, shifted: Layer) -> list[str]:
    """What a shift does to mean and std, `v` a weight's variance; the lesson's text and code are two functions."""
    s, moved = shifted.shift, f"the mean from {relu.mean.value:.4f} to {shifted.mean.value:.4f}"
    if isinstance(shifted.activation, ReLU):
        mean, std = pooled_moments(Floor(s), x.double().square().sum(1), v)
        return [
            f"Subtracting {s:g} moves {moved} and leaves the standard deviation at {shifted.std.value:.4f}: "
            "every number moves alike.",
            f"max(x, {-s:g}), the lesson's text, is another function than its code's max(x, 0) - {s:g}: in theory "
            f"it has mean {mean:.4f} and std {std:.4f} here (--set relu_variant=floor --relu-shift {s:g}).",
        ]
    return [
        f"max(x, {-s:g}) lets x through further down: it moves {moved}, and the standard deviation from "
        f"{relu.std.value:.4f} to {shifted.std.value:.4f}. It is not max(x, 0) - {s:g}."
    ]


def scatter_findings(config: InitStatsConfig, x: Tensor, v: float, relu: Layer) -> list[str]:
    """Why ten draws differ so: the rows resemble one another."""
    if relu.mean.draws < 2:
        return []
    noise = torch.randn(x.shape, generator=generator(config.seed, "init-stats noise"))
    here, there = scatter_of_means(x, v, config.hidden), scatter_of_means(noise, v, config.hidden)
    return [
        f"The mean of a single {relu.init} draw is off by {relu.means.std().item():.3f} (standard deviation; "
        f"theory {here:.3f}): {here / there:.0f} times as far as on {len(x):,} rows of N(0, 1) ({there:.4f}), since "
        "images resemble one another. One draw says little."
    ]


def draws_picture(config: InitStatsConfig, x: Tensor, name: str, layers: Sequence[Layer]) -> Picture:
    def scatter(layer: Layer) -> float | None:
        v = layer.w_theory
        return v and scatter_of_means(x, v**2, config.hidden, leak(layer.activation) or 0.0)

    data = {
        "title": f"Single draws of {layers[0].init}, {x.shape[1]} to {config.hidden}, on {name}",
        "names": [layer.label for layer in layers],
        "mean": [layer.means[:SHOWN_DRAWS].tolist() for layer in layers],
        "std": [layer.stds[:SHOWN_DRAWS].tolist() for layer in layers],
        "mean_theory": [layer.theory.mean for layer in layers],
        "std_theory": [layer.theory.std for layer in layers],
        "mean_scatter": [scatter(layer) for layer in layers],
    }
    return Picture("draws", "single_draws", data)


def histograms(config: InitStatsConfig, x: Tensor, layers: Sequence[Layer]) -> Picture:
    """How often each value occurs before the activation, and after each."""
    init, draws = layers[0].init, min(layers[0].mean.draws, HISTOGRAM_DRAWS)
    random = generator(config.seed, f"init-stats layer {init}")
    z = (x @ draw_weights(init, (x.shape[1], config.hidden), random, draws, x)).flatten()
    outputs = {"x w, before": z, **{layer.label: layer.activation(z) for layer in layers}}
    reach = 3.5 * z.std().item() or 1.0
    data = {
        "title": f"What comes out of one layer drawn by {init}, before and after its activation",
        "names": list(outputs),
        "edges": torch.linspace(-reach, reach, HISTOGRAM_BINS + 1).tolist(),
        "counts": [torch.histc(y, HISTOGRAM_BINS, -reach, reach).tolist() for y in outputs.values()],
        "mean": [y.mean().item() for y in outputs.values()],
        "std": [y.std().item() for y in outputs.values()],
    }
    return Picture("activations", "activation_histograms", data)
