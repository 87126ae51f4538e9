import hashlib

import pandas as pd
import pytest

from facemask_ensemble.data.splits import assign_splits
from facemask_ensemble.errors import InputError

CLASSES = ("none", "all", "some")


def table(counts, split=""):
    rows = [{"label": label} for label, count in enumerate(counts) for _ in range(count)]
    frame = pd.DataFrame(rows).assign(group="", split=split)
    names = [f"{split or 'p'}{i:04}" for i in range(len(frame))]
    return frame.assign(path=names, sha256=names)


def counts(rows):
    return {(split, label): n for (split, label), n in rows.groupby(["split", "label"]).size().items()}


def test_each_class_is_split_in_the_proportions():
    rows, quarantine = assign_splits(table([200, 100, 40]), CLASSES, 0.2, 0.1, seed=0)
    expected = {"train": (140, 70, 28), "validation": (40, 20, 8), "test": (20, 10, 4)}
    assert counts(rows) == {(split, label): n for split, ns in expected.items() for label, n in enumerate(ns)}
    assert quarantine.empty


def test_the_draw_is_the_same_for_any_order_of_rows_and_another_for_another_seed():
    one, _ = assign_splits(table([50, 50, 50]), CLASSES, 0.2, 0.2, seed=0)
    turned, _ = assign_splits(table([50, 50, 50])[::-1], CLASSES, 0.2, 0.2, seed=0)
    other, _ = assign_splits(table([50, 50, 50]), CLASSES, 0.2, 0.2, seed=1)
    assert dict(zip(one["path"], one["split"], strict=True)) == dict(zip(turned["path"], turned["split"], strict=True))
    assert (one["split"] != other["split"]).sum() > 30


def test_the_draw_depends_on_contents_and_seed_alone_on_every_machine():
    rows, _ = assign_splits(table([6, 6]), CLASSES[:2], 0.2, 0.2, seed=5)
    for _, of_class in rows.groupby("label"):
        drawn = sorted(of_class["sha256"], key=lambda key: hashlib.sha256(f"5 {key}".encode()).hexdigest())
        # By hand, targets 3.6, 1.2 and 1.2: two to train, then the empty two get one each, then train again.
        split = dict(zip(of_class["sha256"], of_class["split"], strict=True))
        assert [split[key] for key in drawn] == ["train", "train", "validation", "test", "train", "train"]


def test_groups_stay_on_one_side_and_the_proportions_hold_beside_a_big_one():
    rows = table([77, 432, 197])
    rows.loc[rows.index[:50].union(rows.index[77:211]), "group"] = "series"
    rows.loc[rows.index[300:320], "group"] = [f"pair{i // 2}" for i in range(20)]
    split, _ = assign_splits(rows, CLASSES, 0.15, 0.15, seed=0)
    assert (split[split["group"] != ""].groupby("group")["split"].nunique() == 1).all()
    assert set(split.loc[split["group"] == "series", "split"]) == {"train"}
    held_out = {split: n for split, n in counts(split).items() if split[0] != "train"}
    for (_, label), n in held_out.items():
        assert abs(n - 0.15 * [77, 432, 197][label]) <= 1


def test_three_images_of_a_class_reach_all_three_splits():
    rows, _ = assign_splits(table([3, 100]), CLASSES[:2], 0.1, 0.1, seed=0)
    assert set(rows.loc[rows["label"] == 0, "split"]) == {"train", "validation", "test"}


def test_a_given_test_split_stays_and_validation_is_cut_from_train():
    given = pd.concat([table([100, 100], "train"), table([7, 9], "test")], ignore_index=True)
    rows, _ = assign_splits(given, CLASSES[:2], 0.2, 0.5, seed=0)
    assert counts(rows) == {
        ("train", 0): 80,
        ("train", 1): 80,
        ("validation", 0): 20,
        ("validation", 1): 20,
        ("test", 0): 7,
        ("test", 1): 9,
    }
    assert (rows.loc[rows["path"].str.startswith("test"), "split"] == "test").all()


def test_without_a_given_test_split_it_is_cut_from_train():
    given = pd.concat([table([100, 100], "train"), table([7, 9], "validation")], ignore_index=True)
    rows, _ = assign_splits(given, CLASSES[:2], 0.5, 0.1, seed=0)
    assert counts(rows)["test", 0] == 10 and counts(rows)["train", 1] == 90
    assert (rows.loc[rows["path"].str.startswith("validation"), "split"] == "validation").all()


def test_a_complete_given_split_is_left_alone():
    given = pd.concat([table([4, 4], name) for name in ("train", "validation", "test")], ignore_index=True)
    rows, _ = assign_splits(given, CLASSES[:2], 0.2, 0.2, seed=0)
    pd.testing.assert_frame_equal(rows, given)


def test_a_training_copy_of_a_given_test_image_is_left_out():
    given = pd.concat([table([20, 20], "train"), table([5, 5], "test")], ignore_index=True)
    given.loc[given["path"].isin(["train0003", "train0004", "test0001"]), "group"] = "copies"
    rows, quarantine = assign_splits(given, CLASSES[:2], 0.2, 0.2, seed=0)
    assert set(quarantine["path"]) == {"train0003", "train0004"}
    assert quarantine["reason"].str.contains("near test0001, which is in the given test split").all()
    assert rows.set_index("path").loc["test0001", "split"] == "test"
    assert len(rows) == 48


def test_a_class_too_small_for_every_split_is_refused_with_its_counts():
    with pytest.raises(InputError, match=r"test split has no .*'some' \(of 2 in 2 .*train 1, .*add images"):
        assign_splits(table([50, 50, 2]), CLASSES, 0.2, 0.2, seed=0)
    rows = table([50, 50, 20])
    rows.loc[rows["label"] == 2, "group"] = "one"
    with pytest.raises(InputError, match=r"'some' \(of 20 in 1 separate groups"):
        assign_splits(rows, CLASSES, 0.2, 0.2, seed=0)


def test_a_dataset_without_training_images_is_refused():
    given = pd.concat([table([4, 4], name) for name in ("validation", "test")], ignore_index=True)
    with pytest.raises(InputError, match="train split has no image"):
        assign_splits(given, CLASSES[:2], 0.2, 0.2, seed=0)


def folded(rows, classes, folds, seed=0):
    return [assign_splits(rows, classes, 0.2, 0.2, seed, folds, fold)[0] for fold in range(folds)]


def test_over_all_folds_every_image_is_tested_once_and_no_group_is_parted():
    rows = table([60, 40, 20])
    rows["group"] = [f"g{number // 3}" if number % 2 else "" for number in range(len(rows))]
    cuts = folded(rows, CLASSES, 5)
    tested = pd.concat([cut.loc[cut["split"] == "test", "path"] for cut in cuts])
    assert sorted(tested) == sorted(rows["path"])
    for cut in cuts:
        grouped = cut[cut["group"] != ""]
        assert (grouped.groupby("group")["split"].nunique() == 1).all()


def test_folds_have_the_shares_and_the_class_mix_of_the_whole():
    for cut in folded(table([100, 50, 25]), CLASSES, 5):
        assert cut.groupby("split")["label"].value_counts().unstack().to_dict("index") == {
            "test": {0: 20, 1: 10, 2: 5},
            "train": {0: 60, 1: 30, 2: 15},
            "validation": {0: 20, 1: 10, 2: 5},
        }


def test_folds_do_not_depend_on_where_the_images_lie_or_in_what_order():
    rows = table([30, 30, 30])
    moved = rows[::-1].assign(path="elsewhere/" + rows["path"][::-1])
    by_contents = [
        cut.set_index("sha256")["split"].sort_index() for cut in (folded(r, CLASSES, 3)[1] for r in (rows, moved))
    ]
    pd.testing.assert_series_equal(*by_contents)


def test_more_folds_than_groups_of_a_class_are_refused():
    with pytest.raises(InputError, match=r"dataset\.folds=5: class 'c' has 4 separate groups .* fewer folds"):
        folded(table([30, 30, 4]), ("a", "b", "c"), 5)


def test_folds_of_data_that_gives_its_own_split_are_refused():
    rows = table([30, 30, 30])
    rows.loc[:9, "split"] = "test"
    with pytest.raises(InputError, match=r"dataset\.folds=3: the data has its own split \(test\)"):
        folded(rows, CLASSES, 3)
