"""What `make bench` runs: ratios of durations measured in interleaved rounds. No test: machines have moods."""

import math
import subprocess
import sys
import tempfile

import torch

from mlfound.config.loading import load
from mlfound.data.cache import default_data_dir
from mlfound.experiments.inputs import prepare
from mlfound.experiments.train import fit, layer_sizes
from mlfound.foundations.initialization import INITIALIZATIONS, mlp_parameters
from mlfound.foundations.modules import LOSSES, MLP
from mlfound.foundations.randomness import generator
from mlfound.foundations.schedules import SCHEDULES
from mlfound.results import Context
from mlfound.runs.reader import read_run
from mlfound.timing import interleaved, median_and_iqr, ratios

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
        xb, yb = x[rows], y[rows]
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


def report(what, values, bound):
    middle, iqr = median_and_iqr(values)
    print(f"{what:60s} {middle:6.2f}  IQR {iqr:.2f}  n {len(values)}  wanted at most {bound:.1f}")


def main():
    torch.set_num_threads(1)
    config = load("train", None).config.model_copy(update={"epochs": 1})
    context = Context(Silence(), default_data_dir(), {}, read_run)
    inputs = prepare(config.data, context)
    x, y = inputs.splits.train.x, inputs.splits.train.y

    def parameters():
        sizes, scheme = layer_sizes(config, inputs.splits), INITIALIZATIONS[config.model.init]
        return mlp_parameters(sizes, scheme, generator(config.seed, "initialization"))

    ours, bare = parameters(), parameters()
    fit(MLP(ours, input_gradient=False), LOSSES[config.loss](), inputs.splits, config, context)
    bare_epoch(bare, x, y, config)
    for name in ours:  # not the same weights, not the same maths: the comparison would be void
        torch.testing.assert_close(ours[name], bare[name], rtol=1e-3, atol=1e-4)

    trained = []

    def fit_once():
        model = MLP(parameters(), input_gradient=False)
        [epoch] = fit(model, LOSSES[config.loss](), inputs.splits, config, context)
        trained.append(epoch.train_seconds)

    seconds = interleaved({"fit": fit_once, "bare": lambda: bare_epoch(parameters(), x, y, config)}, ROUNDS)
    report(
        "one epoch of mlp.yaml, 1 thread / bare loop of the same maths",
        ratios(trained[1:], seconds["bare"]),
        1.3,
    )

    with tempfile.TemporaryDirectory() as folder:
        processes = {
            "help": [sys.executable, "-m", "mlfound", "--help"],
            "typer": [sys.executable, "-c", "import typer"],
        }
        rungs = {
            name: lambda words=words: subprocess.run(words, cwd=folder, check=True, capture_output=True)
            for name, words in processes.items()
        }
        seconds = interleaved(rungs, ROUNDS)
    report("mlfound --help / python -c 'import typer'", ratios(seconds["help"], seconds["typer"]), 2.0)

    seconds = interleaved({"data": lambda: prepare(config.data, context)}, ROUNDS)
    report("seconds until the cached data is verified, split, normalised", seconds["data"], 0.6)


if __name__ == "__main__":
    main()
