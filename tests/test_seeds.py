import numpy as np
import pytest

from facemask_ensemble.seeds import derived


def test_every_seed_and_number_has_a_seed_of_its_own():
    found = {derived(seed, number) for seed in range(30) for number in range(30)}
    assert len(found) == 900


@pytest.mark.parametrize(("seed", "number"), [(0, 0), (7, 3), (2**32 - 1, 10**6)])
def test_a_derived_seed_is_one_that_numpy_and_tensorflow_take_and_stays_the_same(seed, number):
    assert 0 <= derived(seed, number) < 2**31
    assert derived(seed, number) == derived(seed, number)
    np.random.RandomState(derived(seed, number) + 1000)
