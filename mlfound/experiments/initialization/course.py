"""A model's signals beside the figures of the course, whose CNN it is; and what its LSUV promises."""

from collections.abc import Iterator, Sequence

from mlfound.config.networks import CNNConfig
from mlfound.experiments.initialization import claims
from mlfound.experiments.initialization.claims import Claim
from mlfound.experiments.initialization.signals import Scheme
from mlfound.stats.estimates import Estimate
from mlfound.training.inputs import Inputs
from mlfound.training.plan import Plan

# The course's. A sum of n products in float32 that makes up a std of 1 is off by some sqrt(n) 2^-24, and by 8e-4 if
# the errors of all 784 pixels had one sign
FITTED_BOUND = 1e-3
# Its notebook 06, one draw
FIRST_RELU = {"torch-default": {"mean": 0.19, "std": 0.38}, "kaiming": {"mean": 0.47, "std": 0.93}}
# Its notebook 07a, after each ReLU of a net with a fifth convolution
STDS = "0.69 0.65 0.54 0.43 0.25"


def course_claims(step: Plan, inputs: Inputs, drawn: Sequence[Scheme]) -> Iterator[Claim]:
    """Beside the course's figures, where this is its CNN on its digits."""
    ours, course = (each.model_dump(exclude={"init", "outputs"}) for each in (step.config.model, CNNConfig()))
    if ours != course or not inputs.facts["name"].startswith("mnist"):
        return
    for scheme in drawn:
        relus = [layer for layer in scheme.layers if layer.kind == "ReLU"]
        for figure, lesson in FIRST_RELU.get(scheme.init, {}).items():
            reach, estimate = relus[0].spread(figure), Estimate.mean(relus[0].figures[figure])
            text = f"{scheme.init}: the first ReLU's {figure} is the course's"
            is_reached = reach.low <= lesson <= reach.high
            yield Claim(text, f"{figure}; its range", estimate, None, is_reached, f"{lesson:.2f}")
        if scheme.init == "kaiming":
            change = Estimate.mean(relus[-1].figures["std"] / relus[0].figures["std"])
            text, falls = "kaiming: the std falls from ReLU to ReLU", change.value < 1 / claims.KEPT_FACTOR
            yield Claim(text, "std, last over first", change, None, falls, STDS)
        if scheme.init == "lsuv":
            _, far = farthest(scheme)
            text, holds = "lsuv: each layer has std 1", far <= FITTED_BOUND
            yield Claim(text, "std, farthest from 1", far, None, holds, "within 1e-3")


def farthest(scheme: Scheme) -> list[float]:
    """Of all draws, the mean from 0 and the std from 1; nothing of a scheme that is fitted to no images."""
    return [max(errors) for errors in zip(*scheme.fitted_errors, strict=True)]
