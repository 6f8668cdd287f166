"""What a user says of a run: tags and a note, in `notes.json` of its folder."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from mlfound.errors import UserError
from mlfound.runs.plain_files import read_json

NOTES = "notes.json"
TAG = re.compile(r"\w[\w.+:/=-]{0,31}")
MAX_NOTE_CHARACTERS = 1_000


@dataclass(frozen=True)
class Notes:
    """The tags in the order in which they were given, and one line of text."""

    tags: tuple[str, ...] = ()
    text: str = ""


def read_notes(path: Path) -> Notes:
    """Those in a file; a UserError if it is damaged. What in it is no tag is left out."""
    found = read_json(path)
    tags, text = found.get("tags"), found.get("note")
    return Notes(
        tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
        text if isinstance(text, str) else "",
    )


def write_notes(run: Path, notes: Notes) -> None:
    """Keep them in the run folder; without tags and text there is no file."""
    if notes == Notes():
        (run / NOTES).unlink(missing_ok=True)
    else:
        from mlfound.runs.folder import write_json  # here: to list runs need not wait for locks

        write_json(run / NOTES, {"schema": 1, "tags": notes.tags, "note": notes.text})


def with_tags(notes: Notes, words: Iterable[str]) -> Notes:
    """The same with these tags; UserError for one that could not be typed again or would confuse a terminal."""
    return Notes(tuple(dict.fromkeys([*notes.tags, *map(checked_tag, words)])), notes.text)


def without_tags(notes: Notes, words: Iterable[str]) -> Notes:
    """The same without these tags; UserError for one that the run does not have."""
    gone = set(words)
    for word in sorted(gone.difference(notes.tags)):
        near = get_close_matches(word, notes.tags, n=1)
        has = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(notes.tags) or 'none'}"
        raise UserError(f"{word[:40]!r}: the run has no such tag; {has}")
    return Notes(tuple(tag for tag in notes.tags if tag not in gone), notes.text)


def checked_tag(word: str) -> str:
    """A tag is one word that shells, tables and lists of tags leave as it is."""
    if not TAG.fullmatch(word):
        raise UserError(
            f"tag {word[:40]!r}: write 1 to 32 letters and digits, with any of . _ - + : / = after the first"
        )
    return word


def checked_note(text: str) -> str:
    """One printable line; an empty one removes the note."""
    if len(text) > MAX_NOTE_CHARACTERS or not text.isprintable():
        raise UserError(f"note {text[:40]!r}: write one line of at most {MAX_NOTE_CHARACTERS:,} characters")
    return text.strip()
