import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from facemask_ensemble.data.manifest import COLUMNS, Manifest
from facemask_ensemble.ensemble import learning, voting
from facemask_ensemble.ensemble.predictions import MemberPredictions
from facemask_ensemble.ensemble.rules import Rule
from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.card import ship_card
from facemask_ensemble.evaluation.gallery import choose
from facemask_ensemble.evaluation.verdict import judge
from facemask_ensemble.report import page
from facemask_ensemble.report.card import write_card
from facemask_ensemble.task import task_named

NAMES = ("ada", "bea", "cleo")
LEARNED = ("weighted", "greedy", "stacking")
RULES = (
    Rule("majority", voting.majority),
    Rule("soft", voting.soft),
    Rule("borda", voting.borda),
    Rule("maximum", voting.maximum),
    Rule("weighted", voting.weighted, learning.by_skill),
    Rule("greedy", voting.weighted, learning.greedy),
    Rule("stacking", voting.stacked, learning.logistic),
)
ANALYSIS = {"costs": {}, "conformal_error": 0.1, "resamples": 50}
COSTS = {name: {"milliseconds": 2.5, "megabytes": 10, "measured": "a machine"} for name in NAMES}


@pytest.fixture(autouse=True)
def without_figures(monkeypatch):
    """Spare the seconds that drawing takes: the figures have tests of their own."""
    monkeypatch.setattr(page, "write_figures", lambda report, folder: [])


def manifest(test: Sequence[int], validation: Sequence[int], classes: int = 3) -> Manifest:
    rows = [
        (f"{split}/{place}.png", f"{split}{place}", int(label), f"{split}{place}", split)
        for split, labels in (("train", range(classes)), ("validation", validation), ("test", test))
        for place, label in enumerate(labels)
    ]
    names = ("none", "all", "some") if classes == 3 else tuple(f"class{label}" for label in range(classes))
    left_out = pd.DataFrame(columns=["path", "reason"])
    return Manifest("tiny", Path("."), names, pd.DataFrame(rows, columns=COLUMNS[:5]), left_out)


def guesses(draw: np.random.Generator, labels: Sequence[int], classes: int, skill: float) -> np.ndarray:
    probs = draw.dirichlet(np.ones(classes), len(labels))
    probs[np.arange(len(labels)), labels] += skill
    return (probs / probs.sum(axis=1, keepdims=True)).astype("float32")


def members(
    test: Sequence[int], validation: Sequence[int], classes: int = 3, names: Sequence[str] = NAMES, skill: float = 0.5
) -> list[MemberPredictions]:
    draw = np.random.default_rng(0)
    return [
        MemberPredictions(
            name, f"run-{name}", *(guesses(draw, labels, classes, skill) for labels in (test, validation))
        )
        for name in names
    ]


def certain(name: str, test: Sequence[int], validation: Sequence[int], classes: int = 3) -> MemberPredictions:
    every = np.eye(classes, dtype="float32")
    return MemberPredictions(name, f"run-{name}", every[list(test)], every[list(validation)])


def reported(who: Sequence[MemberPredictions], data: Manifest, folder: Path, shipped: str = "majority", **more) -> dict:
    """Judge, and write all that a report is written to; no page may show what is not a number."""
    report = judge(who, data, RULES, shipped, analysis=ANALYSIS | more)
    report["break_tie"], report["shift"] = "mean_probability", None
    report["dataset"] |= {"changed": [], "seen": 0}
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    test = data.split("test")
    stacked, labels, paths = (
        np.stack([one.test_probs for one in who]),
        test["label"].to_numpy(int),
        test["path"].tolist(),
    )
    gallery = choose(stacked, labels, voting.majority(stacked), paths, [one.name for one in who], data.class_names)
    written = page.write_report(report, gallery, {}, {}, [], "python -m x", folder)
    card = write_card(ship_card(report, task_named("generic"), "study", "python -m x"), folder / "ensemble")
    for text in (written.read_text(encoding="utf-8"), card.read_text(encoding="utf-8")):
        assert not re.search(r"\bnan\b|>\s*None\s*<", text)
        assert escape(report["comparison"]["sentence"]) in text
    return report


LABELS = [0, 1, 2] * 20
MANY = manifest(LABELS, LABELS)


def changed(split: str, value, name: str = "bea") -> list[MemberPredictions]:
    """Members of which one has other probabilities on a split."""
    found = {one.name: one for one in members(LABELS, LABELS)}
    kept = {"test_probs": found[name].test_probs, "validation_probs": found[name].validation_probs}
    probs = kept[f"{split}_probs"].copy()
    found[name] = MemberPredictions(name, "run", **(kept | {f"{split}_probs": value(probs)}))
    return list(found.values())


def put(row: Sequence[float]):
    def into(probs: np.ndarray) -> np.ndarray:
        probs[7] = row
        return probs

    return into


@pytest.mark.parametrize("split", ["test", "validation"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (put([np.nan, 0.5, 0.5]), "are nan or infinite: train it again or leave it out"),
        (put([np.inf, 0, 0]), "are nan or infinite"),
        (put([0.5, 0.5, 0.5]), r"are not valid \(one row adds up to 1.5, .* at least 0 and add up to 1"),
        (put([0, 0, 0]), r"are not valid \(one row adds up to 0, the lowest value is 0\)"),
        (put([-0.25, 0.5, 0.75]), r"are not valid \(.* the lowest value is -0.25\)"),
        (lambda probs: np.log(probs), "are not valid"),
        (lambda probs: probs[:-1], r"of shape \(59, 3\), the dataset wants \(60, 3\)"),
        (lambda probs: probs[:0], r"of shape \(0, 3\), the dataset wants \(60, 3\)"),
        (lambda probs: probs[:, :2], r"of shape \(60, 2\), the dataset wants \(60, 3\)"),
        (lambda probs: probs.argmax(axis=1), r"of shape \(60,\), the dataset wants \(60, 3\)"),
    ],
)
def test_probabilities_that_are_none_are_refused(split, value, message):
    with pytest.raises(InputError, match=f"Member bea has {split} probabilities (that )?{message}"):
        judge(changed(split, value), MANY, RULES, analysis=ANALYSIS)


@pytest.mark.parametrize(
    ("test", "validation", "message"),
    [([], LABELS, "The test split has 0 images"), (LABELS, [], "The validation split has 0 images")],
)
def test_a_split_without_images_is_refused(test, validation, message):
    with pytest.raises(InputError, match=f"{message}: give the dataset more images or raise dataset.limit"):
        judge(members(test, validation), manifest(test, validation), RULES, analysis=ANALYSIS)


def test_a_single_validation_image_teaches_no_rule():
    with pytest.raises(InputError, match="voting=weighted: it learns from other images than it answers"):
        judge(members(LABELS, [1]), manifest(LABELS, [1]), RULES, analysis=ANALYSIS)


@pytest.mark.parametrize("error", [0, 1, -0.1, float("nan")])
def test_an_error_of_sets_that_is_no_share_is_refused(error):
    with pytest.raises(InputError, match="The error of sets of classes lies between 0 and 1"):
        judge(members(LABELS, LABELS), MANY, RULES, analysis=ANALYSIS | {"conformal_error": error})


def test_probabilities_in_half_precision_are_taken_as_they_are(tmp_path):
    report = reported(changed("test", lambda probs: probs.astype("float16")), MANY, tmp_path)
    assert report["members"][1]["accuracy"] == judge(members(LABELS, LABELS), MANY)["members"][1]["accuracy"]


def test_one_member_is_reported_and_nothing_is_claimed_of_an_ensemble(tmp_path):
    report = reported(members(LABELS, LABELS, names=["ada"]), MANY, tmp_path)
    assert "There is only one member" in report["comparison"]["sentence"]
    assert report["frontier"]["sentence"] == "There is only one member, ada: there is nothing to choose."
    assert report["diversity"]["drop_one"]["sentence"].startswith("There is only one member: without ada")
    assert [entry["difference"] for entry in report["worth"]["comparisons"]] == [0]
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert 'id="frontier"' not in text
    assert 'id="worth"' not in text
    assert "choices, validation picks" not in text


def test_a_class_without_a_test_image_has_no_recall_and_a_warning(tmp_path):
    test = [0, 1] * 20
    report = reported(members(test, LABELS), manifest(test, LABELS), tmp_path)
    assert report["ensemble"]["majority"]["per_class"]["some"]["support"] == 0
    assert report["abstention"]["conformal"]["by_class"]["some"] is None
    card = json.loads((tmp_path / "ensemble" / "card.json").read_text(encoding="utf-8"))
    assert set(card["per_class_recall"]) == {"none", "all"}
    assert "No test image of class some: its recall is unknown." in card["warnings"]
    assert "No test image of class some" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_class_without_a_validation_image_is_not_answered_by_what_has_not_seen_it(tmp_path):
    validation = [0, 1] * 20
    report = reported(members(LABELS, validation), manifest(LABELS, validation), tmp_path, "stacking")
    stacked = np.array(report["ensemble"]["stacking"]["confusion_matrix"])
    assert (stacked[:, 2].sum(), stacked.sum()) == (0, 60)
    assert report["ensemble"]["stacking"]["per_class"]["some"]["recall"] == 0
    assert all(0.05 <= row["temperature"] <= 20 for row in report["calibration"]["rows"])
    # Weights of members know of no class: such a vote may still answer it.
    assert np.array(report["ensemble"]["weighted"]["confusion_matrix"])[:, 2].sum() > 0


def test_two_images_make_a_report_that_claims_nothing(tmp_path):
    report = reported(members([0, 1], [1, 2]), manifest([0, 1], [1, 2]), tmp_path)
    assert report["abstention"]["conformal"]["threshold"] is None
    assert report["abstention"]["conformal"]["coverage"] == 1
    assert "needs 9 validation images or more" in report["abstention"]["conformal"]["note"]
    assert report["comparison"]["sentence"].startswith("No evidence")


@pytest.mark.parametrize("splits", [([0], LABELS), ([0], [0, 1])])
def test_one_test_image_makes_a_report(tmp_path, splits):
    report = reported(members(*splits), manifest(*splits), tmp_path)
    assert report["dataset"]["images"] == 1
    assert report["ensemble"]["majority"]["accuracy"] in (0, 1)


def test_members_that_are_all_alike_gain_nothing(tmp_path):
    [ada] = members(LABELS, LABELS, names=["ada"])
    alike = [MemberPredictions(name, f"run-{name}", ada.test_probs, ada.validation_probs) for name in NAMES]
    report = reported(alike, MANY, tmp_path, costs=COSTS)
    accuracy = report["members"][0]["accuracy"]
    fixed = ("majority", "soft", "borda", "maximum", "weighted", "greedy")
    assert {report["ensemble"][rule]["accuracy"] for rule in fixed} == {accuracy}
    assert report["comparison"]["difference"] == 0
    assert report["comparison"]["sentence"].startswith("No evidence")
    assert report["agreement"] == np.ones((3, 3)).tolist()
    assert report["frontier"]["points"][report["frontier"]["chosen"]]["members"] in ([0], [1], [2])
    assert {row["difference"] for row in report["diversity"]["drop_one"]["rows"]} == {0}


@pytest.mark.parametrize("label", [0, 2])
def test_images_that_are_all_of_one_class_show_no_skill(tmp_path, label):
    labels = [label] * 30
    report = reported(members(labels, labels), manifest(labels, labels), tmp_path)
    assert report["dataset"]["most_frequent_class_accuracy"] == 1
    assert report["rules"]["weighted"]["note"] == (
        "No member is better than always answering the most frequent class: all members get the same weight."
    )
    assert report["rules"]["stacking"]["note"].startswith("All images to learn from are of one class")
    assert report["ensemble"]["stacking"]["accuracy"] == 1


def test_a_member_that_is_never_wrong_is_chosen_alone(tmp_path):
    who = [*members(LABELS, LABELS)[:2], certain("cleo", LABELS, LABELS)]
    report = reported(who, MANY, tmp_path)
    assert report["members"][2]["accuracy"] == 1
    assert report["comparison"]["best_member"] == "cleo"
    point = report["frontier"]["points"][report["frontier"]["chosen"]]
    assert (point["members"], point["accuracy"], point["validation_accuracy"]) == ([2], 1, 1)
    assert report["calibration"]["rows"][2]["after"]["log_loss"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("names", [NAMES, NAMES[:1]])
def test_members_that_are_never_wrong_make_a_report(tmp_path, names):
    report = reported([certain(name, LABELS, LABELS) for name in names], MANY, tmp_path)
    assert report["ensemble"]["majority"]["accuracy"] == 1
    assert set(report["abstention"]["risk_coverage"]["risk"]) == {0}


def test_members_that_are_never_right_make_a_report(tmp_path):
    wrong = [(label + 1) % 3 for label in LABELS]
    report = reported([certain(name, wrong, wrong) for name in NAMES], MANY, tmp_path)
    assert {member["accuracy"] for member in report["members"]} == {0}
    assert report["ensemble"]["majority"]["accuracy"] == 0
    assert report["rules"]["weighted"]["note"].startswith(
        "No member is better than always answering the most frequent class"
    )


def test_three_members_of_two_classes_make_a_report(tmp_path):
    labels = [0, 1] * 30
    report = reported(members(labels, labels, 2), manifest(labels, labels, 2), tmp_path, "stacking")
    assert set(report["ensemble"]["majority"]["per_class"]) == {"class0", "class1"}
    assert report["ensemble"]["majority"]["ties"] == 0
    assert np.shape(report["rules"]["stacking"]["arguments"]["coefficients"]) == (2, 6)


def test_forty_classes_make_a_report(tmp_path):
    labels = list(range(40)) * 4
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)  # scikit-learn wonders
        report = reported(members(labels, labels, 40, NAMES[:2], skill=0.1), manifest(labels, labels, 40), tmp_path)
    assert len(report["ensemble"]["stacking"]["per_class"]) == 40
    assert len(report["abstention"]["conformal"]["sizes"]) == 41
    assert report["ensemble"]["soft"]["accuracy"] > max(member["accuracy"] for member in report["members"])


def test_ties_by_the_members_weights_are_broken_in_every_subset():
    by_weight = partial(voting.validation_weight, weights=np.array([0.2, 0.3, 0.9]))
    rules = [replace(rule, break_tie=by_weight) for rule in RULES]
    report = judge(members(LABELS, LABELS, skill=0.1), MANY, rules, analysis=ANALYSIS)
    alone = {member["backbone"]: member["accuracy"] for member in report["members"]}
    # Two members that differ tie, and the weightier one decides.
    assert {row["member"]: row["accuracy"] for row in report["diversity"]["drop_one"]["rows"]} == {
        "ada": alone["cleo"],
        "bea": alone["cleo"],
        "cleo": alone["bea"],
    }


def test_a_member_whose_cost_is_not_known_leaves_the_members_to_be_counted(tmp_path):
    costs = {name: COSTS[name] for name in NAMES[:2]}
    report = reported(members(LABELS, LABELS), MANY, tmp_path, costs=costs)
    assert {point["milliseconds"] for point in report["frontier"]["points"]} == {None}
    card = json.loads((tmp_path / "ensemble" / "card.json").read_text(encoding="utf-8"))
    assert (card["milliseconds"], card["megabytes"]) == (None, None)
