"""Makes verified bytes into tensors: training, validation and test rows, scaled to [0, 1) as in the lesson."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from mlfound.data import idx
from mlfound.data.fetch import Arrival, Progress, fetch, silent
from mlfound.data.raw import dimensions
from mlfound.data.registry import Dataset
from mlfound.errors import UserError
from mlfound.files import read_plain

MAX_LABELS_BYTES = 64 * 1024
LEVELS = 256  # the lesson's pickle holds byte / 256, not / 255


@dataclass(frozen=True)
class Split:
    """`x`: float32 (rows, features); `y`: int64 (rows,), classes counted from 0."""

    x: Tensor
    y: Tensor

    def first(self, rows: int) -> "Split":
        """The first `rows` rows, or all where there are fewer."""
        return Split(self.x[:rows], self.y[:rows])

    def to(self, device: torch.device) -> "Split":
        """The same on `device`."""
        return Split(self.x.to(device), self.y.to(device))


@dataclass(frozen=True)
class Splits:
    """The three splits of a dataset; `shape` is (height, width) of a row's image.

    `files` are the SHA-256 of the raw files by name, `digest` the SHA-256 of those four digests in order. `labels`
    are what the classes are called, and `noun` what an image shows: a digit, or just an image.
    """

    train: Split
    valid: Split
    test: Split
    shape: tuple[int, int]
    classes: int
    digest: str
    files: dict[str, str]
    labels: Sequence[int | str]
    noun: str = "image"

    def first(self, train_rows: int) -> "Splits":
        """The same with the first `train_rows` training rows only; a UserError if there are fewer."""
        there = len(self.train.x)
        if not 1 <= train_rows <= there:
            message = f"{train_rows:,} training rows are not available; write 1 to {there:,}"
            raise UserError(message, key="data.train_rows")
        return replace(self, train=self.train.first(train_rows))

    def to(self, device: torch.device) -> "Splits":
        """The same on `device`."""
        return replace(
            self, train=self.train.to(device), valid=self.valid.to(device), test=self.test.to(device)
        )


def load(dataset: Dataset, data_dir: Path, progress: Progress = silent, split: str = "lesson") -> Splits:
    """The splits of a dataset, fetched if it is not here; errors as `fetch` and `decode` have them.

    `split` is a name in SPLITS.
    """
    progress(f"reading {dataset.name}", 0, 0)
    return decode(dataset, fetch(dataset, data_dir, progress=progress), split)


def decode(dataset: Dataset, arrivals: Sequence[Arrival], split: str = "lesson") -> Splits:
    """The splits of what `fetch` has read and verified; a UserError if the files do not fit together."""
    tensors = (idx.decode(each.raw, each.file, dimensions(each.file)) for each in arrivals)
    train_x, train_y, test_x, test_y = tensors
    _check_fit(train_x, train_y, test_x, test_y, dataset.name)
    cut = len(train_x) - SPLITS[split](dataset, len(train_x))
    digests = {each.file: each.sha256 for each in arrivals}
    classes = int(train_y.max()) + 1
    return Splits(
        train=_split(train_x[:cut], train_y[:cut]),
        valid=_split(train_x[cut:], train_y[cut:]),
        test=_split(test_x, test_y),
        shape=(train_x.shape[1], train_x.shape[2]),
        classes=classes,
        digest=hashlib.sha256("".join(digests.values()).encode()).hexdigest(),
        files=digests,
        labels=labels(dataset, classes),
        noun=dataset.noun,
    )


def labels(dataset: Dataset, classes: int) -> Sequence[int | str]:
    """The names of the classes, in the user's own data those in `labels.txt`, one per line; else their numbers."""
    if dataset.folder and os.path.lexists(file := dataset.folder / "labels.txt"):
        return read_labels(file, classes)
    return dataset.class_names[:classes] or range(classes)


def read_labels(file: Path, classes: int) -> Sequence[str]:
    """As many names as there are classes; a UserError if they are no names, or too few."""
    try:
        names = read_plain(file, MAX_LABELS_BYTES, follow_links=True).decode().strip().splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8; write one name per line", key="data.dataset") from error
    if odd := [name for name in names if not name.isprintable() or names.count(name) > 1]:
        message = f"{file}: {odd[0]!r} is not a name of one class; write a different one in each line"
        raise UserError(message, key="data.dataset")
    if len(names) < classes:
        raise UserError(f"{file}: {len(names)} names, and there are {classes} classes", key="data.dataset")
    return names[:classes]


def _check_fit(train_x: Tensor, train_y: Tensor, test_x: Tensor, test_y: Tensor, name: str) -> None:
    for kind, x, y in (("training", train_x, train_y), ("test", test_x, test_y)):
        if len(x) != len(y):
            raise UserError(f"{name} has {len(x):,} {kind} images and {len(y):,} labels")
    if train_x.shape[1:] != test_x.shape[1:]:
        raise UserError(f"{name} has training images of {_by(train_x)} and test images of {_by(test_x)}")
    if len(train_x) < 6:
        raise UserError(
            f"{name} has {len(train_x)} training rows; at least 6 are needed, a sixth is for validation"
        )
    if test_y.max() > train_y.max():
        raise UserError(
            f"{name} has the test label {test_y.max()}, but no training label beyond {train_y.max()}"
        )


def _by(images: Tensor) -> str:
    return f"{images.shape[1]} x {images.shape[2]} pixels"


def _split(images: Tensor, labels: Tensor) -> Split:
    return Split(images.flatten(1).float().div_(LEVELS), labels.long())


def lesson(dataset: Dataset, rows: int) -> int:
    """As many as the lesson's 10,000 of MNIST; of a dataset that does not say how many, a sixth."""
    return dataset.valid_rows or rows // 6


def published(dataset: Dataset, rows: int) -> int:
    """None: a published test error is nearly always that of a network trained on every training row."""
    return 0


# How many of the training files' rows, the last ones, are for validation
SPLITS: Mapping[str, Callable[[Dataset, int], int]] = {"lesson": lesson, "published": published}
