"""The road `--from PATH`: files that the user has, under the names that people give them."""

import os
from pathlib import Path

from mlfound.data.pickled import read_pickle
from mlfound.data.raw import find_raw, read_file, read_raw, variants
from mlfound.data.registry import NAMES, Dataset
from mlfound.errors import UserError

PICKLE = "mnist.pkl.gz"
PICKLE_BYTES = 64 * 2**20  # the lesson's has 17 million
ADVICE = f"give a folder with {', '.join(NAMES)} (raw or .gz), or a {PICKLE}"


def from_path(dataset: Dataset, path: Path) -> dict[str, bytearray]:
    """The four raw files by name: not yet verified, but no longer than they may be.

    `path` is a folder of IDX files or with a `mnist.pkl.gz`, that file itself, or one of the four where the
    others lie beside it. Errors: a UserError that names the path and what is wrong with it.
    """
    if not os.path.exists(path):
        raise UserError(f"{path} does not exist; {ADVICE}")
    folder = path if path.is_dir() else path.parent
    found = {file: find_raw(folder, file.name) for file in dataset.files}
    missing = [file.name for file, there in found.items() if there is None]
    pickle = path / PICKLE if path.is_dir() and missing else path
    if pickle.name.endswith(".pkl.gz") and pickle.is_file():
        return read_pickle(read_file(pickle, PICKLE_BYTES), str(pickle))
    if path != folder and not any(path.name in variants(name) for name in NAMES):
        raise UserError(f"{path} is none of the files wanted; {ADVICE}")
    if missing:
        raise UserError(f"{folder} has no {missing[0]}; {ADVICE}")
    return {file.name: read_raw(there, file.name, file.bytes) for file, there in found.items() if there}
