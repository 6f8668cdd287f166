"""Does random.c know the state of torch's generators? It is no part of what torch promises."""

from functools import cache

import torch
from torch import Generator

from mlfound.native.arguments import POINTER, SIZE, function

STATE_BYTES = 24 + 8 * 624  # of struct generator
DRAWS = 1000  # more than a generator makes at once


@cache
def unavailable() -> str | None:
    """Why random numbers cannot be drawn as torch draws them, or None: they can."""
    ours, theirs = (Generator().manual_seed(0) for _ in range(2))
    state, words = ours.get_state(), torch.empty(DRAWS, dtype=torch.int32)
    if len(state) >= STATE_BYTES:
        function("draw", POINTER, POINTER, SIZE)(state.data_ptr(), words.data_ptr(), DRAWS)
        wanted = torch.rand(DRAWS, generator=theirs)
        if torch.equal((words & 0xFFFFFF) * 2.0**-24, wanted) and torch.equal(state, theirs.get_state()):
            return None
    return f"torch {torch.__version__} draws random numbers in another way than the compiled code"
