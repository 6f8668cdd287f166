"""One run from its first message to its last file: what an experiment tells, kept in the run folder."""

import json
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from mlfound.config.loading import dump
from mlfound.errors import UserError, printable
from mlfound.files import blaming, shortfalls, sync_file, write_whole
from mlfound.report.alternatives import alternative
from mlfound.report.tables import csv_bytes
from mlfound.report.terminal import Progress
from mlfound.results import Checkpoint, Result
from mlfound.runs import folder
from mlfound.runs.pages import write_page
from mlfound.runs.status import SCHEMA

if TYPE_CHECKING:
    from filelock import FileLock

    from mlfound.report.drawing import Drawing
    from mlfound.runs.checkpoints import Checkpoints
    from mlfound.runs.run import Screen


RESUMABLE = ("train", "sweep", "remedies")


class RunRecorder:
    """The `Recorder` of a real run, for a `with`: without `finish` the run ends as failed or interrupted.

    Nothing is on disk before `begin`: input that turns out bad until then leaves no folder behind. While it runs,
    it holds a lock on its folder, so that others can tell a running run from a dead one.
    """

    def __init__(self, command: str, runs_dir: Path, name: str | None, screen: "Screen") -> None:
        if name is not None:
            folder.check_name(name)
        self.command, self.runs_dir, self.name = command, runs_dir, name
        self.program = screen.program
        self.command_line = f"{self.program} {shlex.join(screen.arguments)}".rstrip()
        self.console, self.quiet = screen.console, screen.quiet
        self.environment: Mapping[str, Any] = {}  # set before `begin`, when torch is loaded where it will be
        self.bar = Progress(self.console, self.quiet)
        self.drawing: Drawing | None = None  # set before `begin`, unless there are to be no pictures
        self.path: Path  # from `begin` on
        self.has_started = False  # what the folder says is of this process
        self.facts: dict[str, Any] = {"start": now()}
        self.repeated: Mapping[str, Any] = {}  # run.json of the run whose config is carried out again
        self.notes: Sequence[str] = ()  # about the config, to be said when the run begins
        self.early = StringIO()  # the log of before there was a folder
        self.log: IO[str] = self.early
        self.lock: FileLock | None = None
        self.checkpoints: Checkpoints | None = None  # from the first one on
        self.metrics_bytes, self.metrics_digest = 0, sha256()  # of metrics.jsonl so far

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()
        if error is not None and self.has_started and self.facts.get("status") == "running":
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            with suppress(OSError):  # a disk that fails here too must not hide why the run ended
                if status == "interrupted" and self.command in RESUMABLE:
                    self.message(
                        f"Interrupted; {self.program} {self.command} --resume {self.path} goes on from here."
                    )
                self.close(status, error=repr(error))
        with suppress(OSError):
            self.say_shortfalls()  # of what was written since it began
        with suppress(OSError):
            self.log.close()
        if self.lock is not None:
            self.lock.release()
        if self.drawing is not None:
            self.drawing.close()

    def begin(self, config: Any, **facts: Any) -> None:
        """Make the folder; see `Recorder.begin`. UserError if a run is repeated on other data than its own."""
        self.refuse_other_data(facts)
        self.path = folder.create(self.runs_dir, self.command, self.name)
        self.lock = folder.lock(self.path)
        begun = {
            "schema": SCHEMA,
            "id": self.path.name,
            "command": self.command,
            "command_line": self.command_line,
            "status": "running",
            "start": self.facts["start"],
            "end": None,
            **facts,
            "environment": self.environment,
        }
        self.start(config, begun)
        folder.point_latest(self.path)

    def refuse_other_data(self, facts: Mapping[str, Any]) -> None:
        """A path in a config may lead to other files by now."""
        then, now = (each.get("dataset") for each in (self.repeated, facts))
        if isinstance(then, Mapping) and isinstance(now, Mapping) and then.get("digest") != now.get("digest"):
            digests = [str(each.get("digest"))[:12] for each in (now, then)]
            raise UserError(
                f"{self.repeated['id']}: the data is not what this run had (digest {', then '.join(digests)}); "
                "to use the data of now, copy its config.yaml elsewhere"
            )

    def start(self, config: Any, facts: dict[str, Any]) -> None:
        """From here on the folder says that this run is running, and what happens is logged."""
        # the config first: what has begun can be begun again
        write_whole(self.path / "config.yaml", dump(config).encode())
        self.facts, self.has_started = facts, True
        folder.write_json(self.path / "run.json", self.facts)
        self.log = (self.path / "log.txt").open("a", encoding="utf-8", buffering=1)
        with blaming(self.path / "log.txt"):
            self.log.write(self.early.getvalue())
        if reason := (self.environment.get("git") or {}).get("unreadable"):
            self.message(f"run.json has no commit: {reason}")
        for note in self.notes:
            self.message(note)
        self.say_shortfalls()

    def message(self, text: str) -> None:
        """One line to stderr and into `log.txt`."""
        with blaming(Path(getattr(self.log, "name", ""))):
            self.log.write(f"{printable(text)}\n")
        if not self.quiet:
            self.console.print(printable(text), markup=False, soft_wrap=True)

    def say_shortfalls(self) -> None:
        """What the disk turned out to lack."""
        for line in shortfalls():
            self.message(line)

    def metrics(self, rows: Sequence[Mapping[str, float | int]], line: str) -> None:
        """See `Recorder.metrics`."""
        lines = "".join(f"{json.dumps(folder.finite(row))}\n" for row in rows).encode()
        with blaming(self.path / "metrics.jsonl"), (self.path / "metrics.jsonl").open("ab") as file:
            file.write(lines)
        self.metrics_bytes += len(lines)
        self.metrics_digest.update(lines)
        self.message(line)

    def checkpoint(self, checkpoint: Checkpoint, keep: int, best: bool = False) -> None:
        """See `Recorder.checkpoint`. `metrics.jsonl` is on disk before the checkpoint that notes its length."""
        if self.checkpoints is None:
            from mlfound.runs.checkpoints import Checkpoints  # here: it loads torch, which takes seconds

            self.checkpoints = Checkpoints(self.path / "checkpoints", self.path.name)
        with blaming(self.path / "metrics.jsonl"), (self.path / "metrics.jsonl").open("ab") as file:
            sync_file(file, self.path / "metrics.jsonl")
        metrics = {"bytes": self.metrics_bytes, "sha256": self.metrics_digest.hexdigest()}
        noted = Checkpoint(checkpoint.tensors, {**checkpoint.facts, "metrics": metrics})
        self.checkpoints.write(noted, keep, best)

    def progress(self, label: str, done: int, total: int, **figures: str) -> None:
        """The live bar, on a terminal."""
        self.bar.update(label, done, total, figures)

    def finish(self, result: Result) -> dict[str, Any]:
        """Write all that was found, give the summary with id, status and path added."""
        pictures = result.pictures if self.drawing else ()
        drawn = self.drawing.start(pictures) if self.drawing else list
        self.progress(f"drawing {len(pictures)} pictures", 0, 0)
        for kind in ("tables", "plots"):
            (self.path / kind).mkdir(exist_ok=True)  # a resumed run may have come as far before
        for table in result.tables:
            write_whole(self.path / "tables" / f"{table.name}.csv", csv_bytes(table))
        if result.tensors:
            from safetensors.torch import save  # here: a run without tensors need not wait for torch

            tensors = {name: tensor.cpu().contiguous() for name, tensor in result.tensors.items()}
            described = {"mlfound": json.dumps(result.model)}
            write_whole(self.path / "model.safetensors", save(tensors, described))
        for picture, content in zip(pictures, drawn(), strict=True):
            write_whole(self.path / "plots" / f"{picture.name}.png", content)
        self.bar.stop()
        summary = {
            "schema": SCHEMA,
            "metrics": dict(result.metrics),
            "checks": [vars(check) for check in result.checks],
            "findings": list(result.findings),
            "tables": {table.name: table.title for table in result.tables},
            "pictures": {picture.name: alternative(picture) for picture in pictures},
        }
        folder.write_json(self.path / "summary.json", summary)
        status = "failed" if result.status == "completed" and not result.passed else result.status
        self.close(status)
        if self.drawing:
            try:
                self.make_page()
            except KeyboardInterrupt:  # once more: nothing else is missing, and it takes but a moment
                self.make_page()
                raise
        return self.identified(folder.finite(summary))

    def identified(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """A summary with what tells whose it is."""
        return {"id": self.facts["id"], "status": self.facts["status"], "path": str(self.path), **summary}

    def close(self, status: str, **facts: str) -> None:
        """The last word in `run.json`."""
        ended = {**self.facts, "status": status, "end": now(), **facts}
        folder.write_json(self.path / "run.json", ended)
        self.facts = ended

    def make_page(self) -> None:
        """`report.html`. The run is whole without it: where it cannot be written, that is said and no more."""
        try:
            write_page(self.path)
        except (OSError, UserError) as error:
            text = f"report.html could not be written: {error}"
            self.console.print(printable(text), markup=False, soft_wrap=True)


def now() -> str:
    """UTC, to the millisecond, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
