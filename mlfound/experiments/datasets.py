"""Which datasets there are: a list that waits for no torch."""

from pathlib import Path

from mlfound.data import cache
from mlfound.results import Column, Result, Table


def listing(data_dir: Path) -> Result:
    """Every dataset by name: whether it is here and whole, its size, where it is and its licence."""
    columns = (
        Column("dataset"),
        Column("state", rank=1),
        Column("bytes", format=",", of=lambda entry: entry.bytes or None, rank=1),
        Column("licence", rank=1),
        Column("path", of=lambda entry: str(entry.path)),
    )
    return Result(tables=[Table.of("datasets", "Datasets", columns, cache.inventory(data_dir))])
