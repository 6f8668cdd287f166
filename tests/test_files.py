"""Files written whole and locks: the modes of files, and a disk that lacks a call costs what that call is for."""

import errno
import fcntl
import os
import stat
import subprocess
import sys

import pytest
from filelock import Timeout

from mlfound import files


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    monkeypatch.setattr(files, "_shortfalls", {})


@pytest.fixture
def lacks(monkeypatch):
    """From then on a call gives this error."""

    def lack(module, call, number):
        def refuse(*_):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(module, call, refuse)

    return lack


@pytest.fixture
def umask():
    """Sets the umask of this process for one test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002, 0])
def test_a_new_file_has_the_mode_that_the_umask_says(tmp_path, umask, mask):
    umask(mask)
    files.write_whole(tmp_path / "x", b"new")
    files.lock(tmp_path / ".lock").release()
    assert mode(tmp_path / "x") == mode(tmp_path / ".lock") == 0o666 & ~mask


@pytest.mark.parametrize("kept", [0o600, 0o644, 0o664, 0o666, 0o755, 0o400, 0o000])
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path, umask, kept):
    (tmp_path / "x").touch()
    (tmp_path / "x").chmod(kept)
    umask(0o077)
    files.write_whole(tmp_path / "x", b"new")
    assert mode(tmp_path / "x") == kept
    assert not files.shortfalls()


def test_where_modes_cannot_be_set_a_private_file_stays_private(tmp_path, lacks):
    for name, old in (("private", 0o600), ("open", 0o666)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(old)
    lacks(os, "chmod", errno.EPERM)
    for name in ("private", "open"):
        files.write_whole(tmp_path / name, b"new")
        assert (tmp_path / name).read_bytes() == b"new"
    assert mode(tmp_path / "private") == 0o600
    [line] = files.shortfalls()
    assert line.startswith(
        f"{tmp_path / 'open'}: this file system does not support chmod (Operation not perm"
    )
    assert len(list(tmp_path.iterdir())) == 2, "no debris"


UNSUPPORTED = [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP]


@pytest.mark.parametrize("number", UNSUPPORTED)
def test_without_fsync_files_are_written_and_each_kind_is_said_once(tmp_path, lacks, number):
    lacks(os, "fsync", number)
    for name in ("a", "b", "a"):
        files.write_whole(tmp_path / name, name.encode())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    lines = files.shortfalls()
    assert [line.partition(" (")[0] for line in lines] == [
        f"{tmp_path / 'a'}: this file system does not support fsync of files",
        f"{tmp_path}: this file system does not support fsync of folders",
    ]
    assert not files.shortfalls()
    files.write_whole(tmp_path / "c", b"c")
    assert not files.shortfalls()


WRITES = {
    "a file": lambda folder: files.write_whole(folder / "x", b"new"),
    "a folder": files.sync_folder,
    "a lock": lambda folder: files.lock(folder / ".lock"),
}


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("what", WRITES)
def test_a_fault_is_no_lack(tmp_path, lacks, number, what):
    lacks(os, "fsync", number)
    lacks(fcntl, "flock", number)
    with pytest.raises(OSError) as caught:  # noqa: PT011
        WRITES[what](tmp_path)
    assert caught.value.errno == number
    assert str(tmp_path) in caught.value.filename
    assert not files.shortfalls()


def test_a_folder_that_may_be_written_but_not_read_is_written_to(tmp_path, lacks):
    """Root may read it in any case."""
    lacks(os, "open", errno.EACCES)
    files.sync_folder(tmp_path)
    [line] = files.shortfalls()
    assert "fsync of folders (Permission denied)" in line


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("number", [*UNSUPPORTED, errno.ENOLCK])
def test_without_flock_there_is_no_lock_and_no_warning(tmp_path, lacks, number):
    lacks(fcntl, "flock", number)
    held = [files.lock(tmp_path / ".lock", timeout) for timeout in (0, 10)]
    assert not any(lock.is_locked for lock in held)
    for lock in held:
        lock.release()
    [line] = files.shortfalls()
    assert line.startswith(f"{tmp_path / '.lock'}: this file system does not support flock (")


def test_a_lock_is_one_process_at_a_time(tmp_path):
    held = files.lock(tmp_path / ".lock")
    code = "import sys, pathlib, mlfound.files\nmlfound.files.lock(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, tmp_path / ".lock"]
    assert b"Timeout" in subprocess.run(command, capture_output=True).stderr
    held.release()
    assert subprocess.run(command).returncode == 0
    with files.lock(tmp_path / ".lock"), pytest.raises(Timeout):
        files.lock(tmp_path / ".lock")


def test_a_lock_that_may_not_be_opened_is_an_error(tmp_path, lacks):
    lacks(os, "open", errno.EACCES)
    with pytest.raises(PermissionError):
        files.lock(tmp_path / ".lock")
    assert not files.shortfalls()


def test_only_files_are_debris(tmp_path):
    (tmp_path / ".run.json-abcd1234").write_text("half")
    (tmp_path / ".run.json-abcdefgh").mkdir()
    (tmp_path / "mine").touch()
    (tmp_path / ".my-notebook").symlink_to("mine")
    os.mkfifo(tmp_path / ".run.json-fifofifo")
    files.remove_debris(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"mine", ".run.json-abcdefgh", ".my-notebook", ".run.json-fifofifo"}


def test_a_command_without_a_run_says_it_on_stderr(mlfound, lacks):
    mlfound("notebook", "new", "01_a.ipynb")
    lacks(os, "fsync", errno.EINVAL)
    outcome = mlfound("notebook", "export", "01_a.ipynb")
    assert (outcome.code, outcome.out) == (0, "01_a.ipynb -> exp/nb_01.py (written)\n")
    said = "this file system does not support fsync of"
    assert [line.rpartition(" (")[0] for line in outcome.err.splitlines()] == [
        f"exp/nb_01.py: {said} files",
        f"exp: {said} folders",
    ]
