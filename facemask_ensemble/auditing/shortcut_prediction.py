"""Guessing the label from a cue, out of fold: does it beat chance?"""

import warnings
from typing import Any

import numpy as np
from scipy.stats import binom
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold
from sklearn.tree import DecisionTreeClassifier

from facemask_ensemble.auditing.shortcuts import RARE, Cue

FOLDS = 5
DEPTH = 6  # questions that the tree may ask in a row
LEAF = 5  # images that an answer must rest on
P_VALUE = 0.001  # above it a gain may be luck
GAIN = 0.05  # over chance, of balanced accuracy; below it a shortcut does not matter
STRONG = 0.3  # of the way from chance to always right


def guess(cue: Cue, label: np.ndarray, component: np.ndarray, classes: int) -> dict[str, Any]:
    """Guess every image's label from one cue, by a small decision tree that has not seen it or its copies.

    Args:
        cue: of every image.
        label: of every image.
        component: the number of its group of copies: a group is never parted, and counts once in the test.
        classes: how many.

    Returns:
        `balanced_accuracy`, `chance` (1 / classes), `p_value` of so many hits were guess and label independent (one-
        sided, binomial), `grade`: strong, clear or none. The numbers are None where a class has too few images.
    """
    first, unit = _units(component)
    smallest = np.bincount(label[first], minlength=classes).min()
    found: dict[str, Any] = {"name": cue.name, "chance": 1 / classes, "balanced_accuracy": None, "p_value": None}
    if smallest < 2 or _constant(cue):
        return found | {"grade": "none"}
    folds = StratifiedKFold(min(FOLDS, int(smallest)), shuffle=True, random_state=0)
    answer = np.empty_like(label)
    # A group counts as one image of its first label: scikit-learn's own grouped folds take a loop over all groups.
    for _, held_out in folds.split(first, label[first]):
        out = np.isin(unit, held_out)
        answer[out] = _answers(cue, label, ~out, out, classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        accuracy = float(balanced_accuracy_score(label, answer))
    p_value = independence(label[first], answer[first], classes)
    return found | {
        "balanced_accuracy": accuracy,
        "p_value": p_value,
        "grade": grade(accuracy, 1 / classes, p_value),
    }


def independence(label: np.ndarray, answer: np.ndarray, classes: int) -> float:
    """Give the probability of at least this many hits if the answers were independent of the labels."""
    shares = [np.bincount(values, minlength=classes) / len(values) for values in (label, answer)]
    return float(binom.sf((label == answer).sum() - 1, len(label), shares[0] @ shares[1]))


def grade(accuracy: float, chance: float, p_value: float) -> str:
    """Call a cue strong, clear or none."""
    if p_value >= P_VALUE or accuracy - chance < GAIN:
        return "none"
    return "strong" if accuracy - chance >= STRONG * (1 - chance) else "clear"


def _units(component: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    _, first, unit = np.unique(component, return_index=True, return_inverse=True)
    return first, unit


def _constant(cue: Cue) -> bool:
    same = cue.values is None or len(np.unique(cue.values)) == 1
    return same and bool((np.ptp(cue.numbers, axis=0) == 0).all())


def _answers(cue: Cue, label: np.ndarray, known: np.ndarray, asked: np.ndarray, classes: int) -> np.ndarray:
    facts = cue.numbers
    if cue.values is not None:
        facts = np.column_stack([facts, _shares(cue.values, label, known, classes)])
    tree = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=LEAF, class_weight="balanced", random_state=0)
    return tree.fit(facts[known], label[known]).predict(facts[asked])


def _shares(values: np.ndarray, label: np.ndarray, known: np.ndarray, classes: int) -> np.ndarray:
    """Describe each value by the class shares of its known images, rare values together."""
    _, code, often = np.unique(values, return_inverse=True, return_counts=True)
    code = np.where(often[code] < RARE, 0, code + 1)
    counts = np.zeros((code.max() + 1, classes))
    np.add.at(counts, (code[known], label[known]), 1)
    overall = counts.sum(axis=0) / counts.sum()
    return ((counts + overall) / (counts.sum(axis=1, keepdims=True) + 1))[code]
