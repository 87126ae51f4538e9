import numpy as np
import pandas as pd
import pytest

from facemask_ensemble.data.duplicates import contradictions, group_copies


def table(**columns):
    count = len(next(iter(columns.values())))
    defaults = {
        "path": [f"p{i}" for i in range(count)],
        "sha256": [f"s{i}" for i in range(count)],
        "label": [0] * count,
        "group": [""] * count,
        "look": [""] * count,
        "mirrored": [""] * count,
    }
    return pd.DataFrame({**defaults, **columns})


def code(number):
    return f"{int(number):016x}"


def flip(number, bits):
    for bit in bits:
        number ^= 1 << int(bit)
    return number


def partition(names):
    return {frozenset(np.flatnonzero(names == name)) for name in set(names) if name}


def brute_force(looks, mirrored, distance):
    """Flood fill over every pair, to compare with."""
    count = len(looks)
    near = [
        {
            j
            for j in range(count)
            if any((a ^ b).bit_count() <= distance for a in (looks[i], mirrored[i]) for b in (looks[j], mirrored[j]))
        }
        for i in range(count)
    ]
    parts, left = set(), set(range(count))
    while left:
        part, edge = set(), {left.pop()}
        while edge:
            part |= edge
            edge = set().union(*(near[i] for i in edge)) - part
        left -= part
        if len(part) > 1:
            parts.add(frozenset(part))
    return parts


def test_exact_copies_form_a_group_named_by_the_first_path():
    assert list(group_copies(table(sha256=["a", "b", "a", "c"]), None)) == ["p0", "", "p0", ""]


@pytest.mark.parametrize(("distance", "joined"), [(None, False), (5, False), (6, True), (7, True)])
def test_near_copies_are_joined_up_to_the_distance(distance, joined):
    start = 0x0123456789ABCDEF
    rows = table(
        look=[code(start), code(flip(start, [0, 9, 20, 33, 47, 63]))], mirrored=[code(0xFF), code(0xFFFF << 48)]
    )
    assert (group_copies(rows, distance) == "p0").all() == joined


def test_a_mirrored_copy_is_joined():
    rows = table(look=[code(0xFFFF0000), code(0xAAAA5555FFFF)], mirrored=[code(0xAAAA5555FFFE), code(0xFFFF0000)])
    assert list(group_copies(rows, 2)) == ["p0", "p0"]


def test_plain_images_are_not_near_each_other():
    assert list(group_copies(table(look=["", "", ""]), 8)) == ["", "", ""]


def test_given_groups_that_share_a_copy_become_one():
    rows = table(sha256=["a", "b", "b", "c", "d"], group=["series", "series", "", "other", ""])
    assert list(group_copies(rows, None)) == ["series", "series", "series", "other", ""]
    rows = table(sha256=["a", "b", "b", "c"], group=["one", "one", "two", "two"])
    assert group_copies(rows, None).nunique() == 1


@pytest.mark.parametrize("distance", [0, 1, 6, 8, 16])
def test_the_banded_search_finds_what_comparing_all_pairs_finds(distance):
    rng = np.random.default_rng(distance)
    looks = [int(x) for x in rng.integers(0, 2**63, 60)]
    for _ in range(90):
        near = looks[rng.integers(60)]
        looks.append(flip(near, rng.choice(64, rng.integers(0, distance + 4), replace=False)))
    mirrored = [int(x) for x in rng.integers(0, 2**63, len(looks))]
    mirrored[3], mirrored[7] = looks[20], looks[7]
    rows = table(look=[code(x) for x in looks], mirrored=[code(x) for x in mirrored])
    assert partition(group_copies(rows, distance).to_numpy()) == brute_force(looks, mirrored, distance)


def test_copies_labelled_otherwise_all_contradict():
    rows = table(sha256=["a", "a", "b", "a", "c", "c"], label=[0, 1, 0, 0, 1, 1])
    found = contradictions(rows).set_index("path")["reason"]
    assert set(found.index) == {"p0", "p1", "p3"}
    assert "same image as p1" in found["p0"] and "same image as p0" in found["p1"]


def test_no_contradiction_gives_an_empty_table():
    assert list(contradictions(table(sha256=["a", "a"])).columns) == ["path", "reason"]


def test_very_many_links_are_thinned_to_those_that_join_the_same_images(monkeypatch):
    rng = np.random.default_rng(0)
    looks = [code(flip(0xF0F0F0F0F0F0F0F0 if i % 2 else 0x0123456789ABCDEF, rng.choice(64, 2))) for i in range(60)]
    rows = table(look=looks, mirrored=looks)
    whole = group_copies(rows, 8)
    monkeypatch.setattr("facemask_ensemble.data.duplicates.MANY", 5)
    assert (
        partition(group_copies(rows, 8)) == partition(whole) == {frozenset(range(0, 60, 2)), frozenset(range(1, 60, 2))}
    )
