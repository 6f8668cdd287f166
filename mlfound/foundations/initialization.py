"""Initialisations: random weights of the right scale. A scheme is the std of a weight and its distribution.

A linear weight is (in, out): its fan in is the *first* axis, where torch.nn has it last. A convolution's kernels
are torch's (out, in, height, width).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Generator, Tensor

Shape = tuple[int, ...]


def fans(shape: Shape) -> tuple[int, int]:
    """How many inputs each output sums (fan in), and in how many outputs each input counts (fan out).

    A kernel sees height x width places of each channel, its receptive field: a factor of both fans. (Of the fan
    out only at stride 1 and away from the border: like torch, this ignores both.)
    """
    if len(shape) == 2:
        return shape[0], shape[1]
    out, channels, height, width = shape
    return channels * height * width, out * height * width


# Scales: the std of a weight


def gain(a: float = 0.0) -> float:
    """sqrt(2 / (1 + a^2)): compensates a ReLU of leak `a`, which keeps (1 + a^2) / 2 of a mean square.

    1 for a = 1, a linear layer, and sqrt(2) for a = 0 (He et al. 2015, eq. 15).
    """
    return math.sqrt(2 / (1 + a**2))


def unscaled(shape: Shape) -> float:
    """1: each layer multiplies the signal by sqrt(fan_in), until it overflows."""
    return 1.0


def small(shape: Shape) -> float:
    """0.01: once common (Krizhevsky et al. 2012, section 5); a deep signal vanishes."""
    return 0.01


def xavier(shape: Shape) -> float:
    """1/sqrt(fan_in): keeps the variance of a linear layer's N(0, 1) input.

    The lesson's short form of Glorot and Bengio 2010: equation 10, the forward one of their two conditions.
    """
    fan_in, _ = fans(shape)
    return 1 / math.sqrt(fan_in)


def glorot(shape: Shape) -> float:
    """sqrt(2 / (fan_in + fan_out)): a compromise between forward and backward.

    Glorot and Bengio 2010, equation 12; with the uniform distribution their equation 16.
    """
    return math.sqrt(2 / sum(fans(shape)))


def kaiming(shape: Shape, a: float = 0.0) -> float:
    """gain(a)/sqrt(fan_in): keeps the forward signal's mean square through a ReLU (He et al. 2015, eq. 10)."""
    fan_in, _ = fans(shape)
    return gain(a) / math.sqrt(fan_in)


def kaiming_fan_out(shape: Shape, a: float = 0.0) -> float:
    """gain(a)/sqrt(fan_out): keeps the backward gradient's variance instead (He et al. 2015, eq. 14)."""
    _, fan_out = fans(shape)
    return gain(a) / math.sqrt(fan_out)


def torch_default(shape: Shape) -> float:
    """`kaiming` with a = sqrt(5): what torch's nn.Linear and nn.Conv2d do, gain 1/sqrt(3) where a ReLU needs sqrt(2).

    The sqrt(5) is no real leak: with the uniform distribution it gives the bounds +-1/sqrt(fan_in) of torch's
    Lua ancestor. The biases have these bounds too: `uniform((out,), torch_default(shape), generator)`.
    """
    return kaiming(shape, math.sqrt(5))


def orthonormal(shape: Shape) -> float:
    """1/sqrt(the matrix's longer side): that many entries make up a vector of length 1."""
    return 1 / math.sqrt(max(matrix(shape)))


# Distributions: a stack of matrices (..., rows, columns) whose entries have mean 0 and this std


def normal(shape: Shape, std: float, generator: Generator) -> Tensor:
    """N(0, std^2)."""
    return standard_normal(shape, generator).mul_(std)


def standard_normal(shape: Shape, generator: Generator) -> Tensor:
    """N(0, 1), float32: a pair of uniform numbers gives a radius and an angle (Box and Muller 1958).

    The same bits on every CPU, unlike `torch.randn`. There are 2^24 uniform numbers, and none has a float64 radius,
    cosine or sine within 11 units in its last place of where its float32 would change: no library is off by so much.
    The two of a pair lie 8 apart, as torch's do: its numbers but for rounding, where 16 divides their count.
    """
    count = math.prod(shape)
    numbers = torch.rand(-(-count // 16), 2, 8, generator=generator)
    for pairs in torch.split(numbers, CACHED):
        radius = (1 - pairs[:, 0].double()).log_().mul_(-2).sqrt_().float()
        angle = pairs[:, 1].double().mul_(2 * math.pi)
        torch.stack([radius * angle.cos().float(), radius * angle.sin().float()], dim=1, out=pairs)
    return numbers.flatten()[:count].view(shape)


def uniform(shape: Shape, std: float, generator: Generator) -> Tensor:
    """Between -sqrt(3) std and sqrt(3) std: a uniform variable's variance is a third of its bound's square."""
    bound = math.sqrt(3) * std
    return torch.rand(shape, generator=generator).mul_(2 * bound).sub_(bound)


def orthogonal(shape: Shape, std: float, generator: Generator) -> Tensor:
    """Rows (or columns, if they are fewer) at right angles and of one length (Saxe et al. 2014).

    Gram-Schmidt of a Gaussian matrix, which makes every rotation equally likely (Mezzadri 2007). A row that lies
    almost in the span of those before keeps little but rounding, and is not orthogonal: a second round fixes it.
    """
    *draws, rows, columns = shape
    short, long = sorted((rows, columns))
    w = standard_normal((*draws, short, long), generator).double().div_(math.sqrt(long))
    gram_schmidt_(w)
    gram_schmidt_(w)
    w = w.mul_(std * math.sqrt(long)).float()
    return w if rows == short else w.mT.contiguous()


def gram_schmidt_(a: Tensor) -> None:
    """The rows of (..., rows, columns) made orthonormal, in place: each loses its part along those before it.

    Recursive by halves, so that the work is matrix products: the first half; the second without its part along the
    first; the second. Needs rows <= columns, float64, and lengths of about 1.

    Products are of numbers with 24 binary places, which makes them exact in float64: the same bits in any order of
    summation, on every CPU. Rows come out orthonormal to some 2^-24.
    """
    rows, columns = a.shape[-2:]
    if rows == 1:
        # first enlarged, if little is left: 24 places would see only its rounding
        a /= a.abs().amax(-1, keepdim=True) * math.sqrt(columns)
        # float32, as torch.sqrt is off by a bit now and then
        a /= fixed_point(a).square().sum(-1, keepdim=True).sqrt().float()
        a.copy_(fixed_point(a))
        return
    first, second = a[..., : rows // 2, :], a[..., rows // 2 :, :]
    gram_schmidt_(first)
    second -= fixed_point(fixed_point(second) @ first.mT) @ first
    gram_schmidt_(second)


def fixed_point(a: Tensor) -> Tensor:
    """Rounded to 24 binary places: that many has a float64 beside 2^28."""
    return (a + 1.5 * 2**28).sub_(1.5 * 2**28)


def matrix(shape: Shape) -> tuple[int, int]:
    """A weight as one matrix: its first axis by all the others."""
    return shape[0], math.prod(shape[1:])


@dataclass(frozen=True)
class Initialization:
    """`init(shape, generator)` draws one weight, float32; `init.std(shape)` is the std of its entries in theory."""

    std: Callable[[Shape], float]
    distribution: Callable[[Shape, float, Generator], Tensor]
    activations: tuple[
        str, ...
    ] = ()  # through which it keeps a signal's size; none where it is made for none

    def __call__(self, shape: Shape, generator: Generator, *draws: int) -> Tensor:
        """One weight, or with `draws` (1000) of them along a new first axis, independent: (1000, in, out)."""
        weights = self.distribution((*draws, *matrix(shape)), self.std(shape), generator)
        return weights.reshape(*draws, *shape)


def mlp_parameters(sizes: Sequence[int], init: Initialization, generator: Generator) -> dict[str, Tensor]:
    """w1, b1, w2, b2, ... of an MLP with these layer sizes, float32: weights by `init`, biases 0."""
    parameters = {}
    for n, shape in enumerate(pairwise(sizes), 1):
        parameters[f"w{n}"] = init(shape, generator)
        parameters[f"b{n}"] = torch.zeros(shape[1])
    return parameters


CACHED = 8_192  # rows of 16 numbers at a time, which stay in the processor's cache: twice as fast
LINEAR, RECTIFIED = ("tanh",), ("relu", "leaky", "floor", "gelu")  # near 0 tanh is linear
INITIALIZATIONS: dict[str, Initialization] = {
    "normal": Initialization(unscaled, normal),
    "small": Initialization(small, normal),
    "xavier": Initialization(xavier, normal, LINEAR),
    "glorot-normal": Initialization(glorot, normal, LINEAR),
    "glorot-uniform": Initialization(glorot, uniform, LINEAR),
    "kaiming": Initialization(kaiming, normal, RECTIFIED),
    "kaiming-uniform": Initialization(kaiming, uniform, RECTIFIED),
    "kaiming-fan-out": Initialization(kaiming_fan_out, normal, RECTIFIED),
    "torch-default": Initialization(torch_default, uniform),
    "orthogonal": Initialization(orthonormal, orthogonal, LINEAR),
}
