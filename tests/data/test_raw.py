"""Reading one file: found under its several names, unpacked, and bounded whatever it holds."""

import gzip
import os
import tracemalloc

import pytest

from mlfound.data.raw import SLACK, find_raw, gunzip, read_raw
from mlfound.data.registry import NAMES, TRAIN_IMAGES
from mlfound.errors import UserError

BODY = bytes(range(256)) * 40
PACKED = gzip.compress(BODY, mtime=0)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dotted", [False, True])
def test_each_name_is_found_and_read(made, tmp_path, suffix, dotted):
    made.write(tmp_path, suffix, dotted)
    for name in NAMES:
        assert read_raw(find_raw(tmp_path, name), name) == made.raws[name]


def test_find_raw_prefers_the_raw_file_and_says_when_there_is_none(tmp_path):
    assert find_raw(tmp_path, TRAIN_IMAGES) is None
    for name in (f"{TRAIN_IMAGES}.gz", TRAIN_IMAGES):
        (tmp_path / name).write_bytes(b"")
        assert find_raw(tmp_path, TRAIN_IMAGES) == tmp_path / name


def test_gunzip_gives_what_was_packed():
    assert gunzip(PACKED, len(BODY), "x") == BODY
    assert gunzip(gzip.compress(b"", mtime=0), 5, "x") == b""


@pytest.mark.parametrize(
    ("packed", "words"),
    [
        (b"", "breaks off"),
        (PACKED[:5], "breaks off"),
        (PACKED[:-1], "breaks off"),
        (PACKED[:-8], "breaks off"),
        (PACKED[: len(PACKED) // 2], "breaks off"),
        (PACKED + b"x", "something behind its end"),
        (PACKED + PACKED, "something behind its end"),
        (PACKED[:-8] + b"\0" * 8, "damaged gzip"),  # the checksum
        (PACKED[:20] + b"\xff\xff" + PACKED[22:], "x "),
        (b"no gzip at all", "damaged gzip"),
        (gzip.compress(BODY + b"x", mtime=0), "unpacks to more than 10,240 bytes"),
    ],
)
def test_gunzip_refuses(packed, words):
    with pytest.raises(UserError, match=r"^x ") as caught:
        gunzip(packed, len(BODY), "x")
    assert words in str(caught.value)


def test_gzip_bomb_takes_no_memory():
    bomb = gzip.compress(bytes(200_000_000), mtime=0)
    tracemalloc.start()
    with pytest.raises(UserError, match="unpacks to more than 60,008 bytes"):
        gunzip(bomb, 60_008, "labels.gz")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_bomb_without_a_limit_is_held_to_its_own_header(tmp_path):
    bomb = tmp_path / f"{TRAIN_IMAGES}.gz"
    for header, words in (
        (bytes.fromhex("00000803 0000000a 0000001c 0000001c"), "unpacks to more than 7,856 bytes"),
        (bytes.fromhex("00000803 7fffffff 0000001c 0000001c"), "which cannot be"),
        (b"", "not an IDX file"),
    ):
        bomb.write_bytes(gzip.compress(header + bytes(50_000_000), mtime=0))
        with pytest.raises(UserError, match=words):
            read_raw(bomb, TRAIN_IMAGES)


@pytest.mark.parametrize("content", [bytes(101), bytes(101 + SLACK)])
def test_raw_file_that_is_too_long_is_refused(tmp_path, content):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(UserError, match=r"holds more than [\d,]+ bytes"):
        read_raw(tmp_path / "f", "f", limit=100)


@pytest.mark.skipif(os.name != "posix", reason="has no pipes and no /dev/zero")
def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "zero", "folder"):
        with pytest.raises(UserError, match=f"{name} is not a file"):
            read_raw(tmp_path / name, name)
    with pytest.raises(UserError, match="none does not exist"):
        read_raw(tmp_path / "none", "none")


def test_file_that_may_not_be_read(tmp_path, monkeypatch):
    (tmp_path / "f").write_bytes(b"x")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)  # root may read everything
    with pytest.raises(UserError, match=r"cannot read .*f: Permission denied"):
        read_raw(tmp_path / "f", "f")
