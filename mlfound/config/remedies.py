"""The config of `remedies`. configs/remedies.yaml repeats the defaults and gives the reasons."""

import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from mlfound.config.augmentation import AugmentConfig
from mlfound.config.keys import Config, Count, Dataset, Hidden, NotNegative, Positive, Rate, clash
from mlfound.config.sweeps import Seeds, seeds_of

AUGMENT = AugmentConfig(shift=1, rotate=10.0, scale=0.1, elastic=15.0)


def with_usual(value: object) -> object:
    """Keys that are left out of the section are as they are by default."""
    return {**AUGMENT.model_dump(), **value} if isinstance(value, dict) else value


def as_numbers(value: object) -> object:
    """3 and `1000,5000` as lists."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}( *, *[0-9]{1,9})*", value):
        return [int(part) for part in value.split(",")]
    return [value] if isinstance(value, int) and not isinstance(value, bool) else value


class RemediesConfig(Config):
    """Five remedies against overfitting, each alone and all together, on several numbers of training rows."""

    dataset: Dataset = "mnist"
    rows: Annotated[
        tuple[Count, ...],
        BeforeValidator(as_numbers),
        Field(
            strict=False,
            min_length=1,
            max_length=20,
            description="a list of 1 to 20 numbers of training rows, each 1 or more, as in [1000, 5000]",
        ),
    ] = (1000, 5000, 50_000)
    seeds: Annotated[Seeds, Field(description="two seeds or more, each once, as in 0-4 or 0,2,5")] = "0-4"
    hidden: Hidden = (256, 256)
    epochs: Annotated[int, Field(ge=1, le=1000, description="a whole number from 1 to 1000")] = 8
    lr: Positive = 0.05
    augment: Annotated[AugmentConfig, BeforeValidator(with_usual)] = AUGMENT
    dropout: Rate = 0.2
    weight_decay: NotNegative = 0.005
    smaller: Hidden = (50,)
    jobs: Annotated[
        Literal["auto"] | Annotated[int, Field(ge=1, le=1024)],
        Field(description="auto or a whole number from 1 to 1024"),
    ] = "auto"

    @model_validator(mode="after")
    def can_be_compared(self) -> Self:
        """Refuse what would leave nothing to compare."""
        if len({*self.rows}) < len(self.rows):
            raise clash("a number of rows twice; write each once", "rows")
        if len(seeds_of(self.seeds)) < 2:
            raise clash("one seed says nothing about chance; write two or more, as in 0-4", "seeds")
        if not self.hidden:
            raise clash(
                "without hidden units there is nothing to regularise; write a list of layers", "hidden"
            )
        return self
