"""What the convolution ladder came to: a line for each rung, every pass in detail, and the products in `unfold`."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from mlfound.config.benches import ConvBenchConfig
from mlfound.experiments.benches import machine_words, replicates
from mlfound.experiments.convolution.ladder import LIBRARY, LOOPS, PRODUCT, UNFOLD, PassMeasurement
from mlfound.experiments.convolution.layers import PASSES, ConvLayer
from mlfound.results import Check, Column, Picture, Result, Table
from mlfound.stats.timing import Timing
from mlfound.training.gradients import BOUND


@dataclass(frozen=True)
class Rung:
    """One rung in all passes through all layers."""

    impl: str
    passes: Sequence[PassMeasurement]

    def seconds(self, part: str | None = None) -> float | None:
        """Of one image through all layers, in this pass or all: the sum of the medians."""
        medians = [each.image_s for each in self.passes if part in (None, each.part)]
        known = [seconds for seconds in medians if seconds is not None]
        return sum(known) if len(known) == len(medians) else None

    def over(self, other: "Rung | None") -> float | None:
        """How many times as long as another it takes, in all passes together."""
        ours, theirs = self.seconds(), other and other.seconds()
        return ours / theirs if ours and theirs else None

    @property
    def extra_mb(self) -> float | None:
        """Of all images, in the layer and pass that need the most."""
        known = [each.extra_bytes for each in self.passes if each.extra_bytes is not None]
        return max(known) / 1e6 if known else None

    @property
    def note(self) -> str:
        first = self.passes[0]
        if first.timing is None:
            return first.skipped or "wrong: not timed"
        return "estimate" if any(each.estimate for each in self.passes) else ""


def report(
    config: ConvBenchConfig, measured: Sequence[PassMeasurement], products: Sequence[PassMeasurement]
) -> Result:
    """A rung with a wrong pass fails its check."""
    names = dict.fromkeys(each.impl for each in measured)
    rungs = {name: Rung(name, [each for each in measured if each.impl == name]) for name in names}
    layers = list(dict.fromkeys(each.layer for each in measured))
    images = f"{config.rows:,} image{'s' * (config.rows != 1)}"
    which = f"{len(layers)} layer{'s' * (len(layers) != 1)}, {images}, times per image"
    how = f"{config.dtype}, {machine_words(config)}"
    medians = {
        f"{name}_{part}_image_s": seconds
        for name, rung in rungs.items()
        for part in PASSES
        if (seconds := rung.seconds(part)) is not None
    }
    ratios = {
        f"{name}_over_library": ratio
        for name, rung in rungs.items()
        if name != LIBRARY and (ratio := rung.over(rungs.get(LIBRARY)))
    }
    keys = (Column("impl"), Column("shape", of="layer.name"), Column("pass", of="part"))
    return Result(
        {**ratios, **medians},
        checks=[check for rung in rungs.values() for check in checks(rung, config.dtype)],
        findings=[*findings(images, rungs, products)],
        tables=[
            ladder_table(f"Convolution, {which}, {how}", rungs),
            pass_table(f"Every pass, times per image, {images}, {how}", measured),
            *([product_table(images, how, measured, products)] if products else []),
            replicates([*measured, *products], *keys, Column("images"), Column("kernels")),
        ],
        pictures=[
            picture(layer, f"Convolution {layer.name}, {images}, {how}", measured)
            for layer in layers
            if any(each.timing for each in measured)
        ],
    ).ranked("unfold_over_*", "*_over_*")


def checks(rung: Rung, dtype: str) -> Iterator[Check]:
    """The worst of all layers: of each pass in float64, and of all passes as they are timed."""
    tried = [each for each in rung.passes if each.error is not None and each.rounding is not None]
    for part in PASSES:
        errors = [each.error for each in tried if each.part == part and each.error is not None]
        if errors:
            name = f"{rung.impl}: {part} in float64 as by torch.nn.functional.conv2d and autograd"
            yield Check(name, max(errors) <= BOUND, max(errors), BOUND)
    if tried:
        worst = max(each.rounding for each in tried if each.rounding is not None)
        yield Check(f"{rung.impl}: worst error in {dtype} in units of its bound", worst <= 1, worst, 1.0)


def ladder_table(title: str, rungs: Mapping[str, Rung]) -> Table:
    """A row for each rung; the reason stands beside one that was not timed."""
    loops, library = rungs.get(LOOPS), rungs.get(LIBRARY)
    columns = (
        Column("impl", "rung"),
        *(Column(f"{part}_s", part, "duration", partial(Rung.seconds, part=part)) for part in PASSES),
        Column("image_s", "together", "duration", Rung.seconds, rank=4),
        Column("speedup", "× loops", ",.0f", lambda rung: loops and loops.over(rung)),
        Column("over_library", "/ library", ",.2f", lambda rung: rung.over(library)),
        Column("extra_mb", "extra MB", ".1f"),
        Column("note", rank=3),
    )
    return Table.of("convolution", title, columns, rungs.values(), shown="alone")


def pass_table(title: str, measured: Sequence[PassMeasurement]) -> Table:
    """A row for each pass of each rung through each layer."""
    over_loops, over_library = over(LOOPS, measured), over(LIBRARY, measured)

    def speedup(each: PassMeasurement) -> float | None:
        ratio = over_loops(each)
        return 1 / ratio if ratio else None

    def of_image(which: str, each: PassMeasurement) -> float | None:
        seconds = getattr(each.timing, which, None)
        return None if seconds is None else each.of_an_image(seconds)

    def extra_mb(each: PassMeasurement) -> float | None:
        return None if each.extra_bytes is None else each.extra_bytes / 1e6

    columns = (
        Column("impl", "rung"),
        Column("shape", of="layer.name", rank=1),
        Column("pass", of="part", rank=1),
        Column("median_s", "median", "duration", partial(of_image, "median")),
        Column("iqr_s", "IQR", "duration", partial(of_image, "iqr"), rank=3),
        Column("n", format=",", of="timing.n", rank=4),
        Column("speedup", "× loops", ",.0f", speedup),
        Column("over_library", "/ library", ",.2f", over_library),
        Column("gflop_per_s", "GFLOP/s", ".3g", rank=4),
        Column("extra_mb", "extra MB", ".2f", extra_mb, rank=3),
        Column("images", format=",", rank=5),
        Column("kernels", format=",", rank=5),
        Column("error", "float64 error", ".0e", rank=5),
        Column("rounding", "error/bound", ".1e", rank=5),
        Column("note", of=lambda each: ", ".join(["estimate"] * each.estimate + each.noisy), rank=4),
    )
    return Table.of("passes", title, columns, measured)


def over(impl: str, measured: Sequence[PassMeasurement]) -> Callable[[PassMeasurement], float | None]:
    """How many times as long a measurement takes as that of the rung `impl` in the same pass of the same layer."""
    seconds = {(each.layer, each.part): each.image_s for each in measured if each.impl == impl}

    def ratio(each: PassMeasurement) -> float | None:
        theirs = seconds.get((each.layer, each.part))
        return each.image_s / theirs if each.image_s and theirs else None

    return ratio


def product_table(
    images: str, how: str, measured: Sequence[PassMeasurement], products: Sequence[PassMeasurement]
) -> Table:
    """A row for each pass through each layer: the sizes as matmul-bench has them, and what of `unfold` it is."""
    columns = (
        Column("shape", of="layer.name"),
        Column("pass", of="part", rank=1),
        Column("product", "m x k x n", of=lambda each: "x".join(map(str, sizes(each)))),
        Column("median_s", "median", "duration", "timing.median"),
        Column("iqr_s", "IQR", "duration", "timing.iqr", rank=3),
        Column("gflop_per_s", "GFLOP/s", ".3g", rank=3),
        Column("share", "of unfold", ".0%", over(UNFOLD, measured)),
        Column("difference", "off library", ".0e", "error"),
    )
    return Table.of("products", f"The products in unfold, {images}, {how}", columns, products)


def sizes(each: PassMeasurement) -> tuple[int, int, int]:
    """m, k and n of (m, k) times (k, n)."""
    kernels, terms, columns = each.layer.kernels, each.layer.terms, each.images * math.prod(each.layer.output)
    return {
        "forward": (kernels, terms, columns),
        "dw": (kernels, columns, terms),
        "dx": (terms, kernels, columns),
    }[each.part]


def findings(images: str, rungs: Mapping[str, Rung], products: Sequence[PassMeasurement]) -> Iterator[str]:
    """What the ladder teaches here."""
    unfold, library, loops = (rungs.get(name) for name in (UNFOLD, LIBRARY, LOOPS))
    if unfold and library and (together := unfold.over(library)):
        ratio = over(LIBRARY, library.passes)
        least, *_, most = sorted(
            (ratio(each) or 0.0, f"{each.part} of {each.layer.name}") for each in unfold.passes
        )
        yield (
            f"unfold takes {together:.2f} times as long as the library; pass by pass "
            f"{least[0]:.2f} ({least[1]}) to {most[0]:.2f} times ({most[1]})."
        )
    if unfold and products:
        yield from of_products(images, unfold, products)
    if loops and (seconds := loops.seconds()):
        each_s = seconds / sum(each.layer.multiplications for each in loops.passes)
        yield (
            f"loops take {1e6 * each_s:.1f} µs for every multiplication, nearly all to reach single elements of a "
            "tensor. One kernel on one image was timed, and what all take is estimated from it."
        )
    yield (
        f"extra MB is what a rung holds at its peak beside operands and result, with {images}, in the layer and pass "
        "that need the most."
    )


def of_products(images: str, unfold: Rung, products: Sequence[PassMeasurement]) -> Iterator[str]:
    """That a convolution is a matrix product, and what that costs."""
    first, same = products[0], sum(each.error == 0 for each in unfold.passes)
    m, k, n = sizes(first)
    yield (
        f"A convolution is a matrix product: {first.part} of {first.layer.name} with {images} is ({m}, {k}) times "
        f"({k}, {n}), the kernels as rows and every window as a column. In float64 {same} of unfold's "
        f"{len(unfold.passes)} results have the very bits of torch's; as timed they differ by at most "
        f"{max(each.error or 0.0 for each in products):.0e} of the largest number, by rounding."
    )
    parts = ", ".join(f"{part} {share(products, unfold, part):.0%}" for part in PASSES)
    yield (
        f"The product is {share(products, unfold):.0%} of unfold's time ({parts}); "
        "the rest copies pixels into windows, and gradients back."
    )


def share(products: Sequence[PassMeasurement], unfold: Rung, part: str | None = None) -> float:
    """How much of the time of `unfold` its products are, in this pass or all."""
    return (Rung(PRODUCT, products).seconds(part) or 0.0) / (unfold.seconds(part) or math.inf)


def picture(layer: ConvLayer, title: str, measured: Sequence[PassMeasurement]) -> Picture:
    """The ladder of one layer, its passes side by side."""
    timed = [each for each in measured if each.layer == layer and each.timing]
    names = list(dict.fromkeys(each.impl + " (estimate)" * each.estimate for each in timed))

    def by_pass(seconds: Callable[[Timing], float]) -> dict[str, list[float]]:
        """By pass those of each rung."""
        return {
            part: [each.of_an_image(seconds(each.timed)) for each in timed if each.part == part]
            for part in PASSES
        }

    data = {
        "median_s": by_pass(lambda timing: timing.median),
        "low_s": by_pass(lambda timing: timing.quartiles[0]),
        "high_s": by_pass(lambda timing: timing.quartiles[1]),
    }
    return Picture(
        f"ladder-{layer.name}", "pass_dots", {"title": title, "names": names, "of": "one image", **data}
    )
