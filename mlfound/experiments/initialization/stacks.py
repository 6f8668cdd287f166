"""The parts `stacks` and `residual`: one draw of each scheme through a deep stack, forward and backward."""

import math
from collections.abc import Iterator, Sequence

import torch

from mlfound import hardware
from mlfound.config.models import InitStatsConfig
from mlfound.experiments.initialization import claims, depth
from mlfound.experiments.initialization.activations import chosen_activations
from mlfound.experiments.initialization.claims import FACTOR, Claim, OnProgress
from mlfound.experiments.initialization.depth import FACTOR_ONLY, Lost, Stack
from mlfound.foundations.randomness import generator
from mlfound.results import Check, Column, Picture, Result, Table
from mlfound.training.inputs import Inputs

SCHEMES = ("normal", "small", "xavier", "kaiming", "kaiming-fan-out", "torch-default", "orthogonal", "lsuv")
RESIDUAL = ("xavier", "kaiming", "fixup")
DEPTH = 50  # deep enough for torch's default to vanish
ROWS = 256  # real rows are alike: more of them hardly add information
LASTING_FACTOR = 10.0  # a signal that a whole stack multiplies by this or less lasts
HEAT_PANELS = 8
LAYER_COLUMNS = [Column(name) for name in ("init", "layer", "mean", "std", "dead_share", "gradient_std")]


def run(config: InitStatsConfig, inputs: Inputs, schemes: Sequence[str], on_progress: OnProgress) -> Result:
    """Plain stacks or residual ones; beside fixup also its factor without its zeros."""
    x = inputs.splits.valid.x[: config.rows or ROWS]
    activation = chosen_activations(config)[-1]
    build = depth.residual_stack if config.residual else depth.plain_stack
    names = [*schemes, FACTOR_ONLY] if "fixup" in schemes else schemes
    stacks = []
    for n, name in enumerate(names):
        on_progress(name, n / len(names))
        random = generator(config.seed, f"init-stats stack {name}")
        stacks.append(build(x, name, activation, config.depth or DEPTH, config.width, random))
    layers = [layer for stack in stacks for layer in stack.layers]
    return Result(
        claims.finite_metrics({f"{stack.init} {FACTOR}": stack.factor for stack in stacks}),
        checks=list(checks(stacks)),
        findings=fixup_findings(stacks),
        tables=[
            stack_table(stacks, config),
            Table.of("layers", "Layer by layer", LAYER_COLUMNS, layers, shown="never"),
            claims.claim_table(residual_claims(stacks) if config.residual else ()),
        ],
        pictures=pictures(stacks, config.width),
    )


def refuse_too_large(config: InitStatsConfig, inputs: Inputs, schemes: Sequence[str]) -> None:
    """What a stack holds at once, float32: weights, signal and gradient."""
    rows, features = inputs.splits.valid.x[: config.rows or ROWS].shape
    width, layers = config.width, config.depth or DEPTH
    each = 2 * width**2 + rows * width // 2 if config.residual else 3 * width**2 + 2 * rows * width
    numbers = features * width + 4 * rows * width + layers * each
    key = "depth" if layers > width else "width"
    hardware.require_memory(4 * numbers, key, f"a stack of {layers:,} layers of {width:,} units")


def stack_table(stacks: Sequence[Stack], config: InitStatsConfig) -> Table:
    columns = (
        Column("init"),
        Column("forward_per_layer", "signal × a layer", ".4g", "forward_factor", rank=3),
        Column("backward_per_layer", "gradient × a layer", ".4g", "backward_factor", rank=4),
        Column("forward_theory", "theory", ".4g", "theory", rank=5),
        Column("std", "std at the end", ".2g", lambda stack: finite(stack.end.std), rank=5),
        Column("dead_share", "dead units", ".0%", lambda stack: finite(stack.end.dead_share), rank=5),
        Column("forward", "the signal", of=forward_verdict),
        Column(
            "gradient_std", "gradient at the start", ".2g", lambda each: each.layers[0].gradient_std, rank=5
        ),
        Column("backward", "the gradient", of=backward_verdict),
    )
    kind = "layers in residual blocks of two" if config.residual else "layers"
    title = (
        f"{stacks[0].end.layer:,} {kind}, {config.width} units, one draw each "
        "(vanished: below 6e-8 of the start)"  # which float32 cannot add to it
    )
    return Table.of("stacks", title, columns, stacks, shown="always")


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def forward_verdict(stack: Stack) -> str:
    return lasting_verdict(stack.signal_lost, stack.factor)


def backward_verdict(stack: Stack) -> str:
    if not stack.gradients:
        return "none: the signal overflowed"
    return lasting_verdict(stack.gradient_lost, stack.gradients[0])


def lasting_verdict(lost: Lost, factor: float) -> str:
    if lost:
        layer, how = lost
        return f"{how} at layer {layer}"
    return "lasts" if 1 / LASTING_FACTOR <= factor <= LASTING_FACTOR else claims.verdict(factor)


def pictures(stacks: Sequence[Stack], width: int) -> list[Picture]:
    """Signal and gradient after each layer, one line per scheme; histograms of the activations, one panel each."""
    layers, panels = stacks[0].end.layer, stacks[:HEAT_PANELS]
    signal = {
        "title": f"The signal through {layers:,} layers of {width} units",
        "layer": [layer.layer for layer in stacks[0].layers],
        "forward": {stack.init: [layer.std for layer in stack.layers] for stack in stacks},
        "backward": {stack.init: stack.gradients for stack in stacks if stack.gradients},
    }
    heat = {
        "title": "How large the activations are, layer by layer",
        "names": [stack.init for stack in panels],
        "counts": [torch.stack([layer.counts for layer in stack.layers], 1).tolist() for stack in panels],
        "largest": depth.MAX_LOG10,
        "layers": layers,
    }
    return [Picture("signal", "signal_by_layer", signal), Picture("heat", "size_histograms", heat)]


def residual_claims(stacks: Sequence[Stack]) -> Iterator[Claim]:
    for stack in stacks:
        factor, layers = stack.factor, stack.end.layer
        text = f"{stack.init} carries the signal through {layers:,} layers"
        is_fixup = stack.init == "fixup"
        lesson = "10,000 layers" if is_fixup else ""
        theory = None if stack.theory is None else (torch.tensor(stack.theory).double() ** layers).item()
        yield Claim(text, FACTOR, factor, theory, 0.5 <= factor <= 2, lesson, is_fixup)


def checks(stacks: Sequence[Stack]) -> Iterator[Check]:
    """What holds exactly, whatever was drawn: lsuv's unit variance on its own rows, and fixup's zeros."""
    for stack in stacks:
        if stack.init == "lsuv":
            far = max(abs(layer.product_std - 1) for layer in stack.layers)
            yield Check("lsuv: std of a layer's products, farthest from 1", far <= 1e-3, far, 1e-3)
        if stack.init == "fixup":
            far = abs(stack.factor - 1)
            yield Check("fixup: change of the signal through the stack", far == 0, far, 0.0)


def fixup_findings(stacks: Sequence[Stack]) -> list[str]:
    *_, last = stacks
    if last.init != FACTOR_ONLY:
        return []
    return [
        "fixup's 1 is no feat: the last weight of each of its branches is 0, so every branch adds 0 at the start. "
        "What its factor is there for, comes with training.",
        f"Without those zeros its factor, {len(last.layers):,}^(-1/2) on the other weight, keeps the signal within "
        f"sqrt(e) = {math.sqrt(math.e):.3f} at any depth: here it comes out {last.factor:.3f} times as large.",
    ]
