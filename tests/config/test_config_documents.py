"""The strict YAML reader: which words are numbers, the line of each key, what is refused; and the writer."""

import re
from collections.abc import Iterator
from math import inf
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlfound.config import documents
from mlfound.config.documents import MAX_DEPTH, DocumentError, read, shown, write
from mlfound.errors import UserError

CONFIGS = sorted((Path(__file__).parents[2] / "configs").rglob("*.yaml"))


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("7", 7), ("-7", -7), ("+7", 7), ("0", 0), ("9007199254740993", 2**53 + 1),
        ("1e-3", 0.001), ("1E5", 1e5), (".5", 0.5), ("5.", 5.0), ("-1.5e+2", -150.0), ("00.5", 0.5),
        ("1e999", inf), ("true", True),
        ("false", False), ("null", None), ("~", None), ("", None), ("''", ""),
        ("yes", "yes"), ("on", "on"), ("True", "True"), ("NULL", "NULL"), ("0o17", "0o17"), ("0x1f", "0x1f"),
        ("010", "010"), ("12:30", "12:30"), ("1_000", "1_000"), ("2001-01-01", "2001-01-01"),
        (".inf", ".inf"), (".nan", ".nan"), (".", "."), ("1e", "1e"), ("e5", "e5"),
        ("'7'", "7"), ('"true"', "true"), ("|\n  7", "7\n"), ("٣", "٣"), ("1" * 101, "1" * 101), ("=", "="),
        ("[1, a, [2.5]]", [1, "a", [2.5]]),
    ],
)  # fmt: skip
def test_a_word_means(word: str, value: object) -> None:
    read_back = read(f"key: {word}\n")[0]["key"]
    assert (read_back, type(read_back)) == (value, type(value))


def test_every_key_and_item_has_its_line() -> None:
    text = "---\r\n# a comment\r\ndata:\r\n  dataset:\r\n    mnist\r\n\r\nmodel: {hidden: [50,\r\n  60]}\r\n"
    value, lines = read(text)
    assert value == {"data": {"dataset": "mnist"}, "model": {"hidden": [50, 60]}}
    assert lines == {
        "data": 3, "data.dataset": 4, "model": 7, "model.hidden": 7, "model.hidden.0": 7, "model.hidden.1": 8
    }  # fmt: skip
    assert list(lines) == sorted(lines, key=lambda key: lines[key])


REFUSED = [
    ("a: 1\nb: 2\na: 3\n", 3, "'a' is already on line 1; write it once"),
    ("x: {b: 1,\n b: 2}\n", 2, "'x.b' is already on line 1; write it once"),
    ("a: 1\nb: !!int 2\n", 2, "'!!int' is a tag; write a plain value"),
    ("a: ! 2\n", 1, "'!' is a tag; write a plain value"),
    ("!x a: 1\n", 1, "'!x' is a tag; write a plain value"),
    ("!!map\na: 1\n", 1, "'!!map' is a tag; write a plain value"),
    ("a: &b 1\n", 1, "'&b' is an anchor; leave it out"),
    ("&b a: 1\n", 1, "'&b' is an anchor; leave it out"),
    ("a: 1\nb: *a\n", 2, "'*a' is an alias; write the value itself"),
    ("*a : 1\n", 1, "'*a' is an alias; write the value itself"),
    ("<<: {a: 1}\n", 1, "'<<' is not a key; write a word, and keys below it indented"),
    ("a: 1\noptimizer.lr: 1\n", 2, "'optimizer.lr' is not a key; write a word, and keys below it indented"),
    ("1: 1\n", 1, "'1' is not a key; write a word, and keys below it indented"),
    ("a: {shift:2}\n", 1, "'shift:2' has no space behind its colon; write 'shift: 2'"),
    ("{a:1, b: 2}\n", 1, "'a:1' has no space behind its colon; write 'a: 1'"),
    ("? [a]\n: 1\n", 1, "a list or mapping cannot be a key; write a word"),
    ("? {a: 1}\n: 1\n", 1, "a list or mapping cannot be a key; write a word"),
    (f"{'k' * 65}: 1\n", 1, f"'{'k' * 60}...' is not a key; write a word, and keys below it indented"),
    ("a: 1\n---\nb: 1\n", 2, "a second document begins here; write one"),
    ("a: 1\n...\n---\n", 3, "a second document begins here; write one"),
    ("a: " + "[" * (MAX_DEPTH + 1), 1, "nested deeper than 20 levels"),
    ("a: 1\nb: c: d\n", 2, "not YAML: mapping values are not allowed here"),
    ("a: [1,\n  2\n", 3, "not YAML: expected ',' or ']', but got '<stream end>'"),
    ("a: 1\n\tb: 2\n", 2, r"not YAML: found character '\t' that cannot start any token"),
    ("a: 1\nb: @\n", 2, "not YAML: found character '@' that cannot start any token"),
    ("a: 1\nb: \x00\n", 2, r"not YAML: the character '\x00' is not allowed here"),
    ("a: 1\nb: \x1b[31m\n", 2, r"not YAML: the character '\x1b' is not allowed here"),
    ('a: 1\nb: "\\UFFFFFFFF"\n', 2, "not YAML: an escape that is not a character"),
    ('a: 1\nb: "\\U00110000"\n', 2, "not YAML: an escape that is not a character"),
    ("%YAML 2.0\n---\na: 1\n", 1, "not YAML: found incompatible YAML document (version 1.* is required)"),
]


@pytest.mark.parametrize(("text", "line", "message"), REFUSED)
def test_what_we_do_not_read_is_refused_on_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(DocumentError) as refused:
        read(text)
    assert (refused.value.line, str(refused.value)) == (line, message)


@pytest.mark.parametrize(
    "opening", ["[", "{", "- ", "? ", "[{a: ", "{a: ", "- - ? ", "{? ", "a:\n ", "!", "&a "]
)
def test_endless_opening_ends_early(opening: str) -> None:
    with pytest.raises(DocumentError):
        read(opening * (documents.MAX_CONFIG_BYTES // len(opening)))


def nested(levels: int) -> str:
    return "a: " + "[" * (levels - 1) + "]" * (levels - 1)


def test_nesting_is_read_down_to_the_deepest_level() -> None:
    read(nested(MAX_DEPTH))
    with pytest.raises(DocumentError, match="nested deeper"):
        read(nested(MAX_DEPTH + 1))


PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(10**99), 10**99)
    | st.floats(allow_nan=False, allow_infinity=False)
)
ODD = st.sampled_from(
    ["", " ", "1e5", "1e-05", ".5", "5.", "010", "0o17", "null", "~", "true", "yes", "12:30", "a: b", "a #b",
     "- a", "[a", "*a", "&a", "!a", "%a", "@a", "<<", "=", "---", "...", "a\nb", "\ta", "a ", "\x00", "\x85",
     "\u2028", "\ufeff", "'", '"', "\\", "😀", "\x7f", "a  b", "\n", "?", ":", "é"]
)  # fmt: skip
TEXT = ODD | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
KEYS = st.from_regex(documents.KEY, fullmatch=True)
VALUES = st.recursive(
    PLAIN | TEXT, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)
)


@settings(deadline=None)
@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=5))
def test_what_is_written_reads_back_the_same(value: dict[str, object]) -> None:
    again, lines = read(write(value))
    assert list(leaves(again)) == list(leaves(value))
    assert [key for key in lines if "." not in key] == list(value)


def leaves(value: object) -> Iterator[tuple[type, object]]:
    """Every part of a value in order, with its type: 1, 1.0 and True are not the same here."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str, key
            yield from leaves(inner)
    elif isinstance(value, list):
        yield list, len(value)
        for inner in value:
            yield from leaves(inner)
    else:
        yield type(value), value


def test_written_yaml_is_pleasant_to_read() -> None:
    assert write(
        {"a": {"b": 1e-05, "c": [1, 2]}, "d": "mnist", "e": "1e5", "f": None, "g": True, "h": "yes"}
    ) == ("a:\n  b: 1.0e-05\n  c: [1, 2]\nd: mnist\ne: '1e5'\nf: null\ng: true\nh: yes\n")


def test_values_in_messages_are_short_and_harmless() -> None:
    assert shown("a\x1b[31m\n\u202e") == r"'a\x1b[31m\n\u202e'"
    assert shown(["\x1b\x7f\x9b", True, None, 0.5]).isascii()
    assert len(shown("x" * 10_000)) < 70
    assert len(shown([1] * 10_000)) < 70
    assert shown([50, 0]) == "[50, 0]"
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", shown({"a": ["\x1b", "\x9b\x7f"]}))


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "configs").rglob("*.yaml")), ids=lambda path: path.name
)
def test_the_parser_in_c_reads_what_python_s_reads(path: Path, tmp_path: Path) -> None:
    value, _ = documents.read_file(path)
    (tmp_path / "written.yaml").write_text(write(value))
    for file in (path, tmp_path / "written.yaml"):
        assert repr(documents.read_back(file)) == repr(value)


@pytest.mark.parametrize("text", [text for text, _, _ in REFUSED])
def test_what_is_refused_is_refused_of_a_run_too(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as refusal:
        documents.read_file(path)
    with pytest.raises(UserError, match=re.escape(str(refusal.value))):
        documents.read_back(path)
