"""The section `expect` of `train`: a published figure that a run is to reproduce, and bounds for its figures."""

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from mlfound.config.keys import Config, Text, clash

Share = Annotated[
    float | None, Field(ge=0, le=1, description="a fraction from 0 to 1, as in 0.016 for 1.6%, or null")
]
Loss = Annotated[float | None, Field(ge=0, description="a number, 0 or more, or null")]


class FiguresConfig(Config):
    """The figures of a training of which something can be expected."""

    test_error: Share = None
    test_accuracy: Share = None
    test_loss: Loss = None
    valid_accuracy: Share = None
    valid_loss: Loss = None
    train_loss: Loss = None

    @property
    def figures(self) -> dict[str, float]:
        """Those that are given."""
        named = {name: getattr(self, name) for name in FiguresConfig.model_fields}
        return {name: value for name, value in named.items() if value is not None}

    @model_serializer(mode="wrap")
    def without_nulls(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Written down is what is expected, not what might be."""
        return {name: value for name, value in handler(self).items() if value is not None}


class ExpectConfig(FiguresConfig):
    """One published figure, `within` of which the run's is to be, or better; and bounds beside it or alone."""

    replaces: ClassVar[bool] = True  # a figure goes with its own source

    within: Annotated[float | None, Field(ge=0, description="a number, 0 or more, in the figure's unit")] = (
        None
    )
    source: Annotated[Text | None, Field(description="a text on one line, or null")] = None
    at_least: FiguresConfig | None = None
    at_most: FiguresConfig | None = None

    @property
    def keys(self) -> list[str]:
        """Every figure of which something is expected, by its key in this section."""
        bounds = {"at_least.": self.at_least, "at_most.": self.at_most}
        return [
            *self.figures,
            *(f"{key}{name}" for key, each in bounds.items() if each for name in each.figures),
        ]

    @model_validator(mode="after")
    def is_expectation(self) -> Self:
        """Refuse one that no run could meet or miss, and a bound on the wrong side."""
        figures, lonely = (
            [*self.figures],
            [key for key in ("within", "source") if getattr(self, key) is not None],
        )
        if len(figures) > 1:
            raise clash(
                "a run reproduces one figure; write one here, others below at_least or at_most", *figures
            )
        if figures and self.within is None:
            raise clash(
                "it has no bound; write within: 0.001 beside it, or it below at_least or at_most", *figures
            )
        if lonely and not figures:
            raise clash("it needs a figure; write one beside it, such as test_error: 0.016", *lonely)
        for key, bounds, wrong_way, right_key in (
            ("at_least", self.at_least, lower_is_better, "at_most"),
            ("at_most", self.at_most, higher_is_better, "at_least"),
        ):
            for name, value in bounds.figures.items() if bounds else ():
                if wrong_way(name):
                    better = "lower" if lower_is_better(name) else "higher"
                    message = f"{better} is better; write {right_key}: {{{name}: {value:g}}}"
                    raise clash(message, f"{key}.{name}")
            if bounds and not bounds.figures:
                raise clash("it is empty; write a figure such as {test_accuracy: 0.97}, or null", key)
        if not self.keys:
            raise clash(
                "it is empty; write {test_error: 0.016, within: 0.001}, {at_least: {test_accuracy: 0.97}}, or null"
            )
        return self


def higher_is_better(figure: str) -> bool:
    """Of an accuracy; of errors and losses it is not."""
    return figure.endswith("accuracy")


def lower_is_better(figure: str) -> bool:
    return not higher_is_better(figure)
