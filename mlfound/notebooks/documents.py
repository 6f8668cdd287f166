"""A notebook, read by hand: it is a JSON file, and its cells are a list in it.

nbformat 4 keeps `source` in `cells`; nbformat 3 keeps `input` in the cells of `worksheets`.
"""

import json
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from mlfound.errors import UserError, printable

LARGEST = 32 * 1024 * 1024  # bytes of a file: JSON can take twenty times as many in memory
HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair: JSON can spell it alone, UTF-8 cannot


@dataclass(frozen=True)
class Cell:
    """A code cell; `number` counts all cells of its notebook, from 1; `options` are nbdev's, in its metadata."""

    number: int
    source: str
    tags: Sequence[str] = ()
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Notebook:
    """What was read: the code cells, the file's sha256; language, Python and kernel where the metadata name one."""

    path: Path
    nbformat: int
    cells: Sequence[Cell]
    language: str | None
    python: tuple[int, int] | None
    kernel: str | None
    digest: str

    @property
    def name(self) -> str:
        """The path as it can be shown."""
        return printable(str(self.path))

    @property
    def is_python(self) -> bool:
        """Whether nothing says that it is written in another language."""
        return self.language is None or self.language.lower() == "python"

    @property
    def newer_python(self) -> str:
        """What an error in its syntax may come from: it was written with a newer Python than this one; else empty."""
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
    """Its notebooks, without those below it and without hidden ones: editors keep their copies there."""
    paths = [path for path in folder.glob("*.ipynb") if path.is_file() and not path.name.startswith(".")]
    if not paths:
        raise UserError(f"{folder}: there is no notebook in this folder; name one that holds *.ipynb files")
    return sorted(paths)


def read(path: Path) -> Notebook:
    """The notebook in the file `path`; whatever else is there is a UserError that names it."""
    name = printable(str(path))
    content = bytes_of(path, name)
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UserError(f"{name}: not UTF-8, as every notebook is; save it again in Jupyter") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{name}:{error.lineno}: not JSON, as every notebook is ({error.msg})") from None
    except (RecursionError, ValueError) as error:  # ValueError: a number of thousands of digits
        raise UserError(f"{name}: no notebook: {error}") from None
    try:
        cells = list(code_cells(document))
        metadata = member(document, "metadata", dict, "the notebook") if "metadata" in document else {}
    except TypeError as error:
        raise UserError(f"{name}: no notebook: {error}") from None
    language = within(metadata, "kernelspec", "language") or within(metadata, "language_info", "name")
    written = re.match(
        r"(\d{1,2})\.(\d{1,3})\b", within(metadata, "language_info", "version") or "", re.ASCII
    )
    python = (int(written[1]), int(written[2])) if written else None
    kernel = within(metadata, "kernelspec", "name")
    return Notebook(path, document["nbformat"], cells, language, python, kernel, sha256(content).hexdigest())


def bytes_of(path: Path, name: str) -> bytes:
    """The content of a plain file that is not too large: opening a pipe would wait for ever."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UserError(f"{name}: not a file; name a notebook or a folder of them")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise UserError(f"{name}: there is no such notebook") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        raise UserError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > LARGEST:
        raise UserError(f"{name}: larger than {LARGEST >> 20} MiB; clear its outputs")
    return content


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
        raise TypeError(f"nbformat {version} is neither 3 nor 4; save it again in a Jupyter of today")
    options = (
        within(document, "metadata", "nbdev", dict) or {}
    )  # the first cell's, as far as they are directives
    options = {key: options[key] for key in ("default_exp",) if key in options}
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
    if not joined.isascii() and HALF.search(joined):
        raise TypeError(f"{key!r} of {where} has half of a character")
    return joined


NAMES = {int: "a whole number", str: "text", list: "a list", dict: "an object", (str, list): "text or a list"}


def member(mapping: Any, key: str, kind: Any, where: str) -> Any:
    """`mapping[key]`, which is a `kind`; else a TypeError that says `where` it is missing or what it must be."""
    if not isinstance(mapping, dict):
        raise TypeError(f"{where} is not an object with keys, but {shown(mapping)}")
    if key not in mapping:
        raise TypeError(f"{where} has no {key!r}")
    value = mapping[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{key!r} of {where} must be {NAMES[kind]}, not {shown(value)}")
    return value


def shown(value: Any) -> str:
    """A wrong value, short."""
    return json.dumps(value)[:40] if isinstance(value, str | int | float | None) else NAMES[type(value)]


def within(mapping: Any, section: str, key: str, kind: Any = str) -> Any:
    """`mapping[section][key]` where there is such a thing and it is a `kind`; else None."""
    inner = mapping.get(section)
    value = inner.get(key) if isinstance(inner, dict) else None
    return value if isinstance(value, kind) else None
