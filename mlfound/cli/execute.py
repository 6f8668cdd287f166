"""What every command does: arguments -> a run, shown on the terminal -> exit code.

What is slow to import (torch, matplotlib, pydantic, yaml) is imported where it is needed: `--help` is to be instant.
"""

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mlfound.cli import ranks
from mlfound.cli.failures import prepare_imports
from mlfound.cli.options import KEYS, RUNS, SETTING, path_of_user
from mlfound.cli.signals import deferred
from mlfound.errors import UserError

if TYPE_CHECKING:
    from mlfound.config.loading import Override
    from mlfound.results import Result
    from mlfound.runs.run import Screen


def execute(context: typer.Context, command: str | None = None, operands: str | None = None) -> None:
    """Run an experiment. Exit code 0: it completed and every check passed.

    `command` is the experiment's name, where that is not the last word of the command line's; `operands` the config
    key that its arguments stand for, where they are more than one CONFIG.
    """
    command, flags = command or str(context.info_name), context.params
    config, overrides = read_arguments(command, flags, operands)
    if flags["print_config"]:
        print_config(command, config, overrides)
        return
    prepare_imports()
    from mlfound.runs.run import run

    folders = (flags["runs_dir"], data_dir(flags), flags["name"])
    passed = run(command, config, overrides, *folders, terminal(flags)).passed
    raise typer.Exit(0 if passed else 1)


def resume(context: typer.Context) -> None:
    """`--resume RUN`: the same in the folder of a run that ended before its time, by its own config."""
    command, flags = str(context.info_name), context.params
    prepare_imports()
    from mlfound.runs.find import find_run
    from mlfound.runs.plain_files import refuse_unplain

    path = find_run(flags["resume_"], flags["runs_dir"])
    config, overrides = read_arguments(command, flags)
    for flag, value in (("CONFIG", config), ("--name", flags["name"])):
        if value is not None:
            raise UserError(f"{flag} {value}: a resumed run has its own; leave it out")
    if flags["print_config"]:
        refuse_unplain(path)
        print_config(command, path / "config.yaml", overrides)
        return
    if command == "train":
        from mlfound.runs.run import resume
    else:
        from mlfound.sweeps.remedies import resume
    passed = resume(path, overrides, data_dir(flags), terminal(flags)).passed
    raise typer.Exit(0 if passed else 1)


def data_dir(flags: Mapping[str, Any]) -> Path:
    """Where the data are; by default the user's cache folder."""
    from mlfound.data.registry import default_data_dir

    return flags["data_dir"] or default_data_dir()


def print_config(command: str, path: Path | None, overrides: "list[Override]") -> None:
    """`--print-config`."""
    from mlfound.config.loading import dump, load

    loaded = load(command, path, overrides)
    for note in loaded.notes:
        typer.echo(note, err=True)
    typer.echo(dump(loaded.config), nl=False)


def terminal(flags: Mapping[str, Any]) -> "Screen":
    """stderr for messages, stdout for the result, Ctrl-C held back at the right moments."""
    from mlfound.report.drawing import drawing
    from mlfound.report.terminal import screen
    from mlfound.runs.run import Screen

    pictures, show = None if flags["no_plots"] else drawing, partial(show_result, flags)
    alone = Screen(screen(stderr=True), flags["quiet"], sys.argv[1:], deferred, show, pictures)
    return replace(alone, program=ranks.program(), join=ranks.lead) if ranks.are_several() else alone


def show_result(flags: Mapping[str, Any], result: "Result | None", summary: Mapping[str, Any]) -> None:
    """One JSON document, or what was found and the run folder's path."""
    from mlfound.report.brief import show_brief
    from mlfound.report.terminal import screen, show

    if flags["json_"]:
        typer.echo(json.dumps(summary, indent=2, ensure_ascii=False))
    else:
        if result and flags["verbose"] and not flags["quiet"]:
            show(result, screen())
        elif result and not flags["quiet"]:
            show_brief(result, page_command(summary["path"], flags["runs_dir"]), screen())
        typer.echo(summary["path"])
    if result and flags["quiet"] and not result.passed:  # quiet is about what went well
        show(replace(result, tables=()), screen(stderr=True))


def page_command(path: str, runs_dir: Path) -> str | None:
    """The command that opens the page of the run in this folder; None if it has no page."""
    if not os.path.exists(os.path.join(path, "report.html")):
        return None
    is_usual = runs_dir == path_of_user(os.environ.get("MLFOUND_RUNS_DIR") or RUNS)
    is_latest = os.path.realpath(runs_dir / "latest") == os.path.realpath(path)
    run = "latest" if is_usual and is_latest else shlex.quote(path)
    return f"mlfound report {run} --open"


def read_arguments(
    command: str, flags: Mapping[str, Any], operands: str | None = None
) -> "tuple[Path | None, list[Override]]":
    """The config file that is meant, and what flags, `--set` and KEY=VALUE override in it.

    An argument that is a run folder, or what a run is called, means its config, unless arguments are `operands`.
    """
    from mlfound.config.loading import Override, parse_set
    from mlfound.runs.earlier import config_file, is_yaml

    given = flags["arguments"] or ()
    words = [word for word in given if not SETTING.match(word)]
    overrides = [parse_set(each) for each in flags["set_"] or ()]
    overrides += [parse_set(each, flag="") for each in given if SETTING.match(each)]
    for name, value in flags.items():
        if name in KEYS and value not in (None, [], ()):
            overrides.append(Override(KEYS[name], value, as_typed(KEYS[name], value)))
    if operands is None:
        refuse_second(words)
        return config_file(words[0], command, flags["runs_dir"]) if words else None, overrides
    if len(words) == 1 and is_yaml(words[0]):
        return path_of_user(words[0]), overrides
    return None, [*overrides, Override(operands, words, "")] if words else overrides


def refuse_second(words: Sequence[str]) -> None:
    """A UserError where more than one argument is no KEY=VALUE: only one of them can be the CONFIG."""
    if len(words) < 2:
        return
    for word in words:
        key, equals, _ = word.partition("=")
        if equals:
            raise UserError(f"{word}: {key!r} is no key; write one in letters of a to z, as in epochs=3")
    raise UserError(f"{words[1]}: a second CONFIG; give one, and KEY=VALUE behind it")


def as_typed(key: str, value: object) -> str:
    """A flag as the user will have typed it, once for each of several values."""
    if isinstance(value, list | tuple):
        return " ".join(as_typed(key, item) for item in value)
    flag = f"--{key.rpartition('.')[2].replace('_', '-')}"
    return flag if value is True else f"{flag} {value}"


def show_datasets(flags: Mapping[str, Any]) -> None:
    """`download --list`."""
    from mlfound.experiments.datasets import listing
    from mlfound.report.terminal import screen, show

    result = listing(data_dir(flags))
    if flags["json_"]:
        [table] = result.tables
        names = [column.name for column in table.columns]
        typer.echo(json.dumps([dict(zip(names, row, strict=True)) for row in table.rows], indent=2))
    else:
        show(result, screen())


def show_machine(flags: Mapping[str, Any]) -> None:
    """`info`."""
    typer.echo("mlfound info: loading PyTorch", err=True)
    from mlfound.experiments.info import machine
    from mlfound.report.terminal import screen, show
    from mlfound.runs.environment import environment

    result = machine(environment(), data_dir(flags))
    if flags["json_"]:
        [table] = result.tables
        typer.echo(json.dumps(dict(map(tuple, table.rows)), indent=2))
    else:
        show(result, screen())
