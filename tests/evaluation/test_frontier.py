from collections import Counter
from functools import partial
from itertools import product

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

from facemask_ensemble.ensemble import learning, voting
from facemask_ensemble.ensemble.learning import Learned
from facemask_ensemble.ensemble.rules import Rule, folds_of
from facemask_ensemble.evaluation import frontier as module
from facemask_ensemble.evaluation.frontier import frontier, named, subsets
from facemask_ensemble.evaluation.rule_predictions import Judged
from facemask_ensemble.evaluation.statistics import wilson_interval

MAJORITY, SOFT = Rule("majority", voting.majority), Rule("soft", voting.soft)
SKILL = Rule("weighted", voting.weighted, learning.by_skill)
GREEDY = Rule("greedy", voting.weighted, learning.greedy)
STACKING = Rule("stacking", voting.stacked, learning.logistic)
EVERY = (MAJORITY, SOFT, Rule("maximum", voting.maximum), Rule("borda", voting.borda), SKILL, GREEDY, STACKING)
NAMES = ("ada", "bea", "cleo", "dora", "emil", "fay", "gus")
DEAR = {"ada": {"milliseconds": 1, "megabytes": 10}, "bea": {"milliseconds": 9, "megabytes": 50}}


def split(seed: int, members: int = 7, images: int = 300) -> Judged:
    """Members of unequal skill, whose errors are partly shared, and images in groups of two."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(3, size=images)
    scores = draw.normal(size=(images, 3)) + draw.normal(size=(members, images, 3))
    scores[:, np.arange(images), labels] += np.linspace(0.4, 2, members)[:, None]
    odds = np.exp(scores)
    return Judged(odds / odds.sum(axis=2, keepdims=True), labels, [f"g{place // 2}" for place in range(images)])


def two_classes(answers: list[list[int]], sure: list[list[float]]) -> np.ndarray:
    """Probabilities of two classes by member and image: the answer, and how sure it is."""
    answered, certain = np.array(answers), np.array(sure, float)
    return np.where(answered[..., None] == np.arange(2), certain[..., None], 1 - certain[..., None])


def chosen_point(found: dict) -> dict:
    return found["points"][found["chosen"]]


def test_of_seven_members_every_subset_is_tried_and_of_many_the_telling_ones():
    assert subsets(1) == [(0,)]
    assert subsets(3) == [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
    assert len(subsets(7)) == len(set(subsets(7))) == 127
    assert len(subsets(10)) == 2**10 - 1
    assert Counter(map(len, subsets(11))) == {1: 11, 2: 55, 10: 11, 11: 1}


def leading(scores: np.ndarray, probs: np.ndarray) -> list[int]:
    """Take each image's highest score, of level ones the class of the highest mean probability."""
    level = np.isclose(scores, scores.max(axis=1, keepdims=True), rtol=0, atol=1e-9)
    return np.where(level, probs.mean(axis=0), -1).argmax(axis=1).tolist()


def plain(rule: str, probs: np.ndarray, known: np.ndarray, labels: np.ndarray) -> list[int]:
    """Answer by a rule as its definition has it, what it learns learned from `known` and `labels`."""
    if rule == "majority":
        counts = [Counter(image.argmax(axis=1).tolist()) for image in probs.swapaxes(0, 1)]
        return leading(np.array([[count[label] for label in range(3)] for count in counts]), probs)
    if rule == "borda":
        return leading(rankdata(probs, axis=2).sum(axis=0), probs)
    if rule == "stacking":
        fitted = LogisticRegression(C=100 / len(labels), tol=1e-8, max_iter=2000)
        fitted.fit(np.hstack(list(np.log(known))), labels)
        return fitted.predict(np.hstack(list(np.log(probs)))).tolist()
    if rule == "weighted":
        chance = max(Counter(labels.tolist()).values()) / len(labels)
        weights = np.maximum((known.argmax(axis=2) == labels).mean(axis=1) - chance, 0)
        return np.average(probs, axis=0, weights=weights if weights.any() else None).argmax(axis=1).tolist()
    if rule == "greedy":
        return np.average(probs, axis=0, weights=learning.greedy(known, labels).weights).argmax(axis=1).tolist()
    return {"soft": probs.mean, "maximum": probs.max}[rule](axis=0).argmax(axis=1).tolist()


def test_the_accuracies_are_those_of_a_plain_recomputation():
    validation, test = split(1, 4), split(2, 4)
    found = frontier(EVERY, validation, test, NAMES[:4], {})
    assert len(found["points"]) == 4 + 7 * 11
    halves = folds_of(validation.groups, 2)
    assert Counter(halves.tolist()) == {0: 150, 1: 150}
    draw = np.random.default_rng(3)
    many = [subset for subset in subsets(4) if len(subset) > 1]
    for subset in draw.permutation(np.array(many, object))[:3]:
        index = list(subset)
        before, after = validation.probs[index], test.probs[index]
        for rule in (rule.name for rule in EVERY):
            [point] = [one for one in found["points"] if one["members"] == index and one["rule"] == rule]
            answers = plain(rule, after, before, validation.labels)
            assert point["accuracy"] == np.mean(answers == test.labels)
            assert point["interval"] == list(wilson_interval(sum(answers == test.labels), 300))
            taught = [
                plain(rule, before, before[:, halves != half], validation.labels[halves != half]) for half in (0, 1)
            ]
            expected = [taught[half][place] for place, half in enumerate(halves)]
            assert point["validation_accuracy"] == np.mean(expected == validation.labels)


def test_a_member_alone_has_the_accuracy_of_its_own_answers_whatever_the_rules_learn():
    validation, test = split(4, 3, 60), split(5, 3, 60)
    found = frontier([STACKING], validation, test, NAMES[:3], {})
    for place in range(3):
        point = found["points"][place]
        assert (point["members"], point["rule"]) == ([place], "alone")
        assert point["accuracy"] == (test.probs[place].argmax(axis=1) == test.labels).mean()
        assert point["validation_accuracy"] == (validation.probs[place].argmax(axis=1) == validation.labels).mean()


# The truth is class 0 throughout. ada is right on images 0 and 1, bea on 0, 2 and 3, cleo on 0 and 1; who is right is
# surer than who is wrong, so that by soft vote bea with any other is right on all, and ada and cleo stay at 0 and 1.
TRUTH = np.zeros(4, int)
FEW = Judged(
    two_classes(
        [[0, 0, 1, 1], [0, 1, 0, 0], [0, 0, 1, 1]],
        [[0.9, 0.9, 0.6, 0.6], [0.9, 0.6, 0.9, 0.9], [0.9, 0.9, 0.6, 0.6]],
    ),
    TRUTH,
)


def test_a_point_is_dominated_where_another_is_as_good_at_no_more_cost():
    costs = {name: {"milliseconds": cost, "megabytes": 10 * cost} for name, cost in zip(NAMES, (1, 3, 2), strict=False)}
    points = frontier([SOFT], FEW, FEW, NAMES[:3], costs)["points"]
    told = [(point["members"], point["accuracy"], point["milliseconds"], point["dominated"]) for point in points]
    assert told == [
        ([0], 0.5, 1, False),
        ([1], 0.75, 3, False),
        ([2], 0.5, 2, True),
        ([0, 1], 1, 4, False),
        ([0, 2], 0.5, 3, True),
        ([1, 2], 1, 5, True),
        ([0, 1, 2], 1, 6, True),
    ]
    assert [point["megabytes"] for point in points] == [10, 30, 20, 40, 30, 50, 60]


@pytest.mark.parametrize("costs", [{}, DEAR])
def test_where_a_cost_is_not_known_members_are_counted(costs):
    points = frontier([SOFT], FEW, FEW, NAMES[:3], costs)["points"]
    assert {point["milliseconds"] for point in points} == {point["megabytes"] for point in points} == {None}
    # At one member bea is the best, at two the first of two that are right on all.
    assert [point["members"] for point in points if not point["dominated"]] == [[1], [0, 1]]


def test_the_test_chooses_nothing():
    validation, test = split(6, 4), split(7, 4)
    shuffled = Judged(test.probs, np.random.default_rng(0).permutation(test.labels))
    first, second = (
        frontier([MAJORITY, SOFT, SKILL], validation, judged, NAMES[:4], {}) for judged in (test, shuffled)
    )
    assert [point["accuracy"] for point in first["points"]] != [point["accuracy"] for point in second["points"]]
    assert first["chosen"] == second["chosen"]
    name = named(chosen_point(first), NAMES[:4])
    assert name == named(chosen_point(second), NAMES[:4])
    assert all(f"validation picks {name}: " in found["sentence"] for found in (first, second))


def test_a_choice_is_named_by_its_members_and_its_rule():
    assert named({"members": [1], "rule": "alone"}, NAMES) == "bea alone"
    assert named({"members": [0, 2], "rule": "soft"}, NAMES) == "ada + cleo by soft"
    assert named({"members": list(range(7)), "rule": "greedy"}, NAMES) == "all by greedy"


def fixed(images: int) -> Judged:
    """100 images: ada misses the first 10, bea is right for certain on so many of these and wrong on the rest."""
    ada = [1] * 10 + [0] * 90
    bea = [0] * images + [1] * (100 - images)
    sure = [0.9] * images + [0.55] * (100 - images)
    return Judged(two_classes([ada, bea], [[0.7] * 100, sure]), np.zeros(100, int))


@pytest.mark.parametrize(("images", "members"), [(0, [0]), (1, [0]), (2, [0, 1]), (10, [0, 1])])
def test_the_cheapest_within_a_standard_error_of_the_best_is_chosen(images, members):
    # The pair gets so many more right and none less: a standard error is the root of that count.
    judged = fixed(images)
    found = frontier([SOFT], judged, judged, NAMES[:2], DEAR)
    assert [point["validation_accuracy"] for point in found["points"]] == [0.9, images / 100, 0.9 + images / 100]
    assert chosen_point(found)["members"] == members


def test_a_standard_error_is_of_the_images_that_tell_two_choices_apart():
    # bea is right on 4 that ada misses, and outvotes ada on 2 that ada has right: 2 more of 6 lie within sqrt(6).
    ada, bea = [1] * 4 + [0] * 96, [0] * 4 + [1] * 96
    judged = Judged(two_classes([ada, bea], [[0.7] * 100, [0.9] * 6 + [0.55] * 94]), np.zeros(100, int))
    found = frontier([SOFT], judged, judged, NAMES[:2], DEAR)
    assert [point["validation_accuracy"] for point in found["points"]] == [0.96, 0.04, 0.98]
    assert chosen_point(found)["members"] == [0]


def test_the_sentence_says_what_hindsight_would_have_chosen():
    test = Judged(FEW.probs, np.array([0, 1, 0, 0]))  # bea alone is right on all four
    found = frontier([SOFT], FEW, test, NAMES[:3], {})
    assert chosen_point(found)["members"] == [1]
    assert found["sentence"] == "Of 7 choices, validation picks bea alone: 75.0 % there, 100.0 % on the test. " + (
        "No other choice is better on the test."
    )
    found = frontier([SOFT], FEW, Judged(FEW.probs, np.array([1, 0, 1, 1])), NAMES[:3], {})
    assert found["points"][found["lucky"]]["members"] == [0]
    assert found["sentence"] == "Of 7 choices, validation picks bea alone: 75.0 % there, 0.0 % on the test. " + (
        "The best on the test is ada alone with 75.0 %, but only the test shows it."
    )


def test_choices_as_good_as_the_chosen_one_are_not_called_better():
    judged = Judged(np.stack([FEW.probs[1]] * 3), TRUTH)
    costs = {name: {"milliseconds": cost, "megabytes": cost} for name, cost in zip(NAMES, (3, 2, 1), strict=False)}
    found = frontier([MAJORITY], judged, judged, NAMES[:3], costs)
    assert chosen_point(found)["members"] == [2]
    assert found["sentence"].endswith("No other choice is better on the test.")


def test_of_one_member_nothing_is_chosen_from():
    found = frontier(EVERY, split(1, 1, 40), split(2, 1, 40), NAMES[:1], {})
    assert (len(found["points"]), found["chosen"], found["lucky"]) == (1, 0, 0)
    assert found["sentence"] == "There is only one member, ada: there is nothing to choose."


def test_without_validation_nothing_is_chosen_and_nothing_learned():
    test = split(8, 3, 60)
    found = frontier(EVERY, Judged(test.probs[:, :0], test.labels[:0]), test, NAMES[:3], {})
    assert found["chosen"] is None
    assert {point["rule"] for point in found["points"]} == {"alone", "majority", "soft", "maximum", "borda"}
    assert {point["validation_accuracy"] for point in found["points"]} == {None}
    assert found["sentence"].startswith("There are no validation images, so nothing was chosen")


def test_a_tie_by_the_members_weights_is_broken_by_those_of_the_subset():
    validation, test = split(9, 3, 200), split(10, 3, 200)
    weights = np.array([0.2, 0.3, 0.9])
    rule = Rule("majority", voting.majority, None, partial(voting.validation_weight, weights=weights))
    found = frontier([rule], validation, test, NAMES[:3], {})
    alone = [point["accuracy"] for point in found["points"][:3]]
    # Two members that differ tie: the weightier one decides.
    pairs = {tuple(point["members"]): point["accuracy"] for point in found["points"][3:6]}
    assert pairs == {(0, 1): alone[1], (0, 2): alone[2], (1, 2): alone[2]}


def memorise(probs: np.ndarray, labels: np.ndarray) -> Learned:
    return Learned({"seen": probs, "labels": labels}, np.full(len(probs), 1 / len(probs)))


def recall(probs: np.ndarray, seen: np.ndarray, labels: np.ndarray, break_tie: voting.Tie) -> np.ndarray:
    """Answer the images that were learned from with their labels, and no others."""
    known = (probs[:, :, None] == seen[:, None]).all(axis=(0, 3))
    return np.where(known.any(axis=1), labels[known.argmax(axis=1)], voting.ABSTAIN)


MEMORY = Rule("memory", recall, memorise)


def by_memory(judged: Judged, test: Judged) -> list[tuple[float, float]]:
    points = frontier([MEMORY], judged, test, NAMES[:3], {})["points"]
    return [(point["accuracy"], point["validation_accuracy"]) for point in points if point["rule"] == "memory"]


def test_a_rule_never_answers_a_validation_image_that_it_learned_from():
    judged = split(11, 3, 80)
    assert by_memory(judged, judged) == [(1, 0)] * 4
    assert by_memory(judged, split(12, 3, 80)) == [(0, 0)] * 4


def test_copies_of_an_image_are_not_learned_from_either():
    judged = split(13, 3, 80)
    twins = Judged(judged.probs.repeat(2, axis=1), judged.labels.repeat(2), [f"g{n // 2}" for n in range(160)])
    assert by_memory(twins, judged) == [(1, 0)] * 4
    apart = by_memory(Judged(twins.probs, twins.labels), judged)
    assert all(on_validation > 0.3 for _, on_validation in apart)


@pytest.mark.parametrize("groups", [["one"] * 80, ["one"] * 79 + ["other"]])
def test_where_folds_lack_images_a_rule_has_no_answer_on_validation(groups, monkeypatch):
    monkeypatch.setattr(module, "LEARN_ON", 10)
    judged = split(14, 3, 80)
    _, scores = zip(*by_memory(Judged(judged.probs, judged.labels, groups), judged), strict=True)
    assert set(scores) == {0}


def independent(answers: np.ndarray, sure: np.ndarray, labels: np.ndarray) -> Judged:
    """Two classes: whether each member is right, and how sure, float (members, n)."""
    answered = np.where(answers, labels, 1 - labels)
    return Judged(two_classes(answered, sure), labels)


def every_case(members: int, skill: float) -> tuple[Judged, np.ndarray]:
    """List every image that can be: which class, who is right, who is surer; with its probability."""
    cases = list(product((0, 1), *[[(right, sure) for right in (True, False) for sure in (0.6, 0.8)]] * members))
    labels = np.array([case[0] for case in cases])
    right = np.array([[member[0] for member in case[1:]] for case in cases]).T
    sure = np.array([[member[1] for member in case[1:]] for case in cases]).T
    chance = 0.5 * np.prod(np.where(right, skill, 1 - skill) * 0.5, axis=0)
    return independent(right, sure, labels), chance


def test_the_test_score_of_the_choice_is_unbiased_and_that_of_the_lucky_one_is_not():
    rules, members, images = [MAJORITY, SOFT], 4, 60
    cases, chance = every_case(members, 0.7)
    assert chance.sum() == pytest.approx(1)
    truth = {}
    for subset in subsets(members):
        for rule in rules:
            right = rule.fit(cases.probs, cases.labels)(cases.probs[list(subset)]) == cases.labels
            truth[subset, rule.name if len(subset) > 1 else "alone"] = chance[right].sum()
    assert truth[(2,), "alone"] == pytest.approx(0.7)
    draw = np.random.default_rng(15)

    def drawn() -> Judged:
        right, sure = draw.random((members, images)) < 0.7, draw.choice([0.6, 0.8], (members, images))
        return independent(right, sure, draw.integers(2, size=images))

    def excess(found: dict, which: str) -> float:
        point = found["points"][found[which]]
        return point["accuracy"] - truth[tuple(point["members"]), point["rule"]]

    found = [frontier(rules, drawn(), drawn(), NAMES[:members], {}) for _ in range(200)]
    chosen, lucky = (np.array([excess(one, which) for one in found]) for which in ("chosen", "lucky"))
    assert abs(chosen.mean()) < 3 * chosen.std(ddof=1) / np.sqrt(200)
    assert lucky.mean() > 3 * lucky.std(ddof=1) / np.sqrt(200)
    assert len({one["chosen"] for one in found}) > 3
