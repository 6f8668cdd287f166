"""What a training refuses because it does not fit the data: a UserError says what to write instead."""

from mlfound.config.training import TrainConfig
from mlfound.errors import UserError
from mlfound.foundations.layers import Sequential, Shape
from mlfound.foundations.norms import BatchNorm, counts


def refuse_unfit(config: TrainConfig, rows: int, classes: int) -> None:
    """A UserError for a model that does not fit the data, so many training rows and classes."""
    outputs = config.model.outputs
    if config.batch_size > rows:
        raise UserError(
            f"{config.batch_size} is more than the {rows:,} training rows; write {rows} or less",
            key="batch_size",
        )
    if outputs not in (1, classes):
        raise UserError(
            f"{outputs} outputs are not one for each of {classes} classes; write {classes}",
            key="model.outputs",
        )


def refuse_single_numbers(model: Sequential, shape: Shape) -> None:
    """A UserError for norms that have but one number for their mean, however many rows of this `shape` there are."""
    if any(count == 1 for _, count in counts(model, shape)):
        message = (
            "a mean would be of a single number, which then becomes 0; write batch, running-batch or none"
        )
        raise UserError(message, key="model.norm")


def refuse_single_rows(model: Sequential, shape: Shape, batch_size: int, key: str = "batch_size") -> None:
    """The same for batch norm, where the last batch of rows of this `shape`, (rows, pixels), has a single one."""
    rows = shape[0]
    last = rows % batch_size or batch_size
    if not any(n == 1 for norm, n in counts(model, (last, *shape[1:])) if isinstance(norm, BatchNorm)):
        return
    others = (*range(batch_size + 1, rows + 1), *range(batch_size - 1, 1, -1))
    better = next((f"{size}, or " for size in others if rows % size != 1), "")
    which = "a batch" if batch_size == 1 else f"of {rows:,} rows in batches of {batch_size} the last"
    message = f"{which} has one row, which has no variance for batch norm"
    raise UserError(f"{message}; write {better}model.norm: running-batch", key=key)
