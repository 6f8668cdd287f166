"""Run folders: their names, the pointer to the newest, JSON that others can read; and files written whole."""

import json
import math
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mlfound.errors import UserError
from mlfound.files import write_whole
from mlfound.runs import environment, folder


def test_a_second_run_in_the_same_second_gets_a_number(tmp_path):
    made = {folder.create(tmp_path / "runs", "train", "mine") for _ in range(5)}
    assert len(made) == 5
    assert all("-train-mine" in path.name and path.is_dir() for path in made)


def test_many_at_once_get_folders_of_their_own(tmp_path):
    made = []
    threads = [
        threading.Thread(target=lambda: made.append(folder.create(tmp_path, "train"))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 16


@pytest.mark.parametrize(
    "name", ["", "a/b", "..", ".hidden", "a b", "a\nb", "\x1b[31m", "x" * 65, "-dash", "ä"]
)
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(UserError, match="letters"):
        folder.check_name(name)


@pytest.mark.parametrize("name", ["a", "first", "2026.11", "a-b_c", "x" * 64])
def test_ordinary_names(name):
    folder.check_name(name)


def test_latest_follows(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        folder.point_latest(tmp_path / name)
        assert (tmp_path / "latest").resolve() == (tmp_path / name).resolve()
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two", "latest"}


def test_latest_is_a_text_file_where_there_are_no_symlinks(tmp_path, monkeypatch):
    def refuse(self, target):
        raise OSError("no symlinks here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    (tmp_path / "one").mkdir()
    folder.point_latest(tmp_path / "one")
    assert (tmp_path / "latest").read_text() == "one\n"


def test_a_latest_of_before_does_not_stay_where_there_are_no_symlinks_any_more(tmp_path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    folder.point_latest(tmp_path / "one")
    monkeypatch.setattr(Path, "symlink_to", lambda *_: os.open(tmp_path, os.O_CREAT | os.O_EXCL))
    folder.point_latest(tmp_path / "two")
    assert (tmp_path / "latest").read_text() == "two\n"


def test_what_a_killed_run_left_of_latest_goes_and_blocks_nothing(tmp_path):
    """Also in a container, where every run has the same process id."""
    for name in ("dead", "alive", "new"):
        (tmp_path / name).mkdir()
    held = folder.lock(tmp_path / "alive")
    (tmp_path / f".latest-{os.getpid()}").symlink_to("dead")
    (tmp_path / ".latest-0a1b2c3d").symlink_to("alive")
    (tmp_path / ".latest-4e5f6a7b").symlink_to("no/such/run")
    (tmp_path / ".latest-12345678").mkdir()
    (tmp_path / ".latest-notes.txt").write_text("mine")
    folder.point_latest(tmp_path / "new")
    held.release()
    assert (tmp_path / "latest").readlink() == Path("new")
    left = {path.name for path in tmp_path.glob(".latest*")}
    assert left == {".latest-0a1b2c3d", ".latest-12345678", ".latest-notes.txt"}


def test_a_folder_called_latest_is_left_alone(tmp_path):
    (tmp_path / "latest").mkdir()
    (tmp_path / "one").mkdir()
    folder.point_latest(tmp_path / "one")
    assert (tmp_path / "latest").is_dir()
    assert not (tmp_path / "latest").is_symlink()


def test_json_has_no_word_for_nan(tmp_path):
    content = {"a": math.nan, "b": [math.inf, 1.5, {"c": -math.inf}], "d": (1, True, None, "nan")}
    folder.write_json(tmp_path / "x.json", content)
    wanted = {"a": None, "b": [None, 1.5, {"c": None}], "d": [1, True, None, "nan"]}
    assert json.loads((tmp_path / "x.json").read_text()) == wanted


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_no_debris(tmp_path, monkeypatch, step):
    path = tmp_path / "x"
    write_whole(path, b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_the_environment_names_machine_versions_and_commit():
    found = environment.environment()
    assert found["cpu"]
    assert found["cores"] == os.cpu_count()
    assert set(found["packages"]) == set(environment.PACKAGES)
    assert all(found["packages"].values())


# as torch 2 says it on x86, on Arm and on macOS; and an earlier one, built without BLAS
BUILDS = {
    "mkl": "BLAS_INFO=mkl, BUILD_TYPE=Release, LAPACK_INFO=mkl, USE_MKL=ON, USE_MKLDNN=ON, ",
    "openblas": "BLAS_INFO=open, LAPACK_INFO=open, USE_EIGEN_FOR_BLAS=ON, USE_MKL=OFF, ",
    "accelerate": "BLAS_INFO=accelerate, BUILD_TYPE=Release, USE_MKL=OFF, USE_MKLDNN=OFF, ",
    "flame": "BLAS_INFO=FLAME, USE_MKL=OFF, ",
    "unknown BLAS=MKL USE_EIGEN_FOR_BLAS=ON USE_MKL=OFF": (
        "BLAS=MKL, CXX_FLAGS= -DMKL_ILP64=1 -O2, USE_EIGEN_FOR_BLAS=ON, USE_MKL=OFF, "
    ),
    "unknown": "BUILD_TYPE=Release, ",
}


@pytest.mark.parametrize("name", BUILDS)
def test_the_blas_is_named_or_what_the_build_says_of_it(name):
    build = f"PyTorch built with:\n  - GCC 13.3\n  - Build settings: {BUILDS[name]}\n"
    assert environment.blas_name(build) == name


def test_without_torch_no_blas_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert environment.environment()["blas"] is None


def git(folder, *words):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path):
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "environment.py").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_git_state(tmp_path):
    assert environment.git_state(tmp_path) is None
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "environment.py").write_text("1")
    assert environment.git_state(tmp_path) is None, "a checkout around code that is not in it"
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    state = environment.git_state(tmp_path)
    assert state["branch"] == "main"
    assert len(state["commit"]) == 40
    assert state["dirty"] is False
    (tmp_path / "environment.py").write_text("2")
    assert environment.git_state(tmp_path)["dirty"] is True


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"])
def test_variables_of_a_git_hook_do_not_mislead(checkout, monkeypatch, name):
    state = environment.git_state(checkout)
    monkeypatch.setenv(name, str(checkout / "elsewhere"))
    assert environment.git_state(checkout) == state


def of_another_owner(checkout, monkeypatch):
    if os.geteuid() != 0:
        pytest.skip("needs root to give files away")
    for path in (checkout, checkout / ".git"):
        os.chown(path, 12345, 12345)


def leading_nowhere(checkout, monkeypatch):
    shutil.rmtree(checkout / ".git")
    (checkout / ".git").write_text("gitdir: nowhere")


def without_git(checkout, monkeypatch):
    monkeypatch.setenv("PATH", str(checkout))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(of_another_owner, "ownership"), (leading_nowhere, "nowhere"), (without_git, "git is not installed")],
)
def test_why_git_will_not_read_a_checkout_is_recorded(checkout, monkeypatch, spoil, reason):
    spoil(checkout, monkeypatch)
    state = environment.git_state(checkout)
    assert state.keys() == {"unreadable"}
    assert reason in state["unreadable"]
    assert "\n" not in state["unreadable"]
