"""Files of a run folder that somebody else may have made: opened as plain files only, read up to a size."""

import json
import os
import stat
from pathlib import Path
from typing import Any

from mlfound.errors import UserError

# a pipe must not make us wait, and a link must not lead out of the folder
CAREFULLY = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)
LARGEST_JSON = 4 * 1024 * 1024
DEEPEST = 20  # a list in a list in ...


def read_plain(path: Path, largest: int) -> bytes:
    """The whole content; a UserError names what is missing, no plain file, or longer than `largest` bytes."""
    try:
        descriptor = os.open(path, CAREFULLY)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UserError(f"{path}: this is no plain file")
            content = file.read(largest + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: missing") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if len(content) > largest:
        raise UserError(f"{path}: larger than {largest:,} bytes")
    return content


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file."""
    content = read_plain(path, LARGEST_JSON)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged ({error})") from error
    if not isinstance(value, dict) or deeper(value, DEEPEST):
        raise UserError(f"{path}: damaged (no JSON object, or one with too much in one another)")
    return value


def deeper(value: Any, levels: int) -> bool:
    """Whether `value` has more levels than these."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(deeper(each, levels - 1) for each in inner if isinstance(each, dict | list))
