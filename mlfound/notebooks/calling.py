"""Calls a function of a user's module from the command line, by its signature, annotations and docstring.

The module runs with the rights of the user.
"""

import inspect
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import typer

from mlfound.errors import UserError, printable
from mlfound.notebooks.signatures import call_with, signature_for_typer

NEGATIVE = re.compile(r"-\.?\d")


def call(path: Path, name: str, arguments: Sequence[str]) -> int:
    """Run the module `path`, call its function `name` with `arguments`, print its result; returns the exit code."""
    file = printable(str(path))
    function = function_of(load(path), name, file)

    def shown(**values: Any) -> None:
        try:
            result = call_with(function, values)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except Exception as error:
            typer.echo(printable(f"{file}: {name}: {one_line(error, path)}"), err=True)
            raise typer.Exit(1) from error
        if result is not None:
            typer.echo(str(result))

    try:
        signature = signature_for_typer(function)
    except (TypeError, NameError) as error:
        raise UserError(f"{file}: {name}: {error}") from error
    shown.__signature__ = signature  # type: ignore[attr-defined]
    shown.__annotations__ = {each.name: each.annotation for each in signature.parameters.values()}
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command(
        help=inspect.getdoc(function) or "",
        epilog=f"{file} runs like any Python code of yours.",
        # else -3 would be an unknown option
        context_settings={
            "ignore_unknown_options": any(map(NEGATIVE.match, arguments)),
            "help_option_names": ["-h", "--help"],
        },
    )(shown)
    return app(list(arguments), prog_name=f"mlfound notebook call {file} {name}", standalone_mode=False) or 0


def load(path: Path) -> ModuleType:
    """Run the module in the file `path`; it can import from beside its folder, like its notebook, and from here."""
    name = printable(str(path))
    if path.suffix != ".py" or not path.is_file():
        advice = "export it first" if path.suffix == ".ipynb" else "name one, such as exp/nb_01.py"
        raise UserError(f"{name}: not a module; {advice}")
    full = path.resolve()
    sys.path[:0] = [str(full.parent.parent), str(Path.cwd())]
    name_of_import = f"{full.parent.name}.{full.stem}"  # exp.nb_01, as notebooks have it
    spec = spec_from_file_location(name_of_import, full)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"{name}: cannot be imported: {one_line(error, path)}") from error
    return module


def one_line(error: Exception, path: Path) -> str:
    """An exception as one line, with the last line of the file `path` in its traceback."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: {error.msg}"
    file = str(path.resolve())
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    where = f"line {lines[-1]}: " if lines else ""
    return f"{where}{type(error).__name__}: {str(error).partition(chr(10))[0]}".removesuffix(": ")


def function_of(module: ModuleType, name: str, file: str) -> Callable[..., Any]:
    """The function `name` of the module; a UserError that lists the others if there is none."""
    functions = {key: value for key, value in vars(module).items() if inspect.isfunction(value)}
    if name in functions:
        return functions[name]
    if near := get_close_matches(name, functions, n=1):
        raise UserError(f"{file}: there is no function {name!r}; did you mean {near[0]!r}?")
    own = [key for key, value in functions.items() if value.__module__ == module.__name__]
    raise UserError(f"{file}: there is no function {name!r}; there is: {', '.join(own) or 'none'}")
