"""The part `products`: a hundred products of 512, and layers that narrow: small stacks of the lesson, drawn often."""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Generator, Tensor

from mlfound.config.models import InitStatsConfig
from mlfound.experiments.initialization.claims import FACTOR, Claim, claim_table, is_kept
from mlfound.foundations.activations import Identity, ReLU
from mlfound.foundations.initialization import INITIALIZATIONS
from mlfound.foundations.randomness import generator
from mlfound.foundations.stacks import plain, plain_gradients
from mlfound.results import Context, Result
from mlfound.stats.estimates import Estimate, root_mean
from mlfound.training.inputs import Inputs

PRODUCTS, WIDTH = 100, 512
SCALES = {"normal": 1.0, "small": 0.01, "xavier": 1 / math.sqrt(WIDTH)}  # the std of a weight
FUNNELS = {"kaiming": "fan_in", "kaiming-fan-out": "fan_out"}
FUNNEL_ROWS, FUNNEL_LAYERS = 128, 4
MAX_DRAWS = 30  # small stacks take long for their size


def run(config: InitStatsConfig, inputs: Inputs, schemes: Sequence[str], context: Context) -> Result:
    """Always of the lesson's schemes."""
    draws, x = min(config.draws, MAX_DRAWS), inputs.splits.valid.x[:FUNNEL_ROWS]
    widths = narrowing(x.shape[1], config.hidden)
    funnels = measure_funnels(x, widths, generator(config.seed, "init-stats funnel"), draws)
    products = measure_products(generator(config.seed, "init-stats products"), draws)
    return Result({}, tables=[claim_table([*funnel_claims(funnels, widths), *product_claims(products)])])


@dataclass(frozen=True)
class Products:
    """Of each draw the std after the products, and the product after which it was not finite, or 0 (else None)."""

    init: str
    stds: Tensor
    ends: Sequence[int | None]


def measure_products(generator: Generator, draws: int) -> list[Products]:
    """x = w x a hundred times with one and the same w, as the notebook does."""
    measurements = []
    for init in SCALES:
        runs = []
        for _ in range(draws):
            x = torch.randn(1, WIDTH, generator=generator)
            w = INITIALIZATIONS[init]((WIDTH, WIDTH), generator)
            runs.append([out.std().item() for out, _ in plain(x, [w] * PRODUCTS, Identity())])
        ends = [
            next((n for n, s in enumerate(run, 1) if not math.isfinite(s) or s == 0), None) for run in runs
        ]
        stds = torch.tensor([run[-1] for run in runs], dtype=torch.float64)
        measurements.append(Products(init, stds, ends))
    return measurements


def product_claims(measurements: Sequence[Products]) -> Iterator[Claim]:
    """1 overflows, 0.01 vanishes, 1/sqrt(512) lasts."""
    for each in measurements:
        ends, stds = [end for end in each.ends if end], each.stds
        if each.init == "xavier":
            claim, median = f"{PRODUCTS} products by randn / sqrt(512) last", stds.median().item()
            holds = not ends and bool(((stds > 0.01) & (stds < 100)).all())
            yield Claim(claim, "std after all, median", median, None, holds, "near 1")
            continue
        what, limit, lesson = {
            "normal": ("randn(512, 512) overflow", 2.0**128, "28"),
            "small": ("0.01 randn vanish", 2.0**-149, "0 at the end"),
        }[each.init]
        # the product after which numbers of 512^(n/2) scale^n pass float32's largest or its smallest
        theory = math.log(limit) / math.log(math.sqrt(WIDTH) * SCALES[each.init])
        claim, median = f"{PRODUCTS} products by {what}", statistics.median(ends or [math.nan])
        yield Claim(claim, "after product, median", median, theory, len(ends) == len(stds), lesson)


@dataclass(frozen=True)
class Funnel:
    """By how much a narrowing stack multiplied the root mean square, measured and in theory."""

    init: str
    forward: Estimate
    backward: Estimate
    forward_theory: float
    backward_theory: float


def narrowing(features: int, hidden: int) -> list[int]:
    """Five widths from the one to the other, each smaller than the one before by about the same factor."""
    steps = (n / FUNNEL_LAYERS for n in range(FUNNEL_LAYERS + 1))
    return [round(features * (hidden / features) ** step) for step in steps]


def measure_funnels(x: Tensor, widths: Sequence[int], generator: Generator, draws: int) -> list[Funnel]:
    """Real rows through ReLU layers whose fan in is not their fan out, and a gradient of N(0, 1) back."""
    shapes, measurements = list(pairwise(widths)), []
    for name in FUNNELS:
        init, squares = INITIALIZATIONS[name], []
        for _ in range(draws):
            weights = [init(shape, generator) for shape in shapes]
            layers = list(plain(x, weights, ReLU()))
            dout = torch.randn(len(x), widths[-1], generator=generator)
            *_, dx = plain_gradients(dout, weights, [z for z, _ in layers], ReLU())
            pairs = (layers[-1][1], x), (dx, dout)
            squares.append([mean_square(after) / mean_square(before) for after, before in pairs])
        forward, backward = map(root_mean, torch.tensor(squares, dtype=torch.float64).T)
        kept = [init.std(shape) ** 2 / 2 for shape in shapes]
        fan_in, fan_out = (
            math.sqrt(math.prod(v * fan for v, fan in zip(kept, fans, strict=True)))
            for fans in (widths[:-1], widths[1:])
        )
        measurements.append(Funnel(name, forward, backward, fan_in, fan_out))
    return measurements


def mean_square(x: Tensor) -> float:
    return x.square().mean().item()


def funnel_claims(funnels: Sequence[Funnel], widths: Sequence[int]) -> Iterator[Claim]:
    """What fan_in and fan_out keep."""
    through = " ".join(map(str, widths))
    for funnel in funnels:
        fan, forward, backward = FUNNELS[funnel.init], funnel.forward, funnel.backward
        text = f"{fan} keeps the signal forward ({through})"
        yield Claim(text, FACTOR, forward, funnel.forward_theory, is_kept(forward.value))
        text = f"{fan} keeps the gradient backward"
        yield Claim(text, FACTOR, backward, funnel.backward_theory, is_kept(backward.value))
