"""How training images are changed: a key for each of foundations/augmentation.py."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from mlfound.config.keys import Config, NotNegative, Positive, Rate, clash


class AugmentConfig(Config):
    """The largest changes; 0 is none."""

    shift: Annotated[int, Field(ge=0, description="a whole number of pixels, 0 or more")] = 0
    rotate: Annotated[float, Field(ge=0, le=180, description="degrees from 0 to 180")] = 0.0
    scale: Rate = 0.0
    shear: NotNegative = 0.0
    elastic: NotNegative = 0.0
    sigma: Positive = 4.0
    erase: Annotated[float, Field(ge=0, le=1, description="a fraction from 0 to 1")] = 0.0
    mixup: NotNegative = 0.0

    @model_validator(mode="after")
    def changes_something(self) -> Self:
        """Refuse a section that leaves all images as they are."""
        sizes = self.model_dump(exclude={"sigma"})
        if not any(sizes.values()):
            words = "nothing is above 0; write a size, as in {shift: 2, rotate: 10}, or null"
            raise clash(words, *sizes, "sigma")
        return self
