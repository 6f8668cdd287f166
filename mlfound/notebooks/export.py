"""Export: the paths of notebooks' modules, and the checks before they are written.

Everything is read and checked before anything is written.
"""

import os
import re
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from pathlib import Path

from mlfound.errors import UserError, printable
from mlfound.files import write_whole
from mlfound.notebooks.directives import MAX_MODULE_NAME
from mlfound.notebooks.documents import Notebook
from mlfound.notebooks.marked import NAME, Part, parts, text_of

MAX_HEADER_BYTES = 64 * 1024  # it names the notebooks of a module


@dataclass(eq=False)
class Module:
    """What notebooks export to the file `path` below `folder`: their parts, the owner's first."""

    folder: Path
    path: Path
    owner: Notebook | None = None
    parts: list[Part] = field(default_factory=list)
    content: bytes = b""

    @property
    def notebooks(self) -> list[Path]:
        return list(dict.fromkeys(part.notebook.path for part in self.parts))

    @property
    def state(self) -> str:
        """`missing`, `stale` or `up to date`."""
        if not self.path.exists():
            return "missing"
        return "up to date" if self.path.read_bytes() == self.content else "stale"

    def write(self) -> None:
        """Write it atomically, making its folder if needed."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, self.content)


def modules(notebooks: Sequence[Notebook], to: Path | None = None) -> list[Module]:
    """The modules that notebooks export; a UserError if one is not possible or not clear.

    They go to the folder `to`; without one, to `exp` beside the notebook. At most one notebook owns
    a module, so that a copy of a notebook is found; by name (`#| export core`) others may add to it. Their cells
    follow in the order of the notebooks' names: the same notebooks make the same module, in whatever order given.
    """
    found: dict[str, Module] = {}
    for notebook in notebooks:
        default, own = parts(notebook)
        for part in own:
            add(found, part, default, to)
    for module in found.values():
        check_place(module, [other.path for other in found.values()])
        check_present(module, {notebook.path.name for notebook in notebooks})
        module.parts.sort(key=partial(order, module))
        module.content = text_of(module.parts).encode()
    return list(found.values())


def add(modules: dict[str, Module], part: Part, default: str | None, to: Path | None) -> None:
    """Add a part to its module."""
    notebook = part.notebook
    check_name(notebook.path)
    own = module_name(notebook.path) if default is None and part.module is None else default
    name = part.module or own
    assert name is not None
    folder = to if to is not None else beside(notebook.path)
    path = folder.joinpath(*name.split(".")).with_suffix(".py")
    place = os.path.realpath(path)
    module = modules.setdefault(place.casefold(), Module(folder, path))  # not every disk tells A from a
    if name == own:
        module.owner = module.owner or notebook
        if module.owner is not notebook:
            advice = f"add to it with '#| export {name}'" if default else "rename one of the two"
            raise UserError(f"{notebook.name}: would become {path}, as {module.owner.name} does; {advice}")
    if os.path.realpath(module.path) != place:
        where = f"{notebook.name}: cell {part.cell.number}"
        raise UserError(f"{where}: {path} and {module.path} are one file on some disks; spell them alike")
    module.parts.append(part)


def order(module: Module, part: Part) -> tuple[bool, str, str]:
    path = part.notebook.path
    return part.notebook is not module.owner, path.name, os.path.realpath(path)


def write(modules: Sequence[Module]) -> None:
    """Write all, each atomically. Several at once: a disk makes many files durable nearly as fast as one."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(Module.write, modules))


def check_name(path: Path) -> None:
    """Refuse a notebook whose name is not valid in a module's header."""
    if path.suffix != ".ipynb":
        raise UserError(f"{printable(str(path))}: not a notebook; name a file that ends in .ipynb")
    if not path.name.isprintable():
        name = printable(path.name)
        raise UserError(f"{name}: has unprintable characters; rename it, as in 01_matmul.ipynb")


def module_name(path: Path) -> str:
    """`nb_01` for `01_matmul.ipynb`: the part before the first underscore, with `_` for invalid characters."""
    check_name(path)
    # Python reads the names in its imports in this normal form
    part = unicodedata.normalize("NFKC", path.stem.partition("_")[0])
    word = re.sub(r"\W+", "_", part).strip("_")
    if "\\" in path.name or not 0 < len(word) <= MAX_MODULE_NAME:
        raise UserError(f"{path.name}: no module can be named after this; rename it, as in 01_matmul.ipynb")
    return f"nb_{word}"


def beside(notebook: Path) -> Path:
    """The folder `exp` beside a notebook; not a link, which may have come with the notebook."""
    folder = notebook.parent / "exp"
    if folder.is_symlink():
        target = os.path.realpath(folder)
        raise UserError(f"{folder}: a link; write --to {target} if that is where it should go")
    return folder


def check_place(module: Module, others: Sequence[Path]) -> None:
    """Refuse to leave the folder, and to write what cannot be imported."""
    path = module.path
    folder = next(folder for folder in path.parents if folder.exists())
    if not folder.is_dir():
        raise UserError(f"{folder}: a file, where the folder for modules should be; name another with --to")
    inner = path.parents[: len(path.parts) - len(module.folder.parts) - 1]  # exp/core of core.sub
    for link in filter(Path.is_symlink, inner):
        raise UserError(f"{link}: a link; move it away, or name another folder with --to")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UserError(f"{path}: not a plain file; move it away, or name another folder with --to")
    own = path.with_suffix("")
    for package in [*inner, own] if own.is_dir() else inner:
        beside_it = package.with_suffix(".py")
        if beside_it in others or beside_it.exists():
            either = f"either {beside_it} or what is in {package}"
            raise UserError(f"{path}: Python imports {either}; rename one of the two")


def check_present(module: Module, given: set[str]) -> None:
    """Refuse to overwrite what was not generated, or has the cells of a notebook that is not `given`."""
    path = module.path
    if not path.exists():
        return
    with path.open("rb") as file:
        head = file.read(MAX_HEADER_BYTES)
    if head[:400].strip() and b"generated" not in head[:400].lower():
        raise UserError(f"{path}: not a generated file; move it away, or name another folder with --to")
    folders = {notebook.parent for notebook in module.notebooks}
    for line in takewhile(bool, head.decode(errors="replace").splitlines()):
        name = line.removeprefix(NAME)
        if line != name and name not in given and any(os.path.exists(folder / name) for folder in folders):
            raise UserError(f"{path}: has cells of {name} too; export both together")
