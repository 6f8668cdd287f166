"""The config of a run means the same from every folder: the same files, or a line that says that they are others."""

import shutil

import pytest
import yaml

from mlfound.data.registry import DATASETS
from tests.test_cli_resume import refused

DATA = DATASETS["mnist-sample"].folder
TRAIN = ("train", "--set", "epochs=1", "--set", "data.train_rows=200")


@pytest.fixture
def digits(own_folder):
    """A folder of the user's own in the folder where he is."""
    return shutil.copytree(DATA, own_folder / "ds")


def config_of(path):
    return yaml.safe_load((path / "config.yaml").read_text())


def test_a_folder_named_by_a_word_is_found_from_elsewhere(mlfound, digits, own_folder, monkeypatch):
    path = mlfound(*TRAIN, "--set", "data.dataset=ds").path.resolve()
    assert config_of(path)["data"]["dataset"] == str(digits)
    (own_folder / "elsewhere" / "ds").mkdir(parents=True)  # an empty folder of that name
    monkeypatch.chdir(own_folder / "elsewhere")
    again = mlfound("train", "--no-plots", path / "config.yaml")
    assert again.code == 0, again.err
    assert (again.path / "model.safetensors").read_bytes() == (path / "model.safetensors").read_bytes()


def test_other_data_in_its_place_is_not_taken_for_the_same(mlfound, digits):
    path = mlfound(*TRAIN, "--set", "data.dataset=ds").path.resolve()
    labels = digits / "t10k-labels-idx1-ubyte"
    labels.with_suffix(".gz").unlink()
    labels.write_bytes(bytes([0, 0, 8, 1, 0, 0, 3, 232]) + bytes(i % 10 for i in range(1000)))
    runs = sorted(path.parent.iterdir())
    refused(
        mlfound("train", "--no-plots", path / "config.yaml"),
        path.name,
        "not what this run had",
        "copy its config.yaml",
    )
    assert sorted(path.parent.iterdir()) == runs
    assert (
        mlfound("train", "--no-plots", path / "config.yaml", "--set", f"data.dataset={digits}").code == 0
    ), "it was asked for"
    shutil.copy(path / "config.yaml", "copied.yaml")
    assert mlfound("train", "--no-plots", "copied.yaml").code == 0


def test_download_and_compare_store_where_things_are(mlfound, digits, own_folder, monkeypatch):
    path = mlfound("download", "--dataset", "mnist-sample", "--print-config", "--from", "ds")
    assert yaml.safe_load(path.out)["from"] == str(digits)
    bench = ("matmul-bench", "--impl", "matmul", "--budget", "0.01")
    first = mlfound(*bench).path.resolve()
    second = mlfound(*bench, "--compare", "latest").path.resolve()
    assert config_of(second)["compare"] == str(first)
    monkeypatch.chdir(own_folder.parent)
    assert mlfound("matmul-bench", second / "config.yaml", "--runs-dir", own_folder / "others").code == 0
