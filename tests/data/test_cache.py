"""The data folder: where it is, what is in it, and whether that still holds."""

import os
from pathlib import Path

import platformdirs
import pytest

from mlfound.data import cache
from mlfound.data.cache import inventory, verify
from mlfound.data.registry import DATASETS, NAMES, Dataset, default_data_dir
from mlfound.errors import UserError


def test_default_folder_is_the_users_cache_or_what_the_environment_says(monkeypatch):
    monkeypatch.setenv("MLFOUND_DATA_DIR", "somewhere")
    assert default_data_dir() == Path("somewhere")
    for unset in ("", None):
        monkeypatch.setenv("MLFOUND_DATA_DIR", "") if unset == "" else monkeypatch.delenv("MLFOUND_DATA_DIR")
        assert default_data_dir() == platformdirs.user_cache_path("mlfound")


@pytest.fixture
def listed(made, monkeypatch):
    """The inventory's lines for a ladder of the made-up dataset and the sample."""
    ladder = {"made": made.dataset, "mnist-sample": DATASETS["mnist-sample"]}
    monkeypatch.setattr(cache, "DATASETS", ladder)
    return lambda folder: {entry.dataset: entry for entry in inventory(folder)}


def test_inventory_of_an_empty_folder(listed, tmp_path):
    entries = listed(tmp_path / "nowhere")
    assert entries["made"].state == "not here"
    assert entries["made"].bytes == 0
    assert entries["made"].path == tmp_path / "nowhere" / "made"
    assert entries["mnist-sample"].state == "in the package"
    assert 1_000_000 < entries["mnist-sample"].bytes < 1_200_000
    assert entries["mnist-sample"].licence == "CC BY-SA 3.0"


def test_inventory_of_a_full_one_and_of_a_damaged_one(listed, made, tmp_path):
    folder = made.write(tmp_path / "made")
    assert listed(tmp_path)["made"].state == "verified"
    assert listed(tmp_path)["made"].bytes == sum(map(len, made.raws.values()))
    (folder / NAMES[1]).write_bytes(made.raws[NAMES[1]][:-1] + b"\7")
    (folder / NAMES[2]).unlink()
    assert listed(tmp_path)["made"].state == f"damaged: {NAMES[1]}, {NAMES[2]}"


def test_inventory_knows_every_registered_dataset(tmp_path):
    assert [entry.dataset for entry in inventory(tmp_path)] == list(DATASETS)


def test_verify_tells_the_digest_found_beside_the_one_wanted(made, tmp_path):
    folder = made.write(tmp_path / "made")
    assert all(
        verdict.holds and verdict.found == verdict.wanted for verdict in verify(made.dataset, tmp_path)
    )
    (folder / NAMES[0]).unlink()
    (folder / NAMES[1]).write_bytes(b"")
    (folder / NAMES[2]).unlink()
    (folder / NAMES[2]).mkdir()
    verdicts = verify(made.dataset, tmp_path)
    assert [verdict.file for verdict in verdicts] == list(NAMES)
    assert [verdict.holds for verdict in verdicts] == [False, False, False, True]
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert [verdict.found for verdict in verdicts[:3]] == [None, empty, None]


def test_verify_in_place(made, tmp_path):
    assert all(verdict.holds for verdict in verify(DATASETS["mnist-sample"], tmp_path))
    own = verify(Dataset("x", "x", "x", folder=made.write(tmp_path / "own", ".gz")), tmp_path)
    assert [verdict.found for verdict in own] == [file.sha256 for file in made.dataset.files]
    assert all(verdict.wanted is None and verdict.holds for verdict in own)


@pytest.mark.skipif(os.name != "posix", reason="has no pipes")
def test_pipe_in_the_cache_is_not_waited_for(made, tmp_path):
    folder = made.write(tmp_path / "made")
    (folder / NAMES[0]).unlink()
    os.mkfifo(folder / NAMES[0])
    assert verify(made.dataset, tmp_path)[0].found is None


def test_data_folder_that_is_a_file(made, tmp_path):
    (tmp_path / "file").write_text("")
    for use in (inventory, lambda folder: verify(made.dataset, folder)):
        with pytest.raises(
            UserError, match=r"the data folder .*file is not a folder; choose another with --data-dir"
        ):
            use(tmp_path / "file")
