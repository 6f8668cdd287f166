"""Random numbers: one generator a purpose, so that using more of one leaves the others alone."""

import hashlib

from torch import Generator


def generator(seed: int, purpose: str) -> Generator:
    """A CPU generator whose stream depends on the seed and on what it is for ("shuffling")."""
    digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
