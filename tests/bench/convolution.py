"""Is the unfolded convolution near the library's? The course's four layers, forward and both gradients."""

from functools import partial

import torch

from mlfound.config.benches import ConvBenchConfig
from mlfound.experiments.convolution.layers import Case, draw, parse
from mlfound.foundations.convolution import CONVOLUTIONS
from mlfound.foundations.randomness import generator
from mlfound.stats.timing import measure
from tests.bench.row import ROUNDS, Rows, at_most


def rows() -> Rows:
    torch.set_num_threads(1)
    config, random = ConvBenchConfig(), generator(0, "operands")
    cases = [draw(parse(name), config.rows, None, random) for name in config.shape]
    rungs = {name: partial(all_passes, cases, name) for name in ("unfold", "library")}
    times = measure(rungs, budget=ROUNDS, block=1.0)
    what = f"convolution, four layers, {config.rows} images, all passes: unfold / library"
    yield at_most(what, times["unfold"], times["library"], 3.0)


def all_passes(cases: list[Case], name: str) -> None:
    """Forward, dw and dx of each."""
    for case in cases:
        for call in case.calls(CONVOLUTIONS[name]).values():
            call()
