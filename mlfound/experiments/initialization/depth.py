"""Deep stacks, layer by layer, forward and backward: one draw of each scheme."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mlfound.experiments.initialization.activations import leak
from mlfound.foundations import stacks
from mlfound.foundations.activations import Activation
from mlfound.foundations.initialization import INITIALIZATIONS
from mlfound.foundations.telemetry import moments

VANISHED_SHARE = 2.0**-24  # of the signal at the start: added to it in float32, this changes nothing
MAX_LOG10, HISTOGRAM_BINS = 8.0, 64  # from 10^-8 to 10^8, a quarter of a decade a bin
HISTOGRAM_ROWS = 100
FACTOR_ONLY = "fixup, factor only"

Pairs = Sequence[tuple[Tensor, Tensor]]  # each layer's pre-activation and output
Lost = tuple[int, str] | None  # the layer where it was lost, and how


@dataclass(frozen=True)
class DeepLayer:
    """The signal after a layer, or after a block of two; nan where it is not finite."""

    init: str
    layer: int  # from 1
    mean: float
    std: float
    dead_share: float
    product_std: float  # before the activation
    counts: Tensor  # (HISTOGRAM_BINS,): how often log10 |x| fell into each bin
    gradient_std: float | None  # at its input, where the gradient at the stack's output is N(0, 1)

    @property
    def size(self) -> float:
        """The root mean square."""
        return math.hypot(self.mean, self.std)


@dataclass(frozen=True)
class Stack:
    """One scheme's signal and gradient; no gradient if nothing finite came out."""

    init: str
    start: float  # the root mean square of the input
    layers: Sequence[DeepLayer]
    theory: float | None  # the factor by which a layer multiplies the root mean square, forward and backward

    @property
    def end(self) -> DeepLayer:
        return self.layers[-1]

    @property
    def factor(self) -> float:
        """The root mean square of the output over that of the input."""
        return self.end.size / self.start if math.isfinite(self.end.size) else math.inf

    @property
    def gradients(self) -> list[float]:
        return [layer.gradient_std for layer in self.layers if layer.gradient_std is not None]

    @property
    def signal_lost(self) -> Lost:
        return first_lost(((layer.layer, layer.std) for layer in self.layers), self.start)

    @property
    def gradient_lost(self) -> Lost:
        """On its way from the output, at the input of that layer."""
        backward = [(layer.layer, layer.gradient_std) for layer in reversed(self.layers)]
        return first_lost([(layer, std) for layer, std in backward if std is not None], 1.0)

    @property
    def forward_factor(self) -> float | None:
        """The measured factor of a layer after the first, while the signal is finite."""
        return self.factor_per_layer([layer.size for layer in self.layers])

    @property
    def backward_factor(self) -> float | None:
        """The same of the gradient, without that of the images, which have another width."""
        return self.factor_per_layer(self.gradients[:0:-1])

    def factor_per_layer(self, sizes: Sequence[float]) -> float | None:
        """The geometric mean of the steps between normal numbers; None where there is none."""
        normal = [size for size in sizes if 1e-37 < size < 1e37]
        steps = (len(normal) - 1) * self.layers[0].layer
        return math.pow(normal[-1] / normal[0], 1 / steps) if steps > 0 else None


def first_lost(stds: Iterable[tuple[int, float]], start: float) -> Lost:
    """Where a std first is below VANISHED_SHARE of the start, or not finite."""
    for layer, std in stds:
        if std < VANISHED_SHARE * start:
            return layer, "vanishes"
        if not math.isfinite(std):
            return layer, "overflows"
    return None


def plain_stack(
    x: Tensor, init: str, activation: Activation, depth: int, width: int, generator: Generator
) -> Stack:
    """x through `depth` layers of `width` units, and a gradient of N(0, 1) back."""
    scheme = INITIALIZATIONS["orthogonal" if init == "lsuv" else init]
    weights = [scheme((x.shape[1], width), generator), *scheme((width, width), generator, depth - 1)]
    if init == "lsuv":
        weights = list(stacks.lsuv(x, weights, activation))
    outputs = list(stacks.plain(x, weights, activation))
    dout = torch.randn(len(x), width, generator=generator)
    gradients = stacks.plain_gradients(dout, weights, [z for z, _ in outputs], activation)
    layers = measure_layers(init, outputs, gradients, activation)
    return Stack(init, math.hypot(*moments(x)), layers, plain_theory(init, activation, width))


def residual_stack(
    x: Tensor, init: str, activation: Activation, depth: int, width: int, generator: Generator
) -> Stack:
    """The same in blocks of two layers, x + branch(x). A linear layer, by `xavier`, brings x to the width first."""
    x = x @ INITIALIZATIONS["xavier"]((x.shape[1], width), generator)
    blocks, is_fixup = depth // 2, init in ("fixup", FACTOR_ONLY)
    scheme = INITIALIZATIONS["kaiming" if is_fixup else init]
    branches = [list(scheme((width, width), generator, 2)) for _ in range(blocks)]
    if is_fixup:
        branches = [stacks.fixup(branch, blocks, zero_last=init == "fixup") for branch in branches]
    xs = [x, *stacks.residual(x, branches, activation)]
    dout = torch.randn(len(x), width, generator=generator)
    gradients = stacks.residual_gradients(dout, branches, xs[:-1], activation)
    layers = measure_layers(init, [(out, out) for out in xs[1:]], gradients, activation, each=2)
    return Stack(init, math.hypot(*moments(x)), layers, residual_theory(init, activation, blocks, width))


def measure_layers(
    init: str, outputs: Pairs, gradients: Iterable[Tensor], activation: Activation, each: int = 1
) -> list[DeepLayer]:
    """Each layer (`each` = 1) or block of two; the last one's gradient comes first."""
    figures = [signal_figures(x, z, activation) for z, x in outputs]
    is_finite = math.isfinite(figures[-1][1])
    stds = [moments(dx)[1] for dx in gradients][::-1] if is_finite else [None] * len(outputs)
    each_layer = enumerate(zip(figures, stds, strict=True), 1)
    return [DeepLayer(init, n * each, *figure, std) for n, (figure, std) in each_layer]


def signal_figures(x: Tensor, z: Tensor, activation: Activation) -> tuple[float, float, float, float, Tensor]:
    """Mean, std, share of dead units, std of z and histogram of a layer; z is the activation's input."""
    mean, std = moments(x)
    if not math.isfinite(std):
        return math.nan, math.nan, math.nan, math.nan, torch.zeros(HISTOGRAM_BINS)
    largest = z.amax(0)  # every activation is flat only below some number: a unit lives if this is above
    dead = (activation.gradient(torch.ones_like(largest), largest) == 0).float().mean().item()
    sizes = x[:HISTOGRAM_ROWS].abs().log10()  # zeros are -inf, outside of every bin
    return mean, std, dead, moments(z)[1], torch.histc(sizes, HISTOGRAM_BINS, -MAX_LOG10, MAX_LOG10)


def plain_theory(init: str, activation: Activation, width: int) -> float | None:
    """The factor by which a layer multiplies the root mean square, both ways; None of a shifted activation.

    A leak of `a` keeps (1 + a^2) / 2 of a symmetric number's mean square, and the product multiplies that by the
    weights' variance and the fan, which is the width both ways. `lsuv` makes it 1.
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
