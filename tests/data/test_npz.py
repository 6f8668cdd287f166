"""Keras' mnist.npz: exactly the IDX bytes, or a reason; what would unpickle, fill the memory or lie is refused."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from mlfound.data.npz import MEMBER_BYTES, read_npz
from mlfound.errors import UserError


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("labels", [np.uint8, np.int64])
def test_what_numpy_wrote_gives_the_idx_files(made, save, labels):
    assert read_npz(made.npz(save, labels), "mnist.npz") == made.raws


def test_other_members_and_their_names_do_not_matter(made):
    names = ("../../canary", "/canary", "x_train.npy/", "z" * 60_000)
    assert read_npz(zipped(made, dict.fromkeys(names, b"canary")), "mnist.npz") == made.raws


def members(made):
    with zipfile.ZipFile(io.BytesIO(made.npz())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(made, change, compression=zipfile.ZIP_DEFLATED):
    """The archive with some members in another form; None leaves one out."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in (members(made) | change).items():
            if content is not None:
                archive.writestr(name, content)
    return file.getvalue()


def npy(array, allow_pickle=False):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


def header(text, body=b"", version=b"\1\0"):
    text = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + body


X, Y = "{'descr': '|u1', 'fortran_order': False, 'shape': (%s), }", np.zeros(4, np.uint8)
IMAGES, LABELS = (
    "does not contain images (rows, height, width) of uint8",
    "does not contain labels (rows) of uint8 or",
)
ODD = {
    "no member": ("x_test", None, "is damaged, or does not contain x_test.npy as Keras' mnist.npz does"),
    "objects": ("y_test", npy(np.array([print, 1], object), allow_pickle=True), LABELS),
    "floats": ("x_test", npy(np.zeros((4, 28, 28))), IMAGES),
    "big-endian labels": ("y_test", npy(np.zeros(4, ">i8")), LABELS),
    "a record": ("y_test", npy(np.zeros(4, "u1,u1")), LABELS),
    "fortran order": ("x_test", npy(np.asfortranarray(np.zeros((4, 28, 28), np.uint8))), IMAGES),
    "flat images": ("x_test", npy(np.zeros((4, 784), np.uint8)), IMAGES),
    "colours": ("x_test", npy(np.zeros((4, 28, 28, 3), np.uint8)), IMAGES),
    "int64 images": ("x_test", npy(np.zeros((4, 28, 28), np.int64)), IMAGES),
    "one-hot labels": ("y_test", npy(np.zeros((4, 10), np.uint8)), LABELS),
    "a scalar": ("y_test", npy(np.uint8(4)), LABELS),
    "no rows": ("y_test", npy(Y[:0]), "has 0 bytes for [0] numbers of 1 bytes"),
    "huge": ("x_test", header(X % "999999999, 999999999, 999999999"), "has 0 bytes for [999999999, "),
    "huger": ("x_test", header(X % "9999999999, 1, 1"), IMAGES),
    "negative": ("x_test", header(X % "-1, 28, 28"), IMAGES),
    "an expression": ("x_test", header(X % "2**9999, 1, 1"), IMAGES),
    "a call": ("x_test", header("__import__('os').system('touch canary')"), IMAGES),
    "version 2": ("y_test", header(X % "4,", bytes(4), b"\2\0"), LABELS),
    "cut in the header": ("y_test", npy(Y)[:40], LABELS),
    "empty": ("y_test", b"", LABELS),
    "short": ("y_test", npy(Y)[:-1], "has 3 bytes for [4] numbers of 1 bytes"),
    "long": ("y_test", npy(Y) + b"x", "has 5 bytes for [4] numbers of 1 bytes"),
    "label of 256": ("y_test", npy(np.array([256])), "a label that is not a whole number from 0 to 255"),
    "label below 0": ("y_test", npy(np.array([-1])), "a label that is not a whole number from 0 to 255"),
    "label of 2 ** 56": ("y_test", npy(np.array([2**56])), "a label that is not a whole number from 0 to 255"),
}  # fmt: skip


@pytest.mark.parametrize(("member", "content", "words"), ODD.values(), ids=ODD)
def test_an_array_of_another_kind_is_refused(made, tmp_path, member, content, words):
    with pytest.raises(UserError) as caught:
        read_npz(zipped(made, {f"{member}.npy": content}), "mnist.npz")
    assert words in str(caught.value)
    assert "mnist.npz" in str(caught.value)
    assert len(str(caught.value)) < 600
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda npz: b"", "is not a zip archive"),
        (lambda npz: b"<html>", "is a web page"),
        (lambda npz: npz[: len(npz) // 2], "is damaged, or does not contain x_train.npy"),
        (lambda npz: npz[:60] + bytes(8) + npz[68:], "is damaged, or does not contain x_train.npy"),
        (lambda npz: npz.replace(b"PK\1\2", b"PK\1\3"), "is damaged"),
    ],
)
def test_damaged_archive_is_refused(made, change, words):
    with pytest.raises(UserError, match=f"^x.npz {words}"):
        read_npz(change(made.npz()), "x.npz")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_bound_are_refused(made, method):
    with pytest.raises(UserError, match=r"compresses x_train.npy in a way that numpy does not"):
        read_npz(zipped(made, {}, method), "x.npz")


def test_bomb_takes_no_more_memory_than_a_member_may(made):
    bomb = zipped(made, {"x_train.npy": bytes(MEMBER_BYTES * 8)})
    tracemalloc.start()
    with pytest.raises(UserError, match=r"x_train\.npy in x\.npz unpacks to more than 50,331,648 bytes"):
        read_npz(bomb, "x.npz")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * MEMBER_BYTES


def test_list_of_very_many_members_is_not_read(made):
    with pytest.raises(UserError, match=r"^x\.npz has more than 100 members"):
        read_npz(zipped(made, {str(number): b"" for number in range(100)}), "x.npz")
