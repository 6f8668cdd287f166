"""One layer, drawn many times: what activation(x w) has for mean and std, beside what it must have."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mlfound.foundations.activations import Activation, Floor, Leaky, Linear, ReLU, Subtract
from mlfound.foundations.initialization import INITIALIZATIONS, Shape, normal
from mlfound.foundations.stacks import lsuv
from mlfound.foundations.theory import pooled_moments
from mlfound.stats.estimates import Estimate, pooled_std, root_mean

AT_ONCE = 2**21  # numbers that the draws of one product may make: 8 MB, which is what a cache holds
KEPT = 1.1  # a factor up to this is called kept: ten layers make less than 2.6 of it


@dataclass(frozen=True)
class Layer:
    """What one scheme and one activation gave. `means` and `squares` (draws,) are each draw's, float64."""

    init: str
    activation: Activation
    means: Tensor
    squares: Tensor
    w_mean: Estimate
    w_std: Estimate
    incoming: float  # the rows' root mean square
    w_theory: float | None  # the std of a weight; None where the rows set it
    theory: tuple[float, float] | None  # mean and std for these rows
    gaussian: tuple[float, float]  # and for rows of N(0, 1)

    @property
    def label(self) -> str:
        return label(self.activation)

    @property
    def mean(self) -> Estimate:
        return Estimate.mean(self.means)

    @property
    def std(self) -> Estimate:
        return pooled_std(self.means, self.squares)

    @property
    def stds(self) -> Tensor:
        return (self.squares - self.means**2).clamp_min(0).sqrt()

    @property
    def factor(self) -> Estimate:
        """How many times larger the signal comes out, as a root mean square: what the next layer multiplies."""
        out = root_mean(self.squares)
        return Estimate(out.value / self.incoming, out.error / self.incoming, out.draws)

    @property
    def exact(self) -> bool:
        """Whether the theory is: x w is Gaussian only where the weights are."""
        if self.theory is None:
            return False
        return INITIALIZATIONS[self.init].distribution is normal or isinstance(self.activation, Linear)


def measure(
    x: Tensor,
    init: str,
    activations: Sequence[Activation],
    hidden: int,
    draws: int,
    generator: Generator,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> list[Layer]:
    """x (rows, in) through `draws` layers of `hidden` units, several in one product; all activations see the same."""
    shape = (x.shape[1], hidden)
    figures = torch.empty(1 + len(activations), 2, draws, dtype=torch.float64)  # of w, then of what comes out
    chunk = max(1, AT_ONCE // (max(x.shape) * hidden))
    for start in range(0, draws, chunk):
        these = slice(start, min(start + chunk, draws))
        w = draw(init, shape, generator, these.stop - start, x)
        figures[0, :, these] = torch.stack([w.mean((1, 2)), w.square().mean((1, 2))])
        z = x @ w.transpose(0, 1).reshape(shape[0], -1)  # (rows, draws * hidden)
        for each, activation in zip(figures[1:], activations, strict=True):
            y = activation(z)
            moments = torch.stack([y.mean(0), torch.linalg.vector_norm(y, dim=0).square() / len(y)])
            each[:, these] = moments.double().view(2, -1, hidden).mean(2)
        told(these.stop, draws)
    (w_means, w_squares), *outputs = figures
    lengths = x.double().square().sum(1)
    std = None if init == "lsuv" else INITIALIZATIONS[init].std(shape)
    return [
        Layer(
            init,
            activation,
            means,
            squares,
            Estimate.mean(w_means),
            pooled_std(w_means, w_squares),
            (lengths.mean() / shape[0]).sqrt().item(),
            std,
            None if std is None else pooled_moments(activation, lengths, std**2),
            gaussian(activation, 1.0 if std is None else std * math.sqrt(shape[0])),
        )
        for activation, (means, squares) in zip(activations, outputs, strict=True)
    ]


def draw(init: str, shape: Shape, generator: Generator, draws: int, x: Tensor) -> Tensor:
    """(draws, in, out) of a scheme; `lsuv` looks at x first."""
    if init == "lsuv":
        return next(lsuv(x, [INITIALIZATIONS["orthogonal"](shape, generator, draws)], Linear()))
    return INITIALIZATIONS[init](shape, generator, draws)


def gaussian(activation: Activation, sigma: float) -> tuple[float, float]:
    """The closed form for N(0, sigma^2), as plain numbers."""
    mean, std = activation.moments(0.0, sigma)
    return mean.item(), std.item()


def verdict(factor: float) -> str:
    """What happened to a signal: keeps, shrinks by x or grows by x."""
    if not math.isfinite(factor):
        return "overflows"
    if 1 / KEPT <= factor <= KEPT:
        return "keeps"
    if factor == 0:
        return "vanishes"
    return f"grows by {factor:.3g}" if factor > 1 else f"shrinks by {1 / factor:.3g}"


def label(activation: Activation) -> str:
    """As a table names it."""
    match activation:
        case Subtract(s):
            return f"relu - {s:g}"
        case Floor(s):
            return f"max(x, {-s:g})"
        case Leaky(a):
            return f"leaky {a:g}"
        case ReLU():
            return "relu"
        case _:
            return "linear"


def leak(activation: Activation) -> float | None:
    """The a of an activation that scales with its input; None of one that is shifted."""
    match activation:
        case Linear():
            return 1.0
        case ReLU():
            return 0.0
        case Leaky(a):
            return a
        case _:
            return None
