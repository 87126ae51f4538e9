"""The random choices of one image, the same on every machine."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Rng:
    """Draw choices from one PCG64 child seed, using nothing but its uniform doubles."""

    def __init__(self, seed: int, index: int) -> None:
        """Start the stream of image `index`: it depends on no other image."""
        child = np.random.SeedSequence(seed, spawn_key=(index,))
        self.generator = np.random.Generator(np.random.PCG64(child))
        self.uniform = self.generator.random

    def between(self, low: float, high: float) -> float:
        """Draw a number from the range."""
        return low + (high - low) * self.uniform()

    def whole(self, low: int, high: int) -> int:
        """Draw an integer, both ends included."""
        return low + int(self.uniform() * (high - low + 1))

    def pick(self, options: Sequence[T]) -> T:
        """Draw one of the options."""
        return options[int(self.uniform() * len(options))]

    def chance(self, probability: float) -> bool:
        """Say yes with this probability."""
        return self.uniform() < probability

    def order(self, count: int) -> list[int]:
        """Draw a random order of 0 … count - 1."""
        keys = [self.uniform() for _ in range(count)]
        return sorted(range(count), key=keys.__getitem__)
