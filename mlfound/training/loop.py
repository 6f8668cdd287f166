"""A training in progress: steps by an engine, looked at now and then, kept in checkpoints, taken up again."""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic, perf_counter

import torch
from torch import Tensor

from mlfound.config.training import TrainConfig
from mlfound.data.load import Splits
from mlfound.engines.recipe import Engine, Network
from mlfound.foundations.batches import shuffled
from mlfound.foundations.randomness import generator
from mlfound.foundations.schedules import SCHEDULES
from mlfound.results import Checkpoint, Context, Resumed
from mlfound.training.epochs import Epoch, by_epoch, line, mean_valid_loss
from mlfound.training.scoring import Score
from mlfound.training.state import LOSSES, Divergence, copied, not_finite, numbers

LOOK = 3e9  # multiplications of all networks between two looks: some hundredths of a second
LONGEST_LOOK = 100  # steps
MILESTONE = 500  # steps at least between two copies of the state, to trace a divergence from


class Training:
    """The networks of the seeds `config.seed` and following. What one of them gets does not depend on the others.

    `ask` is how a network is judged after each epoch.
    """

    def __init__(
        self,
        config: TrainConfig,
        engine: Engine,
        splits: Splits,
        ask: Callable[[Network], Score],
        context: Context,
    ) -> None:
        self.config, self.engine, self.ask, self.context = config, engine, ask, context
        self.x = splits.train.x
        self.seeds = config.seeds
        self.shuffling = [generator(seed, "shuffling") for seed in self.seeds]
        self.steps_an_epoch = math.ceil(len(self.x) / config.batch_size)
        products = sum(w.numel() for network in engine.networks for w in network.values())
        self.steps_a_look = max(1, min(LONGEST_LOOK, int(LOOK / (3 * config.batch_size * products))))
        self.epochs: list[Epoch] = []  # finished, of each a row a seed
        self.lowest = math.inf  # validation loss of an epoch, in the mean over the seeds
        self.best: dict[str, Tensor] | None = (
            None  # state after the best epoch, not yet written: a better may follow
        )
        self.seconds = 0.0  # of this epoch
        self.saved_at = monotonic()
        self.begin_epoch()

    @property
    def finished(self) -> int:
        """Epochs that are done."""
        return len(self.epochs) // len(self.seeds)

    @property
    def step(self) -> int:
        """Steps of this epoch that are done."""
        return self.losses.shape[1]

    def run(self, interrupted: Callable[[], bool] = lambda: False) -> Divergence | None:
        """To the end, or to a divergence, or until it is `interrupted`: then there is a checkpoint to go on from."""
        while self.finished < self.config.epochs:
            divergence = self.advance(min(self.steps_a_look, self.steps_an_epoch - self.step))
            if divergence:
                self.keep_best()
                return divergence
            if interrupted():
                with suppress(FloatingPointError):  # on its way to diverge: then the last good one stays
                    self.keep()
                return None
        return None

    def begin_epoch(self, losses: Tensor | None = None) -> None:
        """Another order for each network, and a state to trace a divergence from; `losses` of steps already done."""
        self.before = [each.get_state() for each in self.shuffling]
        self.losses = self.x.new_empty(len(self.seeds), 0) if losses is None else losses
        self.order = torch.stack([shuffled(len(self.x), each) for each in self.shuffling]).to(self.x.device)
        self.milestone = copied(self.state())

    def advance(self, steps: int) -> Divergence | None:
        """Some steps of this epoch, and a look at them; at its end also at how the networks answer."""
        start = perf_counter()
        self.take(steps)
        finite = bool(self.losses.isfinite().all())
        self.seconds += perf_counter() - start
        ended = self.step == self.steps_an_epoch
        if finite and (ended or self.step - self.milestone[LOSSES].shape[1] >= MILESTONE):
            state = self.state()
            if finite := not_finite(state) is None:
                self.milestone = copied(state)
        if not finite:
            return self.trace()
        self.report()
        return self.end_epoch() if ended else None

    def take(self, steps: int) -> None:
        """So many steps."""
        size, done = self.config.batch_size, self.finished * self.steps_an_epoch
        rows = self.order[:, self.step * size : (self.step + steps) * size]
        rates = [self.rates(done + self.step + n) for n in range(steps)]
        self.losses = torch.cat([self.losses, self.engine.run(rows, rates)], dim=1)

    def rates(self, step: int) -> tuple[float, float]:
        """Learning rate and momentum of this step, counted from 0 over all epochs."""
        optimizer, steps = self.config.optimizer, self.steps_an_epoch * self.config.epochs
        return SCHEDULES[self.config.schedule](step / steps, optimizer.lr, optimizer.momentum)

    def report(self) -> None:
        """To the progress bar."""
        done, steps = (
            self.finished * self.steps_an_epoch + self.step,
            self.config.epochs * self.steps_an_epoch,
        )
        loss = f"{self.losses[:, -1].mean():.4f}"
        last = self.epochs[-len(self.seeds) :]
        accuracy = f"{sum(each.valid_accuracy for each in last) / len(last):.2%}" if last else "–"
        self.context.recorder.progress("training", done, steps, loss=loss, accuracy=accuracy)

    def end_epoch(self) -> Divergence | None:
        """The figures of every network, and a checkpoint when it is time for one."""
        start = perf_counter()
        scores = [self.ask(network) for network in self.engine.networks]
        asked = perf_counter() - start
        done = (self.finished + 1) * self.steps_an_epoch
        lr, momentum = self.rates(done - 1)
        for seed, score in zip(self.seeds, scores, strict=True):
            if not math.isfinite(score.loss):
                return Divergence(done, self.finished + 1, lr, f"the validation loss of seed {seed}")
        rows = [
            Epoch(
                epoch=self.finished + 1,
                seed=seed,
                train_loss=loss,
                valid_loss=score.loss,
                valid_accuracy=score.accuracy,
                lr=lr,
                momentum=momentum,
                train_seconds=self.seconds,
                eval_seconds=asked,
                images_per_s=len(self.seeds) * len(self.x) / self.seconds,
            )
            for seed, loss, score in zip(self.seeds, self.train_losses(), scores, strict=True)
        ]
        improved = mean_valid_loss(rows) < self.lowest
        if not improved:
            self.keep_best()  # before these rows: a checkpoint notes where metrics.jsonl ends
        self.epochs += rows
        self.context.recorder.metrics([vars(row) for row in rows], line(rows))
        self.seconds = 0.0
        self.begin_epoch()
        if improved:
            self.lowest, self.best = mean_valid_loss(rows), self.milestone
        if self.due():
            self.keep()
        return None

    def train_losses(self) -> list[float]:
        """Of each network the mean over the epoch's rows."""
        sizes = torch.full((self.step,), self.config.batch_size, dtype=torch.float64)
        sizes[-1] = len(self.x) - (self.step - 1) * self.config.batch_size
        means: list[float] = (self.losses.double().cpu() @ sizes / len(self.x)).tolist()
        return means

    def trace(self) -> Divergence:
        """Go back to where all was well, and from there step by step to where it was not."""
        end = self.step
        self.restore(self.milestone)
        while self.step < end:
            self.take(1)
            losses = {f"the loss of seed {seed}": self.losses[n, -1] for n, seed in enumerate(self.seeds)}
            tensor = not_finite({**losses, **self.state()})
            if tensor is not None:
                step = self.finished * self.steps_an_epoch + self.step
                return Divergence(step, self.finished + 1, self.rates(step - 1)[0], tensor)
        step = self.finished * self.steps_an_epoch + end
        tensor = "a number that was finite when the steps were repeated"  # not all a GPU does is repeatable
        return Divergence(step, self.finished + 1, self.rates(step - 1)[0], tensor)

    def state(self) -> dict[str, Tensor]:
        """All that a step depends on and changes, by name; no copies."""
        state = {LOSSES: self.losses}
        for n, seed in enumerate(self.seeds):
            state[f"shuffling of seed {seed}"] = self.before[n]
            state[f"dropout of seed {seed}"] = self.engine.generators[n].get_state()
            for name, tensor in numbers(self.engine, n):
                state[f"{name} of seed {seed}"] = tensor
        return state

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        for n, seed in enumerate(self.seeds):
            self.shuffling[n].set_state(state[f"shuffling of seed {seed}"].clone())
            self.engine.generators[n].set_state(state[f"dropout of seed {seed}"].clone())
            for name, tensor in numbers(self.engine, n):
                tensor.copy_(state[f"{name} of seed {seed}"])
        self.begin_epoch(state[LOSSES].to(self.x))

    def due(self) -> bool:
        """Whether the end of this epoch is to be kept: the last one always is."""
        every, seconds = self.config.checkpoint.every, self.config.checkpoint.seconds
        if self.finished == self.config.epochs:
            return True
        return self.finished % every == 0 and monotonic() - self.saved_at >= seconds

    def keep(self) -> None:
        """Write a checkpoint of this state, and before it that of the best epoch."""
        is_best = self.best is not None and self.step == 0
        self.keep_best()
        if not is_best:
            self.write(self.state())

    def keep_best(self) -> None:
        """Write the checkpoint of the best epoch, unless that is done."""
        if self.best is not None:
            self.write(self.best, best=True)
            self.best = None

    def write(self, state: Mapping[str, Tensor], best: bool = False) -> None:
        """A checkpoint of a state of this epoch."""
        step = state[LOSSES].shape[1]
        facts = {
            "epoch": self.finished,
            "step": step,
            "seconds": self.seconds if step else 0.0,
            "config": self.config.model_dump(mode="json"),
        }
        self.context.recorder.checkpoint(Checkpoint(state, facts), self.config.checkpoint.keep, best=best)
        self.saved_at = monotonic()

    def resume(self, resumed: Resumed) -> None:
        """Go on from a checkpoint and the rows of `metrics.jsonl` before it; without one from the beginning."""
        if resumed.checkpoint is None:
            return
        self.epochs = [Epoch(**row) for row in resumed.rows]
        self.lowest = min(map(mean_valid_loss, by_epoch(self.epochs)), default=math.inf)
        self.restore(resumed.checkpoint.tensors)
        self.seconds = resumed.checkpoint.facts["seconds"]
