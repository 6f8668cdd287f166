"""What a YAML file of `sweep` may say besides the keys of the command: what varies, named cases, seeds."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from mlfound.config.keys import Config, OneOf

# commands whose runs are figures; of the others there is nothing to vary, or only files
SWEPT = (
    "train", "init-stats", "matmul-bench", "conv-bench", "backprop-bench", "lr-find", "normalize-check",
)  # fmt: skip
MAX_SEEDS = 100_000
SEEDS = re.compile(r"[0-9]{1,18}(-[0-9]{1,18})?( *, *[0-9]{1,18}(-[0-9]{1,18})?)*")


def seeds_of(text: str) -> list[int]:
    """The seeds that `0-9, 12` names, in its order; ValueError where it names none, one twice or far too many."""
    if not SEEDS.fullmatch(text):
        raise ValueError("no list of seeds")
    ranges = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        ranges.append(range(int(first), int(last or first) + 1))
    if not all(ranges) or sum(map(len, ranges)) > MAX_SEEDS:
        raise ValueError("an empty range, or too many seeds")
    seeds = [seed for each in ranges for seed in each]
    if len({*seeds}) < len(seeds):
        raise ValueError("a seed twice")
    return seeds


def as_text(value: object) -> object:
    """3 and [0, 2, 5] as `3` and `0,2,5`."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def with_seeds(text: str) -> str:
    """The text unchanged, once it has been read."""
    seeds_of(text)
    return text


Seeds = Annotated[str, BeforeValidator(as_text), AfterValidator(with_seeds)]


class SweepConfig(Config):
    """A grid: every combination of the values in `vary`, in every case, once for each seed.

    All other keys are the command's, as they are in every cell; they are checked cell by cell.
    """

    model_config = ConfigDict(extra="allow")

    command: Annotated[str, OneOf(*SWEPT)] = "train"
    vary: Annotated[
        dict[str, Any], Field(description="keys as in the config, each with a list of values")
    ] = {}  # noqa: RUF012  (pydantic copies it)
    cases: Annotated[
        dict[str, dict[str, Any]],
        Field(description="a name for each case, and below it the keys that it sets"),
    ] = {}  # noqa: RUF012  (pydantic copies it)
    seeds: Annotated[
        Seeds | None,
        Field(description=f"seeds such as 0-9 or 0,2,5, each once, at most {MAX_SEEDS:,}, or null"),
    ] = None
