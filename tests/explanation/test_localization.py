import numpy as np
import pytest
from scipy.stats import binomtest

from facemask_ensemble.data.boxes import Box, regions_of
from facemask_ensemble.errors import InputError
from facemask_ensemble.explanation.localization import EVERY_CLASS, energy_in, evidence, ground, points_at
from facemask_ensemble.explanation.overlay import enlarge

MASKED, BARE = Box((0.0, 0.0, 0.5, 0.5), "masked"), Box((0.5, 0.5, 1.0, 1.0), "bare")
KINDS = ("masked", "bare")
EVIDENCE = {"none": "bare", "all": "masked", "some": "any"}


def peak(row, column, rest=0.0):
    made = np.full((4, 4), rest)
    made[row, column] = 1
    return made


def regions(*images):
    return regions_of(images, KINDS, 4, 4)


def test_masked_faces_speak_for_all_bare_ones_for_none_and_both_for_some():
    found = evidence(regions(*[[MASKED, BARE]] * 4), ["all", "none", "some", "with_mask"], EVIDENCE)
    cells = [int(one[:2, :2].sum()) for one in found], [int(one[2:, 2:].sum()) for one in found]
    assert cells == ([4, 0, 4, 4], [0, 4, 4, 4])


def test_a_map_points_where_its_peak_lies_however_little_lies_there():
    inside, outside = peak(0, 0, rest=0.9), peak(3, 0)
    region = regions([MASKED], [MASKED])["masked"]
    assert points_at(np.stack([inside, outside]), region).tolist() == [True, False]


def test_a_peak_that_is_flat_to_the_border_points_where_its_hottest_cell_has_its_centre():
    """An enlarged map repeats its outermost cells: of a cell in the corner the middle is meant, not the corner."""
    grid = np.zeros((2, 2), np.float32)
    grid[0, 1] = 1
    map_ = enlarge(grid, 40, 40)[None]
    centre = regions_of([[Box((0.7, 0.2, 0.8, 0.3))]], (), 40, 40)["any"]
    corner = regions_of([[Box((0.9, 0.0, 1.0, 0.1))]], (), 40, 40)["any"]
    assert map_[0, 0, 39] == map_[0, 9, 30] == 1  # flat from there to the corner
    assert points_at(map_, centre).tolist() == [True]
    assert points_at(map_, corner).tolist() == [False]


def test_energy_is_the_share_of_the_sum():
    maps = np.stack([peak(0, 0), peak(0, 0, rest=0.2), np.zeros((4, 4))])
    found = energy_in(maps, regions(*[[MASKED]] * 3)["masked"])
    np.testing.assert_allclose(found, [1, (1 + 3 * 0.2) / (1 + 15 * 0.2), np.nan])


def test_every_class_and_all_of_them_are_judged_with_intervals_beside_the_controls():
    right_place, wrong_place = peak(0, 0), peak(3, 3)
    maps = np.stack([right_place] * 6 + [wrong_place] * 2 + [right_place, np.zeros((4, 4))])
    classes = ["all"] * 8 + ["some", "some"]
    images = [[MASKED]] * 7 + [[]] + [[MASKED, BARE]] * 2
    rows = ground(maps, regions(*images), classes, {"corner": np.stack([wrong_place] * 10)}, EVIDENCE, draws=200)
    first, some, every = rows
    assert [row["class"] for row in rows] == ["all", "some", EVERY_CLASS]
    assert [(row["images"], row["no_map"], row["no_box"]) for row in rows] == [(7, 0, 1), (1, 1, 0), (8, 1, 1)]
    assert first["pointing"] == pytest.approx(6 / 7)
    expected = binomtest(6, 7).proportion_ci(method="wilson")
    assert first["pointing_interval"] == pytest.approx([expected.low, expected.high])
    assert first["energy"] == pytest.approx(6 / 7)
    assert first["energy_interval"][0] < 6 / 7 <= first["energy_interval"][1] == 1
    assert first["area"] == pytest.approx(4 / 16)
    assert (some["masked_energy"], some["bare_energy"], some["any_energy"], some["area"]) == (1, 0, 1, 0.5)
    # On `all` the corner never points at the face, the maps do on six of seven: 2 * 0.5 ** 6.
    assert first["controls"]["corner"] == {"pointing": 0, "energy": 0, "p_value": pytest.approx(2 * 0.5**6)}
    assert every["controls"]["corner"]["pointing"] == pytest.approx(1 / 8)


def test_a_class_without_a_map_has_counts_and_no_scores():
    [row, every] = ground(
        np.zeros((2, 4, 4)), regions([BARE], [BARE]), ["none", "none"], {"corner": np.zeros((2, 4, 4))}, EVIDENCE
    )
    assert (row["images"], row["no_map"], row["pointing"], row["energy_interval"]) == (0, 2, None, None)
    assert row["controls"]["corner"] == {"pointing": None, "energy": None, "p_value": None}
    assert every["images"] == 0


def test_where_no_class_has_evidence_of_its_own_every_box_speaks_for_every_class():
    maps = np.stack([peak(0, 0), peak(3, 3)])
    first, second, _ = ground(maps, regions_of([[MASKED], [BARE]], (), 4, 4), ["rock", "paper"], {}, {})
    assert [first["class"], second["class"]] == ["paper", "rock"]
    assert [first["pointing"], second["pointing"], first["any_energy"]] == [1, 1, 1]
    assert [key for key in first if key.endswith("_energy")] == ["any_energy"]


def test_regions_of_another_size_are_refused():
    with pytest.raises(
        InputError, match=r"received \(1, 4, 4\) and bool \(1, 2, 2\): mark the boxes at the maps' size"
    ):
        points_at(np.zeros((1, 4, 4)), regions_of([[BARE]], KINDS, 2, 2)["bare"])
