"""A run that ended before its time goes on in its own folder."""

import json
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from rich.console import Console

from mlfound.errors import UserError
from mlfound.files import remove_debris
from mlfound.runs import folder
from mlfound.runs.checkpoints import Checkpoints
from mlfound.runs.plain_files import read_json, read_plain
from mlfound.runs.recorder import RunRecorder, now
from mlfound.runs.status import schema_problem

LARGEST = 1024**3  # bytes of metrics.jsonl


class ResumedRecorder(RunRecorder):
    """The recorder of a train run that is taken up again; UserError where it cannot be.

    with ResumedRecorder(path, sys.argv[1:], environment, console, quiet) as recorder:
        recorder.facts  # what run.json says; a "completed" one can only go on with more epochs
        recorder.last   # the checkpoint to go on from; None: it ended before the first, start as if it were new
        recorder.rows   # of metrics.jsonl, those before that checkpoint
        recorder.begin(config, **facts)

    It holds the run's lock from the start, so that no other process takes up the same run; until `begin` nothing in
    the folder changes.
    """

    def __init__(
        self,
        path: Path,
        arguments: Sequence[str],
        environment: Mapping[str, Any],
        console: Console,
        quiet: bool,
    ) -> None:
        super().__init__("train", arguments, path.parent, None, environment, console, quiet)
        read_facts(path)  # no lock is left in a folder that is no run
        self.lock = folder.lock(path)
        try:
            self.place, self.facts = path, read_facts(path)  # again: now nobody changes it
            self.checkpoints = Checkpoints(path / "checkpoints", self.facts["id"])
            self.last = self.checkpoints.newest(self.message)
            self.rows = self.read_metrics()
        except BaseException:
            self.lock.release()
            raise

    def begin(self, config: Any, **facts: Any) -> None:
        """Take the folder back to where the checkpoint was, and go on in it."""
        self.path = self.place
        for each in (self.path, *(self.path / name for name in ("checkpoints", "tables", "plots"))):
            remove_debris(each)
        if (self.path / "metrics.jsonl").exists():
            os.truncate(self.path / "metrics.jsonl", self.metrics_bytes)
        begun = self.facts | {"status": "running", "end": None, **facts, "environment": self.environment}
        begun["resumed"] = [*self.facts.get("resumed", []), now()]
        begun.pop("error", None)
        self.start(self.path, config, begun)

    def read_metrics(self) -> list[dict[str, Any]]:
        """The rows that the checkpoint counted, and their bytes for those that follow."""
        if self.last is None:
            return []
        path, noted = self.place / "metrics.jsonl", self.last.facts["metrics"]
        kept = read_plain(path, LARGEST)[: noted["bytes"]]
        if sha256(kept).hexdigest() != noted["sha256"]:
            raise UserError(
                f"{path}: not what its checkpoint noted; "
                f"start a new run with mlfound train {self.place / 'config.yaml'}"
            )
        self.metrics_bytes = len(kept)
        self.metrics_digest.update(kept)
        return [json.loads(line) for line in kept.splitlines()]


def read_facts(path: Path) -> dict[str, Any]:
    """`run.json` of a run that can go on."""
    facts = read_json(path / "run.json")
    problem = schema_problem(facts)
    if problem is None and not isinstance(facts.get("id"), str):
        problem = "damaged (no id)"
    if problem is None and not isinstance(facts.get("resumed", []), list):
        problem = "damaged (resumed is no list)"
    if problem is not None:
        raise UserError(f"{path / 'run.json'}: {problem}")
    if facts.get("command") != "train":
        raise UserError(f"{path}: a run of {facts.get('command')}; only a train run can be resumed")
    if facts.get("status") == "diverged":
        raise UserError(
            f"{path}: it diverged, and would again; start a new run with mlfound train {path / 'config.yaml'} "
            "and a smaller optimizer.lr"
        )
    return facts
