import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from facemask_ensemble.data.manifest import COLUMNS, Manifest
from facemask_ensemble.ensemble import learning, voting
from facemask_ensemble.ensemble.predictions import MemberPredictions
from facemask_ensemble.ensemble.rules import Rule
from facemask_ensemble.evaluation.card import at_about, ship_card, warnings
from facemask_ensemble.evaluation.verdict import judge
from facemask_ensemble.task import task_named

MASKS = task_named("masks")
NAMES = ("ada", "bea", "cleo", "dora")
SKILLS = (0.9, 0.6, 0.4, -0.2)  # dora is worse than always answering the most frequent class
STARTS = ("imagenet", "random initialisation", "scenes member 0123 (random initialisation)", "imagenet")
COSTS = {
    name: {"milliseconds": cost, "megabytes": 10 * cost, "measured": f"where {name} was"}
    for name, cost in zip(NAMES, (1.5, 2, 4, 8), strict=True)
}
RULES = (
    Rule("majority", voting.majority, None, voting.abstain),
    Rule("weighted", voting.weighted, learning.by_skill, voting.abstain),
)


def judged(shipped: str, costs: dict | None = None) -> dict:
    """Judge four members on 90 images, none of them of the third class in the test split."""
    draw = np.random.default_rng(0)
    labels = {"train": [0, 1, 2] * 5, "validation": [0, 1, 2] * 20, "test": [0, 1] * 30}
    rows = [
        (f"{split}/{place}.png", f"{split}{place}", label, "", split)
        for split, found in labels.items()
        for place, label in enumerate(found)
    ]
    left_out = pd.DataFrame(columns=["path", "reason"])
    data = Manifest("tiny", Path("."), ("none", "all", "some"), pd.DataFrame(rows, columns=COLUMNS[:5]), left_out)

    def probs(split: str, skill: float) -> np.ndarray:
        raw = draw.dirichlet(np.ones(3), len(labels[split]))
        raw[np.arange(len(raw)), labels[split]] += skill
        raw = np.maximum(raw, 0.01)
        return raw / raw.sum(axis=1, keepdims=True)

    members = [
        MemberPredictions(name, f"run-{name}", probs("test", skill), probs("validation", skill), {"init": init})
        for name, skill, init in zip(NAMES, SKILLS, STARTS, strict=True)
    ]
    analysis = {"costs": COSTS if costs is None else costs, "conformal_error": 0.1, "resamples": 0}
    report = judge(members, data, RULES, shipped, analysis=analysis)
    report |= {"break_tie": "abstain", "shift": None}
    report["dataset"] |= {"changed": [], "seen": 0}
    return report


@pytest.fixture(scope="module")
def by_skill() -> dict:
    return judged("weighted")


@pytest.fixture(scope="module")
def by_majority() -> dict:
    return judged("majority")


def test_the_numbers_are_those_of_the_report(by_majority):
    report, card = by_majority, ship_card(by_majority, MASKS, "seven_backbones", "python -m x")
    scores, compared = report["ensemble"]["majority"], report["worth"]["comparisons"][0]
    mean = report["calibration"]["rows"][-1]
    assert (card["name"], card["study"], card["rule"], card["ties"]) == (
        *("facemask-tiny", "seven_backbones"),
        *("majority", "abstain"),
    )
    assert card["class_names"] == ["none", "all", "some"]
    assert (card["accuracy"], card["accuracy_interval"]) == (scores["accuracy"], scores["accuracy_interval"])
    assert card["best_member"] == compared["rival"] == "ada"
    assert (card["difference"], card["difference_interval"]) == (compared["difference"], compared["interval"])
    assert (card["p_value"], card["sentence"]) == (compared["p_adjusted"], compared["sentence"])
    assert mean["name"] == "mean of members"
    assert (card["temperature"], card["log_loss"]) == (mean["temperature"], mean["after"]["log_loss"])
    assert card["expected_calibration_error"] == mean["after"]["expected_calibration_error"]
    assert card["coverage"] == report["abstention"]["conformal"]["sentence"]
    assert card["per_class_recall"] == {name: scores["per_class"][name]["recall"] for name in ("none", "all")}
    assert (card["images"], card["dataset_images"], card["dataset"]) == (60, 15 + 60 + 60, "tiny")
    assert (card["fingerprint"], card["command"]) == (report["dataset"]["fingerprint"], "python -m x")
    assert json.loads(json.dumps(card, allow_nan=False)) == card


def test_ties_and_images_without_an_answer_are_shares_of_the_test_images(by_majority):
    scores, card = by_majority["ensemble"]["majority"], ship_card(by_majority, MASKS, "", "")
    assert scores["ties"] == scores["abstained"] > 0
    assert card["tie_rate"] == card["abstention_rate"] == scores["ties"] / 60


def test_the_card_speaks_of_the_share_nearest_to_four_in_a_hundred(by_majority):
    rows = [{"asked": asked, "sentence": f"{asked}"} for asked in (0.01, 0.03, 0.08)]
    assert at_about(rows)["asked"] == 0.03
    [sent] = [row["sentence"] for row in by_majority["abstention"]["send"] if row["asked"] == 0.04]
    assert ship_card(by_majority, MASKS, "", "")["send"] == sent


def test_members_that_the_rule_leaves_out_are_not_among_the_members(by_skill):
    card, weights = ship_card(by_skill, MASKS, "", ""), by_skill["rules"]["weighted"]["weights"]
    assert weights["dora"] == 0
    assert card["members"] == [
        {"name": name, "weight": weights[name], "init": init} for name, init in zip(NAMES[:3], STARTS, strict=False)
    ]
    assert sum(member["weight"] for member in card["members"]) == pytest.approx(1)
    [left_out] = card["left_out"]
    assert left_out["name"] == "dora"
    assert "no better than always answering the most frequent class" in left_out["reason"]


def test_a_rule_that_learns_nothing_uses_every_member(by_majority):
    card = ship_card(by_majority, MASKS, "", "")
    assert [(member["name"], member["weight"]) for member in card["members"]] == [(name, None) for name in NAMES]
    assert card["left_out"] == []


def test_costs_are_those_of_the_members_that_are_used(by_skill, by_majority):
    used, every = ship_card(by_skill, MASKS, "", ""), ship_card(by_majority, MASKS, "", "")
    assert (used["milliseconds"], used["megabytes"], used["measured"]) == (7.5, 75, "where ada was")
    assert (every["milliseconds"], every["megabytes"]) == (15.5, 155)


@pytest.mark.parametrize(
    ("known", "costs"), [((), (None, None)), (("ada", "bea", "dora"), (None, None)), (NAMES[:3], (7.5, 75))]
)
def test_the_costs_are_not_known_where_one_of_them_is_not(by_skill, known, costs):
    card = ship_card(by_skill | {"costs": {name: COSTS[name] for name in known}}, MASKS, "", "")
    assert (card["milliseconds"], card["megabytes"]) == costs


def test_random_weights_are_named_with_those_who_went_on_from_them(by_majority):
    assert (
        warnings(by_majority)[0]
        == "bea, cleo learned from random initialisation: these numbers say nothing about pretrained weights."
    )
    everyone = [member | {"init": "random initialisation"} for member in by_majority["members"]]
    assert warnings(by_majority | {"members": everyone})[0].startswith(
        "Every member learned from random initialisation"
    )


def test_a_class_without_test_images_is_named(by_majority):
    assert warnings(by_majority)[1:] == ["No test image of class some: its recall is unknown."]


def test_what_was_changed_left_out_or_learned_elsewhere_is_named(by_majority):
    data = by_majority["dataset"] | {"changed": ["dataset.limit=90", "dataset.seed=2"], "seen": 3}
    data |= {"counts": {"test": {"none": 1, "all": 1, "some": 1}}}
    members = [{"backbone": "ada", "init": "imagenet", "trained_on": "scenes"}, {"backbone": "bea", "init": None}]
    assert warnings({"dataset": data, "members": members}) == [
        "The dataset was changed: dataset.limit=90, dataset.seed=2.",
        "3 images left out of the evaluation: already used to train a member.",
        "ada learned from other images, not from this dataset's training split.",
    ]


def test_nothing_to_warn_of_is_an_empty_list(by_majority):
    data = by_majority["dataset"] | {"counts": {"test": {"none": 1, "all": 1, "some": 1}}}
    assert warnings({"dataset": data, "members": [{"backbone": "ada", "init": "imagenet"}]}) == []


def test_what_it_must_not_be_used_for_says_how_often_it_is_wrong(by_majority):
    wrong = 100 * (1 - by_majority["ensemble"]["majority"]["accuracy"])
    lines = ship_card(by_majority, MASKS, "", "")["must_not"]
    assert f"{wrong:.1f} of 100 answers here are wrong" in lines[0]
    assert "Images unlike those of tiny" in lines[1]
    assert "none, all, some and nothing else" in lines[2]
    shifted = by_majority | {"shift": {"sentence": "Noise costs most."}}
    assert ship_card(shifted, MASKS, "", "")["must_not"] == [*lines, "Noise costs most."]


def test_a_card_of_another_task_has_its_words_and_the_bare_name_of_the_dataset(by_majority):
    card = ship_card(by_majority, task_named("generic"), "", "")
    wrong = 100 * (1 - by_majority["ensemble"]["majority"]["accuracy"])
    assert card["name"] == "tiny"
    assert card["must_not"][0] == f"Deciding without a person looking: {wrong:.1f} of 100 answers here are wrong."
    assert card["must_not"][2] == "Anything else: it answers none, all, some and nothing else."
    changed = {key for key, value in ship_card(by_majority, MASKS, "", "").items() if value != card[key]}
    assert changed - {"written"} == {"name", "must_not"}
