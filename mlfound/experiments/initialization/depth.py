"""Deep stacks, layer by layer, forward and backward: one draw of every scheme."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Generator, Tensor

from mlfound.experiments.initialization.layer import leak
from mlfound.foundations.activations import Activation
from mlfound.foundations.initialization import INITIALIZATIONS, Shape
from mlfound.foundations.stacks import (
    fixup,
    lsuv,
    plain,
    plain_gradients,
    residual,
    residual_gradients,
)

GONE = 2.0**-24  # of the signal at the start: added to it in float32, this changes nothing
LARGEST, BINS = 8.0, 64  # the histograms reach from 10^-8 to 10^8, a quarter of a decade a bin
HISTOGRAM_ROWS = 100
FACTOR_ONLY = "fixup, factor only"


@dataclass(frozen=True)
class Stack:
    """One scheme's signal after each layer: `mean`, `std`, `dead` share; nan from where it was not finite.

    `gradient` is the std of the loss's gradient at each layer's input, for one of N(0, 1) at the output; empty if
    nothing finite came out there. `counts` (layers, BINS) is how often log10 |x| fell into each bin.
    """

    init: str
    start: float  # the root mean square of what went in
    mean: list[float]
    std: list[float]
    dead: list[float]
    products: list[float]  # the std before the activation
    gradient: list[float]
    counts: Tensor
    each: int = 1  # layers between two entries: 2 of a residual block
    theory: float | None = None  # by how much a layer multiplies the root mean square, one way and the other

    @property
    def factor(self) -> float:
        """How many times larger the signal comes out than it went in, as a root mean square."""
        out = math.hypot(self.mean[-1], self.std[-1])
        return out / self.start if math.isfinite(out) else math.inf

    @property
    def overflowed(self) -> int | None:
        """The layer after which the signal was no longer finite."""
        return next((n * self.each for n, s in enumerate(self.std, 1) if not math.isfinite(s)), None)

    @property
    def vanished(self) -> int | None:
        """The layer after which it was below GONE of the start."""
        return next((n * self.each for n, s in enumerate(self.std, 1) if s < GONE * self.start), None)

    @property
    def gradient_lost(self) -> tuple[int, str] | None:
        """The layer, counted from the output, at whose input the gradient was lost, and how."""
        for n, std in reversed(list(enumerate(self.gradient, 1))):
            if not math.isfinite(std) or std < GONE:
                return n * self.each, "vanishes" if std < GONE else "overflows"
        return None

    @property
    def forward_factor(self) -> float | None:
        """How many times larger a layer makes the root mean square, of those after the first, while it is finite."""
        return per_layer([math.hypot(m, s) for m, s in zip(self.mean, self.std, strict=True)], self.each)

    @property
    def backward_factor(self) -> float | None:
        return per_layer(self.gradient[:0:-1], self.each)  # not that of the images, which have another width


def per_layer(sizes: Sequence[float], each: int) -> float | None:
    """The geometric mean of the steps; None where there is no step between ordinary numbers."""
    ordinary = [size for size in sizes if 1e-37 < size < 1e37]
    if len(ordinary) < 2:
        return None
    return cast("float", (ordinary[-1] / ordinary[0]) ** (1 / ((len(ordinary) - 1) * each)))


def plain_stack(
    x: Tensor, init: str, activation: Activation, depth: int, width: int, draws: Generator
) -> Stack:
    """x through `depth` layers of `width` units, and a gradient of N(0, 1) back."""
    shapes = [(x.shape[1], width), *[(width, width)] * (depth - 1)]
    if init == "lsuv":
        weights = list(lsuv(x, drawn("orthogonal", shapes, draws), activation))
    else:
        weights = drawn(init, shapes, draws)
    layers = list(plain(x, weights, activation))
    dout = torch.randn(len(x), width, generator=draws)
    backward = plain_gradients(dout, weights, [z for z, _ in layers], activation)
    figures = [layer_figures(out, z, activation) for z, out in layers]
    return stack(init, x, figures, backward, plain_theory(init, activation, width))


def drawn(init: str, shapes: Sequence[Shape], draws: Generator) -> list[Tensor]:
    """The first weight, and those after it, which are of one shape, at once: `orthogonal` wants it."""
    first, *others = shapes
    scheme = INITIALIZATIONS[init]
    return [scheme(first, draws), *(scheme(others[0], draws, len(others)) if others else ())]


def residual_stack(
    x: Tensor, init: str, activation: Activation, depth: int, width: int, draws: Generator
) -> Stack:
    """The same in blocks of two layers, x + branch(x). A linear layer, by `xavier`, brings x to the width first."""
    x = x @ INITIALIZATIONS["xavier"]((x.shape[1], width), draws)
    blocks = depth // 2
    scheme = INITIALIZATIONS["kaiming" if init in ("fixup", FACTOR_ONLY) else init]
    branches: list[list[Tensor]] = [list(scheme((width, width), draws, 2)) for _ in range(blocks)]
    if scheme is not INITIALIZATIONS.get(init):
        branches = [fixup(branch, blocks, zero_last=init == "fixup") for branch in branches]
    xs = [x, *residual(x, branches, activation)]
    dout = torch.randn(len(x), width, generator=draws)
    backward = residual_gradients(dout, branches, xs[:-1], activation)
    figures = [layer_figures(out, out, activation) for out in xs[1:]]
    factor = residual_theory(init, activation, blocks, width)
    return stack(init, x, figures, backward, factor, each=2)


Figures = tuple[float, float, float, float, Tensor]


def layer_figures(x: Tensor, z: Tensor, activation: Activation) -> Figures:
    """Mean, std, share of dead units, std of z and histogram of a layer; z is what its activation is given."""
    mean, std = moments(x)
    if not math.isfinite(std):
        return math.nan, math.nan, math.nan, math.nan, torch.zeros(BINS)
    largest = z.amax(0)  # every activation lets through what is above some number: a unit lives if this is
    dead = (activation.gradient(torch.ones_like(largest), largest) == 0).float().mean().item()
    sizes = x[:HISTOGRAM_ROWS].abs().log10()  # zeros are -inf, outside of every bin
    return mean, std, dead, moments(z)[1], torch.histc(sizes, BINS, -LARGEST, LARGEST)


def moments(x: Tensor) -> tuple[float, float]:
    """Mean and std of all numbers, in float64, where no square of a float32 overflows; much faster than x.std()."""
    mean = x.sum(dtype=torch.float64).item() / x.numel()
    square = torch.linalg.vector_norm(x, dtype=torch.float64).item() ** 2 / x.numel()
    return mean, math.sqrt(max(square - mean**2, 0.0)) if math.isfinite(square) else math.nan


def stack(
    init: str,
    x: Tensor,
    figures: Sequence[Figures],
    backward: Iterable[Tensor],
    theory: float | None,
    each: int = 1,
) -> Stack:
    """The figures of a stack whose input is x, and of the way back, if anything finite came out."""
    mean, std, dead, products, counts = map(list, zip(*figures, strict=True))
    finite = math.isfinite(std[-1])
    gradient = [moments(dx)[1] for dx in backward][::-1] if finite else []
    return Stack(
        init,
        math.hypot(*moments(x)),
        mean,
        std,
        dead,
        products,
        gradient,
        torch.stack(counts),
        each,
        theory,
    )


def plain_theory(init: str, activation: Activation, width: int) -> float | None:
    """By how much a layer multiplies the root mean square, forward and backward; None where no constant does.

    A leak of `a` keeps (1 + a^2) / 2 of a symmetric number's mean square, and the product multiplies that by the
    weights' variance and the fan, which is the width both ways. `lsuv` sees to it.
    """
    a = leak(activation)
    if a is None or init == "lsuv":
        return None if a is None else 1.0
    return INITIALIZATIONS[init].std((width, width)) * math.sqrt(width * (1 + a**2) / 2)


def residual_theory(init: str, activation: Activation, blocks: int, width: int) -> float | None:
    """The same for a layer of a residual stack: a branch adds the square of a plain layer's factor, squared."""
    if init == "fixup":
        return 1.0
    factor = plain_theory("kaiming" if init == FACTOR_ONLY else init, activation, width)
    if factor is None:
        return None
    share = 1 / blocks if init == FACTOR_ONLY else 1.0
    return cast("float", (1 + share * factor**4) ** 0.25)
