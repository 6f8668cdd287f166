"""Export: where the module of a notebook goes, and whether it may.

Everything is read, checked and laid out before anything is written.
"""

import os
import re
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mlfound.errors import UserError, printable
from mlfound.files import write_whole
from mlfound.notebooks.documents import Notebook
from mlfound.notebooks.marked import text_of


@dataclass(frozen=True)
class Module:
    """What a notebook exports, and where to."""

    notebook: Path
    path: Path
    content: bytes

    @property
    def state(self) -> str:
        """`missing`, `stale` or `up to date`."""
        if not self.path.exists():
            return "missing"
        return "up to date" if self.path.read_bytes() == self.content else "stale"

    def write(self) -> None:
        """Write it whole, in a folder that is made if need be."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, self.content)


def modules(notebooks: Sequence[Notebook], to: Path | None = None) -> list[Module]:
    """The module of every notebook that exports something; a UserError if one cannot be, or two would be the same.

    It goes to the folder `to`; without one, to `exp` beside its notebook.
    """
    made: dict[str, Module] = {}
    for notebook in notebooks:
        text = text_of(notebook)
        if text is None:
            continue
        folder = to if to is not None else beside(notebook.path)
        module = Module(notebook.path, folder / f"{module_name(notebook.path)}.py", text.encode())
        place = os.path.realpath(module.path).casefold()  # not every disk tells A from a
        twin = made.setdefault(place, module)
        if twin is not module:
            raise UserError(
                f"{notebook.name}: would become {module.path}, as {twin.notebook} does; rename one of the two"
            )
        check_target(module.path)
    return list(made.values())


def write(modules: Sequence[Module]) -> None:
    """Write them all, each whole. Several at once: a disk makes many files durable nearly as fast as one."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(Module.write, modules))


def module_name(path: Path) -> str:
    """`nb_01` for `01_matmul.ipynb`: what stands before the first underscore, with `_` for what no name can have."""
    name = printable(path.name)
    if path.suffix != ".ipynb":
        raise UserError(f"{printable(str(path))}: not a notebook; name a file that ends in .ipynb")
    # Python reads the names in its imports in this normal form
    part = unicodedata.normalize("NFKC", path.stem.partition("_")[0])
    word = re.sub(r"\W+", "_", part).strip("_")
    if not (path.name.isprintable() and "\\" not in path.name and 0 < len(word) <= 64):
        raise UserError(f"{name}: no module can be named after this; rename it, as in 01_matmul.ipynb")
    return f"nb_{word}"


def beside(notebook: Path) -> Path:
    """The folder `exp` beside a notebook; not a link to elsewhere, which may have come with the notebook."""
    folder = notebook.parent / "exp"
    if folder.is_symlink():
        raise UserError(
            f"{folder}: a link; write --to {os.path.realpath(folder)} if that is where it should go"
        )
    return folder


def check_target(path: Path) -> None:
    """Refuse to write over what was not generated: a UserError."""
    folder = next(folder for folder in path.parents if folder.exists())
    if not folder.is_dir():
        raise UserError(f"{folder}: a file, where the folder for modules should be; name another with --to")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UserError(f"{path}: not a plain file; move it away, or name another folder with --to")
    if path.exists():
        with path.open("rb") as file:
            head = file.read(400)
        if head.strip() and b"generated" not in head.lower():
            raise UserError(f"{path}: not a generated file; move it away, or name another folder with --to")
