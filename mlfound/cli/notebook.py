"""`mlfound notebook`: notebooks become modules, tests and commands."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mlfound.cli.execute import execute
from mlfound.cli.options import SHARED, takes
from mlfound.cli.usage import Commands
from mlfound.errors import printable

Notebooks = Annotated[list[Path], typer.Argument(metavar="NOTEBOOK", help="Notebooks, and folders of them.")]

app = typer.Typer(
    name="notebook",
    cls=Commands,
    help="Notebooks as modules, tests and commands.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
@takes("to check")
def export(notebooks: Notebooks, **flags: Any) -> None:
    """Write #export cells to a module.

    The cells of 01_matmul.ipynb with the comment #export or #| export above their code become exp/nb_01.py beside it;
    with #| default_exp training anywhere in it, exp/training.py. #| export core adds a cell to exp/core.py, from any
    notebook. Directives are nbdev's and Quarto's; one that is not known is an error.

    \b
    Example:
      mlfound notebook export 01_matmul.ipynb
      mlfound notebook export notebooks/ --to mypkg/exp --check
    """
    from mlfound.notebooks.documents import find, read
    from mlfound.notebooks.export import modules, write

    documents = [read(path) for path in find(notebooks)]
    exports = modules(documents, flags["to"])
    outdated = [module for module in exports if module.state != "up to date"]
    if flags["check"]:
        for module in outdated:
            sources = " ".join(map(str, module.notebooks))
            typer.echo(printable(f"{module.path}: {module.state}; export {sources}"))
        raise typer.Exit(1 if outdated else 0)
    write(outdated)
    for module in exports:
        done = "written" if module in outdated else "was up to date"
        sources = ", ".join(map(str, module.notebooks))
        typer.echo(printable(f"{sources} -> {module.path} ({done})"))
    exporting = {notebook for module in exports for notebook in module.notebooks}
    for notebook in documents:
        if notebook.path not in exporting:
            typer.echo(f"{notebook.name}: no cell is marked #export; nothing written")


@app.command("test")
@takes("arguments:notebooks timeout kernel save", SHARED)
def run_all(context: typer.Context, **flags: Any) -> None:
    """Run notebooks, each in a fresh kernel.

    The asserts are the tests: a cell that fails stops its notebook and is shown. #| eval: false skips a cell.

    \b
    Example:
      mlfound notebook test 01_matmul.ipynb
      mlfound notebook test notebooks/ --timeout 60
    """
    execute(context, "notebook-test", operands="notebooks")


@app.command(context_settings={"allow_interspersed_args": False})
@takes()
def call(
    module: Annotated[Path, typer.Argument(metavar="MODULE", help="A module such as exp/nb_01.py.")],
    function: Annotated[str, typer.Argument(metavar="FUNCTION", help="One of its functions.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="ARGUMENT", help="The function's; --help shows them.")
    ] = None,
) -> None:
    """Call a function of a module.

    Its parameters without a default are arguments, those with a default are options.

    The module runs like any Python code of yours: call only what you trust.

    \b
    Example:
      mlfound notebook call exp/nb_01.py matmul --help
    """
    from mlfound.notebooks.calling import call

    raise typer.Exit(call(module, function, arguments or []))


@app.command()
@takes()
def new(
    notebook: Annotated[Path, typer.Argument(metavar="NOTEBOOK", help="A new file such as 03_mine.ipynb.")],
) -> None:
    """Write a small notebook to begin with.

    It has a cell to export and a cell that tests it; nothing is ever overwritten.

    \b
    Example:
      mlfound notebook new 03_mine.ipynb
    """
    from mlfound.notebooks.new import create

    create(notebook)
    typer.echo(printable(str(notebook)))
