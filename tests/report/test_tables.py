import csv
import io
import math
from typing import Any

import numpy as np
import pytest
import torch

from mlfound.report.tables import cell, csv_bytes
from mlfound.results import Column, Table

HOSTILE = [
    "",
    "a,b",
    'say "so"',
    "two\nlines",
    "a\rb",
    "a\r\nb",
    " spaces ",
    "1=1+1",
    " =1+1",
    "ünï–✓",
    "'",
    "\x1b[31m",
]


def table(columns: list[str], *rows: list[Any]) -> Table:
    return Table("any", "Any", [Column(name, label="not in the CSV", format=".1f") for name in columns], rows)


def test_a_csv_gives_back_every_string() -> None:
    rows = [[text, text] for text in HOSTILE]

    content = csv_bytes(table(["one", "t,wo"], *rows)).decode()

    assert list(csv.reader(io.StringIO(content, newline=""))) == [["one", "t,wo"], *rows]


FORMULAS = [
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-1+1",
    "-",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "-0x10",
    "--3",
]
NUMBERS = ["-3", "-0.5", "+5", "-1e-5", "-inf"]


def test_a_text_that_a_spreadsheet_would_execute_is_marked_as_text() -> None:
    content = csv_bytes(table(["=1", "-2"], *zip(FORMULAS, FORMULAS, strict=True))).decode()
    marked = [[f"'{text}"] * 2 for text in FORMULAS]
    assert list(csv.reader(io.StringIO(content, newline=""))) == [["'=1", "-2"], *marked]


def test_a_number_stays_a_number_also_as_text() -> None:
    cells = [-0.5, -3, np.float32(-0.5), float("-inf"), torch.tensor(-3), *NUMBERS]
    content = csv_bytes(table(["a"], *((cell,) for cell in cells))).decode()
    assert content.split("\n")[1:-1] == ["-0.5", "-3", "-0.5", "-inf", "-3", *NUMBERS]


def test_a_csv_keeps_every_digit_and_plain_words() -> None:
    third = 1 / 3
    row = [
        third,
        torch.tensor(third, dtype=torch.float64),
        np.float32(0.5),
        np.int64(7),
        None,
        True,
        np.False_,
    ]

    content = csv_bytes(table(list("abcdefg"), row)).decode()

    assert content == "a,b,c,d,e,f,g\n0.3333333333333333,0.3333333333333333,0.5,7,,true,false\n"


def test_a_csv_without_rows_has_its_head() -> None:
    assert csv_bytes(table(["a_s", "b"])) == b"a_s,b\n"


def test_a_name_that_is_no_unicode_is_still_written() -> None:
    assert csv_bytes(table(["path"], ["\udce9"])) == b"path\n\\udce9\n"


@pytest.mark.parametrize(
    ("value", "spec", "shown"),
    [
        (0.97756, ".2%", "97.76%"),
        (10_000, ",", "10,000"),
        (10_000, "", "10000"),
        (1 / 3, "", "0.333333"),
        (torch.tensor(0.5), ".3f", "0.500"),
        (math.nan, ".2%", "nan"),
        (-math.inf, ",", "-inf"),
        (None, ".4f", "–"),
        (True, ".4f", "yes"),
        (np.False_, "", "no"),
        ("skipped", ".4f", "skipped"),
        ((5, 784), "", "(5, 784)"),
    ],
)
def test_a_cell_is_shown_in_its_columns_format(value: Any, spec: str, shown: str) -> None:
    assert cell(value, Column("any", format=spec)) == shown
