"""Files with bytes changed, cut or put in: a one-line error, or exactly the right data. Never a traceback."""

import gzip
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlfound.data.fetch import fetch
from mlfound.data.load import load
from mlfound.data.pickled import read_pickle
from mlfound.data.registry import NAMES, Dataset
from mlfound.errors import UserError

MUTATIONS = settings(
    max_examples=int(os.environ.get("MLFOUND_MUTATIONS", "100")),
    deadline=2_000,  # milliseconds
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@st.composite
def changes(draw):
    """Up to three of: bytes overwritten, taken out, or put in; half of them near the beginning."""
    place = st.one_of(st.integers(0, 64), st.integers(0, 2**20))
    edit = st.tuples(st.sampled_from(["over", "out", "in"]), place, st.binary(min_size=1, max_size=5))
    return draw(st.lists(edit, min_size=1, max_size=3))


def changed(content, edits):
    for how, place, piece in edits:
        at = place % (len(content) + 1)
        content = content[:at] + (b"" if how == "out" else piece) + content[at + (how != "in") * len(piece) :]
    return content


def one_line(error):
    assert "\n" not in str(error)
    assert len(str(error)) < 600


@MUTATIONS
@given(edits=changes(), name=st.sampled_from(NAMES), suffix=st.sampled_from(["", ".gz"]))
def test_changed_file_of_a_known_dataset(made, edits, name, suffix):
    with tempfile.TemporaryDirectory() as folder:
        source, cache = made.write(Path(folder) / "have", suffix), Path(folder) / "cache"
        file = source / f"{name}{suffix}"
        file.write_bytes(changed(file.read_bytes(), edits))
        try:
            fetch(made.dataset, cache, source=source)
        except UserError as error:
            one_line(error)
            assert not cache.exists()
        else:
            assert all((cache / "made" / name).read_bytes() == raw for name, raw in made.raws.items())


@MUTATIONS
@given(edits=changes(), name=st.sampled_from(NAMES), suffix=st.sampled_from(["", ".gz"]))
def test_changed_file_of_the_users_own(made, edits, name, suffix):
    with tempfile.TemporaryDirectory() as folder:
        source = made.write(Path(folder), suffix)
        file = source / f"{name}{suffix}"
        file.write_bytes(changed(file.read_bytes(), edits))
        try:
            splits = load(Dataset("mine", "mine", "mine", folder=source), source)
        except UserError as error:
            one_line(error)
        else:
            assert splits.train.x.shape[1:] == splits.test.x.shape[1:]
            assert len(splits.train.x) == len(splits.train.y)
            assert (
                0 <= splits.train.y.min() <= max(splits.train.y.max(), splits.test.y.max()) < splits.classes
            )


@MUTATIONS
@given(edits=changes())
def test_changed_pickle(made, edits, own_folder):
    try:
        raws = read_pickle(gzip.compress(changed(made.pickle, edits), 1), "x.pkl.gz")
    except UserError as error:
        one_line(error)
    else:
        assert [len(raw) for raw in raws.values()] == [len(raw) for raw in made.raws.values()]
    assert list(own_folder.iterdir()) == []


@MUTATIONS
@given(program=st.binary(max_size=200))
def test_any_bytes_as_a_pickle(program):
    with pytest.raises(UserError) as caught:
        read_pickle(gzip.compress(program), "x.pkl.gz")
    one_line(caught.value)


PIECES = [
    b"K\x01",
    b"N",
    b"\x89",
    b"U\x01x",
    b"(",
    b"t",
    b"\x85",
    b"\x86",
    b"\x87",
    b"R",
    b"b",
    b"q\x01",
    b"h\x01",
]
PIECES += [b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"T\x02\x00\x00\x00xy", b"."]


@MUTATIONS
@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_any_program_of_the_opcodes_allowed(opcodes):
    with pytest.raises(UserError) as caught:
        read_pickle(gzip.compress(b"".join(opcodes)), "x.pkl.gz")
    one_line(caught.value)
