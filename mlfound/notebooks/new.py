"""A first notebook: a cell that is exported, a cell that tests it, and how to use both."""

import json
import shlex
from pathlib import Path
from typing import Any

from mlfound.errors import UserError, printable
from mlfound.notebooks.export import module_name

TITLE = """\
# {title}

Cells that begin with `#export` go to the module `exp/{module}.py`; the asserts in the other cells are their tests.

    mlfound notebook export {file}
    mlfound notebook test {file}
    mlfound notebook call exp/{module}.py relative_change 50 60"""

EXPORTED = """\
#export
def relative_change(before: float, after: float) -> float:
    \"\"\"The change as a fraction of `before`: 0.2 for 50 and 60.\"\"\"
    return (after - before) / before"""

TEST = """\
from mlfound.foundations.checks import test_near

test_near(relative_change(50, 60), 0.2)
assert relative_change(3, 3) == 0"""


def create(path: Path) -> None:
    """Write a small notebook, ready to run, to a path that does not exist."""
    name = printable(str(path))
    title = TITLE.format(title=path.stem, module=module_name(path), file=shlex.quote(path.name))
    cells = [cell("markdown", "title", title), cell("code", "exported", EXPORTED), cell("code", "test", TEST)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:  # x: never over what is there
            file.write(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    except FileExistsError:
        raise UserError(f"{name}: already exists; name a new file") from None
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{name}: there is no folder {printable(str(path.parent))}; make it first") from None


def cell(kind: str, identity: str, source: str) -> dict[str, Any]:
    """A cell as nbformat 4.5 wants it."""
    outputs: dict[str, Any] = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "id": identity, "metadata": {}, **outputs, "source": source.splitlines(True)}
