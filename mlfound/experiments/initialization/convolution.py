"""The sqrt(5) story: convolutions as torch begins them and as a ReLU wants them, one layer and four."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mlfound.foundations.activations import Activation
from mlfound.foundations.convolution import convolution, windows
from mlfound.foundations.initialization import INITIALIZATIONS, Shape, uniform
from mlfound.foundations.theory import pooled_moments
from mlfound.stats.estimates import Estimate, pooled_std

ONE = (32, 1, 5, 5)
FOUR: tuple[Shape, ...] = ((8, 1, 5, 5), (16, 8, 3, 3), (32, 16, 3, 3), (1, 32, 3, 3))
IMAGES = 100
LESSON = {"torch-default": (0.37, 0.0089), "kaiming": (1.02, 0.285), "kaiming-uniform": (1.02, 0.285)}


@dataclass(frozen=True)
class Convolution:
    """Each draw's mean and mean square after one layer (draws,), and its std after each of four (draws, 4)."""

    init: str
    means: Tensor
    squares: Tensor
    theory: tuple[float, float]
    four: Tensor

    @property
    def mean(self) -> Estimate:
        return Estimate.mean(self.means)

    @property
    def std(self) -> Estimate:
        return pooled_std(self.means, self.squares)


def unfit(shape: tuple[int, int]) -> str:
    """Why images (height, width) can't be convolved here; empty if they can."""
    height, width = shape
    if height == width >= ONE[-1]:
        return ""
    return f"the images are {height} x {width}; write a data.dataset whose images are square, 5 x 5 or more"


def measure(x: Tensor, init: str, activation: Activation, draws: int, generator: Generator) -> Convolution:
    """x (batch, 1, height, width) through one layer and through four, `draws` times."""
    means, squares, four = [], [], []
    for _ in range(draws):
        y = activation(layer(x, init, ONE, generator, stride=1, padding=0))
        means.append(y.mean().item())
        squares.append(y.square().mean().item())
        four.append(stack(x, init, activation, generator))
    scheme = INITIALIZATIONS[init]
    lengths = windows(x, *ONE[2:]).double().square().sum((1, 4, 5)).flatten()
    if init == "torch-default":
        lengths = lengths + 1  # the bias: one more weight of the same size, times 1
    return Convolution(
        init,
        torch.tensor(means, dtype=torch.float64),
        torch.tensor(squares, dtype=torch.float64),
        pooled_moments(activation, lengths, scheme.std(ONE) ** 2),
        torch.tensor(four, dtype=torch.float64),
    )


def stack(x: Tensor, init: str, activation: Activation, generator: Generator) -> list[float]:
    """The std after each of the four layers: activations between, and of the last the mean over its positions."""
    stds = []
    for shape in FOUR[:-1]:
        x = activation(layer(x, init, shape, generator, stride=2, padding=shape[2] // 2))
        stds.append(x.std().item())
    last = layer(x, init, FOUR[-1], generator, stride=2, padding=1)
    return [*stds, last.mean((2, 3)).std().item()]


def layer(x: Tensor, init: str, shape: Shape, generator: Generator, stride: int, padding: int) -> Tensor:
    """One convolution; of torch's default also the bias, which any other scheme starts at 0."""
    scheme = INITIALIZATIONS[init]
    w = scheme(shape, generator)
    b = uniform(shape[:1], scheme.std(shape), generator) if init == "torch-default" else None
    return convolution(x, w, b, stride, padding)
