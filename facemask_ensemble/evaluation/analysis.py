"""The page's sections beyond the scores: comparisons, frontier, calibration, diversity, abstention, doubtful labels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from facemask_ensemble.ensemble import voting
from facemask_ensemble.evaluation import abstention, diversity, label_issues
from facemask_ensemble.evaluation.calibration import apply_temperature, calibrate
from facemask_ensemble.evaluation.conformal import conformal
from facemask_ensemble.evaluation.frontier import frontier
from facemask_ensemble.evaluation.resampling import metric_intervals
from facemask_ensemble.evaluation.rule_predictions import Judged, RuleAnswers, answer_by

MEAN = "calibrated mean"
SUSPECTS = 24  # doubtful labels shown of a split
Costs = Mapping[str, Mapping[str, Any]]


def analyse(
    answers_of_rules: Sequence[RuleAnswers],
    shipped: RuleAnswers,
    validation: Judged,
    test: Judged,
    members: Sequence[str],
    class_names: Sequence[str],
    *,
    learn: str,
    costs: Costs,
    conformal_error: float,
    resamples: int,
    reference: str,
) -> dict[str, Any]:
    """Compute every section of the page that needs only probabilities.

    Args:
        answers_of_rules: of every rule.
        shipped: the rule_answers that the verdict is about.
        validation: learns and chooses.
        test: judges.
        members: names, in the order of the probabilities.
        class_names: in label order.
        learn: from the `validation` split, or across `folds` of the test; the frontier always learns from validation.
        costs: by member `milliseconds` an image and `megabytes`, as far as measured.
        conformal_error: share of images whose set may miss the true class.
        resamples: bootstrap draws of the scores' intervals; 0 for none.
        reference: the member that differences in accuracy are to.
    """
    rules = [rule_answers.fitted.rule for rule_answers in answers_of_rules]
    calibration = calibrate(validation.probs, validation.labels, test.probs, test.labels, members)
    temperatures = [row["temperature"] for row in calibration["rows"]]
    sure, sure_before = calibrated(test.probs, temperatures), calibrated(validation.probs, temperatures)
    return {
        "costs": dict(costs),
        "frontier": frontier(rules, validation, test, members, costs),
        "calibration": calibration,
        "diversity": {
            **diversity.pairwise(test.probs, test.labels),
            "drop_one": diversity.drop_one(
                lambda kept: answer_by(shipped.fitted.rule.of(kept), validation.of(kept), test.of(kept), learn).answers,
                members,
                test.labels,
            ),
        },
        "abstention": _abstention(shipped, validation, test, sure_before, sure, class_names, conformal_error),
        "suspects": {
            name: label_issues.suspects(split.probs, split.labels, split.paths, class_names, members, SUSPECTS)
            for name, split in (("test", test), ("validation", validation))
        },
        "intervals": _intervals(answers_of_rules, test, members, sure, reference, resamples),
    }


def calibrated(probs: np.ndarray, temperatures: Sequence[float]) -> np.ndarray:
    """Average the members' calibrated probabilities, and calibrate the average: float (n, classes).

    Args:
        probs: float (members, n, classes).
        temperatures: one a member, then that of their mean.
    """
    each = [apply_temperature(member, own) for member, own in zip(probs, temperatures, strict=False)]
    return apply_temperature(np.mean(each, axis=0), temperatures[-1])


def _abstention(
    shipped: RuleAnswers,
    validation: Judged,
    test: Judged,
    expected: np.ndarray,
    sure: np.ndarray,
    class_names: Sequence[str],
    error: float,
) -> dict[str, Any]:
    """Measure the effect of abstaining; an image's confidence is the calibrated mean probability of its answer."""
    confidence = voting.confidence(sure[None], shipped.answers)
    before = voting.confidence(expected[None], shipped.validation_answers)
    right = shipped.answers == test.labels
    return {
        "risk_coverage": abstention.risk_coverage(confidence, right),
        "send": abstention.send_to_person(before, confidence, right),
        "conformal": conformal(expected, validation.labels, sure, test.labels, class_names, error),
    }


def _intervals(
    answers_of_rules: Sequence[RuleAnswers],
    test: Judged,
    members: Sequence[str],
    sure: np.ndarray,
    reference: str,
    draws: int,
) -> dict[str, Any] | None:
    """Resample every score of every member and vote; the calibrated mean's log loss goes by the name of `MEAN`."""
    if not draws:
        return None
    votes = voting.votes(test.probs)
    answers = dict(zip(members, votes, strict=True)) | {
        f"{rule_answers.name} vote": rule_answers.answers for rule_answers in answers_of_rules
    }
    probs = dict(zip(members, test.probs, strict=True))
    answers[MEAN], probs[MEAN] = sure.argmax(axis=1), sure
    return metric_intervals(test.labels, answers, probs, test.probs.shape[2], reference, draws=draws)
