"""Loading: the lesson's rows, scale and types; digests checked every time; the user's own files made to fit."""

import hashlib
from dataclasses import replace

import pytest
import torch

from mlfound.data import idx, raw
from mlfound.data.fetch import fetch
from mlfound.data.load import decode, load
from mlfound.data.registry import DATASETS, NAMES, Dataset
from mlfound.errors import UserError
from tests.support.made import sha256


def test_rows_scale_and_types(made, tmp_path):
    made.write(tmp_path / "made")
    splits = load(made.dataset, tmp_path)
    assert [len(split.x) for split in (splits.train, splits.valid, splits.test)] == [8, 4, 4]
    assert splits.train.x.dtype == torch.float32
    assert splits.train.y.dtype == torch.int64
    assert splits.shape == (28, 28)
    assert splits.classes == 4
    pixels = bytearray(made.raws[NAMES[0]][16:])
    images = torch.frombuffer(pixels, dtype=torch.uint8).reshape(12, 784)
    assert torch.equal(torch.cat([splits.train.x, splits.valid.x]), images.double().div(256).float())
    assert splits.valid.y.tolist() == [0, 1, 2, 3]
    assert splits.files == {file.name: file.sha256 for file in made.dataset.files}
    assert splits.digest == hashlib.sha256("".join(splits.files.values()).encode()).hexdigest()


def test_mnist_is_split_as_in_the_lesson(mnist_dir):
    splits = load(DATASETS["mnist"], mnist_dir)
    assert splits.train.x.shape == (50_000, 784)
    assert splits.valid.x.shape == (10_000, 784)
    assert splits.test.x.shape == (10_000, 784)
    assert splits.classes == 10
    assert splits.train.y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert splits.test.y[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert splits.train.x.max() == 255 / 256
    # the lesson's printed mean and standard deviation of x_train
    assert splits.train.x.double().mean().item() == pytest.approx(0.1304, abs=5e-5)
    assert splits.train.x.double().std().item() == pytest.approx(0.3073, abs=5e-5)


def test_sample_is_cut_out_of_mnist(mnist_dir, tmp_path):
    sample, mnist = load(DATASETS["mnist-sample"], tmp_path), load(DATASETS["mnist"], mnist_dir)
    for name, rows in (("train", 5_000), ("valid", 1_000), ("test", 1_000)):
        ours, whole = getattr(sample, name), getattr(mnist, name).first(rows)
        assert torch.equal(ours.x, whole.x)
        assert torch.equal(ours.y, whole.y)


def test_sample_needs_no_folder(tmp_path):
    splits = load(DATASETS["mnist-sample"], tmp_path / "nowhere")
    assert [len(split.y) for split in (splits.train, splits.valid, splits.test)] == [5_000, 1_000, 1_000]
    assert splits.classes == 10
    assert not (tmp_path / "nowhere").exists()


def test_sample_says_whose_it_is():
    licence = (DATASETS["mnist-sample"].folder / "LICENSE.md").read_text(encoding="utf-8")
    for words in ("Yann LeCun", "Cortes", "Christopher", "CC BY-SA 3.0"):
        assert words in licence


def test_fashion_mnist_loads(debian_fashion, tmp_path):
    fetch(DATASETS["fashion-mnist"], tmp_path, source=debian_fashion)
    splits = load(DATASETS["fashion-mnist"], tmp_path)
    assert splits.train.x.shape == (50_000, 784)
    assert splits.classes == 10
    own = load(Dataset("own", "own", "own", folder=debian_fashion), tmp_path)
    assert own.digest == splits.digest
    assert torch.equal(own.train.x, splits.train.x)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda file: file.unlink(), "has no file t10k-images-idx3-ubyte"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "t10k-images-idx3-ubyte of made is damaged"),
        (
            lambda file: file.write_bytes(file.read_bytes()[:-1] + b"x"),
            "t10k-images-idx3-ubyte of made is damaged",
        ),
        (lambda file: file.write_bytes(file.read_bytes() + b"x"), "has more than 3,152 bytes"),
        (lambda file: file.write_bytes(b"\x1f\x8bnonsense"), "t10k-images-idx3-ubyte is a damaged gzip file"),
    ],
    ids=["missing", "short", "changed", "long", "gzip"],
)
def test_known_files_are_checked_at_every_load(made, tmp_path, damage, words):
    """In the cache, from where they are fetched again (from nowhere: this dataset has no mirror), and in place."""
    folder = made.write(tmp_path / "made")
    in_place = replace(made.dataset, folder=folder)
    for dataset in (made.dataset, in_place):
        load(dataset, tmp_path)
    damage(folder / NAMES[2])
    with pytest.raises(UserError, match="made could not be fetched") as caught:
        load(made.dataset, tmp_path)
    assert (
        str(caught.value).count(f"the cached {folder / NAMES[2]} is damaged") == (folder / NAMES[2]).exists()
    )
    with pytest.raises(UserError) as caught:
        load(in_place, tmp_path)
    assert words in str(caught.value)


@pytest.fixture
def own(tmp_path):
    """Writes the user's own four files, of these tensors, and loads them."""

    def build(train_x=(12, 5, 3), train_y=None, test_x=(2, 5, 3), test_y=(0, 1)):
        train_y = [row % 3 for row in range(train_x[0])] if train_y is None else train_y
        tensors = (torch.ones(train_x), torch.tensor(train_y), torch.ones(test_x), torch.tensor(test_y))
        for name, tensor in zip(NAMES, tensors, strict=True):
            (tmp_path / name).write_bytes(idx.encode(tensor.to(torch.uint8)))
        return load(Dataset("mine", "mine", "mine", folder=tmp_path), tmp_path / "nowhere")

    return build


def test_own_files_of_any_size(own):
    splits = own()
    assert [tuple(split.x.shape) for split in (splits.train, splits.valid, splits.test)] == [
        (10, 15),
        (2, 15),
        (2, 15),
    ]
    assert splits.shape == (5, 3)
    assert splits.classes == 3
    assert splits.digest != own(train_y=[0] * 11 + [2]).digest


@pytest.mark.parametrize(("rows", "valid"), [(6, 1), (11, 1), (13, 2)])
def test_last_sixth_of_own_files_is_for_validation(own, rows, valid):
    splits = own(train_x=(rows, 5, 3))
    assert (len(splits.train.y), len(splits.valid.y)) == (rows - valid, valid)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"train_y": [0, 1]}, "mine has 12 training images and 2 labels"),
        ({"test_y": [0, 1, 2]}, "mine has 2 test images and 3 labels"),
        ({"test_x": (2, 3, 5)}, "mine has training images of 5 x 3 pixels and test images of 3 x 5 pixels"),
        ({"train_x": (5, 5, 3)}, "mine has 5 training rows; at least 6 are needed"),
        ({"test_y": [0, 3]}, "mine has the test label 3, but no training label beyond 2"),
    ],
)
def test_own_files_that_do_not_fit_together(own, parts, words):
    with pytest.raises(UserError) as caught:
        own(**parts)
    assert words in str(caught.value)


def test_own_folder_without_the_files(tmp_path):
    with pytest.raises(UserError, match=r"has no file train-images-idx3-ubyte, raw or \.gz$"):
        load(Dataset("mine", "mine", "mine", folder=tmp_path), tmp_path)


def test_own_file_that_is_no_idx(made, tmp_path):
    made.write(tmp_path)
    (tmp_path / NAMES[1]).write_bytes(b"<html>" * 9)
    with pytest.raises(UserError, match="train-labels-idx1-ubyte is a web page: the link leads to a page"):
        load(Dataset("mine", "mine", "mine", folder=tmp_path), tmp_path)


def test_first_rows_of_training_only(made, tmp_path):
    made.write(tmp_path / "made")
    splits = load(made.dataset, tmp_path)
    few = splits.first(3)
    assert torch.equal(few.train.x, splits.train.x[:3])
    assert few.train.y.tolist() == [0, 1, 2]
    assert few.valid is splits.valid
    assert few.digest == splits.digest
    assert len(splits.first(8).train.y) == 8
    for rows in (9, 0, -1):
        with pytest.raises(
            UserError, match=f"{rows} training rows are not available; write 1 to 8"
        ) as caught:
            splits.first(rows)
        assert caught.value.key == "data.train_rows"


def test_splits_move_whole(made, tmp_path):
    made.write(tmp_path / "made")
    moved = load(made.dataset, tmp_path).to(torch.device("meta"))
    assert {t.device.type for s in (moved.train, moved.valid, moved.test) for t in (s.x, s.y)} == {"meta"}


def test_wrong_valid_rows_would_be_seen(made, tmp_path):
    made.write(tmp_path / "made")
    assert len(load(replace(made.dataset, valid_rows=5), tmp_path).valid.y) == 5


def test_what_was_fetched_is_neither_read_nor_hashed_again(made, tmp_path, monkeypatch):
    made.write(tmp_path / "made")
    reads, hashes = [], []
    monkeypatch.setattr("mlfound.data.fetch.read_file", lambda *a: reads.append(a) or raw.read_file(*a))
    monkeypatch.setattr("mlfound.data.fetch._sha256", lambda content: hashes.append(1) or sha256(content))
    monkeypatch.setattr("mlfound.data.cache.read_raw", None)
    splits = decode(made.dataset, fetch(made.dataset, tmp_path))
    assert (len(reads), len(hashes)) == (4, 4)
    monkeypatch.undo()
    again = load(made.dataset, tmp_path)
    assert (splits.digest, splits.files) == (again.digest, again.files)
    assert splits.train.x.equal(again.train.x)
    assert splits.test.y.equal(again.test.y)


def test_classes_are_called_as_labels_txt_says(own, tmp_path):
    assert list(own().labels) == [0, 1, 2]
    (tmp_path / "labels.txt").write_text("cat\nT-shirt/top\n¿qué?\nnever seen\n", encoding="utf-8")
    assert own().labels == ["cat", "T-shirt/top", "¿qué?"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"cat\ndog\n", "2 names, and there are 3 classes"),
        (b"", "0 names, and there are 3 classes"),
        (b"cat\ndog\ncat\n", "'cat' is not a name of one class"),
        (b"cat\ndog\nred \x1b[31m\n", "is not a name of one class"),
        (b"cat\ndog\n\xff\n", "not UTF-8"),
    ],
)
def test_labels_txt_that_names_no_classes(own, tmp_path, content, words):
    (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(UserError) as caught:
        own()
    assert f"{tmp_path / 'labels.txt'}: " in str(caught.value)
    assert words in str(caught.value)
