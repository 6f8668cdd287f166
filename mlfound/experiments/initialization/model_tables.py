"""What the part `model` shows of its signals: tables and a picture."""

from collections.abc import Sequence

from mlfound.config.explaining import listed
from mlfound.experiments.initialization.signals import FIGURES, Scheme
from mlfound.experiments.initialization.stacks import finite, lasting_verdict
from mlfound.results import Column, Picture, Table
from mlfound.training.plan import Plan

SHOWN_LAYERS = 5  # on the screen
MAX_NETWORK = 40  # characters


def named(step: Plan) -> str:
    """`cnn 8-16-32-32-10`; of many layers their number."""
    layers = sum(name.endswith("w") for name in step.recipe.model.parameters)
    return (
        step.network if len(step.network) <= MAX_NETWORK else f"{step.config.model.name} of {layers} layers"
    )


def forward_verdict(drawn: Sequence[Scheme]) -> str:
    """`the signal lasts with kaiming and lsuv, shrinks to 1/120 with torch-default`."""
    by = dict[str, list[str]]()
    for scheme in drawn:
        by.setdefault(lasting_verdict(None, scheme.factor), []).append(scheme.init)
    return "the signal " + ", ".join(f"{what} with {listed(inits)}" for what, inits in by.items())


def shown_table(step: Plan, drawn: Sequence[Scheme]) -> Table:
    """A row for each layer with weights, or for some from the first to the last; the schemes side by side."""
    rows = [*zip(*(scheme.with_weights for scheme in drawn), strict=True)]  # of signals, one for each scheme
    ends = range(SHOWN_LAYERS)
    shown = sorted({round(n * (len(rows) - 1) / ends[-1]) for n in ends})
    which = "layers" if len(shown) == len(rows) else f"{len(shown)} of {len(rows)} layers"
    columns = [
        Column("layer", of=lambda row: row[0].layer),
        Column("output", of=lambda row: row[0].output, rank=9),
        *(median_column("std", "", n, scheme.init) for n, scheme in enumerate(drawn)),
        *(median_column("gradient", "∂ ", n, scheme.init) for n, scheme in enumerate(drawn)),
    ]
    title = (
        f"{named(step)}: {forward_verdict(drawn)} (std after {which} with weights; ∂ gradient there, last 1)"
    )
    return Table.of("model", title, columns, [rows[n] for n in shown], shown="always")


def median_column(figure: str, mark: str, n: int, init: str) -> Column:
    """The median of the n-th signal in a row."""
    return Column(
        f"{init}_{figure}",
        f"{mark}{init}",
        ".2g" if mark else ".3g",
        lambda row: finite(row[n].spread(figure).median),
        rank=3 + n if mark else 2,
    )


def layer_table(drawn: Sequence[Scheme], images: str) -> Table:
    """All layers, each figure with its range."""
    columns = [Column("init"), Column("layer", rank=1), Column("output", rank=5)]
    for figure, label, form in (
        ("mean", "mean", "z.3f"),
        ("std", "std", ".3g"),
        ("near_zero", "near 0", ".0%"),
        ("gradient", "gradient", ".2g"),
    ):
        columns += [
            spread_column(figure, "median", figure, label, form, rank=2),
            spread_column(figure, "low", f"{figure}_low", f"{label} from", form, rank=6),
            spread_column(figure, "high", f"{figure}_high", f"{label} to", form, rank=6),
        ]
    title = (
        f"What each layer gives for {images}, and the gradient's size there, the last layer's 1: medians of "
        f"{drawn[0].draws:,} draws; near 0 is within 1% of the root mean square"
    )
    return Table.of("layers", title, columns, [layer for scheme in drawn for layer in scheme.layers])


def spread_column(figure: str, end: str, name: str, label: str, form: str, rank: int) -> Column:
    return Column(name, label, form, lambda signal: finite(getattr(signal.spread(figure), end)), rank=rank)


def draw_table(drawn: Sequence[Scheme]) -> Table:
    columns = [Column(name) for name in ("init", "layer", "draw", *FIGURES)]
    rows = [
        (layer.init, layer.layer, n, *map(finite, figures))
        for scheme in drawn
        for layer in scheme.layers
        for n, figures in enumerate(
            zip(*(values.tolist() for values in layer.figures.values()), strict=True), 1
        )
    ]
    return Table("draws", "Every draw", columns, rows, shown="never")


def picture(step: Plan, drawn: Sequence[Scheme]) -> Picture:
    """Signal and gradient after each layer with weights, one line per scheme."""

    def medians(scheme: Scheme, figure: str) -> list[float]:
        return [signal.spread(figure).median for signal in scheme.with_weights]

    data = {
        "title": f"Signal and gradient of {named(step)} at its first weights",
        "layer": [signal.number for signal in drawn[0].with_weights],
        "forward": {scheme.init: medians(scheme, "std") for scheme in drawn},
        "backward": {scheme.init: medians(scheme, "gradient") for scheme in drawn},
        "gradient": "size of the gradient, the last layer's 1",
    }
    return Picture("signal", "signal_by_layer", data)
