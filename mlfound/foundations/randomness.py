"""Random numbers: one generator per purpose, so that using more of one does not change the others."""

import hashlib

import torch
from torch import Generator


def generator(seed: int, purpose: str, device: str | torch.device = "cpu") -> Generator:
    """A generator whose stream depends on the seed, on its purpose ("shuffling"), and on the kind of device."""
    digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
    return Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)
