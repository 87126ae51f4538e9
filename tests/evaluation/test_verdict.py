import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from facemask_ensemble.data.manifest import COLUMNS, Manifest
from facemask_ensemble.ensemble.predictions import MemberPredictions
from facemask_ensemble.ensemble.rules import make_rule
from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.verdict import RULES, judge

NAMES = ("none", "all", "some")
TEST = [0, 0, 1, 1, 2, 2]
VALIDATION = [0, 1, 2, 0]


def manifest(test=TEST, validation=VALIDATION) -> Manifest:
    rows = [
        (f"{split}/{place}.png", f"{split}{place}", label, f"{split}{place}", split)
        for split, labels in (("train", [0, 1, 2]), ("validation", validation), ("test", test))
        for place, label in enumerate(labels)
    ]
    quarantine = pd.DataFrame([("bad.jpg", "empty file")], columns=["path", "reason"])
    return Manifest("tiny", Path("."), NAMES, pd.DataFrame(rows, columns=COLUMNS[:5]), quarantine)


def answering(answers: list[int], sure: float = 0.8) -> np.ndarray:
    probs = np.full((len(answers), 3), (1 - sure) / 2, "float32")
    probs[np.arange(len(answers)), answers] = sure
    return probs


def member(name: str, test: list[int], validation: list[int] = VALIDATION, **about) -> MemberPredictions:
    return MemberPredictions(name, f"run-{name}", answering(test), answering(validation), about)


# Right on 4, 4 and 3 of 6; every image but the last has two right members.
THREE = [
    member("ada", [0, 0, 1, 1, 0, 0], [0, 1, 2, 1], init="random initialisation", seconds=np.float32(3)),
    member("bea", [0, 0, 0, 1, 2, 1], [0, 1, 2, 0], init="random initialisation"),
    member("cleo", [1, 0, 1, 0, 2, 0], [0, 1, 0, 1], init="imagenet"),
]


def test_members_and_votes_are_scored_on_the_test_split():
    report = judge(THREE, manifest())
    assert [entry["backbone"] for entry in report["members"]] == ["ada", "bea", "cleo"]
    assert [entry["accuracy"] for entry in report["members"]] == pytest.approx([4 / 6, 4 / 6, 3 / 6])
    assert [entry["validation_accuracy"] for entry in report["members"]] == [0.75, 1, 0.5]
    assert report["ensemble"]["majority"]["accuracy"] == pytest.approx(5 / 6)
    assert report["ensemble"]["majority"]["confusion_matrix"] == [[2, 0, 0], [0, 2, 0], [1, 0, 1]]
    assert report["ensemble"]["soft"]["accuracy_interval"] == pytest.approx([0.4365, 0.9699], abs=1e-4)
    assert report["members"][0]["run_id"] == "run-ada"
    assert report["members"][2]["init"] == "imagenet"


def test_the_dataset_is_described():
    about = judge(THREE, manifest(test=[0, 0, 0, 1, 2, 2]))["dataset"]
    assert about["name"] == "tiny"
    assert about["class_names"] == ["none", "all", "some"]
    assert about["counts"]["test"] == {"none": 3, "all": 1, "some": 2}
    assert about["quarantine"] == [{"path": "bad.jpg", "reason": "empty file"}]
    assert (about["judged_on"], about["images"]) == ("test", 6)
    assert about["most_frequent_class_accuracy"] == 0.5
    assert len(about["fingerprint"]) == 64


def test_ties_are_counted_and_listed():
    pair = [member("ada", [0, 0, 1, 1, 2, 2]), member("bea", [0, 0, 1, 1, 2, 0])]
    majority = judge(pair, manifest())["ensemble"]["majority"]
    assert majority["ties"] == 1
    assert majority["tied"] == [
        {"path": "test/5.png", "truth": "some", "prediction": "none", "votes": {"ada": "some", "bea": "none"}}
    ]


def test_the_best_member_is_chosen_on_validation_never_on_test():
    # ada is perfect on test and bad on validation; bea the other way round.
    pair = [member("ada", TEST, [1, 2, 0, 1]), member("bea", [1, 1, 2, 2, 0, 0], VALIDATION)]
    assert judge(pair, manifest())["comparison"]["best_member"] == "bea"


def test_agreement_is_the_share_of_equal_answers():
    # ada and bea differ on images 2, 4 and 5, ada and cleo on 0, 3 and 4, bea and cleo on 0, 2, 3 and 5.
    expected = np.array([[1, 3 / 6, 3 / 6], [3 / 6, 1, 2 / 6], [3 / 6, 2 / 6, 1]])
    assert np.array(judge(THREE, manifest())["agreement"]) == pytest.approx(expected)


def test_errors_count_the_images_missed_by_none_to_all_members():
    report = judge(THREE, manifest())
    # Wrong members an image: 1, 0, 1, 1, 1, 3.
    assert report["errors"] == [1, 4, 0, 1]
    assert report["errors_vote_right"] == [1, 4, 0, 0]


def test_a_rule_given_by_name_stands_beside_majority_and_soft_and_can_be_shipped():
    rules = [*RULES, make_rule("first", lambda probs: probs[0].argmax(axis=1))]
    report = judge(THREE, manifest(), rules, shipped="first")
    assert list(report["ensemble"]) == ["majority", "soft", "first"]
    assert report["ensemble"]["first"]["accuracy"] == report["members"][0]["accuracy"]
    assert report["shipped"] == "first"


def test_the_report_can_be_written_as_json_even_after_a_training_that_diverged():
    broken = member("dora", TEST, history={"loss": np.array([1.0, np.nan]), "val_loss": [float("inf"), 2]})
    report = judge([*THREE, broken], manifest())
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["members"][3]["history"] == {"loss": [1.0, None], "val_loss": [None, 2]}


def test_one_member_is_judged_without_pretending_to_be_an_ensemble():
    report = judge(THREE[:1], manifest())
    assert report["comparison"]["difference"] == 0
    assert "only one member" in report["comparison"]["sentence"]


@pytest.mark.parametrize(
    ("members", "data", "shipped", "message"),
    [
        ([], manifest(), "majority", "0 members"),
        ([THREE[0], THREE[0]], manifest(), "majority", "Two members are named ada"),
        (THREE, manifest(test=[0, 1]), "majority", r"Member ada has test probabilities of shape \(6, 3\).*\(2, 3\)"),
        (THREE, manifest(validation=[0]), "majority", "Member ada has validation probabilities"),
        (THREE, manifest(test=[]), "majority", "test split has 0 images"),
        (THREE, manifest(validation=[]), "majority", "validation split has 0 images"),
        (THREE, manifest(), "coin", "no voting rule 'coin': choose one of majority, soft"),
    ],
)
def test_members_that_cannot_be_judged_are_refused(members, data, shipped, message):
    with pytest.raises(InputError, match=message):
        judge(members, data, shipped=shipped)
