"""The lesson's pickle: decoded to exactly the IDX bytes, and refused where its numbers are odd.

Hostile pickles are a trial of their own: tests/faults/pickles.py.
"""

import gzip
import pickle
import struct

import pytest

from mlfound.data import pickled
from mlfound.data.fetch import fetch
from mlfound.data.pickled import read_pickle, walk
from mlfound.data.registry import DATASETS
from mlfound.errors import UserError


def test_made_up_pickle_gives_the_idx_files(made):
    assert read_pickle(gzip.compress(made.pickle), "made.pkl.gz") == made.raws


def test_made_up_pickle_is_one_that_numpy_loads(made):
    """So what our own test data says is what numpy would have understood."""
    (train_x, train_y), _, (test_x, test_y) = pickle.loads(made.pickle, encoding="latin1")
    assert (train_x * 256).astype("uint8").tobytes() == made.raws["train-images-idx3-ubyte"][
        16 : 16 + 8 * 784
    ]
    assert train_y.tolist() == [0, 1, 2, 3] * 2
    assert test_y.astype("uint8").tobytes() == made.raws["t10k-labels-idx1-ubyte"][8:]
    assert test_x.shape == (4, 784)


def test_lesson_pickle_decodes_to_the_registered_digests(lesson_file, tmp_path):
    """The digest twin: the pickle and the mirrors give the same bytes."""
    arrivals = fetch(DATASETS["mnist"], tmp_path, source=lesson_file)
    assert [a.sha256 for a in arrivals] == [file.sha256 for file in DATASETS["mnist"].files]
    assert {a.source for a in arrivals} == {str(lesson_file)}


def swapped(old, new, count=-1):
    return lambda text: text.replace(old, new, count)


def first_pixel(value):
    def change(text):
        start = text.index(b"\x89T") + 6
        return text[:start] + struct.pack("<f", value) + text[start + 4 :]

    return change


ODD = {
    "big-endian": (swapped(b"U\x01<", b"U\x01>", 1), "an array of f4"),
    "doubles": (swapped(b"U\x02f4", b"U\x02f8"), "an array of f4"),
    "unsigned labels": (swapped(b"U\x02i8", b"U\x02u8"), "an array of i8"),
    "fortran order": (swapped(b"\x89T", b"\x88T"), r"the opcode b'\x88'"),
    "more rows": (swapped(b"M\x08\x00M", b"M\x09\x00M"), "25088 bytes for an array of 28224"),
    "fewer labels": (swapped(b"M\x08\x00\x85", b"M\x07\x00\x85"), "64 bytes for an array of 56"),
    "no rows": (swapped(b"M\x08\x00M", b"M\x00\x00M"), "an array of f4"),
    "negative rows": (swapped(b"M\x08\x00M", b"J\xf8\xff\xff\xffM"), "an array of f4"),
    "783 pixels": (swapped(b"M\x10\x03", b"M\x0f\x03"), "an array of f4"),
    "another version": (swapped(b"(K\x01M", b"(K\x02M"), "an array of f4"),
    "subclass": (swapped(b"cnumpy\nndarray\n", b"cnumpy\nmatrix\n"), "it names b'numpy matrix'"),
    "something behind": (lambda text: text + b".", "it does not end where it should"),
    "one pair fewer": (lambda text: text[:-2] + b"\x86.", "it does not end where it should"),
    "pixel is nan": (first_pixel(float("nan")), "not a byte divided by 256"),
    "pixel is infinite": (first_pixel(float("inf")), "not a byte divided by 256"),
    "pixel is 1": (first_pixel(1.0), "not a byte divided by 256"),
    "pixel is below 0": (first_pixel(-1 / 256), "not a byte divided by 256"),
    "pixel divided by 255": (first_pixel(100 / 255), "not a byte divided by 256"),
    "label of 256": (swapped(struct.pack("<q", 3), struct.pack("<q", 256)), "not a byte divided by 1"),
    "label below 0": (swapped(struct.pack("<q", 3), struct.pack("<q", -1)), "not a byte divided by 1"),
}


@pytest.mark.parametrize(("change", "words"), ODD.values(), ids=ODD)
def test_pickle_of_other_numbers_is_refused(made, change, words):
    text = change(made.pickle)
    assert text != made.pickle
    with pytest.raises(UserError) as caught:
        read_pickle(gzip.compress(text), "odd.pkl.gz")
    assert words in str(caught.value)


def test_labels_and_images_must_agree(made):
    half = struct.pack("<i", 32)
    labels = struct.pack("<8q", *[0, 1, 2, 3] * 2)
    text = made.pickle.replace(b"M\x08\x00\x85", b"M\x04\x00\x85", 1)
    text = text.replace(b"T" + struct.pack("<i", 64) + labels, b"T" + half + labels[:32], 1)
    with pytest.raises(UserError, match="it has 4 labels for 8 images"):
        read_pickle(gzip.compress(text), "odd.pkl.gz")


def test_program_without_end_is_left_early():
    with pytest.raises(UserError, match="it has too many opcodes"):
        read_pickle(gzip.compress(b"K\x01K\x01\x86" + b"q\x00h\x00\x86" * 400 + b"."), "long.pkl.gz")


def test_bomb_is_refused_before_it_is_unpacked(monkeypatch):
    monkeypatch.setattr(pickled, "MAX_BYTES", 1_000_000)
    with pytest.raises(UserError, match="unpacks to more than 1,000,000 bytes"):
        read_pickle(gzip.compress(bytes(50_000_000)), "bomb.pkl.gz")


def test_limit_leaves_room_for_the_lesson_and_little_more():
    assert 220_080_342 < pickled.MAX_BYTES < 1.1 * 220_080_342


def test_walk_recalls_an_object_as_it_was_built_after_it_was_put_in_the_memo():
    built = (("numpy dtype", (b"f4",)), 7)
    assert walk(b"cnumpy\ndtype\nU\x02f4\x85Rq\x05K\x07bh\x05\x86.") == (built, built)
