"""`mlfound runs tag`, `note`, `diff`, `delete` and `gc`."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mlfound.cli import completion
from mlfound.cli.options import takes
from mlfound.errors import UserError, printable

Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="A path, an id, the beginning of one, or latest.", autocompletion=completion.runs
    ),
]


@takes("remove runs_dir")
def tag(
    run: Run,
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help="The tags.")],
    **flags: Any,
) -> None:
    """Tag a run, or remove tags of it with --remove.

    \b
    Example:
      mlfound runs tag latest baseline
      mlfound runs --where tags=baseline
    """
    from mlfound.runs.find import find_run
    from mlfound.runs.notes import with_tags, without_tags, write_notes
    from mlfound.runs.reader import Run

    found = Run(find_run(run, flags["runs_dir"]))
    notes = (without_tags if flags["remove"] else with_tags)(found.notes, words)
    write_notes(found.path, notes)
    typer.echo(printable(f"{found.id}: {', '.join(notes.tags) or 'no tags'}"))


@takes("runs_dir")
def note(
    run: Run,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="One line; an empty one removes the note.")],
    **flags: Any,
) -> None:
    """Write a line about a run, which the list shows.

    \b
    Example:
      mlfound runs note latest "with the old cache"
    """
    from mlfound.runs.find import find_run
    from mlfound.runs.notes import Notes, checked_note, write_notes
    from mlfound.runs.reader import Run

    found = Run(find_run(run, flags["runs_dir"]))
    noted = checked_note(text)
    write_notes(found.path, Notes(found.notes.tags, noted))
    typer.echo(printable(f"{found.id}: {noted or 'no note'}"))


@takes("runs_dir json_")
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A run.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    **flags: Any,
) -> None:
    """Show in what two runs differ: config, environment and figures.

    \b
    Example:
      mlfound runs diff 20261123-043146 latest
    """
    from mlfound.cli.runs import print_json
    from mlfound.runs.differences import differences
    from mlfound.runs.find import find_run
    from mlfound.runs.reader import Run

    first, second = (Run(find_run(each, flags["runs_dir"])) for each in (a, b))
    first.forgiving = second.forgiving = True  # runs they are; of the rest, as much as can be read
    found = differences(first, second)
    if flags["json_"]:
        print_json({"runs": [first.id, second.id], **found})
    else:
        from mlfound.report.sides import show_sides
        from mlfound.report.terminal import screen

        show_sides((first.id, second.id), found, screen())


@takes("yes runs_dir")
def delete(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Paths, ids, beginnings of ids, latest.")
    ],
    **flags: Any,
) -> None:
    """Delete runs of the runs folder, after asking.

    \b
    Example:
      mlfound runs delete 20261123-043146 20261123-050102
    """
    from mlfound.runs.deleting import deletable

    doomed = deletable(runs, flags["runs_dir"])
    these = "this run" if len(doomed) == 1 else f"these {len(doomed)} runs"
    delete_if_agreed(doomed, flags["runs_dir"], f"Delete {these}", flags["yes"])


@takes("yes runs_dir")
def gc(**flags: Any) -> None:
    """Delete all that ended without results, after asking.

    What can be resumed, and what has a tag or a note, is kept.

    \b
    Example:
      mlfound runs gc
    """
    from mlfound.runs.deleting import without_results

    doomed = without_results(flags["runs_dir"])
    if not doomed:
        typer.echo(f"Every run in {flags['runs_dir']} has results, can be resumed, or is tagged.")
        return
    delete_if_agreed(doomed, flags["runs_dir"], "Delete what ended without results", flags["yes"])


def delete_if_agreed(doomed: dict[Path, int], runs_dir: Path, question: str, yes: bool) -> None:
    """Show what would go and what that frees, ask, and do it."""
    from mlfound.runs.deleting import delete

    for path, size in doomed.items():
        typer.echo(printable(f"{path}  {size / 1e6:,.2f} MB"))
    freed = sum(doomed.values()) / 1e6
    if yes or agreed(f"{question}, {freed:,.2f} MB?"):
        delete(doomed, runs_dir)
        typer.echo(f"Deleted: {len(doomed)}.")
    else:
        typer.echo("Nothing was deleted.")


def agreed(question: str) -> bool:
    """Whether the user types y; UserError where nobody can be asked."""
    typer.echo(f"{question} [y/N] ", nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer:
        typer.echo(err=True)
        raise UserError("nobody answers; --yes deletes without asking")
    return answer.strip().lower() in ("y", "yes")
