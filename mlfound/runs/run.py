"""One run, from a command's name and its config to the run folder: what command line, scripts and notebooks call."""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console

from mlfound.config.documents import flat
from mlfound.config.loading import Loaded, Override, load
from mlfound.config.models import CONFIGS
from mlfound.errors import UserError
from mlfound.report.drawing import Drawing
from mlfound.results import Context, Result, Resumed, at_once
from mlfound.runs.earlier import all_runs, config_file, read_run, run_of_config
from mlfound.runs.environment import environment
from mlfound.runs.plain_files import read_json
from mlfound.runs.reader import Run
from mlfound.runs.recorder import RunRecorder

# what a command that needs no torch loads instead, and says while it does
LOADS = {"compare": ("numpy", "reading the runs"), "notebook-test": ("nbclient", "looking at the notebooks")}

ROOMS = {"remedies": "sweeps"}  # of the commands that are no experiment by themselves


Interruption = Callable[[], AbstractContextManager[Callable[[], bool]]]


@dataclass(frozen=True)
class Screen:
    """Where a run shows itself: `console` gets messages and a bar, unless `quiet`; by default nothing is shown.

    `show` gets the result (None: a resumed run was complete) and `summary.json` with id, status and path, once the
    folder is whole. While it works, `interruption` holds back Ctrl-C (see `Context`).
    """

    console: Console = field(default_factory=lambda: Console(quiet=True))
    quiet: bool = True
    arguments: Sequence[str] = ()  # of the command line, if there is one
    interruption: Interruption = at_once
    show: Callable[[Result | None, Mapping[str, Any]], None] = lambda result, summary: None
    drawing: Callable[[], Drawing] | None = Drawing  # None: no pictures and no page
    program: str = "mlfound"  # how it was started
    # with other processes: sends them config, data folder and what to go on from; `Context.ranks` and interruption
    join: Callable[[Any, Path, Resumed | None], tuple[Any, Interruption]] | None = None


def run(
    command: str,
    config: Path | None,
    overrides: Sequence[Override],
    runs_dir: Path,
    data_dir: Path,
    name: str | None,
    screen: Screen,
) -> Run:
    """Carry out `command` with the config of a file, or its defaults, and the overrides in their order."""
    loaded = load(command, config, overrides)
    with RunRecorder(command, runs_dir, name, screen) as recorder:
        if config and not any(each.key in ("dataset", "data.dataset") for each in overrides):
            recorder.repeated = run_of_config(config)
        return carry_out(command, loaded, recorder, data_dir, screen)


def call(
    command: str,
    config: str | os.PathLike[str] | Mapping[str, Any] | None,
    settings: Mapping[str, Any],
    runs_dir: Path,
    data_dir: Path,
    name: str | None,
    plots: bool,
    screen: Screen | None,
) -> Run:
    """See `mlfound.run`."""
    if command not in CONFIGS:
        raise UserError(f"{command}: no such command; there are: {', '.join(CONFIGS)}")
    path = None
    if isinstance(config, Mapping):
        settings = {**dict(flat(config)), **settings}
    elif config is not None:
        path = config_file(os.fspath(config), command, runs_dir)
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()}
    overrides = [Override(key, value, f"{key}={settings[key]!r}") for key, value in plain.items()]
    screen = screen or Screen(arguments=command_line(command, path, overrides))
    screen = screen if plots else replace(screen, drawing=None)
    return run(command, path, overrides, runs_dir, data_dir, name, screen)


def resume(path: Path, overrides: Sequence[Override], data_dir: Path, screen: Screen) -> Run:
    """Go on with the train run in the folder `path`, by its own config."""
    from mlfound.runs.resume import ResumedRecorder

    with ResumedRecorder(path, screen) as recorder:
        loaded = load("train", path / "config.yaml", overrides)
        if recorder.facts["status"] == "completed" and not overrides:
            recorder.message("This run is complete: nothing is left to do.")
            screen.show(None, recorder.identified(read_json(path / "summary.json")))
            return Run(path)
        earlier = Resumed(recorder.last, recorder.rows, recorder.facts)
        return carry_out("train", loaded, recorder, data_dir, screen, earlier)


def carry_out(
    command: str,
    loaded: Loaded,
    recorder: RunRecorder,
    data_dir: Path,
    screen: Screen,
    resumed: Resumed | None = None,
) -> Run:
    """Run the experiment, keep and show what it found."""
    library, says = LOADS.get(command, ("torch", "loading PyTorch"))
    if library not in sys.modules:
        recorder.message(f"mlfound {command}: {says}")
    recorder.drawing = screen.drawing() if screen.drawing else None
    room = ROOMS.get(command, "experiments")
    experiment = import_module(f"mlfound.{room}.{command.replace('-', '_')}")
    recorder.notes = loaded.notes
    recorder.environment = environment()  # only now: with the experiment came torch, which knows GPU and BLAS
    ranks, interruption = None, screen.interruption
    if screen.join:
        ranks, interruption = screen.join(loaded.config, data_dir, resumed)
    context = Context(
        recorder,
        data_dir,
        recorder.environment,
        partial(read_run, runs_dir=recorder.runs_dir),
        partial(all_runs, runs_dir=recorder.runs_dir),
        resumed,
        interruption,
        ranks,
    )
    try:
        result = experiment.run(loaded.config, context)
    except UserError as error:
        raise UserError(loaded.locate(error)) from error
    except ChildProcessError as error:
        if command == "train" and recorder.has_started:
            raise ChildProcessError(
                f"{error}; {screen.program} train --resume {recorder.path} goes on from here"
            ) from error
        raise
    with screen.interruption():  # so that a run that came this far is whole, page and all
        summary = recorder.finish(result)
        screen.show(result, summary)
    return Run(summary["path"])


def command_line(command: str, path: Path | None, overrides: Sequence[Override]) -> list[str]:
    """The arguments with which the command line does the same."""
    settings = [f"{key}={json.dumps(value, default=str)}" for key, value, _ in overrides]
    return [command, *([str(path)] if path else []), *settings]
