import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, chisquare

from facemask_ensemble.auditing import leaks, shortcuts
from facemask_ensemble.auditing.balance import balance
from facemask_ensemble.auditing.duplicates import conflicts, copy_table, link
from facemask_ensemble.auditing.examples import contact_sheets, evenly
from facemask_ensemble.auditing.files import left_out, odd_files
from facemask_ensemble.auditing.shortcut_prediction import grade, guess, independence
from facemask_ensemble.auditing.shortcut_values import shortcut_values
from facemask_ensemble.auditing.sizes import histogram, sizes

CLASSES = ("none", "all", "some")
BASE = 0x0123456789ABCDEF
MIRROR = 0xFEDCBA9876543210


def look(*flipped):
    """A hash that differs from `BASE` in the bits named."""
    return f"{BASE ^ sum(1 << bit for bit in flipped):016x}"


def images(count=60, **columns):
    """Findings of readable images that have nothing to do with each other, classes in turn."""
    generator = np.random.default_rng(1)
    hashes = [f"{value:016x}" for value in generator.integers(0, 2**63, 2 * count)]
    rows = pd.DataFrame(
        {
            "path": [f"{CLASSES[place % 3]}/{place:03}.jpg" for place in range(count)],
            "label": np.arange(count) % 3,
            "group": "",
            "split": "",
            "size": generator.integers(5_000, 50_000, count),
            "sha256": [f"{place:064x}" for place in range(count)],
            "width": generator.integers(200, 400, count),
            "height": generator.integers(200, 400, count),
            "format": "JPEG",
            "odd": "",
            "look": hashes[:count],
            "mirrored": hashes[count:],
            "red": generator.normal(120, 5, count),
            "green": generator.normal(120, 5, count),
            "blue": generator.normal(120, 5, count),
        }
    )
    return rows.assign(**columns)


def test_balance_counts_classes_and_splits_and_tests_for_uniformity():
    rows = pd.DataFrame({"label": [0] * 10 + [1] * 40 + [2] * 10, "split": ["train", "test"] * 30})
    found = balance(rows, CLASSES)
    assert found["counts"] == {"none": 10, "all": 40, "some": 10}
    assert found["splits"]["test"] == {"none": 5, "all": 20, "some": 5}
    assert found["ratio"] == 4
    assert found["largest"] == pytest.approx(40 / 60)
    assert found["statistic"] == pytest.approx((10**2 + 20**2 + 10**2) / 20)
    assert found["p_value"] == pytest.approx(chisquare([10, 40, 10]).pvalue)


def test_balance_of_nothing_claims_nothing():
    found = balance(images(0), CLASSES)
    assert found["ratio"] is found["largest"] is found["p_value"] is None


def test_sizes_name_the_commonest_tiny_and_elongated():
    rows = images(6, width=[301, 301, 301, 20, 900, 31], height=[400, 400, 400, 500, 299, 31])
    found = sizes(rows, CLASSES)
    assert found["commonest"][0] == {
        "width": 301, "height": 400, "images": 3, "counts": {"none": 1, "all": 1, "some": 1},
    }  # fmt: skip
    assert [one["width"] for one in found["tiny"]] == [20, 31]
    assert [one["width"] for one in found["elongated"]] == [20, 900]
    assert found["formats"] == {"JPEG": {"none": 2, "all": 2, "some": 2}}


def test_a_histogram_loses_no_image_even_at_its_edges():
    values, labels = pd.Series([10.0, 10, 20, 1000]), pd.Series([0, 1, 1, 0])
    found = histogram(values, labels, ("a", "b"))
    assert [sum(counts) for counts in found["counts"].values()] == [2, 2]
    assert found["counts"]["a"][0] == found["counts"]["a"][-1] == 1
    same = histogram(pd.Series([300.0] * 5), pd.Series([0] * 5), ("a", "b"))
    assert sum(same["counts"]["a"]) == 5


def test_odd_files_are_gathered_by_finding_and_one_may_be_in_two():
    rows = pd.DataFrame({"path": ["a", "b", "c"], "odd": ["alpha; palette", "palette", ""]})
    found = odd_files(rows)
    assert [(kind["finding"], kind["files"]) for kind in found] == [("palette", 2), ("alpha", 1)]
    assert found[0]["paths"] == [{"path": "a"}, {"path": "b"}]


def test_left_out_files_are_gathered_without_the_file_that_the_reason_names():
    reasons = ["near x.jpg of the given test split (group g)", "near y.jpg of the given test split", "empty file"]
    found = left_out(pd.DataFrame({"path": list("abc"), "reason": reasons}))
    assert [kind["files"] for kind in found] == [2, 1]
    assert found[0]["paths"][0] == {"path": "a", "reason": reasons[0]}


def test_links_tell_exact_from_near_and_mirrored_copies_with_their_bits():
    rows = images(6)
    rows.loc[:3, "look"] = [look(), look(), look(3, 9, 40), f"{MIRROR:016x}"]
    rows.loc[:3, "mirrored"] = [f"{MIRROR:016x}"] * 3 + [look()]
    rows.loc[1, "sha256"] = rows.loc[0, "sha256"]
    links, component = link(rows, 8)
    found = {(row.one, row.other): (row.bits, row.exact, row.mirrored) for row in links.itertuples()}
    assert found[0, 1] == (0, True, False)
    assert found[0, 2][1] is False
    assert found[0, 3] == (0, False, True)
    assert len(set(component[:4])) == 1
    assert len(set(component)) == 3


def test_bits_are_counted_on_the_nearer_of_images_and_mirror_images():
    turned = [f"{MIRROR ^ flipped:016x}" for flipped in (0, 0b11)]
    links, _ = link(images(2, look=[look(), look(1, 2, 3, 4, 5)], mirrored=turned), 8)
    assert links[["bits", "mirrored"]].to_numpy().tolist() == [[2, False]]


def test_without_a_distance_only_exact_copies_are_linked():
    rows = images(4, look=look(), mirrored=look())
    rows.loc[3, "sha256"] = rows.loc[2, "sha256"]
    links, _ = link(rows, None)
    assert links[["one", "other"]].to_numpy().tolist() == [[2, 3]]


def test_plain_images_are_no_near_copies_of_each_other():
    links, component = link(images(4, look="", mirrored=""), 8)
    assert links.empty
    assert len(set(component)) == 4


def test_a_chain_is_one_group_but_its_far_ends_are_no_conflict():
    """Bits 0, 8 and 16 away from the first: neighbours are 8 apart, the ends 16."""
    looks = [look(), look(*range(8)), look(*range(16))]
    rows = images(3, look=looks, label=[0, 0, 1])
    links, component = link(rows, 8)
    assert len(set(component)) == 1
    (pair,) = conflicts(rows, links, CLASSES)
    assert pair["paths"] == rows["path"].tolist()[1:]
    assert (pair["bits"], pair["classes"], pair["exact"]) == (8, ["none", "all"], False)


def test_the_table_of_copies_names_the_nearest_and_what_was_left_out():
    rows = images(5, split=["train", "train", "", "test", "test"])
    rows.loc[:2, "look"] = [look(), look(0, 1), look(0, 1, 2, 3, 4, 5)]
    rows.loc[:2, "mirrored"] = [look(), look(0, 1), look(0, 1, 2, 3, 4, 5)]
    links, component = link(rows, 8)
    table = copy_table(rows, links, component, CLASSES)
    assert table["group"].tolist() == [1, 1, 1]
    assert table.set_index("path")["bits"].to_dict() == {"none/000.jpg": 2, "all/001.jpg": 2, "some/002.jpg": 4}
    assert table.set_index("path").loc["some/002.jpg", ["nearest", "split"]].tolist() == ["all/001.jpg", "left out"]


def test_leaks_of_a_given_split_are_held_out_images_with_a_copy_in_training():
    rows = images(6, given=["train", "test", "test", "validation", "train", "validation"])
    found = leaks.given_leaks(rows, np.array([0, 0, 1, 0, 2, 3]))
    assert found["parts"] == {
        "validation": {"held_out": 2, "leaking": 1},
        "test": {"held_out": 2, "leaking": 1},
    }
    assert found["paths"] == ["all/001.jpg", "none/003.jpg"]
    assert leaks.given_leaks(images(6, given=""), np.arange(6)) is None


def test_the_leak_of_a_random_split_is_what_pairs_must_give():
    """The partner of a held-out image is trained on with probability 0.7, a little more as one place is taken."""
    component = np.repeat(np.arange(2000), 2)
    label = np.repeat(np.arange(2), 2000)
    expected = 0.7 * 2000 / 1999
    assert leaks.random_leaks(label, component, 0.3) == pytest.approx(expected, abs=0.01)
    assert leaks.random_leaks(label, np.arange(4000), 0.3) == 0


def test_names_become_patterns_without_numbers_classes_and_hashes():
    paths = pd.Series(["a/IMG_0012 (3).jpg", "b/with mask7.png", "b/x.rf.0a1b2c3d4e5f6071.jpg", "c/日本.v2.jpg"])
    found = shortcuts.name_patterns(paths, ["with_mask", "x1"]).tolist()
    assert found == ["IMG_# (#)", "[class]#", "x.rf.[hash]", "日本.v#"]
    assert shortcuts.running_numbers(paths).tolist() == [3, 7, 6071, 2]


def test_colours_are_named_only_where_they_stand_out():
    rows = pd.DataFrame(
        [(20, 20, 20), (128, 120, 122), (230, 230, 230), (180, 90, 90), (90, 90, 180)], columns=["red", "green", "blue"]
    ).astype(float)
    assert shortcuts.brightness(rows).tolist() == ["very dark", "", "very bright", "", ""]
    grey = "grey, without colour"
    assert shortcuts.tints(rows).tolist() == [grey, "", grey, "red tint", "blue tint"]


def test_a_cue_that_tells_the_class_is_strong_and_one_that_does_not_is_none():
    label = np.arange(300) % 3
    generator = np.random.default_rng(0)
    telling = shortcuts.Cue("size", (label * 100.0 + generator.integers(0, 60, 300))[:, None])
    found = guess(telling, label, np.arange(300), 3)
    assert found["balanced_accuracy"] == 1
    assert found["chance"] == pytest.approx(1 / 3)
    assert found["grade"] == "strong"
    silent = shortcuts.Cue("size", generator.random((300, 2)))
    found = guess(silent, label, np.arange(300), 3)
    assert found["balanced_accuracy"] == pytest.approx(1 / 3, abs=0.1)
    assert found["grade"] == "none"


def test_a_value_that_tells_is_recognised_whatever_the_order_of_the_values():
    label = np.arange(400) % 2
    words = np.array([["b", "d", "f"], ["a", "c", "e"]])[label, np.arange(400) // 2 % 3]
    found = guess(shortcuts.Cue("name", np.empty((400, 0)), words), label, np.arange(400), 2)
    assert found["balanced_accuracy"] == 1


def test_copies_never_help_to_guess_each_other():
    """Random numbers, each shared by ten copies of one class: a tree that had seen a copy would know the class."""
    generator = np.random.default_rng(0)
    component = np.repeat(np.arange(60), 10)
    label = generator.permutation(np.arange(60) % 2)[component]
    cue = shortcuts.Cue("bytes", generator.random(60)[component][:, None])
    assert guess(cue, label, component, 2)["grade"] == "none"
    assert guess(cue, label, np.arange(600), 2)["grade"] == "strong"


@pytest.mark.parametrize("label", [np.zeros(20, int), np.array([0] * 19 + [1])])
def test_too_few_images_of_a_class_are_not_guessed(label):
    found = guess(shortcuts.Cue("size", np.random.default_rng(0).random((20, 1))), label, np.arange(20), 2)
    assert found["balanced_accuracy"] is None
    assert found["grade"] == "none"


def test_the_p_value_is_that_of_hits_by_independent_guesses():
    label, answer = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])
    assert independence(label, answer, 2) == pytest.approx(0.5**4)
    assert independence(label, 1 - answer, 2) == pytest.approx(1)


@pytest.mark.parametrize(
    ("accuracy", "p_value", "expected"),
    [(0.54, 1e-9, "none"), (0.56, 0.01, "none"), (0.56, 1e-4, "clear"), (0.66, 1e-4, "strong")],
)
def test_a_cue_is_graded_by_its_effect_and_its_p_value(accuracy, p_value, expected):
    assert grade(accuracy, 0.5, p_value) == expected


def series(count=60):
    """Images of which every third has one size and one class."""
    label = np.arange(count) % 3
    rows = images(count, label=label)
    values = np.where(np.arange(count) % 3 == 1, "301x400", rows["width"].astype(str)).astype(str)
    return rows, {"size": values}


def test_an_exact_size_of_one_class_is_a_shortcut_value_with_its_counts_and_the_chi_square_of_two_rows():
    rows, values = series()
    (found,) = shortcut_values(rows, values, np.arange(60), CLASSES)
    assert (found["value"], found["images"]) == ("301x400", 20)
    assert found["counts"] == {"none": 0, "all": 20, "some": 0}
    assert found["elsewhere"] == {"none": 20, "all": 0, "some": 20}
    assert found["shift"] == 1
    expected = chi2_contingency([[0, 20, 0], [20, 0, 20]], correction=False).pvalue
    assert found["p_value"] == pytest.approx(expected)
    assert found["kept_together"] is False


def test_a_shortcut_value_that_is_one_group_is_said_to_be_kept_together():
    rows, values = series()
    rows["group"] = np.where(values["size"] == "301x400", "series", "")
    (found,) = shortcut_values(rows, values, np.arange(60), CLASSES)
    assert found["kept_together"] is True


def test_copies_of_one_image_make_no_shortcut_value():
    rows, values = series()
    component = np.where(values["size"] == "301x400", 0, np.arange(60) + 1)
    assert shortcut_values(rows, values, component, CLASSES) == []


def test_an_even_value_is_no_shortcut_value():
    rows, values = series()
    values["size"] = np.where(np.arange(60) < 30, "301x400", "other")
    assert shortcut_values(rows, values, np.arange(60), CLASSES) == []


@pytest.mark.parametrize(("count", "chosen", "expected"), [(5, 3, [0, 2, 4]), (2, 9, [0, 1]), (0, 4, []), (9, 1, [0])])
def test_places_are_spread_evenly(count, chosen, expected):
    assert evenly(count, chosen).tolist() == expected


def test_a_contact_sheet_holds_24_of_a_class_and_fewer_of_many_classes():
    rows = images(300)
    assert {len(sheet) for sheet in contact_sheets(rows, CLASSES).values()} == {24}
    many = pd.DataFrame({"path": [f"{place}.jpg" for place in range(2000)], "label": np.arange(2000) % 1000})
    sheets = contact_sheets(many, [str(label) for label in range(1000)])
    assert sum(map(len, sheets.values())) == 480
