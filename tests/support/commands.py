"""The command line in this process, and what a refusal must look like."""

import csv
import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from typer.testing import CliRunner

import mlfound.report.pictures  # where it is loaded, pictures need no process of their own
from mlfound.cli import app
from mlfound.errors import LONGEST


@dataclass(frozen=True)
class Outcome:
    """What a command line ended with, and what it left."""

    code: int
    out: str
    err: str

    @property
    def path(self) -> Path:
        """The run folder."""
        return Path(self.out.splitlines()[-1])

    def rows(self, table: str) -> list[dict[str, str]]:
        """The rows of one of its tables."""
        with (self.path / "tables" / f"{table}.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def json(self, name: str) -> Any:
        """The content of `run.json` or `summary.json`."""
        return json.loads((self.path / name).read_text(encoding="utf-8"))


def mlfound(*arguments: str | Path | float, typed: str = "") -> Outcome:
    """Run `mlfound` with these arguments: mlfound("train", "--set", "epochs=1"). A traceback is a bug and raised."""
    result = CliRunner().invoke(app, [str(each) for each in arguments], input=typed, prog_name="mlfound")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout, result.stderr)


def without_git() -> AbstractContextManager[object]:
    """Runs that do not ask git for the state of the code: four processes each, and no part of what is tried."""
    return patch("mlfound.runs.environment.git_state", return_value=None)


def refused(outcome: Outcome, *words: str, codes: tuple[int, ...] = (2,)) -> str:
    """It ended with one of the codes and one printable line that says all `words`, nothing on stdout; that line."""
    assert outcome.code in codes, f"exit code {outcome.code}: {outcome.err!r:.300}"
    assert not outcome.out, f"stdout: {outcome.out!r:.300}"
    first, _, rest = outcome.err.partition("\n")
    err = rest if first.startswith("mlfound ") and rest else outcome.err  # after what it says that it loads
    line = check_line(err.removesuffix("\n"))
    for word in words:
        assert word in line, f"{word!r} is not in {line!r}"
    return line


def refused_at_once(outcome: Outcome, *words: str) -> None:
    """The same, and there is no runs folder."""
    refused(outcome, *words)
    assert not Path("runs").exists()


def check_line(line: str) -> str:
    """It is one printable line of bearable length; that line."""
    assert line, "nothing was said"
    assert line.isprintable(), f"not one printable line: {line!r:.300}"
    assert len(line) <= LONGEST, f"a line of {len(line)} characters"
    return line
