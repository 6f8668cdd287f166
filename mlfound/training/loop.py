"""The loop: epochs of steps by an engine, checked now and then, evaluated, kept in checkpoints, resumed."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from time import perf_counter

import torch
from torch import Tensor

from mlfound.data.load import Split, Splits
from mlfound.engines.group import ALONE, Group
from mlfound.engines.recipe import Engine, Named, Rate
from mlfound.foundations.batches import shuffled
from mlfound.foundations.costs import costs
from mlfound.foundations.layers import Loss, bound
from mlfound.foundations.randomness import generator
from mlfound.results import Context, Recorder, Resumed
from mlfound.training.epochs import Epoch, best_epoch, line
from mlfound.training.evaluation import Score, outputs, score
from mlfound.training.halves import Halves, halves
from mlfound.training.inside import Inside
from mlfound.training.plan import Plan
from mlfound.training.rows import Rows
from mlfound.training.snapshots import (
    BEST,
    EPOCH_LOSSES,
    Checkpoints,
    Divergence,
    Snapshot,
    not_finite,
    step_state,
)

CHECK_MULTIPLICATIONS = 3e9  # of all networks in a check interval: some hundredths of a second
MAX_STEPS_PER_CHECK = 100
TRAINING_ROWS = 500  # evaluated beside the validation set: enough to see whether their loss rose, too
SNAPSHOT_STEPS = 500  # at least between two snapshots, to trace a divergence from


class Trainer:
    """Trains the networks of `plan.seeds`, by `engine`. What one of them gets does not depend on the others."""

    def __init__(self, plan: Plan, engine: Engine, rows: Rows, splits: Splits, group: Group = ALONE) -> None:
        self.plan, self.engine, self.rows, self.splits, self.group = plan, engine, rows, splits, group
        self.x, self.batch_size = splits.train.x, plan.recipe.batch_size
        self.shuffling = [generator(seed, "shuffling") for seed in plan.seeds]
        self.steps_per_epoch = math.ceil(len(self.x) / self.batch_size)
        of_a_row = sum(each.multiplications for each in costs(plan.recipe.model, tuple(self.x.shape)))
        steps = int(CHECK_MULTIPLICATIONS / (3 * self.batch_size * len(plan.seeds) * max(1, of_a_row)))
        self.steps_per_check = max(1, min(MAX_STEPS_PER_CHECK, steps))
        self.epochs: list[Epoch] = []  # finished, of each a row a seed
        self.halves: Halves | None = None  # of the finished epochs
        self.best_epoch, self.best = 0, dict[str, Tensor]()  # of the lowest validation loss; see Snapshot
        there = rows.x[: rows.least], rows.y[: rows.least]
        self.inside = Inside(plan.recipe, plan.inside, *there) if plan.inside else None
        self.epoch, self.seconds = 0, 0.0  # epochs that are done; seconds of the one that is not

    def close(self) -> None:
        """End what works beside it."""
        self.rows.close()
        self.engine.close()

    def run(self, context: Context, interrupted: Callable[[], bool] = lambda: False) -> Divergence | None:
        """To the end, or to a divergence, or until it is `interrupted`: then there is a checkpoint to go on from."""
        self.begin(context.resumed)
        checkpoints = Checkpoints(self.plan, context.recorder, self.epochs)
        while not self.ended:
            while self.step < self.steps_per_epoch:
                finite = self.take(self.steps_ahead)
                if not (finite and self.check()):
                    checkpoints.write()  # the best one, which may be waiting
                    return self.trace()
                self.report(context.recorder)
                if interrupted():
                    break

            start = perf_counter()
            self.report(context.recorder)  # a resumed run may begin here
            scores, train = self.evaluate(interrupted)
            if interrupted():  # what is missing is evaluated when it is resumed
                checkpoints.interrupt(self.snapshot())
                return None
            rows = self.figures(scores, eval_seconds=perf_counter() - start)
            valid = zip(self.plan.seeds, scores, strict=False)  # no scores without validation images
            losses = {f"the validation loss of seed {seed}": score.loss for seed, score in valid}
            losses["the loss of training images"] = train
            if diverged := [name for name, loss in losses.items() if not math.isfinite(loss)]:
                checkpoints.write()
                return self.divergence(diverged[0])

            improved = checkpoints.improve(rows)
            context.recorder.metrics([vars(row) for row in rows], line(rows))
            self.epochs += rows
            self.judge([score.row_losses for score in scores], train, improved)
            self.begin_epoch(self.epoch + 1)
            checkpoints.end_epoch(self.last_good, improved, self.ended)
            if interrupted():
                checkpoints.interrupt(self.last_good)
                return None
        return None

    @property
    def ended(self) -> bool:
        """After the planned epochs, or `patience` of them without a lower validation loss, over all seeds."""
        if self.plan.patience is None:
            return self.epoch >= self.plan.epochs
        return self.epoch >= min(self.plan.epochs, self.best_epoch + self.plan.patience)

    @property
    def step(self) -> int:
        """Steps of this epoch that are done."""
        return self.losses.shape[1]

    @property
    def before(self) -> int:
        """Steps of the epochs before this one."""
        return self.epoch * self.steps_per_epoch

    @property
    def done(self) -> int:
        """Steps that are done."""
        return self.before + self.step

    def begin(self, resumed: Resumed | None) -> None:
        """From the checkpoint and the rows of `metrics.jsonl` before it; without one from the beginning."""
        if resumed is None or resumed.checkpoint is None:
            self.begin_epoch(0)
            return
        self.epochs = [Epoch(**row) for row in resumed.rows]
        self.best_epoch = (best_epoch(self.epochs) if self.epochs else None) or 0
        self.restore(Snapshot.of(resumed.checkpoint, self.x.device))

    def begin_epoch(self, epoch: int, seconds: float = 0.0, losses: Tensor | None = None) -> None:
        """After so many epochs: another order for each network; `seconds` and `losses` are of steps already done."""
        self.epoch, self.seconds = epoch, seconds
        self.losses = self.x.new_empty(len(self.plan.seeds), 0) if losses is None else losses
        self.shuffling_before = [each.get_state() for each in self.shuffling]
        order = torch.stack([shuffled(len(self.x), each) for each in self.shuffling])
        self.rows.begin(epoch, order.to(self.x.device), self.step)
        self.last_good = self.snapshot().copy()

    def take(self, steps: int) -> bool:
        """So many steps; whether their losses are finite."""
        start, first, losses = perf_counter(), self.step, [self.losses]
        rows = self.rows.take(first, steps)
        for begin, end in pairwise(self.until_looks(first, first + steps)):
            self.look(begin)
            own = rows[:, (begin - first) * self.batch_size : (end - first) * self.batch_size]
            rates = [Rate(*self.rates(done), done) for done in range(self.before + begin, self.before + end)]
            losses.append(self.engine.run(own, rates))
        self.losses = torch.cat(losses, dim=1)
        finite = bool(self.losses[:, first:].isfinite().all())  # a GPU is done only when a number is here
        self.seconds += perf_counter() - start
        return finite

    @property
    def steps_ahead(self) -> int:
        """From here to the next check, or to the end of the rows there are."""
        return min(self.steps_per_check, self.rows.steps_from(self.step))

    def until_looks(self, first: int, end: int) -> list[int]:
        """These steps of the epoch, from the first to the end, and between them those where a look inside is due."""
        due = [step for step in range(first, end) if self.inside and self.inside.due(self.before + step)]
        return sorted({first, *due, end})

    def look(self, step: int) -> None:
        """Inside the first network, where it is due before this step of the epoch."""
        done = self.before + step
        if self.inside is None or not self.inside.due(done):
            return
        rows = self.rows.near(step, self.inside.rows)
        network, generator = self.engine.networks[0], self.engine.generators[0]
        self.inside.look(done, network, generator, self.rows.x[rows], self.rows.y[rows])

    def rates(self, step: int) -> tuple[float, float]:
        """Learning rate and momentum of this step, counted from 0 over all epochs."""
        return self.plan.rates(step / (self.steps_per_epoch * self.plan.epochs))

    def check(self) -> bool:
        """Whether parameters and optimiser state are finite, looked at only where a new snapshot is due."""
        if self.step < self.steps_per_epoch and self.step - self.last_good.step < SNAPSHOT_STEPS:
            return True
        now = self.snapshot()
        finite = not_finite(now.tensors) is None
        if finite:
            self.last_good = now.copy()
        return finite

    def trace(self) -> Divergence:
        """Go back to the last good snapshot, and from there step by step to where a number is not finite."""
        end = self.step
        self.restore(self.last_good)
        while self.step < end:
            self.take(1)
            losses = {
                f"the loss of seed {seed}": self.losses[n, -1] for n, seed in enumerate(self.plan.seeds)
            }
            if tensor := not_finite({**losses, **self.snapshot().tensors}):
                return self.divergence(tensor)
        # not all a GPU does is repeatable
        return self.divergence("a number that was finite when the steps were repeated")

    def divergence(self, tensor: str) -> Divergence:
        """At the last step that was taken."""
        step = self.done
        return Divergence(step, self.epoch + 1, self.rates(step - 1)[0], tensor)

    def snapshot(self) -> Snapshot:
        """Of now: its tensors are no copies."""
        tensors = {EPOCH_LOSSES: self.losses}
        for n, seed in enumerate(self.plan.seeds):
            tensors[f"shuffling of seed {seed}"] = self.shuffling_before[n]
            tensors[f"dropout of seed {seed}"] = self.engine.generators[n].get_state()
            tensors |= {f"{name} of seed {seed}": tensor for name, tensor in step_state(self.engine, n)}
        looks = [*self.inside.looks] if self.inside else []
        return Snapshot(self.epoch, self.seconds, tensors, self.halves, self.best, looks)

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from there."""
        tensors = snapshot.tensors
        for n, seed in enumerate(self.plan.seeds):
            self.shuffling[n].set_state(tensors[f"shuffling of seed {seed}"].clone())
            self.engine.generators[n].set_state(tensors[f"dropout of seed {seed}"].clone())
            for name, tensor in step_state(self.engine, n):
                tensor.copy_(tensors[f"{name} of seed {seed}"])
        if self.inside:
            self.inside.restore(snapshot.looks)
        self.halves, self.best = snapshot.halves, {} if self.plan.patience is None else snapshot.best
        self.begin_epoch(snapshot.epoch, snapshot.seconds, tensors[EPOCH_LOSSES].to(self.x))

    def evaluate(self, interrupted: Callable[[], bool]) -> tuple[list[Score], float]:
        """Every network on the validation set, and the mean loss on some training rows; less if it is interrupted.

        Without validation images there are no scores.
        """
        few, networks = self.splits.train.first(TRAINING_ROWS), self.engine.networks
        scores = [
            each
            for network in networks
            if len(self.splits.valid.y)
            and not interrupted()
            and (each := self.validate(network, interrupted))
        ]
        losses = [self.loss(network, few) for network in networks if not interrupted()]
        return scores, sum(losses) / len(networks)

    def loss(self, network: Named, split: Split) -> float:
        model, loss = bound(self.plan.recipe.model, network), Loss(self.plan.recipe.loss)
        return loss(torch.cat(outputs(model, split.x, group=self.group)), split.y).item()

    def validate(self, network: Named, interrupted: Callable[[], bool]) -> Score | None:
        """This network on the validation set; None when it is interrupted."""
        model, valid = bound(self.plan.recipe.model, network), self.splits.valid
        parts, loss = outputs(model, valid.x, interrupted, self.group), Loss(self.plan.recipe.loss)
        return None if interrupted() else score(torch.cat(parts), loss, valid.y, self.splits.classes)

    def judge(self, row_losses: Sequence[Tensor], train: float, improved: bool) -> None:
        """Note what the losses after the epoch say, and its networks where they are the best so far."""
        if row_losses:
            after = self.halves.then if self.halves else halves
            self.halves = after(self.epoch + 1, row_losses, train)
        if improved:
            self.best_epoch = self.epoch + 1
        if improved and self.plan.patience is not None:
            self.best = {
                f"{BEST}{name} of seed {seed}": p.clone()
                for seed, network in zip(self.plan.seeds, self.engine.networks, strict=True)
                for name, p in network.items()
            }

    @property
    def result(self) -> list[Named]:
        """The networks that were trained: with early stopping those of the best epoch, else those of now."""
        return [
            {name: self.best.get(f"{BEST}{name} of seed {seed}", p) for name, p in network.items()}
            for seed, network in zip(self.plan.seeds, self.engine.networks, strict=True)
        ]

    def figures(self, scores: Sequence[Score], eval_seconds: float) -> list[Epoch]:
        """The figures of the epoch whose steps are done, a row a network."""
        rates = self.rates((self.epoch + 1) * self.steps_per_epoch - 1)
        seeds = self.plan.seeds
        shared = (*rates, self.seconds, eval_seconds, len(seeds) * len(self.x) / self.seconds)
        valid: list[tuple[float | None, float | None]] = [(score.loss, score.accuracy) for score in scores]
        networks = zip(seeds, self.train_losses(), valid or [(None, None)] * len(seeds), strict=True)
        return [Epoch(self.epoch + 1, seed, loss, *figures, *shared) for seed, loss, figures in networks]

    def train_losses(self) -> list[float]:
        """Of each network the mean over the epoch's rows."""
        sizes = torch.full((self.step,), self.batch_size, dtype=torch.float64)
        sizes[-1] = len(self.x) - (self.step - 1) * self.batch_size
        means: list[float] = (self.losses.double().cpu() @ sizes / len(self.x)).tolist()
        return means

    def report(self, recorder: Recorder) -> None:
        """To the progress bar; after every check interval, for a resumed run takes it as a sign of a step."""
        total = self.plan.epochs * self.steps_per_epoch
        last = self.epochs[-len(self.plan.seeds) :]
        figures = {"loss": f"{self.losses[:, -1].mean():.4f}"}
        if len(self.splits.valid.y):
            known = [row.valid_accuracy for row in last if row.valid_accuracy is not None]
            figures["accuracy"] = f"{sum(known) / len(known):.2%}" if known else "–"
        recorder.progress("training", self.done, total, **figures)
