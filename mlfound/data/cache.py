"""What is in the data folder: verified raw IDX files in `DATA_DIR/DATASET/RAW-NAME`."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from mlfound.data.names import find_own
from mlfound.data.raw import read_raw
from mlfound.data.registry import DATASETS, NAMES, Dataset
from mlfound.errors import UserError
from mlfound.files import open_plain


@dataclass(frozen=True)
class Entry:
    """A registered dataset as it is here."""

    dataset: str
    path: Path
    state: str  # `verified`, `damaged: FILE, ...`, `not here` or `in the package`
    bytes: int  # of its files on the disk
    licence: str


@dataclass(frozen=True)
class Verdict:
    """The SHA-256 of a file."""

    file: str
    wanted: str | None  # None: any, it is the user's own
    found: str | None  # None: there is no file

    @property
    def holds(self) -> bool:
        return self.found is not None and self.wanted in (None, self.found)


def cache_folder(dataset: Dataset, data_dir: Path) -> Path:
    """Where the files of `dataset` are or will be; a UserError if `data_dir` is not a folder."""
    if data_dir.exists() and not data_dir.is_dir():
        raise UserError(f"the data folder {data_dir} is not a folder; choose another with --data-dir")
    return dataset.folder or data_dir / dataset.name


def paths(dataset: Dataset, data_dir: Path) -> dict[str, Path]:
    """The paths of its four files by raw name, in the cache whether they exist or not."""
    if dataset.folder is not None:
        return find_own(dataset.folder)
    return {name: cache_folder(dataset, data_dir) / name for name in NAMES}


def read(dataset: Dataset, data_dir: Path) -> dict[str, bytearray]:
    """The four raw files by name, not yet verified; a UserError that says what is missing."""
    limits = {file.name: file.bytes for file in dataset.files}
    return {name: read_raw(path, name, limits.get(name)) for name, path in paths(dataset, data_dir).items()}


def verify(dataset: Dataset, data_dir: Path) -> list[Verdict]:
    """Each file's digest beside the one it must have."""
    wanted = {file.name: file.sha256 for file in dataset.files}
    if dataset.folder is None:
        found = {name: file_digest(path) for name, path in paths(dataset, data_dir).items()}
    else:  # which may be packed
        found = {name: hashlib.sha256(raw).hexdigest() for name, raw in read(dataset, data_dir).items()}
    return [Verdict(name, wanted.get(name), digest) for name, digest in found.items()]


def inventory(data_dir: Path) -> list[Entry]:
    """Every registered dataset and whether it is here, its digests checked."""
    entries = []
    for dataset in DATASETS.values():
        verdicts = verify(dataset, data_dir)
        damaged = [verdict.file for verdict in verdicts if not verdict.holds]
        state = "in the package" if dataset.folder else "verified"
        if damaged:
            here = any(verdict.found for verdict in verdicts)
            state = f"damaged: {', '.join(damaged)}" if here else "not here"
        size = sum(path.stat().st_size for path in paths(dataset, data_dir).values() if path.is_file())
        entries.append(Entry(dataset.name, cache_folder(dataset, data_dir), state, size, dataset.licence))
    return entries


def file_digest(path: Path) -> str | None:
    """The SHA-256 of a file, in pieces; None where there is no file that can be read."""
    try:
        with open_plain(path, follow_links=True) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except UserError:
        return None
