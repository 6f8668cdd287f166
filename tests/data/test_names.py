"""The user's own folders: found under the names of MNIST, EMNIST and QMNIST, and never put together of two."""

import os
import struct

import pytest
import torch

from mlfound.data import idx
from mlfound.data.load import load
from mlfound.data.names import NAME, find_own
from mlfound.data.registry import NAMES, TRAIN_IMAGES, Dataset
from mlfound.errors import UserError
from tests.support.made import made_up


def renamed(made, folder, prefix="", test="t10k", suffix=".gz"):
    made.write(folder, suffix)
    for path in [*folder.iterdir()]:
        path.rename(path.with_name(prefix + path.name.replace("t10k", test)))
    return folder


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("prefix", "test"),
    [("", "t10k"), ("", "test"), ("emnist-letters-", "test"), ("qmnist-", "test"), ("a-train-b-", "t10k")],
)
def test_every_name_is_found_at_each_place(made, tmp_path, prefix, test, suffix):
    here = renamed(made, tmp_path / "a" / "raw", prefix, test, suffix)
    for folder in (here, here.parent, here.parent.parent):
        found = find_own(folder)
        assert list(found) == list(NAMES)
        wanted = {name: here / f"{prefix}{name.replace('t10k', test)}{suffix}" for name in NAMES}
        assert found == wanted


@pytest.mark.parametrize(
    "name",
    [
        "train-images-idx1-ubyte",
        "train-labels-idx3-ubyte",
        "train-images-idx2-int",
        "train-labels-idx2-ubyte",
        "mytrain-images-idx3-ubyte",
        "train-images-idx3-ubyte.gz.part",
        "train-images-idx3-ubyte.zip",
        ".train-images-idx3-ubyte-x7k2",
        "train_images-idx3-ubyte",
        "valid-images-idx3-ubyte",
        "train-images-idx3-ubyte\n",
    ],
)
def test_other_names_are_none_of_the_files(name):
    assert not NAME.fullmatch(name)


def test_raw_file_is_read_before_the_packed_one_and_a_near_one_before_a_far(made, tmp_path):
    made.write(tmp_path, ".gz")
    assert find_own(tmp_path)[TRAIN_IMAGES] == tmp_path / f"{TRAIN_IMAGES}.gz"
    made.write(tmp_path, dotted=True)
    assert find_own(tmp_path)[TRAIN_IMAGES].name == TRAIN_IMAGES.replace("-idx", ".idx")
    made.write(tmp_path)
    assert find_own(tmp_path)[TRAIN_IMAGES].name == TRAIN_IMAGES
    made_up(seed=1).write(tmp_path / "another")
    assert find_own(tmp_path)[TRAIN_IMAGES] == tmp_path / TRAIN_IMAGES


def test_folder_with_the_name_of_a_file_is_no_file(made, tmp_path):
    """Kaggle's archive: `train-images.idx3-ubyte` beside a folder `train-images-idx3-ubyte` that holds it again."""
    made.write(tmp_path, dotted=True)
    for name in NAMES:
        (tmp_path / name).mkdir()
    dotted = find_own(tmp_path)
    assert [path.name for path in dotted.values()] == [name.replace("-idx", ".idx") for name in NAMES]
    for name, raw in made.raws.items():
        (tmp_path / name / name).write_bytes(raw)
    assert find_own(tmp_path) == dotted
    for path in dotted.values():
        path.unlink()
    assert find_own(tmp_path) == {name: tmp_path / name / name for name in NAMES}
    (tmp_path / NAMES[3] / NAMES[3]).unlink()
    with pytest.raises(UserError, match=f"has no file {NAMES[3]}, raw or .gz"):
        find_own(tmp_path)


def test_files_are_not_put_together_of_two_data_sets(made, tmp_path):
    """Labels of one and images of another would fit, and train to nonsense."""
    (made.write(tmp_path) / NAMES[3]).unlink()
    renamed(made_up(seed=1), tmp_path / "other")
    with pytest.raises(UserError, match=f"has no file {NAMES[3]}, raw or .gz"):
        find_own(tmp_path)


def prefixes(made, folder):
    return renamed(made_up(1), renamed(made, folder, "emnist-letters-"), "emnist-digits-"), (
        "emnist-digits-t10k-images-idx3-ubyte.gz", "emnist-letters-t10k-images-idx3-ubyte.gz",
    )  # fmt: skip


def folders(made, folder):
    made.write(folder / "MNIST" / "raw")
    made_up(1).write(folder / "FashionMNIST" / "raw")
    return folder, ("FashionMNIST/raw/t10k-images-idx3-ubyte", "MNIST/raw/t10k-images-idx3-ubyte")


def parts(made, folder):
    (renamed(made, folder, "a-") / f"a-{NAMES[0]}.gz").rename(folder / f"b-{NAMES[0]}.gz")
    return folder, (f"a-{NAMES[2]}.gz", f"b-{NAMES[0]}.gz")


def t10k_and_test(made, folder):
    (renamed(made, folder, suffix="") / "test-labels-idx1-ubyte").write_bytes(made.raws[NAMES[3]])
    return folder, ("t10k-labels-idx1-ubyte", "test-labels-idx1-ubyte")


def two_kinds_of_labels(made, folder):
    (renamed(made, folder, suffix="") / "train-labels-idx2-int").write_bytes(b"")
    return folder, ("train-labels-idx1-ubyte", "train-labels-idx2-int")


@pytest.mark.parametrize("build", [prefixes, folders, parts, t10k_and_test, two_kinds_of_labels])
def test_two_that_could_be_meant_are_refused_in_one_line_that_names_both(made, tmp_path, build):
    folder, names = build(made, tmp_path / "have")
    with pytest.raises(UserError) as caught:
        find_own(folder)
    assert all(name in str(caught.value) for name in names)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="has no pipes")
def test_pipe_and_broken_link_are_no_files(made, tmp_path):
    (made.write(tmp_path) / NAMES[0]).unlink()
    os.mkfifo(tmp_path / NAMES[0])
    (tmp_path / f"{NAMES[0]}.gz").symlink_to("nowhere")
    with pytest.raises(UserError, match=f"has no file {NAMES[0]}, raw or .gz"):
        find_own(tmp_path)


def test_emnists_letters_are_27_classes_of_which_the_first_is_empty(tmp_path):
    labels = torch.arange(52, dtype=torch.uint8) % 26 + 1
    images = torch.arange(52 * 4, dtype=torch.uint8).reshape(52, 2, 2)
    for split in ("train", "test"):
        for kind, tensor in (("images-idx3", images), ("labels-idx1", labels)):
            (tmp_path / f"emnist-letters-{split}-{kind}-ubyte").write_bytes(idx.encode(tensor))
    splits = load(Dataset("own", "own", "own", folder=tmp_path), tmp_path)
    assert splits.classes == 27
    assert splits.test.y.tolist() == labels.tolist()
    assert torch.equal(splits.test.x.reshape(-1, 2, 2) * 256, images.float()), "not transposed"


def test_qmnists_labels_are_the_first_column_of_their_table(made, tmp_path):
    renamed(made, tmp_path, "qmnist-", "test", "")
    wanted = load(Dataset("own", "own", "own", folder=tmp_path), tmp_path)
    for split in ("train", "test"):
        plain = tmp_path / f"qmnist-{split}-labels-idx1-ubyte"
        labels = plain.read_bytes()[8:]
        table = struct.pack(">4B2I", 0, 0, 12, 2, len(labels), 8)
        table += b"".join(struct.pack(">8i", label, 4, 7, 0, 99, 100_000, 0, -1) for label in labels)
        plain.unlink()
        (tmp_path / f"qmnist-{split}-labels-idx2-int").write_bytes(table)
    splits = load(Dataset("own", "own", "own", folder=tmp_path), tmp_path)
    for name in ("train", "valid", "test"):
        assert torch.equal(getattr(splits, name).y, getattr(wanted, name).y)
    assert splits.digest != wanted.digest
