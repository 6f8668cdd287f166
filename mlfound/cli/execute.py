"""What every command does: flags -> config -> experiment -> run folder -> screen -> exit code.

What is slow to import (torch, matplotlib, pydantic, yaml) is imported where it is needed: `--help` is to be instant.
"""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mlfound.errors import UserError

if TYPE_CHECKING:
    from mlfound.config.loading import Override

# parameters of the commands that are no config keys
NO_KEYS = {"config", "set_", "runs_dir", "data_dir", "name", "json_", "quiet", "print_config", "list_"}


def execute(context: typer.Context) -> None:
    """What every command does: config, experiment, run folder, screen, exit code."""
    from mlfound.config.loading import dump, load, parse_set

    command, flags = str(context.info_name), context.params
    with one_line_errors():
        overrides = [*map(parse_set, flags["set_"] or ()), *flag_overrides(flags)]
        loaded = load(command, flags["config"], overrides)
        if flags["print_config"]:
            typer.echo(dump(loaded.config), nl=False)
            return

        from mlfound.data.cache import default_data_dir
        from mlfound.report.terminal import screen, show
        from mlfound.results import Context
        from mlfound.runs.environment import environment
        from mlfound.runs.reader import read_run
        from mlfound.runs.recorder import RunRecorder

        run = import_module(f"mlfound.experiments.{command.replace('-', '_')}").run
        machine, stderr, quiet = environment(), screen(stderr=True), flags["quiet"]
        with RunRecorder(
            command, sys.argv[1:], flags["runs_dir"], flags["name"], machine, stderr, quiet
        ) as recorder:
            given = Context(recorder, flags["data_dir"] or default_data_dir(), machine, read_run)
            try:
                result = run(loaded.config, given)
            except UserError as error:
                raise UserError(loaded.locate(error)) from error
            summary = recorder.finish(result)
        if flags["json_"]:
            typer.echo(json.dumps(summary, indent=2, ensure_ascii=False))
        else:
            if not quiet:
                show(result, screen())
            typer.echo(summary["path"])
    raise typer.Exit(0 if result.passed else 1)


def flag_overrides(flags: dict[str, Any]) -> "list[Override]":
    """The flags that stand for config keys of the same name, where they were given."""
    from mlfound.config.loading import Override

    given = {name.rstrip("_"): value for name, value in flags.items() if name not in NO_KEYS}
    return [
        Override(key, list(value) if isinstance(value, tuple) else value, as_typed(key, value))
        for key, value in given.items()
        if value not in (None, [], ())
    ]


def as_typed(key: str, value: object) -> str:
    """A flag as the user will have typed it, once for each of several values."""
    if isinstance(value, list | tuple):
        return " ".join(as_typed(key, item) for item in value)
    flag = f"--{key.replace('_', '-')}"
    return flag if value is True else f"{flag} {value}"


def show_datasets(data_dir: Path | None, as_json: bool) -> None:
    """`download --list`."""
    from mlfound.data.cache import default_data_dir
    from mlfound.experiments.download import listing
    from mlfound.report.terminal import screen, show

    with one_line_errors():
        result = listing(data_dir or default_data_dir())
        if as_json:
            [table] = result.tables
            names = [column.name for column in table.columns]
            typer.echo(json.dumps([dict(zip(names, row, strict=True)) for row in table.rows], indent=2))
        else:
            show(result, screen())


@contextmanager
def one_line_errors() -> Iterator[None]:
    """What goes wrong for a reason outside the code ends as one line and an exit code, never as a traceback."""
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except UserError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        typer.echo(f"{error.filename or 'mlfound'}: {error.strerror or error}", err=True)
        raise typer.Exit(1) from None
    except Terminated:
        raise typer.Exit(128 + signal.SIGTERM) from None
    except KeyboardInterrupt:
        raise typer.Exit(128 + signal.SIGINT) from None


class Terminated(KeyboardInterrupt):
    """SIGTERM, taken as the Ctrl-C of another process: the run folder says `interrupted`."""


def terminate(number: int, frame: object) -> None:
    raise Terminated
