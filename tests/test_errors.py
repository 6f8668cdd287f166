"""The one line that a user gets."""

import pytest

from mlfound.errors import LONGEST, UserError, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain – ünï ✓", "plain – ünï ✓"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("two\nlines\r", "two\\nlines\\r"),
        ("\x9b31m", "\\x9b31m"),  # the one-character escape sequence
        ("gnp.\u202eexe", "gnp.\\u202eexe"),  # writes backwards
        ("\udce9", "\\udce9"),
    ],
)
def test_control_characters_are_spelled_out(text, shown):
    assert printable(text) == shown
    assert str(UserError(text)) == shown


def test_a_message_of_megabytes_is_cut_in_its_middle():
    text = str(UserError("--name " + "x" * 10_000_000 + ": write less"))
    assert len(text) == LONGEST
    assert text.startswith("--name xxx")
    assert text.endswith("xxx: write less")
    assert len(str(UserError("x" * LONGEST))) == LONGEST
