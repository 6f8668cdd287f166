"""How a run stands, as its folder shows it: what `run.json` says, and whether a process still holds the lock."""

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlfound.files import NO_LINK, NO_WAIT
from mlfound.runs.plain_files import read_json

SCHEMA = 1  # of run.json and summary.json: the newest that we know
STATUSES = ("running", "completed", "failed", "diverged", "interrupted")


def read_facts(folder: Path) -> dict[str, Any]:
    """`run.json`, with the status `crashed` where it says `running` and nobody is; UserError if unreadable."""
    facts = read_json(folder / "run.json")
    if facts.get("status") == "running" and not is_held(folder / ".lock"):
        facts = read_json(folder / "run.json")  # it may have ended between our two looks
        if facts.get("status") == "running":
            facts["status"] = "crashed"
    elif facts.get("status") not in STATUSES:
        facts["status"] = "unknown"
    return facts


def is_held(lock: Path) -> bool:
    """Whether a living process holds the lock. Only looks: nothing is made or written.

    Where the system has no flock, a run that says it is running is believed.
    """
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        descriptor = os.open(lock, os.O_RDONLY | NO_WAIT | NO_LINK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # another holds it, or this is a file system without locks
        return True
    finally:
        os.close(descriptor)
    return False


def schema_problem(facts: Mapping[str, Any]) -> str | None:
    """What to say of a folder in another form than ours."""
    schema = facts.get("schema")
    if not isinstance(schema, int):
        return "run.json has no schema: it may be of another program"
    newer = f"schema {schema}: written by a newer mlfound, it may say more than is shown"
    return newer if schema > SCHEMA else None


def moment(facts: Mapping[str, Any], key: str) -> datetime | None:
    """`start` or `end` as a time, in UTC."""
    try:
        return datetime.fromisoformat(facts[key]).astimezone(UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None


def seconds_taken(facts: Mapping[str, Any]) -> float | None:
    """From start to end, or until now, without the pauses; None where nobody knows, or the clock was set back."""
    start, end = moment(facts, "start"), moment(facts, "end")
    if facts.get("status") == "running":
        end = datetime.now(UTC)
    if not (start and end and end >= start):
        return None
    return max(0.0, (end - start).total_seconds() - seconds_paused(facts))


def seconds_paused(facts: Mapping[str, Any]) -> float:
    """How long a run was interrupted before it was resumed, all times together."""
    seconds = facts.get("paused_seconds")
    return seconds if isinstance(seconds, int | float) and seconds > 0 else 0.0


def pause(folder: Path, facts: Mapping[str, Any], resumed_at: str) -> float:
    """Seconds between the end of a run, or the last that a killed one wrote, and its resumption."""
    end, resumed = moment(facts, "end"), datetime.fromisoformat(resumed_at)
    if end is None:
        written = (path.stat().st_mtime for path in folder.iterdir() if path.is_file())
        end = datetime.fromtimestamp(max(written), UTC)
    return max(0.0, (resumed - end).total_seconds())
