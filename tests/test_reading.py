"""The one bounded reader: plain files up to a size, and links only where a user names the file."""

import os
import socket

import pytest

from mlfound.errors import UserError
from mlfound.files import read_plain


def test_a_plain_file_of_just_the_limit(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_plain(path, 5) == read_plain(str(path), 10**12) == b"12345"
    with pytest.raises(UserError, match="a: larger than 4 bytes"):
        read_plain(path, 4)


def test_a_file_whose_size_the_system_does_not_know():
    content = read_plain("/proc/self/status", 100_000)
    assert content.startswith(b"Name:")
    assert content.endswith(b"\n")
    with pytest.raises(UserError, match="larger than 10 bytes"):
        read_plain("/proc/self/status", 10)


def test_a_huge_file_takes_no_memory(tmp_path):
    path = tmp_path / "huge"
    path.touch()
    os.truncate(path, 2**42)
    with pytest.raises(UserError, match="larger than 1,000 bytes"):
        read_plain(path, 1000)


def test_links_are_followed_only_for_who_names_them(tmp_path):
    (tmp_path / "there").write_text("x")
    (tmp_path / "link").symlink_to("there")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UserError, match=r"link: cannot be read \(it is a link\)"):
        read_plain(tmp_path / "link", 5)
    assert read_plain(tmp_path / "link", 5, follow_links=True) == b"x"
    with pytest.raises(UserError, match="zero: this is no plain file"):
        read_plain(tmp_path / "zero", 5, follow_links=True)
    with pytest.raises(UserError, match=r"loop: cannot be read \(Too many levels"):
        read_plain(tmp_path / "loop", 5, follow_links=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "odd: this is no plain file"),
        (os.mkdir, "odd: this is a folder; name a file"),
        (lambda path: None, "odd: there is no such file"),
        (lambda path: socket.socket(socket.AF_UNIX).bind("odd"), "odd: cannot be read"),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_is_no_plain_file(make, message):
    before = os.listdir("/proc/self/fd")
    make("odd")
    with pytest.raises(UserError, match=message):
        read_plain("odd", 5)
    assert len(os.listdir("/proc/self/fd")) <= len(before), "a file was left open"
