"""A table in every width: nothing is cut or broken, rows are told apart, and what is left out is named."""

import pytest
from rich.cells import cell_len

from mlfound.report.fitted import table_lines, wrapped
from mlfound.results import Column, Table

WORDS = "the spread is more than a tenth of the median, so believe nothing"
TABLE = Table(
    "any",
    "Any",
    [
        Column("impl"), Column("shape", rank=1), Column("median_s", "median"), Column("n", "number of calls", rank=4),
        Column("note", rank=3), Column("peak", "of peak", ".2%"),
    ],
    [["einsum", "64x784x50", 0.25, 123456, WORDS, 0.5], ["字字", "5x784x10", 123456789, None, "", 0.125]],
)  # fmt: skip


def texts(table: Table, room: int, one_line: bool = False) -> tuple[list[str], list[str]]:
    lines, left_out = table_lines(table, room, one_line)
    return [line.plain for line in lines], left_out


def test_all_columns_where_there_is_room():
    assert texts(TABLE, 200) == (
        [
            "impl    shape         median  number of calls  " + "note".ljust(len(WORDS)) + "  of peak",
            "─" * (6 + 9 + 9 + 15 + len(WORDS) + 7 + 5 * 2),
            f"einsum  64x784x50       0.25           123456  {WORDS}   50.00%",
            "字字    5x784x10   123456789                –  " + " " * len(WORDS) + "   12.50%",
        ],
        [],
    )


def test_words_are_wrapped_before_a_column_gives_way():
    lines, left_out = texts(TABLE, 80)
    assert left_out == []
    lines = lines[1:]  # the head has three lines
    note = lines[3].index("the spread")
    assert " ".join(line[note : line.rfind("  ")].strip() for line in lines[3:5]).startswith(
        "the spread is more than"
    )
    assert [line for line in lines if "einsum" in line] == [lines[3]]


@pytest.mark.parametrize(
    ("room", "left_out"),
    [
        (70, []),
        (69, ["n"]),
        (62, ["n"]),
        (61, ["n", "note"]),
        (36, ["n", "note"]),
        (35, ["n", "note", "peak"]),
    ],
)
def test_the_least_important_give_way_the_rightmost_first(room, left_out):
    assert texts(TABLE, room)[1] == left_out


def test_records_where_even_the_keys_and_one_more_do_not_fit():
    lines, left_out = texts(TABLE, 27)
    assert left_out == []
    assert lines[:4] == ["impl: einsum", "shape: 64x784x50", "median: 0.25", "number of calls: 123456"]
    assert lines[lines.index("") + 1] == "impl: 字字"


@pytest.mark.parametrize("one_line", [False, True])
@pytest.mark.parametrize("room", [*range(12, 100), 160])
def test_at_any_width(room, one_line):
    lines, left_out = texts(TABLE, room, one_line)
    text = "\n".join(lines)
    assert all(cell_len(line) <= room or " " not in line for line in lines)
    for row in TABLE.rows:
        assert str(row[0]) in text
        assert str(row[1]) in text
    assert ("123456789" in text) == ("median_s" not in left_out)
    assert ("123456" in text.split()) == ("n" not in left_out)
    if "note" not in left_out:
        assert set(WORDS.split()) <= set(text.split()), "no word is broken"
    if one_line and "impl:" not in lines[0]:
        assert len(lines) == 3


def test_a_column_of_long_words_gives_way_whole():
    digest = "0123456789abcdef" * 4
    table = Table(
        "files", "Files", [Column("file"), Column("state"), Column("sha256")], [["a", "verified", digest]]
    )
    assert texts(table, 80)[1] == []
    assert texts(table, 79) == (["file  state", "──────────────", "a     verified"], ["sha256"])


def test_words_longer_than_the_line_have_one_to_themselves():
    assert wrapped("They are in /a/very/long/path here", 12) == ["They are in", "/a/very/long/path", "here"]
    assert wrapped("", 12) == [""]
    assert wrapped("字字 字字 字字", 10) == ["字字 字字", "字字"]
