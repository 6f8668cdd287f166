"""What init-stats does."""

from typing import Protocol


class OnProgress(Protocol):
    """How far a part has come: at this scheme, number `n` of `schemes` from 0, and `share` of that one."""

    def __call__(self, scheme: str, n: int, schemes: int, share: float = 0.0) -> None: ...
