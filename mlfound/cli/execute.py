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
from mlfound.cli.options import FLAGS, path_of_user, sorted_out
from mlfound.cli.signals import deferred
from mlfound.errors import UserError

if TYPE_CHECKING:
    from mlfound.config.loading import Loaded, Override
    from mlfound.results import Resumed
    from mlfound.runs.recorder import RunRecorder

KEYS = {name.partition(":")[0] for name, flag in FLAGS.items() if flag.is_key}


def execute(context: typer.Context, command: str | None = None, operands: str | None = None) -> None:
    """What every command does: config, experiment, run folder, screen, exit code.

    `command` is the experiment's name, where that is not the last word of the command line's; `operands` the config
    key that its arguments stand for, where they are more than one CONFIG.
    """
    command, flags = command or str(context.info_name), context.params
    with one_line_errors():
        from mlfound.config.loading import dump, load

        config, overrides = read_arguments(command, flags, operands)
        loaded = load(command, config, overrides)
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
            if config and not any(each.key in ("dataset", "data.dataset") for each in overrides):
                recorder.repeated = run_of_config(config)
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

        path = find_run(flags["resume_"], flags["runs_dir"])
        config, overrides = read_arguments("train", flags)
        for flag, value in (("CONFIG", config), ("--name", flags["name"])):
            if value is not None:
                raise UserError(f"{flag} {value}: a resumed run has its own; leave it out")
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


def read_arguments(
    command: str, flags: Mapping[str, Any], operands: str | None = None
) -> "tuple[Path | None, list[Override]]":
    """The config that is meant, and what flags, `--set` and KEY=VALUE override in it.

    An argument that is a run folder, or what a run is called, means its config, unless arguments are `operands`.
    """
    from mlfound.config.loading import Override, parse_set

    settings, words = sorted_out(flags["arguments"])
    overrides = [parse_set(each) for each in flags["set_"] or ()]
    overrides += [parse_set(each, flag="") for each in settings]
    for name, value in flags.items():
        if name in KEYS and value not in (None, [], ()):
            key = name.rstrip("_")
            overrides.append(Override(key, value, as_typed(key, value)))
    if operands is None and len(words) > 1:
        raise UserError(f"{words[1]}: a second CONFIG; give one, and KEY=VALUE behind it")
    if operands is None:
        return config_file(words[0], command, flags["runs_dir"]) if words else None, overrides
    if [word for word in words if is_yaml(word)] == words and len(words) == 1:
        return path_of_user(words[0]), overrides
    return None, [*overrides, Override(operands, words, "")] if words else overrides


def config_file(word: str, command: str, runs_dir: Path) -> Path:
    """The YAML file that is meant, or that of the run that is."""
    from mlfound.runs.find import find_run
    from mlfound.runs.reader import run_of_config

    path = path_of_user(word)
    if is_yaml(word) or (path.is_file() and path.name != "latest"):
        return path
    config = find_run(word, runs_dir) / "config.yaml"
    of = run_of_config(config).get("command", command)
    if of != command:
        raise UserError(f"{word}: a run of {of}; mlfound {of} {word} repeats it")
    return config


def is_yaml(word: str) -> bool:
    """Whether it is called as YAML files are, and no folder."""
    return word.endswith((".yaml", ".yml")) and not path_of_user(word).is_dir()


def as_typed(key: str, value: object) -> str:
    """A flag as the user will have typed it, once for each of several values."""
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
