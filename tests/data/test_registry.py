"""The registry: every fact well formed, and a wrong name answered with the right one."""

import re

import pytest

from mlfound.config import keys
from mlfound.data.registry import DATASETS, NAMES, find, owner
from mlfound.errors import UserError


def test_ladder_has_three_datasets_in_order():
    assert list(DATASETS) == ["mnist", "fashion-mnist", "mnist-sample"]
    assert all(name == dataset.name for name, dataset in DATASETS.items())


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_facts_are_well_formed(dataset):
    assert tuple(file.name for file in dataset.files) == NAMES
    digests = [file.sha256 for file in dataset.files] + [f.gz_sha256 for f in dataset.files if f.gz_sha256]
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)
    assert len(set(digests)) == len(digests)
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in dataset.mirrors)
    assert dataset.licence
    images, labels = dataset.files[0].bytes - 16, dataset.files[1].bytes - 8
    assert images == labels * 784 > dataset.valid_rows * 784


def test_find_gives_the_registered_dataset_even_beside_a_folder_of_that_name(own_folder):
    (own_folder / "mnist").mkdir()
    assert find("mnist", key="data.dataset") is DATASETS["mnist"]


@pytest.mark.parametrize("name", ["digits", "./digits", "{folder}/digits", "../{here}/digits"])
def test_find_takes_a_folder_for_the_users_own(own_folder, name):
    (own_folder / "digits").mkdir()
    dataset = find(name.format(folder=own_folder, here=own_folder.name), key="data.dataset")
    assert dataset.folder.samefile(own_folder / "digits")
    assert dataset.files == ()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "mnits",
            "unknown dataset 'mnits'; did you mean 'mnist'? Known: mnist, fashion-mnist, mnist-sample, or",
        ),
        ("fashion", "did you mean 'fashion-mnist'?"),
        ("MNIST", "unknown dataset 'MNIST'"),
        ("cifar", "unknown dataset 'cifar'. Known: mnist"),
        ("", "unknown dataset ''. Known"),
        ("no/such", "there is no folder 'no/such'"),
        ("~/no such", "there is no folder"),
        ("a\nb", r"'a\nb'"),
        ("a\0b", r"'a\x00b'"),
        ("x" * 5000, "unknown dataset"),
        ("x/" * 5000, "there is no folder"),
    ],
)
def test_find_refuses(name, words):
    with pytest.raises(UserError) as caught:
        find(name, key="data.dataset")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.key == "data.dataset"


def test_owner_tells_whose_digest_it_is():
    assert owner(DATASETS["fashion-mnist"].files[2].sha256) == "t10k-images-idx3-ubyte of fashion-mnist"
    assert owner("0" * 64) is None


def test_the_config_knows_every_dataset():
    assert tuple(DATASETS) == keys.DATASETS
