"""The IDX files of a folder under their usual names, grouped into data sets.

A file of images or labels is named `[PREFIX-]train-images-idx3-ubyte`, as MNIST's are; `test` may stand for
`t10k`, `.idx` for `-idx`, `.gz` behind it, and `labels-idx2-int` for QMNIST's labels. EMNIST's prefix is
`emnist-letters-`.
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
    nearest = find_data_sets(folder)
    depth = min((len(found.folder.parts) for found in nearest), default=0)
    nearest = [found for found in nearest if len(found.folder.parts) == depth] or [Found(folder, "")]
    if len(nearest) > 1:
        one, other = (next(iter(found.paths.values()))[0] for found in nearest[:2])
        raise UserError(
            f"{folder} has two data sets, that of {one} and that of {other}; give a folder with one"
        )
    return nearest[0].files()


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
                place = path.parent.parent if inner else path.parent
                found = sets.setdefault((place, match["prefix"]), Found(place, match["prefix"]))
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
