"""All runs of a folder, newest first; whatever else lies there is marked, and stops nobody."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlfound.errors import UserError
from mlfound.runs.find import folders
from mlfound.runs.reader import Run, at

NOTHING: Any = object()


def list_runs(runs_dir: Path) -> list[Run]:
    """A forgiving `Run` for each folder in `runs_dir`, newest first; none where there is no such folder."""
    return sorted(_runs(runs_dir), key=lambda run: (run.started, run.id), reverse=True)


def _runs(runs_dir: Path) -> Iterator[Run]:
    try:
        names = folders(runs_dir)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise UserError(f"--runs-dir {runs_dir}: cannot be read ({error.strerror}); name another") from error
    for name in names:
        if name != "latest" and not name.startswith("."):
            with suppress(FileNotFoundError):  # deleted meanwhile
                run = Run(runs_dir / name, forgiving=True)
                _ = run.started
                yield run


def find_runs(where: Mapping[str, Any], runs_dir: Path) -> list[Run]:
    """The runs whose `run.json`, or else whose config, has these values under these dotted keys, newest first.

    UserError for a key that none of the runs has.
    """
    runs = [run for run in list_runs(runs_dir) if run.facts]
    found = runs
    for key, value in where.items():
        values = {run.id: value_of(run, key) for run in runs}
        if runs and all(each is NOTHING for each in values.values()):
            raise UserError(
                f"{key}: no run in {runs_dir} has this key, neither in its config nor in run.json"
            )
        wanted = list(value) if isinstance(value, tuple) else value
        found = [run for run in found if values[run.id] == wanted]
    return found


def value_of(run: Run, key: str) -> Any:
    """What stands under a dotted key; NOTHING where there is none."""
    value = at(run.facts, key, NOTHING)
    return at(run.config, key, NOTHING) if value is NOTHING else value
