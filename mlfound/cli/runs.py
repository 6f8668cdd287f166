"""The commands about runs: `mlfound runs`, `mlfound runs show RUN`, and `mlfound report RUN`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlfound.cli.failures import one_line_errors
from mlfound.cli.options import path_of_user, takes

if TYPE_CHECKING:
    from mlfound.results import Table
    from mlfound.runs.reader import Run as Entry

Run = Annotated[str, typer.Argument(metavar="RUN", help="A path, an id, the beginning of one, or latest.")]

app = typer.Typer(name="runs", invoke_without_command=True, rich_markup_mode=None)


@app.callback()
@takes("runs_dir", "json_")
def runs(
    context: typer.Context,
    command: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only runs of this command, such as train.")
    ] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="Only the newest N.")] = None,
    **flags: Any,
) -> None:
    """List the runs, newest first, or show one.

    \b
    Example:
      mlfound runs --command train --limit 10
      mlfound runs show latest
    """
    if context.invoked_subcommand is not None:
        context.default_map = {context.invoked_subcommand: flags}
        return
    runs_dir = flags["runs_dir"]
    with one_line_errors():
        from mlfound.runs.listing import list_runs

        entries = [entry for entry in list_runs(runs_dir) if command in (None, entry.command)][:limit]
        if flags["json_"]:
            from mlfound.runs.folder import finite

            typer.echo(json.dumps([finite(entry.as_json()) for entry in entries], indent=2))
        elif entries:
            from mlfound.report.lines import show_lines
            from mlfound.report.terminal import screen

            show_lines(entry_table(entries), screen(), COLOURS, spare=1)
        else:
            typer.echo(f"No runs{f' of {command}' if command else ''} in {runs_dir} yet.")


COLOURS = {"running": "blue", "crashed": "red", "damaged": "red", "diverged": "red", "failed": "red"}


def entry_table(entries: "list[Entry]") -> "Table":
    """One row per run."""
    from mlfound.report.figures import elapsed, headlines
    from mlfound.results import Column, Table

    def figures(entry: "Entry") -> str:
        return ", ".join(f"{each.label} {each.text}" for each in headlines(entry.metrics, 2))

    rows = [
        (
            entry.id,
            entry.command,
            entry.status,
            None if entry.seconds is None else elapsed(entry.seconds),
            entry.problem or figures(entry),
        )
        for entry in entries
    ]
    labels = ("run", "command", "status", "took", "key figures")
    return Table("runs", "Runs", [Column(label) for label in labels], rows)


@app.command()
@takes("runs_dir", "json_")
def show(run: Run, **flags: Any) -> None:
    """Show one run: config, figures, checks and files.

    \b
    Example:
      mlfound runs show latest
    """
    with one_line_errors():
        from mlfound.runs.contents import read_contents
        from mlfound.runs.find import find_run

        contents = read_contents(find_run(run, flags["runs_dir"]))
        if flags["json_"]:
            from mlfound.report.contents import as_json
            from mlfound.runs.folder import finite

            typer.echo(json.dumps(finite(as_json(contents)), indent=2))
        else:
            from mlfound.report.run import show_run
            from mlfound.report.terminal import screen

            show_run(contents, screen())


@app.command()
@takes("runs_dir")
def export(
    run: Run,
    tensorboard: Annotated[
        Path,
        typer.Option(metavar="DIR", parser=path_of_user, help="Where the run's folder of event files goes."),
    ],
    **flags: Any,
) -> None:
    """Write a run for another program: curves, pictures, config and figures as TensorBoard reads them.

    \b
    Example:
      mlfound runs export latest --tensorboard logs
    """
    with one_line_errors():
        from mlfound.runs.find import find_run
        from mlfound.runs.tensorboard import export

        typer.echo(str(export(find_run(run, flags["runs_dir"]), tensorboard)))


@takes("runs_dir")
def report(
    run: Run,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    **flags: Any,
) -> None:
    """Write the page of a run: one self-contained HTML file.

    \b
    Example:
      mlfound report latest --open
    """
    with one_line_errors():
        from mlfound.runs.find import find_run
        from mlfound.runs.pages import write_page

        path = write_page(find_run(run, flags["runs_dir"]))
        if open_:
            import webbrowser

            webbrowser.open(path.resolve().as_uri())
        typer.echo(str(path))
