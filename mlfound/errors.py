"""The one error that is the user's to mend: it ends as one line on stderr and exit code 2."""

from collections.abc import Sequence

# characters of a message: a name of megabytes is cut in its middle, the advice at the end stays
LONGEST = 2_000


class UserError(Exception):
    """What is wrong and what to write instead, in one line.

    `key` names the config key at fault (`optimizer.lr`); the command line puts in front of the message where that
    key was set: a file and its line, or a flag.
    """

    def __init__(self, message: str, key: str | None = None) -> None:
        text = printable(message)
        half = LONGEST // 2
        super().__init__(text if len(text) <= LONGEST else f"{text[:half]} ... {text[5 - half :]}")
        self.key = key


def printable(text: str) -> str:
    """`text` on one line, its control characters spelled out (`\\x1b`): it can neither move the cursor nor hide."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def some(words: Sequence[str], most: int = 3, between: str = ", ") -> str:
    """The first of the words, and how many more there are."""
    more = f" and {len(words) - most:,} more" if len(words) > most else ""
    return f"{between.join(words[:most])}{more}"
