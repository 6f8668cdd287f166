"""The part `convolutions`: the sqrt(5) story. torch's default and kaiming, through one convolution and four."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from mlfound.config.models import InitStatsConfig
from mlfound.errors import UserError
from mlfound.experiments.initialization import claims
from mlfound.experiments.initialization.activations import chosen_activations
from mlfound.experiments.initialization.claims import Claim, OnProgress, Outputs, Theory
from mlfound.foundations.activations import Activation
from mlfound.foundations.convolution import windows
from mlfound.foundations.functions import conv2d
from mlfound.foundations.initialization import INITIALIZATIONS, Shape, uniform
from mlfound.foundations.randomness import generator
from mlfound.foundations.theory import pooled_moments
from mlfound.results import Column, Picture, Result, Table
from mlfound.training.inputs import Inputs

SCHEMES = ("torch-default", "kaiming")
ONE: Shape = (32, 1, 5, 5)
FOUR: tuple[Shape, ...] = ((8, 1, 5, 5), (16, 8, 3, 3), (32, 16, 3, 3), (1, 32, 3, 3))
IMAGES = 100
MAX_DRAWS = 30  # small stacks take long for their size
# the lesson's std after one layer and after four
LESSON_ONE = {"torch-default": 0.37, "kaiming": 1.02, "kaiming-uniform": 1.02}
LESSON_FOUR = {"torch-default": 0.0089, "kaiming": 0.285, "kaiming-uniform": 0.285}


def run(config: InitStatsConfig, inputs: Inputs, schemes: Sequence[str], on_progress: OnProgress) -> Result:
    """Nothing where the images are not square."""
    if not are_fit(inputs) or not schemes:
        return Result()
    x = inputs.splits.valid.x[: config.rows or IMAGES].reshape(-1, 1, *inputs.splits.shape)
    activation, draws = chosen_activations(config)[-1], min(config.draws or MAX_DRAWS, MAX_DRAWS)
    measurements = []
    for n, init in enumerate(schemes):
        on_progress(init, n / len(schemes))
        random = generator(config.seed, f"init-stats conv {init}")
        measurements.append(measure(x, init, activation, draws, random))
    medians = {each.init: each.medians for each in measurements}
    lasts = {init: stds[-1] for init, stds in medians.items()}
    title = "The signal through the notebook's four convolutions"
    curves = {"title": title, "layer": [1, 2, 3, 4], "forward": medians, "backward": {}}
    return Result(
        claims.finite_metrics({f"{init} four convolutions std": std for init, std in lasts.items()}),
        tables=[
            convolution_table(measurements, len(x), alone=config.layer == "conv"),
            claims.claim_table(convolution_claims(lasts)),
        ],
        pictures=[Picture("convolutions", "signal_by_layer", curves)],
    )


def refuse_unfit(config: InitStatsConfig, inputs: Inputs, schemes: Sequence[str]) -> None:
    """Refuses images that are not square, where this is the only part."""
    height, width = inputs.splits.shape
    if config.layer == "conv" and not are_fit(inputs):
        advice = "write a data.dataset whose images are square, 5 x 5 or more"
        raise UserError(f"the images are {height} x {width}; {advice}", key="layer")


def are_fit(inputs: Inputs) -> bool:
    height, width = inputs.splits.shape
    return height == width >= ONE[-1]


@dataclass(frozen=True)
class Convolutions(Outputs):
    """The outputs of one layer; and the std after each of four (4, draws)."""

    four: Tensor

    @property
    def medians(self) -> Any:
        """Over the draws, after each of the four."""
        return self.four.median(1).values.tolist()


def measure(x: Tensor, init: str, activation: Activation, draws: int, generator: Generator) -> Convolutions:
    """x (batch, 1, height, width) through one layer and through four, `draws` times."""
    figures = []
    for _ in range(draws):
        y = activation(convolve(x, init, ONE, generator, stride=1, padding=0))
        one = y.mean().item(), y.square().mean().item()
        figures.append([*one, *stds_through_four(x, init, activation, generator)])
    means, squares, *four = torch.tensor(figures, dtype=torch.float64).T.contiguous()
    lengths = windows(x, ONE[2:]).double().square().sum((1, 4, 5)).flatten()
    if init == "torch-default":
        lengths = lengths + 1  # the bias: one more weight of the same size, times 1
    theory = Theory(*pooled_moments(activation, lengths, INITIALIZATIONS[init].std(ONE) ** 2))
    return Convolutions(init, means, squares, theory, torch.stack(four))


def stds_through_four(x: Tensor, init: str, activation: Activation, generator: Generator) -> list[float]:
    """The std after each of the four layers; of the last, without activation, that of the means over positions."""
    stds = []
    for shape in FOUR:
        z = convolve(x, init, shape, generator, stride=2, padding=shape[2] // 2)
        x = z.mean((2, 3)) if shape is FOUR[-1] else activation(z)
        stds.append(x.std().item())
    return stds


def convolve(x: Tensor, init: str, shape: Shape, generator: Generator, stride: int, padding: int) -> Tensor:
    """One convolution; torch's default also draws the bias, which is 0 in every other scheme."""
    scheme = INITIALIZATIONS[init]
    w = scheme(shape, generator)
    draws_biases = init == "torch-default"
    b = uniform(shape[:1], scheme.std(shape), generator) if draws_biases else w.new_zeros(shape[0])
    return conv2d(x, w, b, stride, padding)


def convolution_table(measurements: Sequence[Convolutions], rows: int, alone: bool) -> Table:
    columns = [
        Column("init"),
        *claims.columns_beside_theory("mean"),
        *claims.columns_beside_theory("std"),
        Column("lesson_std", "std, lesson", ".2f", lambda each: LESSON_ONE.get(each.init), rank=4),
        Column("std_1", "after 1", ".3g", lambda each: each.medians[0], rank=3),
        Column("std_2", "after 2", ".3g", lambda each: each.medians[1], rank=3),
        Column("std_3", "after 3", ".3g", lambda each: each.medians[2], rank=3),
        Column("std_4", "after 4", ".3g", lambda each: each.medians[3]),
        Column("low", "after 4, lowest", ".3g", lambda each: each.four[-1].min().item(), rank=4),
        Column("high", "after 4, highest", ".3g", lambda each: each.four[-1].max().item(), rank=4),
        Column("lesson_four", "after 4, lesson", ".3g", lambda each: LESSON_FOUR.get(each.init), rank=4),
    ]
    title = (
        f"Convolutions of {rows} images, {measurements[0].mean.draws} draws: 5 x 5 with 32 filters; median std "
        "after each of the notebook's four"
    )
    return Table.of("convolutions", title, columns, measurements, shown="always" if alone else "verbose")


def convolution_claims(lasts: Mapping[str, float]) -> Iterator[Claim]:
    if {"torch-default", "kaiming"} <= lasts.keys():
        lost, kept = lasts["torch-default"], lasts["kaiming"]
        text = "four convolutions all but lose the signal by default"
        yield Claim(text, "std, median", lost, None, lost < 0.1, "0.0089")
        yield Claim("... and keep it with a = 0", "std, median", kept, None, kept > 0.1, "0.285")
