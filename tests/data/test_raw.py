"""Reading one file: unpacked, and bounded whatever it holds."""

import gzip
import os
import tracemalloc

import pytest

from mlfound.data.raw import MAX_MEMBERS, SLACK, gunzip, read_raw
from mlfound.data.registry import TRAIN_IMAGES
from mlfound.errors import UserError

BODY = bytes(range(256)) * 40
PACKED = gzip.compress(BODY, mtime=0)
EMPTY = gzip.compress(b"", mtime=0)


def test_gunzip_gives_what_was_packed():
    assert gunzip(PACKED, len(BODY), "x") == BODY
    assert gunzip(gzip.compress(b"", mtime=0), 5, "x") == b""


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(BODY[:5], mtime=0) + gzip.compress(BODY[5:], mtime=0),
        EMPTY + PACKED + EMPTY,
        PACKED + bytes(1),
        PACKED + bytes(200_000),
        gzip.compress(BODY[:7], mtime=0) + bytes(512) + gzip.compress(BODY[7:], mtime=0) + bytes(512),
        b"".join(gzip.compress(BODY[at : at + 2], mtime=0) for at in range(0, len(BODY), 2)),
    ],
    ids=["two members", "empty members", "a zero", "many zeros", "zeros between", "5,120 members"],
)
def test_gunzip_reads_what_gzip_does(packed, tmp_path):
    assert gzip.decompress(packed) == BODY
    assert gunzip(packed, len(BODY), "x") == BODY
    with pytest.raises(UserError, match="unpacks to more than 10,239 bytes"):
        gunzip(packed, len(BODY) - 1, "x")


def test_header_that_begins_in_one_member_and_ends_in_the_next_is_read(made, tmp_path):
    raw = made.raws[TRAIN_IMAGES]
    (tmp_path / "x.gz").write_bytes(EMPTY + gzip.compress(raw[:7]) + gzip.compress(raw[7:]) + bytes(9))
    assert read_raw(tmp_path / "x.gz", TRAIN_IMAGES) == raw


def test_members_without_end_are_left_early():
    with pytest.raises(UserError, match="x has more than 10,000 gzip members"):
        gunzip(EMPTY * (MAX_MEMBERS + 1), 5, "x")


@pytest.mark.parametrize(
    ("packed", "words"),
    [
        (b"", "ends early"),
        (PACKED[:5], "ends early"),
        (PACKED[:-1], "ends early"),
        (PACKED[:-8], "ends early"),
        (PACKED[: len(PACKED) // 2], "ends early"),
        (PACKED + b"x", "data after its end"),
        (PACKED + bytes(5) + b"x", "data after its end"),
        (PACKED + PACKED, "unpacks to more than 10,240 bytes"),
        (EMPTY + PACKED[:-1], "ends early"),
        (PACKED[:-8] + b"\0" * 8, "damaged gzip"),  # the checksum
        (PACKED[:20] + b"\xff\xff" + PACKED[22:], "x "),
        (b"no gzip at all", "is not a gzip file"),
        (b"\xef\xbb\xbf\n <!DOCTYPE html>", "is a web page: the link leads to a page about the file"),
        (b"PK\x03\x04", "is a zip archive; unpack it"),
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
        (bytes.fromhex("00000803 7fffffff 0000001c 0000001c"), "which is not possible"),
        (b"", "not an IDX file"),
    ):
        bomb.write_bytes(gzip.compress(header + bytes(50_000_000), mtime=0))
        with pytest.raises(UserError, match=words):
            read_raw(bomb, TRAIN_IMAGES)


@pytest.mark.parametrize("content", [bytes(101), bytes(101 + SLACK)])
def test_raw_file_that_is_too_long_is_refused(tmp_path, content):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(UserError, match=r"has more than [\d,]+ bytes"):
        read_raw(tmp_path / "f", "f", limit=100)


@pytest.mark.skipif(os.name != "posix", reason="has no pipes and no /dev/zero")
def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    for name, what in (
        ("pipe", "no plain file"),
        ("zero", "no plain file"),
        ("folder", "a folder; name a file"),
    ):
        with pytest.raises(UserError, match=f"{name}: this is {what}"):
            read_raw(tmp_path / name, name)
    with pytest.raises(UserError, match="none: there is no such file"):
        read_raw(tmp_path / "none", "none")


def test_file_that_may_not_be_read(tmp_path, monkeypatch):
    (tmp_path / "f").write_bytes(b"x")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)  # root may read everything
    with pytest.raises(UserError, match=r"f: cannot be read \(Permission denied\)"):
        read_raw(tmp_path / "f", "f")
