"""Each voting rule's answers on the test, and what it learned from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.rules import FittedRule, Rule, folds_of


@dataclass(frozen=True)
class Judged:
    """Probabilities, float (members, n, classes), of one split, with its images' true classes, int (n,)."""

    probs: np.ndarray
    labels: np.ndarray
    groups: Sequence[str] = ()
    paths: Sequence[str] = ()

    def of(self, members: Sequence[int]) -> "Judged":
        """Keep some members, by their places."""
        return Judged(self.probs[list(members)], self.labels, self.groups, self.paths)


@dataclass(frozen=True)
class RuleAnswers:
    """A rule's answers, int (n,), on the test and on validation, none learned from the image it is given for.

    `fitted` is the rule as it would be shipped; `learned_from` says in words what it was fitted on, and how its answers
    here were.
    """

    fitted: FittedRule
    answers: np.ndarray
    validation_answers: np.ndarray
    tied: np.ndarray
    learned_from: str

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.fitted.name


def answer_by(rule: Rule, validation: Judged, test: Judged, learn: str = "validation") -> RuleAnswers:
    """Let a rule answer the test, fitted on validation (`learn=validation`) or across folds of the test (`folds`).

    Its answers on validation come from folds of validation, so that they too are of images that it did not learn
    from.
    """
    if rule.learn is None:
        fitted = rule.fit(test.probs, test.labels)
        return RuleAnswers(fitted, fitted(test.probs), fitted(validation.probs), fitted.ties(test.probs), "")
    expected = rule.across_folds(validation.probs, validation.labels, _folds(validation))
    if learn == "folds":
        answers, open_ties = (
            one.across_folds(test.probs, test.labels, _folds(test))
            for one in (rule, replace(rule, break_tie=voting.abstain))
        )
        fitted, tied = rule.fit(test.probs, test.labels), open_ties == voting.ABSTAIN
        source = f"{len(test.labels)} test images; each fifth is answered by a rule learned from the other four"
    else:
        fitted = rule.fit(validation.probs, validation.labels)
        answers, tied = fitted(test.probs), fitted.ties(test.probs)
        source = f"{len(validation.labels)} validation images"
    return RuleAnswers(fitted, answers, expected, tied, source)


def _folds(judged: Judged) -> np.ndarray:
    return folds_of(judged.groups or [""] * len(judged.labels))


def describe(rule_answers: RuleAnswers, members: Sequence[str]) -> dict[str, Any]:
    """Tell what a rule learned: weights by member (None: nothing), whom it left out and why, and from what."""
    learned = rule_answers.fitted.learned
    if learned is None:
        return {"weights": None, "left_out": {}, "learned_from": "", "note": "", "arguments": {}}
    return {
        "weights": {member: float(weight) for member, weight in zip(members, learned.weights, strict=True)},
        "left_out": {members[index]: reason for index, reason in learned.left_out.items()},
        "learned_from": rule_answers.learned_from,
        "note": learned.note,
        "arguments": {name: np.asarray(value).tolist() for name, value in learned.arguments.items()},
    }


def list_ties(
    rule_answers: RuleAnswers, test: Judged, members: Sequence[str], class_names: Sequence[str]
) -> dict[str, Any]:
    """List every image on which the rule's scores tie, with its truth, its answer and the members' votes.

    Returns:
        `ties` (how many), `tied` (path, truth, prediction or None, votes), `abstained` (images without an answer).
    """
    votes = voting.votes(test.probs)
    tied = [
        {
            "path": test.paths[index],
            "truth": class_names[test.labels[index]],
            "prediction": answer_name(rule_answers.answers[index], class_names),
            "votes": {name: class_names[vote] for name, vote in zip(members, votes[:, index].tolist(), strict=True)},
        }
        for index in np.flatnonzero(rule_answers.tied).tolist()
    ]
    return {"ties": len(tied), "tied": tied, "abstained": int((rule_answers.answers == voting.ABSTAIN).sum())}


def answer_name(answer: int, class_names: Sequence[str]) -> str | None:
    """Name an answer; None where there is none."""
    return None if answer == voting.ABSTAIN else class_names[int(answer)]
