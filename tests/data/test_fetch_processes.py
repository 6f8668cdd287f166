"""A lock that another process holds for too long. Many processes at one cache, and killed ones, are a trial:
tests/faults/processes.py."""

import filelock
import pytest

from mlfound.data import fetch as fetching
from mlfound.data.fetch import fetch
from mlfound.errors import UserError


def test_lock_that_is_held_too_long_is_one_line(made, mirrors, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "LOCK_S", 0.1)
    (tmp_path / "made").mkdir()
    with (
        filelock.FileLock(tmp_path / "made" / ".lock"),
        pytest.raises(UserError, match=r"another process has held .*\.lock for 0\.1 s; end it first"),
    ):
        fetch(made.at(mirrors().url), tmp_path)
