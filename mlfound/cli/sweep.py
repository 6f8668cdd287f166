"""`mlfound sweep`: the grid of what is typed, and what is to become of it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mlfound.cli.execute import data_dir, refuse_second, terminal
from mlfound.cli.failures import prepare_imports
from mlfound.cli.options import SETTING, SHARED, takes
from mlfound.errors import UserError

if TYPE_CHECKING:
    from mlfound.sweeps.grid import Grid


@takes("arguments:sweep command:sweep seeds jobs dask on_error dry_run yes:sweep resume_:sweep", SHARED)
def sweep(context: typer.Context, **flags: Any) -> None:
    """Run a command for a whole grid of settings and seeds.

    \b
    Example:
      mlfound sweep configs/mlp.yaml optimizer.lr=0.05,0.1 --seeds 0-9
      mlfound sweep 'model.hidden=[50],[100,50]' --seeds 0-9 --jobs 2
      mlfound sweep configs/sweeps/width.yaml --dask tcp://127.0.0.1:8786
      mlfound sweep --resume latest
    """
    if flags["on_error"] not in ("continue", "stop"):
        raise UserError(f"--on-error {flags['on_error']}: write continue or stop")
    if flags["dask"] is not None and flags["jobs"] is not None:
        raise UserError(
            f"--jobs {flags['jobs']}: the cluster has workers of its own; leave --jobs or --dask out"
        )
    from mlfound.sweeps.grid import grid_of

    path = resumed_path(flags)
    grid = typed_grid(flags) if path is None else grid_of(path)
    if flags["print_config"]:
        from mlfound.config.loading import dump

        typer.echo(dump(grid.config), nl=False)
        return
    if not flags["quiet"]:
        typer.echo(said(grid), err=True)
    if flags["dry_run"]:
        for cell in grid.cells:
            typer.echo(f"{cell.number:>{len(str(len(grid.cells)))}}  {cell}")
        return
    prepare_imports()
    from mlfound.runs.recorder import RunRecorder
    from mlfound.sweeps.sweep import ResumedSweep, Where, sweep

    screen = terminal(flags)
    where = Where(flags["jobs"], flags["dask"], flags["on_error"] == "stop")
    recorder = (
        RunRecorder("sweep", flags["runs_dir"], flags["name"], screen)
        if path is None
        else ResumedSweep(path, screen)
    )
    with recorder:
        passed = sweep(grid, recorder, where, data_dir(flags), screen).passed
    raise typer.Exit(0 if passed else 1)


def said(grid: "Grid") -> str:
    """`mlfound sweep: 40 cells of train, 4 settings with 10 seeds each`."""
    count, seeds = len(grid.cells), len(grid.seeds)
    settings = count // max(1, seeds)
    of = f"{settings:,} setting{'s' * (settings != 1)}"
    each = f" with {seeds:,} seed{'s' * (seeds != 1)} each" if seeds else ""
    return f"mlfound sweep: {count:,} cell{'s' * (count != 1)} of {grid.config.command}, {of}{each}"


def resumed_path(flags: Mapping[str, Any]) -> Path | None:
    """The folder of --resume; UserError where something is given that a resumed sweep has already."""
    if flags["resume_"] is None:
        return None
    from mlfound.runs.find import find_run

    given = [*(flags["arguments"] or ()), *(f"--set {each}" for each in flags["set_"] or ())]
    given += [f"--{name} {flags[name]}" for name in ("seeds", "command", "name") if flags[name] is not None]
    if given:
        raise UserError(f"{given[0]}: a resumed sweep has its own; leave it out")
    return find_run(flags["resume_"], flags["runs_dir"])


def typed_grid(flags: Mapping[str, Any]) -> "Grid":
    """The grid of a YAML file or a run's config, with what is typed behind it."""
    from mlfound.runs.earlier import is_yaml, run_of_config
    from mlfound.runs.find import find_run
    from mlfound.sweeps.grid import read_grid

    given = flags["arguments"] or ()
    words = [word for word in given if not SETTING.match(word)]
    refuse_second(words)
    path, command = None, flags["command"]
    if words:
        path = Path(os.path.expanduser(words[0]))
        if not is_yaml(words[0]) and not path.is_file():
            path = find_run(words[0], flags["runs_dir"]) / "config.yaml"
        of = run_of_config(path).get("command")
        command = command or (of if of != "sweep" else None)
    settings = [(text, "--set ") for text in flags["set_"] or ()]
    settings += [(text, "") for text in given if SETTING.match(text)]
    return read_grid(path, settings, flags["seeds"], command, yes=flags["yes"] or flags["dry_run"])
