"""The parts `stacks` and `residual`: one draw of every scheme through a deep stack, forward and backward."""

import math
from collections.abc import Iterator, Mapping, Sequence

import torch

from mlfound import hardware
from mlfound.config.models import InitStatsConfig
from mlfound.experiments.initialization.activations import chosen_activations
from mlfound.experiments.initialization.claims import FACTOR, Claim, claim_table, finite_metrics, verdict
from mlfound.experiments.initialization.depth import (
    FACTOR_ONLY,
    MAX_LOG10,
    Stack,
    plain_stack,
    residual_stack,
)
from mlfound.foundations.randomness import generator
from mlfound.results import Check, Column, Context, Picture, Result, Table
from mlfound.training.inputs import Inputs

SCHEMES = ("normal", "small", "xavier", "kaiming", "kaiming-fan-out", "torch-default", "orthogonal", "lsuv")
RESIDUAL_SCHEMES = ("xavier", "kaiming", "fixup")
STORY_DEPTH = 50  # deep enough for torch's default to vanish
STACK_ROWS = 256  # real rows are alike: more of them hardly say more
LASTING_FACTOR = 10.0  # a factor up to this, through the whole stack, lasts
HEAT_PANELS = 8
LAYER_COLUMNS = [Column(name) for name in ("init", "layer", "mean", "std", "dead_share", "gradient_std")]


def run(config: InitStatsConfig, inputs: Inputs, schemes: Sequence[str], context: Context) -> Result:
    """Plain stacks or residual ones; beside fixup also its factor without its zeros."""
    x = inputs.splits.valid.x[: config.rows or STACK_ROWS]
    activation = chosen_activations(config, config.relu_shift)[-1]
    build, depth = residual_stack if config.residual else plain_stack, config.depth or STORY_DEPTH
    names = [*schemes, FACTOR_ONLY] if "fixup" in schemes else schemes
    stacks = []
    for n, name in enumerate(names):
        context.recorder.progress("stacks", n, len(names), scheme=name)
        random = generator(config.seed, f"init-stats stack {name}")
        stacks.append(build(x, name, activation, depth, config.width, random))
    layers = [layer for stack in stacks for layer in stack.layers]
    every_layer = Table.of("layers", "Layer by layer", LAYER_COLUMNS, layers, shown=False)
    claims = residual_claims(stacks) if config.residual else []
    return Result(
        metrics=finite_metrics({f"{stack.init} {FACTOR}": stack.factor for stack in stacks}),
        checks=checks(stacks),
        findings=fixup_findings({stack.init: stack for stack in stacks}),
        tables=[stack_table(stacks, config), every_layer, claim_table(claims)],
        pictures=[signal_picture(stacks, config.width), heat_picture(stacks)],
    )


def refuse_too_large(config: InitStatsConfig, inputs: Inputs, schemes: Sequence[str]) -> None:
    """What a stack holds at once, float32: weights, signal and gradient."""
    rows, features = inputs.splits.valid.x[: config.rows or STACK_ROWS].shape
    width, depth = config.width, config.depth or STORY_DEPTH
    each = 2 * width**2 + rows * width // 2 if config.residual else 3 * width**2 + 2 * rows * width
    numbers = features * width + 4 * rows * width + depth * each
    key = "depth" if depth > width else "width"
    hardware.require_memory(4 * numbers, key, f"a stack of {depth:,} layers of {width:,} units")


def stack_table(stacks: Sequence[Stack], config: InitStatsConfig) -> Table:
    """A line a scheme."""
    columns = (
        Column("init"),
        Column("forward_per_layer", "signal × a layer", ".4g", "forward_factor"),
        Column("backward_per_layer", "gradient × a layer", ".4g", "backward_factor"),
        Column("forward_theory", "theory", ".4g", "theory"),
        Column("std", "std at the end", ".2g", lambda stack: finite(stack.end.std)),
        Column("dead_share", "dead units", ".0%", lambda stack: finite(stack.end.dead_share)),
        Column("forward", "the signal", of=forward_verdict),
        Column("gradient_std", "gradient at the start", ".2g", lambda stack: stack.layers[0].gradient_std),
        Column("backward", "the gradient", of=backward_verdict),
    )
    kind = "layers in residual blocks of two" if config.residual else "layers"
    title = (
        f"A stack of {stacks[0].end.layer:,} {kind}, {config.width} units, one draw of each scheme "
        "(vanished: below 6e-8 of the start, which float32 cannot add to it)"
    )
    return Table.of("stacks", title, columns, stacks)


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def forward_verdict(stack: Stack) -> str:
    if stack.overflowed:
        return f"overflows at layer {stack.overflowed}"
    if stack.vanished:
        return f"vanishes at layer {stack.vanished}"
    return lasting_verdict(stack.factor)


def backward_verdict(stack: Stack) -> str:
    """Of the gradient, on its way from the last layer to the first."""
    if not stack.gradients:
        return "none: the signal overflowed"
    if lost := stack.gradient_lost:
        layer, how = lost
        return f"{how} at layer {layer}"
    return lasting_verdict(stack.gradients[0])


def lasting_verdict(factor: float) -> str:
    return "lasts" if 1 / LASTING_FACTOR <= factor <= LASTING_FACTOR else verdict(factor)


def signal_picture(stacks: Sequence[Stack], width: int) -> Picture:
    """The std after every layer, and of the gradient, a line a scheme."""
    data = {
        "title": f"The signal through {stacks[0].end.layer:,} layers of {width} units",
        "layer": [layer.layer for layer in stacks[0].layers],
        "forward": {stack.init: [layer.std for layer in stack.layers] for stack in stacks},
        "backward": {stack.init: stack.gradients for stack in stacks if stack.gradients},
    }
    return Picture("signal", "signal_by_layer", data)


def heat_picture(stacks: Sequence[Stack]) -> Picture:
    """A panel a scheme: where the sizes of the activations lie, layer by layer."""
    panels = stacks[:HEAT_PANELS]
    data = {
        "title": "How large the activations are, layer by layer",
        "names": [stack.init for stack in panels],
        "counts": [torch.stack([layer.counts for layer in stack.layers], 1).tolist() for stack in panels],
        "largest": MAX_LOG10,
        "layers": stacks[0].end.layer,
    }
    return Picture("heat", "size_histograms", data)


def residual_claims(stacks: Sequence[Stack]) -> Iterator[Claim]:
    """Fixup beside kaiming, as deep as was asked for."""
    for stack in stacks:
        factor, depth = stack.factor, stack.end.layer
        text = f"{stack.init} carries the signal through {depth:,} layers"
        lesson = "10,000 layers" if stack.init == "fixup" else ""
        theory = None if stack.theory is None else (torch.tensor(stack.theory).double() ** depth).item()
        yield Claim(text, FACTOR, factor, theory, 0.5 <= factor <= 2, lesson)


def checks(stacks: Sequence[Stack]) -> list[Check]:
    """What holds exactly, whatever was drawn: lsuv's unit variance on its own rows, and fixup's zeros."""
    checks = []
    for stack in stacks:
        if stack.init == "lsuv":
            far = max(abs(layer.product_std - 1) for layer in stack.layers)
            checks.append(Check("lsuv: std of a layer's products, farthest from 1", far <= 1e-3, far, 1e-3))
        if stack.init == "fixup":
            far = abs(stack.factor - 1)
            checks.append(Check("fixup: change of the signal through the stack", far == 0, far, 0.0))
    return checks


def fixup_findings(by_init: Mapping[str, Stack]) -> list[str]:
    """What fixup's exact 1 means."""
    if FACTOR_ONLY not in by_init:
        return []
    factor = by_init[FACTOR_ONLY]
    return [
        "fixup's 1 is no feat: the last weight of each of its branches is 0, so every branch adds 0 at the start. "
        "What its factor is there for, comes with training.",
        f"Without those zeros its factor, {len(factor.layers):,}^(-1/2) on the other weight, keeps the signal within "
        f"sqrt(e) = {math.sqrt(math.e):.3f} at any depth: here it comes out {factor.factor:.3f} times as large.",
    ]
