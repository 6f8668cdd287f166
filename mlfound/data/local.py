"""The source `--from PATH`: the user's own files, under their usual names."""

import os
from pathlib import Path

from mlfound.data.names import NAME, Found, find_data_sets
from mlfound.data.npz import read_npz
from mlfound.data.pickled import read_pickle
from mlfound.data.raw import read_file, read_raw, verify
from mlfound.data.registry import NAMES, Dataset
from mlfound.errors import UserError

ARCHIVES = {".pkl.gz": read_pickle, ".npz": read_npz}
# Keras' has 11 million bytes, the lesson's 17 million, an uncompressed one of numpy 55 million
ARCHIVE_BYTES = 64 * 2**20
ADVICE = f"give a folder with {', '.join(NAMES)} (raw or .gz), or a mnist.pkl.gz or mnist.npz"


def from_path(dataset: Dataset, path: Path) -> dict[str, bytearray]:
    """The four raw files by name, verified: the first candidate at `path` that is this dataset.

    `path` is a folder with IDX files (in it, one level down, or in torchvision's ROOT/MNIST/raw), with a
    `mnist.pkl.gz` or a `mnist.npz`, such a file itself, or one of the four where the others lie beside it.
    Errors: a UserError with a reason for everything that was found.
    """
    reasons = []
    for candidate in candidates(path):
        try:
            raws = read(candidate, dataset)
            for file in dataset.files:
                verify(file, raws[file.name], str(candidate))
        except UserError as error:
            reasons.append(str(error))
        else:
            return raws
    raise UserError("; ".join(reasons))


def candidates(path: Path) -> list[Found | Path]:
    """What may be the dataset: IDX files, then archives; a UserError if there is nothing."""
    if not os.path.exists(path):
        raise UserError(f"{path} does not exist; {ADVICE}")
    if path.is_dir():
        sets = find_data_sets(path)
        archives = [file for suffix in ARCHIVES if (file := path / f"mnist{suffix}").exists()]
    else:
        sets = find_data_sets(path.parent) if NAME.fullmatch(path.name) else []
        archives = [path] if path.name.endswith(tuple(ARCHIVES)) else []
    if not archives and not sets:
        wrong = f"has no {NAMES[0]}" if path.is_dir() else "is not one of the files wanted"
        raise UserError(f"{path} {wrong}; {ADVICE}")
    return [*sets, *archives]


def read(candidate: Found | Path, dataset: Dataset) -> dict[str, bytearray]:
    """The raw files; IDX files are at most as long as those of the dataset."""
    if isinstance(candidate, Found):
        paths = candidate.files()
        return {file.name: read_raw(paths[file.name], file.name, file.bytes) for file in dataset.files}
    unpack = next(unpack for suffix, unpack in ARCHIVES.items() if candidate.name.endswith(suffix))
    return unpack(read_file(candidate, ARCHIVE_BYTES), str(candidate))
