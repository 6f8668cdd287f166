"""The part `products`: a hundred products of 512, and layers that narrow: small stacks of the lesson, drawn often."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor

from mlfound.config.models import InitStatsConfig
from mlfound.experiments.initialization.claims import FACTOR, Claim, OnProgress, claim_table, is_kept
from mlfound.foundations.activations import Identity, ReLU
from mlfound.foundations.initialization import INITIALIZATIONS
from mlfound.foundations.randomness import generator
from mlfound.foundations.stacks import plain, plain_gradients
from mlfound.results import Result
from mlfound.stats.estimates import root_mean
from mlfound.training.inputs import Inputs

PRODUCTS, WIDTH = 100, 512
SCHEMES = ("normal", "small", "xavier")
FUNNELS = {"kaiming": "fan_in", "kaiming-fan-out": "fan_out"}
FUNNEL_ROWS, FUNNEL_LAYERS = 128, 4
MAX_DRAWS = 30  # small stacks take long for their size


def run(config: InitStatsConfig, inputs: Inputs, schemes: Sequence[str], on_progress: OnProgress) -> Result:
    """Always of the lesson's schemes."""
    draws, x = min(config.draws or MAX_DRAWS, MAX_DRAWS), inputs.splits.valid.x[:FUNNEL_ROWS]
    of_funnels = funnel_claims(x, config.hidden, generator(config.seed, "init-stats funnel"), draws)
    products = measure_products(generator(config.seed, "init-stats products"), draws)
    return Result(tables=[claim_table([*of_funnels, *product_claims(products)])])


def measure_products(generator: Generator, draws: int) -> dict[str, Tensor]:
    """By scheme the stds (draws, PRODUCTS) of x = x w, with one and the same w each time, as the notebook does."""
    stds = {}
    for init in SCHEMES:
        runs = []
        for _ in range(draws):
            x = torch.randn(1, WIDTH, generator=generator)
            w = INITIALIZATIONS[init]((WIDTH, WIDTH), generator)
            runs.append(torch.stack([out.std() for out, _ in plain(x, [w] * PRODUCTS, Identity())]))
        stds[init] = torch.stack(runs).double()
    return stds


def ends(stds: Tensor) -> list[int]:
    """The product after which the std was 0 or not finite, of each draw that came to that."""
    lost = (stds == 0) | ~stds.isfinite()
    return [int(draw.nonzero()[0]) + 1 for draw in lost if draw.any()]


def product_claims(products: Mapping[str, Tensor]) -> Iterator[Claim]:
    """1 overflows, 0.01 vanishes, 1/sqrt(512) lasts."""
    for init, stds in products.items():
        ended, last = ends(stds), stds[:, -1]
        if init == "xavier":
            claim, median = f"{PRODUCTS} products by randn / sqrt(512) last", last.median().item()
            holds = not ended and bool(((last > 0.01) & (last < 100)).all())
            yield Claim(claim, "std after all, median", median, None, holds, "near 1")
            continue
        what, limit, lesson = {
            "normal": ("randn(512, 512) overflow", 2.0**128, "28"),
            "small": ("0.01 randn vanish", 2.0**-149, "0 at the end"),
        }[init]
        # the product after which numbers of 512^(n/2) std^n pass float32's largest or its smallest
        std = INITIALIZATIONS[init].std((WIDTH, WIDTH))
        theory = math.log(limit) / math.log(math.sqrt(WIDTH) * std)
        claim, median = f"{PRODUCTS} products by {what}", statistics.median(ended or [math.nan])
        yield Claim(claim, "after product, median", median, theory, len(ended) == len(stds), lesson)


def funnel_claims(x: Tensor, hidden: int, generator: Generator, draws: int) -> Iterator[Claim]:
    """What fan_in and fan_out keep: real rows through narrowing ReLU layers, and a gradient of N(0, 1) back."""
    features, steps = x.shape[1], [n / FUNNEL_LAYERS for n in range(FUNNEL_LAYERS + 1)]
    widths = [round(features * (hidden / features) ** step) for step in steps]
    shapes = list(pairwise(widths))
    for name, fan in FUNNELS.items():
        init, factors = INITIALIZATIONS[name], []
        for _ in range(draws):
            weights = [init(shape, generator) for shape in shapes]
            zs, outputs = zip(*plain(x, weights, ReLU()), strict=True)
            dout = torch.randn(len(x), widths[-1], generator=generator)
            *_, dx = plain_gradients(dout, weights, zs, ReLU())
            factors.append([square(outputs[-1]) / square(x), square(dx) / square(dout)])
        forward, backward = map(root_mean, torch.tensor(factors, dtype=torch.float64).T)
        halves = [init.std(shape) ** 2 / 2 for shape in shapes]  # of the variance, which a ReLU leaves
        fans_in, fans_out = zip(*shapes, strict=True)
        text = f"{fan} keeps the signal forward ({' '.join(map(str, widths))})"
        is_in = fan == "fan_in"  # the lesson: fan_in keeps the variance forward, fan_out backward
        yield Claim(text, FACTOR, forward, theory(halves, fans_in), is_kept(forward.value), said=is_in)
        text = f"{fan} keeps the gradient backward"
        yield Claim(text, FACTOR, backward, theory(halves, fans_out), is_kept(backward.value), said=not is_in)


def theory(halves: Sequence[float], fans: Sequence[int]) -> float:
    """The factor of the root mean square, of all layers together."""
    return math.sqrt(math.prod(v * fan for v, fan in zip(halves, fans, strict=True)))


def square(x: Tensor) -> float:
    return x.square().mean().item()
