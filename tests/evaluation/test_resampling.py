import json

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import f1_score, recall_score

from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.resampling import metric_intervals, resampled
from facemask_ensemble.evaluation.statistics import bootstrap_difference

METRICS = ["accuracy", "balanced_accuracy", "macro_f1", "log_loss", "brier_score"]


def mean(sums: np.ndarray) -> np.ndarray:
    return sums[:, :1] / sums[:, 1:]


def features(values: np.ndarray) -> np.ndarray:
    return np.stack([values, np.ones(len(values))], axis=1).astype("float32")


def judged(images: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Draw labels, two members with probabilities, and a vote that gives no answer now and then."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(3, images, p=[0.5, 0.4, 0.1])
    probs = {name: generator.dirichlet(np.ones(3), images) for name in ("ada", "bea")}
    probs["ada"] = 0.5 * probs["ada"] + 0.5 * np.eye(3)[labels]
    answers = {name: given.argmax(axis=1) for name, given in probs.items()}
    answers["vote"] = np.where(generator.random(images) < 0.2, -1, answers["ada"])
    return labels, answers, probs


def slow_metrics(labels: np.ndarray, answers: np.ndarray, probs: np.ndarray | None) -> dict[str, float]:
    """Score one draw plainly, image by image or by scikit-learn."""
    present = sorted((set(labels) | set(answers)) - {-1})
    found = {
        "accuracy": sum(label == answer for label, answer in zip(labels, answers, strict=True)) / len(labels),
        "balanced_accuracy": recall_score(labels, answers, labels=sorted(set(labels)), average="macro"),
        "macro_f1": f1_score(labels, answers, labels=present, average="macro", zero_division=0),
    }
    if probs is None:
        return found
    return found | {
        "log_loss": -np.mean([np.log(row[label]) for label, row in zip(labels, probs, strict=True)]),
        "brier_score": np.mean([sum((row - np.eye(3)[la]) ** 2) for la, row in zip(labels, probs, strict=True)]),
    }


@pytest.mark.heavy
def test_every_metric_of_every_name_equals_a_plain_bootstrap():
    labels, answers, probs = judged(40, seed=0)
    found = metric_intervals(labels, answers, probs, 3, "bea", draws=100, seed=5)
    generator = np.random.default_rng(5)
    drawn = [generator.integers(40, size=40) for _ in range(100)]
    assert found["draws"] == 100
    assert list(found["names"]) == ["ada", "bea", "vote"]
    accuracies = {}
    for name, given in answers.items():
        scores = [slow_metrics(labels[one], given[one], probs[name][one] if name in probs else None) for one in drawn]
        for metric in scores[0]:
            expected = np.quantile([score[metric] for score in scores], [0.025, 0.975])
            assert found["names"][name][metric] == pytest.approx(expected, abs=1e-6)
        accuracies[name] = np.array([score["accuracy"] for score in scores])
        assert set(found["names"][name]) == {*scores[0], "difference"}
    for name, accuracy in accuracies.items():
        expected = np.quantile(accuracy - accuracies["bea"], [0.025, 0.975])
        assert found["names"][name]["difference"] == pytest.approx(expected, abs=1e-6)


def test_a_class_that_a_draw_lacks_does_not_count():
    # Class 2 is in the truth once, so that a third of the draws lack it, and class 3 nowhere.
    labels, answers = np.array([0, 0, 0, 1, 1, 2]), {"ada": np.array([0, 0, 0, 1, 1, 2])}
    found = metric_intervals(labels, answers, {}, 4, "ada", draws=300)["names"]["ada"]
    assert found == dict.fromkeys(METRICS[:3], [1, 1]) | {"difference": [0, 0]}


def test_no_answer_at_all_is_never_right():
    found = metric_intervals(np.array([0, 1]), {"vote": np.array([-1, -1])}, {}, 2, "vote", draws=50)["names"]["vote"]
    assert found == dict.fromkeys([*METRICS[:3], "difference"], [0, 0])


def test_the_interval_of_accuracy_is_scipys():
    labels, answers, _ = judged(300, seed=1)
    right = (answers["ada"] == labels).astype(float)
    expected = scipy.stats.bootstrap((right,), np.mean, method="percentile", rng=np.random.default_rng(1))
    found = metric_intervals(labels, answers, {}, 3, "bea")["names"]["ada"]["accuracy"]
    assert found == pytest.approx(list(expected.confidence_interval), abs=0.004)


def test_the_difference_is_the_paired_bootstraps():
    labels, answers, _ = judged(300, seed=2)
    found = metric_intervals(labels, answers, {}, 3, "bea")["names"]["ada"]["difference"]
    expected = bootstrap_difference(answers["ada"] == labels, answers["bea"] == labels)
    assert found == pytest.approx(expected, abs=0.008)


def test_the_same_seed_gives_the_same_answer_whatever_the_chunking():
    values = features(np.random.default_rng(3).random(100))
    whole = resampled(values, mean, draws=250, seed=7)
    for cells in (1, 700, 10_000):
        part = resampled(values, mean, draws=250, seed=7, cells=cells)
        assert np.allclose([part["low"], part["high"]], [whole["low"], whole["high"]], rtol=1e-6, atol=0)
    assert resampled(values, mean, draws=250, seed=7)["low"] == whole["low"]
    assert resampled(values, mean, draws=250, seed=8)["low"] != whole["low"]


def test_a_wider_level_gives_a_wider_interval():
    values = features(np.random.default_rng(4).random(100))
    narrow, wide = (resampled(values, mean, draws=2000, level=level) for level in (0.5, 0.99))
    assert wide["low"] < narrow["low"] < narrow["high"] < wide["high"]


@pytest.mark.parametrize(("most", "draws"), [(1_000_000, 1000), (50_000, 500), (100, 200)])
def test_many_images_get_fewer_draws_but_never_fewer_than_200(most, draws):
    assert resampled(features(np.ones(100)), mean, draws=1000, most=most)["draws"] == draws


def test_a_value_that_never_changes_has_a_point_for_an_interval():
    found = resampled(features(np.full(1000, 0.25)), mean, draws=300)
    assert (found["low"], found["high"]) == (0.25, 0.25)


def test_intervals_can_be_written_as_json():
    found = metric_intervals(*judged(30, seed=5), 3, "ada", draws=20)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.heavy
def test_nineteen_in_twenty_intervals_hold_the_truth():
    # Three answers in four and 0.65 of the reference's are right, and sure by 0.75: all truths are known.
    generator = np.random.default_rng(6)
    loss = -0.75 * np.log(0.75) - 0.25 * np.log(0.25)
    truth = {"accuracy": 0.75, "difference": 0.1, "log_loss": loss, "brier_score": 0.75 * 0.125 + 0.25 * 1.125}
    held = dict.fromkeys(truth, 0)
    for repeat in range(1000):
        labels = generator.integers(0, 2, 100)
        answers = np.where(generator.random(100) < 0.75, labels, 1 - labels)
        reference = np.where(generator.random(100) < 0.65, labels, 1 - labels)
        probs = {"new": np.where(np.eye(2)[answers] == 1, 0.75, 0.25)}
        found = metric_intervals(labels, {"new": answers, "old": reference}, probs, 2, "old", draws=400, seed=repeat)
        for metric, value in truth.items():
            low, high = found["names"]["new"][metric]
            held[metric] += low <= value <= high
    assert all(910 <= count <= 970 for count in held.values()), held


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reference": "dora"}, "no answers of 'dora': choose from ada"),
        ({"probs": {"bea": np.ones((2, 2)) / 2}}, "no answers of 'bea'"),
        ({"labels": np.array([], int)}, r"received shape \(0,\)"),
        ({"labels": np.array([0, 2])}, "of the labels must lie from 0 to 1, received 0 to 2"),
        ({"labels": np.array([-1, 1])}, "of the labels must lie from 0 to 1, received -1 to 1"),
        ({"answers": {"ada": np.array([0])}}, r"ada must have the shape \(2,\) of the labels, received \(1,\)"),
        ({"answers": {"ada": np.array([0, -2])}}, "of ada must lie from -1 to 1, received -2 to 0"),
        ({"probs": {"ada": np.ones((2, 3)) / 3}}, r"of ada must have the shape \(2, 2\), received \(2, 3\)"),
    ],
)
def test_answers_that_do_not_match_are_refused(change, message):
    given = {"labels": np.array([0, 1]), "answers": {"ada": np.array([0, 1])}, "probs": {}, "reference": "ada"}
    with pytest.raises(InputError, match=message):
        metric_intervals(**given | change, classes=2)


def test_a_bootstrap_of_nothing_is_refused():
    with pytest.raises(InputError, match=r"received shape \(0, 2\)"):
        resampled(np.empty((0, 2)), mean)
    with pytest.raises(InputError, match="received 0 and 0.95"):
        resampled(np.ones((2, 2)), mean, draws=0)
