"""What a training costs around its steps, and what there is to wait for before it begins."""

import subprocess
import sys
from functools import partial

import torch

from mlfound.config.loading import load
from mlfound.data.registry import default_data_dir
from mlfound.foundations.batches import shuffled
from mlfound.foundations.randomness import generator
from mlfound.foundations.schedules import rates
from mlfound.results import Context
from mlfound.runs.earlier import read_run
from mlfound.stats.timing import measure
from mlfound.training.build import build, initial
from mlfound.training.evaluation import Score
from mlfound.training.inputs import prepare
from mlfound.training.plan import pieces, plan
from tests.bench.row import FEW_ROUNDS, ROUNDS, Row, Rows, at_most

NOT_EVALUATED = Score(0.0, 0.0, torch.empty(0), torch.empty(0), "confidence", torch.zeros(2))


class Silence:
    """A recorder that keeps nothing."""

    def begin(self, config, **facts):
        pass

    def message(self, text):
        pass

    def metrics(self, rows, line):
        pass

    def checkpoint(self, checkpoint, keep, best=False):
        pass

    def progress(self, label, done, total, **figures):
        pass


def bare_epoch(p, x, y, config):
    """The maths of one epoch of configs/mlp.yaml with nothing around it."""
    size, rates = config.batch_size, rates_of(config, y)
    velocity, total = {name: torch.zeros_like(value) for name, value in p.items()}, torch.zeros(())
    order = shuffled(len(y), generator(config.seed, "shuffling"))
    for rows, (lr, momentum) in zip(order.split(size), rates, strict=True):
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
        for name, value in p.items():
            velocity[name].mul_(momentum).add_(g[name])
            value.mul_(1 - lr * config.optimizer.weight_decay).sub_(velocity[name], alpha=lr)
    return p


def rates_of(config, y):
    """Learning rate and momentum of each step of an epoch."""
    steps, optimizer = -(-len(y) // config.batch_size), config.optimizer
    return [
        rates(pieces(config.schedule), step / steps, optimizer.lr, optimizer.momentum)
        for step in range(steps)
    ]


def training(context: Context) -> Rows:
    """One epoch of configs/mlp.yaml, by the readable engine and by the compiled one, beside its mere steps."""
    config = load("train").config.model_copy(update={"epochs": 1, "threads": 1, "device": "cpu"})
    splits = prepare(config.data, context).splits
    x, y = splits.train.x, splits.train.y

    def whole(planned):
        """Steps, checks, snapshots; no evaluation, which is no part of it."""
        trainer = build(planned, splits)
        trainer.validate = lambda network, interrupted: NOT_EVALUATED
        trainer.run(context)
        return trainer.engine.networks[0]

    def steps_alone(planned):
        made, order = build(planned, splits).engine, shuffled(len(y), generator(0, "shuffling"))
        made.run(order[None], rates_of(config, y))
        return made.networks[0]

    readable = plan(config.model_copy(update={"engine": "modules"}), splits)
    fast = plan(config.model_copy(update={"engine": "native"}), splits)
    rungs = {
        "modules": partial(whole, readable),
        "bare": lambda: bare_epoch(initial(readable, config.seed, x), x, y, config),
        "native": partial(whole, fast),
        "its steps": partial(steps_alone, fast),
    }
    wanted = rungs["bare"]()
    for name, rung in rungs.items():  # not the same weights, not the same maths: the comparison would be void
        for key, p in rung().items():
            torch.testing.assert_close(p, wanted[key], rtol=1e-3, atol=1e-3, msg=f"{name}: {key}")

    times = measure(rungs, budget=ROUNDS, block=1.0)
    what = "epoch of configs/mlp.yaml, engine modules / a bare loop of the same maths"
    yield at_most(what, times["modules"], times["bare"], 1.3)
    what = "epoch of configs/mlp.yaml, engine native / the engine's steps alone"
    yield at_most(what, times["native"], times["its steps"], 1.1)

    data = measure({"data": partial(prepare, config.data, context)}, budget=FEW_ROUNDS, block=1.0)["data"]
    what = "seconds until cached MNIST is verified, split and normalised"
    yield Row(what, data.median, (0.0, 0.6), data.n, data.quartiles)


def start_up() -> Rows:
    """`mlfound --help` beside the import of its largest part."""
    commands = {"help": ["-m", "mlfound", "--help"], "typer": ["-c", "import typer"]}
    rungs = {
        name: partial(subprocess.run, [sys.executable, *words], check=True, capture_output=True)
        for name, words in commands.items()
    }
    times = measure(rungs, budget=FEW_ROUNDS, block=1.0)
    yield at_most("mlfound --help / python -c 'import typer'", times["help"], times["typer"], 2.0)


def rows() -> Rows:
    torch.set_num_threads(1)
    yield from training(Context(Silence(), default_data_dir(), {}, read_run))
    yield from start_up()
