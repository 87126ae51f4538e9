"""Derive independent seeds. A sum would not do: seed 0 of pass 1 would equal seed 1 of pass 0."""

import numpy as np


def derived(seed: int, number: int) -> int:
    """Give a seed, 0 to 2^31 - 1, that differs for every seed and number, such as the number of a pass."""
    return int(np.random.SeedSequence(seed, spawn_key=(number,)).generate_state(1)[0] >> 1)
