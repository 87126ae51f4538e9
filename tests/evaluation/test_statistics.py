from math import comb

import numpy as np
import pytest
from scipy.stats import binomtest

from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.statistics import bootstrap_difference, mcnemar, wilson_interval


def test_wilson_interval_of_nine_in_ten_is_the_one_worked_out_by_hand():
    # (0.9 + z²/20 ± z sqrt(0.9 * 0.1 / 10 + z²/400)) / (1 + z²/10), z = 1.959964
    assert wilson_interval(9, 10) == pytest.approx((0.595850, 0.982124), abs=1e-6)


@pytest.mark.parametrize(("right", "total"), [(0, 5), (5, 5), (1, 1), (123, 320), (319, 320)])
def test_wilson_interval_equals_scipys_and_holds_the_share(right, total):
    expected = binomtest(right, total).proportion_ci(method="wilson")
    low, high = wilson_interval(right, total)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= right / total <= high <= 1


def test_wilson_interval_narrows_with_more_pictures():
    narrow, wide = wilson_interval(900, 1000), wilson_interval(90, 100)
    assert narrow[1] - narrow[0] < wide[1] - wide[0]


@pytest.mark.parametrize(("right", "total"), [(1, 0), (3, 2), (-1, 2)])
def test_wilson_interval_refuses_impossible_counts(right, total):
    with pytest.raises(InputError, match=f"received {right} of {total}"):
        wilson_interval(right, total)


def test_mcnemar_is_twice_the_binomial_tail():
    # 2 of 10 or fewer, both sides.
    assert mcnemar(2, 8) == pytest.approx(2 * sum(comb(10, k) for k in range(3)) / 2**10)
    assert mcnemar(8, 2) == mcnemar(2, 8)


def test_mcnemar_sees_no_difference_where_there_is_none():
    assert mcnemar(0, 0) == 1
    assert mcnemar(7, 7) == 1


def test_mcnemar_refuses_negative_counts():
    with pytest.raises(InputError, match="received -1 and 2"):
        mcnemar(-1, 2)


def test_bootstrap_equals_drawing_the_pictures_one_by_one():
    generator = np.random.default_rng(1)
    first, second = generator.random(300) < 0.9, generator.random(300) < 0.8
    drawn = generator.integers(0, 300, (10_000, 300))
    differences = (first.astype(int) - second)[drawn].mean(axis=1)
    assert bootstrap_difference(first, second) == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=0.004)


def test_bootstrap_gives_the_same_interval_for_the_same_seed():
    generator = np.random.default_rng(2)
    first, second = generator.random(100) < 0.9, generator.random(100) < 0.8
    assert bootstrap_difference(first, second, seed=4) == bootstrap_difference(first, second, seed=4)


def test_bootstrap_of_equal_answers_is_a_point():
    right = np.array([True, False, True])
    assert bootstrap_difference(right, right) == (0, 0)


@pytest.mark.parametrize(("first", "second"), [([True], [True, False]), ([], [])])
def test_bootstrap_refuses_lists_over_other_pictures(first, second):
    with pytest.raises(InputError, match="two lists over the same pictures"):
        bootstrap_difference(np.array(first, bool), np.array(second, bool))
