"""Seeds that follow from another one: sums collide, for seed 0 of pass 1 is then seed 1 of pass 0."""

import numpy as np


def derived(seed: int, number: int) -> int:
    """Give the seed, 0 to 2^31 - 1, of a stream of its own for every seed and number, such as that of a pass."""
    return int(np.random.SeedSequence(seed, spawn_key=(number,)).generate_state(1)[0] >> 1)
