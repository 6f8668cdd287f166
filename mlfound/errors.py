"""The one error that is the user's to mend: it ends as one line on stderr and exit code 2."""


class UserError(Exception):
    """What is wrong and what to write instead, in one line.

    `key` names the config key at fault (`optimizer.lr`); the command line puts in front of the message where that
    key was set: a file and its line, or a flag.
    """

    def __init__(self, message: str, key: str | None = None) -> None:
        super().__init__(printable(message))
        self.key = key


def printable(text: str) -> str:
    """`text` on one line, its control characters spelled out (`\\x1b`): it can neither move the cursor nor hide."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
