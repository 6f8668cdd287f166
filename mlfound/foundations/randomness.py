"""Random numbers: one generator a purpose, so that using more of one leaves the others alone."""

import hashlib

import torch
from torch import Generator


def generator(seed: int, purpose: str, device: str | torch.device = "cpu") -> Generator:
    """A generator whose stream depends on the seed, on what it is for ("shuffling"), and on the kind of device."""
    digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
    return Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)
