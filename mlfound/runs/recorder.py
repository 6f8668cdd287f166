"""One run from its first message to its last file: what an experiment tells, kept in the run folder."""

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from filelock import FileLock
from rich.console import Console
from safetensors.torch import save

from mlfound.config.loading import dump
from mlfound.errors import printable
from mlfound.files import write_whole
from mlfound.report.pictures import png
from mlfound.report.tables import csv_bytes
from mlfound.report.terminal import Progress
from mlfound.results import Result
from mlfound.runs import folder

SCHEMA = 1


class RunRecorder:
    """The `Recorder` of a real run. Use it in a `with`: leaving it without `finish` marks the run as broken off.

    Nothing is on disk before `begin`: input that turns out bad until then leaves no folder behind. While it runs,
    it holds a lock on its folder, so that others can tell a running run from a dead one.
    """

    def __init__(
        self,
        command: str,
        arguments: Sequence[str],
        runs_dir: Path,
        name: str | None,
        environment: Mapping[str, Any],
        console: Console,
        quiet: bool,
    ) -> None:
        if name is not None:
            folder.check_name(name)
        self.command, self.runs_dir, self.name = command, runs_dir, name
        self.command_line = shlex.join(["mlfound", *arguments])
        self.environment, self.console, self.quiet = environment, console, quiet
        self.bar = Progress(console) if not quiet else None
        self.path: Path | None = None
        self.facts: dict[str, Any] = {"start": now()}
        self.early: list[str] = []  # messages from before there was a folder
        self.log: IO[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_bar()
        if error is not None and self.path is not None:
            self.close("interrupted" if isinstance(error, KeyboardInterrupt) else "failed", error=repr(error))

    def begin(self, config: Any, **facts: Any) -> None:
        """Make the folder; see `Recorder.begin`."""
        self.path = folder.create(self.runs_dir, self.command, self.name)
        self.lock = FileLock(self.path / ".lock")
        self.lock.acquire()
        self.facts = {
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
        write_whole(self.path / "config.yaml", dump(config).encode())
        folder.write_json(self.path / "run.json", self.facts)
        self.log = (self.path / "log.txt").open("a", encoding="utf-8", buffering=1)
        self.log.writelines(self.early)
        folder.point_latest(self.path)

    def message(self, text: str) -> None:
        """One line to stderr and into `log.txt`."""
        self.keep(text)
        if not self.quiet:
            self.console.print(printable(text), markup=False, soft_wrap=True)

    def metrics(self, row: Mapping[str, float | int]) -> None:
        """One line of `metrics.jsonl`; for whoever has no progress bar, a line of text too."""
        assert self.path is not None, "metrics before begin"
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(folder.finite(row)) + "\n")
        text = "  ".join(
            f"{name} {value:{',.0f' if value >= 1000 else '.4g'}}" for name, value in row.items()
        )
        if self.console.is_terminal:
            self.keep(text)
        else:
            self.message(text)

    def progress(self, label: str, done: int, total: int, **figures: str) -> None:
        """The live bar, on a terminal."""
        if self.bar is not None:
            self.bar.update(label, done, total, figures)

    def finish(self, result: Result) -> dict[str, Any]:
        """Write all that was found, give the summary with id, status and path added."""
        assert self.path is not None, "finish before begin"
        self.stop_bar()
        for kind in ("tables", "plots"):
            (self.path / kind).mkdir()
        for table in result.tables:
            write_whole(self.path / "tables" / f"{table.name}.csv", csv_bytes(table))
        for picture in result.pictures:
            write_whole(self.path / "plots" / f"{picture.name}.png", png(picture))
        if result.tensors:
            tensors = {name: tensor.cpu().contiguous() for name, tensor in result.tensors.items()}
            write_whole(self.path / "model.safetensors", save(tensors))
        summary = {
            "schema": SCHEMA,
            "metrics": dict(result.metrics),
            "checks": [vars(check) for check in result.checks],
            "findings": list(result.findings),
        }
        folder.write_json(self.path / "summary.json", summary)
        status = "failed" if result.status == "completed" and not result.passed else result.status
        self.close(status)
        added = {"id": self.path.name, "status": status, "path": str(self.path)}
        return {**added, **folder.finite(summary)}

    def close(self, status: str, **facts: str) -> None:
        """The last word in `run.json`; then the lock is free."""
        assert self.path is not None
        self.facts |= {"status": status, "end": now(), **facts}
        folder.write_json(self.path / "run.json", self.facts)
        if self.log is not None:
            self.log.close()
        self.lock.release()

    def keep(self, text: str) -> None:
        """Into the log, or for it until there is one."""
        line = f"{printable(text)}\n"
        if self.log is None:
            self.early.append(line)
        else:
            self.log.write(line)

    def stop_bar(self) -> None:
        if self.bar is not None:
            self.bar.stop()


def now() -> str:
    """UTC, to the millisecond, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
