"""Export: the paths of notebooks' modules, and the checks before they are written.

Everything is read and checked before anything is written.
"""

import os
import re
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from mlfound.errors import UserError, printable
from mlfound.files import write_whole
from mlfound.notebooks.directives import MAX_MODULE_NAME
from mlfound.notebooks.documents import Notebook
from mlfound.notebooks.marked import NAME, Part, parts, text_of

MAX_HEADER_BYTES = 64 * 1024  # it names the notebooks of a module


@dataclass(frozen=True)
class Module:
    """The content that notebooks export to one path."""

    notebooks: Sequence[Path]
    path: Path
    content: bytes

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


@dataclass
class Target:
    """A module before it is written: the file `path` below `folder`, its parts, and the notebook that owns it."""

    folder: Path
    path: Path
    owner: Notebook | None = None
    parts: list[Part] = field(default_factory=list)


def modules(notebooks: Sequence[Notebook], to: Path | None = None) -> list[Module]:
    """The modules that notebooks export; a UserError if one is not possible or not clear.

    They go to the folder `to`; without one, to `exp` beside the notebook. At most one notebook owns
    a module, so that a copy of a notebook is found; by name (`#| export core`) others may add to it. Their cells
    follow in the order of the notebooks' names: the same notebooks make the same module, in whatever order given.
    """
    targets: dict[str, Target] = {}
    for notebook in notebooks:
        default, found = parts(notebook)
        for part in found:
            add(targets, part, default, to)
    made = []
    for target in targets.values():
        check_target(target, [other.path for other in targets.values()])
        check_others(target, {notebook.path.name for notebook in notebooks})
        target.parts.sort(key=lambda part: place_in(target, part.notebook))
        sources = dict.fromkeys(part.notebook.path for part in target.parts)
        made.append(Module(list(sources), target.path, text_of(target.parts).encode()))
    return made


def add(targets: dict[str, Target], part: Part, default: str | None, to: Path | None) -> None:
    """Add a part to its module's target."""
    notebook = part.notebook
    check_name(notebook.path)
    own = module_name(notebook.path) if default is None and part.module is None else default
    name = part.module or own
    assert name is not None
    folder = to if to is not None else beside(notebook.path)
    path = folder.joinpath(*name.split(".")).with_suffix(".py")
    place = os.path.realpath(path)
    target = targets.setdefault(place.casefold(), Target(folder, path))  # not every disk tells A from a
    if name == own:
        target.owner = target.owner or notebook
        if target.owner is not notebook:
            advice = f"add to it with '#| export {name}'" if default else "rename one of the two"
            raise UserError(f"{notebook.name}: would become {path}, as {target.owner.name} does; {advice}")
    if os.path.realpath(target.path) != place:
        where = f"{notebook.name}: cell {part.cell.number}"
        raise UserError(f"{where}: {path} and {target.path} are one file on some disks; spell them alike")
    target.parts.append(part)


def place_in(target: Target, notebook: Notebook) -> tuple[bool, str, str]:
    """The sort key of a module's notebooks."""
    return notebook is not target.owner, notebook.path.name, os.path.realpath(notebook.path)


def write(modules: Sequence[Module]) -> None:
    """Write all, each atomically. Several at once: a disk makes many files durable nearly as fast as one."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(Module.write, modules))


def check_name(path: Path) -> None:
    """Refuse a notebook whose name is not valid in a module's header."""
    if path.suffix != ".ipynb":
        raise UserError(f"{printable(str(path))}: not a notebook; name a file that ends in .ipynb")
    if not path.name.isprintable():
        raise UserError(
            f"{printable(path.name)}: has unprintable characters; rename it, as in 01_matmul.ipynb"
        )


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
        raise UserError(
            f"{folder}: a link; write --to {os.path.realpath(folder)} if that is where it should go"
        )
    return folder


def check_target(target: Target, others: Sequence[Path]) -> None:
    """Refuse to overwrite files that were not generated, to leave the folder, or to write what cannot be imported."""
    path = target.path
    folder = next(folder for folder in path.parents if folder.exists())
    if not folder.is_dir():
        raise UserError(f"{folder}: a file, where the folder for modules should be; name another with --to")
    inner = path.parents[: len(path.parts) - len(target.folder.parts) - 1]  # exp/core of core.sub
    for link in filter(Path.is_symlink, inner):
        raise UserError(f"{link}: a link; move it away, or name another folder with --to")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UserError(f"{path}: not a plain file; move it away, or name another folder with --to")
    for package in [*inner, path.with_suffix("")]:
        module = package.with_suffix(".py")
        if (package != path.with_suffix("") or package.is_dir()) and (module in others or module.exists()):
            raise UserError(
                f"{path}: Python imports either {module} or what is in {package}; rename one of the two"
            )
    if path.exists():
        with path.open("rb") as file:
            head = file.read(400)
        if head.strip() and b"generated" not in head.lower():
            raise UserError(f"{path}: not a generated file; move it away, or name another folder with --to")


def check_others(target: Target, given: set[str]) -> None:
    """Refuse to drop the cells of a notebook that the existing module names, but this call does not."""
    if not target.path.exists():
        return
    with target.path.open("rb") as file:
        head = file.read(MAX_HEADER_BYTES).decode(errors="replace").splitlines()
    folders = {part.notebook.path.parent for part in target.parts}
    for line in head[: head.index("") if "" in head else None]:
        name = line.removeprefix(NAME)
        if line != name and name not in given and any(os.path.exists(folder / name) for folder in folders):
            raise UserError(f"{target.path}: has cells of {name} too; export both together")
