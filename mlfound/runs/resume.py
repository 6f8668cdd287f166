"""A run that ended before its time goes on in its own folder."""

import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlfound.errors import UserError
from mlfound.files import read_plain, remove_debris
from mlfound.results import Result
from mlfound.runs import folder, previous
from mlfound.runs.checkpoints import Checkpoints
from mlfound.runs.plain_files import read_json, refuse_unplain
from mlfound.runs.reader import at
from mlfound.runs.recorder import RunRecorder
from mlfound.runs.status import pause, schema_problem, seconds_paused

if TYPE_CHECKING:
    from mlfound.runs.run import Screen

MAX_METRICS_BYTES = 1024**3
# what in run.json a resume goes by
NEEDED = {
    "id": str,
    "status": str,
    "dataset.digest": str,
    "environment.cpu": str,
    "environment.packages.mlfound": str,
    "environment.packages.torch": str,
    "bits": dict | None,
    "seeds": list | None,
    "resumed": list | None,
}


class ResumedRecorder(RunRecorder):
    """The recorder of a train run that is taken up again; UserError where it cannot be.

    with ResumedRecorder(path, screen) as recorder:
        recorder.facts  # what run.json says; a "completed" one can only go on with more epochs
        recorder.last   # the checkpoint to go on from; None: it ended before the first, start as if it were new
        recorder.rows   # of metrics.jsonl, those before that checkpoint
        recorder.begin(config, **facts)

    It holds the run's lock from the start, so that no other process takes up the same run. Nothing in the folder
    changes before the first step has been made: a run that cannot go on is as it was.
    """

    def __init__(self, path: Path, screen: "Screen") -> None:
        super().__init__("train", path.parent, None, screen)
        self.resumed_at = self.facts["start"]
        self.going_on: Callable[[], None] | None = None  # what the first step brings about
        refuse_unplain(path)
        read_facts(path)  # no lock is left in a folder that is no run
        self.lock = folder.lock(path)
        try:
            self.path, self.facts = path, read_facts(path)  # again: now nobody changes it
            previous.move_back(path)
            self.checkpoints = Checkpoints(path / "checkpoints", self.facts["id"])
            self.last = self.checkpoints.newest(self.message)
            self.rows = self.read_metrics()
        except BaseException:
            self.lock.release()
            raise

    def begin(self, config: Any, **facts: Any) -> None:
        """Go on with this config, from the first step on."""
        if self.last is None:
            self.begin_again()
        self.going_on = partial(self.go_on, config, facts)

    def go_on(self, config: Any, facts: Mapping[str, Any]) -> None:
        """Take the folder back to where the checkpoint was; what was found so far is set aside."""
        for each in (self.path, *(self.path / name for name in ("checkpoints", "tables", "plots"))):
            remove_debris(each)
        begun = self.facts | {"status": "running", "end": None, **facts, "environment": self.environment}
        begun["resumed"] = [*(self.facts.get("resumed") or []), self.resumed_at]
        begun["paused_seconds"] = seconds_paused(self.facts) + pause(self.path, self.facts, self.resumed_at)
        begun.pop("error", None)
        previous.set_aside(self.path)
        if (self.path / "metrics.jsonl").exists():
            os.truncate(self.path / "metrics.jsonl", self.metrics_bytes)
        self.start(config, begun)

    def progress(self, label: str, done: int, total: int, **figures: str) -> None:
        """See `Recorder.progress`; of a training it comes with every step."""
        self.go_on_once()
        super().progress(label, done, total, **figures)

    def finish(self, result: Result) -> dict[str, Any]:
        """See `RunRecorder.finish`."""
        self.go_on_once()
        summary = super().finish(result)
        if result.status == "completed":
            previous.forget(self.path)
        return summary

    def go_on_once(self) -> None:
        if self.going_on is not None:
            go_on, self.going_on = self.going_on, None
            go_on()

    def read_metrics(self) -> list[dict[str, Any]]:
        """The rows that the checkpoint counted, and their bytes for those that follow."""
        if self.last is None:
            return []
        path, noted = self.path / "metrics.jsonl", self.last.facts["metrics"]
        kept = read_plain(path, MAX_METRICS_BYTES)[: noted["bytes"]]
        if sha256(kept).hexdigest() != noted["sha256"]:
            raise UserError(f"{path}: not what its checkpoint noted; {new_run(self.path)}")
        self.metrics_bytes = len(kept)
        self.metrics_digest.update(kept)
        return [json.loads(line) for line in kept.splitlines()]

    def begin_again(self) -> None:
        """Say which epochs are trained again for want of a checkpoint; UserError where they had come to results."""
        path = self.path / "metrics.jsonl"
        rows = len(read_plain(path, MAX_METRICS_BYTES).splitlines()) if path.exists() else 0
        epochs = f"the {rows // len(self.facts.get('seeds') or [0])} epochs so far"
        if self.facts["status"] == "completed":
            raise UserError(
                f"{self.path / 'checkpoints'}: no checkpoint, so {epochs} would be trained again; "
                + new_run(self.path)
            )
        if rows:
            self.message(f"There is no checkpoint: {epochs} are trained again.")


def read_facts(path: Path) -> dict[str, Any]:
    """`run.json` of a run that can go on."""
    facts = read_json(path / "run.json")
    if problem := schema_problem(facts):
        raise UserError(f"{path / 'run.json'}: {problem}")
    if facts.get("command") != "train":
        raise UserError(f"{path}: a run of {facts.get('command')}; only a train run can be resumed")
    wrong = [key for key, kind in NEEDED.items() if not isinstance(at(facts, key), kind)]
    if wrong:
        raise UserError(
            f"{path / 'run.json'}: damaged ({', '.join(wrong)} missing or wrong); {new_run(path)}"
        )
    if facts["status"] == "diverged":
        raise UserError(f"{path}: it diverged, and would again; {new_run(path)} and a smaller optimizer.lr")
    return facts


def new_run(path: Path) -> str:
    """What to do where the run in this folder cannot go on."""
    return f"start a new run with mlfound train {path / 'config.yaml'}"
