"""What an experiment is given and what it gives back: plain data, so that screen, file and page can each show it.

An experiment is `run(config, context) -> Result`. It computes; it never prints, plots or opens a file.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, Protocol


@dataclass(frozen=True)
class Column:
    """One column of a table: its name in the CSV (with its unit: `median_s`), how the screen shows it, its values."""

    name: str
    label: str = ""  # on screen; without one the name is shown
    format: str = ""  # a format spec for the screen (".4f", ".2%"), or "duration"; the CSV keeps every digit
    of: str | Callable[[Any], Any] = ""  # of a record: a dotted attribute ("timing.median") or a function
    rank: int = field(
        default=2, kw_only=True
    )  # 1: it identifies rows, as the first does; the highest gives way

    def value(self, record: Any) -> Any:
        """What this column shows of a record; without an `of`, the attribute of its name; None of what is None."""
        if callable(self.of):
            return self.of(record)
        for name in (self.of or self.name).split("."):
            record = None if record is None else getattr(record, name)
        return record


# Where a table is on the screen: by default above the findings, or without any, as a ladder with a line a rung is;
# only with --verbose; or not at all, since it is too long, and the CSV has it
Shown = Literal["always", "alone", "verbose", "never"]


@dataclass(frozen=True)
class Table:
    """Rows of plain values under `columns`; `name` is the stem of its CSV file. None is an empty cell."""

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    shown: Shown = "verbose"

    @classmethod
    def of(
        cls,
        name: str,
        title: str,
        columns: Sequence[Column],
        records: Iterable[Any],
        shown: Shown = "verbose",
    ) -> "Table":
        """A row for each record; each column knows what it shows of one."""
        rows = [[column.value(record) for column in columns] for record in records]
        return cls(name, title, columns, rows, shown)


@dataclass(frozen=True)
class Picture:
    """`kind` is a name in `report/pictures.py`, `data` that function's arguments; `name` is the stem of the PNG."""

    name: str
    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Check:
    """A measured value against its bound. A run with a check that did not pass ends with exit code 1."""

    name: str
    passed: bool
    value: float
    bound: float


@dataclass(frozen=True)
class Result:
    """What a run found. `findings` are whole sentences, the most important first, `tensors` the final weights.

    `metrics` are numbers, the most important first; their names say label and unit: `train_seconds`, `test_accuracy`.
    A verdict among them is true or false: `overfitting`.
    """

    metrics: Mapping[str, float | int] = field(default_factory=dict)
    status: Literal["completed", "failed", "diverged"] = "completed"
    checks: Sequence[Check] = ()
    findings: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    tensors: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)  # what the tensors are, in JSON's terms

    @property
    def passed(self) -> bool:
        """Completed, and every check passed."""
        return self.status == "completed" and all(check.passed for check in self.checks)

    def ranked(self, *patterns: str) -> "Result":
        """The same, the metrics whose names match these patterns ("matmul_*") first: they are shown first."""
        first = [name for pattern in patterns for name in self.metrics if fnmatchcase(name, pattern)]
        return replace(self, metrics={name: self.metrics[name] for name in (*first, *self.metrics)})

    def __add__(self, other: "Result") -> "Result":
        """What two parts found, one after the other; it is completed only if both are."""
        return Result(
            {**self.metrics, **other.metrics},
            other.status if self.status == "completed" else self.status,
            [*self.checks, *other.checks],
            [*self.findings, *other.findings],
            [*self.tables, *other.tables],
            [*self.pictures, *other.pictures],
            {**self.tensors, **other.tensors},
            {**self.model, **other.model},
        )


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on as if it had never stopped: tensors by flat names, `facts` that JSON can hold."""

    tensors: Mapping[str, Any]
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Resumed:
    """What an earlier part of this run left: its last checkpoint, and the rows of `metrics.jsonl` before that."""

    checkpoint: Checkpoint | None  # None: it was interrupted before the first one
    rows: Sequence[Mapping[str, Any]]
    facts: Mapping[str, Any]  # its `run.json`


class Recorder(Protocol):
    """Where an experiment tells how it goes."""

    def begin(self, config: Any, **facts: Any) -> None:
        """The input is good: make the run folder, with the resolved config and what `run.json` should say.

        Until then nothing has been written, so a UserError raised before it leaves no trace.
        """
        ...

    def message(self, text: str) -> None:
        """One line for stderr and the log."""
        ...

    def metrics(self, rows: Sequence[Mapping[str, float | int]], line: str) -> None:
        """Rows for `metrics.jsonl`, kept at once; a `line` of them for stderr and the log."""
        ...

    def checkpoint(self, checkpoint: Checkpoint, keep: int, best: bool = False) -> None:
        """Keep this state durably, with the rows of `metrics.jsonl` so far, and of all the last `keep` and the best.

        FloatingPointError, with the name of the tensor, where one is not finite: then nothing is written.
        """
        ...

    def progress(self, label: str, done: int, total: int, **figures: str) -> None:
        """How far `label` has come; a bar on a terminal, with the figures behind it. Cheap: call it freely."""
        ...


@dataclass(frozen=True)
class EarlierRun:
    """A run folder read back: `facts` are its `run.json`, `tables` the rows of its CSV files by name, as text."""

    path: Path
    facts: Mapping[str, Any]
    config: Mapping[str, Any]
    tables: Mapping[str, Sequence[Mapping[str, str]]]
    metrics: Mapping[str, Any]  # of its `summary.json`


@contextmanager
def at_once() -> Iterator[Callable[[], bool]]:
    """For where Ctrl-C takes effect at once."""
    yield lambda: False


def no_runs(command: str) -> tuple[Sequence[EarlierRun], Mapping[str, int]]:
    """For who has no runs folder."""
    return (), {}


@dataclass(frozen=True)
class Context:
    """What an experiment is given besides its config."""

    recorder: Recorder
    data_dir: Path
    environment: Mapping[str, Any]  # machine and versions, as `run.json` will have them
    read_run: Callable[
        [str, str], EarlierRun
    ]  # from what the user calls it and the config key that stands in
    # of a command: its completed runs, oldest first, and how many others there are, by what became of them
    all_runs: Callable[[str], tuple[Sequence[EarlierRun], Mapping[str, int]]] = no_runs
    resumed: Resumed | None = None  # what to go on from
    # within it Ctrl-C and SIGTERM wait to take effect: it gives whether one has come, and lets it at its end
    interruption: Callable[[], AbstractContextManager[Callable[[], bool]]] = at_once
    ranks: Any = None  # engines.ranks.Ranks, where torchrun started several processes to train together
