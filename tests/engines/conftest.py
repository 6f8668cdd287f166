"""The same training for every engine: networks, data and rates that each of them gets."""

from dataclasses import dataclass

import pytest
import torch

from mlfound.engines.graph import Graph
from mlfound.foundations.checks import relative_error
from mlfound.foundations.initialization import INITIALIZATIONS, mlp_parameters
from mlfound.foundations.randomness import generator


class Uncaptured(Graph):
    """The graph engine where there is no GPU: what a replay would do is done step by step."""

    def captured(self):
        engine = self

        class Replayed:
            def replay(self):
                engine.losses = engine.steps(engine.rows.shape[-1])

        return Replayed()


@dataclass(frozen=True)
class Task:
    """Fifty steps with rates that move, the last on half a batch."""

    recipe: object
    networks: int = 1
    dtype: torch.dtype = torch.float64
    device: str = "cpu"
    rows: int = 400
    steps: int = 50
    peak: float = 0.02
    first: int = 0  # number of the first network

    def train(self, engine, looks=1, **options):
        """What `engine` ends with: the engine itself, and its losses; the steps are taken in so many calls."""
        sizes, outputs = self.recipe.sizes, self.recipe.sizes[-1]
        x = torch.randn(self.rows, sizes[0], generator=generator(0, "x"), dtype=torch.float64)
        y = torch.randint(max(outputs, 3), (self.rows,), generator=generator(0, "y"))
        made = engine(
            self.recipe,
            [self.start(n) for n in self.numbers],
            [generator(n, "dropout", self.device) for n in self.numbers],
            x.to(self.device, self.dtype),
            y.to(self.device),
            **options,
        )
        size = self.recipe.batch_size
        count = (self.steps - 1) * size + max(1, size // 2)
        order = torch.stack(
            [torch.randint(self.rows, (count,), generator=generator(n, "order")) for n in self.numbers]
        ).to(self.device)
        rates = [(self.peak * (0.5 + n % 7 / 7), 0.5 + 0.4 * (n % 5) / 5) for n in range(self.steps)]
        a_look, losses = -(-self.steps // looks), []
        for first in range(0, self.steps, a_look):
            own = rates[first : first + a_look]
            losses.append(made.run(order[:, first * size : (first + len(own)) * size], own))
        made.close()
        return made, torch.cat(losses, dim=1)

    @property
    def numbers(self):
        return range(self.first, self.first + self.networks)

    def start(self, number):
        draws = generator(number, "initialization")
        parameters = mlp_parameters(self.recipe.sizes, INITIALIZATIONS["kaiming"], draws)
        for name, p in parameters.items():
            if name.startswith("b"):
                p += 0.1 * torch.randn(p.shape, generator=draws)
        return {name: p.to(self.device, self.dtype) for name, p in parameters.items()}


@pytest.fixture
def far_apart():
    """The largest relative error of any weight, velocity or loss of two trainings, or of any weight only.

    In float32 a velocity or a bias of one number may be next to 0 by chance, where rounding is all there is of it.
    """

    def measured(one, other, only_weights=False):
        (engine, losses), (wanted, wanted_losses) = one, other
        pairs = [] if only_weights else [(losses, wanted_losses)]
        for kind in ("networks",) if only_weights else ("networks", "velocities"):
            for got, want in zip(getattr(engine, kind), getattr(wanted, kind), strict=True):
                assert got.keys() == want.keys()
                pairs += [(got[name], want[name]) for name in want]
        return max(relative_error(got, want) for got, want in pairs)

    return measured
