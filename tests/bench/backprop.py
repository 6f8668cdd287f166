"""Does our backward pass keep up with the library's? Ratios on the lesson's task."""

from functools import partial

import torch

from mlfound.data.fetch import fetch
from mlfound.data.load import load
from mlfound.data.normalize import normalized
from mlfound.data.registry import DATASETS, default_data_dir
from mlfound.experiments.backprop.lesson import HIDDEN, LADDER
from mlfound.foundations.initialization import INITIALIZATIONS, mlp_parameters
from mlfound.foundations.randomness import generator
from mlfound.stats.timing import measure
from tests.bench.row import ROUNDS, Rows, at_most


def rows() -> Rows:
    torch.set_num_threads(1)
    fetch(DATASETS["mnist"], default_data_dir())
    train = normalized(load(DATASETS["mnist"], default_data_dir()), "global")[0].train
    sizes, draws = (train.x.shape[1], HIDDEN, 1), generator(0, "initialization")
    parameters = mlp_parameters(sizes, INITIALIZATIONS["kaiming"], draws)
    y = train.y.float()
    for words, input_gradient in (("without", False), ("with", True)):
        rungs = {
            name: partial(both, LADDER[name], parameters, train.x, y, input_gradient=input_gradient)
            for name in ("modules", "torch-nn")
        }
        times = measure(rungs, budget=ROUNDS, block=1.0)
        what = f"forward and backward {words} the input's gradient, 50,000 rows: modules / torch-nn"
        yield at_most(what, times["modules"], times["torch-nn"], 1.15)


def both(stage, *arguments, **options):
    """Forward, backward, and the memory given back."""
    _, _ = stage(*arguments, **options)
