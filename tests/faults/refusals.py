"""The command line in this process, and what a refusal must look like."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from typer.testing import CliRunner

from mlfound.cli import app
from mlfound.errors import LONGEST


@dataclass(frozen=True)
class Outcome:
    """What a command line ended with."""

    code: int
    out: str
    err: str


def mlfound(*arguments: str | Path) -> Outcome:
    """Run `mlfound` with these arguments; what would be a traceback is raised."""
    result = CliRunner().invoke(app, [str(each) for each in arguments], prog_name="mlfound")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout, result.stderr)


def without_git() -> AbstractContextManager[object]:
    """Runs that do not ask git for the state of the code: four processes each, and no part of what is tried."""
    return patch("mlfound.runs.environment.git_state", return_value=None)


def check_refused(outcome: Outcome, *codes: int) -> str:
    """It ended with one of the codes and one printable line, and nothing on stdout; that line."""
    assert outcome.code in codes, f"exit code {outcome.code}: {outcome.err!r:.300}"
    assert not outcome.out, f"stdout: {outcome.out!r:.300}"
    return check_line(outcome.err.removesuffix("\n"))


def check_line(line: str) -> str:
    """It is one printable line of bearable length; that line."""
    assert line, "nothing was said"
    assert line.isprintable(), f"not one printable line: {line!r:.300}"
    assert len(line) <= LONGEST, f"a line of {len(line)} characters"
    return line
