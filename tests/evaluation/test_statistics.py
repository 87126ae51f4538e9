from math import comb

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, norm
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.statistics import (
    bootstrap_difference,
    holm,
    mcnemar,
    non_inferior,
    wilson_interval,
)


def test_wilson_interval_of_nine_in_ten_is_the_one_worked_out_by_hand():
    # (0.9 + z²/20 ± z sqrt(0.9 * 0.1 / 10 + z²/400)) / (1 + z²/10), z = 1.959964
    assert wilson_interval(9, 10) == pytest.approx((0.595850, 0.982124), abs=1e-6)


@pytest.mark.parametrize(("right", "total"), [(0, 5), (5, 5), (1, 1), (123, 320), (319, 320)])
def test_wilson_interval_equals_scipys_and_holds_the_share(right, total):
    expected = binomtest(right, total).proportion_ci(method="wilson")
    low, high = wilson_interval(right, total)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= right / total <= high <= 1


def test_wilson_interval_narrows_with_more_images():
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


def test_bootstrap_equals_drawing_the_images_one_by_one():
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
def test_bootstrap_refuses_lists_over_other_images(first, second):
    with pytest.raises(InputError, match="two lists over the same images"):
        bootstrap_difference(np.array(first, bool), np.array(second, bool))


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_nineteen_in_twenty_wilson_intervals_hold_the_truth(share):
    drawn = np.random.default_rng(3).binomial(150, share, 1000)
    held = sum(low <= share <= high for low, high in (wilson_interval(int(right), 150) for right in drawn))
    assert 930 <= held <= 975


def test_holm_is_the_one_worked_out_by_hand():
    # Sorted: 4 * 0.005, 3 * 0.01, 2 * 0.03, then 1 * 0.04, which may not fall below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1, 1]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


@pytest.mark.parametrize("seed", range(5))
def test_holm_equals_statsmodels(seed, monkeypatch):
    monkeypatch.setattr("gc.collect", lambda: 0)  # statsmodels does that at its end: seconds, after tests of networks
    values = np.random.default_rng(seed).random(12).round(1) ** 3
    assert holm(values.tolist()) == pytest.approx(multipletests(values, method="holm")[1])


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_holm_refuses_what_is_no_p_value(wrong):
    with pytest.raises(InputError, match=f"from 0 to 1, received {wrong}"):
        holm([0.5, wrong])


def paired(only_new: int, only_old: int, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Build right-or-wrong lists with these images right by one alone, and the others by both."""
    both = [True] * (images - only_new - only_old)
    new = [True] * only_new + [False] * only_old + both
    old = [False] * only_new + [True] * only_old + both
    return np.array(new), np.array(old)


def lower(only_new: int, only_old: int, images: int, level: float) -> float:
    return non_inferior(*paired(only_new, only_old, images), margin=0.05, level=level)["lower"]


@pytest.mark.parametrize(
    ("only_new", "only_old", "images", "level", "interval", "digits"),
    [
        # M. W. Fagerland, S. Lydersen and P. Laake, Statistics in Medicine 33 (2014): airway hyper-responsiveness.
        (1, 7, 21, 0.95, (-0.517, -0.026), 3),
        # R package contingencytables: complete response before and after consolidation therapy.
        (6, 16, 161, 0.95, (-0.1240, -0.0054), 4),
        # R package PropCIs: scoreci.mp(25, 28, 618, 0.9).
        (28, 25, 618, 0.90, (-0.0148, 0.0247), 4),
    ],
)
def test_the_paired_bound_is_the_published_one(only_new, only_old, images, level, interval, digits):
    one_sided = 0.5 + level / 2
    assert lower(only_new, only_old, images, one_sided) == pytest.approx(interval[0], abs=0.51 * 10**-digits)
    assert -lower(only_old, only_new, images, one_sided) == pytest.approx(interval[1], abs=0.51 * 10**-digits)


@pytest.mark.parametrize(("only_new", "only_old", "images"), [(3, 9, 80), (9, 3, 80), (0, 4, 30), (4, 0, 30)])
def test_the_score_at_the_paired_bound_is_the_levels_quantile(only_new, only_old, images):
    # The likelihood of the three shares where the difference is the bound, maximised numerically.
    bound = lower(only_new, only_old, images, 0.95)

    def loss(old: float) -> float:
        shares = np.array([old + bound, old, 1 - 2 * old - bound])
        return -float(np.array([only_new, only_old, images - only_new - only_old]) @ np.log(shares))

    edges = (max(0, -bound) + 1e-12, (1 - bound) / 2 - 1e-12)
    old = minimize_scalar(loss, bounds=edges, method="bounded", options={"xatol": 1e-12}).x
    deviation = np.sqrt((2 * old + bound - bound**2) / images)
    assert ((only_new - only_old) / images - bound) / deviation == pytest.approx(norm.ppf(0.95), abs=1e-4)


def test_the_paired_bound_is_zero_where_mcnemar_is_at_its_level():
    statistic = statsmodels_mcnemar([[70, 15], [5, 10]], exact=False, correction=False).statistic
    assert lower(15, 5, 100, norm.cdf(np.sqrt(statistic))) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("images", [1, 20, 1000])
def test_the_paired_bound_of_equal_answers_narrows_with_the_images(images):
    z = 1.6448536
    assert lower(0, 0, images, 0.95) == pytest.approx(-(z**2) / (images + z**2))


def test_the_paired_bound_stays_in_its_range_at_the_edges():
    assert lower(0, 10, 10, 0.95) == -1
    assert 0 < lower(10, 0, 10, 0.95) < 1


def test_a_classifier_is_not_worse_where_the_bound_is_above_the_margin():
    # The bound of equal answers on 100 images is -0.0263.
    right = np.ones(100, bool)
    found = non_inferior(right, right, margin=0.03)
    assert found == {
        "difference": 0,
        "lower": pytest.approx(-0.02634, abs=1e-5),
        "not_worse": True,
        "images": 100,
        "only_new_right": 0,
        "only_old_right": 0,
    }
    assert not non_inferior(right, right, margin=0.02)["not_worse"]


def test_a_classifier_that_is_worse_is_not_called_otherwise():
    found = non_inferior(*paired(2, 12, 200), margin=0.02)
    assert (found["only_new_right"], found["only_old_right"], found["not_worse"]) == (2, 12, False)
    assert found["difference"] == pytest.approx(-0.05)
    assert found["lower"] < -0.05


@pytest.mark.parametrize(("new", "old", "images"), [(0.06, 0.06, 200), (0.05, 0.1, 200), (0.02, 0.04, 100)])
def test_nineteen_in_twenty_paired_bounds_lie_below_the_truth(new, old, images):
    # Where the truth is the margin itself, the others are the classifiers wrongly called not worse.
    drawn = np.random.default_rng(4).multinomial(images, [new, old, 1 - new - old], 1000)
    held = sum(lower(int(a), int(b), images, 0.95) <= new - old for a, b, _ in drawn)
    assert 930 <= held <= 975


@pytest.mark.parametrize(
    ("new", "old", "change", "message"),
    [
        ([True], [True, False], {}, "two lists over the same images"),
        ([], [], {}, "two lists over the same images"),
        ([True], [True], {"margin": -0.1}, "A margin is a share from 0 to below 1, received -0.1"),
        ([True], [True], {"margin": 2}, "A margin is a share from 0 to below 1, received 2"),
        ([True], [True], {"level": 95}, "A level is a share from 0.5 to below 1, received 95"),
    ],
)
def test_non_inferiority_refuses_what_it_cannot_judge(new, old, change, message):
    with pytest.raises(InputError, match=message):
        non_inferior(np.array(new, bool), np.array(old, bool), **{"margin": 0.02} | change)
