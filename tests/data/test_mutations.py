"""Random bytes and random opcodes as a lesson's pickle. Spoiled files are a trial: tests/faults/data_files.py."""

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlfound.data.pickled import read_pickle
from mlfound.errors import UserError

MUTATIONS = settings(max_examples=200, deadline=2_000)  # milliseconds


def one_line(error):
    assert "\n" not in str(error)
    assert len(str(error)) < 600


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
