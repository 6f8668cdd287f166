"""The commands about runs: `mlfound runs`, `mlfound runs show RUN`, and `mlfound report RUN`."""

import json
from pathlib import Path
from typing import Any

import typer

from mlfound.cli import run_changes
from mlfound.cli.options import takes
from mlfound.cli.usage import Commands

app = typer.Typer(name="runs", cls=Commands, invoke_without_command=True, rich_markup_mode=None)


@app.callback()
@takes("command where sort reverse columns limit sweep html open_ runs_dir json_")
def runs(context: typer.Context, **flags: Any) -> None:
    """List the runs and what tells them apart.

    The newest comes first; or do something with one.

    \b
    Example:
      mlfound runs --where optimizer.lr=0.1 --sort test_accuracy
      mlfound runs --command train --columns optimizer.lr,test_loss
      mlfound runs --sweep latest --sort valid_loss --reverse
      mlfound runs show latest
    """
    if context.invoked_subcommand is not None:
        context.default_map = {context.invoked_subcommand: flags}
        return
    from mlfound.runs.query import Query, nothing_found, select

    folder = flags["runs_dir"]
    if flags["sweep"] is not None:
        from mlfound.runs.find import cells_of

        folder = cells_of(flags["sweep"], folder)
    query = Query(flags["command"], flags["where"] or (), flags["sort"], flags["reverse"], flags["limit"])
    found = select(query, folder)
    if flags["json_"]:
        print_json([run.as_json() for run in found])
    elif flags["html"] or flags["open_"]:
        from mlfound.runs.pages import write_index

        show_path(write_index(found, folder), flags["open_"])
    elif found:
        from mlfound.report.lines import show_lines
        from mlfound.report.terminal import screen
        from mlfound.runs.columns import chosen_columns, columns_of

        chosen = flags["columns"]
        listed = columns_of(found, query.sort) if chosen is None else chosen_columns(chosen, found)
        show_lines(listed, screen(), COLOURS)
    else:
        typer.echo(nothing_found(query, folder))


RED = ("crashed", "damaged", "diverged", "failed")
COLOURS = {"running": "blue", "interrupted": "yellow", **dict.fromkeys(RED, "red")}


def print_json(value: Any) -> None:
    """One document, numbers that are not finite as null."""
    from mlfound.runs.folder import finite

    typer.echo(json.dumps(finite(value), indent=2))


@app.command()
@takes("runs_dir json_")
def show(run: run_changes.Run, **flags: Any) -> None:
    """Show one run: config, figures, checks and files.

    \b
    Example:
      mlfound runs show latest
    """
    from mlfound.runs.contents import read_contents
    from mlfound.runs.find import find_run

    contents = read_contents(find_run(run, flags["runs_dir"]))
    if flags["json_"]:
        from mlfound.report.contents import as_json

        print_json(as_json(contents))
    else:
        from mlfound.report.run import show_run
        from mlfound.report.terminal import screen

        show_run(contents, screen())


for change in (run_changes.diff, run_changes.tag, run_changes.note, run_changes.delete, run_changes.gc):
    app.command()(change)


@app.command()
@takes("tensorboard runs_dir")
def export(run: run_changes.Run, **flags: Any) -> None:
    """Write a run as TensorBoard reads it.

    Curves, pictures, config and figures.

    \b
    Example:
      mlfound runs export latest --tensorboard logs
    """
    from mlfound.runs.find import find_run
    from mlfound.runs.tensorboard import export

    typer.echo(str(export(find_run(run, flags["runs_dir"]), flags["tensorboard"])))


@takes("open_:page runs_dir")
def report(run: run_changes.Run, **flags: Any) -> None:
    """Write the page of a run: one self-contained HTML file.

    \b
    Example:
      mlfound report latest --open
    """
    from mlfound.runs.find import find_run
    from mlfound.runs.pages import write_page

    show_path(write_page(find_run(run, flags["runs_dir"])), flags["open_"])


def show_path(page: Path, open_: bool) -> None:
    """Where the page is, and if wanted the page itself."""
    if open_:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())
    typer.echo(str(page))
