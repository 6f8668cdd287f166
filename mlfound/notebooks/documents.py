"""Reads notebooks: JSON with `source` in `cells` (nbformat 4), or `input` in the cells of `worksheets` (3).

What nbformat itself does not refuse in words, such as a cell without its `source`, is refused here with cell and key.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from mlfound.errors import UserError, printable
from mlfound.files import open_plain

MAX_NOTEBOOK_BYTES = 32 * 1024 * 1024  # JSON can take twenty times as much memory


@dataclass(frozen=True)
class Cell:
    """A code cell; `number` counts all cells of its notebook, from 1; `options` are nbdev's, in its metadata."""

    number: int
    source: str
    tags: Sequence[str] = ()
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Notebook:
    """The code cells and the file's SHA-256; language, Python and kernel if the metadata have them."""

    path: Path
    nbformat: int
    cells: Sequence[Cell]
    language: str | None
    python: tuple[int, int] | None
    kernel: str | None
    digest: str

    @property
    def name(self) -> str:
        return printable(str(self.path))

    @property
    def is_python(self) -> bool:
        return self.language is None or self.language.lower() == "python"

    @property
    def newer_python(self) -> str:
        """A possible cause of a syntax error: the notebook was written with a newer Python; else empty."""
        if self.python is None or self.python <= sys.version_info[:2]:
            return ""
        return "the notebook was written with Python {}.{}".format(*self.python)


def find(paths: Sequence[Path]) -> list[Path]:
    """The notebooks that `paths` name, each once: a file is itself, a folder its *.ipynb in the order of names."""
    found: dict[str, Path] = {}
    for path in paths:
        for notebook in in_folder(path) if path.is_dir() else [path]:
            found.setdefault(os.path.join(os.path.realpath(notebook.parent), notebook.name), notebook)
    return list(found.values())


def in_folder(folder: Path) -> list[Path]:
    """Its notebooks, without subfolders and hidden files, where editors keep their copies."""
    paths = [path for path in folder.glob("*.ipynb") if path.is_file() and not path.name.startswith(".")]
    if not paths:
        raise UserError(f"{folder}: there is no notebook in this folder; name one that holds *.ipynb files")
    return sorted(paths)


def read(path: Path) -> Notebook:
    """The notebook in the file `path`; a UserError if it is not one."""
    name = printable(str(path))
    with open_plain(path, follow_links=True) as file:
        content = file.read(MAX_NOTEBOOK_BYTES + 1)
    if len(content) > MAX_NOTEBOOK_BYTES:
        raise UserError(f"{name}: larger than {MAX_NOTEBOOK_BYTES >> 20} MiB; clear its outputs")
    try:
        document = json.loads(content.decode("utf-8-sig"))
        cells = list(code_cells(document))
        metadata = member(document, "metadata", dict, "the notebook") if "metadata" in document else {}
    except UnicodeDecodeError:
        raise UserError(f"{name}: not UTF-8, as every notebook is; save it again in Jupyter") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{name}:{error.lineno}: not JSON, as every notebook is ({error.msg})") from None
    except (TypeError, RecursionError, ValueError) as error:  # ValueError: a number of thousands of digits
        raise UserError(f"{name}: not a notebook: {error}") from None
    language = within(metadata, "kernelspec", "language") or within(metadata, "language_info", "name")
    version = within(metadata, "language_info", "version") or ""
    written = re.match(r"(\d{1,2})\.(\d{1,3})\b", version, re.ASCII)
    python = (int(written[1]), int(written[2])) if written else None
    kernel = within(metadata, "kernelspec", "name")
    return Notebook(path, document["nbformat"], cells, language, python, kernel, sha256(content).hexdigest())


def code_cells(document: Any) -> Iterator[Cell]:
    """The code cells of either format; a TypeError where something is not what it must be."""
    version = member(document, "nbformat", int, "the notebook")
    if version == 4:
        cells, key = member(document, "cells", list, "the notebook"), "source"
    elif version == 3:
        sheets = member(document, "worksheets", list, "the notebook")
        cells = [cell for sheet in sheets for cell in member(sheet, "cells", list, "a worksheet")]
        key = "input"
    else:
        raise TypeError(f"nbformat {version} is neither 3 nor 4; save it again in a current Jupyter")
    nbdev = within(document, "metadata", "nbdev", dict) or {}
    options = {key: nbdev[key] for key in ("default_exp",) if key in nbdev}  # count as the first cell's
    for number, cell in enumerate(cells, 1):
        where = f"cell {number}"
        if member(cell, "cell_type", str, where) == "code":
            tags = [tag for tag in within(cell, "metadata", "tags", list) or [] if isinstance(tag, str)]
            own = within(cell, "metadata", "nbdev", dict) or {}
            yield Cell(number, text(cell, key, where), tags, {**options, **own})
            options = {}


def text(cell: Any, key: str, where: str) -> str:
    """A cell's text, which is a string or a list of lines, each with its end; every end becomes `\\n`."""
    lines = member(cell, key, (str, list), where)
    if not all(isinstance(line, str) for line in lines):
        raise TypeError(f"{key!r} of {where} is neither text nor a list of lines")
    joined = "".join(lines).replace("\r\n", "\n").replace("\r", "\n")
    if not joined.isascii() and re.search("[\ud800-\udfff]", joined):  # JSON can spell it, UTF-8 cannot
        raise TypeError(f"{key!r} of {where} has half of a surrogate pair")
    return joined


NAMES = {int: "a whole number", str: "text", list: "a list", dict: "an object", (str, list): "text or a list"}


def member(mapping: Any, key: str, kind: Any, where: str) -> Any:
    """`mapping[key]` if it is a `kind`, else a TypeError that says `where` it is missing or what it must be."""
    if not isinstance(mapping, dict):
        raise TypeError(f"{where} is not an object with keys, but {shown(mapping)}")
    if key not in mapping:
        raise TypeError(f"{where} has no {key!r}")
    value = mapping[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{key!r} of {where} must be {NAMES[kind]}, not {shown(value)}")
    return value


def shown(value: Any) -> str:
    """A wrong value, at most 40 characters."""
    return json.dumps(value)[:40] if isinstance(value, str | int | float | None) else NAMES[type(value)]


def within(mapping: Any, section: str, key: str, kind: Any = str) -> Any:
    """`mapping[section][key]` if it exists and is a `kind`, else None."""
    inner = mapping.get(section)
    value = inner.get(key) if isinstance(inner, dict) else None
    return value if isinstance(value, kind) else None
