"""The tables of init-stats for what is deep: stacks, a line a scheme, and convolutions."""

import math

from mlfound.experiments.initialization import convolution
from mlfound.experiments.initialization.depth import Stack
from mlfound.experiments.initialization.found import Found
from mlfound.experiments.initialization.layer import verdict
from mlfound.results import Column, Table

LASTS = 10.0  # a factor up to this, through the whole stack


def stack_tables(found: Found) -> list[Table]:
    """A line a scheme; and all layers."""
    if not found.stacks:
        return []
    columns = (
        Column("init"),
        Column("forward_per_layer", "signal × a layer", ".4g"),
        Column("backward_per_layer", "gradient × a layer", ".4g"),
        Column("forward_theory", "theory", ".4g"),
        Column("std", "std at the end", ".2g"),
        Column("dead_share", "dead units", ".0%"),
        Column("forward", "the signal"),
        Column("gradient_std", "gradient at the start", ".2g"),
        Column("backward", "the gradient"),
    )
    rows = [
        (
            s.init, s.forward_factor, s.backward_factor, s.theory, finite(s.std[-1]), finite(s.dead[-1]),
            forward_verdict(s), s.gradient[0] if s.gradient else None, backward_verdict(s),
        )
        for s in found.stacks
    ]  # fmt: skip
    config, first = found.config, found.stacks[0]
    kind = "layers in residual blocks of two" if config.residual else "layers"
    title = (
        f"A stack of {len(first.std) * first.each:,} {kind}, {config.width} units, one draw of each scheme "
        "(vanished: below 6e-8 of the start, which float32 cannot add to it)"
    )
    layers = [
        (
            s.init,
            n * s.each,
            s.mean[n - 1],
            s.std[n - 1],
            s.dead[n - 1],
            s.gradient[n - 1] if s.gradient else None,
        )
        for s in found.stacks
        for n in range(1, len(s.std) + 1)
    ]
    names = ("init", "layer", "mean", "std", "dead_share", "gradient_std")
    every = Table("layers", "Layer by layer", [Column(name) for name in names], layers, shown=False)
    return [Table("stacks", title, columns, rows), every]


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def forward_verdict(stack: Stack) -> str:
    if stack.overflowed:
        return f"overflows at layer {stack.overflowed}"
    if stack.vanished:
        return f"vanishes at layer {stack.vanished}"
    return "lasts" if 1 / LASTS <= stack.factor <= LASTS else verdict(stack.factor)


def backward_verdict(stack: Stack) -> str:
    """Of the gradient, on its way from the last layer to the first."""
    if not stack.gradient:
        return "none: the signal overflowed"
    if lost := stack.gradient_lost:
        layer, how = lost
        return f"{how} at layer {layer}"
    size = stack.gradient[0]
    return "lasts" if 1 / LASTS <= size <= LASTS else verdict(size)


def convolution_table(found: Found) -> list[Table]:
    """One 5 x 5 convolution, and four."""
    if not found.convolutions:
        return []
    columns = [
        Column("init"),
        Column("mean", "one layer: mean", ".4f"),
        Column("mean_half_width", "±", ".4f"),
        Column("mean_theory", "theory", ".4f"),
        Column("std", format=".4f"),
        Column("std_half_width", "±", ".4f"),
        Column("std_theory", "theory", ".4f"),
        Column("lesson_std", "lesson", ".2f"),
        *(
            Column(f"std_{n}", f"four layers: std after {n}" if n == 1 else str(n), ".3g")
            for n in range(1, 5)
        ),
        Column("low", "from", ".3g"),
        Column("high", "to", ".3g"),
        Column("lesson_four", "lesson", ".3g"),
    ]
    rows = []
    for name, each in found.convolutions.items():
        one, four = convolution.LESSON.get(name, (None, None))
        last = each.four[:, -1]
        rows.append(
            (
                name, each.mean.value, each.mean.half, each.theory[0], each.std.value, each.std.half, each.theory[1],
                one, *each.four.median(0).values.tolist(), last.min().item(), last.max().item(), four,
            )
        )  # fmt: skip
    draws = next(iter(found.convolutions.values())).mean.draws
    rows_used = found.config.rows or convolution.IMAGES
    title = (
        f"Convolutions of {rows_used} images, {draws} draws: 5 x 5 with 32 filters, then the notebook's four "
        "(medians; from, to: the last one's range)"
    )
    return [Table("convolutions", title, columns, rows)]
