import numpy as np
import pytest

from facemask_ensemble.errors import InputError
from facemask_ensemble.explanation.consensus import overlap, share


def at(*cells, size=(2, 2)):
    """Build a map with the given (row, column, value)."""
    made = np.zeros(size, np.float32)
    for row, column, value in cells:
        made[row, column] = value
    return made


LEFT, RIGHT, BOTH = at((0, 0, 1)), at((0, 1, 1)), at((0, 0, 1), (0, 1, 1))
EMPTY = at()


def test_winners_and_losers_are_averaged_apart_each_with_its_peak_at_one():
    maps = np.stack([LEFT, BOTH, RIGHT])[:, None]
    shared = share(maps, np.array([[1], [1], [2]]), np.array([1]))
    np.testing.assert_allclose(shared.consensus[0], [[1, 0.5], [0, 0]])
    np.testing.assert_allclose(shared.losers[0], RIGHT)


def test_disagreement_is_twice_the_standard_deviation_of_all_maps():
    maps = np.stack([LEFT, RIGHT])[:, None]
    shared = share(maps, np.array([[0], [0]]), np.array([0]))
    np.testing.assert_allclose(shared.disagreement[0], [[1, 1], [0, 0]])
    same = share(np.stack([BOTH, BOTH])[:, None], np.array([[0], [1]]), np.array([0]))
    assert not same.disagreement.any()


def test_a_member_without_a_map_does_not_count():
    maps = np.stack([LEFT, EMPTY, RIGHT])[:, None]
    with_empty = share(maps, np.array([[0], [0], [1]]), np.array([0]))
    without = share(maps[[0, 2]], np.array([[0], [1]]), np.array([0]))
    for one, other in zip(with_empty, without, strict=True):
        np.testing.assert_allclose(one, other)


def test_where_nobody_lost_or_nobody_has_a_map_the_map_is_zero():
    shared = share(np.stack([LEFT, EMPTY])[None], np.array([[0, 0]]), np.array([0, 0]))
    assert not shared.losers.any()
    np.testing.assert_allclose(shared.consensus, [LEFT, EMPTY])
    assert not shared.disagreement.any()


def test_maps_share_the_mass_that_both_have():
    maps = np.stack([[LEFT, LEFT], [RIGHT, LEFT], [BOTH, LEFT]])
    # LEFT and RIGHT share nothing, either shares half with BOTH: (0 + 0.5 + 0.5) / 3
    np.testing.assert_allclose(overlap(maps), [1 / 3, 1])


def test_the_scale_of_a_map_does_not_change_what_is_shared():
    np.testing.assert_allclose(overlap(np.stack([[BOTH], [0.1 * BOTH]])), [1], rtol=1e-6)


def test_a_single_map_shares_with_none():
    assert np.isnan(overlap(np.stack([[LEFT], [EMPTY], [EMPTY]]))).all()


@pytest.mark.parametrize(
    ("maps", "answers", "winners", "message"),
    [
        (
            np.zeros((2, 3, 4, 4)),
            np.zeros((2, 2), int),
            np.zeros(3, int),
            r"received \(2, 3, 4, 4\), \(2, 2\) and \(3,\)",
        ),
        (np.full((1, 1, 2, 2), 2.0), np.zeros((1, 1), int), np.zeros(1, int), "maps lie in 0..1, received others"),
        (np.full((1, 1, 2, 2), np.nan), np.zeros((1, 1), int), np.zeros(1, int), "maps lie in 0..1, received others"),
    ],
)
def test_what_does_not_fit_is_refused(maps, answers, winners, message):
    with pytest.raises(InputError, match=message):
        share(maps, answers, winners)
