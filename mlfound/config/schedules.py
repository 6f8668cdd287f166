"""What a config may say of a schedule: a word, or the pieces that it is composed of."""

from typing import Annotated, Self

from pydantic import Discriminator, Field, Tag, model_validator

from mlfound import ladders
from mlfound.config.keys import Config, OneOf, clash, rung

Factor = Annotated[float, Field(ge=0, le=1, description="a factor from 0 to 1")]


class PieceConfig(Config):
    """One piece of a schedule: factors of the learning rate and of the momentum, over a share of all steps."""

    name: Annotated[str, rung("foundations/schedules.py", "PIECES")]
    from_: Annotated[float, Field(alias="from", ge=0, description="a number, 0 or more")]
    to: Annotated[
        float | None, Field(ge=0, description="a number, 0 or more, or null in a constant piece")
    ] = None
    share: Annotated[float, Field(gt=0, le=1, description="a number above 0, at most 1")]
    momentum_from: Factor = 1.0
    momentum_to: Factor = 1.0
    power: Annotated[
        float | None, Field(gt=0, description="a number above 0 in a polynomial piece, else null")
    ] = None

    @model_validator(mode="after")
    def keys_fit_together(self) -> Self:
        """Refuse keys that are valid one by one and exclude each other."""
        if self.name != "constant" and self.to is None:
            message = f"{self.name} leads from one factor to another; write to: 0, or name: constant"
            raise clash(message, "name", "to")
        if self.name == "constant" and self.to not in (None, self.from_):
            raise clash("constant stays at one factor; leave to out, or write name: linear", "name", "to")
        if self.name == "constant" and self.momentum_from != self.momentum_to:
            message = "constant stays at one factor; write the same momentum_from and momentum_to"
            raise clash(message, "name", "momentum_from", "momentum_to")
        for key in ("from", "to", "momentum_from", "momentum_to"):
            if self.name == "exponential" and getattr(self, "from_" if key == "from" else key) == 0:
                message = "exponential cannot start or end at 0; write a number above 0, such as 0.001"
                raise clash(message, "name", key)
        if self.name == "polynomial" and self.power is None:
            raise clash("polynomial needs its power; write power: 2, or name: linear", "name", "power")
        if self.name != "polynomial" and self.power is not None:
            raise clash(f"{self.name} has no power; leave it out, or write name: polynomial", "name", "power")
        return self


SCHEDULES = ladders.names("foundations/schedules.py", "SCHEDULES")
Schedule = Annotated[
    Annotated[str, OneOf(*SCHEDULES), Tag("word")]
    | Annotated[tuple[PieceConfig, ...], Field(strict=False, max_length=1000), Tag("pieces")],
    Discriminator(lambda value: "word" if isinstance(value, str) else "pieces"),
    Field(
        description=f"one of {', '.join(SCHEDULES)}, or a list of pieces "
        "such as [{name: cosine, from: 1, to: 0, share: 1}]"
    ),
]
