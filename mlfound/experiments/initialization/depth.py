"""Deep stacks, layer by layer, forward and backward: one draw of every scheme."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mlfound.experiments.initialization.activations import leak
from mlfound.foundations import stacks
from mlfound.foundations.activations import Activation
from mlfound.foundations.initialization import INITIALIZATIONS, Shape

VANISHED_SHARE = 2.0**-24  # of the signal at the start: added to it in float32, this changes nothing
MAX_LOG10, HISTOGRAM_BINS = 8.0, 64  # from 10^-8 to 10^8, a quarter of a decade a bin
HISTOGRAM_ROWS = 100
FACTOR_ONLY = "fixup, factor only"


@dataclass(frozen=True)
class DeepLayer:
    """The signal after a layer, or after a block of two; nan from where it was not finite."""

    init: str
    layer: int  # from 1
    mean: float
    std: float
    dead_share: float
    product_std: float  # before the activation
    counts: Tensor  # (HISTOGRAM_BINS,): how often log10 |x| fell into each bin
    gradient_std: (
        float | None
    )  # of the loss's gradient at its input, for one of N(0, 1) at the stack's output

    @property
    def size(self) -> float:
        """The root mean square."""
        return math.hypot(self.mean, self.std)


@dataclass(frozen=True)
class Stack:
    """One scheme's signal and gradient; no gradient if nothing finite came out."""

    init: str
    start: float  # the root mean square of what went in
    layers: Sequence[DeepLayer]
    theory: float | None  # by how much a layer multiplies the root mean square, one way and the other

    @property
    def end(self) -> DeepLayer:
        return self.layers[-1]

    @property
    def factor(self) -> float:
        """Of the root mean square, from what went in to what came out."""
        return self.end.size / self.start if math.isfinite(self.end.size) else math.inf

    @property
    def gradients(self) -> list[float]:
        return [layer.gradient_std for layer in self.layers if layer.gradient_std is not None]

    @property
    def overflowed(self) -> int | None:
        """The layer after which the signal was no longer finite."""
        return next((layer.layer for layer in self.layers if not math.isfinite(layer.std)), None)

    @property
    def vanished(self) -> int | None:
        """The layer after which it was below VANISHED_SHARE of the start."""
        least = VANISHED_SHARE * self.start
        return next((layer.layer for layer in self.layers if layer.std < least), None)

    @property
    def gradient_lost(self) -> tuple[int, str] | None:
        """The layer, on the way from the output, at whose input the gradient was lost, and how."""
        for layer in reversed(self.layers):
            std = layer.gradient_std
            if std is not None and not VANISHED_SHARE <= std < math.inf:
                return layer.layer, "vanishes" if std < VANISHED_SHARE else "overflows"
        return None

    @property
    def forward_factor(self) -> float | None:
        """How many times larger a layer makes the root mean square, of those after the first, while it is finite."""
        return self.factor_per_layer([layer.size for layer in self.layers])

    @property
    def backward_factor(self) -> float | None:
        """The same of the gradient, but for that of the images, which have another width."""
        return self.factor_per_layer(self.gradients[:0:-1])

    def factor_per_layer(self, sizes: Sequence[float]) -> float | None:
        """The geometric mean of the steps; None where there is no step between ordinary numbers."""
        ordinary = [size for size in sizes if 1e-37 < size < 1e37]
        steps = (len(ordinary) - 1) * self.layers[0].layer
        return math.pow(ordinary[-1] / ordinary[0], 1 / steps) if steps > 0 else None


def plain_stack(
    x: Tensor, init: str, activation: Activation, depth: int, width: int, generator: Generator
) -> Stack:
    """x through `depth` layers of `width` units, and a gradient of N(0, 1) back."""
    shapes = [(x.shape[1], width), *[(width, width)] * (depth - 1)]
    weights = draw_weights("orthogonal" if init == "lsuv" else init, shapes, generator)
    if init == "lsuv":
        weights = list(stacks.lsuv(x, weights, activation))
    outputs = list(stacks.plain(x, weights, activation))
    dout = torch.randn(len(x), width, generator=generator)
    gradients = stacks.plain_gradients(dout, weights, [z for z, _ in outputs], activation)
    layers = measure_layers(init, outputs, gradients, activation)
    return Stack(init, math.hypot(*moments(x)), layers, plain_theory(init, activation, width))


def draw_weights(init: str, shapes: Sequence[Shape], generator: Generator) -> list[Tensor]:
    """The first weight, and those after it, which are of one shape, at once: `orthogonal` wants it."""
    first, *others = shapes
    scheme = INITIALIZATIONS[init]
    return [scheme(first, generator), *(scheme(others[0], generator, len(others)) if others else ())]


def residual_stack(
    x: Tensor, init: str, activation: Activation, depth: int, width: int, generator: Generator
) -> Stack:
    """The same in blocks of two layers, x + branch(x). A linear layer, by `xavier`, brings x to the width first."""
    x = x @ INITIALIZATIONS["xavier"]((x.shape[1], width), generator)
    blocks = depth // 2
    scheme = INITIALIZATIONS["kaiming" if init in ("fixup", FACTOR_ONLY) else init]
    branches: list[list[Tensor]] = [list(scheme((width, width), generator, 2)) for _ in range(blocks)]
    if scheme is not INITIALIZATIONS.get(init):
        branches = [stacks.fixup(branch, blocks, zero_last=init == "fixup") for branch in branches]
    xs = [x, *stacks.residual(x, branches, activation)]
    dout = torch.randn(len(x), width, generator=generator)
    gradients = stacks.residual_gradients(dout, branches, xs[:-1], activation)
    layers = measure_layers(init, [(out, out) for out in xs[1:]], gradients, activation, each=2)
    return Stack(init, math.hypot(*moments(x)), layers, residual_theory(init, activation, blocks, width))


def measure_layers(
    init: str,
    outputs: Sequence[tuple[Tensor, Tensor]],
    gradients: Iterable[Tensor],
    activation: Activation,
    each: int = 1,
) -> list[DeepLayer]:
    """What each layer (`each` = 1) or block of two was given and gave; the gradients come from the end."""
    _, end = outputs[-1]
    is_finite = math.isfinite(moments(end)[1])
    stds = [moments(dx)[1] for dx in gradients][::-1] if is_finite else [None] * len(outputs)
    return [
        DeepLayer(init, n * each, *signal_figures(x, z, activation), std)
        for n, ((z, x), std) in enumerate(zip(outputs, stds, strict=True), 1)
    ]


def signal_figures(x: Tensor, z: Tensor, activation: Activation) -> tuple[float, float, float, float, Tensor]:
    """Mean, std, share of dead units, std of z and histogram of a layer; z is what its activation is given."""
    mean, std = moments(x)
    if not math.isfinite(std):
        return math.nan, math.nan, math.nan, math.nan, torch.zeros(HISTOGRAM_BINS)
    largest = z.amax(0)  # every activation lets through what is above some number: a unit lives if this is
    dead = (activation.gradient(torch.ones_like(largest), largest) == 0).float().mean().item()
    sizes = x[:HISTOGRAM_ROWS].abs().log10()  # zeros are -inf, outside of every bin
    return mean, std, dead, moments(z)[1], torch.histc(sizes, HISTOGRAM_BINS, -MAX_LOG10, MAX_LOG10)


def moments(x: Tensor) -> tuple[float, float]:
    """Mean and std of all numbers, in float64, where no square of a float32 overflows; much faster than x.std()."""
    mean = x.sum(dtype=torch.float64).item() / x.numel()
    square = torch.linalg.vector_norm(x, dtype=torch.float64).item() ** 2 / x.numel()
    return mean, math.sqrt(max(square - mean**2, 0.0)) if math.isfinite(square) else math.nan


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
    share = 1 / blocks if init == FACTOR_ONLY else 1.0
    return None if factor is None else math.pow(1 + share * factor**4, 0.25)
