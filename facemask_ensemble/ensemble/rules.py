"""Voting rules that are ready to answer: fitted, and with a tie breaker."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.learning import Learned
from facemask_ensemble.errors import InputError

Vote = Callable[..., np.ndarray]
FOLDS = 5


@dataclass(frozen=True)
class Rule:
    """A voting rule by name: `vote(probs, break_tie=…, **learned)`, and `learn(probs, labels)` where it learns.

    Calling a rule that learns nothing answers at once; one that learns has to be fitted first. `settings` are what its
    config gives to `vote`.
    """

    name: str
    vote: Vote
    learn: Callable[[np.ndarray, np.ndarray], Learned] | None = None
    break_tie: voting.Tie = voting.mean_probability
    settings: Mapping[str, Any] = field(default_factory=dict)

    def of(self, members: Sequence[int]) -> "Rule":
        """Vote with some members, by their places: a tie's breaker that weighs members keeps the weights of these."""
        if not isinstance(self.break_tie, partial) or "weights" not in self.break_tie.keywords:
            return self
        weights = np.asarray(self.break_tie.keywords["weights"])[list(members)]
        return replace(self, break_tie=partial(self.break_tie, weights=weights))

    def fit(self, probs: np.ndarray, labels: np.ndarray) -> "FittedRule":
        """Learn what the rule learns from probabilities (members, n, classes) and labels (n,)."""
        if self.learn is None:
            return FittedRule(self, None)
        if not len(labels):
            raise InputError(f"voting={self.name}: it learns from validation images, but there are 0; give some")
        return FittedRule(self, self.learn(probs, labels))

    def across_folds(self, probs: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
        """Answer every image with a rule learned on the other folds, int (n,); `folds` numbers the folds, int (n,)."""
        if self.learn is None:
            return self.fit(probs, labels)(probs)
        answers = np.full(len(labels), voting.ABSTAIN)
        for fold in np.unique(folds):
            held = folds == fold
            if held.all():
                raise InputError(
                    f"voting={self.name}: it learns from other images than it answers, and the {len(labels)} of this "
                    "split are one, or copies of one; give more validation images"
                )
            answers[held] = self.fit(probs[:, ~held], labels[~held])(probs[:, held])
        return answers


@dataclass(frozen=True)
class NeverTies:
    """A rule without the argument `break_tie`, called like those whose scores can tie."""

    call: Vote

    def __call__(self, probs: np.ndarray, break_tie: voting.Tie, **learned: Any) -> np.ndarray:
        """Vote."""
        return self.call(probs, **learned)


@dataclass(frozen=True)
class FittedRule:
    """A rule that answers: call it with probabilities (members, n, classes) for class indices (n,)."""

    rule: Rule
    learned: Learned | None

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.rule.name

    def __call__(self, probs: np.ndarray, break_tie: voting.Tie | None = None) -> np.ndarray:
        """Vote, ties broken as the rule was given, or otherwise for once."""
        arguments = self.learned.arguments if self.learned else {}
        answers = self.rule.vote(probs, break_tie=break_tie or self.rule.break_tie, **arguments)
        return _checked(self.name, answers, probs.shape)

    def ties(self, probs: np.ndarray) -> np.ndarray:
        """Mark the images on which the rule's highest scores are level, bool (n,)."""
        return self(probs, break_tie=voting.abstain) == voting.ABSTAIN


def make_rule(name: str, built: Any, break_tie: voting.Tie = voting.mean_probability) -> Rule:
    """Make a rule from an instantiated `conf/voting/*.yaml`: a function, or a mapping of `rule` and `learn`."""
    if isinstance(built, Mapping):
        return Rule(name, _takes_break_tie(built["rule"]), built["learn"], break_tie)
    return Rule(name, _takes_break_tie(built), None, break_tie)


def function_of(call: Any) -> tuple[Any, dict[str, Any]]:
    """Give the function of a rule or of a tie's breaker, and the arguments that its config fixes."""
    call = call.call if isinstance(call, NeverTies) else call
    return getattr(call, "func", call), dict(getattr(call, "keywords", {}))


def make_tie(built: Mapping[str, Any], class_names: Sequence[str], accuracy: np.ndarray | None) -> voting.Tie:
    """Make a tie's breaker from an instantiated `conf/ties/*.yaml`.

    Args:
        built: `break_tie`, and `order` (class names) or `weights: validation` where it needs one.
        class_names: in label order.
        accuracy: of every member on validation, (members,); None where that is not known.

    Raises:
        InputError: the order does not name every class once, or weights are asked for and there is no validation.
    """
    call = built["break_tie"]
    if "order" in built:
        order = [str(name) for name in built["order"] or ()]
        if sorted(order) != sorted(class_names):
            raise InputError(
                f"ties.order=[{','.join(order)}]: must name each of {', '.join(class_names)} once, the safest first"
            )
        call = partial(call, order=[class_names.index(name) for name in order])
    if built.get("weights") == "validation":
        if accuracy is None:
            raise InputError("ties=validation_weight: there are 0 validation images; give ties=mean_probability")
        call = partial(call, weights=accuracy)
    return call


def folds_of(groups: Sequence[str], folds: int = FOLDS, seed: int = 0) -> np.ndarray:
    """Deal images into folds, int (n,): those of one group stay together, an empty one is a group of its own."""
    names = [group or f"\0{place}" for place, group in enumerate(groups)]
    _, number = np.unique(names, return_inverse=True)
    order = np.random.default_rng(seed).permutation(number.max(initial=-1) + 1)
    return np.asarray(order[number] % folds)


def _checked(name: str, answers: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Refuse answers of a user's own rule that are not valid."""
    _, images, classes = shape
    found = np.asarray(answers)
    if found.shape != (images,) or not np.issubdtype(found.dtype, np.integer):
        raise InputError(
            f"voting={name}: its function returns {found.dtype} {found.shape} for {images} images; it has to return "
            f"a class index for each, integers ({images},)"
        )
    if images and not voting.ABSTAIN <= found.min() <= found.max() < classes:
        raise InputError(
            f"voting={name}: its function returns {found.min()} to {found.max()}; it has to return class indices from "
            f"0 to {classes - 1}, or {voting.ABSTAIN} for no answer"
        )
    return found


def _takes_break_tie(call: Vote) -> Vote:
    return call if "break_tie" in inspect.signature(call).parameters else NeverTies(call)
