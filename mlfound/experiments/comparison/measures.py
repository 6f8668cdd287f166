"""The figures that runs are compared by: what each is called, its unit, which way is better, what is worth seeing."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One column of `tables/seeds.csv`. `scale` leads from there to the unit that people speak of."""

    label: str
    better: int  # 1: higher is better; -1: lower; 0: neither
    worth: float  # a difference worth seeing, in its unit
    format: str
    scale: float = 1.0
    unit: str = ""  # of a difference
    axis_unit: str = ""  # of the figure itself
    split: str = ""  # whose images it counts, as a fraction

    @property
    def axis(self) -> str:
        """For a picture."""
        return f"{self.label}{', ' * bool(self.axis_unit)}{self.axis_unit}"

    def amount(self, difference: float) -> str:
        """A difference in its unit, without its sign: `0.12 points`."""
        return f"{abs(difference) * self.scale:{self.format}}{' ' * bool(self.unit)}{self.unit}"

    def signed(self, difference: float) -> str:
        """The number alone, with its sign."""
        return f"{difference * self.scale:+{self.format}}"

    def images(self, difference: float, rows: Mapping[str, int]) -> str:
        """A difference in images: `: 12 of 10,000 test images`; nothing where it doesn't count any."""
        if self.split not in rows:
            return ""
        count, of = abs(difference) * rows[self.split], SPLITS[self.split]
        return f": {round(count, 1):g} of {rows[self.split]:,} {of} images"


SPLITS = {"test": "test", "valid": "validation"}

MEASURES = {
    "test_accuracy": Measure("test accuracy", 1, 0.1, ".2f", 100, "points", "%", "test"),
    "test_loss": Measure("test loss", -1, 0.005, ".4f"),
    "test_wrong": Measure("wrong test images", -1, 10, ".1f", unit="images"),
    "valid_accuracy": Measure("validation accuracy", 1, 0.1, ".2f", 100, "points", "%", "valid"),
    "valid_loss": Measure("validation loss", -1, 0.005, ".4f"),
    "train_loss": Measure("training loss", 0, 0.005, ".4f"),
    "best_epoch": Measure("best epoch", 0, 1, ".1f", unit="epochs"),
}
