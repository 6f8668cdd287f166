"""One layer, drawn many times: mean and std of activation(x w), beside what they must be."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mlfound.experiments.initialization.activations import label
from mlfound.experiments.initialization.claims import Outputs, Theory, verdict
from mlfound.foundations.activations import Activation, Identity
from mlfound.foundations.initialization import INITIALIZATIONS, Shape, normal
from mlfound.foundations.stacks import lsuv
from mlfound.foundations.theory import pooled_moments
from mlfound.stats.estimates import Estimate, pooled_std, root_mean

PRODUCT_NUMBERS = 2**21  # in the product of several draws: 8 MB, which is what a cache holds


@dataclass(frozen=True)
class Layer(Outputs):
    """The outputs of one scheme and one activation."""

    activation: Activation
    w_mean: Estimate
    w_std: Estimate
    w_theory: float | None  # the std of a weight; None where the rows set it
    incoming: float  # the rows' root mean square
    gaussian: Theory  # for rows of N(0, 1)

    @property
    def label(self) -> str:
        return label(self.activation)

    @property
    def shift(self) -> float:
        return getattr(self.activation, "shift", 0.0)

    @property
    def stds(self) -> Tensor:
        return (self.squares - self.means**2).clamp_min(0).sqrt()

    @property
    def factor(self) -> Estimate:
        """The root mean square of the outputs over that of the rows: what the next layer multiplies."""
        out = root_mean(self.squares)
        return Estimate(out.value / self.incoming, out.error / self.incoming, out.draws)

    @property
    def verdict(self) -> str:
        return verdict(self.factor.value)

    @property
    def exact(self) -> bool:
        """Whether the theory is: x w is Gaussian only where the weights are."""
        return INITIALIZATIONS[self.init].distribution is normal or isinstance(self.activation, Identity)


def measure_layer(
    x: Tensor,
    init: str,
    activations: Sequence[Activation],
    hidden: int,
    draws: int,
    generator: Generator,
    on_progress: Callable[[float], None] = lambda share: None,
) -> list[Layer]:
    """x (rows, in) through `draws` layers of `hidden` units, several in one product; all activations get the same."""
    shape = (x.shape[1], hidden)
    figures = torch.empty(1 + len(activations), 2, draws, dtype=torch.float64)  # of w, then of the outputs
    chunk = max(1, PRODUCT_NUMBERS // (max(x.shape) * hidden))
    for start in range(0, draws, chunk):
        these = slice(start, min(start + chunk, draws))
        w = draw_weights(init, shape, generator, these.stop - start, x)
        figures[0, :, these] = torch.stack([w.mean((1, 2)), w.square().mean((1, 2))])
        z = x @ w.transpose(0, 1).reshape(shape[0], -1)  # (rows, draws * hidden)
        for each, activation in zip(figures[1:], activations, strict=True):
            y = activation(z)
            moments = torch.stack([y.mean(0), torch.linalg.vector_norm(y, dim=0).square() / len(y)])
            each[:, these] = moments.double().view(2, -1, hidden).mean(2)
        on_progress(these.stop / draws)
    (w_means, w_squares), *outputs = figures
    of_weights = Estimate.mean(w_means), pooled_std(w_means, w_squares)
    lengths = x.double().square().sum(1)
    incoming = (lengths.mean() / shape[0]).sqrt().item()
    std = None if init == "lsuv" else INITIALIZATIONS[init].std(shape)
    sigma = 1.0 if std is None else std * math.sqrt(shape[0])  # of x w, for rows of N(0, 1)
    layers = []
    for activation, (means, squares) in zip(activations, outputs, strict=True):
        theory = Theory() if std is None else Theory(*pooled_moments(activation, lengths, std**2))
        gaussian = Theory(*(moment.item() for moment in activation.moments(0.0, sigma)))
        layers.append(Layer(init, means, squares, theory, activation, *of_weights, std, incoming, gaussian))
    return layers


def draw_weights(init: str, shape: Shape, generator: Generator, draws: int, x: Tensor) -> Tensor:
    """(draws, in, out) of a scheme; `lsuv` scales them by their products with x."""
    if init == "lsuv":
        return next(lsuv(x, [INITIALIZATIONS["orthogonal"](shape, generator, draws)], Identity()))
    return INITIALIZATIONS[init](shape, generator, draws)
