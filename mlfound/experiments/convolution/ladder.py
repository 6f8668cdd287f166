"""The convolution ladder: each rung's three passes held against autograd, then all timed side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from mlfound.config.benches import ConvBenchConfig
from mlfound.experiments.benches import Measurement
from mlfound.experiments.convolution.layers import PASSES, Case, ConvLayer
from mlfound.experiments.memory import peak_bytes
from mlfound.foundations.checks import relative_error, rounding_error
from mlfound.foundations.convolution import CONVOLUTIONS
from mlfound.results import Context
from mlfound.stats.timing import Candidate, measure, timer_of
from mlfound.training.gradients import BOUND

LOOPS, UNFOLD, LIBRARY = "loops", "unfold", "library"
PIECE = 1, 1  # images and kernels for the loops, which take some 10 µs for every multiplication
MAX_LOOPS_SECONDS = 10.0  # for this piece of all layers, once; where it would take longer they are left out
PRODUCT = "product"  # no rung: the matrix product within the rung `unfold`, timed beside it
REPEATS = 3  # of a call whose memory is measured


@dataclass(frozen=True, kw_only=True)
class PassMeasurement(Measurement):
    """One pass of one rung through one layer: why it was left out, or its errors, its timing and its memory."""

    layer: ConvLayer
    part: str  # of PASSES
    images: int
    kernels: int  # fewer than the layer has: a piece of the work, from which the whole is estimated
    skipped: str = ""
    error: float | None = None  # in float64, from autograd; of a PRODUCT how far `unfold` is from the library
    rounding: float | None = None  # as it is timed, in units of the bound
    extra_bytes: int | None = None  # at its peak, beside operands and result

    @property
    def right(self) -> bool:
        return self.error is not None and self.error <= BOUND and (self.rounding or 0.0) <= 1

    def of_an_image(self, seconds: float) -> float:
        """What one image takes with all kernels, from the seconds of a call."""
        return seconds / self.images * self.layer.kernels / self.kernels

    @property
    def image_s(self) -> float | None:
        return self.of_an_image(self.timing.median) if self.timing else None

    @property
    def gflop_per_s(self) -> float | None:
        return 2 * self.layer.multiplications / self.image_s / 1e9 if self.image_s else None

    @property
    def estimate(self) -> bool:
        return self.kernels < self.layer.kernels


def measure_ladder(
    config: ConvBenchConfig, cases: Sequence[Case], context: Context
) -> tuple[list[PassMeasurement], list[PassMeasurement]]:
    """Every pass of every rung through every layer, and of the products within `unfold`.

    Those of rungs that can run and are right are timed together, in interleaved rounds; then their memory is
    measured, one by one.
    """
    names, checked = [name for name in CONVOLUTIONS if name in config.impl], list[PassMeasurement]()
    for done, name in enumerate(names):
        context.recorder.progress("checking", done, len(names))
        checked += check_rung(name, cases)
    right = {*names} - {each.impl for each in checked if not each.right}
    of_layer = {case.layer: case for case in cases}
    calls: dict[PassMeasurement, Candidate] = {
        each: piece(each.impl, of_layer[each.layer]).calls(CONVOLUTIONS[each.impl])[each.part]
        for each in checked
        if each.impl in right
    }
    products = unfold_products(cases) if UNFOLD in right else {}
    timings = measure(
        {**calls, **products},
        config.budget / (len(PASSES) * len(cases)),
        timer=timer_of(cases[0].x.device),
        on_progress=partial(context.recorder.progress, "timing"),
    )
    timed = {each: replace(each, timing=timing) for each, timing in timings.items()}
    for each in calls:
        timed[each] = replace(timed[each], extra_bytes=extra_bytes(each, of_layer[each.layer]))
    return [timed.get(each, each) for each in checked], [timed[each] for each in products]


def unfold_products(cases: Sequence[Case]) -> dict[PassMeasurement, Candidate]:
    """The matrix product in each pass of `unfold`, and how far what comes of it is from the library's."""
    products = dict[PassMeasurement, Candidate]()
    for case in cases:
        ours, library = (case.calls(CONVOLUTIONS[name]) for name in (UNFOLD, LIBRARY))
        for part, factors in case.products().items():
            error = relative_error(ours[part](), library[part]())
            products[replace(measurement(PRODUCT, case, part), error=error)] = partial(torch.matmul, *factors)
    return products


def piece(name: str, case: Case) -> Case:
    """What of a case a rung is tried on: all of it, or one kernel on one image."""
    return case.first(*PIECE) if name == LOOPS else case


def measurement(name: str, case: Case, part: str, skipped: str = "") -> PassMeasurement:
    """Of what is yet to be measured."""
    images, kernels = len(case.x), len(case.w)
    return PassMeasurement(name, layer=case.layer, part=part, images=images, kernels=kernels, skipped=skipped)


def check_rung(name: str, cases: Sequence[Case]) -> list[PassMeasurement]:
    """A rung beside autograd in all layers, or why it was left out."""
    cases = [piece(name, case) for case in cases]
    if name == LOOPS and (skipped := too_slow(cases)):
        return [measurement(name, case, part, skipped) for case in cases for part in PASSES]
    return [each for case in cases for each in check(name, case)]


def check(name: str, case: Case) -> Iterator[PassMeasurement]:
    """The three passes in float64, and as they are timed as far as rounding allows.

    That is by the largest bound of all elements: a library may transform whole tiles, whose roundings spread.
    """
    double, rung = case.double(), CONVOLUTIONS[name]
    want = double.reference()
    terms, scale = (
        {part: found.max() for part, found in double.each(function).reference().items()}
        for function in (torch.ones_like, torch.abs)
    )
    exact = double.calls(rung)
    for part, call in case.calls(rung).items():
        error = relative_error(exact[part](), want[part])
        rounding = rounding_error(call(), want[part], terms[part], scale[part])
        yield replace(measurement(name, case, part), error=error, rounding=rounding)


def too_slow(cases: Sequence[Case]) -> str:
    """Why the loops are left out, or nothing: a multiplication takes them as long in a small layer as in a large."""
    images, kernels = cases[0].x.new_zeros(1, 1, 8, 8), cases[0].x.new_zeros(1, 1, 3, 3)
    small, timer = partial(CONVOLUTIONS[LOOPS].forward, images, kernels), timer_of(images.device)
    each_s = min(timer(small, 1) for _ in range(REPEATS)) / (6 * 6 * 3 * 3)
    shares = (len(PASSES) * case.layer.multiplications * len(case.w) / case.layer.kernels for case in cases)
    seconds = each_s * sum(shares)
    return f"would take {seconds:,.0f} s for one image and kernel" if seconds > MAX_LOOPS_SECONDS else ""


def extra_bytes(each: PassMeasurement, case: Case) -> int | None:
    """The least of a few measurements, of all images; where the system tells.

    The loops are measured without a kernel: what they hold but for single numbers is there before the first.
    """
    case = case.first(len(case.x), 0) if each.impl == LOOPS else case
    call = case.calls(CONVOLUTIONS[each.impl])[each.part]
    result = call().nbytes
    peaks = [peak_bytes(call, case.x.device) for _ in range(REPEATS)]
    return min((max(0, peak - result) for peak in peaks if peak is not None), default=None)
