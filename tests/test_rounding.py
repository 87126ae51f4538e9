import numpy as np
import pytest

from facemask_ensemble.rounding import DOUBLE, constant, negligible


def test_what_a_sum_leaves_of_equal_numbers_is_negligible_and_a_small_number_is_not():
    assert negligible(0.1 + 0.2 - 0.3, tolerance=DOUBLE)
    assert negligible(np.float32(0.1) - 0.1)
    assert not negligible(1e-5)
    assert not negligible(1e-11, tolerance=DOUBLE)


def test_beside_large_numbers_larger_ones_are_negligible():
    assert negligible([1e-4, 1e-4, 0], [255, 1, 0]).tolist() == [True, False, True]


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_values_of_any_size_are_constant_where_they_differ_in_the_last_digits_alone(size):
    third = np.float32(size) / np.float32(3)
    values = np.array([[third, np.nextafter(third, np.float32(np.inf))], [third, third * np.float32(1.001)]])
    assert constant(values, axis=1).tolist() == [True, False]
    assert not constant(values)
    assert constant(np.zeros(3))
