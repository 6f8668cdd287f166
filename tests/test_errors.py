"""The one line that a user gets."""

import pytest

from mlfound.errors import UserError, printable


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
