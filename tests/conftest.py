"""What all tests share: nothing they do lands outside their own folder, and the real MNIST where it can be had."""

import csv
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """A test runs in its own empty folder; run folders go to `runs` in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFOUND_RUNS_DIR", raising=False)
    return tmp_path


@pytest.fixture(autouse=True, scope="session")
def heeded_interrupts():
    """Ctrl-C counts in the tests, also where they were started in the background of a script, which ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Outcome:
    """What a command line ended with, and what it left."""

    code: int
    out: str
    err: str

    @property
    def path(self):
        """The run folder."""
        return Path(self.out.splitlines()[-1])

    def rows(self, table):
        """The rows of one of its tables."""
        with (self.path / "tables" / f"{table}.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def json(self, name):
        """The content of `run.json` or `summary.json`."""
        return json.loads((self.path / name).read_text(encoding="utf-8"))


@pytest.fixture
def mlfound():
    """The command line, in this process: mlfound("train", "--set", "epochs=1")."""
    from mlfound.cli import app

    def run(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="mlfound")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception  # a traceback for the user is a bug of ours
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def mnist_dir():
    """The data folder with the real MNIST in it, fetched once. In CI it must be there; elsewhere the test skips."""
    from mlfound.data.fetch import fetch
    from mlfound.data.folder import default_data_dir
    from mlfound.data.registry import DATASETS
    from mlfound.errors import UserError

    try:
        fetch(DATASETS["mnist"], default_data_dir())
    except UserError as error:
        if os.environ.get("CI"):
            pytest.fail(f"the full MNIST must be here in CI: {error}")
        pytest.skip(f"needs the full MNIST, which could not be fetched: {error}")
    return default_data_dir()
