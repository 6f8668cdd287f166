"""What a training can go back to, or go on from; and when such snapshots are written as checkpoints."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, Self

import torch
from torch import Tensor

from mlfound.engines.recipe import Engine
from mlfound.results import Checkpoint, Recorder
from mlfound.training.epochs import Epoch, by_epoch, mean_valid_loss
from mlfound.training.halves import Halves
from mlfound.training.inside import Look, stacked, unstacked
from mlfound.training.plan import Plan

EPOCH_LOSSES = "losses of this epoch"  # a name among the tensors: (networks, steps done)
ODD, LAST_ODD = (f"validation losses of the odd rows after the {which} epoch" for which in ("chosen", "last"))
BEST = "best "  # begins the names of the best epoch's tensors


@dataclass(frozen=True)
class Divergence:
    """Where a number was first not finite: at which step (of all epochs, from 1), in which tensor of which seed."""

    step: int
    epoch: int
    lr: float
    tensor: str


@dataclass(frozen=True)
class Snapshot:
    """All on which the rest of a training depends, after `epoch` whole epochs and some steps of the next.

    `tensors` are, by the names that checkpoints and messages use, the losses of those steps, and of each network the
    states that its generators had for shuffling (at the beginning of the epoch) and have for dropout, the states of
    its optimiser and of its layers, and its parameters. `seconds` were spent on those steps. `best` are, with early
    stopping, the parameters and the state of the layers after the epoch with the lowest validation loss.
    """

    epoch: int
    seconds: float
    tensors: Mapping[str, Tensor]
    halves: Halves | None = None  # of the epochs that are done; never without validation images
    best: dict[str, Tensor] = field(default_factory=dict)
    looks: Sequence[Look] = ()  # of all steps that are done

    @classmethod
    def of(cls, checkpoint: Checkpoint, device: torch.device) -> Self:
        """The snapshot that was written as this checkpoint."""
        facts, tensors = checkpoint.facts, checkpoint.tensors
        best = {name: tensor.to(device) for name, tensor in tensors.items() if name.startswith(BEST)}
        halves = None
        if "halves" in facts:
            odd, last_odd = (tensors[name].to(device) for name in (ODD, LAST_ODD))
            halves = Halves(**facts["halves"], odd=odd, last_odd=last_odd)
        return cls(facts["epoch"], facts["seconds"], tensors, halves, best, unstacked(tensors))

    def checkpoint(self, config: Mapping[str, Any]) -> Checkpoint:
        """What is to be written of it."""
        facts = {"epoch": self.epoch, "step": self.step, "seconds": self.seconds, "config": config}
        tensors = {**self.tensors, **stacked(self.looks)}
        if self.halves is None:
            return Checkpoint(tensors, facts)
        odd = {ODD: self.halves.odd, LAST_ODD: self.halves.last_odd.clone()}  # two, also where they are one
        means = {name: getattr(self.halves, name) for name in ("epoch", "even", "train", "last_train")}
        return Checkpoint({**tensors, **odd, **self.best}, {**facts, "halves": means})

    @property
    def step(self) -> int:
        """Steps that are done of the epoch after `epoch`."""
        return self.tensors[EPOCH_LOSSES].shape[1]

    def copy(self) -> Self:
        """With tensors of its own: those that steps change."""
        return replace(self, tensors={name: tensor.clone() for name, tensor in self.tensors.items()})


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first one that holds a nan or an infinity."""
    return next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), None)


def step_state(engine: Engine, n: int) -> Iterator[tuple[str, Tensor]]:
    """What a step changes in network `n`, no copies: what goes wrong first comes first."""
    for kind, named in engine.optimizer[n].items():
        yield from ((f"{kind} of {name}", tensor) for name, tensor in named.items())
    yield from engine.networks[n].items()


class Checkpoints:
    """Writes the snapshots that are due by the plan, and that of the best epoch whether it is due or not.

    The best one waits, for a better may follow. It is written before the rows of a worse epoch are recorded: a
    checkpoint notes where `metrics.jsonl` ends. `epochs` are those that are done.
    """

    def __init__(self, plan: Plan, recorder: Recorder, epochs: Sequence[Epoch]) -> None:
        self.plan, self.recorder = plan, recorder
        self.lowest = min(map(mean_valid_loss, by_epoch(epochs)), default=math.inf)
        self.best: Snapshot | None = None  # not yet written
        self.saved_at, self.saved = monotonic(), (0, 0)  # when, and of which epoch and step

    def improve(self, rows: Sequence[Epoch]) -> bool:
        """Whether these rows, not yet recorded, are the best epoch so far; if not, that one is written now."""
        loss = mean_valid_loss(rows)
        if loss < self.lowest:
            self.lowest = loss
            return True
        self.write()
        return False

    def end_epoch(self, snapshot: Snapshot, improved: bool, last: bool) -> None:
        """After the rows are recorded: written when it is due, and the last one always is."""
        if improved:
            self.best = snapshot
        policy = self.plan.checkpoint
        if last or (snapshot.epoch % policy.every == 0 and monotonic() - self.saved_at >= policy.seconds):
            self.write(snapshot)

    def interrupt(self, snapshot: Snapshot) -> None:
        """What a resumed run goes on from: this one, unless it is on its way to diverge, then the last good one."""
        with suppress(FloatingPointError):
            self.write(snapshot)

    def write(self, snapshot: Snapshot | None = None) -> None:
        """The best one, unless that is done, and then this one."""
        best, self.best = self.best, None
        if best is not None:
            self.to_recorder(best, is_best=True)
        if snapshot is not None and (snapshot.epoch, snapshot.step) != self.saved:
            self.to_recorder(snapshot)

    def to_recorder(self, snapshot: Snapshot, is_best: bool = False) -> None:
        checkpoint = snapshot.checkpoint(self.plan.config.model_dump(mode="json"))
        self.recorder.checkpoint(checkpoint, self.plan.checkpoint.keep, is_best)
        self.saved_at, self.saved = monotonic(), (snapshot.epoch, snapshot.step)
