"""What `make bench` runs: ratios of durations measured in interleaved rounds. No test: machines have moods."""

import math
import subprocess
import sys
from functools import partial
from statistics import median

import torch

from mlfound.config.loading import load
from mlfound.data.cache import default_data_dir
from mlfound.experiments import hardware
from mlfound.experiments.inputs import prepare
from mlfound.experiments.train import fit, layer_sizes
from mlfound.foundations.initialization import INITIALIZATIONS, mlp_parameters
from mlfound.foundations.modules import LOSSES, MLP
from mlfound.foundations.randomness import generator
from mlfound.foundations.schedules import SCHEDULES
from mlfound.results import Context
from mlfound.runs.reader import read_run
from mlfound.timing import measure, on_cpu

ROUNDS = 11


class Silence:
    """A recorder that keeps nothing."""

    def begin(self, config, **facts):
        pass

    def message(self, text):
        pass

    def metrics(self, row):
        pass

    def progress(self, label, done, total, **figures):
        pass


def bare_epoch(p, x, y, config):
    """The maths of one epoch of configs/mlp.yaml with nothing around it."""
    size, shuffling = config.batch_size, generator(config.seed, "shuffling")
    velocity = {name: torch.zeros_like(value) for name, value in p.items()}
    steps, optimizer, total = math.ceil(len(y) / size), config.optimizer, torch.zeros(())
    for step, rows in enumerate(torch.randperm(len(y), generator=shuffling).split(size)):
        xb, yb = x.index_select(0, rows), y.index_select(0, rows)
        h = xb @ p["w1"] + p["b1"]
        a = h.clamp_min(0)
        logits = a @ p["w2"] + p["b2"]
        z = logits - logits.amax(1, keepdim=True)
        log_p = z - z.exp().sum(1, keepdim=True).log()
        total += -log_p.gather(1, yb[:, None]).sum()
        dlogits = log_p.exp()
        dlogits[torch.arange(len(yb)), yb] -= 1
        dlogits /= len(yb)
        dh = (dlogits @ p["w2"].T) * (h > 0)
        g = {"w1": xb.T @ dh, "b1": dh.sum(0), "w2": a.T @ dlogits, "b2": dlogits.sum(0)}
        lr, momentum = SCHEDULES[config.schedule](step / steps, optimizer.lr, optimizer.momentum)
        for name, value in p.items():
            velocity[name].mul_(momentum).add_(g[name])
            value.mul_(1 - lr * optimizer.weight_decay).sub_(velocity[name], alpha=lr)


def report(what, ours, theirs, bound):
    ratios = sorted(a / b for a, b in zip(ours.seconds, theirs.seconds, strict=True))
    quarter = len(ratios) // 4
    spread = f"middle half {ratios[quarter]:.2f} to {ratios[-1 - quarter]:.2f}, n {len(ratios)}"
    print(f"{what}: {median(ratios):.2f} ({spread}); wanted at most {bound:g}")


def training(config, context):
    """The training part of an epoch beside the bare loop, after a look that both end at the same weights."""
    inputs = prepare(config.data, context)
    x, y = inputs.splits.train.x, inputs.splits.train.y

    def parameters():
        sizes, scheme = layer_sizes(config, inputs.splits), INITIALIZATIONS[config.model.init]
        return mlp_parameters(sizes, scheme, generator(config.seed, "initialization"))

    def ours(p):
        [epoch] = fit(MLP(p, input_gradient=False), LOSSES[config.loss](), inputs.splits, config, context)
        return epoch.train_seconds

    def bare(p):
        return on_cpu(lambda: bare_epoch(p, x, y, config), 1)

    one, other = parameters(), parameters()
    ours(one)
    bare(other)
    for name in one:  # not the same weights, not the same maths: the comparison would be void
        torch.testing.assert_close(one[name], other[name], rtol=1e-3, atol=1e-4)

    rungs = {"ours": lambda: ours(parameters()), "bare": lambda: bare(parameters())}
    timings = measure(rungs, budget=ROUNDS, block=1.0, timer=lambda rung, calls: calls * rung())
    report("epoch of mlp.yaml, 1 thread / bare loop of the same maths", timings["ours"], timings["bare"], 1.3)

    data = measure({"data": lambda: prepare(config.data, context)}, budget=ROUNDS, block=1.0)["data"]
    print(f"cached data verified, split, normalised: {data.median:.2f} s (n {data.n}); wanted at most 0.6 s")


def start_up():
    """`mlfound --help` beside the import of its largest part."""
    commands = {"help": ["-m", "mlfound", "--help"], "typer": ["-c", "import typer"]}
    rungs = {
        name: partial(subprocess.run, [sys.executable, *words], check=True, capture_output=True)
        for name, words in commands.items()
    }
    timings = measure(rungs, budget=ROUNDS, block=1.0)
    report("mlfound --help / python -c 'import typer'", timings["help"], timings["typer"], 2.0)


def main():
    hardware.use_threads(1, 0)
    config = load("train").config.model_copy(update={"epochs": 1})
    training(config, Context(Silence(), default_data_dir(), {}, read_run))
    start_up()


if __name__ == "__main__":
    main()
