"""The IDX files of a folder under their usual names, grouped into data sets.

The names are MNIST's; also EMNIST's (a prefix such as `emnist-letters-`), and QMNIST's (`labels-idx2-int`).
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from mlfound.data.registry import NAMES
from mlfound.errors import UserError

NAME = re.compile(
    r"(?P<prefix>(?:.+-)?)(?P<split>train|t10k|test)-(?P<kind>images|labels)"
    r"(?:(?<=images)[-.]idx3-ubyte|(?<=labels)[-.]idx(?:1-ubyte|2-int))(?:\.gz)?"
)
PATTERNS = ("*", "*/*", "*/raw/*")  # the last from the root of torchvision, ROOT/MNIST/raw


@dataclass
class Found:
    """The files of one data set: those of one folder with one prefix. By raw name, the one to read first."""

    folder: Path
    prefix: str
    paths: dict[str, list[Path]] = field(default_factory=dict)

    def __str__(self) -> str:
        return str(self.folder)

    def files(self) -> dict[str, Path]:
        """One path for each of NAMES; a UserError if one is missing or there are two that may differ."""
        for name in NAMES:
            if name not in self.paths:
                raise UserError(f"{self.folder} has no file {self.prefix}{name}, raw or .gz")
            first, *others = self.paths[name]
            for other in others:
                if plain(other.name) != plain(first.name):
                    raise UserError(f"{self.folder} has both {first.name} and {other.name}; remove one")
        return {name: self.paths[name][0] for name in NAMES}


def find_own(folder: Path) -> dict[str, Path]:
    """The four files of the one data set in `folder`, by raw name, or one level down; else a UserError."""
    sets = find_data_sets(folder) or [Found(folder, "")]
    depth = min(len(found.folder.parts) for found in sets)
    first, *others = [found for found in sets if len(found.folder.parts) == depth]
    if others:
        two = " and that of ".join(str(next(iter(each.paths.values()))[0]) for each in (first, others[0]))
        raise UserError(f"{folder} has two data sets, that of {two}; give a folder with one")
    return first.files()


def find_data_sets(folder: Path) -> list[Found]:
    """What is in `folder` or below it. Regular files only.

    An archive's `train-images-idx3-ubyte/train-images-idx3-ubyte` counts as if its outer folder were not there.
    """
    sets: dict[tuple[Path, str], Found] = {}
    for pattern in PATTERNS:
        for path in sorted(folder.glob(pattern)):
            match = NAME.fullmatch(path.name)
            if match and path.is_file():
                inner = path.parent != folder and NAME.fullmatch(path.parent.name)
                key = (path.parent.parent if inner else path.parent), match["prefix"]
                found = sets.setdefault(key, Found(*key))
                found.paths.setdefault(raw_name(match), []).append(path)
    for found in sets.values():
        for paths in found.paths.values():
            paths.sort(key=lambda path: (len(path.parts), path.suffix == ".gz"))
    return list(sets.values())


def raw_name(match: re.Match[str]) -> str:
    """The one of NAMES that a matched file name stands for."""
    split = "train" if match["split"] == "train" else "t10k"
    return next(name for name in NAMES if name.startswith(f"{split}-{match['kind']}"))


def plain(name: str) -> str:
    """The name without the parts that may differ between two copies of one file."""
    return name.removesuffix(".gz").replace(".idx", "-idx")
