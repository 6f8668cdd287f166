"""The pictures of init-stats: the draws beside theory, before and after the activation, and layer by layer."""

import torch

from mlfound.experiments.initialization.depth import LARGEST
from mlfound.experiments.initialization.found import Found
from mlfound.experiments.initialization.layer import leak
from mlfound.experiments.initialization.tables import SHOWN_DRAWS
from mlfound.foundations.theory import scatter_of_means
from mlfound.results import Picture

BINS, SCATTER_ROWS = 90, 1000
PANELS = 8


def pictures(found: Found) -> list[Picture]:
    """Those of the parts that were looked at."""
    drawn = [draws(found), before_and_after(found)] if found.layers else []
    if found.stacks:
        drawn += [signal(found), heat(found)]
    return [*drawn, *convolutions(found)]


def draws(found: Found) -> Picture:
    """Means and stds of single draws, and where theory has them."""
    layers = [layer for layer in found.layers[found.drawn] if layer.label != "linear"]
    layers = layers or list(found.layers[found.drawn])
    x = found.x[:SCATTER_ROWS]
    scatters = [
        scatter_of_means(x, each.w_theory**2, found.config.hidden, leak(each.activation) or 0.0)
        if each.w_theory
        else None
        for each in layers
    ]
    return Picture(
        "draws",
        "single_draws",
        {
            "title": f"Single draws of {found.drawn}, {x.shape[1]} to {found.config.hidden}, on {found.name}",
            "names": [each.label for each in layers],
            "mean": [each.means[:SHOWN_DRAWS].tolist() for each in layers],
            "std": [each.stds[:SHOWN_DRAWS].tolist() for each in layers],
            "mean_theory": [each.theory and each.theory[0] for each in layers],
            "std_theory": [each.theory and each.theory[1] for each in layers],
            "mean_scatter": scatters,
        },
    )


def before_and_after(found: Found) -> Picture:
    """How often each value occurs before the activation, and after each."""
    layers = [layer for layer in found.layers[found.drawn] if layer.label != "linear"]
    outputs = {"x w, before": found.sample, **{each.label: each.activation(found.sample) for each in layers}}
    reach = 3.5 * found.sample.std().item() or 1.0
    return Picture(
        "activations",
        "activation_histograms",
        {
            "title": f"What comes out of one layer drawn by {found.drawn}, before and after its activation",
            "names": list(outputs),
            "edges": torch.linspace(-reach, reach, BINS + 1).tolist(),
            "counts": [torch.histc(y, BINS, -reach, reach).tolist() for y in outputs.values()],
            "mean": [y.mean().item() for y in outputs.values()],
            "std": [y.std().item() for y in outputs.values()],
        },
    )


def signal(found: Found) -> Picture:
    """The std after every layer, and of the gradient, a line a scheme."""
    each = found.stacks[0].each
    return Picture(
        "signal",
        "signal_by_layer",
        {
            "title": f"The signal through {len(found.stacks[0].std) * each:,} layers of {found.config.width} units",
            "layer": [n * each for n in range(1, len(found.stacks[0].std) + 1)],
            "forward": {stack.init: stack.std for stack in found.stacks},
            "backward": {stack.init: stack.gradient for stack in found.stacks if stack.gradient},
        },
    )


def heat(found: Found) -> Picture:
    """A panel a scheme: where the sizes of the activations lie, layer by layer."""
    stacks = found.stacks[:PANELS]
    return Picture(
        "heat",
        "size_histograms",
        {
            "title": "How large the activations are, layer by layer",
            "names": [stack.init for stack in stacks],
            "counts": [stack.counts.T.tolist() for stack in stacks],
            "largest": LARGEST,
            "layers": len(stacks[0].std) * stacks[0].each,
        },
    )


def convolutions(found: Found) -> list[Picture]:
    """The std after each of the four convolutions, the median of the draws."""
    if not found.convolutions:
        return []
    data = {
        "title": "The signal through the notebook's four convolutions",
        "layer": [1, 2, 3, 4],
        "forward": {name: each.four.median(0).values.tolist() for name, each in found.convolutions.items()},
        "backward": {},
    }
    return [Picture("convolutions", "signal_by_layer", data)]
