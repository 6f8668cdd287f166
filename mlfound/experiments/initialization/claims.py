"""The lesson's claims, one by one: what was measured, what theory says, and whether it holds."""

import math
import statistics
from collections.abc import Iterator
from typing import NamedTuple

import torch

from mlfound.experiments.initialization.found import Found
from mlfound.experiments.initialization.layer import KEPT, label
from mlfound.experiments.initialization.lesson import PRODUCTS, narrowing
from mlfound.foundations.activations import Floor, Subtract
from mlfound.stats.estimates import Estimate

NEAR = 0.2  # of what it was: a mean that is left is near 0


class Claim(NamedTuple):
    """One line of the verdict table."""

    claim: str
    figure: str  # what was measured
    measured: float
    half: float | None  # of its 95% interval
    theory: float | None
    lesson: str
    holds: bool


def claims(found: Found) -> list[Claim]:
    """Those that what was looked at can answer."""
    parts = (one_layer, shifting, small_stacks, convolutions, residual)
    return [claim for part in parts for claim in part(found)]


def kept(factor: float) -> bool:
    return 1 / KEPT <= factor <= KEPT


def one_layer(found: Found) -> Iterator[Claim]:
    """The right size of a weight, and torch's."""
    n = found.shape[0] * found.shape[1]
    if layer := found.layer("xavier", "linear"):
        std, theory = layer.std, layer.theory
        yield Claim(
            f"randn / sqrt({n}) keeps the std near 1",
            "std",
            std.value,
            std.half,
            theory and theory[1],
            "1.0006",
            kept(std.value),
        )
    if layer := found.layer("xavier", "relu"):
        yield of_factor(
            "... and a ReLU takes half of the square",
            layer.factor,
            math.sqrt(0.5),
            "0.704",
            kept(layer.factor.value / math.sqrt(0.5)),
        )
    if layer := found.layer("kaiming", "relu"):
        w = layer.w_std
        yield Claim(
            f"randn * sqrt(2/{n}) has std {layer.w_theory:.4f}",
            "std of w",
            w.value,
            w.half,
            layer.w_theory,
            "0.0506",
            math.isclose(w.value, layer.w_theory or 0, rel_tol=0.01),
        )
        yield of_factor(
            f"sqrt(2/{n}) makes up for the ReLU", layer.factor, 1.0, "1.047", kept(layer.factor.value)
        )
    if layer := found.layer("torch-default", "relu"):
        factor = layer.factor
        yield of_factor(
            "the library's default, a = sqrt(5), shrinks the signal",
            factor,
            1 / math.sqrt(6),
            "",
            factor.value < 1 / KEPT,
        )


def of_factor(claim: str, factor: Estimate, theory: float, lesson: str, holds: bool) -> Claim:
    return Claim(claim, "signal out / in", factor.value, factor.half, theory, lesson, holds)


def shifting(found: Found) -> Iterator[Claim]:
    """What a shift does, on the same products: the draws are compared one with one."""
    relu = found.layer(found.drawn, "relu")
    shifted = found.layers[found.drawn][-1] if found.layers else None
    if relu is None or shifted is None or not isinstance(shifted.activation, Subtract | Floor):
        return
    what = (
        f"ReLU - {found.shift:g}" if isinstance(shifted.activation, Subtract) else label(shifted.activation)
    )
    was, now = relu.mean.value, shifted.mean
    yield Claim(
        f"{what} brings the mean back near 0",
        f"mean (was {was:.4f})",
        now.value,
        now.half,
        shifted.theory and shifted.theory[0],
        "-0.061 to 0.159",
        abs(now.value) < NEAR * was,
    )
    change = Estimate.mean((shifted.stds - relu.stds).round(decimals=6))  # float32 knows no more digits
    wanted = shifted.theory[1] - relu.theory[1] if shifted.theory and relu.theory else None
    yield Claim(
        "... and lowers the variance",
        "change of the std",
        change.value,
        change.half,
        wanted,
        "",
        change.value < -0.001 * relu.std.value,
    )


def small_stacks(found: Found) -> Iterator[Claim]:
    """What fan_in and fan_out keep, and a hundred products."""
    widths = " ".join(map(str, narrowing(found.shape[0] * found.shape[1], found.config.hidden)))
    for name, funnel in found.funnels.items():
        fan = "fan_out" if name == "kaiming-fan-out" else "fan_in"
        ways = [
            (f"{fan} keeps the signal forward ({widths})", funnel.forward, funnel.forward_theory),
            (f"{fan} keeps the gradient backward", funnel.backward, funnel.backward_theory),
        ]
        for claim, factor, theory in ways:
            yield of_factor(claim, factor, theory, "", kept(factor.value))
    if not found.products:
        return
    names = {
        "normal": "randn(512, 512) overflow",
        "small": "0.01 randn vanish",
        "xavier": "randn / sqrt(512) last",
    }
    for init, claim in names.items():
        ends = [end for end in found.products[init].ends if end]
        stds = found.products[init].stds
        if init == "xavier":
            yield Claim(
                f"{PRODUCTS} products by {claim}",
                "std after all, median",
                stds.median().item(),
                None,
                None,
                "near 1",
                not ends and bool(((stds > 0.01) & (stds < 100)).all()),
            )
        else:
            yield Claim(
                f"{PRODUCTS} products by {claim}",
                "after product, median",
                statistics.median(ends or [math.nan]),
                None,
                end_in_theory(init),
                "28" if init == "normal" else "0 at the end",
                len(ends) == len(stds),
            )


def end_in_theory(init: str) -> float:
    """The product after which numbers of 512^(n/2) scale^n pass float32's largest or its smallest."""
    scale = math.sqrt(512) * (1.0 if init == "normal" else 0.01)
    return math.log(2.0**128 if init == "normal" else 2.0**-149) / math.log(scale)


def convolutions(found: Found) -> Iterator[Claim]:
    """Four of them, by default and with a = 0."""
    last = {name: each.four[:, -1].median().item() for name, each in found.convolutions.items()}
    if "torch-default" in last and "kaiming" in last:
        yield Claim(
            "four convolutions all but lose the signal by default",
            "std, median",
            last["torch-default"],
            None,
            None,
            "0.0089",
            last["torch-default"] < 0.1,
        )
        yield Claim(
            "... and keep it with a = 0",
            "std, median",
            last["kaiming"],
            None,
            None,
            "0.285",
            last["kaiming"] > 0.1,
        )


def residual(found: Found) -> Iterator[Claim]:
    """Fixup beside kaiming, as deep as was asked for."""
    if not found.config.residual:
        return
    for stack in found.stacks:
        layers = stack.each * len(stack.std)
        yield Claim(
            f"{stack.init} carries the signal through {layers:,} layers",
            "signal out / in",
            stack.factor,
            None,
            None if stack.theory is None else (torch.tensor(stack.theory).double() ** layers).item(),
            "10,000 layers" if stack.init == "fixup" else "",
            0.5 <= stack.factor <= 2,
        )
