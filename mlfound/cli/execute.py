"""What every command does: flags -> config -> experiment -> run folder -> screen -> exit code.

What is slow to import (torch, matplotlib, pydantic, yaml) is imported where it is needed: `--help` is to be instant.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mlfound.cli.failures import one_line_errors, prepare_imports
from mlfound.cli.signals import deferred
from mlfound.errors import UserError

if TYPE_CHECKING:
    from mlfound.config.loading import Loaded, Override
    from mlfound.results import Resumed
    from mlfound.runs.recorder import RunRecorder

# parameters of the commands that are no config keys
NO_KEYS = {
    "config", "set_", "resume_", "runs_dir", "data_dir", "name", "json_", "quiet", "print_config", "list_"
}  # fmt: skip


def execute(context: typer.Context, command: str | None = None) -> None:
    """What every command does: config, experiment, run folder, screen, exit code.

    `command` is the experiment's name, where that is not the last word of the command line's.
    """
    command, flags = command or str(context.info_name), context.params
    with one_line_errors():
        from mlfound.config.loading import dump, load

        overrides = overrides_of(flags)
        loaded = load(command, flags["config"], overrides)
        if flags["print_config"]:
            typer.echo(dump(loaded.config), nl=False)
            return

        prepare_imports()
        from mlfound.report.terminal import screen
        from mlfound.runs.environment import environment
        from mlfound.runs.reader import run_of_config
        from mlfound.runs.recorder import RunRecorder

        machine, stderr = environment(), screen(stderr=True)
        with RunRecorder(
            command, sys.argv[1:], flags["runs_dir"], flags["name"], machine, stderr, flags["quiet"]
        ) as recorder:
            if flags["config"] and not any(each.key in ("dataset", "data.dataset") for each in overrides):
                recorder.repeated = run_of_config(flags["config"])
            passed = carry_out(command, loaded, recorder, flags)
    raise typer.Exit(0 if passed else 1)


def resume(context: typer.Context) -> None:
    """`train --resume RUN`: the same in the folder of a run that ended before its time, by its own config."""
    flags = context.params
    with one_line_errors():
        prepare_imports()
        from mlfound.config.loading import dump, load
        from mlfound.report.terminal import screen
        from mlfound.results import Resumed
        from mlfound.runs.environment import environment
        from mlfound.runs.find import find_run
        from mlfound.runs.plain_files import refuse_unplain
        from mlfound.runs.resume import ResumedRecorder

        for flag, value in (("CONFIG", flags["config"]), ("--name", flags["name"])):
            if value is not None:
                raise UserError(f"{flag} {value}: a resumed run has its own; leave it out")
        path, overrides = find_run(flags["resume_"], flags["runs_dir"]), overrides_of(flags)
        if flags["print_config"]:
            refuse_unplain(path)
            typer.echo(dump(load("train", path / "config.yaml", overrides).config), nl=False)
            return
        machine = environment()
        with ResumedRecorder(path, sys.argv[1:], machine, screen(stderr=True), flags["quiet"]) as recorder:
            loaded = load("train", path / "config.yaml", overrides)
            if recorder.facts["status"] == "completed" and not overrides:
                recorder.message("This run is complete: nothing is left to do.")
                typer.echo(as_json(recorder.earlier_summary()) if flags["json_"] else path)
                return
            earlier = Resumed(recorder.last, recorder.rows, recorder.facts)
            passed = carry_out("train", loaded, recorder, flags, earlier)
    raise typer.Exit(0 if passed else 1)


def carry_out(
    command: str,
    loaded: "Loaded",
    recorder: "RunRecorder",
    flags: dict[str, Any],
    resumed: "Resumed | None" = None,
) -> bool:
    """Run the experiment, keep and show what it found, and say whether it passed."""
    from mlfound.data.folder import default_data_dir
    from mlfound.report.terminal import screen, show
    from mlfound.results import Context
    from mlfound.runs.reader import all_runs, read_run

    run = import_module(f"mlfound.experiments.{command.replace('-', '_')}").run
    runs_dir = flags["runs_dir"]
    given = Context(
        recorder,
        flags["data_dir"] or default_data_dir(),
        recorder.environment,
        partial(read_run, runs_dir=runs_dir),
        partial(all_runs, runs_dir=runs_dir),
        resumed,
        deferred,
    )
    try:
        result = run(loaded.config, given)
    except UserError as error:
        raise UserError(loaded.locate(error)) from error
    except ChildProcessError as error:
        if command == "train":
            raise ChildProcessError(
                f"{error}; mlfound train --resume {recorder.path} goes on from here"
            ) from error
        raise
    with deferred():  # so that a run that came this far is whole, page and all
        summary = recorder.finish(result)
        if flags["json_"]:
            typer.echo(as_json(summary))
        else:
            if not flags["quiet"]:
                show(result, screen())
            typer.echo(summary["path"])
    if flags["quiet"] and not result.passed:  # quiet is about what went well
        show(replace(result, tables=()), screen(stderr=True))
    return bool(result.passed)


def as_json(summary: Mapping[str, Any]) -> str:
    """What `--json` prints of a run."""
    return json.dumps(summary, indent=2, ensure_ascii=False)


def config_among(runs: list[str] | None) -> dict[str, Any]:
    """What is meant by arguments that may be runs, or one config: a file that is called as YAML files are."""
    match runs:
        case [only] if only.endswith((".yaml", ".yml")) and not Path(only).is_dir():
            return {"config": Path(only), "runs": None}
        case _:
            return {"config": None, "runs": runs}


def overrides_of(flags: dict[str, Any]) -> "list[Override]":
    """What `--set` says, and the flags that stand for config keys of the same name, where they were given."""
    from mlfound.config.loading import Override, parse_set

    given = {name.rstrip("_"): value for name, value in flags.items() if name not in NO_KEYS}
    return list(map(parse_set, flags["set_"] or ())) + [
        Override(key, list(value) if isinstance(value, tuple) else value, as_typed(key, value))
        for key, value in given.items()
        if value not in (None, [], ())
    ]


def as_typed(key: str, value: object) -> str:
    """A flag as the user will have typed it, once for each of several values; nothing for arguments."""
    if key in ("runs", "notebooks"):
        return ""
    if isinstance(value, list | tuple):
        return " ".join(as_typed(key, item) for item in value)
    flag = f"--{key.replace('_', '-')}"
    return flag if value is True else f"{flag} {value}"


def show_datasets(data_dir: Path | None, as_json: bool) -> None:
    """`download --list`."""
    with one_line_errors():
        from mlfound.data.folder import default_data_dir
        from mlfound.experiments.download import listing
        from mlfound.report.terminal import screen, show

        result = listing(data_dir or default_data_dir())
        if as_json:
            [table] = result.tables
            names = [column.name for column in table.columns]
            typer.echo(json.dumps([dict(zip(names, row, strict=True)) for row in table.rows], indent=2))
        else:
            show(result, screen())
