"""What a training refuses because it does not fit the data: a UserError says what to write instead."""

from mlfound.config.augmentation import AugmentConfig
from mlfound.config.training import TrainConfig
from mlfound.errors import UserError
from mlfound.foundations.layers import Residual, Sequential, Shape, every
from mlfound.foundations.norms import BatchNorm, Norm, counts


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


def refuse_ranks(config: TrainConfig, ranks: int) -> None:
    """A UserError for what so many processes cannot train together."""
    if ranks > 1 and config.replicates > 1:
        message = f"{ranks} ranks train one network together"
        raise UserError(f"{message}; write 1, or start mlfound without torchrun", key="replicates")
    if ranks > config.batch_size:
        message = f"a batch of {config.batch_size} has no row for each of {ranks} ranks"
        raise UserError(f"{message}; write {ranks} or more, or start fewer", key="batch_size")


def refuse_augmentation(augment: AugmentConfig | None, image: Shape) -> None:
    """A UserError for images (height, width) that a shift could empty."""
    if augment and augment.shift >= min(image):
        message = (
            f"a shift by {augment.shift} pixels can leave nothing of {' x '.join(map(str, image))} images"
        )
        raise UserError(f"{message}; write {min(image) - 1} or less", key="augment.shift")


def refuse_fixup(init: str, model: Sequential, key: str = "model.init") -> None:
    """A UserError for fixup without residual blocks, or with norms, whose scales start at 0 for what it is for."""
    if init != "fixup":
        return
    layers = [*every(model)]
    if not any(isinstance(layer, Residual) for layer in layers):
        advice = "leave it out, write kaiming, or model.name: resnet"
        raise UserError(f"fixup is for residual blocks, of which this model has none; {advice}", key=key)
    if any(isinstance(layer, Norm) for layer in layers):
        message = "fixup is for residual blocks without norms; write model.norm: none, or model.init: kaiming"
        raise UserError(message, key=key)


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
