"""What init-stats shows: a table a part, the lesson's claims, the checks, the sentences."""

import math

import torch
from scipy.special import stdtrit

from mlfound.experiments.initialization.claims import claims
from mlfound.experiments.initialization.depth import FACTOR_ONLY
from mlfound.experiments.initialization.found import Found
from mlfound.experiments.initialization.pictures import pictures
from mlfound.experiments.initialization.stack_tables import convolution_table, stack_tables
from mlfound.experiments.initialization.tables import claim_table, draw_tables, layer_tables
from mlfound.foundations.activations import Floor, Subtract
from mlfound.foundations.initialization import INITIALIZATIONS, normal, uniform
from mlfound.foundations.randomness import generator
from mlfound.foundations.theory import pooled_moments, scatter_of_means
from mlfound.results import Check, Result
from mlfound.stats.estimates import Estimate

FALSE_ALARM = 1e-6  # how seldom a right run may fail a check
SCATTER_ROWS = 1000


def report(found: Found) -> Result:
    """Everything that was looked at."""
    said = claims(found)
    return Result(
        metrics=metrics(found),
        checks=[*layer_checks(found), *stack_checks(found)],
        findings=[*shift_findings(found), *scatter_findings(found), *residual_findings(found)],
        tables=[
            *layer_tables(found), *draw_tables(found), *stack_tables(found), *convolution_table(found),
            *claim_table(said),
        ],
        pictures=pictures(found),
    )  # fmt: skip


def metrics(found: Found) -> dict[str, float]:
    """The figures by name."""
    numbers: dict[str, float] = {}
    for init, layers in found.layers.items():
        for layer in layers:
            numbers[f"{init} {layer.label} mean"] = layer.mean.value
            numbers[f"{init} {layer.label} std"] = layer.std.value
    for stack in found.stacks:
        numbers[f"{stack.init} signal out / in"] = stack.factor
    for init, convolution in found.convolutions.items():
        numbers[f"{init} four convolutions std"] = convolution.four[:, -1].median().item()
    return {name.replace(" ", "_"): value for name, value in numbers.items() if math.isfinite(value)}


def layer_checks(found: Found) -> list[Check]:
    """Measured against theory where that is exact: the largest distance, in standard errors.

    The bound is Student's t for so many draws and comparisons: few draws know their own error badly.
    """
    every = [layer for layers in found.layers.values() for layer in layers]
    exact = [(layer, *layer.theory) for layer in every if layer.exact and layer.theory]
    drawn = [
        (layers[0].w_std, layers[0].w_theory)
        for init, layers in found.layers.items()
        if layers[0].w_theory and INITIALIZATIONS[init].distribution in (normal, uniform)
    ]
    compared = {
        "means after one layer": [(layer.mean, mean) for layer, mean, _ in exact],
        "stds after one layer": [(layer.std, std) for layer, _, std in exact],
        "stds of the weights": drawn,
    }
    checks, draws = [], found.config.draws
    for name, pairs in compared.items():
        if pairs and draws > 1:
            far = max(distance(estimate, wanted) for estimate, wanted in pairs)
            bound = stdtrit(draws - 1, 1 - FALSE_ALARM / (2 * len(pairs))).item()
            checks.append(
                Check(f"{name}: farthest from theory, in standard errors", far <= bound, far, bound)
            )
    return checks


def distance(estimate: Estimate, wanted: float) -> float:
    """In standard errors."""
    return abs(estimate.value - wanted) / max(estimate.error, 1e-300)


def stack_checks(found: Found) -> list[Check]:
    """What holds exactly, whatever was drawn: lsuv's unit variance on its own rows, and fixup's zeros."""
    checks = []
    for stack in found.stacks:
        if stack.init == "lsuv":
            far = max(abs(std - 1) for std in stack.products)
            checks.append(Check("lsuv: std of a layer's products, farthest from 1", far <= 1e-3, far, 1e-3))
        if stack.init == "fixup":
            far = abs(stack.factor - 1)
            checks.append(Check("fixup: change of the signal through the stack", far == 0, far, 0.0))
    return checks


def shift_findings(found: Found) -> list[str]:
    """What a shift does to the mean and to the std, and that the lesson's text and code are two functions."""
    relu = found.layer(found.drawn, "relu")
    shifted = found.layers[found.drawn][-1] if found.layers else None
    if relu is None or shifted is None or found.shift is None or relu.w_theory is None:
        return []
    s, lengths = found.shift, found.x.double().square().sum(1)
    moved = f"the mean from {relu.mean.value:.4f} to {shifted.mean.value:.4f}"
    if isinstance(shifted.activation, Subtract):
        mean, std = pooled_moments(Floor(s), lengths, relu.w_theory**2)
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


def scatter_findings(found: Found) -> list[str]:
    """Why ten draws differ so: the rows resemble one another."""
    layer = found.layer(found.drawn, "relu")
    if layer is None or layer.w_theory is None or found.config.draws < 2:
        return []
    v, units, x = layer.w_theory**2, found.config.hidden, found.x[:SCATTER_ROWS]
    noise = torch.randn(x.shape, generator=generator(found.config.seed, "init-stats noise"))
    here, there = scatter_of_means(x, v, units), scatter_of_means(noise, v, units)
    return [
        f"The mean of a single {found.drawn} draw is off by {layer.means.std().item():.3f} (standard deviation; "
        f"theory {here:.3f}): {here / there:.0f} times as far as on {len(x):,} rows of N(0, 1) ({there:.4f}), since "
        "images resemble one another. One draw says little."
    ]


def residual_findings(found: Found) -> list[str]:
    """What fixup's exact 1 means."""
    ends = {stack.init: stack for stack in found.stacks}
    if "fixup" not in ends:
        return []
    factor = ends[FACTOR_ONLY]
    blocks = len(factor.std)
    return [
        "fixup's 1 is no feat: the last weight of each of its branches is 0, so every branch adds 0 at the start. "
        "What its factor is there for, comes with training.",
        f"Without those zeros its factor, {blocks:,}^(-1/2) on the other weight, keeps the signal within sqrt(e) = "
        f"{math.sqrt(math.e):.3f} at any depth: here it comes out {factor.factor:.3f} times as large.",
    ]
