import numpy as np
import pytest

from facemask_ensemble.data import hash_index
from facemask_ensemble.data.hash_index import neighbours


def planted(distance, count=300, seed=0):
    """Random codes, and one copy of each with exactly `distance` bits flipped."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2**64, count, dtype=np.uint64)
    copies = codes.copy()
    for row in range(count):
        for bit in rng.choice(64, distance, replace=False):
            copies[row] ^= np.uint64(1) << np.uint64(bit)
    return codes, copies


def found(codes, queries, distance):
    return {
        (int(q), int(c))
        for query, code in neighbours(codes, queries, distance)
        for q, c in zip(query, code, strict=True)
    }


@pytest.mark.parametrize("distance", [0, 1, 5, 8, 9, 12, 16])
def test_all_pairs_within_the_distance_are_found_and_no_others(distance):
    codes, copies = planted(distance)
    differing = np.bitwise_count(copies[:, None] ^ codes[None])
    expected = set(map(tuple, np.argwhere(differing <= distance).tolist()))
    assert {(row, row) for row in range(len(codes))} <= expected
    assert found(codes, copies, distance) == expected


def test_a_copy_one_bit_too_far_is_not_found():
    codes, copies = planted(9)
    assert found(codes, copies, 8) == set()


def test_many_candidates_are_compared_in_portions(monkeypatch):
    codes = np.repeat(np.uint64(7), 40)
    monkeypatch.setattr(hash_index, "AT_A_TIME", 50)
    assert found(codes, codes[:3], 4) == {(query, code) for query in range(3) for code in range(40)}


def test_no_codes_have_no_neighbours():
    empty = np.array([], np.uint64)
    assert found(empty, empty, 8) == found(empty, np.array([1], np.uint64), 8) == set()
