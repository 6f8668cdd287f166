"""The part `convolutions`: the sqrt(5) story. As torch begins them and as a ReLU wants them, one layer and four."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from mlfound.config.models import InitStatsConfig
from mlfound.errors import UserError
from mlfound.experiments.initialization.activations import chosen_activations
from mlfound.experiments.initialization.claims import (
    Claim,
    Outputs,
    Theory,
    claim_table,
    columns_beside_theory,
    finite_metrics,
)
from mlfound.foundations.activations import Activation
from mlfound.foundations.convolution import convolution, windows
from mlfound.foundations.initialization import INITIALIZATIONS, Shape, uniform
from mlfound.foundations.randomness import generator
from mlfound.foundations.theory import pooled_moments
from mlfound.results import Column, Context, Picture, Result, Table
from mlfound.training.inputs import Inputs

SCHEMES = ("torch-default", "kaiming")
ONE: Shape = (32, 1, 5, 5)
FOUR: tuple[Shape, ...] = ((8, 1, 5, 5), (16, 8, 3, 3), (32, 16, 3, 3), (1, 32, 3, 3))
IMAGES = 100
MAX_DRAWS = 30  # small stacks take long for their size
KAIMING_LESSON = (1.02, 0.285)  # the std after one layer and after four
LESSON = {"torch-default": (0.37, 0.0089), "kaiming": KAIMING_LESSON, "kaiming-uniform": KAIMING_LESSON}


def run(config: InitStatsConfig, inputs: Inputs, schemes: Sequence[str], context: Context) -> Result:
    """Every scheme through one convolution and through four; of images that are no square, nothing."""
    if not are_fit(inputs) or not schemes:
        return Result({})
    images = inputs.splits.valid.x[: config.rows or IMAGES].reshape(-1, 1, *inputs.splits.shape)
    activation, draws = chosen_activations(config, config.relu_shift)[-1], min(config.draws, MAX_DRAWS)
    measurements = []
    for n, init in enumerate(schemes):
        context.recorder.progress("convolutions", n, len(schemes), scheme=init)
        random = generator(config.seed, f"init-stats conv {init}")
        measurements.append(measure_convolutions(images, init, activation, draws, random))
    lasts = {each.init: each.medians[-1] for each in measurements}
    table = convolution_table(measurements, config.rows or IMAGES)
    return Result(
        metrics=finite_metrics({f"{init} four convolutions std": std for init, std in lasts.items()}),
        tables=[table, claim_table(claims(lasts))],
        pictures=[picture(measurements)],
    )


def refuse_unfit(config: InitStatsConfig, inputs: Inputs, schemes: Sequence[str]) -> None:
    """Images that are no square, where convolutions are all that was asked for."""
    if config.layer == "conv" and not are_fit(inputs):
        height, width = inputs.splits.shape
        advice = "write a data.dataset whose images are square, 5 x 5 or more"
        raise UserError(f"the images are {height} x {width}; {advice}", key="layer")


def are_fit(inputs: Inputs) -> bool:
    height, width = inputs.splits.shape
    return height == width >= ONE[-1]


@dataclass(frozen=True)
class Convolutions(Outputs):
    """After one layer; and after each of four the std of each draw (draws, 4)."""

    four: Tensor

    @property
    def medians(self) -> Any:
        """Of the draws, after each of the four."""
        return self.four.median(0).values.tolist()


def measure_convolutions(
    x: Tensor, init: str, activation: Activation, draws: int, generator: Generator
) -> Convolutions:
    """x (batch, 1, height, width) through one layer and through four, `draws` times."""
    means, squares, four = [], [], []
    for _ in range(draws):
        y = activation(convolve(x, init, ONE, generator, stride=1, padding=0))
        means.append(y.mean().item())
        squares.append(y.square().mean().item())
        four.append(stds_through_four(x, init, activation, generator))
    scheme = INITIALIZATIONS[init]
    lengths = windows(x, *ONE[2:]).double().square().sum((1, 4, 5)).flatten()
    if init == "torch-default":
        lengths = lengths + 1  # the bias: one more weight of the same size, times 1
    theory = Theory(*pooled_moments(activation, lengths, scheme.std(ONE) ** 2))
    measured = [torch.tensor(figures, dtype=torch.float64) for figures in (means, squares, four)]
    return Convolutions(init, measured[0], measured[1], theory, measured[2])


def stds_through_four(x: Tensor, init: str, activation: Activation, generator: Generator) -> list[float]:
    """The std after each of the four layers: activations between, and of the last the mean over its positions."""
    stds = []
    for shape in FOUR[:-1]:
        x = activation(convolve(x, init, shape, generator, stride=2, padding=shape[2] // 2))
        stds.append(x.std().item())
    last = convolve(x, init, FOUR[-1], generator, stride=2, padding=1)
    return [*stds, last.mean((2, 3)).std().item()]


def convolve(x: Tensor, init: str, shape: Shape, generator: Generator, stride: int, padding: int) -> Tensor:
    """One convolution; of torch's default also the bias, which any other scheme starts at 0."""
    scheme = INITIALIZATIONS[init]
    w = scheme(shape, generator)
    b = uniform(shape[:1], scheme.std(shape), generator) if init == "torch-default" else None
    return convolution(x, w, b, stride, padding)


def convolution_table(measurements: Sequence[Convolutions], rows: int) -> Table:
    """One 5 x 5 convolution, and four."""
    columns = [
        Column("init"),
        *columns_beside_theory("mean", "one layer: mean"),
        *columns_beside_theory("std"),
        Column("lesson_std", "lesson", ".2f", lambda each: LESSON.get(each.init, (None, None))[0]),
        Column("std_1", "four layers: std after 1", ".3g", lambda each: each.medians[0]),
        Column("std_2", "2", ".3g", lambda each: each.medians[1]),
        Column("std_3", "3", ".3g", lambda each: each.medians[2]),
        Column("std_4", "4", ".3g", lambda each: each.medians[3]),
        Column("low", "from", ".3g", lambda each: each.four[:, -1].min().item()),
        Column("high", "to", ".3g", lambda each: each.four[:, -1].max().item()),
        Column("lesson_four", "lesson", ".3g", lambda each: LESSON.get(each.init, (None, None))[1]),
    ]
    title = (
        f"Convolutions of {rows} images, {measurements[0].mean.draws} draws: 5 x 5 with 32 filters, then the "
        "notebook's four (medians; from, to: the last one's range)"
    )
    return Table.of("convolutions", title, columns, measurements)


def claims(lasts: Mapping[str, float]) -> Iterator[Claim]:
    """The std after four of them, by default and with a = 0."""
    if {"torch-default", "kaiming"} <= lasts.keys():
        lost, kept = lasts["torch-default"], lasts["kaiming"]
        text = "four convolutions all but lose the signal by default"
        yield Claim(text, "std, median", lost, None, lost < 0.1, "0.0089")
        yield Claim("... and keep it with a = 0", "std, median", kept, None, kept > 0.1, "0.285")


def picture(measurements: Sequence[Convolutions]) -> Picture:
    """The std after each of the four convolutions, the median of the draws."""
    data = {
        "title": "The signal through the notebook's four convolutions",
        "layer": [1, 2, 3, 4],
        "forward": {each.init: each.medians for each in measurements},
        "backward": {},
    }
    return Picture("convolutions", "signal_by_layer", data)
